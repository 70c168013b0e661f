/* Base64 (RFC 4648 section 4) and base64url without padding (section 5), over
 * OpenSSL's block functions, which by themselves accept too much. */
#ifndef BASE_BASE64_H
#define BASE_BASE64_H

#include "base/arena.h"
#include "base/buf.h"

/* Characters needed for `len` bytes, padding included. */
static inline size_t base64__encoded_len(size_t len)
{
    return (len + 2) / 3 * 4;
}

void base64__encode(struct buf *out, const void *data, size_t len);
void base64__encode_url(struct buf *out, const void *data, size_t len);

/* Strict: the alphabet only, full padding, no white space. The result is in the
 * arena with a NUL behind it; .ptr is NULL when the text is not base64 or memory
 * is out. */
struct str base64__decode(struct arena *a, struct str text);
/* The same for base64url, with or without padding. */
struct str base64__decode_url(struct arena *a, struct str text);

#endif
