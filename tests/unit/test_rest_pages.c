/* Lists that come in pages, and the links between them. */
#include "rest_kit.h"

#include "base/base64.h"
#include "broker/core/listing.h"

#define PAGE_TOKEN_TOO_LONG (2048 + 2)

#define LIST "/api/hubs/Chat/groups/g%2F1%25%20%C3%9C/connections"

/* The connections c001 to c`total` behind `after`, as the core would list them; every
 * second one is anonymous. */
static struct hub_result listed(struct fixture *f, unsigned total)
{
    const struct hub_command *cmd = &f->call.command;
    struct hub_result result = {.listing = listing__new(cmd->limit)};
    char id[16], user[16];

    for (unsigned i = total; i >= 1; i--) {
        snprintf(id, sizeof(id), "c%03u", i);
        snprintf(user, sizeof(user), "u\"%u", i);
        if (!cmd->after.ptr || listing__compare(str__of(id), cmd->after) > 0)
            assert_true(
                listing__offer(result.listing, str__of(id), i % 2 ? str__of(user) : STR_NONE));
    }
    listing__sort(result.listing);
    return result;
}

/* How many connections a page shows, the first of them, and the path of the next link. */
static unsigned page(struct fixture *f, const char *target, unsigned total, struct str *first,
                     const char **next)
{
    struct hub_result result;
    struct json *root;
    struct str link;
    int status = kit__call(f, "GET", target, "", STR_NONE);

    if (status != 0)
        fail_msg("%s: %d %s", target, status, f->diag.text);
    assert_int_equal(f->call.command.op, HUB_LIST);
    assert_int_equal(f->call.command.scope, SCOPE_GROUP);
    assert_str(f->call.command.hub, "chat");
    assert_str(f->call.command.name, "g/1% \xc3\x9c");
    result = listed(f, total);
    rest__finish(&f->arena, &f->call, &result);
    hub_result__free(&result);
    assert_int_equal(f->call.response.status, 200);
    assert_str(kit__header(f, "Content-Type"), "application/json");
    assert_int_equal(
        json__parse(&f->arena, f->call.response.body, &JSON_LIMITS_DEFAULT, &root, NULL), PH_OK);
    link = json__get_string(root, STR("nextLink"));
    assert_non_null(json__get(root, STR("nextLink")));
    assert_true(!link.ptr || str__starts_with(link, STR(HOST LIST "?api-version=2024-12-01&")));
    *next = link.ptr
                ? arena__strdup(&f->arena, str__n(link.ptr + strlen(HOST), link.len - strlen(HOST)))
                : NULL;
    *first = json__get_string(json__get(root, STR("value"))->child, STR("connectionId"));
    return json__get(root, STR("value"))->count;
}

static void lists_come_in_pages(void **state)
{
    static const struct {
        const char *query;
        unsigned total, pages[5];
    } rows[] = {
        {"", 0, {0}},
        {"", 200, {200}},
        {"", 201, {200, 1}},
        {"?maxpagesize=200", 401, {200, 200, 1}},
        {"?maxpagesize=1", 3, {1, 1, 1}},
        {"?MaxPageSize=2", 4, {2, 2}},
        {"?maxpagesize=2", 5, {2, 2, 1}},
        {"?maxpagesize=2&top=3", 10, {2, 1}},
        {"?maxpagesize=2&top=4", 10, {2, 2}},
        {"?maxpagesize=2&top=2", 10, {2}},
        {"?maxpagesize=2&top=1", 10, {1}},
        {"?top=2147483647", 3, {3}},
        {"?top=201", 300, {200, 1}},
        {"?top=7", 3, {3}},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        const char *next = arena__printf(&f->arena, "%s%s", LIST, rows[i].query);
        unsigned shown = 0, k = 0;
        char want[16];

        do {
            struct str first;
            unsigned count = page(f, next, rows[i].total, &first, &next);

            if (count != rows[i].pages[k])
                fail_msg("%s: page %u has %u", rows[i].query, k, count);
            snprintf(want, sizeof(want), "c%03u", shown + 1);
            if (count > 0)
                assert_str(first, want);
            shown += count;
            k++;
        } while (next);
        assert_true(k == 5 || rows[i].pages[k] == 0);
    }
}

/* A client that escapes half of a character, or none of it, gets a link that is a URL. */
static void a_link_escapes_what_the_path_did_not(void **state)
{
    static const struct {
        const char *sent, *link;
    } rows[] = {
        {"%c3\x9c", "%c3%9C"},
        {"\xc3\x9c", "%C3%9C"},
        {"%C3%9C", "%C3%9C"},
    };
    struct fixture *f = *state;
    const char *authorization = arena__printf(&f->arena, "Authorization: %.*s\n",
                                              STR_FMT(kit__bearer(f, HOST "/api/hubs/chat")));

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct hub_result result;
        struct json *root;
        struct str link;
        const char *want;

        assert_int_equal(kit__call(f, "GET",
                                   arena__printf(&f->arena, "/api/hubs/chat/groups/%s/connections",
                                                 rows[i].sent),
                                   authorization, STR_NONE),
                         0);
        result = listed(f, 201);
        rest__finish(&f->arena, &f->call, &result);
        hub_result__free(&result);
        assert_int_equal(
            json__parse(&f->arena, f->call.response.body, &JSON_LIMITS_DEFAULT, &root, NULL),
            PH_OK);
        link = json__get_string(root, STR("nextLink"));
        want =
            arena__printf(&f->arena, "%s/api/hubs/chat/groups/%s/connections?", HOST, rows[i].link);
        assert_true(str__starts_with(link, str__of(want)));
    }
}

static void users_are_listed_or_null(void **state)
{
    struct fixture *f = *state;
    const char *next;
    struct str first;

    page(f, LIST, 2, &first, &next);
    assert_str(f->call.response.body,
               "{\"value\":[{\"connectionId\":\"c001\",\"userId\":\"u\\\"1\"},"
               "{\"connectionId\":\"c002\",\"userId\":null}],"
               "\"nextLink\":null}");
    kit__call(f, "GET", LIST, "", STR_NONE); /* nobody on any shard */
    assert_int_equal(kit__finish(f, 0), 200);
    assert_str(f->call.response.body, "{\"value\":[],\"nextLink\":null}");
    kit__call(f, "GET", LIST, "", STR_NONE);
    rest__finish(&f->arena, &f->call, &(struct hub_result){.failed = true});
    assert_int_equal(f->call.response.status, 503);
}

/* A token is good for its hub and group, and for nothing else. */
static void continuation_tokens_are_bound(void **state)
{
    static const struct {
        const char *path;
        bool good;
    } rows[] = {
        {LIST, true},
        {"/api/hubs/chat/groups/g%2f1%25%20%C3%9C/connections", true},
        {"/api/hubs/other/groups/g%2F1%25%20%C3%9C/connections", false},
        {"/api/hubs/chat/groups/G%2F1%25%20%C3%9C/connections", false},
        {"/api/hubs/chat/groups/g%252F1%25%20%C3%9C/connections", false},
    };
    struct fixture *f = *state;
    const char *next, *token;
    struct mac_key *old;
    struct str first;

    page(f, LIST "?maxpagesize=1", 2, &first, &next);
    token = strstr(next, "continuationToken=");
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        int status = kit__call(f, "GET", arena__printf(&f->arena, "%s?%s", rows[i].path, token), "",
                               STR_NONE);

        assert_int_equal(status, rows[i].good ? 0 : 400);
        if (rows[i].good)
            assert_str(f->call.command.after, "c001");
        else
            kit__error_is(f, "Error.BadRequest", "Request");
    }
    for (size_t i = strlen("continuationToken="); i < strlen(token); i++) {
        char *broken = arena__printf(&f->arena, "%s?%s", LIST, token);
        char *at = broken + strlen(LIST "?") + i;

        *at = *at == 'A' ? 'B' : 'A';
        if (kit__call(f, "GET", broken, "", STR_NONE) != 400 && i + 1 < strlen(token))
            fail_msg("taken: %s", broken); /* the last digit may have bits that do not count */
    }
    /* Another key made it: as a secondary key, it still counts. The next one is the new key's. */
    old = f->settings.keys[0];
    f->settings.keys[0] = mac__key_new(STR("another key, which is long enough for all"));
    assert_int_equal(kit__call(f, "GET", next, "", STR_NONE), 400);
    f->settings.keys[1] = old;
    f->settings.key_count = 2;
    assert_int_equal(kit__call(f, "GET", next, "", STR_NONE), 0);
    page(f, LIST "?maxpagesize=1", 2, &first, &next);
    f->settings.key_count = 1;
    assert_int_equal(kit__call(f, "GET", next, "", STR_NONE), 0);
    mac__key_free(old);
}

/* Whoever moves characters from one name to the next gets no signature for it. */
static void a_continuation_token_keeps_its_names_apart(void **state)
{
    static const struct {
        const char *path;
        size_t moved; /* characters of the connection id that go in front of it */
    } rows[] = {
        {"/api/hubs/chat/groups/g%2F1%25%20%C3%9Cc/connections", 1},
        {"/api/hubs/chatg/groups/%2F1%25%20%C3%9C/connections", 0},
    };
    struct fixture *f = *state;
    struct str first, token;
    const char *next;

    page(f, LIST "?maxpagesize=1", 2, &first, &next);
    next = strstr(next, "continuationToken=") + strlen("continuationToken=");
    token = base64__decode_url(&f->arena, str__of(next));
    assert_int_equal(token.len, MAC_SIZE + first.len);
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct buf forged;

        buf__init(&forged, 4096);
        buf__printf(&forged, "%s?continuationToken=", rows[i].path);
        memcpy((char *)token.ptr + MAC_SIZE, first.ptr + rows[i].moved, first.len - rows[i].moved);
        base64__encode_url(&forged, token.ptr, token.len - rows[i].moved);
        assert_int_equal(
            kit__call(f, "GET", arena__strdup(&f->arena, buf__view(&forged)), "", STR_NONE), 400);
        buf__free(&forged);
    }
}

static void page_parameters_are_checked(void **state)
{
    static const char *const queries[] = {
        "maxpagesize=0",
        "maxpagesize=201",
        "maxpagesize=-1",
        "maxpagesize=",
        "maxpagesize=x",
        "maxpagesize=1&maxpagesize=1",
        "top=0",
        "top=2147483648",
        "top=",
        "top=1&top=1",
        "continuationToken=",
        "continuationToken=x",
        "continuationToken=%20",
        "continuationToken=AAAA",
        "continuationToken=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    };
    static char long_token[PAGE_TOKEN_TOO_LONG];
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(queries) / sizeof(*queries); i++) {
        if (kit__call(f, "GET", arena__printf(&f->arena, "%s?%s", LIST, queries[i]), "",
                      STR_NONE) != 400)
            fail_msg("taken: %s", queries[i]);
        kit__error_is(f, "Error.BadRequest", "Request");
    }
    memset(long_token, 'A', sizeof(long_token) - 1);
    assert_int_equal(
        kit__call(f, "GET", arena__printf(&f->arena, "%s?continuationToken=%s", LIST, long_token),
                  "", STR_NONE),
        400);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(lists_come_in_pages, kit__set_up, kit__tear_down),
        cmocka_unit_test_setup_teardown(a_link_escapes_what_the_path_did_not, kit__set_up,
                                        kit__tear_down),
        cmocka_unit_test_setup_teardown(users_are_listed_or_null, kit__set_up, kit__tear_down),
        cmocka_unit_test_setup_teardown(continuation_tokens_are_bound, kit__set_up, kit__tear_down),
        cmocka_unit_test_setup_teardown(a_continuation_token_keeps_its_names_apart, kit__set_up,
                                        kit__tear_down),
        cmocka_unit_test_setup_teardown(page_parameters_are_checked, kit__set_up, kit__tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
