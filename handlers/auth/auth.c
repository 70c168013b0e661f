/* auth: decides by configured rules who may connect.
 *
 *     pubhookd --plugin 'auth.so?hub=chat&users=alice,bob' --plugin chat.so ...
 *
 * Configuration, at least one rule; all that are given must hold:
 *   users=NAME,NAME...    the user id is one of these
 *   claim=NAME            the client's access token has this claim ...
 *   claim-equals=VALUE    ... and one of its values is this
 *   query=NAME            the client's URL has this query parameter ...
 *   query-equals=VALUE    ... and one of its values is this
 *   status=N              answer to a client that breaks a rule: 400 to 499, default 401
 *
 * A client that breaks a rule is refused. One that breaks none is passed on to the next
 * plugin, so that auth can stand before any other; if there is none, it is accepted as
 * its token says. */
#include <pubhook/plugin.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum rule { USERS, CLAIM, CLAIM_EQUALS, QUERY, QUERY_EQUALS, RULE_COUNT };

static const char *const keys[RULE_COUNT] = {
    [USERS] = "users",
    [CLAIM] = "claim",
    [CLAIM_EQUALS] = "claim-equals",
    [QUERY] = "query",
    [QUERY_EQUALS] = "query-equals",
};

struct auth {
    char *rules[RULE_COUNT]; /* NULL: not given */
    int status;
};

static bool is_listed(const char *list, const char *name)
{
    size_t len = strlen(name);

    for (; *list; list += *list == ',') {
        size_t part = strcspn(list, ",");

        if (part == len && len > 0 && memcmp(list, name, len) == 0)
            return true;
        list += part;
    }
    return false;
}

/* Without `wanted`, any value will do. */
static bool has_value(const struct ph_event *ev, enum ph_field field, const char *name,
                      const char *wanted)
{
    const char *value;

    for (size_t i = 0; (value = ph_event_field(ev, field, name, i)) != NULL; i++) {
        if (!wanted || strcmp(value, wanted) == 0)
            return true;
    }
    return false;
}

static struct ph_reply *on_connect(const struct ph_event *ev, void *state)
{
    const struct auth *a = state;
    const char *user = ph_event_user_id(ev);

    if (a->rules[USERS] && !is_listed(a->rules[USERS], user ? user : ""))
        return ph_reply_reject(a->status, "this user may not connect");
    if (a->rules[CLAIM] && !has_value(ev, PH_FIELD_CLAIMS, a->rules[CLAIM], a->rules[CLAIM_EQUALS]))
        return ph_reply_reject(a->status, "the access token lacks a claim");
    if (a->rules[QUERY] && !has_value(ev, PH_FIELD_QUERY, a->rules[QUERY], a->rules[QUERY_EQUALS]))
        return ph_reply_reject(a->status, "the URL lacks a query parameter");
    return ph_reply_pass();
}

static void close_auth(void *state)
{
    struct auth *a = state;

    for (int i = 0; i < RULE_COUNT; i++)
        free(a->rules[i]);
    free(a);
}

static const char *read_rules(struct auth *a, const struct ph_plugin_config *config)
{
    for (int i = 0; i < RULE_COUNT; i++) {
        const char *value = ph_plugin_config_get(config, keys[i]);

        if (value && !(a->rules[i] = strdup(value)))
            return "out of memory";
    }
    if (!a->rules[USERS] && !a->rules[CLAIM] && !a->rules[QUERY])
        return "no rule, expected users=NAME,..., claim=NAME or query=NAME";
    if (a->rules[CLAIM_EQUALS] && !a->rules[CLAIM])
        return "claim-equals needs claim=NAME";
    if (a->rules[QUERY_EQUALS] && !a->rules[QUERY])
        return "query-equals needs query=NAME";
    return NULL;
}

static enum ph_err open_auth(struct ph_plugin_config *config, void **state)
{
    struct auth *a = calloc(1, sizeof(*a));
    const char *why = a ? read_rules(a, config) : "out of memory";

    if (why) {
        if (a)
            close_auth(a);
        return ph_plugin_config_fail(config, why);
    }
    a->status = (int)ph_plugin_config_int(config, "status");
    ph_plugin_config_never_blocks(config);
    *state = a;
    return PH_OK;
}

static const struct ph_plugin_option options[] = {
    {.name = "users", .help = "names with commas between them: the user id is one of these"},
    {.name = "claim", .help = "the client's access token has this claim ..."},
    {.name = "claim-equals", .help = "... and one of its values is this"},
    {.name = "query", .help = "the client's URL has this query parameter ..."},
    {.name = "query-equals", .help = "... and one of its values is this"},
    {.name = "status",
     .type = PH_OPTION_INTEGER,
     .help = "answer to a client that breaks a rule",
     .preset = "401",
     .least = 400,
     .most = 499},
    {.name = NULL},
};

static const struct ph_plugin_handler handlers[] = {
    {PH_EVENT_CONNECT, NULL, on_connect},
    {0, NULL, NULL},
};

static const struct ph_plugin plugin = {
    PH_PLUGIN_HEAD, "auth", PH_VERSION, open_auth, close_auth, handlers, options,
};

PH_PLUGIN(plugin)
