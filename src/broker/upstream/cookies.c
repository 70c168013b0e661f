#include "broker/upstream/cookies.h"

#include <stdlib.h>

struct cookie {
    struct cookie *next;
    struct str site; /* scheme, host and port */
    struct str name;
    struct str pair; /* name=value */
    char text[];
};

/* "http://host:port" of a URL. */
static struct str site_of(struct str url)
{
    unsigned slashes = 0;

    for (size_t i = 0; i < url.len; i++) {
        if (url.ptr[i] == '?' || (url.ptr[i] == '/' && ++slashes == 3))
            return str__n(url.ptr, i);
    }
    return url;
}

void cookies__free(struct cookies *jar)
{
    while (jar->first) {
        struct cookie *next = jar->first->next;

        free(jar->first);
        jar->first = next;
    }
    jar->count = 0;
}

static void forget(struct cookies *jar, struct str site, struct str name)
{
    for (struct cookie **at = &jar->first; *at; at = &(*at)->next) {
        struct cookie *c = *at;

        if (str__eq(c->name, name) && str__eq_nocase(c->site, site)) {
            *at = c->next;
            free(c);
            jar->count--;
            return;
        }
    }
}

/* Appended, so that cookies go out in the order in which they were set. */
static void keep(struct cookies *jar, struct str site, struct str pair, size_t name_len)
{
    struct cookie *c;
    struct cookie **at = &jar->first;
    char *text;

    if (jar->count == COOKIES_MAX || site.len + pair.len > COOKIES_MAX_BYTES)
        return;
    c = malloc(sizeof(*c) + site.len + pair.len);
    if (!c)
        return;
    text = c->text;
    c->next = NULL;
    c->site = str__place(&text, site);
    c->pair = str__place(&text, pair);
    c->name = str__n(c->pair.ptr, name_len);
    while (*at)
        at = &(*at)->next;
    *at = c;
    jar->count++;
}

static bool is_removal(struct str attributes)
{
    struct str part, name;

    while (str__split(&attributes, ';', &part)) {
        str__split(&part, '=', &name);
        if (str__eq_nocase(str__trim(name), STR("Max-Age")))
            return str__eq(str__trim(part), STR("0")) ||
                   str__starts_with(str__trim(part), STR("-"));
    }
    return false;
}

void cookies__set(struct cookies *jar, struct str url, struct str set_cookie)
{
    struct str attributes = set_cookie, pair, value, name;

    if (!str__split(&attributes, ';', &pair))
        return;
    pair = value = str__trim(pair);
    if (!str__split(&value, '=', &name) || name.len == 0 || name.len == pair.len)
        return;
    forget(jar, site_of(url), name);
    if (!is_removal(attributes))
        keep(jar, site_of(url), pair, name.len);
}

struct str cookies__header(const struct cookies *jar, struct arena *a, struct str url)
{
    struct str site = site_of(url);
    size_t room = 0, len = 0;
    char *out;

    for (const struct cookie *c = jar->first; c; c = c->next)
        room += str__eq_nocase(c->site, site) ? c->pair.len + 2 : 0;
    out = room > 0 ? arena__alloc(a, room) : NULL; /* the last two bytes are for the NUL */
    if (!out)
        return STR_NONE;
    for (const struct cookie *c = jar->first; c; c = c->next) {
        if (!str__eq_nocase(c->site, site))
            continue;
        memcpy(out + len, c->pair.ptr, c->pair.len);
        memcpy(out + len + c->pair.len, "; ", 2);
        len += c->pair.len + 2;
    }
    out[len - 2] = '\0';
    return str__n(out, len - 2);
}
