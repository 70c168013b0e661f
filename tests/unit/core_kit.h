/* A core with clients that are test data: each has a transport that remembers what was
 * written to it, and every effect leaves a line. */
#ifndef TESTS_UNIT_CORE_KIT_H
#define TESTS_UNIT_CORE_KIT_H

#include "base/buf.h"
#include "broker/core/session.h"
#include "broker/wire/formats.h"

struct transport {
    struct kit *kit;
    struct session *session; /* NULL once detached */
    struct buf out;          /* payloads written since the last look, one a line */
    char closed[256];        /* "1008 text" once closed, "aborted" once aborted */
    unsigned relieved;       /* times the core asked to write in the middle of a turn */
    bool linger;             /* stay attached when closed, until the test detaches */
    bool stuck;              /* does not read: nothing is written */
};

struct kit {
    struct core *core;
    struct core_config config;
    struct buf effects; /* events, publishes and ends, one a line */
    struct buf log;
    struct core *beside; /* another shard: gets what is published here, or NULL */
    bool refuse_events;
    bool answer_at_once;     /* events fail for want of a handler, from inside the effect */
    struct hub_rules rules;  /* of hub "h" from its first connection on */
    int64_t now_ms, unix_ms; /* what the core takes for the time */
    struct transport *transports[32];
    size_t transport_count;
};

/* A client to be. Members left out: raw, anonymous, without roles and groups. */
struct client {
    const char *id, *user;
    const struct format *format; /* NULL: JSON */
    const char *role, *role2;
    const char *group;         /* joined at once */
    const char *publish_group; /* raw sendToGroup mode */
    bool publish_no_echo;
    bool keep_greeting; /* leave `connected` in `out` */
};

void kit__init(struct kit *kit, const struct core_limits *limits);
void kit__free(struct kit *kit);
/* For cmocka: *state is a kit with the limits that are the default, at 1000 ms. */
int kit__set_up(void **state);
int kit__tear_down(void **state);
struct transport *kit__connect(struct kit *kit, const struct client *client);
/* A new transport for a session that lives. */
struct transport *kit__reattach(struct kit *kit, struct session *s, const char *token);
/* The client sends a message; false when its session has ended. */
bool kit__says(struct transport *t, const char *text);
void kit__flush(struct kit *kit);
/* A client that was stuck reads again. */
void kit__resume(struct transport *t);
struct hub_result kit__apply(struct kit *kit, struct hub_command cmd);
/* REST: a text message to a scope of hub "h". */
size_t kit__send(struct kit *kit, enum scope scope, const char *name, const char *text);
/* What came since the last look; valid until the next. */
const char *kit__read(struct transport *t);
const char *kit__effects(struct kit *kit);

#define assert_read(t, want) assert_string_equal(kit__read(t), want)
#define assert_effects(kit, want) assert_string_equal(kit__effects(kit), want)

#endif
