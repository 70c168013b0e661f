/* Who may send events: the access keys of an application, their sources, and the thread
 * that looks after those. */
#ifndef APP_AUTH_H
#define APP_AUTH_H

#include "app/keys.h"
#include "app/tokens.h"
#include "base/file.h"
#include "base/log.h"

#include <pthread.h>
#include <stdatomic.h>

#define AUTH_MAX_SOURCES 64

struct key_source {
    ph_keys_fn *fn; /* NULL: a file */
    void *arg;
    void (*free_fn)(void *arg);
    char *path;
    struct file_stamp read; /* the file as it was when it was read, */
    struct file_stamp seen; /* and when it was looked at */
    struct ph_keys *keys;   /* what it gave last */
    bool failing;
};

struct auth {
    pthread_mutex_t lock; /* of `ring` alone, and held for a moment */
    const struct keyring *ring;

    pthread_mutex_t changing; /* of the rest: one change at a time */
    struct ph_keys *own;
    struct key_source sources[AUTH_MAX_SOURCES];
    size_t source_count;
    struct ph_log *log;
    struct diag why;

    bool allow_unsigned;
    enum ph_proof proof;
    struct tokens *tokens; /* NULL: none are accepted */

    pthread_t watcher;
    bool watching;
    unsigned seconds;
    _Atomic int wake; /* an event counter, which signal handlers may write to; -1: none */
    atomic_bool stopping;
};

/* False: memory is out. */
bool auth__init(struct auth *auth);
void auth__free(struct auth *auth);

/* A reference to the keys of now. Any thread. */
const struct keyring *auth__ring(struct auth *auth);
/* Does the request prove what it must? PH_ERR_STATE, PH_ERR_MEMORY: this cannot be told now.
 * PH_ERR_FORBIDDEN: it has no good token. PH_ERR_NOT_FOUND: there is no key for its origin.
 * PH_ERR_AUTH: it is not signed with one. `diag` says why. Any thread. */
enum ph_err auth__check(struct auth *auth, const struct http_headers *headers, struct arena *a,
                        struct diag *diag);
/* NULL, or what is missing so that anything could be proved: a constant. */
const char *auth__fault(struct auth *auth);
/* Adds to the keys that the application was given itself; the origin may be absent. */
enum ph_err auth__add_key(struct auth *auth, struct str origin, struct str key);

#endif
