#include "broker/upstream/route.h"

#include "base/buf.h"
#include "base/pattern.h"
#include "base/url.h"

#define EVENT_HANDLER "event handler "
#define PLUGIN "plugin "

static const unsigned system_event[] = {
    [PH_EVENT_CONNECT] = SYSTEM_EVENT_CONNECT,
    [PH_EVENT_CONNECTED] = SYSTEM_EVENT_CONNECTED,
    [PH_EVENT_DISCONNECTED] = SYSTEM_EVENT_DISCONNECTED,
};

bool route__pattern_matches(struct str pattern, struct str name)
{
    struct str part;

    while (str__split(&pattern, ',', &part)) {
        part = str__trim(part);
        if (str__eq(part, STR("*")) ||
            (part.len > 0 && pattern__matches(part, name, PATTERN_NOCASE)))
            return true;
    }
    return false;
}

/* Names of groups have a case, names of events have none. Without filters, or with one that
 * is "*" alone as in userEventPattern, it is all groups (official-emulator section 3.7). */
static bool filters_let_pass(const struct event_handler *h, struct str group)
{
    for (size_t i = 0; i < h->group_filter_count; i++) {
        if (str__eq(h->group_filters[i], STR("*")) ||
            pattern__matches(h->group_filters[i], group, PATTERN_EXACT))
            return true;
    }
    return h->group_filter_count == 0;
}

static bool wants(const struct event_handler *h, enum ph_event_kind kind, struct str subject)
{
    switch (kind) {
    case PH_EVENT_USER:
        return h->user_event_pattern.ptr && route__pattern_matches(h->user_event_pattern, subject);
    case PH_EVENT_JOINED:
        return (h->presence_events & PRESENCE_EVENT_JOINED) && filters_let_pass(h, subject);
    case PH_EVENT_LEFT:
        return (h->presence_events & PRESENCE_EVENT_LEFT) && filters_let_pass(h, subject);
    default:
        return (h->system_events & system_event[kind]) != 0;
    }
}

/* connect needs an answer, and a listener gives none (official-emulator section 2.8). */
bool route__is_heard(const struct event_listener *l, enum ph_event_kind kind, struct str name)
{
    switch (kind) {
    case PH_EVENT_USER:
        return l->user_event_pattern.ptr && route__pattern_matches(l->user_event_pattern, name);
    case PH_EVENT_CONNECTED:
    case PH_EVENT_DISCONNECTED:
        return (l->system_events & system_event[kind]) != 0;
    default:
        return false;
    }
}

struct str route__subject(enum ph_event_kind kind, struct str name, struct str data)
{
    return kind == PH_EVENT_JOINED || kind == PH_EVENT_LEFT ? data : name;
}

const struct event_handler *route__find(const struct hub_settings *hub, enum ph_event_kind kind,
                                        struct str subject)
{
    for (size_t i = 0; i < hub->handler_count; i++) {
        if (wants(&hub->handlers[i], kind, subject))
            return &hub->handlers[i];
    }
    return NULL;
}

/* Start of the host: behind the last '@' of the authority. */
static struct str without_user(struct str rest)
{
    size_t end = 0;

    while (end < rest.len && rest.ptr[end] != '/')
        end++;
    for (size_t i = end; i > 0; i--) {
        if (rest.ptr[i - 1] == '@')
            return str__n(rest.ptr + i, rest.len - i);
    }
    return rest;
}

const char *route__show(struct arena *a, const struct event_handler *handler, struct str url)
{
    struct str rest = url, shown, scheme;

    if (url.len == 0) {
        rest = handler->plugin;
        str__split(&rest, '?', &shown);
        return arena__printf(a, PLUGIN "%.*s", STR_FMT(shown));
    }
    str__split(&rest, '?', &shown);
    rest = shown;
    str__split(&rest, ':', &scheme);
    if (!str__starts_with(rest, STR("//")))
        return arena__printf(a, EVENT_HANDLER "%.*s", STR_FMT(shown));
    rest = without_user(str__n(rest.ptr + 2, rest.len - 2));
    return arena__printf(a, EVENT_HANDLER "%.*s://%.*s", STR_FMT(scheme), STR_FMT(rest));
}

const char *route__bare(const char *shown)
{
    if (str__starts_with(str__of(shown), STR(EVENT_HANDLER)))
        return shown + strlen(EVENT_HANDLER);
    return shown + strlen(PLUGIN);
}
