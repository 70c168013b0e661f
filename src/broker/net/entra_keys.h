/* The public keys of Microsoft Entra, from a file or a URL. They are read at the start,
 * when they have become old, and when a token names a key that is not among them; not
 * more often than the limits allow, because anybody can send such a token. A thread of
 * its own reads them, so that no loop waits for a disk or a server. Keys stay when a later
 * reading fails. */
#ifndef BROKER_NET_ENTRA_KEYS_H
#define BROKER_NET_ENTRA_KEYS_H

#include "base/jwks.h"
#include "broker/config/settings.h"

struct entra_keys;

struct entra_keys_config {
    const struct settings *settings; /* a reference is taken; entra stays as it is here */
    unsigned refresh_seconds;        /* at least, between two readings */
    struct ph_log *log;
    /* On the thread, after each reading. */
    void (*settled)(void *ctx);
    void *ctx;
};

/* Reads a file at once, so that a wrong one is known at the start; a URL is read by the
 * thread. NULL: `diag` says why. */
struct entra_keys *entra_keys__new(const struct entra_keys_config *config, struct diag *diag);
/* False: no thread to be had. */
bool entra_keys__start(struct entra_keys *k);
/* Ends the thread: `settled` is not called any more. NULL is fine. */
void entra_keys__stop(struct entra_keys *k);
void entra_keys__free(struct entra_keys *k);

const struct entra_settings *entra_keys__settings(const struct entra_keys *k);

/* Any thread. A reference; NULL: none were read yet. */
const struct jwks *entra_keys__get(struct entra_keys *k);

enum entra_keys_hope {
    ENTRA_KEYS_NEWER,  /* there are others by now: get them */
    ENTRA_KEYS_COMING, /* `settled` will be called */
    ENTRA_KEYS_FINAL   /* these were read just now */
};
/* Any thread: those in `seen`, or none if it is NULL, do not do. */
enum entra_keys_hope entra_keys__want(struct entra_keys *k, const struct jwks *seen);

#endif
