/* What struct ph_app holds. */
#ifndef APP_SETTINGS_H
#define APP_SETTINGS_H

#include "app/app.h"
#include "app/auth.h"
#include "app/registry.h"

struct ph_app {
    struct auth auth;
    struct str *origins; /* each a C string of its own; none: any origin */
    size_t origin_count;
    char *path;
    struct ph_log *log;
    size_t limits[PH_LIMIT_COUNT];
    struct registry registry;
    struct pending *pending;          /* deferred events */
    struct repeats *repeats;          /* NULL: each event is handled as often as it comes */
    size_t plugins, blocking_plugins; /* whose handlers are registered; which of them may block */
};

#endif
