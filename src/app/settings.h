/* What struct ph_app holds. */
#ifndef APP_SETTINGS_H
#define APP_SETTINGS_H

#include "app/app.h"
#include "app/auth.h"
#include "app/counts.h"
#include "app/registry.h"
#include "app/services.h"

#include <pthread.h>

struct ph_app {
    struct auth auth;
    struct str *origins; /* each a C string of its own; none: any origin */
    size_t origin_count;
    char *path;
    struct ph_log *log;
    size_t limits[PH_LIMIT_COUNT];
    pthread_mutex_t lock;      /* of `handlers` alone, and held for a moment */
    struct registry *handlers; /* those of now */
    atomic_bool never_blocks;  /* none of them does */
    struct pending *pending;   /* deferred events */
    struct workers *workers;   /* NULL: handlers run where the event comes in */
    struct repeats *repeats;   /* NULL: each event is handled as often as it comes */
    struct services services;
    struct counts counts;
    char *handler_name; /* of those that are registered from now on; NULL: none */
};

#endif
