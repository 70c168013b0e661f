#include "broker/core/permission.h"

#include "base/names.h"
#include "base/pattern.h"

#include <stdlib.h>

/* A group whose verdict is its own. */
struct exception {
    struct exception *next; /* while they are forgotten */
    bool allow;
    uint32_t len;
    char group[];
};

/* All patterns allow, for nothing denies by one: their order makes no difference. */
struct allowed {
    struct allowed *next;
    size_t len;
    char pattern[];
};

struct rules {
    struct rules *next;
    enum permission_action action;
    size_t allowed_count;
    struct allowed *allowed;
    struct map exceptions;
};

static struct str exception_key(const void *item)
{
    const struct exception *e = item;

    return str__n(e->group, e->len);
}

static struct rules *find(const struct permissions *p, enum permission_action action)
{
    struct rules *r = p->rules;

    while (r && r->action != action)
        r = r->next;
    return r;
}

static struct rules *find_or_add(struct permissions *p, enum permission_action action,
                                 const struct map_seed *seed)
{
    struct rules *r = find(p, action);

    if (r)
        return r;
    r = malloc(sizeof(*r));
    if (!r)
        return NULL;
    *r = (struct rules){.next = p->rules, .action = action};
    map__init(&r->exceptions, exception_key, seed);
    p->rules = r;
    return r;
}

/* --- Asking -------------------------------------------------------------------- */

/* The verdict without exceptions. */
static bool implied(const struct permissions *p, enum permission_action action, struct str group)
{
    const struct rules *r = find(p, action);

    if (p->everything[action])
        return true;
    for (const struct allowed *a = r ? r->allowed : NULL; a; a = a->next) {
        if (pattern__matches(str__n(a->pattern, a->len), group, PATTERN_EXACT))
            return true;
    }
    return false;
}

static bool allow_every_group(const struct permissions *p, enum permission_action action)
{
    const struct rules *r = find(p, action);
    const struct exception *e;

    for (uint32_t at = 0; r && (e = map__next(&r->exceptions, &at));) {
        if (!e->allow)
            return false;
    }
    return p->everything[action];
}

bool permissions__allow(const struct permissions *p, enum permission_action action,
                        struct str group)
{
    const struct rules *r = find(p, action);
    const struct exception *e = r && group.ptr ? map__get(&r->exceptions, group) : NULL;

    if (!group.ptr)
        return allow_every_group(p, action);
    return e ? e->allow : implied(p, action, group);
}

/* --- Changing ------------------------------------------------------------------- */

static enum ph_err add_exception(struct permissions *p, enum permission_action action,
                                 struct str group, bool allow,
                                 const struct permission_limits *limits,
                                 const struct map_seed *seed)
{
    struct rules *r = find_or_add(p, action, seed);
    struct exception *e;

    if (!r)
        return PH_ERR_MEMORY;
    if (r->exceptions.count >= limits->literals)
        return PH_ERR_LIMIT;
    e = malloc(sizeof(*e) + group.len);
    if (!e)
        return PH_ERR_MEMORY;
    *e = (struct exception){NULL, allow, (uint32_t)group.len};
    memcpy(e->group, group.ptr, group.len);
    if (map__add(&r->exceptions, e))
        return PH_OK;
    free(e);
    return PH_ERR_MEMORY;
}

/* An exception says the opposite of what is implied, so to take it back is to forget it;
 * and what is implied already leaves no record. */
static enum ph_err set_group(struct permissions *p, enum permission_action action, struct str group,
                             bool allow, const struct permission_limits *limits,
                             const struct map_seed *seed)
{
    struct rules *r = find(p, action);
    struct exception *e = r ? map__get(&r->exceptions, group) : NULL;

    if (e && e->allow != allow)
        free(map__remove(&r->exceptions, group));
    if (e || implied(p, action, group) == allow)
        return PH_OK;
    return add_exception(p, action, group, allow, limits, seed);
}

static void free_rules(struct rules *r)
{
    void *item;

    for (uint32_t at = 0; (item = map__next(&r->exceptions, &at));)
        free(item);
    map__free(&r->exceptions);
    while ((item = r->allowed)) {
        r->allowed = r->allowed->next;
        free(item);
    }
    free(r);
}

static void set_default(struct permissions *p, enum permission_action action, bool allow)
{
    struct rules **at = &p->rules, *old;

    p->everything[action] = allow;
    while (*at && (*at)->action != action)
        at = &(*at)->next;
    if (!*at)
        return;
    old = *at;
    *at = old->next;
    free_rules(old);
}

enum ph_err permissions__set(struct permissions *p, enum permission_action action, struct str group,
                             bool allow, const struct permission_limits *limits,
                             const struct map_seed *seed)
{
    if (!group.ptr) {
        set_default(p, action, allow);
        return PH_OK;
    }
    if (!names__valid_group(group))
        return PH_ERR_ARGUMENT;
    return set_group(p, action, group, allow, limits, seed);
}

/* --- Patterns --------------------------------------------------------------------- */

static void forget_matched(struct rules *r, struct str pattern)
{
    struct exception *e, *matched = NULL;

    for (uint32_t at = 0; (e = map__next(&r->exceptions, &at));) {
        if (!pattern__matches(pattern, exception_key(e), PATTERN_EXACT))
            continue;
        e->next = matched;
        matched = e;
    }
    while ((e = matched)) {
        matched = e->next;
        free(map__remove(&r->exceptions, exception_key(e)));
    }
}

static enum ph_err add_pattern(struct permissions *p, enum permission_action action,
                               struct str pattern, const struct map_seed *seed)
{
    struct rules *r = find_or_add(p, action, seed);
    struct allowed *a = r ? malloc(sizeof(*a) + pattern.len) : NULL;

    if (!a)
        return PH_ERR_MEMORY;
    *a = (struct allowed){r->allowed, pattern.len};
    memcpy(a->pattern, pattern.ptr, pattern.len);
    r->allowed = a;
    r->allowed_count++;
    forget_matched(r, pattern);
    return PH_OK;
}

/* The one name that a pattern without wildcards stands for. */
static struct str unescape(struct str pattern, char *room)
{
    size_t len = 0;

    for (size_t i = 0; i < pattern.len; i++) {
        if (pattern.ptr[i] == '\\')
            i++;
        room[len++] = pattern.ptr[i];
    }
    return str__n(room, len);
}

static bool is_everything(struct str pattern)
{
    size_t stars = 0;

    while (stars < pattern.len && pattern.ptr[stars] == '*')
        stars++;
    return stars == pattern.len && stars > 1;
}

enum ph_err permissions__allow_pattern(struct permissions *p, enum permission_action action,
                                       struct str pattern, const struct permission_limits *limits,
                                       const struct map_seed *seed)
{
    const struct rules *r = find(p, action);
    char room[PATTERN_MAX_BYTES];

    if (pattern__problem(pattern))
        return PH_ERR_SYNTAX;
    if (is_everything(pattern))
        return permissions__set(p, action, STR_NONE, true, limits, seed);
    if (p->everything[action] && !r)
        return PH_OK;                                    /* it could allow no more */
    if (1 + (r ? r->allowed_count : 0) >= limits->rules) /* also for a single name */
        return PH_ERR_LIMIT;
    if (!pattern__has_wildcard(pattern))
        return permissions__set(p, action, unescape(pattern, room), true, limits, seed);
    return add_pattern(p, action, pattern, seed);
}

void permissions__free(struct permissions *p)
{
    while (p->rules) {
        struct rules *r = p->rules;

        p->rules = r->next;
        free_rules(r);
    }
    *p = (struct permissions){0};
}
