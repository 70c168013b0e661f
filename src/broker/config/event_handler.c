#include "broker/config/event_handler.h"

#include "base/names.h"
#include "base/pattern.h"
#include "base/url.h"

/* Forms that the cloud service knows and that mean nothing here. */
static const struct {
    struct str part;
    const char *why;
} foreign_forms[] = {
    {STR("tunnel://"),
     "urlTemplate must be an http:// or https:// URL; tunnel:// goes through a tunnel of the cloud "
     "service, give the URL of the handler itself"},
    {STR("@Microsoft.KeyVault"),
     "urlTemplate must be complete; only the cloud service looks up @Microsoft.KeyVault "
     "references, write the value in their place"},
};

static bool contains_nocase(struct str s, struct str part)
{
    for (; s.len >= part.len; s = str__n(s.ptr + 1, s.len - 1)) {
        if (str__starts_with_nocase(s, part))
            return true;
    }
    return false;
}

static enum ph_err refuse_foreign_forms(struct str url, struct diag *diag)
{
    for (size_t i = 0; i < sizeof(foreign_forms) / sizeof(foreign_forms[0]); i++) {
        if (contains_nocase(url, foreign_forms[i].part))
            return diag__set(diag, PH_ERR_ARGUMENT, "%s", foreign_forms[i].why);
    }
    return PH_OK;
}

static bool has_blank_or_control(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        if ((unsigned char)s.ptr[i] <= ' ' || s.ptr[i] == 0x7F)
            return true;
    }
    return false;
}

/* Takes "http://" or "https://" off. */
static bool take_scheme(struct str *url)
{
    static const struct str schemes[] = {STR("http://"), STR("https://")};

    for (size_t i = 0; i < 2; i++) {
        if (str__starts_with_nocase(*url, schemes[i])) {
            *url = str__n(url->ptr + schemes[i].len, url->len - schemes[i].len);
            return true;
        }
    }
    return false;
}

/* Takes HOST[:PORT] off; path and query are left. */
static struct str take_authority(struct str *url)
{
    struct str authority = *url;

    for (authority.len = 0; authority.len < url->len; authority.len++) {
        if (strchr("/?#", authority.ptr[authority.len]))
            break;
    }
    *url = str__n(url->ptr + authority.len, url->len - authority.len);
    return authority;
}

static bool names_host(struct str authority)
{
    struct str host;
    uint16_t port;

    if (url__host_port(authority, &host, &port))
        return host.len > 0 && port > 0;
    if (authority.len > 2 && authority.ptr[0] == '[')
        return memchr(authority.ptr, ']', authority.len) == authority.ptr + authority.len - 1;
    return authority.len > 0 && !memchr(authority.ptr, ':', authority.len);
}

static enum ph_err check_authority(struct str authority, struct diag *diag)
{
    if (memchr(authority.ptr, '{', authority.len))
        return diag__set(diag, PH_ERR_ARGUMENT,
                         "urlTemplate must not have a parameter in its host, got \"%.*s\"",
                         STR_FMT(authority));
    if (memchr(authority.ptr, '@', authority.len))
        return diag__set(diag, PH_ERR_ARGUMENT,
                         "urlTemplate must not hold a user or password; events are signed");
    if (!names_host(authority))
        return diag__set(diag, PH_ERR_ARGUMENT,
                         "urlTemplate must name a host, and a port from 1 to 65535 if any, got "
                         "\"%.*s\"",
                         STR_FMT(authority));
    return PH_OK;
}

static enum ph_err check_parameters(struct str rest, struct diag *diag)
{
    struct str before, name;

    while (str__split(&rest, '{', &before)) {
        if (memchr(before.ptr, '}', before.len))
            return diag__set(diag, PH_ERR_ARGUMENT, "urlTemplate has a \"}\" without a \"{\"");
        if (!rest.ptr)
            return PH_OK;
        if (!memchr(rest.ptr, '}', rest.len))
            return diag__set(diag, PH_ERR_ARGUMENT, "urlTemplate has a \"{\" without a \"}\"");
        str__split(&rest, '}', &name);
        if (!str__eq_nocase(name, STR("hub")) && !str__eq_nocase(name, STR("event")))
            return diag__set(diag, PH_ERR_ARGUMENT,
                             "urlTemplate may have the parameters {hub} and {event}, got {%.*s}",
                             STR_FMT(name));
    }
    return PH_OK;
}

enum ph_err event_handler__check_url(struct str url, struct diag *diag)
{
    enum ph_err err = refuse_foreign_forms(url, diag);
    struct str rest = url;

    if (err)
        return err;
    if (url.len > SETTINGS_MAX_URL)
        return diag__set(diag, PH_ERR_ARGUMENT, "urlTemplate must have at most %d bytes, got %zu",
                         SETTINGS_MAX_URL, url.len);
    if (!take_scheme(&rest))
        return diag__set(diag, PH_ERR_ARGUMENT,
                         "urlTemplate must be an http:// or https:// URL, got \"%.*s\"",
                         STR_FMT(url));
    if (has_blank_or_control(rest) || memchr(rest.ptr, '#', rest.len))
        return diag__set(diag, PH_ERR_ARGUMENT,
                         "urlTemplate must not have blanks, control characters or a \"#\", got "
                         "\"%.*s\"",
                         STR_FMT(url));
    err = check_authority(take_authority(&rest), diag);
    return err ? err : check_parameters(rest, diag);
}

/* client-and-rest section 2.1: [A-Za-z][A-Za-z0-9_.-]{0,127}, here with wildcards. */
static bool is_event_pattern(struct str part)
{
    static const char also[] = "0123456789_.-";

    if (part.len == 0 || part.len > NAMES_EVENT_MAX)
        return false;
    for (size_t i = 0; i < part.len; i++) {
        char lower = (char)(part.ptr[i] | 0x20);

        if ((lower >= 'a' && lower <= 'z') || part.ptr[i] == '*' || part.ptr[i] == '?')
            continue;
        if (i == 0 || !memchr(also, part.ptr[i], sizeof(also) - 1))
            return false;
    }
    return true;
}

static enum ph_err check_part(struct str part, struct diag *diag)
{
    const char *problem;

    if (!is_event_pattern(part))
        return diag__set(diag, PH_ERR_ARGUMENT,
                         "userEventPattern must be \"*\", one event name or a comma list of names, "
                         "in which `*` and `?` are wildcards within a part between dots and `**` "
                         "one for any characters; \"%.*s\" is no event name",
                         STR_FMT(part));
    problem = pattern__problem(part);
    return problem ? diag__set(diag, PH_ERR_ARGUMENT, "userEventPattern: \"%.*s\" %s",
                               STR_FMT(part), problem)
                   : PH_OK;
}

enum ph_err event_handler__check_pattern(struct str pattern, struct diag *diag)
{
    struct str rest = pattern, part;
    enum ph_err err = PH_OK;

    while (!err && str__split(&rest, ',', &part))
        err = check_part(str__trim(part), diag);
    return err;
}

struct event_bit {
    struct str name;
    unsigned bit;
};

static bool add_bit(const struct event_bit *rows, size_t count, struct str name, unsigned *events)
{
    for (size_t i = 0; i < count; i++) {
        if (str__eq_nocase(name, rows[i].name)) {
            *events |= rows[i].bit;
            return true;
        }
    }
    return false;
}

enum ph_err event_handler__add_system_event(struct str name, unsigned *events, struct diag *diag)
{
    static const struct event_bit rows[] = {{STR("connect"), SYSTEM_EVENT_CONNECT},
                                            {STR("connected"), SYSTEM_EVENT_CONNECTED},
                                            {STR("disconnected"), SYSTEM_EVENT_DISCONNECTED}};

    if (add_bit(rows, sizeof(rows) / sizeof(rows[0]), name, events))
        return PH_OK;
    return diag__set(diag, PH_ERR_ARGUMENT,
                     "systemEvents may hold \"connect\", \"connected\" and \"disconnected\", got "
                     "\"%.*s\"",
                     STR_FMT(name));
}

enum ph_err event_handler__add_presence_event(struct str name, unsigned *events, struct diag *diag)
{
    static const struct event_bit rows[] = {{STR("joined"), PRESENCE_EVENT_JOINED},
                                            {STR("left"), PRESENCE_EVENT_LEFT}};

    if (add_bit(rows, sizeof(rows) / sizeof(rows[0]), name, events))
        return PH_OK;
    return diag__set(diag, PH_ERR_ARGUMENT,
                     "eventNames may hold \"joined\" and \"left\", got \"%.*s\"", STR_FMT(name));
}

enum ph_err event_handler__check_group_filter(struct str filter, struct diag *diag)
{
    const char *problem = pattern__problem(filter);

    return problem ? diag__set(diag, PH_ERR_ARGUMENT, "groupFilters: \"%.*s\" %s", STR_FMT(filter),
                               problem)
                   : PH_OK;
}
