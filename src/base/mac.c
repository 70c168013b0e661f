#include "base/mac.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#define CACHED_PER_THREAD 8

struct mac_key {
    uint64_t id; /* never used twice, so a stale cache entry can only be unused, not wrong */
    size_t len;
    char text[];
};

struct cache {
    uint64_t ids[CACHED_PER_THREAD];
    EVP_MAC_CTX *contexts[CACHED_PER_THREAD];
    unsigned next;
};

static pthread_key_t cache_key;
static pthread_once_t cache_once = PTHREAD_ONCE_INIT;
static bool cache_ready;
static atomic_uint_fast64_t last_id;

static void cache_free(void *arg)
{
    struct cache *cache = arg;

    for (unsigned i = 0; i < CACHED_PER_THREAD; i++)
        EVP_MAC_CTX_free(cache->contexts[i]);
    free(cache);
}

static void cache_init(void)
{
    cache_ready = pthread_key_create(&cache_key, cache_free) == 0;
}

static struct cache *cache_of_thread(void)
{
    struct cache *cache;

    pthread_once(&cache_once, cache_init);
    if (!cache_ready)
        return NULL;
    cache = pthread_getspecific(cache_key);
    if (!cache) {
        cache = calloc(1, sizeof(*cache));
        if (cache && pthread_setspecific(cache_key, cache) != 0) {
            free(cache);
            return NULL;
        }
    }
    return cache;
}

struct mac_key *mac__key_new(struct str key)
{
    struct mac_key *k = malloc(sizeof(*k) + key.len + 1);

    if (!k)
        return NULL;
    k->id = atomic_fetch_add(&last_id, 1) + 1;
    k->len = key.len;
    if (key.len > 0)
        memcpy(k->text, key.ptr, key.len);
    k->text[key.len] = '\0';
    return k;
}

void mac__key_free(struct mac_key *key)
{
    if (!key)
        return;
    OPENSSL_cleanse(key->text, key->len);
    free(key);
}

struct str mac__key_text(const struct mac_key *key)
{
    return str__n(key->text, key->len);
}

static EVP_MAC_CTX *context_new(const struct mac_key *key)
{
    char digest[] = "SHA256";
    OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
                           OSSL_PARAM_construct_end()};
    EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    EVP_MAC_CTX *ctx = mac ? EVP_MAC_CTX_new(mac) : NULL;

    EVP_MAC_free(mac);
    if (ctx && !EVP_MAC_init(ctx, (const unsigned char *)key->text, key->len, params)) {
        EVP_MAC_CTX_free(ctx);
        ctx = NULL;
    }
    return ctx;
}

static EVP_MAC_CTX *context_of(struct cache *cache, const struct mac_key *key)
{
    unsigned slot;

    for (unsigned i = 0; i < CACHED_PER_THREAD; i++) {
        /* A NULL key rewinds to the key given before. */
        if (cache->ids[i] == key->id && cache->contexts[i] &&
            EVP_MAC_init(cache->contexts[i], NULL, 0, NULL))
            return cache->contexts[i];
    }
    slot = cache->next++ % CACHED_PER_THREAD;
    EVP_MAC_CTX_free(cache->contexts[slot]);
    cache->ids[slot] = key->id;
    cache->contexts[slot] = context_new(key);
    return cache->contexts[slot];
}

bool mac__sign(const struct mac_key *key, struct str message, uint8_t out[MAC_SIZE])
{
    struct cache *cache = cache_of_thread();
    EVP_MAC_CTX *ctx = cache ? context_of(cache, key) : NULL;
    size_t len = 0;

    return ctx && EVP_MAC_update(ctx, (const unsigned char *)message.ptr, message.len) &&
           EVP_MAC_final(ctx, out, &len, MAC_SIZE) && len == MAC_SIZE;
}

bool mac__equal(const void *a, const void *b, size_t len)
{
    return CRYPTO_memcmp(a, b, len) == 0;
}
