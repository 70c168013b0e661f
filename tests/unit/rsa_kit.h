/* An identity provider for tests: keys, key sets and tokens, all made by OpenSSL. */
#ifndef TESTS_UNIT_RSA_KIT_H
#define TESTS_UNIT_RSA_KIT_H

#include "base/buf.h"

#include <openssl/evp.h>

EVP_PKEY *rsa_kit__key(unsigned bits);
/* Appends {"kty":"RSA",...}; `kid` NULL: without; `more` like ,"use":"sig" */
void rsa_kit__jwk(struct buf *out, EVP_PKEY *key, const char *kid, const char *more);
/* A set of one key. */
void rsa_kit__set(struct buf *out, EVP_PKEY *key, const char *kid);
/* Two keys, and an empty file for a set, at a path that ends in XXXXXX: 0 if that went well. */
int rsa_kit__make(EVP_PKEY **first, EVP_PKEY **second, char *path);
int rsa_kit__free(EVP_PKEY *first, EVP_PKEY *second, const char *path);
/* Writes a set of one key into the file; `key` NULL: `kid` is all that stands in it. */
void rsa_kit__publish(const char *path, EVP_PKEY *key, const char *kid);
/* Appends a token; `header` NULL: RS256 with this kid, if there is one. */
void rsa_kit__token(struct buf *out, EVP_PKEY *key, const char *kid, const char *header,
                    const char *claims);

#endif
