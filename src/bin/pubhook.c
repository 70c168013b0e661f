/* pubhook: finds the verb in the table, parses its command line, runs it. */
#include "bin/pubhook.h"

#include "base/buf.h"

#include <ctype.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define HELP_MAX 65536

const struct verb *const verbs[] = {
    &verb_connect,
    &verb_token,
    &verb_url,
    &verb_send,
    &verb_group_add,
    &verb_group_remove,
    &verb_group_list,
    &verb_group_exists,
    &verb_group_close,
    &verb_user_exists,
    &verb_user_close,
    &verb_user_leave_groups,
    &verb_connection_exists,
    &verb_connection_close,
    &verb_connection_close_all,
    &verb_connection_leave_groups,
    &verb_permission_grant,
    &verb_permission_revoke,
    &verb_permission_check,
    &verb_health,
    &verb_trigger,
    &verb_listen,
    &verb_validate,
    &verb_completion,
    NULL,
};

bool verb__is_of(const struct verb *verb, const char *family)
{
    size_t len = strlen(family);

    return strncmp(verb->name, family, len) == 0 && verb->name[len] == ' ';
}

/* --- help ------------------------------------------------------------------------------ */

static const char *printed(char *out, size_t size, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static const char *printed(char *out, size_t size, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    vsnprintf(out, size, fmt, args);
    va_end(args);
    return out;
}

/* The summary as a sentence, and what follows it. */
static const char *about_of(const struct verb *verb)
{
    static char text[8192];
    printed(text, sizeof(text), "%c%s.%s%s", toupper((unsigned char)*verb->summary),
            verb->summary + 1, verb->about ? "\n\n" : "", verb->about ? verb->about : "");
    return text;
}

const struct cli *verb__cli(const struct verb *verb)
{
    static char program[64], synopsis[256], more[8192];
    static struct cli cli;

    cli = (struct cli){
        .program = printed(program, sizeof(program), "pubhook %s", verb->name),
        .synopsis = printed(synopsis, sizeof(synopsis), "%s%s[OPTION]...", verb->operands,
                            *verb->operands ? " " : ""),
        .about = about_of(verb),
        .options = verb->options,
        .option_count = verb->option_count,
        .operands_first = true,
    };
    if (verb->examples)
        cli.more = printed(more, sizeof(more), "Examples:\n%s", verb->examples);
    return &cli;
}

/* "trigger" for each verb, or the verbs of one family alone. */
static void list_verbs(struct buf *out, const char *family)
{
    buf__str(out, STR("Verbs:\n"));
    for (const struct verb *const *v = verbs; *v; v++) {
        if (!family || verb__is_of(*v, family))
            buf__printf(out, "  %-24s %s\n", (*v)->name, (*v)->summary);
    }
    buf__str(out, STR("\nSee pubhook help VERB, and pubhook(1)."));
}

static struct cli top_cli(const char *family, struct buf *more)
{
    static char program[64];

    list_verbs(more, family);
    return (struct cli){
        .program = family ? printed(program, sizeof(program), "pubhook %s", family) : "pubhook",
        .synopsis = "VERB [ARGUMENT]...",
        .about = "Tries out and looks after Web PubSub services and their event handlers. The\n"
                 "service is that of WebPubSubConnectionString.",
        .more = buf__view(more).ptr,
    };
}

static enum cli_result no_verb(const struct cli *cli, const char *family)
{
    char words[512] = "";
    size_t len = 0;

    for (const struct verb *const *v = verbs; *v && family && len < sizeof(words); v++) {
        if (verb__is_of(*v, family))
            len += (size_t)snprintf(words + len, sizeof(words) - len, "%s%s", len > 0 ? ", " : "",
                                    (*v)->name + strlen(family) + 1);
    }
    return cli__wrong(cli, "which verb? Expected %s",
                      family ? words : "one such as token, send, connect, trigger or listen");
}

static enum cli_result parse_top(const char *family, int argc, char **argv, int *operands)
{
    struct buf more;
    struct cli cli;
    enum cli_result result;

    buf__init(&more, HELP_MAX);
    cli = top_cli(family, &more);
    result = cli__parse(&cli, argc, argv, NULL, operands);
    if (result == CLI_RUN && *operands >= argc)
        result = no_verb(&cli, family);
    buf__free(&more);
    return result;
}

/* --- finding the verb --------------------------------------------------------------------- */

static bool is_family(const char *word)
{
    for (const struct verb *const *v = verbs; *v; v++) {
        if (verb__is_of(*v, word))
            return true;
    }
    return false;
}

static const struct verb *find(const char *family, const char *word)
{
    for (const struct verb *const *v = verbs; *v; v++) {
        const char *name = (*v)->name;

        if (family && !verb__is_of(*v, family))
            continue;
        if (strcmp(family ? name + strlen(family) + 1 : name, word) == 0)
            return *v;
    }
    return NULL;
}

static enum cli_result unknown(const char *family, const char *word)
{
    char program[64];
    const struct cli cli = {
        .program = printed(program, sizeof(program), "pubhook%s%s", family ? " " : "",
                           family ? family : ""),
    };

    return cli__wrong(&cli, "unknown verb \"%s\"", word);
}

/* `at` gets the index of the verb's last word. */
static enum cli_result find_verb(int argc, char **argv, int *at, const struct verb **out)
{
    const char *family = NULL;
    enum cli_result result = parse_top(NULL, argc, argv, at);
    int first = *at;

    if (result == CLI_RUN && is_family(argv[first])) {
        family = argv[first];
        result = parse_top(family, argc - first, argv + first, at);
        *at += first;
    }
    if (result != CLI_RUN)
        return result;
    *out = find(family, argv[*at]);
    return *out ? CLI_RUN : unknown(family, argv[*at]);
}

/* --- running it ------------------------------------------------------------------------------ */

/* Takes the word at *rest; false at the end. */
static bool next_word(const char **rest, struct str *word, bool *optional)
{
    size_t len;

    while (**rest == ' ')
        ++*rest;
    len = strcspn(*rest, " ");
    *optional = **rest == '[';
    *word = str__n(*rest, len);
    *rest += len;
    return len > 0;
}

struct arity {
    int least, most;          /* `most` INT_MAX: any number */
    struct str first_missing; /* the operand behind those that are given; absent: none */
};

/* What may be left out is given only when there are more than what must be there. */
static struct arity arity_of(const struct verb *verb, int given)
{
    struct arity a = {0};
    const char *rest = verb->operands;
    struct str word;
    bool optional;

    while (next_word(&rest, &word, &optional)) {
        if (!optional && a.least++ == given)
            a.first_missing = word;
        a.most = a.most == INT_MAX || memmem(word.ptr, word.len, "...", 3) ? INT_MAX : a.most + 1;
    }
    return a;
}

static int check_operands(const struct common *c, const struct verb *verb)
{
    struct arity a = arity_of(verb, c->operand_count);

    if (c->operand_count < a.least)
        return common__wrong(c, "%.*s is missing: %s %s", STR_FMT(a.first_missing), c->cli->program,
                             verb->operands);
    if (c->operand_count > a.most)
        return common__wrong(c, "unexpected argument \"%s\"", c->operands[a.most]);
    return EXIT_SUCCESS;
}

/* What was printed may only now turn out not to fit where it goes. */
static int finish(const struct common *c, int status)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return status;
    return status ? status : common__fail(c, "standard output cannot be written to");
}

static int run(const struct verb *verb, struct common *c, int argc, char **argv)
{
    int operands, status;

    c->cli = verb__cli(verb);
    switch (cli__parse(c->cli, argc, argv, c, &operands)) {
    case CLI_DONE:
        return finish(c, EXIT_SUCCESS);
    case CLI_WRONG:
        return CLI_EXIT_USAGE;
    case CLI_RUN:
        break;
    }
    c->operands = argv + operands;
    c->operand_count = argc - operands;
    status = check_operands(c, verb);
    return status ? status : finish(c, verb->run(c));
}

/* "help VERB" is "VERB --help". */
static void turn_help(int argc, char **argv)
{
    static char option[] = "--help";

    if (argc < 2 || strcmp(argv[1], "help") != 0)
        return;
    for (int i = 1; i + 1 < argc; i++)
        argv[i] = argv[i + 1];
    argv[argc - 1] = option;
}

int main(int argc, char **argv)
{
    const struct verb *verb;
    struct common *settings;
    int at, status = EXIT_SUCCESS;

    turn_help(argc, argv);
    /* A peer that goes away is an error of a call. A reader that does is seen by ferror. */
    signal(SIGPIPE, SIG_IGN);
    switch (find_verb(argc, argv, &at, &verb)) {
    case CLI_DONE:
        return finish(&(struct common){.cli = &(struct cli){.program = "pubhook"}}, EXIT_SUCCESS);
    case CLI_WRONG:
        return CLI_EXIT_USAGE;
    case CLI_RUN:
        break;
    }
    settings = calloc(1, verb->settings_size);
    if (!settings) {
        fprintf(stderr, "pubhook: %s\n", ph_strerror(PH_ERR_MEMORY));
        return EXIT_FAILURE;
    }
    status = run(verb, settings, argc - at, argv + at);
    free(settings);
    return status;
}
