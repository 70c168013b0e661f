/* The handler of the end-to-end event suite: does what the client's connect query
 * asks for, and writes each event it sees as a line of JSON into a file, so that
 * the suite can compare what arrives over HTTP, FastCGI, CGI and in process.
 *
 * Setting: record=FILE. Query of the client: reject=STATUS, or any of userId=,
 * joins=, role=, subprotocol=, state=. User events: see `user_events`. */
#include <fcntl.h>
#include <pubhook/plugin.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LINE_MAX_BYTES 4096 /* one write() of this size is not torn between processes */

struct witness {
    int record; /* -1: none */
};

static void add(char *line, const char *text)
{
    strncat(line, text, LINE_MAX_BYTES - strlen(line) - 1);
}

/* Appends `"name":"value"`, or null for an absent value. Control characters and
 * quotes do not occur in what the suite sends. */
static void add_member(char *line, const char *name, const char *value)
{
    add(line, strlen(line) > 1 ? ",\"" : "\"");
    add(line, name);
    add(line, value ? "\":\"" : "\":null");
    if (value) {
        add(line, value);
        add(line, "\"");
    }
}

/* All metadata as "name=value;name=value". */
static void add_metadata(char *line, const struct ph_event *ev)
{
    char all[LINE_MAX_BYTES] = "";
    const char *name;

    for (size_t i = 0; (name = ph_event_field_name(ev, PH_FIELD_METADATA, i)); i++) {
        add(all, i > 0 ? ";" : "");
        add(all, name);
        add(all, "=");
        add(all, ph_event_field(ev, PH_FIELD_METADATA, name, 0));
    }
    if (all[0])
        add_member(line, "metadata", all);
}

/* One that would not leave room in the line for the rest is only named. */
static const char *short_state(const struct ph_event *ev)
{
    const char *state = ph_event_state(ev);

    return state && strlen(state) > LINE_MAX_BYTES / 2 ? "long" : state;
}

static void describe(const struct ph_event *ev, char *line)
{
    static const char *const kinds[] = {"connect",      "connected", "user",
                                        "disconnected", "joined",    "left"};
    static const char *const types[] = {"text", "json", "binary", "protobuf"};
    size_t len;
    char size[32];

    ph_event_data(ev, &len);
    snprintf(size, sizeof size, "%zu", len);
    strcpy(line, "{");
    add_member(line, "kind", kinds[ph_event_kind(ev)]);
    add_member(line, "event", ph_event_name(ev));
    add_member(line, "hub", ph_event_hub(ev));
    add_member(line, "connectionId", ph_event_connection_id(ev));
    add_member(line, "userId", ph_event_user_id(ev));
    add_member(line, "subprotocol", ph_event_subprotocol(ev));
    add_member(line, "state", short_state(ev));
    add_member(line, "id", ph_event_id(ev));
    if (ph_event_kind(ev) == PH_EVENT_USER) {
        add_member(line, "type", types[ph_event_data_type(ev)]);
        add_member(line, "size", size);
        add_metadata(line, ev);
    }
    if (ph_event_kind(ev) == PH_EVENT_DISCONNECTED)
        add_member(line, "reason", ph_event_reason(ev));
    if (ph_event_group(ev))
        add_member(line, "group", ph_event_group(ev));
    add(line, "}");
}

static void record(const struct witness *witness, const struct ph_event *ev)
{
    char line[LINE_MAX_BYTES + 2];

    if (witness->record < 0)
        return;
    describe(ev, line);
    strcat(line, "\n");
    if (write(witness->record, line, strlen(line)) < 0)
        perror("witness: record");
}

static const char *asked(const struct ph_event *ev, const char *name, size_t index)
{
    return ph_event_field(ev, PH_FIELD_QUERY, name, index);
}

static struct ph_reply *on_connect(const struct ph_event *ev, void *arg)
{
    struct ph_reply *reply;
    const char *value;

    record(arg, ev);
    value = asked(ev, "reject", 0);
    if (value)
        return ph_reply_reject(atoi(value), "the witness refuses");
    reply = ph_reply_accept();
    if ((value = asked(ev, "userId", 0)))
        ph_reply_set_user_id(reply, value);
    for (size_t i = 0; (value = asked(ev, "joins", i)); i++)
        ph_reply_add_group(reply, value);
    for (size_t i = 0; (value = asked(ev, "role", i)); i++)
        ph_reply_add_role(reply, value);
    if ((value = asked(ev, "subprotocol", 0)))
        ph_reply_set_subprotocol(reply, value);
    if ((value = asked(ev, "state", 0)))
        ph_reply_set_state(reply, value);
    return reply;
}

static struct ph_reply *on_notice(const struct ph_event *ev, void *arg)
{
    record(arg, ev);
    return ph_reply_ok();
}

static struct ph_reply *echo(const struct ph_event *ev)
{
    size_t len;
    const void *data = ph_event_data(ev, &len);

    return ph_reply_data(ph_event_data_type(ev), data, len);
}

static struct ph_reply *whoami(const struct ph_event *ev)
{
    char line[LINE_MAX_BYTES] = "{";

    add_member(line, "hub", ph_event_hub(ev));
    add_member(line, "userId", ph_event_user_id(ev));
    add_member(line, "connectionId", ph_event_connection_id(ev));
    add_member(line, "state", ph_event_state(ev));
    add(line, "}");
    return ph_reply_json(line, strlen(line));
}

static struct ph_reply *count(const struct ph_event *ev)
{
    struct ph_state *state = ph_state_from_event(ev);
    int64_t number = ph_state_get_int(state, "count", 0) + 1;
    struct ph_reply *reply;
    char json[64];

    snprintf(json, sizeof json, "{\"count\":%lld}", (long long)number);
    reply = ph_reply_json(json, strlen(json));
    if (ph_state_set_int(state, "count", number) == PH_OK)
        ph_reply_set_state_from(reply, state);
    ph_state_free(state);
    return reply;
}

static struct ph_reply *quiet(const struct ph_event *ev)
{
    (void)ev;
    return ph_reply_ok();
}

static struct ph_reply *refuse(const struct ph_event *ev)
{
    (void)ev;
    return ph_reply_reject(403, "the witness refuses");
}

/* The event's metadata goes back with `reply`. */
static struct ph_reply *with_metadata(const struct ph_event *ev, struct ph_reply *reply)
{
    const char *name;

    for (size_t i = 0; (name = ph_event_field_name(ev, PH_FIELD_METADATA, i)); i++)
        ph_reply_set_metadata(reply, name, ph_event_field(ev, PH_FIELD_METADATA, name, 0));
    return reply;
}

static struct ph_reply *tag(const struct ph_event *ev)
{
    return with_metadata(ev, echo(ev));
}

static struct ph_reply *tag_only(const struct ph_event *ev)
{
    return with_metadata(ev, quiet(ev));
}

/* Tells which cookies came, and sets two of its own. */
static struct ph_reply *cookies(const struct ph_event *ev)
{
    struct ph_json_writer *out = ph_json_writer_new();
    struct ph_reply *reply;
    char cookie[256];
    size_t len;
    const char *node = ph_event_data(ev, &len);

    snprintf(cookie, sizeof cookie, "node=%.*s; Path=/; HttpOnly", (int)len, node);
    ph_json_put_object(out);
    ph_json_put_key(out, "cookie");
    ph_json_put_text(out, ph_event_http_header(ev, "Cookie"));
    ph_json_put_end(out);
    reply = ph_reply_json_from(out);
    ph_reply_add_header(reply, "Set-Cookie", cookie);
    ph_reply_add_header(reply, "Set-Cookie", "lang=en");
    return reply;
}

/* {"factor": 2, "rows": [{"n": 1}, ...]} */
static struct ph_reply *sum(const struct ph_event *ev)
{
    const struct ph_json *data = ph_event_json(ev), *row;
    struct ph_json_writer *out = ph_json_writer_new();
    int64_t total = 0;

    for (row = ph_json_first(ph_json_at(data, "/rows")); row; row = ph_json_next(row))
        total += ph_json_int(row, "/n", 0) * ph_json_int(data, "/factor", 1);
    ph_json_put_object(out);
    ph_json_put_key(out, "sum");
    ph_json_put_int(out, total);
    ph_json_put_key(out, "first");
    ph_json_put_value(out, ph_json_at(data, "/rows/0"));
    ph_json_put_end(out);
    return ph_reply_json_from(out);
}

/* Sets an opaque state of so many bytes, and tells how many there were. */
static struct ph_reply *remember(const struct ph_event *ev)
{
    const char *state = ph_event_state(ev);
    struct ph_json_writer *out = ph_json_writer_new();
    size_t bytes = (size_t)atoi(ph_event_data(ev, NULL));
    char *text = calloc(bytes + 1, 1);
    struct ph_reply *reply;

    ph_json_put_int(out, state ? (int64_t)strlen(state) : -1);
    reply = ph_reply_json_from(out);
    if (text)
        ph_reply_set_state(reply, memset(text, 'x', bytes));
    free(text);
    return reply;
}

/* What an MQTT client published, its type and its properties go back. */
static struct ph_reply *publish(const struct ph_event *ev)
{
    struct ph_reply *reply = echo(ev);
    const char *name;

    for (size_t i = 0; (name = ph_event_field_name(ev, PH_FIELD_MQTT_PROPERTIES, i)); i++)
        ph_reply_add_mqtt_property(reply, name,
                                   ph_event_field(ev, PH_FIELD_MQTT_PROPERTIES, name, 0));
    if (ph_event_is_mqtt(ev) && ph_event_content_type(ev))
        ph_reply_set_content_type(reply, ph_event_content_type(ev));
    return reply;
}

static struct ph_reply *forget(const struct ph_event *ev)
{
    struct ph_state *state = ph_state_from_event(ev);
    struct ph_reply *reply = ph_reply_ok();

    ph_state_clear(state);
    ph_reply_set_state_from(reply, state);
    ph_state_free(state);
    return reply;
}

static void nobody_answers(struct ph_deferred *token, enum ph_err why, void *arg)
{
    (void)why, (void)arg;
    ph_deferred_unref(token);
}

/* Held, and never answered. With data, that is the answer once the deadline has passed. */
static struct ph_reply *overdue(const struct ph_event *ev)
{
    struct ph_deferred *token;
    struct ph_reply *reply = ph_reply_defer(ev, 200, &token);
    size_t len;
    const char *data = ph_event_data(ev, &len);

    if (!token)
        return reply;
    if (len > 0)
        ph_deferred_at_deadline(token, ph_reply_text(data, len));
    if (ph_deferred_on_cancel(token, nobody_answers, NULL, NULL) != PH_OK)
        ph_deferred_unref(token);
    return reply;
}

static const struct {
    const char *name;
    struct ph_reply *(*answer)(const struct ph_event *ev);
} user_events[] = {
    {"whoami", whoami},   {"count", count},   {"quiet", quiet},       {"refuse", refuse},
    {"message", echo},    {"tag", tag},       {"tagOnly", tag_only},  {"cookies", cookies},
    {"sum", sum},         {"forget", forget}, {"remember", remember}, {"publish", publish},
    {"overdue", overdue},
};

static struct ph_reply *on_user_event(const struct ph_event *ev, void *arg)
{
    record(arg, ev);
    for (size_t i = 0; i < sizeof user_events / sizeof *user_events; i++)
        if (strcmp(ph_event_name(ev), user_events[i].name) == 0)
            return user_events[i].answer(ev);
    return echo(ev);
}

static enum ph_err open_witness(struct ph_plugin_config *config, void **self)
{
    const char *file = ph_plugin_config_get(config, "record");
    struct witness *witness = malloc(sizeof *witness);

    if (!witness)
        return PH_ERR_MEMORY;
    witness->record = file ? open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : -1;
    if (file && witness->record < 0) {
        free(witness);
        return ph_plugin_config_fail(config, "record: the file cannot be opened");
    }
    *self = witness;
    return PH_OK;
}

static void close_witness(void *self)
{
    struct witness *witness = self;

    if (witness->record >= 0)
        close(witness->record);
    free(witness);
}

static const struct ph_plugin_handler handlers[] = {
    {PH_EVENT_CONNECT, NULL, on_connect},
    {PH_EVENT_CONNECTED, NULL, on_notice},
    {PH_EVENT_DISCONNECTED, NULL, on_notice},
    {PH_EVENT_JOINED, NULL, on_notice},
    {PH_EVENT_LEFT, NULL, on_notice},
    {PH_EVENT_USER, "*", on_user_event},
    {0, NULL, NULL},
};

static const struct ph_plugin plugin = {
    PH_PLUGIN_HEAD, "witness", "1.0", open_witness, close_witness, handlers, NULL,
};
PH_PLUGIN(plugin)
