/* The effects of a core that a test or benchmark has no use for: nothing happens. */
#ifndef TESTS_CORE_SHELL_H
#define TESTS_CORE_SHELL_H

#include "broker/core/core.h"

static inline void core_shell__publish(void *ctx, const struct hub_command *cmd)
{
    (void)ctx, (void)cmd;
}

static inline const char *core_shell__event(void *ctx, struct session *s,
                                            const struct user_event *event)
{
    (void)ctx, (void)s, (void)event;
    return NULL;
}

static inline void core_shell__presence(void *ctx, struct session *s, bool joined, struct str group)
{
    (void)ctx, (void)s, (void)joined, (void)group;
}

static inline void core_shell__hub_rules(void *ctx, struct str hub, struct hub_rules *out)
{
    (void)ctx, (void)hub, (void)out;
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

static inline void core_shell__close(void *ctx, struct transport *t, uint16_t code,
                                     struct str reason)
{
    (void)ctx, (void)t, (void)code, (void)reason;
}

static inline void core_shell__abort(void *ctx, struct transport *t)
{
    (void)ctx, (void)t;
}

static inline void core_shell__ended(void *ctx, struct session *s, struct str reason)
{
    (void)ctx, (void)s, (void)reason;
}

/* The members of struct core_ops that nobody replaces. */
#define CORE_SHELL_OPS                                                                             \
    .publish = core_shell__publish, .presence = core_shell__presence,                              \
    .hub_rules = core_shell__hub_rules, .relieve = core_shell__relieve, .now_ms = core_shell__now, \
    .unix_ms = core_shell__now

#endif
