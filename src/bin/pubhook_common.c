#include "base/names.h"
#include "bin/pubhook.h"
#include "bin/show.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum ph_err common__set_connection_string(void *settings, const char *value, struct diag *diag)
{
    struct common *c = settings;
    struct connection_string parsed;

    c->connection_string = value;
    return connection_string__parse(str__of(value), &parsed, diag);
}

enum ph_err common__set_json(void *settings, const char *value, struct diag *diag)
{
    struct common *c = settings;

    (void)value, (void)diag;
    c->json = true;
    return PH_OK;
}

enum ph_err common__set_output(void *settings, const char *value, struct diag *diag)
{
    static const char *const names[] = {"text", "json", NULL};
    struct common *c = settings;
    unsigned at = c->json;
    enum ph_err err = cli__choice(value, names, &at, diag);

    c->json = at == 1;
    return err;
}

enum ph_err values__add(struct values *list, const char *value, struct diag *diag)
{
    if (list->count == PUBHOOK_MAX_LIST)
        return diag__set(diag, PH_ERR_LIMIT, "given more than %d times", PUBHOOK_MAX_LIST);
    list->items[list->count++] = value;
    return PH_OK;
}

enum ph_err values__add_pair(struct values *list, const char *value, struct diag *diag)
{
    const char *equals = strchr(value, '=');

    if (!equals || equals == value)
        return diag__set(diag, PH_ERR_ARGUMENT, "\"%s\" is not NAME=VALUE", value);
    return values__add(list, value, diag);
}

void values__pair(const char *item, struct str *name, struct str *value)
{
    *value = str__of(item);
    str__split(value, '=', name);
}

enum ph_err values__user(const char *value, const char **user, struct diag *diag)
{
    const char *fault = names__user_fault(str__of(value));

    *user = value;
    return fault ? diag__set(diag, PH_ERR_ARGUMENT, "the user id %s", fault) : PH_OK;
}

int common__wrong(const struct common *c, const char *fmt, ...)
{
    struct diag text;
    va_list args;

    va_start(args, fmt);
    vsnprintf(text.text, sizeof(text.text), fmt, args);
    va_end(args);
    cli__wrong(c->cli, "%s", text.text);
    return CLI_EXIT_USAGE;
}

int common__fail(const struct common *c, const char *fmt, ...)
{
    char text[4096];
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    fflush(stdout); /* what was printed comes first where both go to one place */
    fprintf(stderr, "%s: ", c->cli->program);
    show__text(stderr, str__of(text));
    fputc('\n', stderr);
    return EXIT_FAILURE;
}

int common__print(const struct common *c, struct record *r)
{
    bool ok = record__end(r);

    if (ok) {
        fwrite(r->text.data, 1, r->text.len, stdout);
        putchar('\n');
        fflush(stdout);
    }
    record__free(r);
    return ok ? EXIT_SUCCESS : common__fail(c, "%s", ph_strerror(PH_ERR_MEMORY));
}

const char *common__connection_string(const struct common *c)
{
    return c->connection_string ? c->connection_string : getenv(CONNECTION_STRING_VARIABLE);
}

int common__service(const struct common *c, struct connection_string *out)
{
    const char *text = common__connection_string(c);
    struct diag diag;

    if (!text)
        return common__wrong(c, "which service? Expected --connection-string, or " //
                             CONNECTION_STRING_VARIABLE " in the environment");
    if (connection_string__parse(str__of(text), out, &diag))
        return common__wrong(c, CONNECTION_STRING_VARIABLE ": %s", diag.text);
    return EXIT_SUCCESS;
}
