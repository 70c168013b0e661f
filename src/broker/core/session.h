/* A client's logical connection: what survives the loss of a socket. */
#ifndef BROKER_CORE_SESSION_H
#define BROKER_CORE_SESSION_H

#include "broker/core/core.h"

struct session_config {
    struct str hub;           /* lower case */
    struct str connection_id; /* from connection_id.h */
    struct str user_id;       /* absent: anonymous */
    const struct format *format;
    const struct str *roles;
    size_t role_count;
    const struct str *groups; /* joined at once, no role needed */
    size_t group_count;
    /* Raw clients in webpubsub_mode=sendToGroup; absent: sendEvent */
    struct str publish_group;
    bool publish_no_echo;
};

/* NULL: memory, or the id is in use. The session starts detached. */
struct session *session__new(struct core *core, const struct session_config *config);

/* What others may know. */
struct str session__id(const struct session *s);
struct str session__user(const struct session *s); /* absent: anonymous */
struct str session__hub(const struct session *s);
const struct format *session__format(const struct session *s);
struct transport *session__transport(const struct session *s);
struct upstream_peer *session__peer(const struct session *s);
/* Into the cache: what a command touches of the session; and, when that is there, of what hangs on
 * it. */
void session__fetch(const struct session *s);
void session__fetch_parts(const struct session *s);
void session__set_peer(struct session *s, struct upstream_peer *peer);

/* Its event handler has been told that it is connected: from here on it is told of groups
 * too, at once of those that the session has come with (hub_rules.presence). */
void session__present(struct session *s);

/* Gives the session a socket. The first time and at each recovery: an older
 * transport is aborted, `connected` (if the format has it) is queued with this
 * token, and unacknowledged messages are queued again behind it. */
void session__attach(struct session *s, struct transport *t, struct str reconnection_token);
/* The socket is gone without a deliberate end: a reliable session waits for
 * recovery until now + recovery_ms, another one ends with this reason. A session
 * that has ended already is freed: each transport calls this once, as its last act. */
void session__detach(struct session *s, int64_t now_ms, struct str reason);
/* The session is over: it leaves its groups, `ended` is raised, and the client is told
 * as `why` says if it has a transport (ops->close); then only the queue below is left,
 * until session__detach frees it. Without a transport `s` is freed at once. */
void session__end(struct session *s, const struct close_reason *why);

/* A decoded message of the client. May end the session: true if `s` still lives. */
bool session__command(struct session *s, const struct command *cmd);

/* The event handler's answer to a user event (event-handler sections 3.4, 3.5). */
struct event_answer {
    bool success;
    bool has_data;
    enum ph_data_type type;
    struct str data;
    struct metadata metadata;
    const char *failure; /* for the log: why it failed and what to change */
    bool no_handler;
    int status;         /* of a handler that answered */
    struct str refusal; /* its text, for a client that waits for it; absent or empty: none */
};
/* `ticket` is that of struct user_event. Queues the message, then the ack, or the response
 * to an invocation; a failed event of a raw client closes it with 1011. May end the session: true
 * if `s` still lives. */
bool session__event_answer(struct session *s, uint64_t ticket, const struct event_answer *answer);

/* --- The queue of what goes out, as the transport sees it ------------------- */

struct out_item {
    struct frame *frame;
    uint64_t sequence_id; /* of a sequenced frame */
};
/* Items not yet written, oldest first, up to `max`; returns how many. The frames stay
 * the session's. What has expired is not among them. */
size_t session__outgoing(struct session *s, struct out_item *items, size_t max);
/* The first `count` of those are written in full, and the next one in part if `begun`. */
void session__written(struct session *s, size_t count, bool begun);

#endif
