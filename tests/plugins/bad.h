/* What the plugins that are broken on purpose have in common: everything but one thing. */
#ifndef TESTS_PLUGINS_BAD_H
#define TESTS_PLUGINS_BAD_H

#include <pubhook/plugin.h>

static inline struct ph_reply *bad_handler(const struct ph_event *ev, void *state)
{
    (void)ev, (void)state;
    return ph_reply_ok();
}

#endif
