/* The public keys of Microsoft Entra, from a file or a URL. They are read at the start,
 * when they have become old, and when a token names a key that is not among them; not
 * more often than the limits allow, because anybody can send such a token. A thread of
 * its own reads them, so that nobody who serves waits for a disk or a server longer than it
 * wants to. Keys stay when a later reading fails, for as long as the configuration says. */
#ifndef ENTRA_ENTRA_KEYS_H
#define ENTRA_ENTRA_KEYS_H

#include "base/jwks.h"
#include "pubhook/log.h"

#define ENTRA_KEYS_MAX_URL 2048
#define ENTRA_KEYS_MAX_WAITING 16 /* threads in entra_keys__await */

struct entra_keys;

struct entra_keys_config {
    struct str file, url;     /* one of them; copied */
    unsigned refresh_seconds; /* at least, between two readings */
    unsigned max_age_seconds; /* how long keys are good without another reading; 0: for ever */
    struct ph_log *log;
    /* On the thread, after each reading; may be NULL. */
    void (*settled)(void *ctx);
    void *ctx;
};

/* Keys that decide over access are fetched over https, or from this machine, and from a path. */
bool entra_keys__good_url(struct str url);

/* Reads a file at once, so that a wrong one is known at the start; a URL is read by the
 * thread. NULL: `diag` says why. */
struct entra_keys *entra_keys__new(const struct entra_keys_config *config, struct diag *diag);
/* False: no thread to be had. */
bool entra_keys__start(struct entra_keys *k);
/* Ends the thread: `settled` is not called any more. NULL is fine. */
void entra_keys__stop(struct entra_keys *k);
void entra_keys__free(struct entra_keys *k);

/* Any thread. A reference; NULL: there are none that are good. */
const struct jwks *entra_keys__get(struct entra_keys *k);

enum entra_keys_hope {
    ENTRA_KEYS_NEWER,  /* there are others by now: get them */
    ENTRA_KEYS_COMING, /* `settled` will be called, and entra_keys__await may wait for it */
    ENTRA_KEYS_FINAL   /* these were read just now */
};
/* Any thread: those in `seen`, or none if it is NULL, do not do. */
enum entra_keys_hope entra_keys__want(struct entra_keys *k, const struct jwks *seen);
/* Any thread: waits until nothing is being read. False: it takes longer, as it did for somebody
 * before, or too many wait. */
bool entra_keys__await(struct entra_keys *k, unsigned ms);
/* Any thread: the operator says that the source has changed. */
void entra_keys__read_again(struct entra_keys *k);

#endif
