/* listen: an event handler that prints each event it gets. */
#include "bin/pubhook.h"
#include "bin/show.h"
#include "pubhook/app.h"
#include "pubhook/serve.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#define DEFAULT_LISTEN "127.0.0.1:8090"
#define DEFAULT_PATH "/eventhandler"
#define THREADS 4

struct settings {
    struct common common;
    struct values keys, origins, roles, groups;
    const char *path, *record, *user, *subprotocol, *state, *reply_text, *reply_json, *reject_text;
    unsigned reject;
    bool allow_unsigned, echo;
    pthread_mutex_t lock; /* of what follows, and of standard output */
    FILE *file;           /* NULL: not recorded */
    bool broken;          /* an event could not be written */
};

VERB_ADD(add_key, keys, values__add)
VERB_ADD(add_origin, origins, values__add)
VERB_ADD(add_role, roles, values__add)
VERB_ADD(add_group, groups, values__add)
VERB_STRING(set_path, path)
VERB_STRING(set_record, record)
VERB_USER(set_user, user)
VERB_STRING(set_subprotocol, subprotocol)
VERB_STRING(set_state, state)
VERB_STRING(set_reply_text, reply_text)
VERB_STRING(set_reply_json, reply_json)
VERB_STRING(set_reject_text, reject_text)
VERB_NUMBER(set_reject, reject, 400, 599)
VERB_FLAG(set_allow_unsigned, allow_unsigned)
VERB_FLAG(set_echo, echo)

static const struct cli_option options[] = {
    {"path", "PATH", "where events are posted to (default " DEFAULT_PATH ")", set_path},
    {"access-key", "KEY",
     "accept events signed with KEY, besides that of the connection\n"
     "string; may be repeated",
     add_key},
    {"allow-unsigned", NULL, "accept events without checking a signature", set_allow_unsigned},
    {"allowed-origin", "HOST", "service host that may send events; may be repeated (default: any)",
     add_origin},
    {"record", "FILE", "append the events to FILE, for pubhook trigger --recorded", set_record},
    {"reply-text", "TEXT", "answer user events with this text", set_reply_text},
    {"reply-json", "JSON", "answer user events with this JSON value", set_reply_json},
    {"echo", NULL, "answer user events with their own data", set_echo},
    {"reject", "STATUS", "refuse connects and user events with 400 to 599", set_reject},
    {"reject-text", "TEXT", "with --reject: what the answer says", set_reject_text},
    {"user", "ID", "accept clients as this user", set_user},
    {"group", "NAME", "accept clients into this group; may be repeated", add_group},
    {"role", "ROLE", "accept clients with this role; may be repeated", add_role},
    {"subprotocol", "NAME", "accept clients that offer it with this subprotocol", set_subprotocol},
    {"state", "TEXT", "set the connection state", set_state},
    OPTION_CONNECTION_STRING,
    OPTION_OUTPUT,
    OPTION_JSON,
};

/* --- printing ----------------------------------------------------------------------------- */

static struct ph_server *_Atomic running;

static void stop(void)
{
    struct ph_server *server = atomic_load(&running);

    if (server)
        ph_server_stop(server);
}

static void show_attribute(const char *name, const char *value)
{
    if (!value)
        return;
    printf("  %s%s%s ", paint__code(stdout, PAINT_NAME), name, paint__code(stdout, PAINT_END));
    show__text(stdout, str__of(value));
    putchar('\n');
}

static void show_event(const struct ph_event *ev)
{
    printf("%s", paint__code(stdout, PAINT_GOOD));
    show__text(stdout, ev->name);
    printf("%s\n", paint__code(stdout, PAINT_END));
    show_attribute("hub", ph_event_hub(ev));
    show_attribute("connection", ph_event_connection_id(ev));
    show_attribute("user", ph_event_user_id(ev));
    show_attribute("subprotocol", ph_event_subprotocol(ev));
    show_attribute("id", ph_event_id(ev));
    show_attribute("time", ph_event_time(ev));
    show_attribute("origin", ph_event_origin(ev));
    show_attribute("state", ph_event_state(ev));
    for (size_t i = 0; i < ev->metadata.count; i++)
        show_attribute(ev->metadata.items[i].name.ptr, ev->metadata.items[i].value.ptr);
    show_attribute(event__data_type_name(ev->type), "");
    fputs("    ", stdout);
    show__data(stdout, ev->data);
    putchar('\n');
    fflush(stdout);
}

static void write_record(struct settings *s, const struct ph_event *ev)
{
    struct record r;

    record__begin(&r);
    recorded__write(&r, ev);
    if (record__end(&r)) {
        if (s->common.json)
            printf("%s\n", r.text.data);
        if (s->file)
            fprintf(s->file, "%s\n", r.text.data);
        fflush(stdout);
    } else {
        s->broken = true;
    }
    if (s->file && (fflush(s->file) || ferror(s->file)))
        s->broken = true;
    record__free(&r);
}

static void print(struct settings *s, const struct ph_event *ev)
{
    pthread_mutex_lock(&s->lock);
    if (s->common.json || s->file)
        write_record(s, ev);
    if (!s->common.json)
        show_event(ev);
    s->broken |= ferror(stdout) != 0;
    pthread_mutex_unlock(&s->lock);
    if (ferror(stdout)) /* nobody reads any more */
        stop();
}

/* --- answering ----------------------------------------------------------------------------- */

static bool offers(const struct ph_event *ev, const char *subprotocol)
{
    for (size_t i = 0; i < ev->subprotocol_count; i++) {
        if (str__eq(ev->subprotocols[i], str__of(subprotocol)))
            return true;
    }
    return false;
}

static struct ph_reply *accept_client(const struct settings *s, const struct ph_event *ev)
{
    struct ph_reply *reply = ph_reply_accept();

    if (s->user)
        ph_reply_set_user_id(reply, s->user);
    for (size_t i = 0; i < s->groups.count; i++)
        ph_reply_add_group(reply, s->groups.items[i]);
    for (size_t i = 0; i < s->roles.count; i++)
        ph_reply_add_role(reply, s->roles.items[i]);
    if (s->subprotocol && offers(ev, s->subprotocol))
        ph_reply_set_subprotocol(reply, s->subprotocol);
    return reply;
}

static struct ph_reply *answer_user(const struct settings *s, const struct ph_event *ev)
{
    if (s->echo)
        return ph_reply_data(ev->type, ev->data.ptr, ev->data.len);
    if (s->reply_json)
        return ph_reply_json(s->reply_json, strlen(s->reply_json));
    return s->reply_text ? ph_reply_text(s->reply_text, strlen(s->reply_text)) : ph_reply_ok();
}

static struct ph_reply *on_blocking(const struct ph_event *ev, void *arg)
{
    struct settings *s = arg;
    struct ph_reply *reply;

    print(s, ev);
    if (s->reject)
        return ph_reply_reject((int)s->reject, s->reject_text);
    reply = ev->kind == PH_EVENT_CONNECT ? accept_client(s, ev) : answer_user(s, ev);
    if (s->state)
        ph_reply_set_state(reply, s->state);
    return reply;
}

static struct ph_reply *on_notification(const struct ph_event *ev, void *arg)
{
    print(arg, ev);
    return ph_reply_ok();
}

static enum ph_err register_handlers(struct ph_app *app, struct settings *s)
{
    enum ph_err err = ph_app_on_connect(app, NULL, on_blocking, s, NULL);

    if (!err)
        err = ph_app_on_event(app, NULL, "*", on_blocking, s, NULL);
    if (!err)
        err = ph_app_on_connected(app, NULL, on_notification, s, NULL);
    if (!err)
        err = ph_app_on_disconnected(app, NULL, on_notification, s, NULL);
    if (!err)
        err = ph_app_on_joined(app, NULL, on_notification, s, NULL);
    return err ? err : ph_app_on_left(app, NULL, on_notification, s, NULL);
}

/* --- running --------------------------------------------------------------------------------- */

static void on_signal(int number)
{
    (void)number;
    stop();
}

static void catch_signals(struct ph_server *server)
{
    atomic_store(&running, server);
    cli__on_end(on_signal);
}

static int say_ready(const struct settings *s, const char *address)
{
    struct record r;

    if (!s->common.json) {
        printf("ready %s\n", address);
        fflush(stdout);
        return EXIT_SUCCESS;
    }
    record__begin(&r);
    record__text(&r, "ready", str__of(address));
    return common__print(&s->common, &r);
}

static int serve(struct settings *s, struct ph_app *app)
{
    const char *where = s->common.operand_count > 0 ? s->common.operands[0] : DEFAULT_LISTEN;
    struct ph_server *server;
    const char *why;
    enum ph_err err = ph_serve_http(app, where, THREADS, &server, &why);

    if (err == PH_ERR_ARGUMENT)
        return common__wrong(&s->common, "%s", why);
    if (err)
        return common__fail(&s->common, "%s", why);
    catch_signals(server);
    say_ready(s, ph_server_address(server));
    ph_server_wait(server);
    atomic_store(&running, NULL);
    ph_server_free(server);
    return s->broken ? common__fail(&s->common, "not every event could be written") : EXIT_SUCCESS;
}

static int configure(struct settings *s, struct ph_app *app)
{
    enum ph_err err = ph_app_set_path(app, s->path ? s->path : DEFAULT_PATH);
    const char *text = common__connection_string(&s->common), *why;

    if (err)
        return common__wrong(&s->common, "--path: \"%s\" is no path", s->path);
    for (size_t i = 0; !err && i < s->keys.count; i++)
        err = ph_app_add_key(app, s->keys.items[i]);
    if (err)
        return common__wrong(&s->common, "--access-key: the key is empty");
    for (size_t i = 0; !err && i < s->origins.count; i++)
        err = ph_app_allow_origin(app, s->origins.items[i]);
    if (err)
        return common__wrong(&s->common, "--allowed-origin: no host name");
    if (text && ph_app_use_connection_string(app, text))
        return common__wrong(&s->common, "the connection string is malformed, expected "
                                         "Endpoint=...;AccessKey=...;Version=1.0;");
    if (s->allow_unsigned)
        ph_app_allow_unsigned(app);
    if (!err)
        err = register_handlers(app, s);
    if (err)
        return common__fail(&s->common, "%s", ph_strerror(err));
    return ph_app_check(app, &why) ? common__wrong(&s->common, "%s", why) : EXIT_SUCCESS;
}

static int check_options(const struct settings *s)
{
    int replies = (s->echo ? 1 : 0) + (s->reply_text ? 1 : 0) + (s->reply_json ? 1 : 0);
    struct diag diag = {""};

    if (replies > 1 || (replies > 0 && s->reject))
        return common__wrong(&s->common,
                             "--echo, --reply-text, --reply-json and --reject exclude each other");
    if (s->reject_text && !s->reject)
        return common__wrong(&s->common, "--reject-text goes with --reject STATUS");
    if (s->reply_json && json__check(str__of(s->reply_json), 64, &diag))
        return common__wrong(&s->common, "--reply-json: %s", diag.text);
    return EXIT_SUCCESS;
}

static int listen_with(struct settings *s, struct ph_app *app, struct ph_log *log)
{
    int status = check_options(s);

    ph_app_set_log(app, log);
    if (!status)
        status = configure(s, app);
    if (status)
        return status;
    if (s->record && !(s->file = fopen(s->record, "ae")))
        return common__fail(&s->common, "%s: %s", s->record, strerror(errno));
    status = serve(s, app);
    if (s->file)
        fclose(s->file);
    return status;
}

static int run(void *settings)
{
    struct settings *s = settings;
    struct ph_app *app = ph_app_new();
    struct ph_log *log = ph_log_new(PH_LOG_WARN, s->common.json ? PH_LOG_JSON : PH_LOG_TEXT);
    int status = EXIT_FAILURE;

    pthread_mutex_init(&s->lock, NULL);
    if (app && log)
        status = listen_with(s, app, log);
    else
        common__fail(&s->common, "%s", ph_strerror(PH_ERR_MEMORY));
    ph_app_free(app);
    ph_log_free(log);
    pthread_mutex_destroy(&s->lock);
    return status;
}

const struct verb verb_listen = {
    .name = "listen",
    .operands = "[HOST:PORT]",
    .summary = "run an event handler that prints each event it gets",
    .about =
        "Listens on " DEFAULT_LISTEN " unless told otherwise; port 0 takes a free one. Prints\n"
        "\"ready\" and the URL for the settings of the service, and then the events. Refused\n"
        "requests are logged to standard error. SIGINT and SIGTERM end it.",
    .examples = "  pubhook listen\n"
                "  pubhook listen 127.0.0.1:0 --allow-unsigned --json | jq .data\n"
                "  pubhook listen --record events.jsonl --echo",
    PUBHOOK_OPTIONS(options),
    .settings_size = sizeof(struct settings),
    .run = run,
};
