#include "bin/cli.h"

#include "pubhook/version.h"

#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>

/* Values of getopt_long: OPTION_FIRST + index into the table. */
enum { OPTION_HELP = 256, OPTION_VERSION, OPTION_FIRST };

enum cli_result cli__wrong(const struct cli *cli, const char *fmt, ...)
{
    va_list args;

    if (cli->quiet) {
        va_start(args, fmt);
        vsnprintf(cli->quiet->text, sizeof(cli->quiet->text), fmt, args);
        va_end(args);
        return CLI_WRONG;
    }
    fprintf(stderr, "%s: ", cli->program);
    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fprintf(stderr, "; see %s --help\n", cli->program);
    return CLI_WRONG;
}

static void print_option(const char *name, const char *arg, const char *help)
{
    int width = printf("  --%s%s%s", name, arg ? " " : "", arg ? arg : "");

    printf("%*s", width < 26 ? 26 - width : 2, "");
    for (; *help; help++) {
        putchar(*help);
        if (*help == '\n')
            printf("%26s", "");
    }
    putchar('\n');
}

void cli__help(const struct cli *cli)
{
    printf("Usage: %s %s\n\n%s\n\nOptions:\n", cli->program, cli->synopsis, cli->about);
    for (size_t i = 0; i < cli->option_count; i++)
        print_option(cli->options[i].name, cli->options[i].arg, cli->options[i].help);
    print_option("help", NULL, "print this");
    print_option("version", NULL, "print the version");
    if (cli->more)
        printf("\n%s\n", cli->more);
}

static enum cli_result help(const struct cli *cli)
{
    cli__help(cli);
    return CLI_DONE;
}

static enum cli_result version(const struct cli *cli)
{
    printf("%s (pubhook) %s\n", cli->program, PH_VERSION);
    return CLI_DONE;
}

static void fill(const struct cli *cli, struct option *out)
{
    size_t n = cli->option_count < CLI_MAX_OPTIONS ? cli->option_count : CLI_MAX_OPTIONS;

    for (size_t i = 0; i < n; i++) {
        const struct cli_option *o = &cli->options[i];

        *out++ = (struct option){o->name, o->arg ? required_argument : no_argument, NULL,
                                 OPTION_FIRST + (int)i};
    }
    *out++ = (struct option){"help", no_argument, NULL, OPTION_HELP};
    *out++ = (struct option){"version", no_argument, NULL, OPTION_VERSION};
    *out = (struct option){0};
}

static enum cli_result apply(const struct cli *cli, const struct cli_option *o, void *settings)
{
    struct diag diag = {""};

    if (o->set(settings, o->arg ? optarg : NULL, &diag) == PH_OK)
        return CLI_RUN;
    return cli__wrong(cli, "--%s: %s", o->name, diag.text);
}

static enum cli_result mistake(const struct cli *cli, int c, char **argv)
{
    const struct cli_option *o =
        optopt >= OPTION_FIRST ? &cli->options[optopt - OPTION_FIRST] : NULL;

    if (c == ':' && o)
        return cli__wrong(cli, "--%s needs a value: --%s %s", o->name, o->name, o->arg);
    if (optopt >= OPTION_HELP)
        return cli__wrong(cli, "%s: this option takes no value", argv[optind - 1]);
    if (optopt)
        return cli__wrong(cli, "unknown option -%c", optopt);
    return cli__wrong(cli, "unknown option %s", argv[optind - 1]);
}

enum cli_result cli__parse(const struct cli *cli, int argc, char **argv, void *settings,
                           int *operands)
{
    struct option options[CLI_MAX_OPTIONS + 3];
    enum cli_result result = CLI_RUN;

    fill(cli, options);
    optind = 0; /* also where the last command line was left in the middle */
    while (result == CLI_RUN) {
        /* '+': operands end the options; ':': tell a missing value from an unknown option */
        int c = getopt_long(argc, argv, cli->operands_first ? ":" : "+:", options, NULL);

        if (c == -1)
            break;
        if (c == OPTION_HELP)
            result = help(cli);
        else if (c == OPTION_VERSION)
            result = version(cli);
        else if (c >= OPTION_FIRST)
            result = apply(cli, &cli->options[c - OPTION_FIRST], settings);
        else
            result = mistake(cli, c, argv);
    }
    if (operands)
        *operands = optind;
    else if (result == CLI_RUN && optind < argc)
        result = cli__wrong(cli, "unexpected argument \"%s\"", argv[optind]);
    return result;
}

enum ph_err cli__number(const char *value, unsigned min, unsigned max, unsigned *out,
                        struct diag *diag)
{
    uint64_t n;

    if (!str__to_u64(str__of(value), &n) || n < min || n > max)
        return diag__set(diag, PH_ERR_ARGUMENT, "\"%s\" is no whole number from %u to %u", value,
                         min, max);
    *out = (unsigned)n;
    return PH_OK;
}

enum ph_err cli__choice(const char *value, const char *const *names, unsigned *out,
                        struct diag *diag)
{
    char all[256] = "";

    for (unsigned i = 0; names[i]; i++) {
        size_t len = strlen(all);

        if (strcmp(value, names[i]) == 0) {
            *out = i;
            return PH_OK;
        }
        snprintf(all + len, sizeof(all) - len, "%s%s", len ? ", " : "", names[i]);
    }
    return diag__set(diag, PH_ERR_ARGUMENT, "\"%s\" is none of %s", value, all);
}

void cli__on_end(void (*handler)(int number))
{
    struct sigaction sa = {.sa_handler = handler, .sa_flags = (int)SA_RESETHAND};

    sigemptyset(&sa.sa_mask);
    sigaction(SIGTERM, &sa, NULL);
    sigaction(SIGINT, &sa, NULL);
}
