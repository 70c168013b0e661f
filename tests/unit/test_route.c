/* Which event handler gets an event, and at which URL. */
#include "unit.h"

#include "broker/upstream/route.h"
#include "event/event.h"

/* event-handler section 5; the matcher itself is tested in test_pattern.c. */
static void patterns(void **state)
{
    static const struct {
        const char *pattern, *name;
        bool matches;
    } rows[] = {
        {"*", "any", true},
        {"*", "any.thing", true}, /* alone it stands for all */
        {"Message", "message", true},
        {"a, b ,c", "B", true},
        {"a,*", "b.c", true},
        {"a,b", "ab", false},
        {"a,,b", "", false},
        {"", "", false},
        {"mess*", "MESSAGE", true},
        {"mess*", "mess.age", false},
        {"mess**", "mess.age", true},
        {"order.*", "order.created", true},
        {"order.*", "order.line.created", false},
        {"**.created, x", "order.line.created", true},
        {"v?", "v1", true},
        {"v?", "v.", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        if (route__pattern_matches(str__of(rows[i].pattern), str__of(rows[i].name)) !=
            rows[i].matches)
            fail_msg("pattern %s, name %s", rows[i].pattern, rows[i].name);
    }
}

static void first_handler_that_matches_wins(void **state)
{
    struct event_handler h[] = {
        {.user_event_pattern = STR("a"), .system_events = SYSTEM_EVENT_CONNECTED},
        {.system_events = SYSTEM_EVENT_CONNECT | SYSTEM_EVENT_CONNECTED},
        {.user_event_pattern = STR("*")},
    };
    struct hub_settings hub = {.handlers = h, .handler_count = 3};

    (void)state;
    assert_ptr_equal(route__find(&hub, PH_EVENT_CONNECT, STR("connect")), &h[1]);
    assert_ptr_equal(route__find(&hub, PH_EVENT_CONNECTED, STR("connected")), &h[0]);
    assert_null(route__find(&hub, PH_EVENT_DISCONNECTED, STR("disconnected")));
    assert_ptr_equal(route__find(&hub, PH_EVENT_USER, STR("A")), &h[0]);
    /* a user event may have a system event's name (event-handler section 2.2) */
    assert_ptr_equal(route__find(&hub, PH_EVENT_USER, STR("connected")), &h[2]);
}

static void presence_goes_to_the_first_handler_of_the_group(void **state)
{
    static const struct str chats[] = {STR("chat-*"), STR("**.chat")}, any[] = {STR("*")};
    struct event_handler h[] = {
        {.presence_events = PRESENCE_EVENT_JOINED, .group_filters = chats, .group_filter_count = 2},
        {.system_events = SYSTEM_EVENT_CONNECT, .user_event_pattern = STR("*")},
        {.presence_events = PRESENCE_EVENT_LEFT, .group_filters = any, .group_filter_count = 1},
        {.presence_events = PRESENCE_EVENT_JOINED | PRESENCE_EVENT_LEFT},
    };
    struct hub_settings hub = {.handlers = h, .handler_count = 4};

    (void)state;
    assert_ptr_equal(route__find(&hub, PH_EVENT_JOINED, STR("chat-1")), &h[0]);
    assert_ptr_equal(route__find(&hub, PH_EVENT_JOINED, STR("a.b.chat")), &h[0]);
    assert_ptr_equal(route__find(&hub, PH_EVENT_JOINED, STR("Chat-1")), &h[3]);
    assert_ptr_equal(route__find(&hub, PH_EVENT_JOINED, STR("chat-1.2")), &h[3]);
    assert_ptr_equal(route__find(&hub, PH_EVENT_LEFT, STR("chat-1.2")), &h[2]);
    hub.handler_count = 2;
    assert_null(route__find(&hub, PH_EVENT_LEFT, STR("chat-1")));
}

static void urls_are_escaped_and_shown_without_secrets(void **state)
{
    struct event_handler h = {.plugin = STR("chat.so?key=secret")};
    struct arena a;
    struct str url;

    (void)state;
    arena__init(&a, NULL, 0, 65536);
    url = event__url(&a, STR("http://u:p@h/{Hub}/x{EVENT}?code=s&{other}"), STR("a[b]"),
                     STR("\xc3\xa4/"));
    assert_str(url, "http://u:p@h/a%5Bb%5D/x%C3%A4%2F?code=s&{other}");
    assert_string_equal(route__show(&a, &h, url), "event handler http://h/a%5Bb%5D/x%C3%A4%2F");
    assert_string_equal(route__bare(route__show(&a, &h, url)), "http://h/a%5Bb%5D/x%C3%A4%2F");
    assert_string_equal(route__show(&a, &h, STR_NONE), "plugin chat.so");
    assert_string_equal(route__bare(route__show(&a, &h, STR_NONE)), "chat.so");
    arena__free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(patterns),
        cmocka_unit_test(first_handler_that_matches_wins),
        cmocka_unit_test(presence_goes_to_the_first_handler_of_the_group),
        cmocka_unit_test(urls_are_escaped_and_shown_without_secrets),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
