/* connect: what is typed, a line for each command. */
#include "bin/connect.h"

#include <stdio.h>
#include <stdlib.h>

#define MAX_STREAMS 64

/* A command that waits for its answer. */
struct command {
    struct settings *settings;
    char *text; /* as it was typed */
};

static void command_done(struct ph_client *client, const struct ph_client_result *result, void *arg)
{
    struct command *c = arg;

    (void)client;
    c->settings->waiting--;
    connect__report(c->settings, c->text, result);
    free(c->text);
    free(c);
}

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

/* --- streams -------------------------------------------------------------------------- */

struct connect_stream {
    struct connect_stream *next;
    struct settings *settings;
    struct ph_client_stream *stream;
};

/* The link to the one with this id, or to the end. */
static struct connect_stream **find_stream(struct settings *s, const char *id)
{
    struct connect_stream **at = &s->streams;

    while (*at && strcmp(ph_client_stream_id((*at)->stream), id) != 0)
        at = &(*at)->next;
    return at;
}

static void forget_stream(struct connect_stream **at)
{
    struct connect_stream *stream = *at;

    *at = stream->next;
    stream->settings->stream_count--;
    ph_client_stream_free(stream->stream);
    free(stream);
}

void connect__free_streams(struct settings *s)
{
    while (s->streams)
        forget_stream(&s->streams);
}

static void stream_failed(struct ph_client_stream *stream, const struct ph_client_result *result,
                          void *arg)
{
    struct connect_stream *ours = arg;
    struct settings *s = ours->settings;
    const char *id = ph_client_stream_id(stream);

    connect__report_stream(s, id, result);
    forget_stream(find_stream(s, id));
}

static enum ph_err open_stream(const struct words *w, struct connect_stream *stream,
                               struct command *c)
{
    char *rest = (char *)w->data.ptr, *group = take_word(&rest);
    const struct ph_client_stream_options options = {
        .stream_id = w->name, .failed = stream_failed, .arg = stream};

    if (!group)
        return PH_ERR_ARGUMENT;
    if (w->settings->stream_count == MAX_STREAMS)
        return PH_ERR_LIMIT;
    if (*find_stream(w->settings, w->name))
        return PH_ERR_STATE;
    return ph_client_open_stream(w->settings->client, group, &options, &stream->stream,
                                 command_done, c);
}

static enum ph_err do_open(const struct words *w, enum ph_data_type type, struct command *c)
{
    struct connect_stream *stream = calloc(1, sizeof(*stream));
    enum ph_err err;

    (void)type;
    if (!stream)
        return PH_ERR_MEMORY;
    stream->settings = w->settings;
    err = open_stream(w, stream, c);
    if (err) {
        free(stream);
        return err;
    }
    stream->next = w->settings->streams;
    w->settings->streams = stream;
    w->settings->stream_count++;
    return PH_OK;
}

static enum ph_err do_write(const struct words *w, enum ph_data_type type, struct command *c)
{
    struct connect_stream *stream = *find_stream(w->settings, w->name);

    return stream ? ph_client_stream_write(stream->stream, type, w->data.ptr, w->data.len,
                                           command_done, c)
                  : PH_ERR_NOT_FOUND;
}

static enum ph_err do_end(const struct words *w, enum ph_data_type type, struct command *c)
{
    struct connect_stream **at = find_stream(w->settings, w->name);
    enum ph_err err;

    (void)type;
    if (!*at)
        return PH_ERR_NOT_FOUND;
    err = ph_client_stream_end((*at)->stream, command_done, c);
    if (err == PH_OK)
        forget_stream(at);
    return err;
}

static enum ph_err do_abort(const struct words *w, enum ph_data_type type, struct command *c)
{
    struct connect_stream **at = find_stream(w->settings, w->name);
    enum ph_err err;

    (void)type;
    if (!*at)
        return PH_ERR_NOT_FOUND;
    err = ph_client_stream_abort((*at)->stream, NULL, w->data.len > 0 ? w->data.ptr : NULL,
                                 command_done, c);
    if (err == PH_OK)
        forget_stream(at);
    return err;
}

/* --- all of them ------------------------------------------------------------------------ */

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
    {"open", "open STREAM GROUP", "open a stream to a group; STREAM is its id", PH_DATA_TEXT,
     do_open},
    {"write", "write STREAM TEXT", "send text into a stream", PH_DATA_TEXT, do_write},
    {"write-json", "write-json STREAM JSON", "the same with a JSON value", PH_DATA_JSON, do_write},
    {"end", "end STREAM", "end a stream", PH_DATA_TEXT, do_end},
    {"abort", "abort STREAM [TEXT]", "end a stream by an error", PH_DATA_TEXT, do_abort},
};

#define COMMAND_COUNT (sizeof(commands) / sizeof(*commands))
#define EXPECTED                                                                                   \
    "expected join, leave, send, send-json, event, event-json, invoke, invoke-json, open, "        \
    "write, write-json, end, abort, help or quit"

static void list_commands(const struct settings *s)
{
    connect__begin_line(s);
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        printf("%-24s %s\n", commands[i].form, commands[i].help);
    printf("%-24s %s\n%-24s %s\n", "help", "print this", "quit", "end; so does the end of input");
    fflush(stdout);
    connect__prompt(s);
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
    switch (err) {
    case PH_ERR_ARGUMENT:
        return commands[number].form;
    case PH_ERR_SYNTAX:
        return commands[number].type == PH_DATA_JSON ? "the value is not valid JSON"
                                                     : "the text is not valid UTF-8";
    case PH_ERR_NOT_FOUND:
        return "no stream of this id is open: open STREAM GROUP";
    case PH_ERR_STATE:
        return "a stream of this id is open";
    default:
        return ph_strerror(err);
    }
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
    connect__refuse(s, c->text, err, why);
    free(c->text);
    free(c);
}

static void run_line(struct settings *s, char *line)
{
    struct command *c = new_command(s, line);
    char *rest = line, *verb = take_word(&rest);

    if (!c) {
        connect__refuse(s, line, PH_ERR_MEMORY, "");
        return;
    }
    for (size_t i = 0; verb && i < COMMAND_COUNT; i++) {
        if (strcmp(commands[i].name, verb) == 0) {
            enum ph_err err = run_command(s, i, rest, c);

            started(s, c, err, problem_of(err, i));
            return;
        }
    }
    connect__refuse(s, c->text, PH_ERR_ARGUMENT, EXPECTED);
    free(c->text);
    free(c);
}

static void send_raw(struct settings *s, const char *line)
{
    struct command *c = new_command(s, line);
    enum ph_err err;

    if (!c) {
        connect__refuse(s, line, PH_ERR_MEMORY, "");
        return;
    }
    err = ph_client_send(s->client, PH_DATA_TEXT, line, strlen(line), command_done, c);
    started(s, c, err, ph_strerror(err));
}

void connect__take_line(struct settings *s, char *line)
{
    size_t len = strlen(line);

    if (len > 0 && line[len - 1] == '\r' && s->protocol != PH_CLIENT_RAW)
        line[len - 1] = '\0';
    if (s->protocol == PH_CLIENT_RAW)
        send_raw(s, line);
    else if (strcmp(line, "quit") == 0)
        s->end_of_input = true;
    else if (strcmp(line, "help") == 0)
        list_commands(s);
    else if (line[strspn(line, " \t")] != '\0')
        run_line(s, line);
    connect__prompt(s);
}

void connect__join(struct settings *s, const char *group)
{
    struct command *c = new_command(s, group);
    enum ph_err err;

    if (!c) {
        connect__refuse(s, group, PH_ERR_MEMORY, "");
        return;
    }
    err = ph_client_join_group(s->client, group, command_done, c);
    started(s, c, err, ph_strerror(err));
}
