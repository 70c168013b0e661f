#include "core_kit.h"

#include "unit.h"

#include <stdio.h>
#include <stdlib.h>

#define ENOUGH (64u << 20)

/* Payload of a server's frame: behind two, four or ten bytes of header. */
static struct str payload(const char *frame, size_t len)
{
    size_t header = (frame[1] & 0x7f) < 126 ? 2 : (frame[1] & 0x7f) == 126 ? 4 : 10;

    assert_true(len >= header && (frame[0] & 0x80));
    return str__n(frame + header, len - header);
}

static void write_item(struct transport *t, const struct out_item *item)
{
    const struct format *format = session__format(t->session);
    char head[FORMAT_MAX_HEAD], tail[FORMAT_MAX_TAIL];
    size_t head_len, tail_len;

    if (item->frame->sequenced) {
        format->enclose(item->frame, item->sequence_id, head, &head_len, tail, &tail_len);
        buf__append(&t->out, item->frame->bytes, item->frame->len);
        buf__append(&t->out, tail, tail_len);
    } else {
        buf__str(&t->out, payload(item->frame->bytes, item->frame->len));
    }
    buf__byte(&t->out, '\n');
}

static void write_all(struct transport *t)
{
    struct out_item items[7]; /* small and odd, so that batches end anywhere */
    size_t n;

    while (!t->stuck && (n = session__outgoing(t->session, items, 7)) > 0) {
        for (size_t i = 0; i < n; i++)
            write_item(t, &items[i]);
        session__written(t->session, n, false);
    }
}

static void put_metadata(struct buf *out, const struct metadata *m)
{
    for (size_t i = 0; i < m->count; i++)
        buf__printf(out, " %.*s=%.*s", STR_FMT(m->items[i].name), STR_FMT(m->items[i].value));
}

static void on_publish(void *ctx, const struct hub_command *cmd)
{
    struct kit *kit = ctx;

    buf__printf(&kit->effects, "publish %.*s", STR_FMT(cmd->name));
    for (size_t i = 0; i < cmd->excluded_count; i++)
        buf__printf(&kit->effects, " -%.*s", STR_FMT(cmd->excluded[i]));
    if (cmd->message)
        put_metadata(&kit->effects, &cmd->message->metadata);
    buf__byte(&kit->effects, '\n');
    if (kit->beside)
        core__apply(kit->beside, cmd, NULL);
}

static const char *on_event(void *ctx, struct session *s, const struct user_event *event)
{
    struct kit *kit = ctx;

    if (kit->refuse_events)
        return "refused";
    buf__printf(&kit->effects, "event %.*s %.*s %d %.*s", STR_FMT(session__id(s)),
                STR_FMT(event->name), (int)event->type, STR_FMT(event->data));
    put_metadata(&kit->effects, &event->metadata);
    if (event->ticket)
        buf__printf(&kit->effects, " #%llu", (unsigned long long)event->ticket);
    buf__byte(&kit->effects, '\n');
    if (kit->answer_at_once)
        session__event_answer(s, event->ticket,
                              &(struct event_answer){.no_handler = true, .failure = "none here"});
    return NULL;
}

static void on_presence(void *ctx, struct session *s, bool joined, struct str group)
{
    struct kit *kit = ctx;

    buf__printf(&kit->effects, "%s %.*s %.*s\n", joined ? "joined" : "left",
                STR_FMT(session__id(s)), STR_FMT(group));
}

static void on_hub_rules(void *ctx, struct str hub, struct hub_rules *out)
{
    if (str__eq(hub, STR("h")))
        *out = ((struct kit *)ctx)->rules;
}

static void on_cancel_event(void *ctx, struct session *s, uint64_t ticket)
{
    struct kit *kit = ctx;

    buf__printf(&kit->effects, "cancel %.*s #%llu\n", STR_FMT(session__id(s)),
                (unsigned long long)ticket);
}

static void on_relieve(void *ctx, struct transport *t)
{
    (void)ctx;
    t->relieved++;
    write_all(t);
}

static void on_close(void *ctx, struct transport *t, uint16_t code, struct str reason)
{
    (void)ctx;
    snprintf(t->closed, sizeof(t->closed), "%u %.*s", code, STR_FMT(reason));
    if (t->linger)
        return;
    write_all(t);
    session__detach(t->session, 0, STR_NONE);
    t->session = NULL;
}

static void on_abort(void *ctx, struct transport *t)
{
    (void)ctx;
    snprintf(t->closed, sizeof(t->closed), "aborted");
    t->session = NULL;
}

static void on_ended(void *ctx, struct session *s, struct str reason)
{
    struct kit *kit = ctx;

    buf__printf(&kit->effects, "ended %.*s: %.*s\n", STR_FMT(session__id(s)), STR_FMT(reason));
}

static void on_log(void *arg, enum ph_log_level level, const char *line, size_t len)
{
    (void)level;
    buf__append(arg, line, len);
}

static int64_t on_now(void *ctx)
{
    return ((struct kit *)ctx)->now_ms;
}

static int64_t on_unix(void *ctx)
{
    return ((struct kit *)ctx)->unix_ms;
}

static const struct core_ops ops = {
    .publish = on_publish,
    .event = on_event,
    .presence = on_presence,
    .hub_rules = on_hub_rules,
    .cancel_event = on_cancel_event,
    .relieve = on_relieve,
    .close = on_close,
    .abort = on_abort,
    .ended = on_ended,
    .now_ms = on_now,
    .unix_ms = on_unix,
};

void kit__init(struct kit *kit, const struct core_limits *limits)
{
    *kit = (struct kit){0};
    buf__init(&kit->effects, ENOUGH);
    buf__init(&kit->log, ENOUGH);
    kit->config = (struct core_config){
        .limits = limits ? *limits : CORE_LIMITS_DEFAULT,
        .ops = &ops,
        .ctx = kit,
        .seed = {1, 2},
        .log = ph_log_new(PH_LOG_DEBUG, PH_LOG_TEXT),
    };
    assert_non_null(kit->config.log);
    ph_log_set_sink(kit->config.log, on_log, &kit->log);
    kit->core = core__new(&kit->config);
    assert_non_null(kit->core);
}

void kit__free(struct kit *kit)
{
    core__free(kit->core);
    for (size_t i = 0; i < kit->transport_count; i++) {
        buf__free(&kit->transports[i]->out);
        free(kit->transports[i]);
    }
    buf__free(&kit->effects);
    buf__free(&kit->log);
    ph_log_free(kit->config.log);
}

int kit__set_up(void **state)
{
    static struct kit kit;

    kit__init(&kit, NULL);
    kit.now_ms = 1000;
    *state = &kit;
    return 0;
}

int kit__tear_down(void **state)
{
    kit__free(*state);
    return 0;
}

struct transport *kit__reattach(struct kit *kit, struct session *s, const char *token)
{
    struct transport *t = calloc(1, sizeof(*t));

    assert_true(t && kit->transport_count < 32);
    kit->transports[kit->transport_count++] = t;
    t->kit = kit;
    t->session = s;
    buf__init(&t->out, ENOUGH);
    session__attach(s, t, str__of(token));
    return t;
}

struct transport *kit__connect(struct kit *kit, const struct client *client)
{
    struct str roles[2] = {str__of(client->role), str__of(client->role2)};
    struct str group = str__of(client->group);
    struct session_config config = {
        .hub = STR("h"),
        .connection_id = str__of(client->id),
        .user_id = str__of(client->user),
        .format = client->format ? client->format : &format_json,
        .roles = roles,
        .role_count = client->role2  ? 2
                      : client->role ? 1
                                     : 0,
        .groups = &group,
        .group_count = client->group ? 1 : 0,
        .publish_group = str__of(client->publish_group),
        .publish_no_echo = client->publish_no_echo,
    };
    struct session *s = session__new(kit->core, &config);
    struct transport *t;

    assert_non_null(s);
    t = kit__reattach(kit, s, config.format->reliable ? "token" : NULL);
    kit__flush(kit);
    if (!client->keep_greeting)
        kit__read(t);
    return t;
}

bool kit__says(struct transport *t, const char *text)
{
    struct command cmd;
    struct diag diag;
    struct arena arena;
    bool lives;

    arena__init(&arena, NULL, 0, ENOUGH);
    if (session__format(t->session)->decode(&arena, false, str__of(text), &cmd, &diag) != PH_OK)
        fail_msg("%s: %s", text, diag.text);
    lives = session__command(t->session, &cmd);
    arena__free(&arena);
    return lives;
}

void kit__flush(struct kit *kit)
{
    struct session *s;

    while ((s = core__next_dirty(kit->core)))
        write_all(session__transport(s));
}

void kit__resume(struct transport *t)
{
    t->stuck = false;
    write_all(t);
}

struct hub_result kit__apply(struct kit *kit, struct hub_command cmd)
{
    struct hub_result result;

    cmd.hub = STR("h");
    core__apply(kit->core, &cmd, &result);
    return result;
}

size_t kit__send(struct kit *kit, enum scope scope, const char *name, const char *text)
{
    bool group = scope == SCOPE_GROUP;
    struct message *m =
        message__new(&(struct message){.from = group ? MESSAGE_FROM_GROUP : MESSAGE_FROM_SERVER,
                                       .type = PH_DATA_TEXT,
                                       .group = group ? str__of(name) : STR_NONE,
                                       .data = str__of(text)});
    struct hub_result result = kit__apply(
        kit,
        (struct hub_command){.op = HUB_SEND, .scope = scope, .name = str__of(name), .message = m});

    message__unref(m);
    return result.matched;
}

/* Empties the buffer at the look after this one. */
static const char *look(struct buf *b)
{
    if (b->len == 0)
        return "";
    b->data[b->len] = '\0';
    b->len = 0;
    return b->data;
}

const char *kit__read(struct transport *t)
{
    kit__flush(t->kit);
    return look(&t->out);
}

const char *kit__effects(struct kit *kit)
{
    return look(&kit->effects);
}
