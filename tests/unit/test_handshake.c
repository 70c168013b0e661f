/* The client handshake: client-and-rest section 1, official-emulator sections 2.4, 2.6. */
#include "broker/wire/formats.h"
#include "broker/wire/handshake.h"
#include "http_text.h"
#include "unit.h"

#define NOW 1800000000
#define CHAT "http://localhost:8080/client/hubs/chat"
#define UPGRADE                                                                                    \
    "Upgrade: websocket\nConnection: Upgrade\nSec-WebSocket-Version: 13\n"                         \
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\n"

struct fixture {
    struct arena arena;
    struct settings settings;
    struct buf token;
    struct handshake h;
    struct diag diag;
};

static int setup(void **state)
{
    static struct fixture f;

    arena__init(&f.arena, NULL, 0, 1 << 20);
    assert_true(settings__init(&f.settings));
    assert_int_equal(settings__parse_file(&f.settings, "test.json",
                                          STR("{\"hubs\":{\"open\":{\"anonymousConnectPolicy\":"
                                              "\"allow\"}}}"),
                                          &f.diag),
                     PH_OK);
    assert_int_equal(settings__add_key(&f.settings, SETTINGS_DEFAULT_KEY, &f.diag), PH_OK);
    assert_int_equal(settings__finish(&f.settings, 1, &f.diag), PH_OK);
    buf__init(&f.token, JWT_MAX_LEN);
    f.diag.text[0] = '\0';
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    arena__free(&f->arena);
    settings__free(&f->settings);
    buf__free(&f->token);
    return 0;
}

/* A token with these members beside exp. */
static const char *token(struct fixture *f, const char *members)
{
    buf__reset(&f->token);
    jwt__sign(&f->token,
              str__of(arena__printf(&f->arena, "{\"exp\":%d%s%s}", NOW + 60, *members ? "," : "",
                                    members)),
              f->settings.keys[0]);
    assert_false(f->token.failed);
    return f->token.data;
}

static const char *chat_token(struct fixture *f, const char *members)
{
    return token(
        f, arena__printf(&f->arena, "\"aud\":\"" CHAT "\"%s%s", *members ? "," : "", members));
}

static int read_request(struct fixture *f, const char *method, const char *target,
                        const char *headers)
{
    struct http_request req = {.method = str__of(method)};

    http__set_target(&req, str__of(target));
    http__add(&f->arena, &req.headers, STR("Host"), STR("localhost:8080"));
    assert_true(http_text__add(&f->arena, &req.headers, str__of(headers)));
    assert_true(handshake__is_client_path(req.path));
    f->diag.text[0] = '\0';
    handshake__read(&f->arena, &req, &f->settings, STR("127.0.0.1:8080"), NOW, &f->h, &f->diag);
    assert_true(f->h.status == 0 || f->diag.text[0] != '\0');
    return f->h.status;
}

/* A correct upgrade with a token for hub chat and more query. */
static int connect_chat(struct fixture *f, const char *members, const char *query,
                        const char *headers)
{
    const char *target = arena__printf(&f->arena, "/client/hubs/chat?access_token=%s%s",
                                       chat_token(f, members), query);

    return read_request(f, "GET", target, arena__printf(&f->arena, UPGRADE "%s", headers));
}

static void ordinary_connect(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(connect_chat(f,
                                  "\"sub\":\"u1\",\"role\":[\"webpubsub.sendToGroup\",\"r2\"],"
                                  "\"webpubsub.group\":\"g1\",\"x\":1",
                                  "&a=1&a=2", "Sec-WebSocket-Protocol: json.webpubsub.azure.v1\n"),
                     0);
    assert_str(f->h.hub, "chat");
    assert_str(f->h.user_id, "u1");
    assert_int_equal(f->h.role_count, 2);
    assert_str(f->h.roles[1], "r2");
    assert_int_equal(f->h.group_count, 1);
    assert_str(f->h.groups[0], "g1");
    assert_non_null(json__get(f->h.claims, STR("x")));
    assert_int_equal(f->h.query.count, 2); /* access_token is gone */
    assert_str(f->h.query.params[1].value, "2");
    assert_str(f->h.subprotocol, "json.webpubsub.azure.v1");
    assert_ptr_equal(f->h.format, &format_json);
    assert_str(f->h.websocket_key, "dGhlIHNhbXBsZSBub25jZQ==");
    assert_false(f->h.recovery);
    assert_null(f->h.publish_group.ptr);
}

/* client-and-rest sections 1.1 and 1.2 */
static void urls_and_tokens(void **state)
{
    static const struct {
        const char *target; /* %s is the token */
        const char *aud;
        const char *authorization;
        int status;
        const char *hub, *why;
    } rows[] = {
        {"/client/hubs/chat?access_token=%s", CHAT, NULL, 0, "chat", NULL},
        {"/client/hubs/Chat?ACCESS_TOKEN=%s", CHAT, NULL, 0, "chat", NULL},
        {"/client/hubs/chat/?access_token=%s", CHAT, NULL, 0, "chat", NULL},
        {"/client/hubs/c%%68at?access_token=%s", CHAT, NULL, 0, "chat", NULL},
        {"/client/?hub=chat&access_token=%s", CHAT, NULL, 0, "chat", NULL},
        {"/client?hub=Chat&access_token=%s", CHAT, NULL, 0, "chat", NULL},
        {"/client/?hub=chat&access_token=%s", "http://localhost:8080/client/?hub=chat", NULL, 0,
         "chat", NULL},
        {"/client/?hub=chat&access_token=%s", "ws://127.0.0.1:8080/client/", NULL, 0, "chat", NULL},
        {"/client/?hub=chat&access_token=%s", "http://localhost:8080/client/?hub=other", NULL, 401,
         NULL, "Failed to validate audience"},
        {"/client/hubs/chat", CHAT, "Bearer %s", 0, "chat", NULL},
        {"/client/hubs/chat", CHAT, "bearer %s", 0, "chat", NULL},
        {"/client/hubs/chat?access_token=", CHAT, "Bearer %s", 0, "chat", NULL},
        {"/client/hubs/chat?access_token=wrong", CHAT, "Bearer %s", 401, NULL, "not a JWT"},
        {"/client/hubs/chat", CHAT, "Basic %s", 401, NULL, "no access token"},
        {"/client/hubs/chat", CHAT, NULL, 401, NULL, "hubs.chat.anonymousConnectPolicy"},
        {"/client/hubs/open", CHAT, NULL, 0, "open", NULL},
        {"/client/hubs/open?access_token=%s", CHAT, NULL, 401, NULL, "Failed to validate audience"},
        {"/client/hubs/chat?access_token=%s", "http://localhost:8080/client/hubs/other", NULL, 401,
         NULL, "Failed to validate audience"},
        {"/client/hubs/chat?access_token=%s", "http://localhost:8080/client/", NULL, 401, NULL,
         "Failed to validate audience"},
        {"/client/hubs/?access_token=%s", CHAT, NULL, 400, NULL, "no hub"},
        {"/client?access_token=%s", CHAT, NULL, 400, NULL, "no hub"},
        {"/client/hubs/1chat?access_token=%s", CHAT, NULL, 400, NULL, "invalid hub name"},
        {"/client/hubs/a/b?access_token=%s", CHAT, NULL, 400, NULL, "invalid hub name"},
        {"/client/hubs/%%zz?access_token=%s", CHAT, NULL, 400, NULL, "no hub"},
        {"/client/other?access_token=%s", CHAT, NULL, 404, NULL, "no such client endpoint"},
        {"/client/hubs/chat?a=%%zz&access_token=%s", CHAT, NULL, 400, NULL, "percent-escape"},
        {"/client/hubs/chat?a=%%ff&access_token=%s", CHAT, NULL, 400, NULL, "UTF-8"},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        const char *t =
            token(f, arena__printf(&f->arena, "\"sub\":\"u\",\"aud\":\"%s\"", rows[i].aud));
        struct buf target, headers;

        buf__init(&target, 65536);
        buf__init(&headers, 65536);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        buf__printf(&target, rows[i].target, t);
        buf__str(&headers, STR(UPGRADE));
        if (rows[i].authorization) {
            buf__str(&headers, STR("Authorization: "));
            buf__printf(&headers, rows[i].authorization, t);
        }
#pragma GCC diagnostic pop
        if (read_request(f, "GET", target.data, headers.data) != rows[i].status)
            fail_msg("row %zu: status %d, expected %d: %s", i, f->h.status, rows[i].status,
                     f->diag.text);
        if (rows[i].hub)
            assert_str(f->h.hub, rows[i].hub);
        if (rows[i].why && !strstr(f->diag.text, rows[i].why))
            fail_msg("row %zu: \"%s\" does not say \"%s\"", i, f->diag.text, rows[i].why);
        assert_null(strstr(f->diag.text, t)); /* a reason never holds the token */
        buf__free(&target);
        buf__free(&headers);
    }
}

#define KEY_LINE "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\n"

/* RFC 6455 section 4.2.1 */
static void upgrade_is_checked(void **state)
{
    static const struct {
        const char *method, *headers;
        int status;
    } rows[] = {
        {"GET",
         "upgrade: WebSocket\nconnection: keep-alive, UPGRADE\nsec-websocket-version: "
         "13\n" KEY_LINE,
         0},
        {"GET",
         "Upgrade: h2c\nUpgrade: websocket\nConnection: close\nConnection: upgrade\n"
         "Sec-WebSocket-Version: 13\n" KEY_LINE,
         0},
        {"GET", "", 400},
        {"GET", "Connection: upgrade\nSec-WebSocket-Version: 13\n" KEY_LINE, 400},
        {"GET", "Upgrade: websocket\nSec-WebSocket-Version: 13\n" KEY_LINE, 400},
        {"GET", "Upgrade: websocket\nConnection: upgraded\nSec-WebSocket-Version: 13\n" KEY_LINE,
         400},
        {"POST", UPGRADE, 400},
        {"GET", "Upgrade: websocket\nConnection: upgrade\nSec-WebSocket-Version: 8\n" KEY_LINE,
         426},
        {"GET", "Upgrade: websocket\nConnection: upgrade\n" KEY_LINE, 426},
        {"GET", UPGRADE "Sec-WebSocket-Version: 13\n", 426},
        {"GET", "Upgrade: websocket\nConnection: upgrade\nSec-WebSocket-Version: 13\n", 400},
        {"GET",
         "Upgrade: websocket\nConnection: upgrade\nSec-WebSocket-Version: 13\n"
         "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j\n",
         400},
        {"GET",
         "Upgrade: websocket\nConnection: upgrade\nSec-WebSocket-Version: 13\n"
         "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ\n",
         400},
        {"GET", UPGRADE KEY_LINE, 400},
        {"GET", UPGRADE "Sec-WebSocket-Protocol: a b\n", 400},
        {"GET", UPGRADE "X-Name: J\xc3\xbcrgen\n", 0},
        {"GET", UPGRADE "X-Name: J\xfcrgen\n", 400},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        if (read_request(f, rows[i].method, "/client/hubs/open", rows[i].headers) != rows[i].status)
            fail_msg("row %zu: status %d, expected %d: %s", i, f->h.status, rows[i].status,
                     f->diag.text);
    }
}

/* client-and-rest section 1.4 */
static void subprotocols_are_negotiated(void **state)
{
    static const struct {
        const char *headers;
        const char *chosen;
        const struct format *format;
        size_t offered;
    } rows[] = {
        {"", NULL, &format_raw, 0},
        {"Sec-WebSocket-Protocol: json.webpubsub.azure.v1\n", "json.webpubsub.azure.v1",
         &format_json, 1},
        {"Sec-WebSocket-Protocol: JSON.WebPubSub.Azure.V1\n", "JSON.WebPubSub.Azure.V1",
         &format_json, 1},
        {"Sec-WebSocket-Protocol: custom , json.reliable.webpubsub.azure.v1,json.webpubsub.azure.v1"
         "\n",
         "json.reliable.webpubsub.azure.v1", &format_json_reliable, 3},
        {"Sec-WebSocket-Protocol: json.webpubsub.azure.v1\n"
         "Sec-WebSocket-Protocol: ,json.reliable.webpubsub.azure.v1\n",
         "json.webpubsub.azure.v1", &format_json, 2},
        {"Sec-WebSocket-Protocol: custom, other\n", NULL, &format_raw, 2},
        {"Sec-WebSocket-Protocol: protobuf.webpubsub.azure.v1\n", "protobuf.webpubsub.azure.v1",
         &format_protobuf, 1},
        {"Sec-WebSocket-Protocol: json.webpubsub.azure.v2, Protobuf.Reliable.WebPubSub.Azure.v1, "
         "json.webpubsub.azure.v1\n",
         "Protobuf.Reliable.WebPubSub.Azure.v1", &format_protobuf_reliable, 3},
        /* of a name that comes twice, in the spelling that came first */
        {"Sec-WebSocket-Protocol: JSON.webpubsub.azure.v1, json.webpubsub.azure.v1\n",
         "JSON.webpubsub.azure.v1", &format_json, 2},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        assert_int_equal(connect_chat(f, "", "", rows[i].headers), 0);
        assert_ptr_equal(f->h.format, rows[i].format);
        assert_int_equal(f->h.offered_count, rows[i].offered);
        if (rows[i].chosen)
            assert_str(f->h.subprotocol, rows[i].chosen);
        else
            assert_null(f->h.subprotocol.ptr);
    }
}

/* client-and-rest section 1.5 */
static void connect_handler_chooses_among_those_offered(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(
        connect_chat(f, "", "", "Sec-WebSocket-Protocol: Custom, json.webpubsub.azure.v1\n"), 0);
    assert_int_equal(handshake__choose(&f->h, STR_NONE, &f->diag), PH_OK);
    assert_str(f->h.subprotocol, "json.webpubsub.azure.v1");
    assert_int_equal(handshake__choose(&f->h, STR("custom"), &f->diag), PH_OK);
    assert_str(f->h.subprotocol, "Custom");
    assert_ptr_equal(f->h.format, &format_raw);
    assert_int_equal(handshake__choose(&f->h, STR("json.webpubsub.azure.v1"), &f->diag), PH_OK);
    assert_ptr_equal(f->h.format, &format_json);
    assert_int_equal(handshake__choose(&f->h, STR("json.reliable.webpubsub.azure.v1"), &f->diag),
                     PH_ERR_CONFIG);
    assert_non_null(strstr(f->diag.text, "did not offer"));
    assert_ptr_equal(f->h.format, &format_json);
}

/* What is not the service's own is told apart by case, as long as it can be. */
static void connect_handler_means_what_it_writes(void **state)
{
    static const struct {
        const char *chosen, *echoed;
    } rows[] = {{"game", "game"}, {"Game", "Game"}, {"GAME", "Game"}};
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        assert_int_equal(connect_chat(f, "", "", "Sec-WebSocket-Protocol: Game, game\n"), 0);
        assert_int_equal(handshake__choose(&f->h, str__of(rows[i].chosen), &f->diag), PH_OK);
        assert_str(f->h.subprotocol, rows[i].echoed);
        assert_ptr_equal(f->h.format, &format_raw);
    }
}

static void subprotocol_count_is_limited(void **state)
{
    struct fixture *f = *state;

    for (size_t n = 63; n <= 65; n++) {
        struct buf b;

        buf__init(&b, 4096);
        buf__str(&b, STR("Sec-WebSocket-Protocol: p0"));
        for (size_t i = 1; i < n; i++)
            buf__printf(&b, ",p%zu", i);
        buf__byte(&b, '\n');
        assert_int_equal(connect_chat(f, "", "", b.data), n <= 64 ? 0 : 400);
        buf__free(&b);
    }
}

/* client-and-rest sections 1.2 and 1.6: claims of a good token that cannot be used */
static void claims_are_judged(void **state)
{
    static const struct {
        const char *members;
        int status;
        const char *user;
        size_t roles;
    } rows[] = {
        {"\"sub\":\"u\"", 0, "u", 0},
        {"", 0, NULL, 0},
        {"\"sub\":\"\"", 0, NULL, 0},
        {"\"sub\":\"J\xc3\xbcrgen\"", 0, "J\xc3\xbcrgen", 0},
        {"\"sub\":\"a\\r\\nb\"", 400, NULL, 0},
        {"\"sub\":\" bob\"", 400, NULL, 0},
        {"\"sub\":\"bob \"", 400, NULL, 0},
        {"\"sub\":\"the bob\"", 0, "the bob", 0},
        {"\"sub\":null", 0, NULL, 0},
        {"\"sub\":4711", 0, "4711", 0},
        {"\"sub\":[\"a\",\"b\"]", 400, NULL, 0},
        {"\"sub\":{}", 400, NULL, 0},
        {"\"sub\":false", 400, NULL, 0},
        {"\"http://schemas.xmlsoap.org/ws/2005/05/identity/claims/nameidentifier\":\"long\"", 0,
         "long", 0},
        {"\"http://schemas.xmlsoap.org/ws/2005/05/identity/claims/nameidentifier\":[]", 400, NULL,
         0},
        {"\"role\":\"r\"", 0, NULL, 1},
        {"\"role\":[\"a\",\"b\"]", 0, NULL, 2},
        {"\"http://schemas.microsoft.com/ws/2008/06/identity/claims/role\":[\"a\"]", 0, NULL, 1},
        {"\"role\":7", 400, NULL, 0},
        {"\"webpubsub.group\":[\"a\",\"\"]", 400, NULL, 0},
        {"\"webpubsub.group\":\"  \"", 400, NULL, 0},
        {"\"webpubsub.group\":{}", 400, NULL, 0},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        if (connect_chat(f, rows[i].members, "", "") != rows[i].status)
            fail_msg("row %zu: status %d, expected %d: %s", i, f->h.status, rows[i].status,
                     f->diag.text);
        if (rows[i].status)
            continue;
        assert_int_equal(f->h.role_count, rows[i].roles);
        if (rows[i].user)
            assert_str(f->h.user_id, rows[i].user);
        else
            assert_null(f->h.user_id.ptr);
    }
}

/* official-emulator section 2.6 */
static void raw_mode_is_read(void **state)
{
    static const struct {
        const char *query;
        int status;
        const char *group;
        bool no_echo;
    } rows[] = {
        {"", 0, NULL, false},
        {"&webpubsub_mode=", 0, NULL, false},
        {"&webpubsub_mode=sendEvent&group=g", 0, NULL, false},
        {"&webpubsub_mode=sendToGroup&group=g", 0, "g", false},
        {"&WebPubSub_Mode=SENDTOGROUP&GROUP=G%2F+1&noecho=True", 0, "G/ 1", true},
        {"&webpubsub_mode=x&webpubsub_mode=sendToGroup&group=a&group=b", 0, "b", false},
        {"&webpubsub_mode=sendToGroup&webpubsub_mode=x&group=a", 400, NULL, false},
        {"&webpubsub_mode=sendToGroup&group=a&noEcho=true&noEcho=false", 0, "a", false},
        {"&webpubsub_mode=sendToGroup", 400, NULL, false},
        {"&webpubsub_mode=sendToGroup&group=", 400, NULL, false},
        {"&webpubsub_mode=sendToGroup&group=+", 400, NULL, false},
        {"&noEcho=1", 400, NULL, false},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        if (connect_chat(f, "", rows[i].query, "") != rows[i].status)
            fail_msg("%s: status %d, expected %d", rows[i].query, f->h.status, rows[i].status);
        if (rows[i].status)
            continue;
        assert_int_equal(f->h.publish_no_echo, rows[i].no_echo);
        if (rows[i].group)
            assert_str(f->h.publish_group, rows[i].group);
        else
            assert_null(f->h.publish_group.ptr);
    }
}

/* client-and-rest section 3: the pair is judged later, with 101 and 1008 */
static void recovery_needs_no_token(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(read_request(f, "GET",
                                  "/client/hubs/chat?awps_connection_id=abc&awps_reconnection_token"
                                  "=t&access_token=expired",
                                  UPGRADE "Sec-WebSocket-Protocol: json.reliable.webpubsub.azure.v1"
                                          "\n"),
                     0);
    assert_true(f->h.recovery);
    assert_str(f->h.connection_id, "abc");
    assert_str(f->h.reconnection_token, "t");
    assert_ptr_equal(f->h.format, &format_json_reliable);
    assert_str(f->h.subprotocol, "json.reliable.webpubsub.azure.v1");
    /* one half of the pair is an ordinary connect */
    assert_int_equal(read_request(f, "GET", "/client/hubs/chat?awps_reconnection_token=t", UPGRADE),
                     401);
    assert_int_equal(read_request(f, "GET", "/client/hubs/chat?awps_connection_id=abc", UPGRADE),
                     401);
    assert_int_equal(connect_chat(f, "", "&awps_reconnection_token=t", ""), 0);
    assert_false(f->h.recovery);
    assert_int_equal(f->h.query.count, 0);
}

/* The first that is offered and supported, unless the token names another of those. */
static void recovery_is_answered_with_the_kept_subprotocol(void **state)
{
    static const struct {
        const char *kept, *offered, *echoed;
        const struct format *format;
    } rows[] = {
        {"json.reliable.webpubsub.azure.v1",
         "json.webpubsub.azure.v1, JSON.reliable.webpubsub.azure.v1",
         "JSON.reliable.webpubsub.azure.v1", &format_json_reliable},
        {"protobuf.reliable.webpubsub.azure.v1",
         "json.reliable.webpubsub.azure.v1, protobuf.reliable.webpubsub.azure.v1",
         "protobuf.reliable.webpubsub.azure.v1", &format_protobuf_reliable},
        {"json.reliable.webpubsub.azure.v1", "x, json.webpubsub.azure.v1",
         "json.webpubsub.azure.v1", &format_json},
        {"x", "x, json.webpubsub.azure.v1", "json.webpubsub.azure.v1", &format_json}, /* forged */
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        buf__reset(&f->token);
        access__make_reconnection_token(&f->token, STR("abc"), rows[i].kept, f->settings.keys[0],
                                        NOW);
        assert_int_equal(
            read_request(
                f, "GET",
                arena__printf(&f->arena,
                              "/client/hubs/chat?awps_connection_id=abc"
                              "&awps_reconnection_token=%s",
                              f->token.data),
                arena__printf(&f->arena, UPGRADE "Sec-WebSocket-Protocol: %s\n", rows[i].offered)),
            0);
        assert_true(f->h.recovery);
        assert_str(f->h.subprotocol, rows[i].echoed);
        assert_ptr_equal(f->h.format, rows[i].format);
    }
}

static void client_paths(void **state)
{
    (void)state;
    assert_true(handshake__is_client_path(STR("/client")));
    assert_true(handshake__is_client_path(STR("/client/x")));
    assert_false(handshake__is_client_path(STR("/clients/mqtt/hubs/chat")));
    assert_false(handshake__is_client_path(STR("/api/health")));
}

/* event-handler section 3.8; the query itself never has it. */
static void token_for_the_connect_event(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(connect_chat(f, "", "&a=1", ""), 0);
    assert_null(f->h.shown_token.ptr);
    assert_int_equal(
        settings__parse_file(
            &f->settings, "f",
            STR("{\"hubs\":{\"chat\":{\"compatibility\":{\"accessTokenInConnectQuery\":true}}}}"),
            &f->diag),
        PH_OK);
    assert_int_equal(connect_chat(f, "", "&a=1", ""), 0);
    assert_str(f->h.shown_token, f->token.data);
    assert_int_equal(f->h.query.count, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(ordinary_connect, setup, teardown),
        cmocka_unit_test_setup_teardown(urls_and_tokens, setup, teardown),
        cmocka_unit_test_setup_teardown(upgrade_is_checked, setup, teardown),
        cmocka_unit_test_setup_teardown(subprotocols_are_negotiated, setup, teardown),
        cmocka_unit_test_setup_teardown(connect_handler_chooses_among_those_offered, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(connect_handler_means_what_it_writes, setup, teardown),
        cmocka_unit_test_setup_teardown(subprotocol_count_is_limited, setup, teardown),
        cmocka_unit_test_setup_teardown(claims_are_judged, setup, teardown),
        cmocka_unit_test_setup_teardown(raw_mode_is_read, setup, teardown),
        cmocka_unit_test_setup_teardown(recovery_needs_no_token, setup, teardown),
        cmocka_unit_test_setup_teardown(recovery_is_answered_with_the_kept_subprotocol, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(token_for_the_connect_event, setup, teardown),
        cmocka_unit_test(client_paths),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
