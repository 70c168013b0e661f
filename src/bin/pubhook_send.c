/* send: a message to a hub, a group, a user or a connection. */
#include "bin/content.h"
#include "bin/rest.h"

#include <stdlib.h>

#define MAX_TTL 300

struct settings {
    struct rest rest;
    struct content content;
    struct values metadata;
    unsigned ttl;
};

VERB_ADD(set_text, content, content__set_text)
VERB_ADD(set_json, content, content__set_json)
VERB_ADD(set_file, content, content__set_file)
VERB_ADD(set_data_type, content, content__set_type)
VERB_ADD(add_metadata, metadata, values__add_pair)
VERB_NUMBER(set_ttl, ttl, 1, MAX_TTL)

static const struct cli_option options[] = {
    {"group", "NAME", "to the members of a group", rest__set_group},
    {"user", "ID", "to all connections of a user", rest__set_user},
    {"connection", "ID", "to a connection (default: to all of the hub)", rest__set_connection},
    CONTENT_OPTIONS(set_text, set_json, set_file, set_data_type),
    REST_OPTION_FILTER,
    REST_OPTION_EXCLUDE,
    {"ttl", "SECONDS", "not to be delivered later than this, 1 to 300", set_ttl},
    {"metadata", "NAME=VALUE", "metadata of the message; may be repeated", add_metadata},
    REST_OPTIONS,
};

static enum ph_service_operation operation_of(const struct rest *r)
{
    if (r->group)
        return PH_SERVICE_SEND_TO_GROUP;
    if (r->user)
        return PH_SERVICE_SEND_TO_USER;
    return r->connection ? PH_SERVICE_SEND_TO_CONNECTION : PH_SERVICE_SEND_TO_ALL;
}

/* Ends with an entry without a name. False: no memory. */
static bool make_metadata(struct arena *a, const struct values *values,
                          struct ph_service_metadata *out)
{
    for (size_t i = 0; i < values->count; i++) {
        struct str name, value;

        values__pair(values->items[i], &name, &value);
        out[i].name = arena__strdup(a, name);
        out[i].value = value.ptr;
        if (!out[i].name)
            return false;
    }
    return true;
}

static int send_it(struct settings *s, struct arena *a)
{
    const struct rest *r = &s->rest;
    struct ph_service_metadata metadata[PUBHOOK_MAX_LIST + 1] = {{NULL, NULL}};
    struct ph_service_request request = {
        .operation = operation_of(r),
        .group = r->group,
        .user_id = r->user,
        .connection_id = r->connection,
        .filter = r->filter,
        .excluded = r->excluded.count > 0 ? r->excluded.items : NULL,
        .ttl_seconds = s->ttl,
        .metadata = s->metadata.count > 0 ? metadata : NULL,
    };
    struct str data;
    struct diag diag;

    if (content__load(&s->content, &data, &request.type, &diag))
        return common__wrong(&r->common, "%s", diag.text);
    if (!make_metadata(a, &s->metadata, metadata))
        return common__fail(&r->common, "%s", ph_strerror(PH_ERR_MEMORY));
    request.data = data.ptr;
    request.len = data.len;
    return rest__run(r, &request, NULL);
}

static int run(void *settings)
{
    struct settings *s = settings;
    const struct rest *r = &s->rest;
    struct arena arena;
    int status;

    if ((r->group ? 1 : 0) + (r->user ? 1 : 0) + (r->connection ? 1 : 0) > 1)
        return common__wrong(&r->common, "--group, --user and --connection exclude each other");
    if (!content__given(&s->content))
        return common__wrong(&r->common, "send what? Expected --text TEXT, --json JSON or "
                                         "--file FILE");
    arena__init(&arena, NULL, 0, 1u << 20);
    status = send_it(s, &arena);
    arena__free(&arena);
    content__free(&s->content);
    return status;
}

const struct verb verb_send = {
    .name = "send",
    .operands = "HUB",
    .summary = "send a message to the clients of a hub, a group, a user or a connection",
    .examples = "  pubhook send chat --text hello\n"
                "  pubhook send chat --group lobby --json '{\"from\":\"me\"}' --filter \"userId ne "
                "'bob'\"\n"
                "  tail -n 1 log.txt | pubhook send chat --user alice --file - --data-type text",
    PUBHOOK_OPTIONS(options),
    .settings_size = sizeof(struct settings),
    .run = run,
};
