/* The effects of a core that a test or benchmark has no use for: nothing happens. */
#ifndef TESTS_CORE_SHELL_H
#define TESTS_CORE_SHELL_H

#include "broker/core/core.h"

static inline void core_shell__publish(void *ctx, const struct hub_command *cmd)
{
    (void)ctx, (void)cmd;
}

static inline bool core_shell__event(void *ctx, struct session *s, const struct user_event *event)
{
    (void)ctx, (void)s, (void)event;
    return true;
}

static inline int64_t core_shell__now(void *ctx)
{
    (void)ctx;
    return 0;
}

static inline void core_shell__relieve(void *ctx, struct transport *t)
{
    (void)ctx, (void)t;
}

#endif
