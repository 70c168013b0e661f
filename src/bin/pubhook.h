/* The verbs of `pubhook`, and what they have in common. */
#ifndef BIN_PUBHOOK_H
#define BIN_PUBHOOK_H

#include "base/connection_string.h"
#include "base/record.h"
#include "bin/cli.h"

/* Behind the options of a verb that can be given many times. */
#define PUBHOOK_MAX_LIST 64

/* First member of the settings of every verb. */
struct common {
    const struct cli *cli;
    const char *connection_string; /* NULL: of the environment */
    bool json;                     /* print objects, one a line */
    char **operands;
    int operand_count;
};

struct verb {
    const char *name;     /* one word, or a family and a word: "group add" */
    const char *operands; /* "HUB GROUP"; in brackets what may be left out; "GROUP...": many */
    const char *summary;  /* one line */
    const char *about;    /* what follows it in the help; may be NULL */
    const char *examples; /* command lines; may be NULL */
    const struct cli_option *options;
    size_t option_count;
    size_t settings_size; /* zeroed; begins with struct common */
    int (*run)(void *settings);
};

#define PUBHOOK_OPTIONS(table) .options = (table), .option_count = sizeof(table) / sizeof(*(table))

extern const struct verb verb_completion;
extern const struct verb verb_connect;
extern const struct verb verb_connection_close;
extern const struct verb verb_connection_close_all;
extern const struct verb verb_connection_exists;
extern const struct verb verb_connection_leave_groups;
extern const struct verb verb_group_add;
extern const struct verb verb_group_close;
extern const struct verb verb_group_exists;
extern const struct verb verb_group_list;
extern const struct verb verb_group_remove;
extern const struct verb verb_health;
extern const struct verb verb_listen;
extern const struct verb verb_permission_check;
extern const struct verb verb_permission_grant;
extern const struct verb verb_permission_revoke;
extern const struct verb verb_send;
extern const struct verb verb_token;
extern const struct verb verb_trigger;
extern const struct verb verb_url;
extern const struct verb verb_user_close;
extern const struct verb verb_user_exists;
extern const struct verb verb_user_leave_groups;
extern const struct verb verb_validate;

/* The table of all verbs in the order of the help, NULL-terminated. */
extern const struct verb *const verbs[];
/* True when the verb is `family` and a word. */
bool verb__is_of(const struct verb *verb, const char *family);
/* The command line of a verb, as its help and its mistakes need it; until the next call. */
const struct cli *verb__cli(const struct verb *verb);

/* --- options that several verbs have --------------------------------------------- */

#define OPTION_CONNECTION_STRING                                                                   \
    {                                                                                              \
        "connection-string", "STRING",                                                             \
            "the service: Endpoint=...;AccessKey=...;Version=1.0; (default:\n"                     \
            "WebPubSubConnectionString of the environment, which others\n"                         \
            "cannot see)",                                                                         \
            common__set_connection_string                                                          \
    }
/* Verbs that take --json DATA have --output alone. */
#define OPTION_JSON                                                                                \
    {                                                                                              \
        "json", NULL, "the same as --output json", common__set_json                                \
    }
#define OPTION_OUTPUT                                                                              \
    {                                                                                              \
        "output", "FORMAT", "text (default), or json: one object a line", common__set_output       \
    }

enum ph_err common__set_connection_string(void *settings, const char *value, struct diag *diag);
enum ph_err common__set_json(void *settings, const char *value, struct diag *diag);
enum ph_err common__set_output(void *settings, const char *value, struct diag *diag);

/* A list of values of one option. */
struct values {
    const char *items[PUBHOOK_MAX_LIST + 1]; /* NULL-terminated */
    size_t count;
};
enum ph_err values__add(struct values *list, const char *value, struct diag *diag);
/* The same for NAME=VALUE, whose parts values__pair gives later. */
enum ph_err values__add_pair(struct values *list, const char *value, struct diag *diag);
void values__pair(const char *item, struct str *name, struct str *value);

/* For setters: the user of a token. */
enum ph_err values__user(const char *value, const char **user, struct diag *diag);

/* Setters of the usual kinds; `settings` is the verb's own structure. */
#define VERB_STRING(name, member)                                                                  \
    static enum ph_err name(void *settings, const char *value, struct diag *diag)                  \
    {                                                                                              \
        struct settings *s = settings;                                                             \
                                                                                                   \
        (void)diag;                                                                                \
        s->member = value;                                                                         \
        return PH_OK;                                                                              \
    }
#define VERB_USER(name, member)                                                                    \
    static enum ph_err name(void *settings, const char *value, struct diag *diag)                  \
    {                                                                                              \
        struct settings *s = settings;                                                             \
                                                                                                   \
        return values__user(value, &s->member, diag);                                              \
    }
#define VERB_FLAG(name, member)                                                                    \
    static enum ph_err name(void *settings, const char *value, struct diag *diag)                  \
    {                                                                                              \
        struct settings *s = settings;                                                             \
                                                                                                   \
        (void)value, (void)diag;                                                                   \
        s->member = true;                                                                          \
        return PH_OK;                                                                              \
    }
#define VERB_ADD(name, member, add)                                                                \
    static enum ph_err name(void *settings, const char *value, struct diag *diag)                  \
    {                                                                                              \
        struct settings *s = settings;                                                             \
                                                                                                   \
        return add(&s->member, value, diag);                                                       \
    }
#define VERB_NUMBER(name, member, min, max)                                                        \
    static enum ph_err name(void *settings, const char *value, struct diag *diag)                  \
    {                                                                                              \
        struct settings *s = settings;                                                             \
                                                                                                   \
        return cli__number(value, min, max, &s->member, diag);                                     \
    }

/* --- outcomes: the exit status of a verb -------------------------------------------- */

/* A wrong command line; CLI_EXIT_USAGE. */
int common__wrong(const struct common *c, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* Anything else; EXIT_FAILURE. */
int common__fail(const struct common *c, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Ends the object, prints it as a line and frees it. EXIT_SUCCESS or EXIT_FAILURE. */
int common__print(const struct common *c, struct record *r);

/* The connection string, parsed. EXIT_SUCCESS, or what the two above return. */
int common__service(const struct common *c, struct connection_string *out);
/* The text of --connection-string or of the environment; NULL: neither. */
const char *common__connection_string(const struct common *c);

#endif
