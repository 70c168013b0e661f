#include "base/base64.h"

#include <limits.h>
#include <openssl/evp.h>

void base64__encode(struct buf *out, const void *data, size_t len)
{
    /* EVP_EncodeBlock takes an int and writes a NUL behind its output. */
    char *to = len <= INT_MAX / 2 ? buf__reserve(out, base64__encoded_len(len)) : NULL;

    if (!to) {
        out->failed = true;
        return;
    }
    out->len += (size_t)EVP_EncodeBlock((unsigned char *)to, data, (int)len);
    out->data[out->len] = '\0';
}

void base64__encode_url(struct buf *out, const void *data, size_t len)
{
    size_t start = out->len;

    base64__encode(out, data, len);
    if (out->failed)
        return;
    while (out->len > start && out->data[out->len - 1] == '=')
        out->len--;
    out->data[out->len] = '\0';
    for (size_t i = start; i < out->len; i++) {
        if (out->data[i] == '+')
            out->data[i] = '-';
        else if (out->data[i] == '/')
            out->data[i] = '_';
    }
}

static bool in_alphabet(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' ||
           c == '/';
}

/* `text` has a length divisible by four and padding only at its end. */
static struct str decode_padded(struct arena *a, struct str text)
{
    size_t pad = 0, len;
    char *out;

    while (pad < 2 && pad < text.len && text.ptr[text.len - 1 - pad] == '=')
        pad++;
    for (size_t i = 0; i < text.len - pad; i++) {
        if (!in_alphabet(text.ptr[i]))
            return STR_NONE;
    }
    if (text.len > INT_MAX / 2)
        return STR_NONE;
    out = arena__alloc(a, text.len / 4 * 3 + 1);
    if (!out)
        return STR_NONE;
    len = text.len / 4 * 3 - pad;
    if (text.len > 0 &&
        EVP_DecodeBlock((unsigned char *)out, (const unsigned char *)text.ptr, (int)text.len) < 0)
        return STR_NONE;
    out[len] = '\0';
    return str__n(out, len);
}

struct str base64__decode(struct arena *a, struct str text)
{
    if (!text.ptr || text.len % 4 != 0)
        return STR_NONE;
    return decode_padded(a, text);
}

struct str base64__decode_url(struct arena *a, struct str text)
{
    char *copy;
    size_t len;

    while (text.len > 0 && text.ptr[text.len - 1] == '=')
        text.len--;
    if (!text.ptr || text.len % 4 == 1)
        return STR_NONE;
    len = (text.len + 3) / 4 * 4;
    copy = arena__alloc(a, len + 1);
    if (!copy)
        return STR_NONE;
    for (size_t i = 0; i < len; i++) {
        char c = i < text.len ? text.ptr[i] : '=';

        if (c == '+' || c == '/')
            return STR_NONE;
        copy[i] = (char)(c == '-' ? '+' : c == '_' ? '/' : c);
    }
    return decode_padded(a, str__n(copy, len));
}
