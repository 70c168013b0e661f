/* What an X.509 certificate says (RFC 5280), read by OpenSSL. */
#ifndef BASE_X509_H
#define BASE_X509_H

#include "base/arena.h"

#define X509_MAX_PEM (64u << 10)

enum x509_text {
    X509_SUBJECT, /* as RFC 2253 writes it */
    X509_ISSUER,
    X509_COMMON_NAME, /* the most specific one of the subject; absent when there is none */
    X509_SERIAL,      /* hex, lower case, without sign or leading zeros */
    X509_NOT_BEFORE,  /* 2026-11-20T12:00:00Z */
    X509_NOT_AFTER,
    X509_SHA1, /* of the DER; hex, lower case */
    X509_SHA256,
    X509_TEXTS
};

struct x509_facts {
    struct str texts[X509_TEXTS];  /* with a NUL behind each, and none in it */
    int64_t not_before, not_after; /* seconds since 1970 */
};

/* Reads the first certificate of a PEM text. False: there is none, it is malformed, it is
 * larger than X509_MAX_PEM, or memory is out. */
bool x509__read(struct arena *a, struct str pem, struct x509_facts *out);

#endif
