#include "json_readers.h"

#include "base/json_plain.h"
#include "base/utf8.h"

#define ARENA_MAX (64u << 20)

static bool lies_in(struct str text, struct str part)
{
    return (uintptr_t)part.ptr - (uintptr_t)text.ptr < text.len;
}

static bool same_text(struct str a, struct str b)
{
    return !a.ptr == !b.ptr && str__eq(a, b);
}

/* As json.h says: bytes of the text, or a copy with a NUL behind it. */
static bool well_kept(struct str text, const struct json_limits *limits, struct str s)
{
    return !s.ptr || (limits->views ? lies_in(text, s) : !lies_in(text, s) && s.ptr[s.len] == '\0');
}

static const char *compare(struct str text, const struct json_limits *limits, const struct json *a,
                           const struct json *b)
{
    const char *wrong = NULL;

    for (; a && b && !wrong; a = a->next, b = b->next) {
        if (a->type != b->type || a->boolean != b->boolean || a->count != b->count)
            return "type or count";
        if (!same_text(a->key, b->key) || !well_kept(text, limits, a->key))
            return "key";
        if (!same_text(a->string, b->string))
            return "string";
        if (a->type == JSON_STRING && !well_kept(text, limits, a->string))
            return "where a string lies";
        if (a->type == JSON_NUMBER && a->string.ptr != b->string.ptr)
            return "where digits lie";
        if (a->raw.ptr != b->raw.ptr || a->raw.len != b->raw.len)
            return "raw";
        wrong = compare(text, limits, a->child, b->child);
    }
    return wrong ? wrong : !a == !b ? NULL : "number of nodes";
}

static const char *ask_for_trees(struct str text, const struct json_limits *limits, bool *plain)
{
    struct json_limits yajl = *limits;
    struct arena arena, before;
    struct json *a, *b;
    const char *wrong = NULL;
    enum ph_err err;

    arena__init(&arena, NULL, 0, ARENA_MAX);
    before = arena;
    err = json_plain__parse(&arena, text, limits, &a);
    *plain = err == PH_OK;
    yajl.comments = true;
    if (err == PH_OK)
        wrong = json__parse(&arena, text, &yajl, &b, NULL) == PH_OK ? compare(text, limits, a, b)
                                                                    : "yajl refuses it";
    else if (err != PH_ERR_SYNTAX || a || memcmp(&arena, &before, sizeof(arena)) != 0)
        wrong = "something is left of a try";
    arena__free(&arena);
    return wrong;
}

static const char *ask_for_checks(struct str text, uint32_t depth, bool *plain)
{
    const struct json_limits yajl = {
        .depth = depth, .nodes = UINT32_MAX, .tree = 1, .comments = true};
    const char *wrong = NULL;
    struct arena arena;
    struct json *root;

    arena__init(&arena, NULL, 0, ARENA_MAX);
    *plain = json_plain__check(text, depth);
    if (*plain && json__parse(&arena, text, &yajl, &root, NULL) != PH_OK)
        wrong = "yajl refuses what was checked";
    arena__free(&arena);
    return wrong;
}

struct json_readers json_readers__ask(struct str text, const struct json_limits *limits)
{
    struct json_readers r = {false, false, NULL};

    if (!utf8__valid(text))
        return r;
    r.wrong = ask_for_trees(text, limits, &r.plain);
    if (!r.wrong)
        r.wrong = ask_for_checks(text, limits->depth, &r.plain_check);
    return r;
}
