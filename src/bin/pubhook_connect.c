/* connect: a client on the terminal, or behind a pipe. */
#include "bin/connect.h"
#include "pubhook/token.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define MAX_LINE (2u << 20) /* the library refuses what is more than the service takes */
#define MAX_WAITING 256     /* commands without an answer; more are not read yet */
#define READ_SIZE 16384
#define MAX_MINUTES (366u * 24 * 60)

/* --- options ----------------------------------------------------------------------- */

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

VERB_USER(set_user, user)
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

/* --- input ------------------------------------------------------------------------- */

static bool reads(const struct settings *s)
{
    return !s->end_of_input && !s->stopping && s->waiting < MAX_WAITING;
}

/* What stands behind it is not read: it may be the rest of a text. */
static void line_too_long(struct settings *s)
{
    connect__refuse(s, "", PH_ERR_LIMIT, "the line has more than 2097152 bytes");
    s->end_of_input = true;
}

static void take_line(struct settings *s, struct str text)
{
    char *line = str__dup(text);

    if (line)
        connect__take_line(s, line);
    else
        connect__refuse(s, "", PH_ERR_MEMORY, "");
    free(line);
}

/* Whole lines, as long as there is room for commands. */
static void take_lines(struct settings *s)
{
    char *newline;

    while (reads(s) && s->input.len > 0 &&
           (newline = memchr(s->input.data, '\n', s->input.len)) != NULL) {
        size_t len = (size_t)(newline - s->input.data);

        if (len <= MAX_LINE)
            take_line(s, str__n(s->input.data, len));
        else
            line_too_long(s);
        memmove(s->input.data, newline + 1, s->input.len - len - 1);
        s->input.len -= len + 1;
    }
    if (reads(s) && s->input.len > MAX_LINE)
        line_too_long(s);
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
        connect__refuse(s, "", PH_ERR_MEMORY, "");
        s->end_of_input = true;
    }
    take_lines(s);
}

/* --- running ----------------------------------------------------------------------- */

static void on_stopped(struct ph_client *client, void *arg)
{
    struct settings *s = arg;

    (void)client;
    s->stopped = true;
}

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
    (void)number;
    interrupted = 1;
}

/* Only while it waits; a second signal of the same kind ends the program at once. */
static void catch_signals(sigset_t *while_waiting)
{
    sigset_t blocked;

    sigemptyset(&blocked);
    sigaddset(&blocked, SIGINT);
    sigaddset(&blocked, SIGTERM);
    sigprocmask(SIG_BLOCK, &blocked, while_waiting);
    cli__on_end(on_signal);
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
            connect__free_streams(s);
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
    for (size_t i = 0; i < s->joins.count; i++)
        connect__join(s, s->joins.items[i]);
}

/* --- where to ---------------------------------------------------------------------- */

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
        .connected = connect__on_connected,
        .disconnected = connect__on_disconnected,
        .stopped = on_stopped,
        .server_message = connect__on_message,
        .group_message = connect__on_message,
        .trace = s->frames ? connect__on_frame : NULL,
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
    buf__init(&s->input, MAX_LINE + READ_SIZE); /* the beginning of a line, and what came last */
    s->prompts = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) && !s->common.json;
    status = run_client(s);
    connect__free_streams(s);
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
             "invoke NAME TEXT, invoke-json NAME JSON, open STREAM GROUP, write STREAM TEXT,\n"
             "write-json STREAM JSON, end STREAM, abort STREAM [TEXT], help, quit. A name with\n"
             "blanks goes in double quotes. At the end of the input it waits for the answers\n"
             "and ends, with status 1 if a command failed; streams that were not ended are\n"
             "aborted. (Raw frames have no answers: use --stay.)",
    .examples = "  pubhook connect chat --user alice --frames\n"
                "  printf 'join lobby\\nsend lobby hello\\n' | pubhook connect chat\n"
                "  pubhook connect chat --join lobby --stay --json </dev/null | jq .data",
    PUBHOOK_OPTIONS(options),
    .settings_size = sizeof(struct settings),
    .run = run,
};
