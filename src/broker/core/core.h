/* One shard's part of all hubs: its sessions, groups and users. No I/O, no clock or
 * randomness of its own: commands go in, effects come out through `struct core_ops`.
 *
 * A session lives on one shard from connect to its end; its transport may go and
 * another come. Commands for a hub (from REST, or from a client's publish) are
 * applied on every shard, or on the one that owns the connection (connection_id.h).
 * Everything here is for the thread of the shard alone. */
#ifndef BROKER_CORE_CORE_H
#define BROKER_CORE_CORE_H

#include "base/log.h"
#include "base/map.h"
#include "broker/core/format.h"
#include "broker/core/permission.h"
#include "broker/metrics/metrics.h"

struct core;
struct filter;      /* of broker/filter */
struct group_state; /* of group_state.h */
struct listing;     /* listing.h */
struct session;
struct transport;     /* of broker/net; the core only remembers which one a session has */
struct upstream_peer; /* of broker/upstream; likewise */

struct queue_limits {
    size_t messages, bytes;
};

/* client-and-rest section 6. */
struct core_limits {
    struct queue_limits queue;            /* waiting for a slow client; 1000, 16 MiB */
    struct queue_limits unacked;          /* kept for a reliable client; 1000, 16 MiB */
    size_t ack_ids;                       /* remembered for Duplicate; 1000 */
    struct permission_limits permissions; /* 1000, 10 */
    int64_t recovery_ms;                  /* how long a lost reliable session is kept; 30000 */
    size_t groups;                        /* that a connection is in; 10000 */
    size_t states_per_connection;         /* groups with a state or a subscription of it; 100 */
    size_t states_per_group;              /* connections with a state in it; 10000 */
    size_t streams;                       /* open ones of a connection; 100 */
    int64_t stream_idle_ms;               /* of a stream that names no limit itself; 300000 */
    int64_t invocation_ms;                /* until an invocation is answered; 60000 */
    size_t group_characters;              /* of a group's name; 1024 */
};
#define CORE_LIMITS_DEFAULT                                                                        \
    ((struct core_limits){.queue = {1000, 16u << 20},                                              \
                          .unacked = {1000, 16u << 20},                                            \
                          .ack_ids = 1000,                                                         \
                          .permissions = {1000, 10},                                               \
                          .recovery_ms = 30000,                                                    \
                          .groups = 10000,                                                         \
                          .states_per_connection = 100,                                            \
                          .states_per_group = 10000,                                               \
                          .streams = 100,                                                          \
                          .stream_idle_ms = 300000,                                                \
                          .invocation_ms = 60000,                                                  \
                          .group_characters = 1024})

/* Whom a hub command is about. */
enum scope { SCOPE_HUB, SCOPE_GROUP, SCOPE_USER, SCOPE_CONNECTION };
enum hub_op {
    HUB_SEND,           /* message to the scope */
    HUB_EXISTS,         /* does the scope have a connection? */
    HUB_JOIN,           /* the scope's connections join `groups` */
    HUB_LEAVE,          /* ... leave `groups`; all groups when there are none */
    HUB_CLOSE,          /* close the scope's connections with `reason` */
    HUB_LIST,           /* who they are, by connection id behind `after`, `limit` at the most */
    HUB_GRANT,          /* ... may do `action` with `target` */
    HUB_REVOKE,         /* ... may not */
    HUB_MAY,            /* count those who may */
    HUB_SET_GROUP_STATE /* a connection, somewhere, says `state` about itself in the group */
};

/* A REST call and a client frame that mean the same become the same command. */
struct hub_command {
    enum hub_op op;
    enum scope scope;
    struct str hub;           /* lower case */
    struct str name;          /* group, user id or connection id of the scope */
    const struct str *groups; /* HUB_JOIN, HUB_LEAVE */
    size_t group_count;
    struct str reason;          /* HUB_CLOSE; absent or empty: none given */
    const struct str *excluded; /* connection ids left out */
    size_t excluded_count;
    struct message *message;       /* HUB_SEND; borrowed */
    struct group_state *state;     /* HUB_SET_GROUP_STATE; borrowed */
    struct filter *filter;         /* only connections that it is true for; NULL: all. Borrowed */
    enum permission_action action; /* HUB_GRANT, HUB_REVOKE, HUB_MAY */
    struct str target;             /* a group; absent: every group */
    struct str after;              /* HUB_LIST; absent: from the beginning */
    size_t limit;
};

struct hub_result {
    size_t matched; /* connections of this shard that the scope named */
    bool conflict;  /* HUB_GRANT, HUB_REVOKE: somebody has as many names as there may be in a
                       permission; nothing was changed there. HUB_JOIN: somebody is in as many
                       groups as there may be, and has not joined the others */
    bool failed;    /* HUB_LIST: memory was out */
    struct listing *listing; /* HUB_LIST: sorted, owned; NULL: nobody */
};

void hub_result__free(struct hub_result *result);

/* Why a session ends, and what the client is told (client-and-rest section 3). */
struct close_reason {
    uint16_t code;       /* WebSocket close code */
    struct str text;     /* close frame's reason */
    struct str message;  /* of the system/disconnected frame; absent: no such frame */
    struct str category; /* Normal, SlowClient, ... for the log */
    struct str upstream; /* `reason` of the disconnected event; empty: a general one */
    const char *detail;  /* for the log in place of `upstream`, with what nobody else is told */
};

/* A client's event on its way to the event handler. */
struct user_event {
    struct str name;
    enum ph_data_type type;
    struct str data;
    struct metadata metadata;
    uint64_t ticket; /* names the event among those of the session; 0: the client wants no
                        answer (a raw client gets one all the same) */
};

/* What a hub's settings say about its sessions; all zero: the documented behaviour. */
struct hub_rules {
    bool presence;            /* somebody wants to hear of joins and leaves */
    bool close_on_failed;     /* a failed user event closes a client of a PubSub subprotocol that */
    bool close_on_failed_ack; /* ... wants no ack, or wants one (event-handler section 3.8) */
    bool invocation_failed;   /* the ack's error is InvocationFailed */
    bool normal_raw_close;    /* a failed user event closes a raw client with 1000 */
};

/* Effects. They may come in the middle of a fan-out, so none of them may call back into
 * the core, except that `event` may answer with session__event_answer at once, and
 * `close` with session__detach. */
struct core_ops {
    /* Apply the command on the other shards and nodes too. Copies what it keeps. */
    void (*publish)(void *ctx, const struct hub_command *cmd);
    /* A user event for the event handler. The answer comes back through
     * session__event_answer, or never if the session ends first. Copies what it keeps.
     * NULL; else why it was not taken, for the log: the core then fails the event itself. */
    const char *(*event)(void *ctx, struct session *s, const struct user_event *event);
    /* The event of that ticket is not wanted any more, whether it waits or is under way;
     * there will be no answer. */
    void (*cancel_event)(void *ctx, struct session *s, uint64_t ticket);
    /* The session is in the group now, or is not any more. Only for hubs with
     * hub_rules.presence, behind session__present. */
    void (*presence)(void *ctx, struct session *s, bool joined, struct str group);
    /* The rules of a hub, which are zero. Asked when the hub gets its first connection, and
     * by core__ask_rules. */
    void (*hub_rules)(void *ctx, struct str hub, struct hub_rules *out);
    /* The queue of this transport's session is half full, in the middle of a turn: many
     * messages have come at once, which does not make the client a slow one. Write what
     * the socket takes, by session__outgoing and session__written; anything else that
     * comes of it has to wait. */
    void (*relieve)(void *ctx, struct transport *t);
    /* The session of this transport has ended. Send what is queued (the frames are in the
     * queue already, session__outgoing gives them as before), then a close frame, then
     * drop the socket and call session__detach, which frees what is left of the session. */
    void (*close)(void *ctx, struct transport *t, uint16_t code, struct str reason);
    /* Drop a transport without a closing handshake: another one took its place. The
     * session is no longer its own, so it must not call session__detach. */
    void (*abort)(void *ctx, struct transport *t);
    /* The session is over: raise `disconnected` with this reason, release the peer.
     * Comes once for each session; `s` answers questions about itself only until return. */
    void (*ended)(void *ctx, struct session *s, struct str reason);
    /* The loops' clock (monotonic, the same for all shards), and Unix time; milliseconds. */
    int64_t (*now_ms)(void *ctx);
    int64_t (*unix_ms)(void *ctx);
};

struct core_config {
    struct core_limits limits;
    const struct core_ops *ops;
    void *ctx;
    struct map_seed seed;
    struct ph_log *log;
    struct metrics *metrics; /* may be NULL */
};

struct core *core__new(const struct core_config *config);
/* Frees everything without effects, but that started commands are dropped. */
void core__free(struct core *core);

/* Applies a command to this shard. Order of calls is the order of delivery. `result`
 * may be NULL; else it is freed with hub_result__free. */
void core__apply(struct core *core, const struct hub_command *cmd, struct hub_result *result);

/* --- Commands that take long ------------------------------------------------------------ */

/* A filter, or closing or moving very many connections, would hold up the loop. Such a
 * command is started, and goes on in slices of counted work between which anything else may
 * happen. A unit is 5 to 30 ns, hence a turn of the loop about 1 ms at the most. It is for the
 * connections that the hub has when it is started. */
#define CORE_TURN_WORK 40000
#define CORE_WALKS_WORK 30000 /* of these for what was started; the rest is for short ones */
#define CORE_SLICE_WORK 10000 /* before the next one has its turn */

/* NULL: the core is freed, and the command was not done to the end. */
typedef void core_done_fn(void *arg, struct hub_result *result);

/* Is there more to do than what is left of this turn? If not, it counts as done. */
bool core__takes_long(struct core *core, const struct hub_command *cmd);
/* `cmd` must stay as it is until `done`, which gets the result to keep, and is called from
 * core__continue or core__free alone. False: the hub does not exist, the scope is a connection,
 * or memory is out. */
bool core__start(struct core *core, const struct hub_command *cmd, core_done_fn *done, void *arg);
/* The next slices; once a turn. Returns the work they were. */
uint64_t core__continue(struct core *core);
bool core__has_walks(const struct core *core);

/* --- The loop's side --------------------------------------------------------------------- */
/* Other limits for what comes from now on. */
void core__set_limits(struct core *core, const struct core_limits *limits);

size_t core__session_count(const struct core *core);
/* Those of them that have no transport now. */
size_t core__detached_count(const struct core *core);
/* The next session with something to send, taken off the list of them; NULL when it is empty.
 * Those with an answer come first. Both are called once per loop turn until they return NULL;
 * the second one maybe not as often, if core__is_patient. */
struct session *core__next_answered(struct core *core);
struct session *core__next_dirty(struct core *core);
bool core__has_dirty(const struct core *core);
/* Writing to all of them takes long, and they have few messages each: may more be read before
 * the rest of them is written to? */
#define CORE_MANY 16
#define CORE_BURST 32
bool core__is_patient(const struct core *core);
/* Ends detached sessions whose recovery time is over, streams on which nothing comes, and
 * invocations that nobody answers.
 * Returns the next deadline on the same clock, or INT64_MAX. */
int64_t core__tick(struct core *core, int64_t now_ms);
/* Ends every session (shutdown): clients are closed with this reason. */
void core__close_all(struct core *core, const struct close_reason *why);
/* The settings have changed: asks for the rules of each hub again. */
void core__ask_rules(struct core *core);
struct session *core__find(struct core *core, struct str hub, struct str connection_id);

#endif
