/* Connection strings and client access tokens. */
#include "service/token.h"

#include "base/base64.h"
#include "base/jwt.h"
#include "unit.h"

#include <stdlib.h>

#define KEY "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789ABCDEFGH"
#define NOW 1700000000

static struct connection_string parse(const char *text)
{
    struct connection_string c;
    struct diag diag = {""};

    if (connection_string__parse(str__of(text), &c, &diag) != PH_OK)
        fail_msg("%s: %s", text, diag.text);
    return c;
}

static void connection_strings_in_all_their_forms(void **state)
{
    static const struct {
        const char *text;
        bool secure;
        const char *host, *port, *path, *key;
    } rows[] = {
        {"Endpoint=http://localhost:8080;AccessKey=k;Version=1.0;", false, "localhost", "8080", "",
         "k"},
        {"endpoint=https://a.webpubsub.azure.com;accesskey=abc==;version=1.0", true,
         "a.webpubsub.azure.com", NULL, "", "abc=="},
        {"Endpoint=a.example;AccessKey=k", true, "a.example", NULL, "", "k"},
        {"Endpoint=HTTPS://a.example/;AccessKey=k", true, "a.example", NULL, "", "k"},
        {"Endpoint=https://a.example:443;AccessKey=k", true, "a.example", NULL, "", "k"},
        {"Endpoint=http://a.example:443;AccessKey=k", false, "a.example", "443", "", "k"},
        {"Endpoint=http://a.example:80/;AccessKey=k", false, "a.example", NULL, "", "k"},
        {"Endpoint=http://a.example:81;Port=82;AccessKey=k", false, "a.example", "82", "", "k"},
        {" Endpoint = http://a.example ; ; AccessKey = k ", false, "a.example", NULL, "", "k"},
        {"Endpoint=http://localhost:8080/base/;AccessKey=k", false, "localhost", "8080", "/base",
         "k"},
        {"Endpoint=http://[::1]:8080;AccessKey=k", false, "[::1]", "8080", "", "k"},
        {"Endpoint=http://[::1];AccessKey=k", false, "[::1]", NULL, "", "k"},
        {"\n \nEndpoint=http://a.example;AccessKey=k\r\nEndpoint=http://b.example;AccessKey=l;\n",
         false, "a.example", NULL, "", "k"}, /* the first of several */
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct connection_string c = parse(rows[i].text);

        assert_int_equal(c.secure, rows[i].secure);
        assert_str(c.host, rows[i].host);
        assert_str(c.port, rows[i].port);
        assert_str(c.path, rows[i].path);
        assert_str(c.access_key, rows[i].key);
    }
}

static void broken_connection_strings_are_refused_without_being_quoted(void **state)
{
    static const char *const rows[] = {
        "",
        "secret",
        "Endpoint=http://a.example",
        "Endpoint=http://a.example;AccessKey=",
        "AccessKey=secret",
        "Endpoint=;AccessKey=secret",
        "Endpoint=http://;AccessKey=secret",
        "Endpoint=http://:8080;AccessKey=secret",
        "Endpoint=http://a.example:x;AccessKey=secret",
        "Endpoint=http://a.example:;AccessKey=secret",
        "Endpoint=http://a.example:0;AccessKey=secret",
        "Endpoint=http://a.example:65536;AccessKey=secret",
        "Endpoint=http://a.example;secret;AccessKey=secret",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct connection_string c;
        struct diag diag = {""};

        assert_int_equal(connection_string__parse(str__of(rows[i]), &c, &diag), PH_ERR_SYNTAX);
        assert_true(diag.text[0] != '\0');
        assert_null(strstr(diag.text, "secret"));
    }
}

static struct str write_token(struct buf *out, const char *service, const char *hub,
                              const struct ph_token_options *options)
{
    struct connection_string c = parse(service);

    buf__init(out, JWT_MAX_LEN);
    assert_int_equal(token__write(out, &c, str__of(hub), options, NOW), PH_OK);
    return buf__view(out);
}

static void expect_claims(struct str token, const char *raw)
{
    struct mac_key *key = mac__key_new(STR(KEY));
    struct jwt_rules rules = {.keys = &key, .key_count = 1, .now = NOW};
    const struct json *claims;
    struct arena a;
    struct diag diag = {""};

    arena__init(&a, NULL, 0, 1 << 20);
    if (jwt__verify(&a, token, &rules, &claims, &diag) != PH_OK)
        fail_msg("%s", diag.text);
    assert_str(claims->raw, raw);
    arena__free(&a);
    mac__key_free(key);
}

/* The payload is, byte for byte, what the JavaScript SDK makes of the same options. */
static void token_holds_what_the_official_sdk_writes(void **state)
{
    const char *const roles[] = {"webpubsub.joinLeaveGroup", "webpubsub.sendToGroup.a", NULL};
    const char *const groups[] = {"g1", "g\"2", NULL};
    const struct ph_token_options options = {
        .user_id = "u1", .roles = roles, .groups = groups, .minutes = 5};
    struct buf out;

    (void)state;
    expect_claims(
        write_token(&out, "Endpoint=http://localhost:8080;AccessKey=" KEY, "chat", &options),
        "{\"role\":[\"webpubsub.joinLeaveGroup\",\"webpubsub.sendToGroup.a\"],"
        "\"webpubsub.group\":[\"g1\",\"g\\\"2\"],\"iat\":1700000000,\"exp\":1700000300,"
        "\"aud\":\"http://localhost:8080/client/hubs/chat\",\"sub\":\"u1\"}");
    buf__free(&out);
}

static void anonymous_token_lives_an_hour(void **state)
{
    struct buf out;

    (void)state;
    expect_claims(
        write_token(&out, "Endpoint=https://a.example:443/base;AccessKey=" KEY, "h_1", NULL),
        "{\"iat\":1700000000,\"exp\":1700003600,"
        "\"aud\":\"https://a.example/base/client/hubs/h_1\"}");
    buf__free(&out);
}

static void url_has_the_scheme_of_web_sockets(void **state)
{
    char *url, *token;

    (void)state;
    assert_int_equal(
        ph_client_access_url("Endpoint=http://localhost:8080;AccessKey=" KEY, "chat", NULL, &url),
        PH_OK);
    assert_true(str__starts_with(str__of(url),
                                 STR("ws://localhost:8080/client/hubs/chat?access_token=eyJ")));
    ph_token_free(url);
    assert_int_equal(
        ph_client_access_url("Endpoint=https://a.example;AccessKey=" KEY, "chat", NULL, &url),
        PH_OK);
    assert_true(
        str__starts_with(str__of(url), STR("wss://a.example/client/hubs/chat?access_token=eyJ")));
    ph_token_free(url);
    assert_int_equal(
        ph_client_access_token("Endpoint=https://a.example;AccessKey=" KEY, "chat", NULL, &token),
        PH_OK);
    assert_true(str__starts_with(str__of(token), STR("eyJ")));
    ph_token_free(token);
    ph_token_free(NULL);
}

/* client-and-rest section 1.1; the audience is the URL's http form */
static void each_protocol_has_its_path(void **state)
{
    static const struct {
        enum ph_client_protocol protocol;
        const char *url, *audience;
    } rows[] = {
        {PH_CLIENT_DEFAULT, "wss://a.example/b/client/hubs/chat?access_token=",
         "\"aud\":\"https://a.example/b/client/hubs/chat\""},
        {PH_CLIENT_MQTT, "wss://a.example/b/clients/mqtt/hubs/chat?access_token=",
         "\"aud\":\"https://a.example/b/clients/mqtt/hubs/chat\""},
        {PH_CLIENT_SOCKETIO, "wss://a.example/b/clients/socketio/hubs/chat?access_token=",
         "\"aud\":\"https://a.example/b/clients/socketio/hubs/chat\""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        const struct ph_token_options options = {.protocol = rows[i].protocol};
        struct str token, part;
        struct arena arena;
        char *url;

        arena__init(&arena, NULL, 0, 4096);
        assert_int_equal(ph_client_access_url("Endpoint=https://a.example/b/;AccessKey=" KEY,
                                              "chat", &options, &url),
                         PH_OK);
        assert_true(str__starts_with(str__of(url), str__of(rows[i].url)));
        token = str__of(url + strlen(rows[i].url));
        str__split(&token, '.', &part);
        str__split(&token, '.', &part);
        assert_non_null(strstr(base64__decode_url(&arena, part).ptr, rows[i].audience));
        arena__free(&arena);
        ph_token_free(url);
    }
}

static void wrong_options_are_refused(void **state)
{
    static const char service[] = "Endpoint=https://a.example;AccessKey=" KEY;
    const char *const blank[] = {" ", NULL}, *const no_utf8[] = {"\xff", NULL};
    const struct ph_token_options wrong[] = {
        {.user_id = ""},
        {.user_id = "a\nb"},
        {.user_id = "\xff"},
        {.user_id = " bob"},
        {.user_id = "bob "},
        {.roles = no_utf8},
        {.groups = blank},
        {.protocol = (enum ph_client_protocol)3},
        {.protocol = (enum ph_client_protocol) - 1},
    };
    static const char *const hubs[] = {NULL, "", "1a", "a/b", "a b", "\xc3\xa4"};
    char *out;

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
        assert_int_equal(ph_client_access_url(service, "chat", &wrong[i], &out), PH_ERR_ARGUMENT);
    for (size_t i = 0; i < sizeof(hubs) / sizeof(*hubs); i++)
        assert_int_equal(ph_client_access_url(service, hubs[i], NULL, &out), PH_ERR_ARGUMENT);
    assert_int_equal(ph_client_access_url("Endpoint=x", "chat", NULL, &out), PH_ERR_SYNTAX);
    assert_null(out);
}

/* The largest that is made is one that is also read. */
static void tokens_are_limited_to_what_verifiers_read(void **state)
{
    static const char service[] = "Endpoint=http://localhost:8080;AccessKey=" KEY;
    static const char around[] = "{\"iat\":1700000000,\"exp\":1700003600,"
                                 "\"aud\":\"http://localhost:8080/client/hubs/chat\","
                                 "\"sub\":\"\"}";
    const size_t limit = (JWT_MAX_LEN - 128) * 3 / 4;
    struct connection_string c = parse(service);
    static char user[JWT_MAX_LEN];

    (void)state;
    for (size_t len = limit - 1; len <= limit + 1; len++) {
        struct ph_token_options options = {.user_id = user};
        struct buf out;

        memset(user, 'u', len - strlen(around));
        user[len - strlen(around)] = '\0';
        buf__init(&out, JWT_MAX_LEN);
        assert_int_equal(token__write(&out, &c, STR("chat"), &options, NOW),
                         len <= limit ? PH_OK : PH_ERR_MEMORY);
        buf__free(&out);
    }
}

static void hub_name_length_is_limited(void **state)
{
    static const char service[] = "Endpoint=https://a.example;AccessKey=" KEY;
    char hub[130], *out;

    (void)state;
    memset(hub, 'h', sizeof(hub));
    for (size_t len = 127; len <= 129; len++) {
        hub[len] = '\0';
        assert_int_equal(ph_client_access_url(service, hub, NULL, &out),
                         len <= 128 ? PH_OK : PH_ERR_ARGUMENT);
        ph_token_free(out);
        hub[len] = 'h';
    }
}

static void environment_is_read_when_nothing_is_given(void **state)
{
    char *out;

    (void)state;
    unsetenv(CONNECTION_STRING_VARIABLE);
    assert_int_equal(ph_client_access_url(NULL, "chat", NULL, &out), PH_ERR_NOT_FOUND);
    assert_null(out);
    setenv(CONNECTION_STRING_VARIABLE, "Endpoint=http://env.example;AccessKey=" KEY, 1);
    assert_int_equal(ph_client_access_url(NULL, "chat", NULL, &out), PH_OK);
    assert_true(str__starts_with(str__of(out), STR("ws://env.example/client/hubs/chat?")));
    ph_token_free(out);
    unsetenv(CONNECTION_STRING_VARIABLE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(connection_strings_in_all_their_forms),
        cmocka_unit_test(broken_connection_strings_are_refused_without_being_quoted),
        cmocka_unit_test(token_holds_what_the_official_sdk_writes),
        cmocka_unit_test(anonymous_token_lives_an_hour),
        cmocka_unit_test(url_has_the_scheme_of_web_sockets),
        cmocka_unit_test(each_protocol_has_its_path),
        cmocka_unit_test(wrong_options_are_refused),
        cmocka_unit_test(tokens_are_limited_to_what_verifiers_read),
        cmocka_unit_test(hub_name_length_is_limited),
        cmocka_unit_test(environment_is_read_when_nothing_is_given),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
