#include "broker/config/changes.h"

#include "base/json.h"

#define MAX_TREE (64u << 20) /* of one text, as in settings_file.c */

struct report {
    struct buf *out;
    unsigned count;
};

/* Keys of the file that count at the start only. */
static bool needs_restart(struct str key)
{
    static const struct str keys[] = {STR("listen"), STR("threads"), STR("logFormat"),
                                      STR("entra")};

    for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
        if (str__eq(keys[i], key))
            return true;
    }
    return false;
}

static void name(struct report *r, struct str prefix, struct str key, const char *note)
{
    if (r->count++ >= CHANGES_MAX_NAMED)
        return;
    buf__printf(r->out, "%s%.*s%.*s%s", r->count > 1 ? ", " : "", STR_FMT(prefix), STR_FMT(key),
                note);
}

static bool equal(const struct json *a, const struct json *b);

static bool equal_objects(const struct json *a, const struct json *b)
{
    for (const struct json *m = a->child; m; m = m->next) {
        const struct json *other = json__get(b, m->key);

        if (!other || !equal(m, other))
            return false;
    }
    return true;
}

static bool equal_arrays(const struct json *a, const struct json *b)
{
    a = a->child;
    b = b->child;
    for (; a && b; a = a->next, b = b->next) {
        if (!equal(a, b))
            return false;
    }
    return !a && !b;
}

/* The depth is what json__parse lets through. */
static bool equal(const struct json *a, const struct json *b)
{
    if (a->type != b->type || a->count != b->count)
        return false;
    switch (a->type) {
    case JSON_NULL:
        return true;
    case JSON_BOOL:
        return a->boolean == b->boolean;
    case JSON_NUMBER:
    case JSON_STRING:
        return str__eq(a->string, b->string);
    case JSON_ARRAY:
        return equal_arrays(a, b);
    case JSON_OBJECT:
        break;
    }
    return equal_objects(a, b);
}

typedef void differ_fn(struct report *r, struct str prefix, const struct json *before,
                       const struct json *after);

/* Calls `differ` for each member that both objects have and that is not the same, and
 * names those that one of them has. */
static void compare(struct report *r, struct str prefix, const struct json *before,
                    const struct json *after, differ_fn *differ)
{
    for (const struct json *m = after->child; m; m = m->next) {
        const struct json *old = json__get(before, m->key);

        if (!old)
            name(r, prefix, m->key, needs_restart(m->key) ? " (new, needs a restart)" : " (new)");
        else if (!equal(old, m))
            differ(r, prefix, old, m);
    }
    for (const struct json *m = before->child; m; m = m->next) {
        if (!json__get(after, m->key))
            name(r, prefix, m->key, needs_restart(m->key) ? " (gone, needs a restart)" : " (gone)");
    }
}

static void setting_differs(struct report *r, struct str prefix, const struct json *before,
                            const struct json *after)
{
    (void)before;
    name(r, prefix, after->key, "");
}

static void hub_differs(struct report *r, struct str prefix, const struct json *before,
                        const struct json *after)
{
    struct buf path;

    buf__init(&path, 1024);
    buf__printf(&path, "%.*s%.*s.", STR_FMT(prefix), STR_FMT(after->key));
    compare(r, buf__view(&path), before, after, setting_differs);
    buf__free(&path);
}

static void key_differs(struct report *r, struct str prefix, const struct json *before,
                        const struct json *after)
{
    if (str__eq(after->key, STR("hubs")))
        compare(r, STR("hubs."), before, after, hub_differs);
    else
        name(r, prefix, after->key, needs_restart(after->key) ? " (needs a restart)" : "");
}

static struct json *parse(struct arena *a, struct str text)
{
    struct json_limits limits = JSON_LIMITS_DEFAULT;
    struct json *root;

    limits.comments = true;
    arena__init(a, NULL, 0, MAX_TREE);
    return json__parse(a, text, &limits, &root, NULL) == PH_OK ? root : NULL;
}

void settings__changes(struct str before, struct str after, struct buf *out)
{
    struct report r = {.out = out};
    struct arena old_arena, new_arena;
    const struct json *old = parse(&old_arena, before), *new = parse(&new_arena, after);

    if (old && new)
        compare(&r, STR(""), old, new, key_differs);
    if (r.count > CHANGES_MAX_NAMED)
        buf__printf(out, " and %u more", r.count - CHANGES_MAX_NAMED);
    arena__free(&old_arena);
    arena__free(&new_arena);
}
