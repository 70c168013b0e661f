/* Tokens of REST calls (client-and-rest sections 1.2 and 5.6), and those that are generated. */
#include "rest_kit.h"

#include "broker/rest/answer.h"
#include "rsa_kit.h"

/* client-and-rest section 5.6 */
static void tokens_are_checked(void **state)
{
    static const struct {
        const char *aud; /* NULL: no token */
        int status;
    } rows[] = {
        {HOST "/api/hubs/chat/:send?api-version=2024-12-01&excluded=a%20b", 0},
        {HOST "/api/hubs/chat/:send", 0},
        {"https://127.0.0.1:8080/api/hubs/chat/", 0},
        {HOST "/api/hubs/other/:send", 401},
        {HOST "/client/hubs/chat", 401},
        {"http://example.com/api/hubs/chat/:send", 401},
        {NULL, 401},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        const char *headers = rows[i].aud ? arena__printf(&f->arena, "Authorization: %.*s\n" TEXT,
                                                          STR_FMT(kit__bearer(f, rows[i].aud)))
                                          : "Authorization: Basic abc\n";

        assert_int_equal(kit__call(f, "POST",
                                   "/api/hubs/chat/:send?api-version=2024-12-01&excluded=a%20b",
                                   headers, STR("x")),
                         rows[i].status);
        if (rows[i].status == 0)
            continue;
        assert_int_equal(f->call.response.body.len, 0);
        assert_str(kit__header(f, "api-supported-versions"), ANSWER_VERSIONS);
        assert_true(f->diag.text[0] != '\0');
    }
}

/* --- Microsoft Entra --------------------------------------------------------- */

#define ISSUER "https://sts.windows.net/tenant/"
#define ENTRA_CLAIMS(exp)                                                                          \
    "{\"aud\":\"https://webpubsub.azure.com\",\"iss\":\"" ISSUER "\",\"exp\":" #exp "}"

struct entra {
    EVP_PKEY *key, *stranger;
    struct jwks *keys;
    struct entra_settings settings;
};

static int entra_setup(void **state)
{
    static struct entra e;
    struct fixture *f;
    struct buf set;

    kit__set_up(state);
    f = *state;
    e.key = rsa_kit__key(2048);
    e.stranger = rsa_kit__key(2048);
    buf__init(&set, 4096);
    rsa_kit__set(&set, e.key, "k1");
    e.keys = jwks__parse(buf__view(&set), &f->diag);
    buf__free(&set);
    assert_non_null(e.keys);
    e.settings = (struct entra_settings){.audience = STR("https://webpubsub.azure.com"),
                                         .issuer = STR(ISSUER)};
    f->entra = &e;
    f->world.entra = &e.settings;
    f->world.entra_keys = e.keys;
    return 0;
}

static int entra_teardown(void **state)
{
    struct fixture *f = *state;

    EVP_PKEY_free(f->entra->key);
    EVP_PKEY_free(f->entra->stranger);
    jwks__unref(f->entra->keys);
    return kit__tear_down(state);
}

/* Headers with a token of an identity provider. */
static const char *entra_bearer(struct fixture *f, EVP_PKEY *key, const char *kid,
                                const char *header, const char *claims)
{
    buf__reset(&f->token);
    rsa_kit__token(&f->token, key, kid, header, claims);
    return arena__printf(&f->arena, "Authorization: Bearer %.*s\n" TEXT,
                         STR_FMT(buf__view(&f->token)));
}

static int send_with(struct fixture *f, const char *headers)
{
    return kit__call(f, "POST", "/api/hubs/chat/:send", headers, STR("x"));
}

/* client-and-rest section 5.6 */
static void entra_tokens_are_checked(void **state)
{
    struct fixture *f = *state;
    struct entra *e = f->entra;
    const char *good = ENTRA_CLAIMS(1800000060);

    assert_int_equal(send_with(f, entra_bearer(f, e->key, "k1", NULL, good)), 0);
    assert_int_equal(send_with(f, entra_bearer(f, e->stranger, "k1", NULL, good)), 401);
    assert_int_equal(f->call.response.body.len, 0);
    assert_int_equal(send_with(f, entra_bearer(f, e->key, "k1", NULL, ENTRA_CLAIMS(1799999000))),
                     401);
    assert_int_equal(
        send_with(f, entra_bearer(f, e->key, "k1", "{\"alg\":\"none\",\"kid\":\"k1\"}", good)),
        401);
    assert_int_equal(
        send_with(f, entra_bearer(f, e->key, "k1", NULL,
                                  "{\"aud\":\"https://webpubsub.azure.com\",\"exp\":1800000060,"
                                  "\"iss\":\"https://sts.windows.net/other/\"}")),
        401);
    assert_non_null(strstr(f->diag.text, "issuer"));
    assert_int_equal(
        send_with(f, entra_bearer(f, e->key, "k1", NULL,
                                  "{\"aud\":\"https://webpubsub.azure.com\",\"exp\":1800000060}")),
        401);
    assert_int_equal(send_with(f, entra_bearer(f, e->key, "k1", NULL,
                                               "{\"aud\":\"api://other\",\"exp\":1800000060,"
                                               "\"iss\":\"" ISSUER "\"}")),
                     401);
    /* The access key still counts, but not for Entra's audience. */
    assert_int_equal(kit__call(f, SEND_TEXT, STR("x")), 0);
    assert_int_equal(
        send_with(f, arena__printf(&f->arena, "Authorization: %.*s\n" TEXT,
                                   STR_FMT(kit__bearer(f, "https://webpubsub.azure.com")))),
        401);
    /* Without the setting there are no such tokens. */
    f->world.entra = NULL;
    assert_int_equal(send_with(f, entra_bearer(f, e->key, "k1", NULL, good)), 401);
}

static void an_unknown_key_is_waited_for_once(void **state)
{
    struct fixture *f = *state;
    const char *headers = entra_bearer(f, f->entra->key, "k2", NULL, ENTRA_CLAIMS(1800000060));

    assert_int_equal(send_with(f, headers), REST_WANTS_KEYS);
    f->world.entra_keys_final = true;
    assert_int_equal(send_with(f, headers), 401);
    assert_non_null(strstr(f->diag.text, "\"k2\""));
    f->world.entra_keys = NULL;
    assert_int_equal(send_with(f, headers), 401);
    f->world.entra_keys_final = false;
    assert_int_equal(send_with(f, headers), REST_WANTS_KEYS);
    /* Nobody makes us look for the key of a token that would be none with it either. */
    assert_int_equal(
        send_with(f, entra_bearer(f, f->entra->key, "k2", NULL, ENTRA_CLAIMS(1799999000))), 401);
    assert_int_equal(
        send_with(f, entra_bearer(f, f->entra->key, "k2", NULL,
                                  "{\"aud\":\"https://webpubsub.azure.com\",\"exp\":1800000060,"
                                  "\"iss\":\"https://sts.windows.net/other/\"}")),
        401);
}

/* official-emulator section 2.2 */
static void unvalidated_tokens_have_times_alone(void **state)
{
    struct fixture *f = *state;
    EVP_PKEY *anybody = f->entra->stranger;

    f->entra->settings.allow_unvalidated = true;
    f->world.entra_keys = NULL;
    assert_int_equal(send_with(f, entra_bearer(f, anybody, NULL, NULL, ENTRA_CLAIMS(1799999701))),
                     0);
    assert_int_equal(send_with(f, entra_bearer(f, anybody, NULL, "{\"alg\":\"none\"}",
                                               ENTRA_CLAIMS(1800000060))),
                     0);
    assert_int_equal(send_with(f, entra_bearer(f, anybody, NULL, NULL, ENTRA_CLAIMS(1799999700))),
                     401);
    assert_int_equal(send_with(f, entra_bearer(f, anybody, NULL, NULL,
                                               "{\"aud\":\"https://webpubsub.azure.com\"}")),
                     401);
    assert_int_equal(
        send_with(f, entra_bearer(f, anybody, NULL, NULL,
                                  "{\"aud\":\"" HOST "/api/hubs/chat/:send\",\"exp\":1800000060}")),
        401);
}

static int generate(struct fixture *f, const char *query, const char *more)
{
    const char *headers = entra_bearer(f, f->entra->key, "k1", NULL, ENTRA_CLAIMS(1800000060));

    return kit__call(f, "POST", arena__printf(&f->arena, "/api/hubs/Chat/:generateToken%s", query),
                     arena__printf(&f->arena, "%s%s", headers, more), STR(""));
}

/* The claims of the token in the answer, checked against the access key. */
static const char *generated(struct fixture *f)
{
    const struct jwt_rules rules = {
        .keys = f->settings.keys, .key_count = 1, .now = NOW, .skew = 0};
    const struct json *claims;
    struct json *body;

    assert_str(kit__header(f, "Content-Type"), "application/json");
    assert_str(kit__header(f, "api-supported-versions"), ANSWER_VERSIONS);
    assert_int_equal(
        json__parse(&f->arena, f->call.response.body, &JSON_LIMITS_DEFAULT, &body, NULL), PH_OK);
    assert_int_equal(
        jwt__verify(&f->arena, json__get_string(body, STR("token")), &rules, &claims, &f->diag),
        PH_OK);
    return arena__strdup(&f->arena, claims->raw);
}

static void tokens_are_generated(void **state)
{
    static const struct {
        const char *query, *headers, *claims;
    } rows[] = {
        {"", "", "{\"iat\":1800000000,\"exp\":1800003600,\"aud\":\"" HOST "/client/hubs/chat\"}"},
        {"?api-version=2024-12-01&userId=a%2Fb%20%C3%A9&role=webpubsub.sendToGroup&role=r2"
         "&minutesToExpire=1&group=g%201&group=g2",
         "",
         "{\"role\":[\"webpubsub.sendToGroup\",\"r2\"],\"webpubsub.group\":[\"g 1\",\"g2\"],"
         "\"iat\":1800000000,\"exp\":1800000060,\"aud\":\"" HOST "/client/hubs/chat\","
         "\"sub\":\"a/b \xc3\xa9\"}"},
        {"?clientType=mqtt", "",
         "{\"iat\":1800000000,\"exp\":1800003600,\"aud\":\"" HOST "/clients/mqtt/hubs/chat\"}"},
        {"?CLIENTTYPE=default&minutestoexpire=2147483647", "",
         "{\"iat\":1800000000,\"exp\":130649018820,\"aud\":\"" HOST "/client/hubs/chat\"}"},
        {"", "X-Forwarded-Proto: https\n",
         "{\"iat\":1800000000,\"exp\":1800003600,\"aud\":\"https://localhost:8080/client/hubs/"
         "chat\"}"},
        {"", "X-Forwarded-Proto: https://evil/\n",
         "{\"iat\":1800000000,\"exp\":1800003600,\"aud\":\"" HOST "/client/hubs/chat\"}"},
        {"", "Host: h\xff\n",
         "{\"iat\":1800000000,\"exp\":1800003600,\"aud\":\"http://h%FF/client/hubs/chat\"}"},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        assert_int_equal(generate(f, rows[i].query, rows[i].headers), 200);
        assert_string_equal(generated(f), rows[i].claims);
    }
}

/* Behind a proxy the audience is what the proxy's callers know. */
static void generated_tokens_name_the_public_endpoint(void **state)
{
    static struct public_endpoint endpoints[] = {
        {.url = {"https://first.example.com/base", 30}, .host = {"first.example.com", 17}},
        {.url = {"https://localhost:8081/y", 24}, .host = {"localhost", 9}, .port = 8081},
        {.url = {"https://localhost:8080/x", 24}, .host = {"localhost", 9}, .port = 8080},
    };
    struct fixture *f = *state;

    assert_int_equal(generate(f, "", "Host: \n"), 200); /* as in HTTP/1.0 */
    assert_non_null(strstr(generated(f), "\"aud\":\"http://" OWN "/client/hubs/chat\""));

    f->settings.endpoints = endpoints;
    f->settings.endpoint_count = 1;
    assert_int_equal(generate(f, "", "X-Forwarded-Proto: http\n"), 200);
    assert_non_null(
        strstr(generated(f), "\"aud\":\"https://first.example.com/base/client/hubs/chat\""));
    f->settings.endpoint_count = 3;
    assert_int_equal(generate(f, "", ""), 200);
    assert_non_null(strstr(generated(f), "\"aud\":\"https://localhost:8080/x/client/hubs/chat\""));
}

/* Old tokens are good by a secondary key; new ones are not to be, once it is taken away. */
static void the_primary_key_signs(void **state)
{
    struct fixture *f = *state;
    struct mac_key *secondary = mac__key_new(STR("another key, which is long enough for all"));

    f->settings.keys[1] = secondary;
    f->settings.key_count = 2;
    assert_int_equal(generate(f, "", ""), 200);
    generated(f);
    f->settings.key_count = 1;
    mac__key_free(secondary);
}

/* Behind a proxy, tokens name the endpoint that its callers know. */
static void tokens_may_name_a_public_endpoint(void **state)
{
    static const struct {
        const char *aud;
        int status;
    } rows[] = {
        {"https://chat.example.com/base/api/hubs/chat/:send", 0},
        {"wss://Chat.Example.com:443/Base/api/hubs/chat", 0},
        {"https://chat.example.com/evil/api/hubs/chat/:send", 401},
        {"https://chat.example.com/api/hubs/chat/:send", 401},
        {"https://chat.example.com/ba", 401},
        {"https://chat.example.com:444/base/api/hubs/chat/:send", 401},
        {"https://example.com/base/api/hubs/chat/:send", 401},
    };
    static struct public_endpoint endpoint = {.url = {"https://chat.example.com/base", 29},
                                              .secure = true,
                                              .host = {"chat.example.com", 16},
                                              .path = {"/base", 5}};
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        const char *headers = arena__printf(&f->arena, "Authorization: %.*s\n" TEXT,
                                            STR_FMT(kit__bearer(f, rows[i].aud)));

        f->settings.endpoint_count = 0;
        assert_int_equal(send_with(f, headers), 401);
        f->settings.endpoints = &endpoint;
        f->settings.endpoint_count = 1;
        if (send_with(f, headers) != rows[i].status)
            fail_msg("%s: %d", rows[i].aud, f->call.response.status);
    }
}

static void token_parameters_are_checked(void **state)
{
    static const char *const queries[] = {
        "?minutesToExpire=0",
        "?minutesToExpire=",
        "?minutesToExpire=-1",
        "?minutesToExpire=1.5",
        "?minutesToExpire=2147483648",
        "?minutesToExpire=1&minutesToExpire=1",
        "?clientType=",
        "?clientType=SocketIO",
        "?clientType=MQTT&clientType=MQTT",
        "?userId=",
        "?userId=a%0a",
        "?userId=%20bob",
        "?userId=bob+%20",
        "?userId=a&userId=a",
        "?group=",
        "?group=%20",
        "?group=%ff",
        "?api-version=2020-10-01",
    };
    struct fixture *f = *state;
    char *role = arena__printf(&f->arena, "?role=%0*d", JWT_MAX_LEN, 0);
    char *longest = arena__printf(&f->arena, "?userId=%01024d", 0);
    char *longer = arena__printf(&f->arena, "?userId=%01025d", 0);

    for (size_t i = 0; i < sizeof(queries) / sizeof(*queries); i++) {
        if (generate(f, queries[i], "") != 400)
            fail_msg("%s: %d", queries[i], f->call.response.status);
        kit__error_is(f, "Error.BadRequest",
                      strstr(queries[i], "version") ? "api-version" : "Request");
    }
    assert_int_equal(generate(f, role, ""), 400);
    kit__error_is(f, "Error.BadRequest", "Request");
    assert_int_equal(generate(f, longest, ""), 200);
    assert_int_equal(generate(f, longer, ""), 400); /* no handshake would take it */
    kit__error_is(f, "Error.BadRequest", "Request");
    assert_int_equal(kit__call(f, "GET", "/api/hubs/chat/:generateToken", "", STR("")), 405);
    assert_int_equal(kit__call(f, "POST", "/api/hubs/1/:generateToken",
                               entra_bearer(f, f->entra->key, "k1", NULL, ENTRA_CLAIMS(1800000060)),
                               STR("")),
                     400);
}

/* The handshake would refuse them. */
static void tokens_keep_to_the_limits_of_clients(void **state)
{
    struct fixture *f = *state;

    f->settings.limits.user_characters = 3;
    f->settings.limits.group_characters = 4;
    f->settings.limits.groups = 2;
    assert_int_equal(generate(f, "?userId=b%C3%B6b&group=a&group=b", ""), 200);
    assert_int_equal(generate(f, "?userId=bobo", ""), 400);
    assert_non_null(strstr(f->diag.text, "more than 3 characters (limits.userIdCharacters)"));
    assert_int_equal(generate(f, "?group=r%C3%B6%C3%B6m", ""), 200);
    assert_int_equal(generate(f, "?group=r%C3%B6%C3%B6ms", ""), 400);
    assert_non_null(strstr(f->diag.text, "more than 4 characters (limits.groupNameCharacters)"));
    assert_int_equal(generate(f, "?group=a&group=b&group=c", ""), 400);
    assert_non_null(strstr(f->diag.text, "at most 2 groups (limits.groupsPerConnection)"));
}

/* client-and-rest section 5.2, row 25 */
static void tokens_are_for_entra_callers_alone(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(kit__call(f, "POST", "/api/hubs/chat/:generateToken", "", STR("")), 401);
    assert_int_equal(f->call.response.body.len, 0);
    assert_non_null(strstr(f->diag.text, "Entra"));
    f->world.entra = NULL;
    assert_int_equal(kit__call(f, "POST", "/api/hubs/chat/:generateToken", "", STR("")), 401);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(tokens_are_checked, kit__set_up, kit__tear_down),
        cmocka_unit_test_setup_teardown(entra_tokens_are_checked, entra_setup, entra_teardown),
        cmocka_unit_test_setup_teardown(an_unknown_key_is_waited_for_once, entra_setup,
                                        entra_teardown),
        cmocka_unit_test_setup_teardown(unvalidated_tokens_have_times_alone, entra_setup,
                                        entra_teardown),
        cmocka_unit_test_setup_teardown(tokens_are_generated, entra_setup, entra_teardown),
        cmocka_unit_test_setup_teardown(generated_tokens_name_the_public_endpoint, entra_setup,
                                        entra_teardown),
        cmocka_unit_test_setup_teardown(the_primary_key_signs, entra_setup, entra_teardown),
        cmocka_unit_test_setup_teardown(tokens_may_name_a_public_endpoint, kit__set_up,
                                        kit__tear_down),
        cmocka_unit_test_setup_teardown(token_parameters_are_checked, entra_setup, entra_teardown),
        cmocka_unit_test_setup_teardown(tokens_keep_to_the_limits_of_clients, entra_setup,
                                        entra_teardown),
        cmocka_unit_test_setup_teardown(tokens_are_for_entra_callers_alone, entra_setup,
                                        entra_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
