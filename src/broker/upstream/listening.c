#include "broker/upstream/listening.h"

#include "base/buf.h"
#include "broker/upstream/route.h"
#include "broker/upstream/state.h"

#define NOTE_MEMORY                                                                                \
    (4u << 20) /* headers and the body of a system event; a user's is not copied                   \
                */
#define NOTE_FIRST 4096
#define SUBJECT_MAX 1024

/* A dot parts the tokens of a subject, none of which may be empty. */
static void add_value(struct buf *out, struct str value)
{
    for (size_t i = 0; i < value.len; i++) {
        bool empties = value.ptr[i] == '.' && (i + 1 == value.len || value.ptr[i + 1] == '.');

        buf__str(out, empties ? STR("%2E") : str__n(value.ptr + i, 1));
    }
}

static void make_subject(struct buf *out, struct str pattern, struct str hub, struct str event)
{
    while (pattern.len > 0) {
        size_t taken = 1;

        if (str__starts_with_nocase(pattern, STR("{hub}"))) {
            add_value(out, hub);
            taken = strlen("{hub}");
        } else if (str__starts_with_nocase(pattern, STR("{event}"))) {
            add_value(out, event);
            taken = strlen("{event}");
        } else {
            buf__byte(out, pattern.ptr[0]);
        }
        pattern = str__n(pattern.ptr + taken, pattern.len - taken);
    }
}

/* JetStream knows a message again by it; the same as the service's for Event Hubs. */
static bool add_message_id(struct arena *a, const struct upstream_peer *p,
                           const struct queued_event *q, struct http_headers *headers)
{
    const char *id = arena__printf(a, "%.*s/%.*s", STR_FMT(p->connection_id), STR_FMT(q->event.id));

    return id && http__add(a, headers, STR("Nats-Msg-Id"), str__of(id));
}

/* WebHook-Request-Origin is between the broker and handlers. */
static bool is_for_listeners(struct str name)
{
    return str__starts_with_nocase(name, STR("ce-")) ||
           str__starts_with_nocase(name, METADATA_HEADER_PREFIX) ||
           str__eq_nocase(name, STR("Content-Type"));
}

static bool encode(struct arena *a, const struct upstream_peer *p, const struct queued_event *q,
                   struct upstream_note *note)
{
    struct ph_event ev = q->event;
    struct http_request request = {.method = STR("POST")};
    struct diag diag = {""};

    ev.hub = p->hub;
    ev.connection_id = p->connection_id;
    ev.user_id = p->user_id;
    ev.subprotocol = p->subprotocol;
    ev.state = p->state;
    if (event__encode(a, &ev, STR_NONE, &request, &diag) != PH_OK ||
        !add_message_id(a, p, q, &note->headers))
        return false;
    for (size_t i = 0; i < request.headers.count; i++) {
        const struct http_header *h = &request.headers.items[i];

        if (is_for_listeners(h->name) && !http__add(a, &note->headers, h->name, h->value))
            return false;
    }
    note->body = request.body;
    return true;
}

/* False: its subject cannot be made. */
static bool tell(struct upstream_peer *p, const struct queued_event *q, struct upstream_note *note,
                 const struct event_listener *listener)
{
    struct buf subject;
    bool made;

    buf__init(&subject, SUBJECT_MAX);
    make_subject(&subject, listener->subject, p->hub, q->event.name);
    note->listener = listener;
    note->subject = buf__view(&subject);
    made = !subject.failed;
    if (made)
        p->up->config.ops->publish(p->up->config.ctx, note);
    else
        log__error(p->up->config.log, LOG_NONE,
                   "the event listener with subject %.*s does not hear of a `%.*s` event of hub "
                   "%.*s: for it the subject has more than %d bytes, or memory is out",
                   STR_FMT(listener->subject), STR_FMT(q->event.name), STR_FMT(p->hub),
                   SUBJECT_MAX);
    buf__free(&subject);
    return made;
}

void listening__tell(struct upstream_peer *p, struct queued_event *q,
                     const struct hub_settings *hub)
{
    const struct upstream_config *config = &p->up->config;
    struct upstream_note note = {.headers = {0}};
    char first[NOTE_FIRST];
    bool encoded = false;
    struct arena a;

    if (!config->ops->publish)
        return;
    arena__init(&a, first, sizeof(first), NOTE_MEMORY);
    for (size_t i = 0; i < hub->listener_count; i++) {
        if (!route__is_heard(&hub->listeners[i], q->event.kind, q->event.name))
            continue;
        if (!encoded && !encode(&a, p, q, &note)) {
            log__error(config->log, LOG_NONE,
                       "event listeners do not hear of a `%.*s` event of hub %.*s: it cannot be "
                       "encoded, or memory is out",
                       STR_FMT(q->event.name), STR_FMT(p->hub));
            break;
        }
        encoded = true;
        q->heard |= tell(p, q, &note, &hub->listeners[i]);
    }
    arena__free(&a);
}
