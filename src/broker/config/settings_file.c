/* The configuration file: JSON with comments, the names of the service's hub settings
 * (event-handler section 5). Each object is a table of its keys; the larger ones are in the
 * files file_*.c. */
#include "broker/config/endpoint.h"
#include "broker/config/entra.h"
#include "broker/config/event_handler.h"
#include "broker/config/file_reader.h"
#include "broker/config/values.h"

#include <stdio.h>

#define MAX_TREE (64u << 20) /* the JSON tree of a file of the largest size */

static enum ph_err read_listen(struct file_reader *r, const struct json *value, void *target)
{
    return settings__listen(target, value->string, r->diag);
}

static enum ph_err add_key(struct file_reader *r, struct str value, void *target)
{
    return settings__key(target, value, r->diag);
}

static enum ph_err read_access_keys(struct file_reader *r, const struct json *value, void *target)
{
    r->s->keys_of_file = true;
    return file_reader__strings(r, value, target, add_key);
}

static enum ph_err add_endpoint(struct file_reader *r, struct str value, void *target)
{
    return endpoint__add(target, value, r->diag);
}

static enum ph_err read_endpoints(struct file_reader *r, const struct json *value, void *target)
{
    return file_reader__strings(r, value, target, add_endpoint);
}

static enum ph_err read_threads(struct file_reader *r, const struct json *value, void *target)
{
    uint64_t number = 0;

    json__to_u64(value, &number); /* what is no whole number stays 0 */
    return settings__threads(target, number, r->diag);
}

static enum ph_err read_log_level(struct file_reader *r, const struct json *value, void *target)
{
    return settings__set_log_level(target, value->string.ptr, r->diag);
}

static enum ph_err read_log_format(struct file_reader *r, const struct json *value, void *target)
{
    return settings__set_log_format(target, value->string.ptr, r->diag);
}

/* limits --------------------------------------------------------------------------- */

static enum ph_err read_limit(struct file_reader *r, const struct json *value, void *target)
{
    struct limits *limits = target;
    const struct limit_row *row;
    unsigned number = 0;
    enum ph_err err;
    size_t count;

    row = limits__rows(&count);
    while (!str__eq(row->name, value->key))
        row++;
    err = file_reader__number(r, value, row->least, row->most, &number);
    if (!err)
        limits__set(limits, row, number);
    return err;
}

#define LIMIT_KEY(member, name, preset, least, most)                                               \
    {STR(name), TYPE(JSON_NUMBER), "a whole number", read_limit},

static const struct file_key limit_keys[] = {LIMITS_TABLE(LIMIT_KEY)};

static const struct file_table limit_table = {"limits", limit_keys,
                                              sizeof(limit_keys) / sizeof(*limit_keys)};

static enum ph_err read_limits(struct file_reader *r, const struct json *value, void *target)
{
    struct settings *settings = target;

    return file_reader__object(r, &limit_table, value, &settings->limits);
}

static enum ph_err read_global_ca_file(struct file_reader *r, const struct json *value,
                                       void *target)
{
    struct settings *settings = target;
    enum ph_err err = file_reader__path(r, value, &settings->ca_file);
    char *copy = err ? NULL : arena__strdup(&settings->arena, settings->ca_file);

    if (!err && !copy)
        return diag__set(r->diag, PH_ERR_MEMORY, "out of memory");
    settings->ca_file.ptr = copy;
    return err;
}

/* Metrics hold no secrets, but names of hubs and how much goes on. */
static enum ph_err read_metrics(struct file_reader *r, const struct json *value, void *target)
{
    struct settings *s = target;

    (void)r;
    s->metrics = value->boolean;
    s->metrics_set = true;
    return PH_OK;
}

static const struct file_key file_keys[] = {
    {STR("listen"), TYPE(JSON_STRING), "HOST:PORT", read_listen},
    {STR("accessKeys"), TYPE(JSON_ARRAY), "an array of strings", read_access_keys},
    {STR("hubs"), TYPE(JSON_OBJECT), "an object with a member for each hub", file__hubs},
    {STR("publicEndpoints"), TYPE(JSON_ARRAY), "an array of URLs", read_endpoints},
    {STR("entra"), TYPE(JSON_OBJECT), "an object", file__entra},
    {STR("threads"), TYPE(JSON_NUMBER), "a whole number", read_threads},
    {STR("logLevel"), TYPE(JSON_STRING), "\"error\", \"warn\", \"info\" or \"debug\"",
     read_log_level},
    {STR("logFormat"), TYPE(JSON_STRING), "\"text\" or \"json\"", read_log_format},
    {STR("caFile"), TYPE(JSON_STRING), "the path of a file", read_global_ca_file},
    {STR("limits"), TYPE(JSON_OBJECT), "an object", read_limits},
    {STR("metrics"), TYPE(JSON_BOOL), "true or false", read_metrics},
};

static const struct file_table file_table = {"the configuration", file_keys,
                                             sizeof(file_keys) / sizeof(*file_keys)};

/* base/json says "line N, column M: why". */
static enum ph_err not_json(struct file_reader *r, enum ph_err err)
{
    struct diag why = *r->diag;
    unsigned line = 1;
    int skip = 0;

    if (err == PH_ERR_MEMORY)
        return err;
    if (sscanf(why.text, "line %u, column %*u: %n", &line, &skip) < 1)
        skip = 0;
    return diag__set(r->diag, PH_ERR_CONFIG, "%s:%u: %.*s", r->file_name, line,
                     (int)sizeof(why.text) - 1 - skip, why.text + skip);
}

enum ph_err settings__parse_file(struct settings *s, const char *file_name, struct str text,
                                 struct diag *diag)
{
    struct diag unused;
    struct file_reader r = {s, file_name, text, diag ? diag : &unused, false};
    struct json_limits limits = JSON_LIMITS_DEFAULT;
    struct json *root;
    struct arena a;
    enum ph_err err;

    if (text.len > SETTINGS_MAX_FILE)
        return diag__set(diag, PH_ERR_CONFIG, "%s:1: the file must have at most %u bytes, got %zu",
                         file_name, SETTINGS_MAX_FILE, text.len);
    limits.comments = true;
    arena__init(&a, NULL, 0, MAX_TREE);
    err = json__parse(&a, text, &limits, &root, r.diag);
    if (err)
        err = not_json(&r, err);
    else
        err = file_reader__at(&r, root, file_reader__object(&r, &file_table, root, s));
    arena__free(&a);
    return err;
}
