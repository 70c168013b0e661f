#include "broker/net/admission.h"

#include "base/clock.h"
#include "base/random.h"
#include "broker/net/connect_event.h"
#include "broker/net/recovery.h"
#include "ws/ws.h"

#include <stdlib.h>
#include <unistd.h>

#define FORWARD_MAX 8192 /* bytes of a handler's answer that a client may see */

static bool refuse(struct admission *a, int status, const char *why)
{
    a->status = status;
    a->why = arena__strdup(a->arena, str__of(why ? why : http__reason(status)));
    if (!a->why)
        a->why = "out of memory";
    a->detail = a->why;
    return true;
}

/* What a handler does wrong, and where it is, is not the client's business. */
static void refuse_for_handler(struct admission *a, int status, const char *why)
{
    refuse(a, status, why);
    a->why = http__reason(status);
}

static bool make_id(struct admission *a)
{
    uint8_t random[CONNECTION_ID_RANDOM_BYTES];

    if (!random__bytes(random, sizeof(random)))
        return false;
    connection_id__make(a->id, random, 0, a->shard->index);
    return true;
}

struct str asking__hub(const void *asking)
{
    const struct asking *a = asking;

    return str__n(a->hub, a->hub_len);
}

static struct asking *asking_of(struct shard *s, struct str hub)
{
    struct asking *a = map__get(&s->asking, hub);

    if (a)
        return a;
    a = calloc(1, sizeof(*a) + hub.len);
    if (!a)
        return NULL;
    a->hub_len = hub.len;
    memcpy(a->hub, hub.ptr, hub.len);
    if (map__add(&s->asking, a))
        return a;
    free(a);
    return NULL;
}

/* Clients that wait keep an HTTP connection busy. Those of a handler that hangs must
 * leave some to everybody else, so no hub gets more than a quarter. Those of a hub that
 * has no handlers do not wait. */
static bool may_ask(struct admission *a)
{
    struct shard *s = a->shard;
    struct asking *asking;

    if (settings__hub(s->settings, a->handshake.hub)->handler_count == 0)
        return true;
    asking = map__get(&s->asking, a->handshake.hub);
    if (asking && asking->count >= s->broker->limits.http_connections / 4)
        return false;
    asking = asking_of(s, a->handshake.hub);
    if (!asking)
        return false;
    asking->count++;
    a->asking = asking;
    return true;
}

static void asks_no_more(struct admission *a)
{
    struct asking *asking = a->asking;

    a->asking = NULL;
    if (!asking || --asking->count > 0)
        return;
    map__remove(&a->shard->asking, asking__hub(asking));
    free(asking);
}

/* Asks the connect handler. */
static bool ask(struct admission *a)
{
    struct shard *s = a->shard;
    struct ph_event event;

    if (!make_id(a))
        return refuse(a, 500, "no random numbers for a connection id");
    if (!may_ask(a))
        return refuse(a, 503, "too many clients of this hub wait for its connect handler");
    if (connect_event__make(a->arena, &a->handshake, &a->http->headers, str__of(a->id), &event))
        a->peer = upstream__connect(s->upstream, &event, a, shard__now(s), clock__coarse_unix_ms());
    if (a->peer)
        return false;
    asks_no_more(a);
    return refuse(a, 503, "out of memory");
}

bool admission__begin(struct admission *a, struct shard *s, struct arena *arena,
                      const struct http_request *http, void (*ready)(void *arg), void *arg)
{
    struct diag diag = {""};

    *a = (struct admission){.shard = s, .arena = arena, .http = http, .ready = ready, .arg = arg};
    handshake__read(arena, http, s->settings, str__of(s->broker->own_host), clock__unix_ms() / 1000,
                    &a->handshake, &diag);
    if (a->handshake.status != 0)
        return refuse(a, a->handshake.status, diag.text);
    if (shard__draining(s))
        return refuse(a, 503, "the service is shutting down");
    if (s->transports.count >= s->broker->limits.transports)
        return refuse(a, 503, "every connection that the limit on open files allows is in use");
    if (a->handshake.recovery)
        return true;
    return ask(a);
}

/* --- What the connect handler said (client-and-rest section 1.5) -------------- */

static bool keep(struct arena *a, struct str *to, struct str from)
{
    const char *copy = arena__strdup(a, from);

    *to = str__n(copy, from.len);
    return copy;
}

static bool keep_all(struct arena *a, struct str **to, size_t *to_count, const struct str *from,
                     size_t count)
{
    struct str *items = arena__alloc(a, (count ? count : 1) * sizeof(*items));

    if (!items)
        return false;
    for (size_t i = 0; i < count; i++) {
        if (!keep(a, &items[i], from[i]))
            return false;
    }
    *to = items;
    *to_count = count;
    return true;
}

static bool apply(struct admission *a, const struct answer *answer)
{
    struct handshake *h = &a->handshake;

    if (answer->user_id.ptr && answer->user_id.len == 0) /* event-handler section 3.1 */
        h->user_id = STR_NONE;
    return (answer->user_id.len == 0 || keep(a->arena, &h->user_id, answer->user_id)) &&
           (!answer->has_roles ||
            keep_all(a->arena, &h->roles, &h->role_count, answer->roles, answer->role_count)) &&
           (answer->group_count == 0 ||
            keep_all(a->arena, &h->groups, &h->group_count, answer->groups, answer->group_count));
}

/* Documents have it that the client sees the handler's answer, the emulator keeps all but
 * the status from it (event-handler sections 3.2 and 3.8). */
static void forward_body(struct admission *a, const struct answer *answer)
{
    const struct hub_settings *hub = settings__hub(a->shard->settings, a->handshake.hub);

    if (!hub->compatibility.forward_connect_body || answer->refusal.len == 0 ||
        answer->refusal.len > FORWARD_MAX)
        return;
    if (keep(a->arena, &a->body, answer->refusal) && answer->refusal_type.ptr)
        keep(a->arena, &a->body_type, answer->refusal_type);
}

/* Documents drop a client without user id, and allow anonymous ones (event-handler sections
 * 3.1 and 3.8). */
static bool lacks_user_id(const struct admission *a)
{
    return !a->handshake.user_id.ptr &&
           settings__hub(a->shard->settings, a->handshake.hub)->compatibility.user_id_required;
}

static void let_in(struct admission *a, const struct answer *answer)
{
    struct diag diag = {""};
    struct str subprotocol = STR_NONE;

    if (answer && (!apply(a, answer) ||
                   (answer->subprotocol.ptr && !keep(a->arena, &subprotocol, answer->subprotocol))))
        refuse(a, 503, "out of memory");
    else if (handshake__check_lengths(&a->handshake, &a->shard->settings->limits, &diag) != PH_OK ||
             handshake__choose(&a->handshake, subprotocol, &diag) != PH_OK)
        refuse_for_handler(a, 500, diag.text);
    else if (lacks_user_id(a))
        refuse(a, 401,
               "neither the access token nor the connect handler names a user; put one into the "
               "token, or set compatibility.userIdRequired of the hub to false");
}

void admission__decided(void *token, int status, const struct answer *answer, const char *why)
{
    struct admission *a = token;

    a->decided = true;
    asks_no_more(a);
    if (status == 0) {
        let_in(a, answer);
    } else {
        a->peer = NULL; /* upstream frees it */
        refuse_for_handler(a, status, why);
        if (answer)
            forward_body(a, answer);
    }
    a->ready(a->arg);
}

/* --- In ----------------------------------------------------------------------------- */

bool admission__answer(const struct admission *a, struct http_headers *out)
{
    char *accept_key = arena__alloc(a->arena, WS_ACCEPT_LEN + 1);

    return accept_key && ws__accept_key(a->handshake.websocket_key, accept_key) &&
           http__add(a->arena, out, STR("Upgrade"), STR("websocket")) &&
           http__add(a->arena, out, STR("Sec-WebSocket-Accept"), str__of(accept_key)) &&
           (!a->handshake.subprotocol.ptr ||
            http__add(a->arena, out, STR("Sec-WebSocket-Protocol"), a->handshake.subprotocol));
}

static struct session *make_session(struct admission *a)
{
    const struct handshake *h = &a->handshake;
    const struct session_config config = {
        .hub = h->hub,
        .connection_id = str__of(a->id),
        .user_id = h->user_id,
        .format = h->format,
        .roles = h->roles,
        .role_count = h->role_count,
        .groups = h->groups,
        .group_count = h->group_count,
        /* official-emulator section 2.6: checked for all, but raw clients' alone */
        .publish_group = h->format->subprotocol ? STR_NONE : h->publish_group,
        .publish_no_echo = h->publish_no_echo,
    };
    struct shard *s = a->shard;
    struct session *session = session__new(s->core, &config);

    if (!session)
        return NULL;
    session__set_peer(session, a->peer);
    upstream__connected(a->peer, session, h->user_id, h->subprotocol, shard__now(s),
                        clock__coarse_unix_ms());
    session__present(session);
    a->peer = NULL;
    return session;
}

void admission__tell_lost(const struct admission *a, const char *why)
{
    const char *hub = arena__strdup(a->arena, a->handshake.hub);

    log__error(a->shard->broker->log, LOG_FIELDS("hub", hub, "connection", a->id),
               "client lost before it was connected: %s", why);
}

static void enter_new(struct admission *a, int fd, struct str early)
{
    static const struct close_reason no_room = {
        .category = {"ServiceTransientError", 21},
        .upstream = {"The service is out of memory or descriptors.", 44}};
    struct session *session = make_session(a);

    if (session && recovery__attach(a->shard, session, fd, early))
        return;
    if (session) {
        session__end(session, &no_room);
        return;
    }
    close(fd);
    admission__tell_lost(a, "out of memory for its connection");
}

void admission__enter(struct admission *a, int fd, struct str early)
{
    const struct handshake *h = &a->handshake;

    if (!h->recovery)
        enter_new(a, fd, early);
    else
        recovery__begin(a->shard, h->hub, h->connection_id, h->reconnection_token, fd, early);
}

void admission__end(struct admission *a)
{
    struct shard *s = a->shard;

    if (!a->peer)
        return;
    if (a->decided) {
        upstream__disconnected(a->peer, STR("The client left before it was connected."),
                               shard__now(s), clock__coarse_unix_ms());
    } else {
        upstream__abandon(a->peer);
        asks_no_more(a);
    }
    a->peer = NULL;
}
