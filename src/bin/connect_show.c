/* connect: what is printed, for people and as JSON. */
#include "bin/connect.h"
#include "bin/show.h"
#include "event/event.h"

#include <stdlib.h>

void connect__prompt(const struct settings *s)
{
    if (!s->prompts || s->stopping)
        return;
    printf("%s>%s ", paint__code(stdout, PAINT_FAINT), paint__code(stdout, PAINT_END));
    fflush(stdout);
}

void connect__begin_line(const struct settings *s)
{
    if (s->prompts)
        fputs("\r\x1b[K", stdout);
}

void connect__end_line(const struct settings *s)
{
    putchar('\n');
    fflush(stdout);
    connect__prompt(s);
}

/* Raw data for another program: nothing but that goes out. */
static bool is_plain(const struct settings *s)
{
    return s->protocol == PH_CLIENT_RAW && !s->prompts && !s->common.json && !s->frames;
}

static void begin_object(struct record *r, const char *event)
{
    record__begin(r);
    record__text(r, "event", str__of(event));
}

static void record_data(struct record *r, enum ph_data_type type, struct str data)
{
    record__text(r, "dataType", str__of(event__data_type_name(type)));
    if (type == PH_DATA_JSON)
        record__raw(r, "data", data);
    else
        record__text(r, "data", data);
}

/* One word and what belongs to it, in a line of its own. */
static void say(const struct settings *s, enum paint paint, const char *word, struct str text)
{
    connect__begin_line(s);
    printf("%s%s%s%s", paint__code(stdout, paint), word, paint__code(stdout, PAINT_END),
           text.len > 0 ? " " : "");
    show__data(stdout, text);
    connect__end_line(s);
}

void connect__on_connected(struct ph_client *client, const char *connection_id, const char *user_id,
                           void *arg)
{
    const struct settings *s = arg;
    struct record r;

    (void)client;
    if (is_plain(s))
        return;
    if (!s->common.json) {
        connect__begin_line(s);
        printf("%sconnected%s ", paint__code(stdout, PAINT_GOOD), paint__code(stdout, PAINT_END));
        show__text(stdout, str__of(connection_id ? connection_id : ""));
        fputs(user_id ? " as " : "", stdout);
        show__text(stdout, str__of(user_id));
        connect__end_line(s);
        return;
    }
    begin_object(&r, "connected");
    if (connection_id && *connection_id)
        record__text(&r, "connectionId", str__of(connection_id));
    if (user_id)
        record__text(&r, "userId", str__of(user_id));
    common__print(&s->common, &r);
}

void connect__on_disconnected(struct ph_client *client, const char *connection_id,
                              const char *reason, void *arg)
{
    const struct settings *s = arg;
    struct record r;

    (void)client, (void)connection_id;
    if (s->stopping || is_plain(s))
        return;
    if (!s->common.json) {
        say(s, PAINT_BAD, "disconnected", str__of(reason ? reason : ""));
        return;
    }
    begin_object(&r, "disconnected");
    if (reason)
        record__text(&r, "reason", str__of(reason));
    common__print(&s->common, &r);
}

static void show_end_of_stream(const struct ph_client_fragment *f)
{
    fputs(f->error_name ? "failed: " : "ended", stdout);
    show__text(stdout, str__of(f->error_name));
    fputs(f->error_message && *f->error_message ? ": " : "", stdout);
    show__text(stdout, str__of(f->error_message));
}

static void show_message(const struct settings *s, const struct ph_client_message *m)
{
    connect__begin_line(s);
    fputs(paint__code(stdout, PAINT_NAME), stdout);
    fputs(m->group ? "group " : "server", stdout);
    show__text(stdout, str__of(m->group));
    fputs(m->fragment ? " stream " : "", stdout);
    show__text(stdout, str__of(m->fragment ? m->fragment->stream_id : NULL));
    fputs(paint__code(stdout, PAINT_END), stdout);
    if (m->from_user_id && *m->from_user_id) {
        fputs(" from ", stdout);
        show__text(stdout, str__of(m->from_user_id));
    }
    if (!m->fragment || !m->fragment->end || m->len > 0) {
        fputs(": ", stdout);
        show__data(stdout, str__n(m->data, m->len));
    }
    if (m->fragment && m->fragment->end) {
        putchar(' ');
        show_end_of_stream(m->fragment);
    }
    connect__end_line(s);
}

static void record_text(struct record *r, const char *name, const char *value)
{
    if (value)
        record__text(r, name, str__of(value));
}

/* With the names of the protocol (client-and-rest section 2.4). */
static void record_fragment(struct record *r, const struct ph_client_fragment *f)
{
    record__open(r, "stream", '{');
    record__text(r, "streamId", str__of(f->stream_id));
    record__number(r, "streamSequenceId", f->sequence_id);
    record__bool(r, "endOfStream", f->end);
    if (f->error_name) {
        record__open(r, "error", '{');
        record__text(r, "name", str__of(f->error_name));
        record_text(r, "message", f->error_message);
        record_text(r, "userErrorCode", f->user_error_code);
        record__close(r, '}');
    }
    record__close(r, '}');
}

static void record_metadata(struct record *r, const struct ph_client_message *m)
{
    record__open(r, "metadata", '{');
    for (size_t i = 0; i < m->metadata_count; i++)
        record__text(r, m->metadata[i].name, str__of(m->metadata[i].value));
    record__close(r, '}');
}

static void record_message(const struct settings *s, const struct ph_client_message *m)
{
    struct record r;

    begin_object(&r, "message");
    record__text(&r, "from", m->group ? STR("group") : STR("server"));
    record_text(&r, "group", m->group);
    if (m->from_user_id && *m->from_user_id)
        record__text(&r, "fromUserId", str__of(m->from_user_id));
    if (!m->fragment || !m->fragment->end || m->len > 0)
        record_data(&r, m->type, str__n(m->data, m->len));
    if (m->sequence_id)
        record__number(&r, "sequenceId", m->sequence_id);
    if (m->metadata_count > 0)
        record_metadata(&r, m);
    if (m->fragment)
        record_fragment(&r, m->fragment);
    common__print(&s->common, &r);
}

static void show_plain(const struct ph_client_message *m)
{
    fwrite(m->data, 1, m->len, stdout);
    putchar('\n');
    fflush(stdout);
}

void connect__on_message(struct ph_client *client, const struct ph_client_message *m, void *arg)
{
    const struct settings *s = arg;

    (void)client;
    if (s->common.json)
        record_message(s, m);
    else if (is_plain(s))
        show_plain(m);
    else
        show_message(s, m);
}

void connect__on_frame(struct ph_client *client, int outgoing, int binary, const char *frame,
                       size_t len, void *arg)
{
    const struct settings *s = arg;
    struct record r;

    (void)client;
    if (!s->common.json) {
        say(s, PAINT_FAINT, outgoing ? "-->" : "<--", str__n(frame, len));
        return;
    }
    begin_object(&r, "frame");
    record__text(&r, "direction", outgoing ? STR("out") : STR("in"));
    record__bool(&r, "binary", binary);
    record__text(&r, "frame", str__n(frame, len));
    common__print(&s->common, &r);
}

/* --- What came of a command ---------------------------------------------------------- */

/* What the service calls it, or what the library does. */
static struct str name_of(const struct ph_client_result *result)
{
    if (!result->err || *result->name)
        return str__of(result->name);
    return str__of(*result->message ? "" : ph_strerror(result->err));
}

static void show_problem(const struct ph_client_result *result)
{
    fputs(name_of(result).len > 0 ? ": " : "", stdout);
    show__text(stdout, name_of(result));
    fputs(*result->message ? ": " : "", stdout);
    show__text(stdout, str__of(result->message));
}

static void show_result(struct settings *s, const char *command,
                        const struct ph_client_result *result)
{
    connect__begin_line(s);
    printf("%s%s%s ", paint__code(stdout, result->err ? PAINT_BAD : PAINT_GOOD),
           result->err ? "failed" : "done", paint__code(stdout, PAINT_END));
    show__text(stdout, str__of(command));
    if (result->err) {
        show_problem(result);
    } else if (result->data) {
        printf(": ");
        show__data(stdout, str__n(result->data, result->len));
    }
    connect__end_line(s);
}

static void record_problem(struct record *r, const struct ph_client_result *result)
{
    record__text(r, "name", str__of(*result->name ? result->name : ph_strerror(result->err)));
    record__text(r, "message", str__of(result->message));
}

static void record_result(const struct settings *s, const char *command,
                          const struct ph_client_result *result)
{
    struct record r;

    begin_object(&r, "done");
    record__text(&r, "command", str__of(command));
    record__bool(&r, "success", result->err == PH_OK);
    if (result->err)
        record_problem(&r, result);
    if (result->data)
        record_data(&r, result->type, str__n(result->data, result->len));
    common__print(&s->common, &r);
}

void connect__report(struct settings *s, const char *command, const struct ph_client_result *result)
{
    s->failed |= result->err != PH_OK;
    if (s->common.json)
        record_result(s, command, result);
    else if (s->protocol != PH_CLIENT_RAW || result->err)
        show_result(s, command, result);
}

void connect__refuse(struct settings *s, const char *command, enum ph_err err, const char *message)
{
    connect__report(s, command,
                    &(struct ph_client_result){.err = err, .name = "", .message = message});
}

void connect__report_stream(struct settings *s, const char *stream_id,
                            const struct ph_client_result *result)
{
    struct record r;

    s->failed = true;
    if (!s->common.json) {
        connect__begin_line(s);
        printf("%sstream%s ", paint__code(stdout, PAINT_BAD), paint__code(stdout, PAINT_END));
        show__text(stdout, str__of(stream_id));
        show_problem(result);
        connect__end_line(s);
        return;
    }
    begin_object(&r, "stream-failed");
    record__text(&r, "streamId", str__of(stream_id));
    record_problem(&r, result);
    common__print(&s->common, &r);
}
