/* Access tokens, reconnection tokens, connection ids, names. */
#include "base/names.h"
#include "broker/core/access.h"
#include "broker/core/connection_id.h"
#include "unit.h"

#define NOW 1800000000
#define KEY "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789ABCDEFGH"
#define OTHER_KEY "another-key-of-more-than-thirty-two-bytes"

struct fixture {
    struct arena arena;
    struct mac_key *keys[2];
    struct jwt_rules rules;
    struct buf token;
    struct diag diag;
};

static int setup(void **state)
{
    static struct fixture f;

    arena__init(&f.arena, NULL, 0, 1 << 20);
    f.keys[0] = mac__key_new(STR(KEY));
    f.keys[1] = mac__key_new(STR(OTHER_KEY));
    f.rules =
        (struct jwt_rules){.keys = f.keys, .key_count = 2, .now = NOW, .skew = ACCESS_SKEW_SECONDS};
    buf__init(&f.token, JWT_MAX_LEN);
    f.diag.text[0] = '\0';
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    arena__free(&f->arena);
    mac__key_free(f->keys[0]);
    mac__key_free(f->keys[1]);
    buf__free(&f->token);
    return 0;
}

static struct str sign(struct fixture *f, const char *claims)
{
    buf__reset(&f->token);
    jwt__sign(&f->token, str__of(claims), f->keys[0]);
    assert_false(f->token.failed);
    return buf__view(&f->token);
}

static const struct access_request client = {.host = {"localhost:8080", 14},
                                             .own_host = {"127.0.0.1:8080", 14},
                                             .path = {"/client/hubs/chat", 17}};

static enum ph_err check(struct fixture *f, const struct access_request *request,
                         const char *claims)
{
    const struct json *found;
    enum ph_err err =
        access__check(&f->arena, sign(f, claims), &f->rules, request, &found, &f->diag);

    assert_int_equal(err == PH_OK, found != NULL);
    return err;
}

static bool audience_ok(struct fixture *f, const struct access_request *request, const char *aud)
{
    const char *claims = arena__printf(&f->arena, "{\"exp\":%d,\"aud\":\"%s\"}", NOW + 60, aud);

    return check(f, request, claims) == PH_OK;
}

static void bearer_is_read_without_case_of_the_scheme(void **state)
{
    static const struct {
        const char *header, *token;
    } rows[] = {
        {"Bearer abc", "abc"},
        {"bearer   abc ", "abc"},
        {"BEARER abc", "abc"},
        {"Basic abc", NULL},
        {"Bearer", NULL},
        {"Bearerabc", NULL},
        {"", NULL},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct http_headers h = {0};
        struct str token;

        http__add(&f->arena, &h, STR("authorization"), str__of(rows[i].header));
        token = http__bearer(&h);
        if (rows[i].token)
            assert_str(token, rows[i].token);
        else
            assert_null(token.ptr);
    }
    assert_null(http__bearer(&(struct http_headers){0}).ptr);
}

/* client-and-rest section 1.2 */
static void client_audiences(void **state)
{
    static const struct {
        const char *aud;
        bool ok;
    } rows[] = {
        {"http://localhost:8080/client/hubs/chat", true},
        {"https://localhost:8080/client/hubs/chat", true},
        {"ws://localhost:8080/client/hubs/chat", true},
        {"WSS://LOCALHOST:8080/CLIENT/hubs/Chat", true},
        {"http://127.0.0.1:8080/client/hubs/chat", true},
        {"http://127.1.2.3:8080/client/hubs/chat", true},
        {"http://[::1]:8080/client/hubs/chat", true},
        {"http://localhost:8080/client%2Fhubs/chat", true},
        {"http://localhost:8081/client/hubs/chat", false},
        {"http://localhost/client/hubs/chat", false},
        {"http://example.com:8080/client/hubs/chat", false},
        {"http://localhost:8080/client/hubs/other", false},
        {"http://localhost:8080/client/hubs/chat/", false},
        {"http://localhost:8080/client/hubs", false},
        {"http://localhost:8080/client/hubs/chat?x=1", false},
        {"ftp://localhost:8080/client/hubs/chat", false},
        {"localhost:8080/client/hubs/chat", false},
        {"http:///client/hubs/chat", false},
        {"http:localhost", false},
        {"", false},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        if (audience_ok(f, &client, rows[i].aud) != rows[i].ok)
            fail_msg("audience %s: expected %d", rows[i].aud, rows[i].ok);
    }
}

/* client-and-rest section 5.6: behind a proxy that puts another Host in */
static void public_endpoints(void **state)
{
    static const struct public_endpoint endpoints[] = {
        {.secure = true, .host = {"chat.example.com", 16}, .port = 0, .path = {"", 0}},
        {.secure = true, .host = {"shared.example.com", 18}, .port = 8443, .path = {"/base", 5}},
    };
    static const struct {
        const char *aud;
        bool ok;
    } rows[] = {
        {"https://chat.example.com/client/hubs/chat", true},
        {"wss://CHAT.example.com:443/client/hubs/chat", true},
        {"https://shared.example.com:8443/base/client/hubs/chat", true},
        {"http://localhost:8080/client/hubs/chat", true},
        {"https://chat.example.com:8443/client/hubs/chat", false},
        {"https://chat.example.com/base/client/hubs/chat", false},
        {"https://chat.example.com/client/hubs/other", false},
        {"https://shared.example.com:8443/client/hubs/chat", false},
        {"https://shared.example.com:8443/baseclient/hubs/chat", false},
        {"https://shared.example.com:8443/base", false},
        {"https://shared.example.com/base/client/hubs/chat", false},
        {"https://x.chat.example.com/client/hubs/chat", false},
        {"https://other.example.com/client/hubs/chat", false},
    };
    struct fixture *f = *state;
    struct access_request request = client;

    request.endpoints = endpoints;
    request.endpoint_count = 2;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        if (audience_ok(f, &request, rows[i].aud) != rows[i].ok)
            fail_msg("audience %s: expected %d", rows[i].aud, rows[i].ok);
    }
}

static void entra_tokens_are_known_by_their_audience(void **state)
{
    static const struct {
        const char *claims;
        bool is;
    } rows[] = {
        {"{\"aud\":\"https://webpubsub.azure.com\"}", true},
        {"{\"aud\":\"https://webpubsub.azure.com/\"}", true},
        {"{\"aud\":[\"x\",\"https://webpubsub.azure.com\"]}", true},
        {"{\"aud\":\"https://webpubsub.azure.com//\"}", false},
        {"{\"aud\":\"https://webpubsub.azure.comx\"}", false},
        {"{\"aud\":\"HTTPS://webpubsub.azure.com\"}", false},
        {"{\"aud\":\"http://localhost:8080/client/hubs/chat\"}", false},
        {"{\"aud\":\"\"}", false},
        {"{\"aud\":1}", false},
        {"{}", false},
        {"[]", false},
        {"", false},
    };
    const struct entra_settings on = {.audience = STR("https://webpubsub.azure.com")};
    const struct entra_settings off = {.audience = STR_NONE};
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct str token = sign(f, rows[i].claims);

        if (access__is_entra(&f->arena, token, &on) != rows[i].is)
            fail_msg("%s: expected %d", rows[i].claims, rows[i].is);
        assert_false(access__is_entra(&f->arena, token, &off));
    }
    assert_false(access__is_entra(&f->arena, STR("a.b.c"), &on));
}

/* client-and-rest section 5.6, official-emulator section 2.2 */
static void rest_audiences(void **state)
{
    static const struct {
        const char *aud;
        bool ok;
    } rows[] = {
        {"http://example.com/api/hubs/chat/groups/a%20b/:send?excluded=a%20b&x=1", true},
        {"http://example.com/api/hubs/chat/groups/a%20b/:send?excluded=a b&x=1", true},
        {"http://example.com/api/hubs/chat/groups/a%20b/:send", true},
        {"http://example.com/api/hubs/chat/groups/a b/:send", true},
        {"https://EXAMPLE.com:443/api/hubs/chat/groups/a%20b/:send/", true},
        {"http://example.com:80/api/hubs/chat/groups", true},
        {"http://example.com/api/hubs/chat/", true},
        {"http://example.com/api/hubs/cha", false},
        {"http://example.com/api/hubs/chat/groups/a%20b/:send/more", false},
        {"http://example.com/api/hubs/chat/groups/a%20b/:send?excluded=b", false},
        {"http://example.com:8080/api/hubs/chat", false},
        {"http://localhost/api/hubs/chat", false},
        {"http://localhost:8080/api/hubs/chat", true}, /* loopback with the port of own_host */
        {"http://0.0.0.0:8080/api/hubs/chat", true},
    };
    static const struct access_request rest = {.host = {"example.com", 11},
                                               .own_host = {"0.0.0.0:8080", 12},
                                               .path = {"/api/hubs/chat/groups/a%20b/:send", 33},
                                               .query = {"excluded=a%20b&x=1", 18},
                                               .parent_paths = true};
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        if (audience_ok(f, &rest, rows[i].aud) != rows[i].ok)
            fail_msg("audience %s: expected %d", rows[i].aud, rows[i].ok);
    }
}

/* As written, or after one decoding of the audience, of the URL, or of both. */
static void names_with_escapes_in_audiences(void **state)
{
    static const struct {
        const char *aud, *path;
        bool ok;
    } rows[] = {
        {"http://h/api/groups/%252F/:send", "/api/groups/%252F/:send", true},
        {"http://h/api/groups/%2f/:send", "/api/groups/%2F/:send", true},
        {"http://h/api/groups/%2F/:send", "/api/groups/%252F/:send", true},
        {"http://h/api/groups/%252F/:send", "/api/groups/%2F/:send", true},
        {"http://h/api/groups/%61/:send", "/api/groups/%C3%A4/:send", false},
        {"http://h/api/groups/%61%2F/:send", "/api/groups/a%2f/:send", true},
        {"http://h/api/groups/100%/:send", "/api/groups/100%25/:send", true},
        {"http://h/api/groups/%25252F/:send", "/api/groups/%2F/:send", false},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        const struct access_request rest = {.host = STR("h"),
                                            .own_host = STR("h"),
                                            .path = str__of(rows[i].path),
                                            .parent_paths = true};

        if (audience_ok(f, &rest, rows[i].aud) != rows[i].ok)
            fail_msg("audience %s of %s: expected %d", rows[i].aud, rows[i].path, rows[i].ok);
    }
}

static void audience_may_be_a_list(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(check(f, &client,
                           "{\"exp\":1800000060,\"aud\":[\"x\",\"ws://localhost:8080/client/hubs/"
                           "chat\"]}"),
                     PH_OK);
    assert_int_equal(check(f, &client, "{\"exp\":1800000060,\"aud\":[]}"), PH_ERR_AUTH);
    assert_int_equal(check(f, &client, "{\"exp\":1800000060,\"aud\":[1]}"), PH_ERR_SYNTAX);
    assert_int_equal(check(f, &client, "{\"exp\":1800000060}"), PH_ERR_AUTH);
    assert_non_null(strstr(f->diag.text, "add a claim `aud`"));
}

static void refusal_names_both_audiences(void **state)
{
    struct fixture *f = *state;

    assert_false(audience_ok(f, &client, "http://other/client/hubs/chat"));
    assert_string_equal(f->diag.text, "Failed to validate audience. Expected Audiences: "
                                      "http://localhost:8080/client/hubs/chat. Actual Audiences: "
                                      "http://other/client/hubs/chat");
}

static void expiry_has_five_minutes_of_skew(void **state)
{
    struct fixture *f = *state;
    static const struct {
        int exp;
        enum ph_err err;
    } rows[] = {{NOW - 299, PH_OK}, {NOW - 300, PH_ERR_AUTH}, {NOW - 301, PH_ERR_AUTH}};

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
        assert_int_equal(check(f, &client,
                               arena__printf(&f->arena,
                                             "{\"exp\":%d,\"aud\":\"http://localhost:8080/client/"
                                             "hubs/chat\"}",
                                             rows[i].exp)),
                         rows[i].err);
}

static void claims_are_strings_or_arrays(void **state)
{
    struct fixture *f = *state;
    struct json *claims;
    struct str *items;
    size_t count;

    assert_int_equal(json__parse(&f->arena,
                                 STR("{\"one\":\"a\",\"two\":[\"b\",\"c\"],\"none\":[],"
                                     "\"null\":null,\"bad\":[\"d\",{}],\"number\":7}"),
                                 &JSON_LIMITS_DEFAULT, &claims, &f->diag),
                     PH_OK);
    assert_int_equal(jwt__claim_strings(&f->arena, claims, STR("one"), &items, &count, &f->diag),
                     PH_OK);
    assert_int_equal(count, 1);
    assert_str(items[0], "a");
    assert_int_equal(jwt__claim_strings(&f->arena, claims, STR("two"), &items, &count, &f->diag),
                     PH_OK);
    assert_int_equal(count, 2);
    assert_str(items[1], "c");
    assert_int_equal(jwt__claim_strings(&f->arena, claims, STR("none"), &items, &count, &f->diag),
                     PH_OK);
    assert_int_equal(count, 0);
    assert_int_equal(jwt__claim_strings(&f->arena, claims, STR("null"), &items, &count, &f->diag),
                     PH_OK);
    assert_int_equal(count, 0);
    assert_int_equal(jwt__claim_strings(&f->arena, claims, STR("absent"), &items, &count, &f->diag),
                     PH_OK);
    assert_int_equal(count, 0);
    assert_int_equal(jwt__claim_strings(&f->arena, claims, STR("bad"), &items, &count, &f->diag),
                     PH_ERR_SYNTAX);
    assert_int_equal(jwt__claim_strings(&f->arena, claims, STR("number"), &items, &count, &f->diag),
                     PH_ERR_SYNTAX);
    assert_non_null(strstr(f->diag.text, "`number`"));
}

static void reconnection_token_is_for_one_connection(void **state)
{
    struct fixture *f = *state;
    struct jwt_rules later = f->rules;

    later.skew = 0;
    access__make_reconnection_token(&f->token, STR("abc"), "sub.v1", f->keys[1], NOW);
    assert_false(f->token.failed);
    assert_str(access__reconnection_subprotocol(&f->arena, buf__view(&f->token)), "sub.v1");
    assert_null(access__reconnection_subprotocol(&f->arena, STR("no token")).ptr);
    assert_int_equal(access__check_reconnection_token(&f->arena, buf__view(&f->token), STR("abc"),
                                                      &f->rules, &f->diag),
                     PH_OK);
    assert_int_equal(access__check_reconnection_token(&f->arena, buf__view(&f->token), STR("abd"),
                                                      &f->rules, &f->diag),
                     PH_ERR_AUTH);
    later.now = NOW + ACCESS_RECONNECTION_SECONDS - 1;
    assert_int_equal(access__check_reconnection_token(&f->arena, buf__view(&f->token), STR("abc"),
                                                      &later, &f->diag),
                     PH_OK);
    later.now++;
    assert_int_equal(access__check_reconnection_token(&f->arena, buf__view(&f->token), STR("abc"),
                                                      &later, &f->diag),
                     PH_ERR_AUTH);
}

static void access_token_is_no_reconnection_token(void **state)
{
    struct fixture *f = *state;
    const char *claims = "{\"exp\":1800000060}";

    assert_int_equal(
        access__check_reconnection_token(&f->arena, sign(f, claims), STR(""), &f->rules, &f->diag),
        PH_ERR_AUTH);
}

static void connection_id_names_its_shard(void **state)
{
    uint8_t random[CONNECTION_ID_RANDOM_BYTES] = {0x01, 0xff};
    char id[CONNECTION_ID_LEN + 1];
    uint16_t node;
    uint8_t shard;

    (void)state;
    connection_id__make(id, random, 0xbeef, 0x0a);
    assert_string_equal(id, "01ff0000000000000000000000beef0a");
    assert_true(connection_id__owner(str__of(id), &node, &shard));
    assert_int_equal(node, 0xbeef);
    assert_int_equal(shard, 0x0a);
    assert_false(connection_id__owner(str__n(id, 31), &node, &shard));
    assert_false(connection_id__owner(str__n(id, 33), &node, &shard));
    id[3] = 'F'; /* ids are lower case, and compare with case */
    assert_false(connection_id__owner(str__of(id), &node, &shard));
}

static struct str repeat(struct arena *a, const char *unit, size_t times)
{
    size_t len = strlen(unit);
    char *text = arena__alloc(a, len * times);

    for (size_t i = 0; i < times; i++)
        memcpy(text + i * len, unit, len);
    return str__n(text, len * times);
}

static void group_names_have_1_to_1024_characters(void **state)
{
    struct fixture *f = *state;

    assert_false(names__valid_group(STR("")));
    assert_true(names__valid_group(STR("g")));
    assert_true(names__valid_group(STR(" a/b%.* \xc3\xa9")));
    assert_false(names__valid_group(STR(" \t\xc2\xa0\xe3\x80\x80")));
    assert_false(names__valid_group(STR("\xff")));
    assert_true(names__valid_group(repeat(&f->arena, "x", 1023)));
    assert_true(names__valid_group(repeat(&f->arena, "x", 1024)));
    assert_false(names__valid_group(repeat(&f->arena, "x", 1025)));
    assert_true(names__valid_group(repeat(&f->arena, "\xf0\x9f\x98\x80", 1024)));
    assert_false(names__valid_group(repeat(&f->arena, "\xf0\x9f\x98\x80", 1025)));
}

static void hubs_are_lower_case(void **state)
{
    struct fixture *f = *state;

    assert_str(names__lower_hub(&f->arena, STR("Chat_A`[1],.")), "chat_a`[1],.");
}

static void ids_hold_no_control_characters(void **state)
{
    (void)state;
    assert_true(names__valid_id(STR("J\xc3\xbcrgen")));
    assert_false(names__valid_id(STR("")));
    assert_false(names__valid_id(STR("a\r\nce-hub: x")));
    assert_false(names__valid_id(STR("\x7f")));
    assert_false(names__valid_id(STR("\xc3")));
}

static void faults_of_user_ids_are_told(void **state)
{
    static const char blank[] =
        "starts or ends with white space, which would be lost on the way to an event handler";
    static const struct {
        const char *id, *fault;
    } rows[] = {
        {"the J\xc3\xbcrgen", NULL},
        {"", "is empty"},
        {"\xc3", "is not UTF-8"},
        {"a\r\nce-hub: x", "holds a control character"},
        {"bob\t", "holds a control character"},
        {" bob", blank},
        {"bob ", blank},
        {" ", blank},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        const char *fault = names__user_fault(str__of(rows[i].id));

        assert_int_equal(!fault, !rows[i].fault);
        if (fault)
            assert_string_equal(fault, rows[i].fault);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(bearer_is_read_without_case_of_the_scheme, setup, teardown),
        cmocka_unit_test_setup_teardown(client_audiences, setup, teardown),
        cmocka_unit_test_setup_teardown(public_endpoints, setup, teardown),
        cmocka_unit_test_setup_teardown(entra_tokens_are_known_by_their_audience, setup, teardown),
        cmocka_unit_test_setup_teardown(rest_audiences, setup, teardown),
        cmocka_unit_test_setup_teardown(names_with_escapes_in_audiences, setup, teardown),
        cmocka_unit_test_setup_teardown(audience_may_be_a_list, setup, teardown),
        cmocka_unit_test_setup_teardown(refusal_names_both_audiences, setup, teardown),
        cmocka_unit_test_setup_teardown(expiry_has_five_minutes_of_skew, setup, teardown),
        cmocka_unit_test_setup_teardown(claims_are_strings_or_arrays, setup, teardown),
        cmocka_unit_test_setup_teardown(reconnection_token_is_for_one_connection, setup, teardown),
        cmocka_unit_test_setup_teardown(access_token_is_no_reconnection_token, setup, teardown),
        cmocka_unit_test(connection_id_names_its_shard),
        cmocka_unit_test_setup_teardown(group_names_have_1_to_1024_characters, setup, teardown),
        cmocka_unit_test_setup_teardown(hubs_are_lower_case, setup, teardown),
        cmocka_unit_test(ids_hold_no_control_characters),
        cmocka_unit_test(faults_of_user_ids_are_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
