/* completion: a shell's completion of pubhook, made from the table of verbs. */
#include "bin/pubhook.h"

#include <stdio.h>
#include <stdlib.h>

struct settings {
    struct common common;
};

/* --- words ------------------------------------------------------------------------------ */

static size_t first_word(const struct verb *verb)
{
    return strcspn(verb->name, " ");
}

static bool is_family(const struct verb *verb)
{
    return verb->name[first_word(verb)] == ' ';
}

/* Is it the first verb of the table with this first word? */
static bool is_first(size_t at)
{
    size_t len = first_word(verbs[at]);

    for (size_t i = 0; i < at; i++) {
        if (first_word(verbs[i]) == len && strncmp(verbs[i]->name, verbs[at]->name, len) == 0)
            return false;
    }
    return true;
}

static void print_first_words(void)
{
    fputs("help", stdout);
    for (size_t i = 0; verbs[i]; i++) {
        if (is_first(i))
            printf(" %.*s", (int)first_word(verbs[i]), verbs[i]->name);
    }
}

static void print_second_words(const struct verb *of)
{
    size_t len = first_word(of);

    for (size_t i = 0; verbs[i]; i++) {
        if (first_word(verbs[i]) == len && strncmp(verbs[i]->name, of->name, len) == 0)
            printf(" %s", verbs[i]->name + len + 1);
    }
}

/* "FAMILY) VARIABLE=' a b' ;;" for both shells. */
static void print_families(const char *variable)
{
    for (size_t i = 0; verbs[i]; i++) {
        if (!is_family(verbs[i]) || !is_first(i))
            continue;
        printf("        %.*s) %s='", (int)first_word(verbs[i]), verbs[i]->name, variable);
        print_second_words(verbs[i]);
        puts("' ;;");
    }
}

static bool takes_file(const struct cli_option *option)
{
    return option->arg && strcmp(option->arg, "FILE") == 0;
}

/* --- bash --------------------------------------------------------------------------------- */

static void bash_options(const struct verb *verb)
{
    printf("        '%s') words='", verb->name);
    for (size_t i = 0; i < verb->option_count; i++)
        printf("--%s ", verb->options[i].name);
    fputs("--help --version' files='", stdout);
    for (size_t i = 0; i < verb->option_count; i++) {
        if (takes_file(&verb->options[i]))
            printf(" --%s ", verb->options[i].name);
    }
    fputs("' values='", stdout);
    for (size_t i = 0; i < verb->option_count; i++) {
        if (verb->options[i].arg)
            printf(" --%s ", verb->options[i].name);
    }
    puts("' ;;");
}

static void bash(void)
{
    puts("# bash completion of pubhook; see pubhook completion --help\n"
         "_pubhook() {\n"
         "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n"
         "    local at=1 verb= words= files= values=\n"
         "    [[ ${COMP_WORDS[1]} == help ]] && ((COMP_CWORD > 1)) && at=2\n"
         "    ((COMP_CWORD > at)) && verb=${COMP_WORDS[at]}\n"
         "    case $verb in");
    fputs("        '') words='", stdout);
    print_first_words();
    puts(" --help --version' ;;");
    print_families("words");
    puts("    esac\n"
         "    if [[ -n $verb && -n $words ]] && ((COMP_CWORD > at + 1)); then\n"
         "        verb+=\" ${COMP_WORDS[at+1]}\" words=\n"
         "    fi\n"
         "    [[ -n $words ]] || case $verb in");
    for (size_t i = 0; verbs[i]; i++)
        bash_options(verbs[i]);
    puts("    esac\n"
         "    if [[ $files == *\" $prev \"* ]]; then\n"
         "        mapfile -t COMPREPLY < <(compgen -f -- \"$cur\")\n"
         "    elif [[ $values == *\" $prev \"* ]]; then\n"
         "        COMPREPLY=()\n"
         "    else\n"
         "        mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n"
         "    fi\n"
         "}\n"
         "complete -F _pubhook pubhook");
}

/* --- zsh ------------------------------------------------------------------------------------ */

/* The first line of a help text, without what means something to _arguments. */
static void zsh_help(const char *help)
{
    for (; *help && *help != '\n'; help++) {
        if (*help == '\'')
            fputs("'\\''", stdout);
        else if (strchr("[]:\\", *help))
            printf("\\%c", *help);
        else
            putchar(*help);
    }
}

static void zsh_option(const struct cli_option *option)
{
    printf(" \\\n            '*--%s%s[", option->name, option->arg ? "=" : "");
    zsh_help(option->help);
    putchar(']');
    if (option->arg)
        printf(":%s:%s", option->arg, takes_file(option) ? "_files" : " ");
    putchar('\'');
}

static void zsh_verb(const struct verb *verb)
{
    printf("        '%s') _arguments", verb->name);
    for (size_t i = 0; i < verb->option_count; i++)
        zsh_option(&verb->options[i]);
    puts(" \\\n            '--help[print help]' '*:operand: ' ;;");
}

static void zsh(void)
{
    puts("#compdef pubhook\n"
         "# zsh completion of pubhook; see pubhook completion --help\n"
         "_pubhook() {\n"
         "    local at=2 verb= choices=\n"
         "    [[ $words[2] == help ]] && ((CURRENT > 2)) && at=3\n"
         "    ((CURRENT > at)) && verb=$words[at]\n"
         "    case $verb in");
    fputs("        '') choices='", stdout);
    print_first_words();
    puts(" --help --version' ;;");
    print_families("choices");
    puts("    esac\n"
         "    if [[ -n $verb && -n $choices ]] && ((CURRENT > at + 1)); then\n"
         "        verb+=\" $words[at+1]\" choices= at=$((at + 1))\n"
         "    fi\n"
         "    if [[ -n $choices ]]; then\n"
         "        compadd -- ${=choices}\n"
         "        return\n"
         "    fi\n"
         "    shift $((at - 1)) words\n"
         "    ((CURRENT -= at - 1))\n"
         "    case $verb in");
    for (size_t i = 0; verbs[i]; i++)
        zsh_verb(verbs[i]);
    puts("    esac\n"
         "}\n"
         "(( $+functions[compdef] )) && compdef _pubhook pubhook");
}

/* --- the verb --------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    void (*print)(void);
} shells[] = {{"bash", bash}, {"zsh", zsh}};

static int run(void *settings)
{
    struct settings *s = settings;

    for (size_t i = 0; i < sizeof(shells) / sizeof(*shells); i++) {
        if (strcmp(shells[i].name, s->common.operands[0]) == 0) {
            shells[i].print();
            return EXIT_SUCCESS;
        }
    }
    return common__wrong(&s->common, "\"%s\" is none of bash, zsh", s->common.operands[0]);
}

const struct verb verb_completion = {
    .name = "completion",
    .operands = "SHELL",
    .summary = "print the completion of verbs and options for bash or zsh",
    .about = "An installation has it where the shells look. Without one, let the shell read it.",
    .examples = "  eval \"$(pubhook completion bash)\"\n"
                "  eval \"$(pubhook completion zsh)\"",
    .settings_size = sizeof(struct settings),
    .run = run,
};
