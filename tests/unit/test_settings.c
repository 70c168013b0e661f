/* The broker's settings: command line, configuration file, and what they refuse. */
#include "base/names.h"
#include "broker/config/changes.h"
#include "broker/config/endpoint.h"
#include "broker/config/settings.h"
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>

#define KEY_32 "0123456789abcdef0123456789abcdef"
#define KEY_31 "0123456789abcdef0123456789abcde"
#define OTHER_KEY "ffffffffffffffffffffffffffffffffffff"
#define ALL (SYSTEM_EVENT_CONNECT | SYSTEM_EVENT_CONNECTED | SYSTEM_EVENT_DISCONNECTED)

static enum ph_err parse(struct settings *s, const char *text, struct diag *diag)
{
    assert_true(settings__init(s));
    return settings__parse_file(s, "pubhook.json", str__of(text), diag);
}

/* Good values ------------------------------------------------------------------------ */

static void defaults(void **state)
{
    struct settings s;

    (void)state;
    assert_true(settings__init(&s));
    assert_int_equal(settings__finish(&s, 4, NULL), PH_OK);
    assert_str(s.host, "127.0.0.1");
    assert_int_equal(s.port, 8080);
    assert_int_equal(s.key_count, 1);
    assert_str(mac__key_text(s.keys[0]), SETTINGS_DEFAULT_KEY);
    assert_int_equal(s.threads, 4);
    assert_int_equal(s.log_level, PH_LOG_INFO);
    assert_int_equal(s.log_format, PH_LOG_TEXT);
    assert_int_equal(settings__hub(&s, STR("any"))->keep_alive_seconds, 20);
    assert_false(settings__hub(&s, STR("any"))->anonymous_allowed);
    assert_int_equal(settings__hub(&s, STR("any"))->handler_count, 0);
    settings__free(&s);
}

static const char full_file[] =
    "// Everything that can be set.\n"
    "{\n"
    "  \"listen\": \"[::1]:9000\", /* any\n address */\n"
    "  \"accessKeys\": [\"" KEY_32 "\", \"" OTHER_KEY "\"],\n"
    "  \"threads\": 3, \"logLevel\": \"debug\", \"logFormat\": \"json\",\n"
    "  \"hubs\": {\n"
    "    \"Chat\": {\n"
    "      \"anonymousConnectPolicy\": \"allow\",\n"
    "      \"webSocketKeepAliveIntervalInSeconds\": 120,\n"
    "      \"eventHandlers\": [\n"
    "        {\"urlTemplate\": \"http://localhost:8090/eventhandler/{event}\",\n"
    "         \"userEventPattern\": \"*\", \"systemEvents\": [\"connect\", \"Connected\"]},\n"
    "        {\"urlTemplate\": \"https://example.com/{hub}?code=1&e={EVENT}\",\n"
    "         \"userEventPattern\": \"a, b.c ,d\", \"systemEvents\": [\"disconnected\"]},\n"
    "        {\"urlTemplate\": \"http://[::1]/\", \"userEventPattern\": null, "
    "\"systemEvents\": null}\n"
    "      ]},\n"
    "    \"empty\": {}\n"
    "  }\n"
    "}\n";

static void a_file_with_everything(void **state)
{
    struct diag diag = {""};
    struct settings s;
    const struct hub_settings *hub;

    (void)state;
    if (parse(&s, full_file, &diag) != PH_OK)
        fail_msg("%s", diag.text);
    assert_str(s.host, "::1");
    assert_int_equal(s.port, 9000);
    assert_int_equal(s.key_count, 2);
    assert_str(mac__key_text(s.keys[1]), OTHER_KEY);
    assert_int_equal(s.threads, 3);
    assert_int_equal(s.log_level, PH_LOG_DEBUG);
    assert_int_equal(s.log_format, PH_LOG_JSON);
    hub = settings__hub(&s, STR("cHAT"));
    assert_str(hub->name, "chat");
    assert_true(hub->anonymous_allowed);
    assert_int_equal(hub->keep_alive_seconds, 120);
    assert_int_equal(hub->handler_count, 3);
    assert_str(hub->handlers[0].url_template, "http://localhost:8090/eventhandler/{event}");
    assert_str(hub->handlers[0].user_event_pattern, "*");
    assert_int_equal(hub->handlers[0].system_events, SYSTEM_EVENT_CONNECT | SYSTEM_EVENT_CONNECTED);
    assert_str(hub->handlers[1].user_event_pattern, "a, b.c ,d");
    assert_int_equal(hub->handlers[1].system_events, SYSTEM_EVENT_DISCONNECTED);
    assert_null(hub->handlers[2].user_event_pattern.ptr);
    assert_int_equal(hub->handlers[2].system_events, 0);
    assert_int_equal(settings__hub(&s, STR("empty"))->keep_alive_seconds, 20);
    assert_int_equal(settings__finish(&s, 8, &diag), PH_OK);
    assert_int_equal(s.threads, 3);
    settings__free(&s);
}

static const char entra_file[] =
    "{\"publicEndpoints\": [\"https://Chat.example.com/\", \"HTTP://[::1]:8443/base/x//\"],\n"
    "\"entra\": {\"issuer\": \"https://sts.example.com/tenant/\", \"audience\": \"api://chat\",\n"
    "\"jwksUrl\": \"https://login.example.com/keys?p=1\", \"allowUnvalidatedTokens\": false}}";

static void a_file_with_proxies_and_entra(void **state)
{
    char *text = strdup(entra_file);
    struct diag diag = {""};
    struct settings s;
    enum ph_err err = parse(&s, text, &diag);

    (void)state;
    memset(text, 'x', sizeof(entra_file) - 1);
    free(text);
    if (err != PH_OK)
        fail_msg("%s", diag.text);
    assert_int_equal(s.endpoint_count, 2);
    assert_str(s.endpoints[0].url, "https://Chat.example.com");
    assert_str(s.endpoints[0].host, "Chat.example.com");
    assert_int_equal(s.endpoints[0].port, 0);
    assert_str(s.endpoints[0].path, "");
    assert_true(s.endpoints[0].secure);
    assert_str(s.endpoints[1].host, "::1");
    assert_int_equal(s.endpoints[1].port, 8443);
    assert_str(s.endpoints[1].path, "/base/x");
    assert_false(s.endpoints[1].secure);
    assert_str(s.entra.issuer, "https://sts.example.com/tenant/");
    assert_str(s.entra.audience, "api://chat");
    assert_str(s.entra.jwks_url, "https://login.example.com/keys?p=1");
    assert_null(s.entra.jwks_file.ptr);
    assert_false(s.entra.allow_unvalidated);
    settings__free(&s);
    assert_int_equal(parse(&s, "{\"entra\":{\"issuer\":\"i\",\"jwksFile\":\"f\"}}", &diag), PH_OK);
    assert_str(s.entra.audience, "https://webpubsub.azure.com");
    assert_str(s.entra.jwks_file, "f");
    settings__free(&s);
    assert_int_equal(parse(&s, "{}", &diag), PH_OK);
    assert_null(s.entra.audience.ptr);
    settings__free(&s);
}

/* Without a signature, a token is good from this machine alone. */
static void unvalidated_tokens_are_refused_off_loopback(void **state)
{
    static const struct {
        const char *listen, *endpoint;
        enum ph_err err;
    } rows[] = {{"127.0.0.1:0", "http://localhost:8080", PH_OK},
                {"[::1]:0", "https://[::1]:8443/base", PH_OK},
                {"127.0.0.1:0", "https://chat.example.com", PH_ERR_CONFIG},
                {"0.0.0.0:0", "http://localhost", PH_ERR_CONFIG},
                {"192.0.2.1:0", "http://localhost", PH_ERR_CONFIG}};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct diag diag = {""};
        struct settings s;

        assert_int_equal(parse(&s, "{\"entra\":{\"allowUnvalidatedTokens\":true}}", &diag), PH_OK);
        assert_true(s.entra.allow_unvalidated);
        assert_int_equal(settings__set_listen(&s, rows[i].listen, NULL), PH_OK);
        assert_int_equal(endpoint__add(&s, str__of(rows[i].endpoint), NULL), PH_OK);
        assert_int_equal(settings__add_key(&s, KEY_32, NULL), PH_OK);
        assert_int_equal(settings__finish(&s, 1, &diag), rows[i].err);
        assert_int_equal(strstr(diag.text, "allowUnvalidatedTokens") != NULL, rows[i].err != PH_OK);
        settings__free(&s);
    }
}

static void metrics_are_for_this_machine_unless_a_setting_says_so(void **state)
{
    static const struct {
        const char *file, *listen;
        bool metrics;
    } rows[] = {
        {"{}", "127.0.0.1:0", true},
        {"{}", "0.0.0.0:0", false},
        {"{\"publicEndpoints\": [\"http://localhost:8080\"]}", "127.0.0.1:0", true},
        {"{\"publicEndpoints\": [\"https://h.example\"]}", "127.0.0.1:0", false},
        {"{\"publicEndpoints\": [\"https://h.example\"], \"metrics\": true}", "[::1]:0", true},
        {"{\"metrics\": false}", "127.0.0.1:0", false},
        {"{\"metrics\": true}", "0.0.0.0:0", true}};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct settings s;

        assert_int_equal(parse(&s, rows[i].file, NULL), PH_OK);
        assert_int_equal(settings__set_listen(&s, rows[i].listen, NULL), PH_OK);
        assert_int_equal(settings__add_key(&s, KEY_32, NULL), PH_OK);
        assert_int_equal(settings__finish(&s, 1, NULL), PH_OK);
        assert_int_equal(s.metrics, rows[i].metrics);
        settings__free(&s);
    }
}

static void the_command_line_comes_after_the_file(void **state)
{
    const struct hub_settings *hub;
    struct settings s;

    (void)state;
    assert_int_equal(parse(&s, full_file, NULL), PH_OK);
    assert_int_equal(settings__set_listen(&s, "localhost:0", NULL), PH_OK);
    assert_int_equal(settings__set_threads(&s, "2", NULL), PH_OK);
    assert_int_equal(settings__set_log_level(&s, "warn", NULL), PH_OK);
    assert_int_equal(settings__set_log_format(&s, "text", NULL), PH_OK);
    assert_int_equal(settings__add_event_handler(&s, "CHAT=http://h/{event}?a=b", NULL), PH_OK);
    assert_int_equal(settings__add_plugin(&s, "new=./echo.so?key=value", NULL), PH_OK);
    assert_str(s.host, "localhost");
    assert_int_equal(s.port, 0);
    assert_int_equal(s.threads, 2);
    assert_int_equal(s.log_level, PH_LOG_WARN);
    assert_int_equal(s.log_format, PH_LOG_TEXT);
    hub = settings__hub(&s, STR("chat"));
    assert_int_equal(hub->handler_count, 4);
    assert_str(hub->handlers[3].url_template, "http://h/{event}?a=b");
    assert_str(hub->handlers[3].user_event_pattern, "*");
    assert_int_equal(hub->handlers[3].system_events, ALL);
    assert_null(hub->handlers[3].plugin.ptr);
    hub = settings__hub(&s, STR("new"));
    assert_str(hub->handlers[0].plugin, "./echo.so?key=value");
    assert_null(hub->handlers[0].url_template.ptr);
    assert_int_equal(hub->handlers[0].system_events, ALL);
    settings__free(&s);
}

static void keys_of_the_command_line_replace_those_of_the_file(void **state)
{
    struct settings s;

    (void)state;
    assert_int_equal(parse(&s, full_file, NULL), PH_OK);
    assert_int_equal(settings__add_key(&s, OTHER_KEY, NULL), PH_OK);
    assert_int_equal(s.key_count, 1);
    assert_int_equal(settings__add_key(&s, KEY_32, NULL), PH_OK);
    assert_int_equal(s.key_count, 2);
    assert_str(mac__key_text(s.keys[0]), OTHER_KEY);
    assert_int_equal(settings__add_key(&s, KEY_32, NULL), PH_ERR_ARGUMENT);
    settings__free(&s);
}

static void the_text_is_not_needed_after_parsing(void **state)
{
    char *text = strdup(full_file);
    struct settings s;

    (void)state;
    assert_non_null(text);
    assert_int_equal(parse(&s, text, NULL), PH_OK);
    memset(text, '#', strlen(text));
    free(text);
    assert_str(settings__hub(&s, STR("chat"))->handlers[1].url_template,
               "https://example.com/{hub}?code=1&e={EVENT}");
    settings__free(&s);
}

static void every_hub_finds_its_own_handlers(void **state)
{
    struct settings s;
    char text[64];

    (void)state;
    assert_true(settings__init(&s));
    for (int i = 0; i < 20; i++) {
        for (int handler = 0; handler < 5; handler++) {
            snprintf(text, sizeof(text), "hub%d=http://h%d/%d", i, i, handler);
            assert_int_equal(settings__add_event_handler(&s, text, NULL), PH_OK);
        }
    }
    assert_int_equal(s.hub_count, 20);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(s.hubs[i].handler_count, 5);
        snprintf(text, sizeof(text), "http://h%d/3", i);
        assert_str(s.hubs[i].handlers[3].url_template, text);
    }
    settings__free(&s);
}

/* Bad files -------------------------------------------------------------------------- */

#define HANDLER(members) "{\"hubs\":{\"chat\":{\"eventHandlers\":[\n{" members "}]}}}"
#define URL "\"urlTemplate\":\"http://h/\""

static const struct {
    const char *text;
    const char *why; /* the start of it */
} bad_files[] = {
    /* not what a file should be */
    {"", "pubhook.json:1: not valid JSON (it ends too early)"},
    {"{\n\n\"listen\" \"x\"}", "pubhook.json:3: not valid JSON"},
    {"{\n/* comment\n*/\n\"listen\": }", "pubhook.json:4: not valid JSON"},
    {"[]", "pubhook.json:1: the configuration must be an object, got an array"},
    /* keys */
    {"{\"listen\": \"h:1\",\n \"Listen\": 1}",
     "pubhook.json:2: unknown key \"Listen\" in the configuration; it may have listen, "
     "accessKeys, hubs, publicEndpoints, entra, threads, logLevel, logFormat"},
    {"{\"threads\": 1,\n\n\"threads\": 2}", "pubhook.json:3: threads is set twice"},
    {"{\"hubs\": {\"chat\": {\n\"EventHandlers\": []}}}",
     "pubhook.json:2: unknown key \"EventHandlers\" in a hub; it may have "
     "anonymousConnectPolicy, webSocketKeepAliveIntervalInSeconds, eventHandlers"},
    {HANDLER(URL ",\n\"eventPattern\":\"*\""),
     "pubhook.json:3: unknown key \"eventPattern\" in an event handler; it may have "
     "urlTemplate, userEventPattern, systemEvents"},
    /* types */
    {"{\"listen\": 8080}", "pubhook.json:1: listen must be HOST:PORT, got a number"},
    {"{\"accessKeys\": \"" KEY_32 "\"}",
     "pubhook.json:1: accessKeys must be an array of strings, got a string"},
    {"{\"accessKeys\": [\n1]}", "pubhook.json:2: accessKeys must hold strings, got a number"},
    {"{\"hubs\": []}", "pubhook.json:1: hubs must be an object with a member for each hub, got"},
    {"{\"hubs\": {\"chat\":\n true}}", "pubhook.json:2: a hub must be an object, got"},
    {"{\"hubs\": {\"chat\": {\"eventHandlers\": [\n\"http://h/\"]}}}",
     "pubhook.json:2: an event handler must be an object, got a string"},
    {HANDLER(URL ",\"systemEvents\":\"connect\""), "pubhook.json:2: systemEvents must be an array"},
    /* values */
    {"{\"listen\": \"8080\"}",
     "pubhook.json:1: listen must be HOST:PORT, such as 127.0.0.1:8080, or 0.0.0.0:8080 for "
     "every address, got \"8080\""},
    {"{\"accessKeys\": [\"" KEY_32 "\",\n\"" KEY_31 "\"]}",
     "pubhook.json:2: an access key must have at least 32 bytes"},
    {"{\"accessKeys\": [\"" KEY_32 "\",\"" KEY_32 "\",\n\"" KEY_32 "\"]}",
     "pubhook.json:2: there are at most 2 access keys"},
    {"{\"threads\": 0}", "pubhook.json:1: threads must be a number from 1 to 256"},
    {"{\"threads\": 257}", "pubhook.json:1: threads must be"},
    {"{\"threads\": 1.5}", "pubhook.json:1: threads must be"},
    {"{\"logLevel\": \"trace\"}",
     "pubhook.json:1: logLevel must be \"error\", \"warn\", \"info\" or \"debug\", got \"trace\""},
    {"{\"logFormat\": \"xml\"}",
     "pubhook.json:1: logFormat must be \"text\" or \"json\", got \"xml\""},
    {"{\"hubs\": {\n\"1chat\": {}}}", "pubhook.json:2: a hub's name must start with a letter"},
    {"{\"hubs\": {\"chat\": {},\n\"Chat\": {}}}",
     "pubhook.json:2: hub \"Chat\" is set twice; upper and lower case are the same"},
    {"{\"hubs\": {\"chat\": {\"anonymousConnectPolicy\":\n\"maybe\"}}}",
     "pubhook.json:2: anonymousConnectPolicy must be \"allow\" or \"deny\", got \"maybe\""},
    {"{\"hubs\": {\"chat\": {\"webSocketKeepAliveIntervalInSeconds\": 0}}}",
     "pubhook.json:1: webSocketKeepAliveIntervalInSeconds must be a whole number from 1 to 120, "
     "got 0"},
    {"{\"hubs\": {\"chat\": {\"webSocketKeepAliveIntervalInSeconds\": 121}}}",
     "pubhook.json:1: webSocketKeepAliveIntervalInSeconds must be a whole number from 1 to 120, "
     "got 121"},
    {"{\"hubs\": {\"chat\": {\"webSocketKeepAliveIntervalInSeconds\": 2e1}}}",
     "pubhook.json:1: webSocketKeepAliveIntervalInSeconds must be"},
    {HANDLER("\"userEventPattern\":\"*\""),
     "pubhook.json:2: an event handler must have a urlTemplate"},
    {HANDLER(URL ",\n\"userEventPattern\":\"chat,a/b\""),
     "pubhook.json:3: userEventPattern must be \"*\", one event name or a comma list of names, in "
     "which `*` and `?` are wildcards within a part between dots and `**` one for any characters; "
     "\"a/b\" is no event name"},
    {HANDLER(URL ",\n\"userEventPattern\":\"a, *b*c*d*e*f*\""),
     "pubhook.json:3: userEventPattern: \"*b*c*d*e*f*\" has more than 5 `*`"},
    {HANDLER(URL ",\"systemEvents\":[\"connect\",\n\"message\"]"),
     "pubhook.json:3: systemEvents may hold \"connect\", \"connected\" and \"disconnected\", got "
     "\"message\""},
    {"{\"publicEndpoints\": [\"chat.example.com\"]}",
     "pubhook.json:1: publicEndpoints must hold URLs such as https://chat.example.com, got "
     "\"chat.example.com\""},
    {"{\"publicEndpoints\": [\"https://\"]}", "pubhook.json:1: publicEndpoints must hold URLs"},
    {"{\"publicEndpoints\": [\"https://h:0\"]}", "pubhook.json:1: publicEndpoints must hold URLs"},
    {"{\"publicEndpoints\": [\"https://h:65536\"]}", "pubhook.json:1: publicEndpoints must hold"},
    {"{\"publicEndpoints\": [\"https://h/?a\"]}", "pubhook.json:1: publicEndpoints must hold URLs"},
    {"{\"publicEndpoints\": [\"https://u@h\"]}", "pubhook.json:1: publicEndpoints must hold URLs"},
    {"{\"publicEndpoints\": [\"https://h h\"]}", "pubhook.json:1: publicEndpoints must hold URLs"},
    {"{\"entra\": {}}",
     "pubhook.json:1: entra must have an issuer and one of jwksFile and jwksUrl"},
    {"{\"entra\": {\"issuer\":\"i\"}}", "pubhook.json:1: entra must have an issuer and one of"},
    {"{\"entra\": {\"jwksFile\":\"f\"}}", "pubhook.json:1: entra must have an issuer and one of"},
    {"{\"entra\": {\"issuer\":\"i\",\"jwksFile\":\"f\",\"jwksUrl\":\"https://h/k\"}}",
     "pubhook.json:1: entra must have an issuer and one of"},
    {"{\"entra\": {\"issuer\":\"\"}}", "pubhook.json:1: issuer must not be empty"},
    {"{\"entra\": {\"issuer\":\"i\",\"allowUnvalidatedTokens\":true}}",
     "pubhook.json:1: entra has allowUnvalidatedTokens, which leaves"},
    {"{\"entra\": {\"jwksUrl\":\n\"http://example.com/keys\"}}",
     "pubhook.json:2: jwksUrl must be an https:// URL with a path"},
    {"{\"entra\": {\"jwksUrl\":\"https://example.com\"}}", "pubhook.json:1: jwksUrl must be"},
    {"{\"entra\": {\"jwksUrl\":\"file:///etc/keys\"}}", "pubhook.json:1: jwksUrl must be"},
    {"{\"entra\": {\"keys\":1}}",
     "pubhook.json:1: unknown key \"keys\" in entra; it may have issuer, audience, jwksFile, "
     "jwksUrl, allowUnvalidatedTokens"},
    {HANDLER("\"urlTemplate\":\"tunnel:///eventhandler\""),
     "pubhook.json:2: urlTemplate must be an http:// or https:// URL; tunnel:// goes through"},
    {HANDLER("\"urlTemplate\":\"https://h/?code={@Microsoft.KeyVault(SecretUri=x)}\""),
     "pubhook.json:2: urlTemplate must be complete; only the cloud service looks up"},
};

static void bad_files_are_refused_with_line_and_reason(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(bad_files) / sizeof(bad_files[0]); i++) {
        struct diag diag = {""};
        struct settings s;
        enum ph_err err = parse(&s, bad_files[i].text, &diag);

        if (err != PH_ERR_CONFIG ||
            !str__starts_with(str__of(diag.text), str__of(bad_files[i].why)))
            fail_msg("file %zu: %s\ngot %d \"%s\"\nexpected \"%s\"", i, bad_files[i].text, err,
                     diag.text, bad_files[i].why);
        settings__free(&s);
    }
}

static void a_file_has_a_largest_size(void **state)
{
    size_t size = SETTINGS_MAX_FILE;
    char *text = malloc(size + 1);
    struct diag diag = {""};
    struct settings s;

    (void)state;
    assert_non_null(text);
    memset(text, ' ', size + 1);
    memcpy(text, "{}", 2);
    assert_true(settings__init(&s));
    assert_int_equal(settings__parse_file(&s, "f", str__n(text, size), &diag), PH_OK);
    assert_int_equal(settings__parse_file(&s, "f", str__n(text, size + 1), &diag), PH_ERR_CONFIG);
    assert_string_equal(diag.text, "f:1: the file must have at most 1048576 bytes, got 1048577");
    settings__free(&s);
    free(text);
}

/* Single values ---------------------------------------------------------------------- */

typedef enum ph_err setter_fn(struct settings *s, const char *value, struct diag *diag);

struct value_row {
    const char *value;
    bool good;
};

static void check_values(setter_fn *set, const struct value_row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct diag diag = {""};
        struct settings s;
        enum ph_err err;

        assert_true(settings__init(&s));
        err = set(&s, rows[i].value, &diag);
        if (err != (rows[i].good ? PH_OK : PH_ERR_ARGUMENT))
            fail_msg("\"%s\": %d %s", rows[i].value, err, diag.text);
        if (!rows[i].good && !diag.text[0])
            fail_msg("\"%s\": no reason", rows[i].value);
        settings__free(&s);
    }
}

#define CHECK_VALUES(set, rows) check_values(set, rows, sizeof(rows) / sizeof(rows[0]))

static void listen_values(void **state)
{
    static const struct value_row rows[] = {{"127.0.0.1:8080", true},
                                            {"localhost:0", true},
                                            {"[::1]:65535", true},
                                            {"0.0.0.0:80", true},
                                            {"", false},
                                            {"8080", false},
                                            {":8080", false},
                                            {"host", false},
                                            {"host:", false},
                                            {"host:65536", false},
                                            {"::1:80", false},
                                            {"http://host:80", false},
                                            {"ho st:80", false},
                                            {"host:80/path", false}};

    (void)state;
    CHECK_VALUES(settings__set_listen, rows);
}

static void key_values(void **state)
{
    static const struct value_row rows[] = {
        {KEY_32, true},       {KEY_31, false},       {"", false},         {KEY_31 " x", true},
        {KEY_31 "=", true},   {" " KEY_32, false},   {KEY_32 " ", false}, {KEY_32 ";", false},
        {KEY_32 "\n", false}, {"a\tb" KEY_32, false}};

    (void)state;
    CHECK_VALUES(settings__add_key, rows);
}

static void a_refused_key_is_not_shown(void **state)
{
    struct diag diag;
    struct settings s;

    (void)state;
    assert_true(settings__init(&s));
    assert_int_equal(settings__add_key(&s, "topsecret", &diag), PH_ERR_ARGUMENT);
    assert_null(strstr(diag.text, "topsecret"));
    settings__free(&s);
}

static void event_handler_values(void **state)
{
    static const struct value_row rows[] = {
        {"chat=http://localhost:8090/eventhandler", true},
        {"chat=HTTPS://Example.com", true},
        {"chat=http://h:1?x={hub}{event}", true},
        {"chat=http://[::1]:8090/{Event}", true},
        {"chat=http://h/a=b", true},
        {"chat", false},
        {"chat=", false},
        {"=http://h/", false},
        {"9=http://h/", false},
        {"a b=http://h/", false},
        {"chat=localhost:8090/eventhandler", false},
        {"chat=ftp://h/", false},
        {"chat=http://", false},
        {"chat=http:///path", false},
        {"chat=http://:8090/", false},
        {"chat=http://h:/", false},
        {"chat=http://h:0/", false},
        {"chat=http://h:65536/", false},
        {"chat=http://h:8o/", false},
        {"chat=http://[::1/", false},
        {"chat=http://{hub}.example.com/", false},
        {"chat=http://user:pass@h/", false},
        {"chat=http://h/{user}", false},
        {"chat=http://h/{event", false},
        {"chat=http://h/event}", false},
        {"chat=http://h/{}", false},
        {"chat=http://h/{{event}}", false},
        {"chat=http://h/a b", false},
        {"chat=http://h/\n", false},
        {"chat=http://h/#top", false},
        {"chat=tunnel:///eventhandler", false},
        {"chat=http://h/?code=@microsoft.keyvault(SecretUri=x)", false}};

    (void)state;
    CHECK_VALUES(settings__add_event_handler, rows);
}

static void plugin_values(void **state)
{
    static const struct value_row rows[] = {{"chat=/usr/lib/chat.so", true},
                                            {"chat=./a=b.so?c=d&e", true},
                                            {"chat=", false},
                                            {"./chat.so", false},
                                            {"=chat.so", false}};

    (void)state;
    CHECK_VALUES(settings__add_plugin, rows);
}

static void thread_values(void **state)
{
    static const struct value_row rows[] = {{"1", true},    {"256", true}, {"0", false},
                                            {"257", false}, {"", false},   {"-1", false},
                                            {"two", false}, {"1 ", false}};

    (void)state;
    CHECK_VALUES(settings__set_threads, rows);
}

static void patterns(void **state)
{
    static const struct {
        const char *pattern;
        bool good;
    } rows[] = {{"*", true},      {"message", true},  {"a,b", true},      {" a , b-c_d.E1 ", true},
                {"", false},      {",", false},       {"a,", false},      {"a,,b", false},
                {"a,*", true},    {"**", true},       {"a*", true},       {"a?", true},
                {"a b", false},   {"1a", false},      {"-a", false},      {"a/b", false},
                {"*.1", true},    {"a\\nb", false},   {"*,*", true},      {" * ", true},
                {"?-x", true},    {"\\u00e4", false}, {"*a*a*a*a", true}, {"a.**.b?", true},
                {"a\\\\*", false}};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct diag diag = {""};
        struct settings s;
        char text[256];

        snprintf(text, sizeof(text), HANDLER(URL ",\"userEventPattern\":\"%s\""), rows[i].pattern);
        if ((parse(&s, text, &diag) == PH_OK) != rows[i].good)
            fail_msg("pattern \"%s\": %s", rows[i].pattern, diag.text);
        settings__free(&s);
    }
}

static void hub_names(void **state)
{
    char name[130];

    (void)state;
    memset(name, 'a', sizeof(name));
    assert_true(names__valid_hub(str__n(name, 1)));
    assert_true(names__valid_hub(str__n(name, 127)));
    assert_true(names__valid_hub(str__n(name, 128)));
    assert_false(names__valid_hub(str__n(name, 129)));
    assert_false(names__valid_hub(STR("")));
    assert_true(names__valid_hub(STR("Z9_`,.[]")));
    assert_false(names__valid_hub(STR("_a")));
    assert_false(names__valid_hub(STR("a-b")));
    assert_false(names__valid_hub(STR("a/b")));
    assert_false(names__valid_hub(STR("a\0b")));
    assert_false(names__valid_hub(STR("\xc3\xa4")));
}

static void hubs_and_handlers_have_a_maximum(void **state)
{
    struct settings s;
    char text[64];

    (void)state;
    assert_true(settings__init(&s));
    for (int i = 0; i < SETTINGS_MAX_HUBS; i++) {
        snprintf(text, sizeof(text), "h%d=http://h/", i);
        assert_int_equal(settings__add_event_handler(&s, text, NULL), PH_OK);
    }
    assert_int_equal(settings__add_event_handler(&s, "more=http://h/", NULL), PH_ERR_ARGUMENT);
    for (int i = 1; i < SETTINGS_MAX_HANDLERS; i++)
        assert_int_equal(settings__add_event_handler(&s, "h1=http://h/", NULL), PH_OK);
    assert_int_equal(settings__add_event_handler(&s, "h1=http://h/", NULL), PH_ERR_ARGUMENT);
    settings__free(&s);
}

static void url_templates_have_a_maximum(void **state)
{
    char value[SETTINGS_MAX_URL + 7];
    struct settings s;

    (void)state;
    assert_true(settings__init(&s));
    memset(value, 'u', sizeof(value));
    memcpy(value, "hub=http://", 11);
    value[4 + SETTINGS_MAX_URL] = '\0';
    assert_int_equal(settings__add_event_handler(&s, value, NULL), PH_OK);
    value[4 + SETTINGS_MAX_URL] = 'u';
    value[4 + SETTINGS_MAX_URL + 1] = '\0';
    assert_int_equal(settings__add_event_handler(&s, value, NULL), PH_ERR_ARGUMENT);
    settings__free(&s);
}

/* When all is known ------------------------------------------------------------------- */

static void the_default_key_is_refused_off_loopback(void **state)
{
    static const struct {
        const char *listen, *key, *endpoint;
        enum ph_err want;
    } rows[] = {{"127.0.0.1:1", NULL, NULL, PH_OK},
                {"127.1.2.3:1", NULL, NULL, PH_OK},
                {"[::1]:1", NULL, NULL, PH_OK},
                {"localhost:1", NULL, NULL, PH_OK},
                {"0.0.0.0:1", NULL, NULL, PH_ERR_CONFIG},
                {"[::]:1", NULL, NULL, PH_ERR_CONFIG},
                {"example.com:1", NULL, NULL, PH_ERR_CONFIG},
                {"0.0.0.0:1", SETTINGS_DEFAULT_KEY, NULL, PH_ERR_CONFIG},
                {"0.0.0.0:1", KEY_32, NULL, PH_OK},
                /* a proxy makes it public */
                {"127.0.0.1:1", NULL, "https://chat.example.com", PH_ERR_CONFIG},
                {"127.0.0.1:1", NULL, "http://chat.localhost:8080", PH_OK},
                {"127.0.0.1:1", KEY_32, "https://chat.example.com", PH_OK}};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct diag diag = {""};
        struct settings s;

        assert_true(settings__init(&s));
        assert_int_equal(settings__set_listen(&s, rows[i].listen, NULL), PH_OK);
        if (rows[i].key)
            assert_int_equal(settings__add_key(&s, rows[i].key, NULL), PH_OK);
        if (rows[i].endpoint)
            assert_int_equal(endpoint__add(&s, str__of(rows[i].endpoint), NULL), PH_OK);
        if (settings__finish(&s, 1, &diag) != rows[i].want)
            fail_msg("%s: %s", rows[i].listen, diag.text);
        if (rows[i].want != PH_OK)
            assert_non_null(strstr(diag.text, "--access-key"));
        settings__free(&s);
    }
}

static void threads_follow_the_cpus_within_limits(void **state)
{
    static const unsigned rows[][2] = {{0, 1}, {1, 1}, {16, 16}, {256, 256}, {257, 256}};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct settings s;

        assert_true(settings__init(&s));
        assert_int_equal(settings__finish(&s, rows[i][0], NULL), PH_OK);
        assert_int_equal(s.threads, rows[i][1]);
        settings__free(&s);
    }
}

/* Snapshots -------------------------------------------------------------------------- */

static void counted_settings_live_as_long_as_their_last_reference(void **state)
{
    struct settings *s = settings__new();

    (void)state;
    assert_non_null(s);
    assert_int_equal(settings__add_event_handler(s, "chat=http://h/", NULL), PH_OK);
    assert_int_equal(settings__finish(s, 1, NULL), PH_OK);
    assert_ptr_equal(settings__ref(s), s);
    settings__unref(s);
    assert_true(str__eq(settings__hub(s, STR("chat"))->handlers[0].url_template, STR("http://h/")));
    settings__unref(s); /* the leak checker sees whether this frees */
    settings__unref(NULL);
    assert_null(settings__ref(NULL));
}

static void settings_of_an_owner_are_not_counted(void **state)
{
    struct settings s;

    (void)state;
    assert_true(settings__init(&s));
    assert_ptr_equal(settings__ref(&s), &s);
    for (int i = 0; i < 3; i++)
        settings__unref(&s);
    assert_int_equal(s.port, 8080);
    settings__free(&s);
}

/* Changes ----------------------------------------------------------------------------- */

static void changes_are_named(void **state)
{
    static const struct {
        const char *before, *after, *want;
    } rows[] = {
        {"{}", "{}", ""},
        {"{\"threads\": 1}", "{ /* one */ \"threads\":1\n}", ""},
        {"{\"metrics\": true}", "{\"metrics\": false}", "metrics"},
        {"{\"threads\": 1}", "{\"threads\": 2}", "threads (needs a restart)"},
        {"{}", "{\"listen\": \"h:1\"}", "listen (new, needs a restart)"},
        {"{\"threads\": 1}", "{}", "threads (gone, needs a restart)"},
        {"{\"accessKeys\": [\"secret\"]}", "{\"accessKeys\": [\"other\"]}", "accessKeys"},
        {"{\"accessKeys\": [\"a\"]}", "{\"accessKeys\": [\"a\", \"b\"]}", "accessKeys"},
        {"{\"hubs\": {}}", "{\"hubs\": {\"a\": {}}}", "hubs.a (new)"},
        {"{\"hubs\": {\"a\": {}}}", "{}", "hubs (gone)"},
        {"{\"hubs\": {\"a\": {\"x\": 1, \"y\": 2}}}", "{\"hubs\": {\"a\": {\"y\": 3, \"x\": 1}}}",
         "hubs.a.y"},
        {"{\"hubs\": {\"a\": {\"x\": 1}, \"b\": {}}}",
         "{\"hubs\": {\"a\": {\"x\": null, \"z\": 1}, \"c\": {}}}",
         "hubs.a.x, hubs.a.z (new), hubs.c (new), hubs.b (gone)"},
        {"{\"hubs\": {\"a\": {\"e\": [{\"u\": \"1\"}, {\"u\": \"2\"}]}}}",
         "{\"hubs\": {\"a\": {\"e\": [{\"u\": \"2\"}, {\"u\": \"1\"}]}}}", "hubs.a.e"},
        {"no JSON", "{\"threads\": 1}", ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct buf out;

        buf__init(&out, 1024);
        settings__changes(str__of(rows[i].before), str__of(rows[i].after), &out);
        if (!str__eq(buf__view(&out), str__of(rows[i].want)))
            fail_msg("row %zu: %.*s", i, STR_FMT(buf__view(&out)));
        buf__free(&out);
    }
}

static void many_changes_are_counted(void **state)
{
    struct buf text, out;

    (void)state;
    buf__init(&text, 4096);
    buf__init(&out, 4096);
    for (int i = 0; i < CHANGES_MAX_NAMED + 3; i++)
        buf__printf(&text, "%s\"h%d\": {}", i ? ", " : "{\"hubs\": {", i);
    buf__str(&text, STR("}}"));
    settings__changes(STR("{\"hubs\": {}}"), buf__view(&text), &out);
    buf__byte(&out, '\0');
    assert_non_null(strstr(out.data, "hubs.h19 (new) and 3 more"));
    buf__free(&text);
    buf__free(&out);
}

static void what_cannot_change_stays(void **state)
{
    struct settings running, s;
    struct diag diag = {""};

    (void)state;
    assert_true(settings__init(&running));
    assert_int_equal(settings__set_listen(&running, "0.0.0.0:7", NULL), PH_OK);
    assert_int_equal(settings__add_key(&running, KEY_32, NULL), PH_OK);
    assert_int_equal(settings__finish(&running, 3, NULL), PH_OK);
    assert_true(settings__init(&s)); /* on loopback, where the default key would do */
    settings__keep_fixed(&s, &running);
    assert_str(s.host, "0.0.0.0");
    assert_int_equal(s.port, 7);
    assert_int_equal(s.threads, 3);
    assert_int_equal(settings__finish(&s, 1, &diag), PH_ERR_CONFIG);
    settings__free(&s);
    settings__free(&running);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults),
        cmocka_unit_test(a_file_with_everything),
        cmocka_unit_test(a_file_with_proxies_and_entra),
        cmocka_unit_test(unvalidated_tokens_are_refused_off_loopback),
        cmocka_unit_test(metrics_are_for_this_machine_unless_a_setting_says_so),
        cmocka_unit_test(the_command_line_comes_after_the_file),
        cmocka_unit_test(keys_of_the_command_line_replace_those_of_the_file),
        cmocka_unit_test(the_text_is_not_needed_after_parsing),
        cmocka_unit_test(every_hub_finds_its_own_handlers),
        cmocka_unit_test(bad_files_are_refused_with_line_and_reason),
        cmocka_unit_test(a_file_has_a_largest_size),
        cmocka_unit_test(listen_values),
        cmocka_unit_test(key_values),
        cmocka_unit_test(a_refused_key_is_not_shown),
        cmocka_unit_test(event_handler_values),
        cmocka_unit_test(plugin_values),
        cmocka_unit_test(thread_values),
        cmocka_unit_test(patterns),
        cmocka_unit_test(hub_names),
        cmocka_unit_test(hubs_and_handlers_have_a_maximum),
        cmocka_unit_test(url_templates_have_a_maximum),
        cmocka_unit_test(the_default_key_is_refused_off_loopback),
        cmocka_unit_test(threads_follow_the_cpus_within_limits),
        cmocka_unit_test(counted_settings_live_as_long_as_their_last_reference),
        cmocka_unit_test(settings_of_an_owner_are_not_counted),
        cmocka_unit_test(changes_are_named),
        cmocka_unit_test(many_changes_are_counted),
        cmocka_unit_test(what_cannot_change_stays),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
