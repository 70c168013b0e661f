/* How much there may be of everything (client-and-rest section 6), as the object `limits`
 * of the configuration file sets it. One row is all that a new limit needs here. */
#ifndef BROKER_CONFIG_LIMITS_H
#define BROKER_CONFIG_LIMITS_H

#include "base/str.h"

/* The largest that can be set, where others have arrays or counters of that size. */
#define LIMITS_MAX_MESSAGE_BYTES (16u << 20)
#define LIMITS_MAX_REST_BODY_BYTES (16u << 20)

/* clang-format off */
/*  ROW(member, name in the file, default, least, most) */
#define LIMITS_TABLE(ROW)                                                                          \
    ROW(message_bytes, "messageBytes", 1u << 20, 1u << 10, LIMITS_MAX_MESSAGE_BYTES)               \
    ROW(frames_per_second, "framesPerSecond", 0, 0, 1000000) /* 0: as many as come */              \
    ROW(group_characters, "groupNameCharacters", 1024, 1, 1024)                                    \
    /* The service's are not known: section 6. */                                                 \
    ROW(groups, "groupsPerConnection", 10000, 1, 100000)                                           \
    ROW(user_characters, "userIdCharacters", 1024, 1, 4096)                                        \
    ROW(queue_messages, "queueMessages", 1000, 1, 1000000)                                         \
    ROW(queue_bytes, "queueBytes", 16u << 20, 1u << 10, 1u << 30)                                  \
    ROW(unacked_messages, "unackedMessages", 1000, 1, 1000000)                                     \
    ROW(unacked_bytes, "unackedBytes", 16u << 20, 1u << 10, 1u << 30)                              \
    ROW(ack_ids, "ackIds", 1000, 0, 32768)                                                         \
    ROW(recovery_seconds, "recoverySeconds", 30, 1, 86400)                                         \
    ROW(permission_names, "permissionNames", 1000, 0, 100000)                                      \
    ROW(permission_patterns, "permissionPatterns", 9, 0, 1000)                                     \
    ROW(group_states, "groupStatesPerConnection", 100, 0, 10000)                                   \
    ROW(states_per_group, "groupStatesPerGroup", 10000, 0, 100000)                                 \
    ROW(streams, "streamsPerConnection", 100, 0, 10000)                                            \
    ROW(stream_idle_seconds, "streamIdleSeconds", 300, 1, 86400)                                   \
    ROW(invocation_seconds, "invocationSeconds", 60, 1, 3600)                                      \
    ROW(rest_body_bytes, "restBodyBytes", 1u << 20, 1u << 10, LIMITS_MAX_REST_BODY_BYTES)          \
    ROW(filter_bytes, "filterBytes", 32u << 10, 1, 32u << 10)
/* clang-format on */

#define LIMITS_MEMBER(member, name, preset, least, most) uint32_t member;
struct limits {
    LIMITS_TABLE(LIMITS_MEMBER)
};
#undef LIMITS_MEMBER

#define LIMITS_PRESET(member, name, preset, least, most) .member = (preset),
#define LIMITS_DEFAULT ((struct limits){LIMITS_TABLE(LIMITS_PRESET)})

struct limit_row {
    struct str name;
    size_t offset; /* of its member in struct limits */
    uint32_t least, most;
};
/* In the order of the table; `count` is how many there are. */
const struct limit_row *limits__rows(size_t *count);
void limits__set(struct limits *limits, const struct limit_row *row, uint32_t value);

#endif
