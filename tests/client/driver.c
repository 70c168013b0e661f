/* The client library as a program: one command for each line of standard input, one line of
 * standard output for each thing that happens, both JSON. With it tests/e2e runs the
 * scenarios of the official JavaScript client over ours (lib/cclient.mjs).
 *
 *     {"do":"new","protocol":"reliable","url":"ws://...", ...}      first
 *     {"do":"join","id":1,"group":"g"}     ->  {"id":1,"err":0,...}
 *     {"do":"send","id":2,"group":"g","type":"text","data":"hi"}
 *
 * Data of type json is its text, as a string; of binary and protobuf, base64. The client
 * lives in this program's own loop with the argument "loop", else in a thread of its own. */
#include "base/base64.h"
#include "base/json.h"
#include "pubhook/client.h"

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define MAX_LINE (16u << 20)
#define MAX_STREAMS 64

static const char *const types[] = {"text", "json", "binary", "protobuf"};

static struct ph_client *client;
static pthread_mutex_t output = PTHREAD_MUTEX_INITIALIZER;

struct stream {
    char id[256];
    struct ph_client_stream *stream;
};
static struct stream streams[MAX_STREAMS];

/* --- What happens ------------------------------------------------------------------ */

static void put_string(struct buf *b, const char *name, const char *value)
{
    if (!value)
        return;
    buf__printf(b, ",\"%s\":", name);
    json__quote(b, str__of(value));
}

static void put_data(struct buf *b, enum ph_data_type type, const void *data, size_t len)
{
    buf__printf(b, ",\"dataType\":\"%s\",\"data\":", types[type]);
    if (type == PH_DATA_TEXT || type == PH_DATA_JSON) {
        json__quote(b, str__n(data, len));
        return;
    }
    buf__byte(b, '"');
    base64__encode(b, data, len);
    buf__byte(b, '"');
}

static void write_line(struct buf *b)
{
    buf__str(b, STR("}\n"));
    if (b->failed)
        abort();
    pthread_mutex_lock(&output);
    fwrite(b->data, 1, b->len, stdout);
    fflush(stdout);
    pthread_mutex_unlock(&output);
    buf__free(b);
}

static void begin_event(struct buf *b, const char *name)
{
    buf__init(b, MAX_LINE);
    buf__printf(b, "{\"event\":\"%s\"", name);
}

static void put_result(struct buf *b, const struct ph_client_result *r)
{
    buf__printf(b, ",\"err\":%d,\"duplicate\":%s", r->err, r->duplicate ? "true" : "false");
    put_string(b, "name", r->name);
    put_string(b, "message", r->message);
    if (r->data)
        put_data(b, r->type, r->data, r->len);
}

static void on_connected(struct ph_client *c, const char *id, const char *user, void *arg)
{
    struct buf b;

    (void)c, (void)arg;
    begin_event(&b, "connected");
    put_string(&b, "connectionId", id);
    put_string(&b, "userId", user);
    write_line(&b);
}

static void on_disconnected(struct ph_client *c, const char *id, const char *reason, void *arg)
{
    struct buf b;

    (void)c, (void)arg;
    begin_event(&b, "disconnected");
    put_string(&b, "connectionId", id);
    put_string(&b, "message", reason);
    write_line(&b);
}

static void on_stopped(struct ph_client *c, void *arg)
{
    struct buf b;

    (void)c, (void)arg;
    begin_event(&b, "stopped");
    write_line(&b);
}

static void on_need_url(struct ph_client *c, void *arg)
{
    struct buf b;

    (void)c, (void)arg;
    begin_event(&b, "need-url");
    write_line(&b);
}

static void put_fragment(struct buf *b, const struct ph_client_fragment *f)
{
    buf__str(b, STR(",\"stream\":{\"streamSequenceId\":"));
    buf__u64(b, f->sequence_id);
    put_string(b, "streamId", f->stream_id);
    buf__printf(b, ",\"endOfStream\":%s", f->end ? "true" : "false");
    if (f->error_name) {
        buf__str(b, STR(",\"error\":{\"x\":0"));
        put_string(b, "name", f->error_name);
        put_string(b, "message", f->error_message);
        put_string(b, "userErrorCode", f->user_error_code);
        buf__byte(b, '}');
    }
    buf__byte(b, '}');
}

static void write_message(const char *event, const struct ph_client_message *m)
{
    struct buf b;

    begin_event(&b, event);
    put_string(&b, "group", m->group);
    put_string(&b, "fromUserId", m->from_user_id);
    put_data(&b, m->type, m->data, m->len);
    if (m->sequence_id > 0) {
        buf__str(&b, STR(",\"sequenceId\":"));
        buf__u64(&b, m->sequence_id);
    }
    for (size_t i = 0; i < m->metadata_count; i++) {
        buf__str(&b, i == 0 ? STR(",\"metadata\":{\"\":0") : STR(""));
        put_string(&b, m->metadata[i].name, m->metadata[i].value);
    }
    buf__str(&b, m->metadata_count > 0 ? STR("}") : STR(""));
    if (m->fragment)
        put_fragment(&b, m->fragment);
    write_line(&b);
}

static void on_group_message(struct ph_client *c, const struct ph_client_message *m, void *arg)
{
    (void)c, (void)arg;
    write_message("group-message", m);
}

static void on_server_message(struct ph_client *c, const struct ph_client_message *m, void *arg)
{
    (void)c, (void)arg;
    write_message("server-message", m);
}

static void on_rejoin_failed(struct ph_client *c, const char *group,
                             const struct ph_client_result *r, void *arg)
{
    struct buf b;

    (void)c, (void)arg;
    begin_event(&b, "rejoin-group-failed");
    put_string(&b, "group", group);
    put_result(&b, r);
    write_line(&b);
}

static void on_stream_failed(struct ph_client_stream *s, const struct ph_client_result *r,
                             void *arg)
{
    struct buf b;

    (void)arg;
    begin_event(&b, "stream-failed");
    put_string(&b, "streamId", ph_client_stream_id(s));
    put_result(&b, r);
    write_line(&b);
}

static bool streams_from_start;
static uint32_t stream_idle_ms;

static void on_fragment(struct ph_client_incoming *stream, const struct ph_client_message *m,
                        void *arg)
{
    (void)stream, (void)arg;
    write_message("stream-fragment", m);
}

static void on_stream_ended(struct ph_client_incoming *stream, const struct ph_client_result *r,
                            void *arg)
{
    struct buf b;

    (void)arg;
    begin_event(&b, "stream-ended");
    put_string(&b, "group", stream->group);
    put_string(&b, "streamId", stream->stream_id);
    put_string(&b, "userErrorCode", r->user_error_code);
    put_result(&b, r);
    write_line(&b);
}

static void on_group_stream(struct ph_client *c, struct ph_client_incoming *stream, void *arg)
{
    struct buf b;

    (void)c, (void)arg;
    if (streams_from_start && stream->sequence_id != 1)
        return;
    stream->fragment = on_fragment;
    stream->ended = on_stream_ended;
    stream->idle_timeout_ms = stream_idle_ms;
    begin_event(&b, "stream-begun");
    put_string(&b, "group", stream->group);
    put_string(&b, "streamId", stream->stream_id);
    write_line(&b);
}

/* `arg` is the number of the command. */
static void done(struct ph_client *c, const struct ph_client_result *r, void *arg)
{
    struct buf b;

    (void)c;
    buf__init(&b, MAX_LINE);
    buf__printf(&b, "{\"id\":%zu", (size_t)arg);
    put_result(&b, r);
    write_line(&b);
}

/* --- Commands ------------------------------------------------------------------------ */

struct command {
    const struct json *json;
    struct arena *arena;
    void *id;
    enum ph_data_type type;
    struct str data;
};

static const char *text(const struct command *c, const char *name)
{
    return json__get_string(c->json, str__of(name)).ptr;
}

static uint64_t number(const struct command *c, const char *name)
{
    const struct json *value = json__get(c->json, str__of(name));
    uint64_t n = 0;

    if (value && value->type == JSON_BOOL)
        return value->boolean;
    return value && json__to_u64(value, &n) ? n : 0;
}

static void read_data(struct command *c)
{
    const char *type = text(c, "type");

    for (size_t i = 0; type && i < 4; i++) {
        if (strcmp(type, types[i]) == 0)
            c->type = (enum ph_data_type)i;
    }
    c->data = json__get_string(c->json, STR("data"));
    if (c->type >= PH_DATA_BINARY && c->data.ptr)
        c->data = base64__decode(c->arena, c->data);
}

static struct ph_client_send_options send_options(const struct command *c)
{
    return (struct ph_client_send_options){
        .no_echo = (int)number(c, "noEcho"),
        .fire_and_forget = (int)number(c, "fireAndForget"),
        .ack_id = number(c, "ackId"),
        .ttl_seconds = (uint32_t)number(c, "ttlSeconds"),
    };
}

static struct ph_client_retry retry_options(const struct command *c, const char *retries,
                                            const char *delay)
{
    const struct json *value = json__get(c->json, str__of(retries));
    uint64_t n = 0;

    if (value && json__to_u64(value, &n) && n == 0)
        n = PH_CLIENT_NEVER;
    return (struct ph_client_retry){.retries = (uint32_t)n, .delay_ms = (uint32_t)number(c, delay)};
}

static bool loops;

static enum ph_err do_new(struct command *c)
{
    const char *protocol = text(c, "protocol"), *why = NULL;
    struct ph_client_options o = {
        .url = text(c, "url"),
        .need_url = text(c, "url") ? NULL : on_need_url,
        .own_loop = loops,
        .no_reconnect = (int)number(c, "noReconnect"),
        .no_rejoin = (int)number(c, "noRejoin"),
        .connected = on_connected,
        .disconnected = on_disconnected,
        .stopped = on_stopped,
        .group_message = on_group_message,
        .group_stream = number(c, "streamsAsMessages") ? NULL : on_group_stream,
        .server_message = on_server_message,
        .rejoin_failed = on_rejoin_failed,
        .resend = retry_options(c, "retries", "retryDelay"),
        .reconnect = {.delay_ms = (uint32_t)number(c, "reconnectDelay"),
                      .backoff = PH_CLIENT_BACKOFF_FIXED},
        .keep_alive_ms = (uint32_t)number(c, "keepAlive"),
        .keep_alive_timeout_ms = (uint32_t)number(c, "keepAliveTimeout"),
        .ack_timeout_ms = (uint32_t)number(c, "ackTimeout"),
        .max_pending = (uint32_t)number(c, "maxPending"),
        .max_queue = number(c, "maxQueue"),
        .max_incoming = (uint32_t)number(c, "maxIncoming"),
        .ca_file = text(c, "caFile"),
        .insecure = (int)number(c, "insecure"),
    };
    enum ph_err err;

    streams_from_start = number(c, "streamsFromStart");
    stream_idle_ms = (uint32_t)number(c, "streamIdle");
    o.protocol = strcmp(protocol, "raw") == 0    ? PH_CLIENT_RAW
                 : strcmp(protocol, "json") == 0 ? PH_CLIENT_JSON
                                                 : PH_CLIENT_RELIABLE;
    err = ph_client_new(&o, &client, &why);
    if (err != PH_OK)
        fprintf(stderr, "new: %s\n", why);
    return err;
}

static enum ph_err do_start(struct command *c)
{
    return ph_client_start(client, done, c->id);
}

static enum ph_err do_stop(struct command *c)
{
    return ph_client_stop(client, done, c->id);
}

static enum ph_err do_url(struct command *c)
{
    return ph_client_give_url(client, text(c, "url"));
}

static enum ph_err do_join(struct command *c)
{
    return ph_client_join_group(client, text(c, "group"), done, c->id);
}

static enum ph_err do_leave(struct command *c)
{
    return ph_client_leave_group(client, text(c, "group"), done, c->id);
}

static enum ph_err do_send(struct command *c)
{
    struct ph_client_send_options o = send_options(c);

    return ph_client_send_to_group(client, text(c, "group"), c->type, c->data.ptr, c->data.len, &o,
                                   done, c->id);
}

static enum ph_err do_event(struct command *c)
{
    struct ph_client_send_options o = send_options(c);

    return ph_client_send_event(client, text(c, "name"), c->type, c->data.ptr, c->data.len, &o,
                                done, c->id);
}

static enum ph_err do_raw(struct command *c)
{
    return ph_client_send(client, c->type, c->data.ptr, c->data.len, done, c->id);
}

static enum ph_err do_invoke(struct command *c)
{
    const struct ph_client_invoke_options o = {.invocation_id = text(c, "invocationId"),
                                               .timeout_ms = (uint32_t)number(c, "timeout")};

    return ph_client_invoke(client, text(c, "name"), c->type, c->data.ptr, c->data.len, &o, done,
                            c->id);
}

static enum ph_err do_cancel(struct command *c)
{
    return ph_client_cancel(client, text(c, "invocationId"));
}

static struct stream *find_stream(const char *id)
{
    for (size_t i = 0; i < MAX_STREAMS; i++) {
        if (strcmp(streams[i].id, id) == 0)
            return &streams[i];
    }
    return NULL;
}

static void forget_stream(struct stream *s)
{
    ph_client_stream_free(s->stream);
    *s = (struct stream){.stream = NULL};
}

static enum ph_err do_open(struct command *c)
{
    const char *id = text(c, "streamId");
    struct stream *s = find_stream(id);
    const struct ph_client_stream_options o = {.stream_id = id,
                                               .idle_timeout_ms =
                                                   (uint32_t)number(c, "idleTimeout"),
                                               .no_echo = (int)number(c, "noEcho"),
                                               .failed = on_stream_failed};

    if (s)
        forget_stream(s); /* it has ended: its id is used again */
    else
        s = find_stream("");
    if (!s)
        return PH_ERR_LIMIT;
    snprintf(s->id, sizeof(s->id), "%s", id);
    return ph_client_open_stream(client, text(c, "group"), &o, &s->stream, done, c->id);
}

static enum ph_err do_write(struct command *c)
{
    struct stream *s = find_stream(text(c, "streamId"));

    return ph_client_stream_write(s->stream, c->type, c->data.ptr, c->data.len, done, c->id);
}

static enum ph_err do_end(struct command *c)
{
    return ph_client_stream_end(find_stream(text(c, "streamId"))->stream, done, c->id);
}

static enum ph_err do_abort(struct command *c)
{
    return ph_client_stream_abort(find_stream(text(c, "streamId"))->stream, text(c, "code"),
                                  text(c, "message"), done, c->id);
}

static const struct {
    const char *name;
    enum ph_err (*run)(struct command *c);
} commands[] = {
    {"new", do_new},     {"start", do_start},   {"stop", do_stop},     {"url", do_url},
    {"join", do_join},   {"leave", do_leave},   {"send", do_send},     {"event", do_event},
    {"raw", do_raw},     {"open", do_open},     {"write", do_write},   {"end", do_end},
    {"abort", do_abort}, {"invoke", do_invoke}, {"cancel", do_cancel},
};

/* An operation that is refused at once ends here; the others in `done`. */
static void run(struct command *c)
{
    const char *name = text(c, "do");
    enum ph_err err = PH_ERR_UNSUPPORTED;

    read_data(c);
    c->id = (void *)(size_t)number(c, "id");
    for (size_t i = 0; name && i < sizeof(commands) / sizeof(*commands); i++) {
        if (strcmp(name, commands[i].name) == 0)
            err = commands[i].run(c);
    }
    if (err != PH_OK)
        done(client,
             &(struct ph_client_result){.err = err, .name = "", .message = ph_strerror(err)},
             c->id);
}

static void run_line(struct str line)
{
    const struct json_limits limits = JSON_LIMITS_DEFAULT;
    struct command c = {.type = PH_DATA_TEXT};
    struct arena arena;
    struct json *json;
    struct diag diag;

    arena__init(&arena, NULL, 0, 4 * MAX_LINE);
    if (json__parse(&arena, line, &limits, &json, &diag) == PH_OK) {
        c.json = json;
        c.arena = &arena;
        run(&c);
    } else {
        fprintf(stderr, "%s\n", diag.text);
    }
    arena__free(&arena);
}

/* --- Two ways to live ------------------------------------------------------------------- */

static bool read_lines(struct buf *pending)
{
    char *room = buf__reserve(pending, 65536), *end;
    ssize_t n = room ? read(STDIN_FILENO, room, 65536) : -1;

    if (n <= 0)
        return false;
    pending->len += (size_t)n;
    while ((end = memchr(pending->data, '\n', pending->len))) {
        size_t len = (size_t)(end - pending->data);

        run_line(str__n(pending->data, len));
        memmove(pending->data, end + 1, pending->len - len - 1);
        pending->len -= len + 1;
    }
    return true;
}

int main(int argc, char **argv)
{
    struct buf pending;
    bool open = true;

    loops = argc > 1 && strcmp(argv[1], "loop") == 0;
    buf__init(&pending, MAX_LINE);
    while (open) {
        struct pollfd fds[] = {
            {.fd = STDIN_FILENO, .events = POLLIN},
            {.fd = loops && client ? ph_client_fd(client) : -1, .events = POLLIN}};

        if (poll(fds, 2, -1) < 0)
            break;
        if (fds[1].revents)
            ph_client_process(client);
        if (fds[0].revents)
            open = read_lines(&pending);
    }
    for (size_t i = 0; i < MAX_STREAMS; i++)
        ph_client_stream_free(streams[i].stream);
    ph_client_free(client);
    buf__free(&pending);
    return 0;
}
