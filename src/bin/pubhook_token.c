/* token, url: what a client connects with. */
#include "bin/rest.h"

#include <stdio.h>
#include <stdlib.h>

#define DEFAULT_MINUTES 60
#define MAX_MINUTES (366u * 24 * 60)

struct settings {
    struct rest rest;
    const char *user_id;
    struct values roles, groups;
    unsigned minutes;
    enum ph_client_protocol protocol;
};

VERB_USER(set_user, user_id)
VERB_ADD(add_role, roles, values__add)
VERB_ADD(add_group, groups, values__add)
VERB_NUMBER(set_minutes, minutes, 1, MAX_MINUTES)

static enum ph_err set_protocol(void *settings, const char *value, struct diag *diag)
{
    static const char *const names[] = {[PH_CLIENT_DEFAULT] = "default",
                                        [PH_CLIENT_MQTT] = "mqtt",
                                        [PH_CLIENT_SOCKETIO] = "socketio",
                                        NULL};
    struct settings *s = settings;
    unsigned at = s->protocol;
    enum ph_err err = cli__choice(value, names, &at, diag);

    s->protocol = (enum ph_client_protocol)at;
    return err;
}

static const struct cli_option options[] = {
    {"user", "ID", "the client's user id (default: anonymous)", set_user},
    {"role", "ROLE",
     "a role: webpubsub.joinLeaveGroup[.GROUP] or\n"
     "webpubsub.sendToGroup[.GROUP]; may be repeated",
     add_role},
    {"group", "NAME", "a group that the client is in from the start; may be repeated", add_group},
    {"minutes", "N", "lifetime (default 60)", set_minutes},
    {"client", "PROTOCOL", "what the client speaks: default, mqtt or socketio", set_protocol},
    REST_OPTIONS,
    OPTION_JSON,
};

typedef enum ph_err make_fn(struct ph_service *service, const struct ph_token_options *options,
                            char **text, struct ph_service_result **out);

static int print(const struct settings *s, const char *key, const char *value)
{
    const struct common *c = &s->rest.common;
    struct record r;

    if (!c->json) {
        puts(value);
        return EXIT_SUCCESS;
    }
    record__begin(&r);
    record__text(&r, key, str__of(value));
    record__text(&r, "hub", str__of(c->operands[0]));
    if (s->user_id)
        record__text(&r, "userId", str__of(s->user_id));
    record__number(&r, "minutes", s->minutes ? s->minutes : DEFAULT_MINUTES);
    return common__print(c, &r);
}

static int make(const struct settings *s, make_fn *fn, const char *key)
{
    const struct ph_token_options token = {.user_id = s->user_id,
                                           .roles = s->roles.items,
                                           .groups = s->groups.items,
                                           .minutes = s->minutes,
                                           .protocol = s->protocol};
    struct ph_service *service;
    struct ph_service_result *result;
    char *text;
    int status = rest__open(&s->rest, s->rest.common.operands[0], &service);

    if (status)
        return status;
    status =
        fn(service, &token, &text, &result) ? rest__failed(&s->rest, result) : print(s, key, text);
    ph_token_free(text);
    ph_service_result_free(result);
    ph_service_free(service);
    return status;
}

static int run_token(void *settings)
{
    return make(settings, ph_service_client_token, "token");
}

static int run_url(void *settings)
{
    return make(settings, ph_service_client_url, "url");
}

const struct verb verb_token = {
    .name = "token",
    .operands = "HUB",
    .summary = "print an access token for clients of a hub",
    .about = "Made here, from the access key; with --bearer, the service is asked for it.",
    .examples = "  pubhook token chat --user alice --role webpubsub.joinLeaveGroup\n"
                "  pubhook token chat --json | jq -r .token",
    PUBHOOK_OPTIONS(options),
    .settings_size = sizeof(struct settings),
    .run = run_token,
};

const struct verb verb_url = {
    .name = "url",
    .operands = "HUB",
    .summary = "print a URL that a client connects to, with its access token",
    .about = "Made here, from the access key; with --bearer, the service is asked for it.",
    .examples = "  pubhook url chat --user alice --group lobby\n"
                "  websocat \"$(pubhook url chat)\"",
    PUBHOOK_OPTIONS(options),
    .settings_size = sizeof(struct settings),
    .run = run_url,
};
