#include "broker/config/event_listener.h"

#include "base/url.h"
#include "broker/config/event_handler.h"

#define MAX_SUBJECT 255
#define SCHEME STR("nats://")

static bool has_blank_or_control(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        if ((unsigned char)s.ptr[i] <= ' ' || s.ptr[i] == 0x7F)
            return true;
    }
    return false;
}

/* HOST[:PORT] behind user and password, which may hold anything but a comma. */
static bool names_server(struct str authority)
{
    struct str host;
    uint16_t port;

    for (size_t i = authority.len; i > 0; i--) {
        if (authority.ptr[i - 1] == '@') {
            authority = str__n(authority.ptr + i, authority.len - i);
            break;
        }
    }
    if (url__host_port(authority, &host, &port))
        return host.len > 0 && port > 0;
    return authority.len > 0 && !memchr(authority.ptr, ':', authority.len) &&
           !memchr(authority.ptr, '/', authority.len);
}

/* The endpoint itself is not shown: it may hold a password. */
enum ph_err event_listener__check_endpoint(struct str endpoint, struct diag *diag)
{
    struct str rest = endpoint, url;
    unsigned servers = 0;

    if (endpoint.len == 0 || endpoint.len > SETTINGS_MAX_URL || has_blank_or_control(endpoint))
        return diag__set(diag, PH_ERR_ARGUMENT,
                         "endpoint must be a nats:// URL of at most %d bytes without blanks",
                         SETTINGS_MAX_URL);
    while (str__split(&rest, ',', &url)) {
        if (!str__starts_with_nocase(url, SCHEME) ||
            !names_server(str__n(url.ptr + SCHEME.len, url.len - SCHEME.len)))
            return diag__set(diag, PH_ERR_ARGUMENT,
                             "endpoint must be nats://HOST:PORT, with USER:PASSWORD@ in front of "
                             "the host if need be, or some of those with commas between them; "
                             "Azure Event Hubs are not supported");
        servers++;
    }
    if (servers > SETTINGS_MAX_SERVERS)
        return diag__set(diag, PH_ERR_ARGUMENT, "endpoint may name %d servers, got %u",
                         SETTINGS_MAX_SERVERS, servers);
    return PH_OK;
}

static enum ph_err check_token(struct str token, struct str subject, struct diag *diag)
{
    if (token.len == 0)
        return diag__set(diag, PH_ERR_ARGUMENT,
                         "subject must not begin or end with a dot, or have two in a row, got "
                         "\"%.*s\"",
                         STR_FMT(subject));
    if (str__eq(token, STR("*")) || str__eq(token, STR(">")))
        return diag__set(diag, PH_ERR_ARGUMENT,
                         "subject must not have a wildcard, got \"%.*s\": events are published to "
                         "one subject",
                         STR_FMT(subject));
    return PH_OK;
}

static enum ph_err check_parameters(struct str subject, struct diag *diag)
{
    struct str rest = subject, before, name;

    while (str__split(&rest, '{', &before) && rest.ptr) {
        bool closed = str__split(&rest, '}', &name) && rest.ptr;

        if (!closed || (!str__eq_nocase(name, STR("hub")) && !str__eq_nocase(name, STR("event"))))
            return diag__set(diag, PH_ERR_ARGUMENT,
                             "subject may have the parameters {hub} and {event}, got \"%.*s\"",
                             STR_FMT(subject));
    }
    return PH_OK;
}

enum ph_err event_listener__check_subject(struct str subject, struct diag *diag)
{
    struct str rest = subject, token;
    enum ph_err err = PH_OK;

    if (subject.len == 0 || subject.len > MAX_SUBJECT || has_blank_or_control(subject))
        return diag__set(diag, PH_ERR_ARGUMENT,
                         "subject must have 1 to %d bytes and no blanks or control characters",
                         MAX_SUBJECT);
    while (!err && str__split(&rest, '.', &token))
        err = check_token(token, subject, diag);
    return err ? err : check_parameters(subject, diag);
}

enum ph_err event_listener__add_system_event(struct str name, unsigned *events, struct diag *diag)
{
    unsigned added = 0;
    enum ph_err err = event_handler__add_system_event(name, &added, diag);

    if (!err && !(added & SYSTEM_EVENT_CONNECT)) {
        *events |= added;
        return PH_OK;
    }
    return diag__set(diag, PH_ERR_ARGUMENT,
                     "systemEvents of a listener may hold \"connected\" and \"disconnected\", got "
                     "\"%.*s\"; connect needs an answer, which a listener cannot give",
                     STR_FMT(name));
}
