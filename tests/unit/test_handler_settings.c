/* What a hub and its event handlers can be told in the configuration file, beyond URL and
 * events: presence, tokens, certificates, limits, and the points in which services differ. */
#include "unit.h"

#include "broker/config/settings.h"

static enum ph_err parse(struct settings *s, const char *text, struct diag *diag)
{
    assert_true(settings__init(s));
    return settings__parse_file(s, "f", str__of(text), diag);
}

#define HUB(members) "{\"hubs\":{\"chat\":{\n" members "}}}"
#define HANDLER(members)                                                                           \
    HUB("\"eventHandlers\":[{\"urlTemplate\":\"https://h/{event}\"" members "}]")

static const struct event_handler *only(const struct settings *s)
{
    const struct hub_settings *hub = settings__hub(s, STR("chat"));

    assert_int_equal(hub->handler_count, 1);
    return &hub->handlers[0];
}

static void everything(void **state)
{
    struct diag diag = {""};
    struct settings s;
    const struct event_handler *h;
    char text[] =
        HANDLER(",\"groupPresenceEvents\":{\"eventNames\":[\"joined\",\"LEFT\"],"
                "\"groupFilters\":[\"chat-*\",\"a.**\"]},"
                "\"auth\":{\"type\":\"BearerCommand\",\"command\":[\"/bin/token\",\"--for\",\"h\"],"
                "\"refreshSeconds\":60},"
                "\"caFile\":\"/etc/ca.pem\",\"maxConcurrentRequests\":7,\"maxQueuedEvents\":9,"
                "\"circuitBreaker\":{\"failures\":3,\"maxWaitSeconds\":4}");

    (void)state;
    if (parse(&s, text, &diag) != PH_OK)
        fail_msg("%s", diag.text);
    memset(text, '!', sizeof(text)); /* it is not needed after parsing */
    h = only(&s);
    assert_int_equal(h->presence_events, PRESENCE_EVENT_JOINED | PRESENCE_EVENT_LEFT);
    assert_int_equal(h->group_filter_count, 2);
    assert_str(h->group_filters[0], "chat-*");
    assert_str(h->group_filters[1], "a.**");
    assert_int_equal(h->auth.origin, TOKEN_COMMAND);
    assert_int_equal(h->auth.command_count, 3);
    assert_str(h->auth.command[0], "/bin/token");
    assert_str(h->auth.command[2], "h");
    assert_int_equal(h->auth.refresh_seconds, 60);
    assert_str(h->ca_file, "/etc/ca.pem");
    assert_int_equal(h->max_requests, 7);
    assert_int_equal(h->max_queued, 9);
    assert_int_equal(h->breaker_failures, 3);
    assert_int_equal(h->breaker_seconds, 4);
    assert_false(h->breaker_off);
    settings__free(&s);
}

static void defaults(void **state)
{
    struct diag diag = {""};
    struct settings s;
    const struct event_handler *h;

    (void)state;
    assert_int_equal(parse(&s, HANDLER(",\"auth\":null,\"groupPresenceEvents\":null"), &diag),
                     PH_OK);
    h = only(&s);
    assert_int_equal(h->presence_events, 0);
    assert_int_equal(h->auth.origin, TOKEN_NONE);
    assert_null(h->ca_file.ptr);
    assert_int_equal(h->max_requests, 0);
    assert_false(h->breaker_off);
    settings__free(&s);

    assert_int_equal(parse(&s,
                           HANDLER(",\"auth\":{\"type\":\"BearerCommand\",\"command\":[\"x\"]},"
                                   "\"circuitBreaker\":{\"failures\":0}"),
                           &diag),
                     PH_OK);
    assert_int_equal(only(&s)->auth.refresh_seconds, SETTINGS_DEFAULT_TOKEN_SECONDS);
    assert_true(only(&s)->breaker_off);
    settings__free(&s);

    assert_int_equal(parse(&s, "{\"caFile\":\"ca.pem\"}", &diag), PH_OK);
    assert_str(s.ca_file, "ca.pem");
    settings__free(&s);
}

/* Who may share what is known of a handler, and a token. */
static void identities(void **state)
{
    struct diag diag = {""};
    struct settings s;
    const struct event_handler *h;

    (void)state;
    assert_int_equal(
        parse(
            &s,
            "{\"hubs\":{\"a\":{\"eventHandlers\":["
            "{\"urlTemplate\":\"http://h/\",\"auth\":{\"type\":\"BearerFile\",\"file\":\"t\"}},"
            "{\"urlTemplate\":\"http://h/\",\"userEventPattern\":\"*\","
            "\"auth\":{\"type\":\"BearerFile\",\"file\":\"t\"}},"
            "{\"urlTemplate\":\"http://h/\"},{\"urlTemplate\":\"http://h/2\"}]},"
            "\"b\":{\"eventHandlers\":["
            "{\"urlTemplate\":\"http://h/\",\"auth\":{\"type\":\"BearerFile\",\"file\":\"t\"}}]}}}",
            &diag),
        PH_OK);
    h = settings__hub(&s, STR("a"))->handlers;
    assert_true(str__eq(h[0].identity, h[1].identity));
    assert_false(str__eq(h[0].identity, h[2].identity));
    assert_false(str__eq(h[2].identity, h[3].identity));
    assert_false(str__eq(h[0].identity, settings__hub(&s, STR("b"))->handlers[0].identity));
    assert_true(str__eq(h[0].auth.key, settings__hub(&s, STR("b"))->handlers[0].auth.key));
    assert_false(str__eq(h[0].auth.key, h[2].auth.key));
    settings__free(&s);
}

/* Both values of each (event-handler section 3.8). */
static void compatibility(void **state)
{
    static const struct hub_compatibility as_documented = {0};
    struct hub_compatibility all;
    struct diag diag = {""};
    struct settings s;

    (void)state;
    memset(&all, 0, sizeof(all));
    all = (struct hub_compatibility){true, true, true, true, true, true, true, true, true};
    assert_int_equal(parse(&s, HUB("\"compatibility\":{}"), &diag), PH_OK);
    assert_memory_equal(&settings__hub(&s, STR("chat"))->compatibility, &as_documented,
                        sizeof(as_documented));
    settings__free(&s);
    if (parse(&s,
              HUB("\"compatibility\":{\"failedEventWithAckId\":\"ack\","
                  "\"failedEventWithoutAckId\":\"keep\","
                  "\"failedEventAckError\":\"InternalServerError\","
                  "\"failedRawEventCloseCode\":1011,\"forwardConnectErrorBody\":false,"
                  "\"accessTokenInConnectQuery\":false,\"shortEventSource\":false,"
                  "\"charsetInContentType\":false,\"userIdRequired\":false}"),
              &diag) != PH_OK)
        fail_msg("%s", diag.text);
    assert_memory_equal(&settings__hub(&s, STR("chat"))->compatibility, &as_documented,
                        sizeof(as_documented));
    settings__free(&s);
    if (parse(&s,
              HUB("\"compatibility\":{\"failedEventWithAckId\":\"close\","
                  "\"failedEventWithoutAckId\":\"close\","
                  "\"failedEventAckError\":\"InvocationFailed\","
                  "\"failedRawEventCloseCode\":1000,\"forwardConnectErrorBody\":true,"
                  "\"accessTokenInConnectQuery\":true,\"shortEventSource\":true,"
                  "\"charsetInContentType\":true,\"userIdRequired\":true}"),
              &diag) != PH_OK)
        fail_msg("%s", diag.text);
    assert_memory_equal(&settings__hub(&s, STR("chat"))->compatibility, &all, sizeof(all));
    settings__free(&s);
}

#define AUTH(members) HANDLER(",\n\"auth\":{" members "}")
#define BREAKER(members) HANDLER(",\n\"circuitBreaker\":{" members "}")
#define PRESENCE(members) HANDLER(",\n\"groupPresenceEvents\":{" members "}")

static const struct {
    const char *text, *why;
} bad[] = {
    {PRESENCE("\"eventNames\":[\"joined\",\n\"gone\"]"),
     "f:4: eventNames may hold \"joined\" and \"left\", got \"gone\""},
    {PRESENCE("\"groupFilters\":[\"\"]"), "f:3: groupFilters: \"\" is empty"},
    {PRESENCE("\"groupFilters\":[\"a\\\\b\"]"), "f:3: groupFilters: \"a\\b\" has a `\\` before"},
    {PRESENCE("\"groups\":[]"), "f:3: unknown key \"groups\" in groupPresenceEvents; it may have "
                                "eventNames, groupFilters"},
    {AUTH("\"type\":\"Basic\""),
     "f:3: type must be \"None\", \"BearerFile\" or \"BearerCommand\", got "
     "\"Basic\""},
    {AUTH("\"type\":\"ManagedIdentity\""),
     "f:3: only the cloud service has a ManagedIdentity; use"},
    {AUTH("\"type\":\"BearerFile\""), "f:3: auth of type \"BearerFile\" must have a file"},
    {AUTH("\"type\":\"BearerFile\",\"file\":\"\""), "f:3: file must be the path of a file"},
    {AUTH("\"type\":\"BearerCommand\""), "f:3: auth of type \"BearerCommand\" must have a command"},
    {AUTH("\"type\":\"BearerCommand\",\"command\":[]"), "f:3: auth of type \"BearerCommand\" must"},
    {AUTH("\"type\":\"BearerCommand\",\"command\":[\"\"]"),
     "f:3: auth of type \"BearerCommand\" must"},
    {AUTH("\"type\":\"BearerCommand\",\"command\":[\"a\\u0000\"]"),
     "f:3: command must hold at most"},
    {AUTH("\"type\":\"BearerCommand\",\"command\":\"x\""),
     "f:3: command must be an array of strings"},
    {AUTH("\"type\":\"BearerCommand\",\"command\":[\"x\"],\"refreshSeconds\":0"),
     "f:3: refreshSeconds must be a whole number from 1 to 86400, got 0"},
    {AUTH("\"type\":\"BearerFile\",\"file\":\"x\",\"command\":[\"x\"]"),
     "f:3: command and refreshSeconds belong to auth of type \"BearerCommand\""},
    {AUTH("\"file\":\"x\""), "f:3: file belongs to auth of type \"BearerFile\""},
    {HANDLER(",\n\"caFile\":\"\""), "f:3: caFile must be the path of a file"},
    {"{\"caFile\":1}", "f:1: caFile must be the path of a file, got a number"},
    {HANDLER(",\n\"maxConcurrentRequests\":0"),
     "f:3: maxConcurrentRequests must be a whole number from 1 to 1024, got 0"},
    {HANDLER(",\n\"maxConcurrentRequests\":1025"), "f:3: maxConcurrentRequests must be"},
    {HANDLER(",\n\"maxQueuedEvents\":1000001"), "f:3: maxQueuedEvents must be a whole number"},
    {BREAKER("\"failures\":10001"), "f:3: failures must be a whole number from 0 to 10000"},
    {BREAKER("\"maxWaitSeconds\":0"), "f:3: maxWaitSeconds must be a whole number from 1 to 3600"},
    {HUB("\"compatibility\":{\"failedEventWithAckId\":\"keep\"}"),
     "f:2: failedEventWithAckId must be \"ack\" or \"close\", got \"keep\""},
    {HUB("\"compatibility\":{\"failedRawEventCloseCode\":1001}"),
     "f:2: failedRawEventCloseCode must be 1011 or 1000, got 1001"},
    {HUB("\"compatibility\":{\"userIdRequired\":\"yes\"}"),
     "f:2: userIdRequired must be true or false, got a string"},
    {HUB("\"compatibility\":{\"x\":1}"), "f:2: unknown key \"x\" in compatibility; it may have "
                                         "failedEventWithAckId, failedEventWithoutAckId, "},
};

static void refusals(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        struct diag diag = {""};
        struct settings s;
        enum ph_err err = parse(&s, bad[i].text, &diag);

        if (err != PH_ERR_CONFIG || !str__starts_with(str__of(diag.text), str__of(bad[i].why)))
            fail_msg("%s\ngot %d \"%s\"\nexpected \"%s\"", bad[i].text, err, diag.text, bad[i].why);
        settings__free(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything),    cmocka_unit_test(defaults), cmocka_unit_test(identities),
        cmocka_unit_test(compatibility), cmocka_unit_test(refusals),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
