/* The keys of the opening handshake (RFC 6455 section 4.2). */
#include "base/arena.h"
#include "base/base64.h"
#include "ws/ws.h"

#include <openssl/evp.h>

#define SHA1_LEN 20

/* Section 1.3; the same for every server, so that no other protocol answers like this. */
#define GUID "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

bool ws__valid_key(struct str key)
{
    char room[64];
    struct arena a;
    struct str nonce;

    if (!key.ptr || key.len != WS_KEY_LEN)
        return false;
    arena__init(&a, room, sizeof(room), sizeof(room));
    nonce = base64__decode(&a, key);
    arena__free(&a);
    return nonce.ptr && nonce.len == WS_NONCE_LEN;
}

bool ws__accept_key(struct str key, char out[WS_ACCEPT_LEN + 1])
{
    char text[WS_KEY_LEN + sizeof(GUID)];
    unsigned char digest[SHA1_LEN];

    if (key.len != WS_KEY_LEN)
        return false;
    memcpy(text, key.ptr, WS_KEY_LEN);
    memcpy(text + WS_KEY_LEN, GUID, sizeof(GUID) - 1);
    if (!EVP_Digest(text, WS_KEY_LEN + sizeof(GUID) - 1, digest, NULL, EVP_sha1(), NULL))
        return false;
    EVP_EncodeBlock((unsigned char *)out, digest, SHA1_LEN);
    return true;
}
