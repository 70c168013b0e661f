/* The effects of a core that a test or benchmark has no use for: nothing happens. */
#ifndef TESTS_CORE_SHELL_H
#define TESTS_CORE_SHELL_H

#include "broker/core/core.h"

static inline void core_shell__publish(void *ctx, const struct hub_command *cmd)
{
    (void)ctx, (void)cmd;
}

static inline bool core_shell__event(void *ctx, struct session *s, struct str event,
                                     enum ph_data_type type, struct str data,
                                     const uint64_t *ack_id)
{
    (void)ctx, (void)s, (void)event, (void)type, (void)data, (void)ack_id;
    return true;
}

static inline void core_shell__relieve(void *ctx, struct transport *t)
{
    (void)ctx, (void)t;
}

#endif
