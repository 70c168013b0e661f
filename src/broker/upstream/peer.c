#include "broker/upstream/peer.h"

#include "base/prefetch.h"
#include "broker/upstream/state.h"

#include <stdlib.h>

/* An answer decoded in place, the request, and texts for the log. */
#define WORK_MAX (2 * UPSTREAM_MAX_RESPONSE + LIMITS_MAX_MESSAGE_BYTES + UPSTREAM_PEER_BYTES)

struct upstream_peer *peer__new(struct upstream *up, const struct ph_event *connect,
                                exchange_finished_fn *finished, exchange_target_fn *target)
{
    struct upstream_peer *p =
        calloc(1, sizeof(*p) + connect->hub.len + 1 + connect->connection_id.len + 1);
    char *at;

    if (!p)
        return NULL;
    if (!exchange__init(&p->exchange, up, finished, target)) {
        free(p);
        return NULL;
    }
    at = p->text;
    p->hub = str__place(&at, connect->hub);
    *at++ = '\0';
    p->connection_id = str__place(&at, connect->connection_id);
    p->up = up;
    p->last = &p->first;
    p->next_id = 1; /* 0 is connect's */
    arena__init(&p->work, NULL, 0, WORK_MAX);
    p->next = up->peers;
    if (p->next)
        p->next->previous = p;
    up->peers = p;
    return p;
}

void peer__free(struct upstream_peer *p)
{
    struct upstream *up = p->up;

    validation__leave(&p->waiter);
    exchange__free(&p->exchange);
    while (p->first)
        queued_event__free(&up->spare_events, peer__take(p, &p->first));
    if (p->previous)
        p->previous->next = p->next;
    else
        up->peers = p->next;
    if (p->next)
        p->next->previous = p->previous;
    arena__free(&p->work);
    cookies__free(&p->cookies);
    free(p->names);
    free((char *)p->state.ptr);
    free(p->signature);
    free(p);
}

void upstream__fetch(const struct upstream_peer *peer)
{
    prefetch__bytes(peer, sizeof(*peer));
}

static struct str place_name(char **at, struct str name)
{
    struct str placed = str__place(at, name);

    if (placed.ptr)
        *(*at)++ = '\0';
    return placed;
}

bool peer__name(struct upstream_peer *p, struct str user_id, struct str subprotocol)
{
    char *at = malloc(user_id.len + subprotocol.len + 2);

    free(p->names);
    p->names = at;
    p->user_id = at ? place_name(&at, user_id) : STR_NONE;
    p->subprotocol = at ? place_name(&at, subprotocol) : STR_NONE;
    /* Ids and times differ, but not in that. */
    p->plain = event__plain(&(struct ph_event){.hub = p->hub,
                                               .connection_id = p->connection_id,
                                               .user_id = p->user_id,
                                               .subprotocol = p->subprotocol,
                                               .id = STR("1"),
                                               .time = STR("2026-01-01T00:00:00Z")});
    return at;
}

/* --- the queue ------------------------------------------------------------------ */

/* An event comes (1) or goes (-1, which for these types is the same as adding their
 * largest value). */
static void count(struct upstream_peer *p, const struct queued_event *q, int one)
{
    p->up->pending += (size_t)one;
    if (q->event.kind == PH_EVENT_USER) {
        p->user_events += (uint32_t)one;
        p->user_bytes += (size_t)one * queued_event__bytes(q);
    } else if (q->event.kind == PH_EVENT_JOINED || q->event.kind == PH_EVENT_LEFT) {
        p->presence_events += (uint32_t)one;
    }
}

struct queued_event *peer__take(struct upstream_peer *p, struct queued_event **at)
{
    struct queued_event *q = *at;

    *at = q->next;
    if (p->last == &q->next)
        p->last = at;
    if (q->gate)
        gate__remove(q->gate);
    count(p, q, -1);
    return q;
}

void peer__append(struct upstream_peer *p, struct queued_event *q)
{
    *p->last = q;
    p->last = &q->next;
    if (q->gate)
        gate__add(q->gate);
    count(p, q, 1);
}

/* limits.messageBytes has said how large one may be. */
bool peer__has_room(const struct upstream_peer *p, size_t bytes)
{
    return p->user_events == 0 ||
           (p->user_events < UPSTREAM_PEER_QUEUE && p->user_bytes + bytes <= UPSTREAM_PEER_BYTES);
}

/* --- requests and answers --------------------------------------------------------- */

/* By the connection id and the keys alone, so it is made once, and again when the keys may
 * have changed. False when memory is out. */
static bool sign(struct upstream_peer *p)
{
    const struct settings *settings = p->up->config.settings;
    struct buf signature;

    if (p->signature && p->signed_by == p->up->settings_count)
        return true;
    buf__init(&signature, 1024);
    free(p->signature);
    p->signature = event__sign(&signature, p->connection_id, settings->keys, settings->key_count)
                       ? str__dup(buf__view(&signature))
                       : NULL;
    p->signed_by = p->up->settings_count;
    buf__free(&signature);
    return p->signature;
}

/* Custom events of PubSub clients, for which documents print another source (event-handler
 * sections 2.1 and 3.8). */
static bool has_short_source(const struct upstream_peer *p, const struct queued_event *q)
{
    static const struct str suffix = {".webpubsub.azure.v1", 19};
    struct str name = p->subprotocol;

    return q->event.kind == PH_EVENT_USER && name.len > suffix.len &&
           str__eq_nocase(str__n(name.ptr + name.len - suffix.len, suffix.len), suffix);
}

/* A connect comes with what the client has so far. */
bool peer__complete(struct upstream_peer *p, struct queued_event *q)
{
    const struct hub_compatibility *as = &q->hub->compatibility;
    struct ph_event *ev = &q->event;

    ev->hub = p->hub;
    ev->connection_id = p->connection_id;
    ev->origin = p->up->config.origin;
    ev->charset = as->charset;
    ev->request_id = str__n(q->guid, sizeof(q->guid) - 1);
    if (ev->kind == PH_EVENT_CONNECT)
        return true;
    ev->user_id = p->user_id;
    ev->subprotocol = p->subprotocol;
    ev->plain = p->plain;
    ev->state = p->state;
    ev->cookie = cookies__header(&p->cookies, &p->work, p->url);
    if (!as->short_source || !has_short_source(p, q))
        return true;
    ev->source = str__of(arena__printf(&p->work, "/client/%.*s", STR_FMT(p->connection_id)));
    return ev->source.ptr;
}

enum ph_err peer__encode(struct upstream_peer *p, const struct queued_event *q, struct diag *diag)
{
    p->http = (struct http_request){.method = STR("POST")};
    if (!sign(p))
        return diag__set(diag, PH_ERR_MEMORY, "out of memory");
    return event__encode(&p->work, &q->event, str__of(p->signature), &p->http, diag);
}

static void keep_state(struct upstream_peer *p, struct str value)
{
    char *copy = str__dup(value);

    if (!copy) {
        log__error(p->up->config.log, LOG_NONE, "out of memory: a connection state is lost");
        return;
    }
    free((char *)p->state.ptr);
    p->state = str__n(copy, value.len);
}

void peer__keep(struct upstream_peer *p, const struct answer *answer, bool blocking, struct str url)
{
    if (blocking && answer->state.ptr)
        keep_state(p, answer->state);
    for (size_t i = 0; i < answer->cookie_count; i++)
        cookies__set(&p->cookies, url, answer->cookies[i]);
}
