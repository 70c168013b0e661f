#include "broker/rest/query.h"

#include "base/names.h"
#include "base/utf8.h"
#include "broker/rest/page.h"

#define MAX_PARAMS 1024
#define MAX_TTL_SECONDS 300
/* Until then a token's times fit whatever reads them (9999 years in seconds). */
#define MAX_MINUTES INT32_MAX

int query__read(struct judge *j)
{
    if (!url__parse_query(j->arena, j->req->query, MAX_PARAMS, &j->query))
        return judge__bad_request(j, "Request",
                                  "The query has a broken percent-escape or over 1024 parameters.");
    for (size_t i = 0; i < j->query.count; i++) {
        if (!utf8__valid(j->query.params[i].value))
            return judge__bad_request(j, "Request", "The query is not UTF-8.");
    }
    return 0;
}

/* client-and-rest section 5.1: none means the newest; one of the list, once. */
int query__check_version(struct judge *j)
{
    size_t count = 0;
    bool known = true;

    for (size_t i = 0; i < j->query.count; i++) {
        struct str versions = STR(ANSWER_VERSIONS), version;
        bool found = false;

        if (!str__eq_nocase(j->query.params[i].name, STR("api-version")))
            continue;
        count++;
        while (str__split(&versions, ',', &version))
            found |= str__eq(str__trim(version), j->query.params[i].value);
        known &= found;
    }
    if (known && count <= 1)
        return 0;
    return judge__bad_request(j, "api-version", "The specified API version is not supported.");
}

/* For parameters that repeat; there are no more of one name than of all. */
static int append(struct judge *j, const struct str **items, size_t *count, struct str value)
{
    struct str *room = (struct str *)*items; /* the array is ours */

    if (!room)
        room = arena__alloc(j->arena, j->query.count * sizeof(*room));
    if (!room)
        return judge__no_memory(j);
    room[(*count)++] = value;
    *items = room;
    return 0;
}

/* --- Parameters ------------------------------------------------------------- */

static int read_excluded(struct judge *j, struct str value)
{
    return append(j, &j->call->command.excluded, &j->call->command.excluded_count, value);
}

static int read_ttl(struct judge *j, struct str value)
{
    uint64_t seconds;

    if (!str__to_u64(value, &seconds) || seconds > MAX_TTL_SECONDS)
        return judge__bad_request(j, "Request",
                                  "messageTtlSeconds must be a whole number from 0 to 300.");
    j->call->ttl_seconds = (uint32_t)seconds;
    return 0;
}

static int read_reason(struct judge *j, struct str value)
{
    j->call->command.reason = value;
    return 0;
}

/* Optional, as in the REST reference and the SDKs: without it, every group is meant. The
 * emulator requires it (official-emulator section 2.10), which its clients' calls fulfil
 * here as well. A blank one is more likely a mistake than every group. */
static int read_target(struct judge *j, struct str value)
{
    j->call->command.target = value;
    return judge__is_group(j, value)
               ? 0
               : judge__bad_request(j, "Request",
                                    "targetName must be a group name: 1 to 1024 characters, not "
                                    "all white space.");
}

/* What the handshake refuses is refused before there is a token. */
static int read_user(struct judge *j, struct str value)
{
    const unsigned max = j->world->settings->limits.user_characters;
    const char *fault = names__user_fault(value);

    j->call->token.user_id = value;
    if (fault)
        diag__set(j->diag, PH_ERR_SYNTAX, "userId %s.", fault);
    else if (utf8__longer(value, max))
        diag__set(j->diag, PH_ERR_LIMIT,
                  "userId has more than %u characters (limits.userIdCharacters).", max);
    else
        return 0;
    return judge__refuse(j, 400, ANSWER_BAD_REQUEST, "Request");
}

static int read_role(struct judge *j, struct str value)
{
    return append(j, &j->call->token.roles, &j->call->token.role_count, value);
}

static int read_group(struct judge *j, struct str value)
{
    const struct limits *max = &j->world->settings->limits;

    if (!names__valid_group(value))
        return judge__bad_request(j, "Request", "Invalid group name.");
    if (utf8__longer(value, max->group_characters))
        diag__set(j->diag, PH_ERR_LIMIT,
                  "group has more than %u characters (limits.groupNameCharacters).",
                  max->group_characters);
    else if (j->call->token.group_count >= max->groups)
        diag__set(j->diag, PH_ERR_LIMIT,
                  "A connection is in at most %u groups (limits.groupsPerConnection).",
                  max->groups);
    else
        return append(j, &j->call->token.groups, &j->call->token.group_count, value);
    return judge__refuse(j, 400, ANSWER_BAD_REQUEST, "Request");
}

static int read_minutes(struct judge *j, struct str value)
{
    uint64_t minutes;

    if (!str__to_u64(value, &minutes) || minutes < 1 || minutes > MAX_MINUTES)
        return judge__bad_request(j, "Request",
                                  "minutesToExpire must be a whole number from 1 to 2147483647.");
    j->call->token.minutes = (int64_t)minutes;
    return 0;
}

static int read_client_type(struct judge *j, struct str value)
{
    j->call->token.mqtt = str__eq_nocase(value, STR("MQTT"));
    if (j->call->token.mqtt || str__eq_nocase(value, STR("Default")))
        return 0;
    return judge__bad_request(j, "Request", "clientType must be Default or MQTT.");
}

static const struct row {
    struct str name;
    unsigned flag;
    bool repeats;
    int (*read)(struct judge *j, struct str value);
} rows[] = {
    {{"excluded", 8}, ROUTE_EXCLUDED, true, read_excluded},
    {{"filter", 6}, ROUTE_FILTER, false, judge__filter},
    {{"messageTtlSeconds", 17}, ROUTE_TTL, false, read_ttl},
    {{"reason", 6}, ROUTE_REASON, false, read_reason},
    {{"targetName", 10}, ROUTE_TARGET, false, read_target},
    {{"userId", 6}, ROUTE_TOKEN_CLAIMS, false, read_user},
    {{"role", 4}, ROUTE_TOKEN_CLAIMS, true, read_role},
    {{"group", 5}, ROUTE_TOKEN_CLAIMS, true, read_group},
    {{"minutesToExpire", 15}, ROUTE_TOKEN_CLAIMS, false, read_minutes},
    {{"clientType", 10}, ROUTE_TOKEN_CLAIMS, false, read_client_type},
    {{"maxpagesize", 11}, ROUTE_PAGE, false, page__read_size},
    {{"top", 3}, ROUTE_PAGE, false, page__read_top},
    {{"continuationToken", 17}, ROUTE_PAGE, false, page__read_token},
};
#define ROW_COUNT (sizeof(rows) / sizeof(*rows))

static size_t row_of(struct str name, unsigned params)
{
    size_t i = 0;

    while (i < ROW_COUNT && !((params & rows[i].flag) && str__eq_nocase(rows[i].name, name)))
        i++;
    return i;
}

static int came_twice(struct judge *j, struct str name)
{
    diag__set(j->diag, PH_ERR_SYNTAX, "The query parameter %.*s came twice.", STR_FMT(name));
    return judge__refuse(j, 400, ANSWER_BAD_REQUEST, "Request");
}

int query__apply(struct judge *j)
{
    bool seen[ROW_COUNT] = {false};
    int status = 0;

    for (size_t i = 0; i < j->query.count && status == 0; i++) {
        size_t row = row_of(j->query.params[i].name, j->call->route->params);

        if (row == ROW_COUNT)
            continue;
        if (seen[row] && !rows[row].repeats)
            return came_twice(j, rows[row].name);
        seen[row] = true;
        status = rows[row].read(j, j->query.params[i].value);
    }
    return status;
}
