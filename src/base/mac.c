/* OpenSSL 3 would rather have its providers called, which allocate for each message and
 * take twice as long for a short one. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "base/mac.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <stdlib.h>

_Static_assert(MAC_SIZE == SHA256_DIGEST_LENGTH, "a MAC is a digest");

/* RFC 2104: both hashes begin with a block that is made of the key. */
struct mac_key {
    SHA256_CTX inner, outer;
    size_t len;
    char text[];
};

static void begin_hash(SHA256_CTX *hash, const uint8_t key[SHA256_CBLOCK], uint8_t pad)
{
    uint8_t block[SHA256_CBLOCK];

    for (size_t i = 0; i < sizeof(block); i++)
        block[i] = key[i] ^ pad;
    SHA256_Init(hash);
    SHA256_Update(hash, block, sizeof(block));
    OPENSSL_cleanse(block, sizeof(block));
}

static void begin_hashes(struct mac_key *k)
{
    uint8_t key[SHA256_CBLOCK] = {0};

    if (k->len > sizeof(key))
        SHA256((const uint8_t *)k->text, k->len, key);
    else
        memcpy(key, k->text, k->len);
    begin_hash(&k->inner, key, 0x36);
    begin_hash(&k->outer, key, 0x5c);
    OPENSSL_cleanse(key, sizeof(key));
}

struct mac_key *mac__key_new(struct str key)
{
    struct mac_key *k = malloc(sizeof(*k) + key.len + 1);

    if (!k)
        return NULL;
    k->len = key.len;
    if (key.len > 0)
        memcpy(k->text, key.ptr, key.len);
    k->text[key.len] = '\0';
    begin_hashes(k);
    return k;
}

void mac__key_free(struct mac_key *key)
{
    if (!key)
        return;
    OPENSSL_cleanse(key, sizeof(*key) + key->len);
    free(key);
}

struct str mac__key_text(const struct mac_key *key)
{
    return str__n(key->text, key->len);
}

void mac__sign(const struct mac_key *key, struct str message, uint8_t out[MAC_SIZE])
{
    SHA256_CTX hash = key->inner;

    SHA256_Update(&hash, message.ptr, message.len);
    SHA256_Final(out, &hash);
    hash = key->outer;
    SHA256_Update(&hash, out, MAC_SIZE);
    SHA256_Final(out, &hash);
}

bool mac__equal(const void *a, const void *b, size_t len)
{
    return CRYPTO_memcmp(a, b, len) == 0;
}
