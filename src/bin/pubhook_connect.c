/* connect: a client on the terminal, or behind a pipe. */
#include "bin/pubhook.h"
#include "bin/show.h"
#include "event/event.h"
#include "pubhook/client.h"
#include "pubhook/token.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#define MAX_LINE (2u << 20) /* the library refuses what is more than the service takes */
#define MAX_WAITING 256     /* commands without an answer; more are not read yet */
#define READ_SIZE 16384
#define MAX_MINUTES (366u * 24 * 60)

struct settings {
    struct common common;
    const char *user, *ca_file;
    struct values roles, groups, joins;
    unsigned minutes;
    enum ph_client_subprotocol protocol;
    bool frames, stay;
    /* while it runs */
    struct ph_client *client;
    struct buf input;  /* what was read and is no line yet */
    bool prompts;      /* somebody types */
    bool end_of_input; /* also after quit */
    bool tried;        /* the first connection is there, or failed */
    bool stopping, stopped, failed;
    size_t waiting; /* commands without an answer */
};

/* A command that waits for its answer. */
struct command {
    struct settings *settings;
    char *text; /* as it was typed */
};

/* --- options --------------------------------------------------------------------------- */

static enum ph_err set_protocol(void *settings, const char *value, struct diag *diag)
{
    static const char *const names[] = {[PH_CLIENT_RELIABLE] = "reliable",
                                        [PH_CLIENT_JSON] = "json",
                                        [PH_CLIENT_RAW] = "raw",
                                        NULL};
    struct settings *s = settings;
    unsigned at = s->protocol;
    enum ph_err err = cli__choice(value, names, &at, diag);

    s->protocol = (enum ph_client_subprotocol)at;
    return err;
}

VERB_STRING(set_user, user)
VERB_STRING(set_ca_file, ca_file)
VERB_ADD(add_role, roles, values__add)
VERB_ADD(add_group, groups, values__add)
VERB_ADD(add_join, joins, values__add)
VERB_NUMBER(set_minutes, minutes, 1, MAX_MINUTES)
VERB_FLAG(set_frames, frames)
VERB_FLAG(set_stay, stay)

static const struct cli_option options[] = {
    {"protocol", "NAME",
     "reliable (default), json, or raw: each line is sent as it is,\n"
     "and data is printed as it comes",
     set_protocol},
    {"user", "ID", "with HUB: connect as this user (default: anonymous)", set_user},
    {"role", "ROLE",
     "with HUB: a role; may be repeated (default: those to join, leave\n"
     "and send to any group)",
     add_role},
    {"group", "NAME", "with HUB: a group of the token; may be repeated", add_group},
    {"minutes", "N", "with HUB: lifetime of the token (default 60)", set_minutes},
    {"join", "GROUP", "join a group first; may be repeated", add_join},
    {"frames", NULL, "show every frame that comes and goes", set_frames},
    {"stay", NULL, "at the end of the input, go on until SIGINT or SIGTERM", set_stay},
    {"ca-file", "FILE", "certificates of issuers that are trusted besides the system's",
     set_ca_file},
    OPTION_CONNECTION_STRING,
    OPTION_OUTPUT,
    OPTION_JSON,
};

/* --- what is printed ----------------------------------------------------------------------- */

/* A person who types sees the prompt again behind what came in between. */
static void prompt(const struct settings *s)
{
    if (!s->prompts || s->stopping)
        return;
    printf("%s>%s ", paint__code(stdout, PAINT_FAINT), paint__code(stdout, PAINT_END));
    fflush(stdout);
}

static void begin_line(const struct settings *s)
{
    if (s->prompts)
        fputs("\r\x1b[K", stdout);
}

static void end_line(const struct settings *s)
{
    putchar('\n');
    fflush(stdout);
    prompt(s);
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
    begin_line(s);
    printf("%s%s%s%s", paint__code(stdout, paint), word, paint__code(stdout, PAINT_END),
           text.len > 0 ? " " : "");
    show__data(stdout, text);
    end_line(s);
}

static void on_connected(struct ph_client *client, const char *connection_id, const char *user_id,
                         void *arg)
{
    const struct settings *s = arg;
    struct record r;

    (void)client;
    if (is_plain(s))
        return;
    if (!s->common.json) {
        begin_line(s);
        printf("%sconnected%s ", paint__code(stdout, PAINT_GOOD), paint__code(stdout, PAINT_END));
        show__text(stdout, str__of(connection_id ? connection_id : ""));
        fputs(user_id ? " as " : "", stdout);
        show__text(stdout, str__of(user_id));
        end_line(s);
        return;
    }
    begin_object(&r, "connected");
    if (connection_id && *connection_id)
        record__text(&r, "connectionId", str__of(connection_id));
    if (user_id)
        record__text(&r, "userId", str__of(user_id));
    common__print(&s->common, &r);
}

static void on_disconnected(struct ph_client *client, const char *connection_id, const char *reason,
                            void *arg)
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

static void on_stopped(struct ph_client *client, void *arg)
{
    struct settings *s = arg;

    (void)client;
    s->stopped = true;
}

static void show_message(const struct settings *s, const struct ph_client_message *m)
{
    begin_line(s);
    fputs(paint__code(stdout, PAINT_NAME), stdout);
    fputs(m->group ? "group " : "server", stdout);
    show__text(stdout, str__of(m->group));
    fputs(paint__code(stdout, PAINT_END), stdout);
    if (m->from_user_id && *m->from_user_id) {
        fputs(" from ", stdout);
        show__text(stdout, str__of(m->from_user_id));
    }
    fputs(": ", stdout);
    show__data(stdout, str__n(m->data, m->len));
    end_line(s);
}

static void record_message(const struct settings *s, const struct ph_client_message *m)
{
    struct record r;

    begin_object(&r, "message");
    record__text(&r, "from", m->group ? STR("group") : STR("server"));
    if (m->group)
        record__text(&r, "group", str__of(m->group));
    if (m->from_user_id && *m->from_user_id)
        record__text(&r, "fromUserId", str__of(m->from_user_id));
    record_data(&r, m->type, str__n(m->data, m->len));
    if (m->sequence_id)
        record__number(&r, "sequenceId", m->sequence_id);
    if (m->metadata_count > 0)
        record__open(&r, "metadata", '{');
    for (size_t i = 0; i < m->metadata_count; i++)
        record__text(&r, m->metadata[i].name, str__of(m->metadata[i].value));
    if (m->metadata_count > 0)
        record__close(&r, '}');
    if (m->fragment)
        record__text(&r, "streamId", str__of(m->fragment->stream_id));
    common__print(&s->common, &r);
}

static void show_plain(const struct ph_client_message *m)
{
    fwrite(m->data, 1, m->len, stdout);
    putchar('\n');
    fflush(stdout);
}

static void on_message(struct ph_client *client, const struct ph_client_message *m, void *arg)
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

static void on_frame(struct ph_client *client, int outgoing, int binary, const char *frame,
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

/* --- what came of a command ------------------------------------------------------------------ */

/* What the service calls it, or what the library does. */
static struct str name_of(const struct ph_client_result *result)
{
    if (!result->err || *result->name)
        return str__of(result->name);
    return str__of(*result->message ? "" : ph_strerror(result->err));
}

static void show_result(struct settings *s, const char *command,
                        const struct ph_client_result *result)
{
    begin_line(s);
    printf("%s%s%s ", paint__code(stdout, result->err ? PAINT_BAD : PAINT_GOOD),
           result->err ? "failed" : "done", paint__code(stdout, PAINT_END));
    show__text(stdout, str__of(command));
    if (result->err) {
        fputs(name_of(result).len > 0 ? ": " : "", stdout);
        show__text(stdout, name_of(result));
        fputs(*result->message ? ": " : "", stdout);
        show__text(stdout, str__of(result->message));
    } else if (result->data) {
        printf(": ");
        show__data(stdout, str__n(result->data, result->len));
    }
    end_line(s);
}

static void record_result(const struct settings *s, const char *command,
                          const struct ph_client_result *result)
{
    struct record r;

    begin_object(&r, "done");
    record__text(&r, "command", str__of(command));
    record__bool(&r, "success", result->err == PH_OK);
    if (result->err) {
        record__text(&r, "name", str__of(*result->name ? result->name : ph_strerror(result->err)));
        record__text(&r, "message", str__of(result->message));
    }
    if (result->data)
        record_data(&r, result->type, str__n(result->data, result->len));
    common__print(&s->common, &r);
}

static void report(struct settings *s, const char *command, const struct ph_client_result *result)
{
    s->failed |= result->err != PH_OK;
    if (s->common.json)
        record_result(s, command, result);
    else if (s->protocol != PH_CLIENT_RAW || result->err)
        show_result(s, command, result);
}

/* Of one that was not even accepted. */
static void refuse(struct settings *s, const char *command, enum ph_err err, const char *message)
{
    report(s, command, &(struct ph_client_result){.err = err, .name = "", .message = message});
}

static void command_done(struct ph_client *client, const struct ph_client_result *result, void *arg)
{
    struct command *c = arg;

    (void)client;
    c->settings->waiting--;
    report(c->settings, c->text, result);
    free(c->text);
    free(c);
}

/* --- commands ------------------------------------------------------------------------------------
 */

/* What follows the verb: its first word, or what stands in quotes, and the rest. */
struct words {
    struct settings *settings;
    char *name;
    struct str data;
};

typedef enum ph_err command_fn(const struct words *w, enum ph_data_type type, struct command *c);

static enum ph_err do_join(const struct words *w, enum ph_data_type type, struct command *c)
{
    (void)type;
    return ph_client_join_group(w->settings->client, w->name, command_done, c);
}

static enum ph_err do_leave(const struct words *w, enum ph_data_type type, struct command *c)
{
    (void)type;
    return ph_client_leave_group(w->settings->client, w->name, command_done, c);
}

static enum ph_err do_send(const struct words *w, enum ph_data_type type, struct command *c)
{
    return ph_client_send_to_group(w->settings->client, w->name, type, w->data.ptr, w->data.len,
                                   NULL, command_done, c);
}

static enum ph_err do_event(const struct words *w, enum ph_data_type type, struct command *c)
{
    return ph_client_send_event(w->settings->client, w->name, type, w->data.ptr, w->data.len, NULL,
                                command_done, c);
}

static enum ph_err do_invoke(const struct words *w, enum ph_data_type type, struct command *c)
{
    return ph_client_invoke(w->settings->client, w->name, type, w->data.ptr, w->data.len, NULL,
                            command_done, c);
}

static const struct {
    const char *name, *form, *help;
    enum ph_data_type type;
    command_fn *run;
} commands[] = {
    {"join", "join GROUP", "join a group", PH_DATA_TEXT, do_join},
    {"leave", "leave GROUP", "leave a group", PH_DATA_TEXT, do_leave},
    {"send", "send GROUP TEXT", "send text to a group", PH_DATA_TEXT, do_send},
    {"send-json", "send-json GROUP JSON", "send a JSON value to a group", PH_DATA_JSON, do_send},
    {"event", "event NAME TEXT", "send an event to the event handler", PH_DATA_TEXT, do_event},
    {"event-json", "event-json NAME JSON", "the same with a JSON value", PH_DATA_JSON, do_event},
    {"invoke", "invoke NAME TEXT", "ask the event handler and wait for its answer", PH_DATA_TEXT,
     do_invoke},
    {"invoke-json", "invoke-json NAME JSON", "the same with a JSON value", PH_DATA_JSON, do_invoke},
};

#define COMMAND_COUNT (sizeof(commands) / sizeof(*commands))
#define EXPECTED                                                                                   \
    "expected join, leave, send, send-json, event, event-json, invoke, invoke-json, help or quit"

/* Takes a word off *rest, with a NUL behind it; NULL when there is none. */
static char *take_word(char **rest)
{
    char *word, end = ' ';

    *rest += strspn(*rest, " \t");
    if (**rest == '"') {
        ++*rest;
        end = '"';
    }
    word = *rest;
    *rest += strcspn(*rest, end == '"' ? "\"" : " \t");
    if (**rest != '\0')
        *(*rest)++ = '\0';
    if (end == '"' && (**rest == ' ' || **rest == '\t'))
        ++*rest; /* as behind a word without quotes */
    return *word ? word : NULL;
}

static void list_commands(const struct settings *s)
{
    begin_line(s);
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        printf("%-24s %s\n", commands[i].form, commands[i].help);
    printf("%-24s %s\n%-24s %s\n", "help", "print this", "quit", "end; so does the end of input");
    fflush(stdout);
    prompt(s);
}

static enum ph_err run_command(struct settings *s, size_t number, char *rest, struct command *c)
{
    struct words words = {.settings = s, .name = take_word(&rest)};

    if (!words.name)
        return PH_ERR_ARGUMENT;
    words.data = str__of(rest);
    return commands[number].run(&words, commands[number].type, c);
}

static const char *problem_of(enum ph_err err, size_t number)
{
    return err == PH_ERR_ARGUMENT ? commands[number].form : ph_strerror(err);
}

static struct command *new_command(struct settings *s, const char *line)
{
    struct command *c = malloc(sizeof(*c));

    if (c)
        *c = (struct command){s, strdup(line)};
    if (c && c->text)
        return c;
    free(c);
    return NULL;
}

/* What `err` says of a call that took the command, or did not. */
static void started(struct settings *s, struct command *c, enum ph_err err, const char *why)
{
    s->waiting++;
    if (err == PH_OK)
        return;
    s->waiting--;
    refuse(s, c->text, err, why);
    free(c->text);
    free(c);
}

static void run_line(struct settings *s, char *line)
{
    struct command *c = new_command(s, line);
    char *rest = line, *verb = take_word(&rest);

    if (!c) {
        refuse(s, line, PH_ERR_MEMORY, "");
        return;
    }
    for (size_t i = 0; verb && i < COMMAND_COUNT; i++) {
        if (strcmp(commands[i].name, verb) == 0) {
            enum ph_err err = run_command(s, i, rest, c);

            started(s, c, err, problem_of(err, i));
            return;
        }
    }
    refuse(s, c->text, PH_ERR_ARGUMENT, EXPECTED);
    free(c->text);
    free(c);
}

static void send_raw(struct settings *s, const char *line)
{
    struct command *c = new_command(s, line);
    enum ph_err err;

    if (!c) {
        refuse(s, line, PH_ERR_MEMORY, "");
        return;
    }
    err = ph_client_send(s->client, PH_DATA_TEXT, line, strlen(line), command_done, c);
    started(s, c, err, ph_strerror(err));
}

static void on_line(struct settings *s, char *line)
{
    if (s->protocol == PH_CLIENT_RAW)
        send_raw(s, line);
    else if (strcmp(line, "quit") == 0)
        s->end_of_input = true;
    else if (strcmp(line, "help") == 0)
        list_commands(s);
    else if (line[strspn(line, " \t")] != '\0')
        run_line(s, line);
    prompt(s);
}

/* --- input
 * ------------------------------------------------------------------------------------------ */

static bool reads(const struct settings *s)
{
    return !s->end_of_input && !s->stopping && s->waiting < MAX_WAITING;
}

/* Whole lines, as long as there is room for commands. */
static void take_lines(struct settings *s)
{
    char *newline;

    while (reads(s) && s->input.len > 0 &&
           (newline = memchr(s->input.data, '\n', s->input.len)) != NULL) {
        size_t len = (size_t)(newline - s->input.data);
        char *line = strndup(s->input.data, len);

        memmove(s->input.data, newline + 1, s->input.len - len - 1);
        s->input.len -= len + 1;
        if (line)
            on_line(s, line);
        else
            refuse(s, "", PH_ERR_MEMORY, "");
        free(line);
    }
}

/* The last line may have no end. */
static void at_end(struct settings *s)
{
    if (s->input.len > 0)
        buf__byte(&s->input, '\n');
    take_lines(s);
    s->end_of_input = s->input.len == 0;
}

static void read_input(struct settings *s)
{
    char part[READ_SIZE];
    ssize_t n = read(STDIN_FILENO, part, sizeof(part));

    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    if (n <= 0) {
        at_end(s);
        return;
    }
    buf__append(&s->input, part, (size_t)n);
    if (s->input.failed) {
        refuse(s, "", PH_ERR_LIMIT, "the line is too long");
        s->end_of_input = true;
    }
    take_lines(s);
}

/* --- running
 * -------------------------------------------------------------------------------------------- */

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
    (void)number;
    interrupted = 1;
}

/* Only while it waits; a second signal of the same kind ends the program at once. */
static void catch_signals(sigset_t *while_waiting)
{
    struct sigaction sa = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};
    sigset_t blocked;

    sigemptyset(&sa.sa_mask);
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGINT);
    sigaddset(&blocked, SIGTERM);
    sigprocmask(SIG_BLOCK, &blocked, while_waiting);
    sigaction(SIGINT, &sa, NULL);
    sigaction(SIGTERM, &sa, NULL);
    sigdelset(while_waiting, SIGINT);
    sigdelset(while_waiting, SIGTERM);
}

static bool is_over(const struct settings *s)
{
    if (interrupted || ferror(stdout)) /* nobody reads any more */
        return true;
    return s->tried && s->end_of_input && s->waiting == 0 && !s->stay;
}

static void stop_done(struct ph_client *client, const struct ph_client_result *result, void *arg)
{
    struct settings *s = arg;

    (void)client, (void)result;
    s->stopped = true;
}

static void loop(struct settings *s)
{
    sigset_t while_waiting;

    catch_signals(&while_waiting);
    while (!s->stopped) {
        struct pollfd fds[] = {{ph_client_fd(s->client), POLLIN, 0},
                               {reads(s) ? STDIN_FILENO : -1, POLLIN, 0}};

        if (is_over(s) && !s->stopping) {
            s->stopping = true;
            if (ph_client_stop(s->client, stop_done, s))
                return;
        }
        if (ppoll(fds, 2, NULL, s->stopped ? NULL : &while_waiting) < 0)
            continue;
        if (fds[1].revents)
            read_input(s);
        ph_client_process(s->client);
        take_lines(s);
    }
}

static void start_done(struct ph_client *client, const struct ph_client_result *result, void *arg)
{
    struct settings *s = arg;

    (void)client;
    s->tried = true;
    if (result->err == PH_OK || s->stopping)
        return;
    s->stopped = s->failed = true;
    common__fail(&s->common, "cannot connect: %s%s%s", ph_strerror(result->err),
                 *result->message ? ": " : "", result->message);
}

static void join_first(struct settings *s)
{
    for (size_t i = 0; i < s->joins.count; i++) {
        const char *group = s->joins.items[i];
        struct command *c = new_command(s, group);
        enum ph_err err;

        if (!c) {
            refuse(s, group, PH_ERR_MEMORY, "");
            continue;
        }
        err = ph_client_join_group(s->client, group, command_done, c);
        started(s, c, err, ph_strerror(err));
    }
}

/* --- where to
 * -------------------------------------------------------------------------------------------------
 */

static bool is_url(const char *text)
{
    return strstr(text, "://") != NULL;
}

/* A new token for each connection: the last one may have expired. */
static void need_url(struct ph_client *client, void *arg)
{
    static const char *const all_roles[] = {"webpubsub.joinLeaveGroup", "webpubsub.sendToGroup",
                                            NULL};
    const struct settings *s = arg;
    const struct ph_token_options token = {
        .user_id = s->user,
        .roles = s->roles.count > 0 ? s->roles.items : all_roles,
        .groups = s->groups.items,
        .minutes = s->minutes,
    };
    char *url = NULL;

    ph_client_access_url(common__connection_string(&s->common), s->common.operands[0], &token,
                         &url);
    ph_client_give_url(client, url);
    ph_token_free(url);
}

static int check(const struct settings *s)
{
    const char *where = s->common.operands[0];
    struct connection_string service;
    char *url;
    int status;

    if (is_url(where))
        return s->user || s->roles.count > 0 || s->groups.count > 0 || s->minutes
                   ? common__wrong(&s->common, "--user, --role, --group and --minutes go with HUB: "
                                               "a URL has its token")
                   : EXIT_SUCCESS;
    status = common__service(&s->common, &service);
    if (status)
        return status;
    if (ph_client_access_url(common__connection_string(&s->common), where, NULL, &url))
        return common__wrong(&s->common, "\"%s\" is no name of a hub and no URL", where);
    ph_token_free(url);
    return EXIT_SUCCESS;
}

static int run_client(struct settings *s)
{
    if (ph_client_start(s->client, start_done, s))
        return common__fail(&s->common, "%s", ph_strerror(PH_ERR_MEMORY));
    join_first(s);
    loop(s);
    return s->failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int run(void *settings)
{
    struct settings *s = settings;
    struct ph_client_options options_of_client = {
        .protocol = s->protocol,
        .own_loop = 1,
        .connected = on_connected,
        .disconnected = on_disconnected,
        .stopped = on_stopped,
        .server_message = on_message,
        .group_message = on_message,
        .trace = s->frames ? on_frame : NULL,
        .ca_file = s->ca_file,
        .arg = s,
    };
    const char *why;
    int status = check(s);

    if (status)
        return status;
    if (is_url(s->common.operands[0]))
        options_of_client.url = s->common.operands[0];
    else
        options_of_client.need_url = need_url;
    if (s->protocol == PH_CLIENT_RAW && s->joins.count > 0)
        return common__wrong(&s->common, "--join needs a subprotocol: json or reliable");
    if (ph_client_new(&options_of_client, &s->client, &why))
        return common__wrong(&s->common, "%s", why);
    buf__init(&s->input, MAX_LINE);
    s->prompts = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) && !s->common.json;
    status = run_client(s);
    ph_client_free(s->client);
    buf__free(&s->input);
    return status;
}

const struct verb verb_connect = {
    .name = "connect",
    .operands = "HUB|URL",
    .summary = "be a client: join, leave, send, invoke, and see what comes",
    .about = "Reads commands, one a line, from the terminal or a pipe: join GROUP, leave GROUP,\n"
             "send GROUP TEXT, send-json GROUP JSON, event NAME TEXT, event-json NAME JSON,\n"
             "invoke NAME TEXT, invoke-json NAME JSON, help, quit. A name with blanks goes in\n"
             "double quotes. At the end of the input it waits for the answers and ends, with\n"
             "status 1 if a command failed. (Raw frames have no answers: use --stay.)",
    .examples = "  pubhook connect chat --user alice --frames\n"
                "  printf 'join lobby\\nsend lobby hello\\n' | pubhook connect chat\n"
                "  pubhook connect chat --join lobby --stay --json </dev/null | jq .data",
    PUBHOOK_OPTIONS(options),
    .settings_size = sizeof(struct settings),
    .run = run,
};
