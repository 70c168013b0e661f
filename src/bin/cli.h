/* Command lines: a table of options in, settings or one line about a mistake out. */
#ifndef BIN_CLI_H
#define BIN_CLI_H

#include "base/diag.h"
#include "base/str.h"

#define CLI_MAX_OPTIONS 64
/* Exit status for a wrong command line. */
#define CLI_EXIT_USAGE 2

struct cli_option {
    const char *name; /* without dashes */
    const char *arg;  /* what its argument is called in the help; NULL: it takes none */
    const char *help; /* one line, or several joined by '\n' */
    /* Takes the value (NULL without `arg`); on a wrong one, an error with a sentence. */
    enum ph_err (*set)(void *settings, const char *value, struct diag *diag);
};

struct cli {
    const char *program;
    const char *synopsis; /* behind the name */
    const char *about;    /* below the synopsis */
    const char *more;     /* below the options; may be NULL */
    const struct cli_option *options;
    size_t option_count; /* --help and --version are added to them */
    bool operands_first; /* operands may stand before and between options, not just behind */
    struct diag *quiet;  /* gets mistakes instead of standard error; may be NULL */
};

enum cli_result {
    CLI_RUN,  /* go on */
    CLI_DONE, /* --help or --version was answered: exit 0 */
    CLI_WRONG /* a mistake was reported: exit CLI_EXIT_USAGE */
};

/* `operands` gets the index of the first argument that is no option (argc if there is
 * none); NULL when the program takes none, they are then a mistake. */
enum cli_result cli__parse(const struct cli *cli, int argc, char **argv, void *settings,
                           int *operands);

/* What --help prints. */
void cli__help(const struct cli *cli);
/* Prints "program: what; see program --help" to standard error; returns CLI_WRONG. */
enum cli_result cli__wrong(const struct cli *cli, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* For setters: a whole number from `min` to `max`. */
enum ph_err cli__number(const char *value, unsigned min, unsigned max, unsigned *out,
                        struct diag *diag);
/* For setters: the index of the value among `names`, whose end is NULL. */
enum ph_err cli__choice(const char *value, const char *const *names, unsigned *out,
                        struct diag *diag);

/* What SIGTERM and SIGINT do: once. A second signal of the same kind ends the program. */
void cli__on_end(void (*handler)(int number));

#endif
