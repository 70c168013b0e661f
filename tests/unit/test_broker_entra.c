/* A running broker and the keys of an identity provider, which change. */
#include "broker_kit.h"
#include "rsa_kit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define ISSUER "https://sts.windows.net/tenant/"
#define EXISTS "/api/hubs/chat/users/nobody"

static EVP_PKEY *first, *second;
static struct broker_kit kit;
static char path[] = "/tmp/pubhook-jwks-XXXXXX";

static void publish(EVP_PKEY *key, const char *kid)
{
    rsa_kit__publish(path, key, kid);
}

static int make_keys(void **state)
{
    (void)state;
    return rsa_kit__make(&first, &second, path);
}

static int free_keys(void **state)
{
    (void)state;
    return rsa_kit__free(first, second, path);
}

static void prepare(unsigned threads)
{
    broker_kit__init(&kit, threads);
    kit.settings.entra = (struct entra_settings){.audience = STR("https://webpubsub.azure.com"),
                                                 .issuer = STR(ISSUER),
                                                 .jwks_file = str__of(path)};
}

static int teardown(void **state)
{
    (void)state;
    broker_kit__free(&kit);
    return 0;
}

static void add_request(struct buf *out, const char *line, EVP_PKEY *key, const char *kid)
{
    char claims[256];

    snprintf(claims, sizeof(claims),
             "{\"aud\":\"https://webpubsub.azure.com\",\"iss\":\"" ISSUER "\",\"exp\":%lld}",
             (long long)time(NULL) + 60);
    buf__printf(out, "%s HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nAuthorization: Bearer ", line, kit.port);
    rsa_kit__token(out, key, kid, NULL, claims);
    buf__str(out, STR("\r\n"));
}

/* 404, because nobody is there, or 401. */
static int ask(EVP_PKEY *key, const char *kid)
{
    struct buf request;
    int status;

    buf__init(&request, 8192);
    add_request(&request, "HEAD " EXISTS, key, kid);
    buf__str(&request, STR("\r\n"));
    status = broker_kit__http(&kit, buf__view(&request), NULL);
    buf__free(&request);
    return status;
}

static void unknown_key_makes_them_read_again(void **state)
{
    (void)state;
    publish(first, "a");
    prepare(2);
    kit.limits.key_seconds = 0;
    broker_kit__start(&kit);
    assert_int_equal(ask(first, "a"), 404);
    assert_int_equal(ask(second, "b"), 401);
    publish(second, "b");
    assert_int_equal(ask(first, "a"), 404); /* nobody asked for others yet */
    assert_int_equal(ask(second, "b"), 404);
    assert_int_equal(ask(first, "a"), 401); /* it was withdrawn */
    publish(NULL, "{\"keys\":");
    assert_int_equal(ask(first, "a"), 401);
    assert_int_equal(ask(second, "b"), 404); /* still there */
    assert_int_equal(unlink(path), 0);
    assert_int_equal(ask(first, "a"), 401);
    assert_int_equal(ask(second, "b"), 404);
}

static void but_not_more_often_than_allowed(void **state)
{
    (void)state;
    publish(first, "a");
    prepare(1);
    kit.limits.key_seconds = 3600;
    broker_kit__start(&kit);
    publish(second, "b");
    for (int i = 0; i < 3; i++)
        assert_int_equal(ask(second, "b"), 401);
    assert_int_equal(ask(first, "a"), 404);
}

/* The body of a request that waits for keys is neither asked for nor lost. */
static void held_requests_go_on(void **state)
{
    static const struct {
        bool good, expect;
        int status;
    } rows[] = {{true, false, 202}, {false, false, 401}, {true, true, 100}, {false, true, 401}};

    (void)state;
    publish(first, "a");
    prepare(2);
    kit.limits.key_seconds = 0;
    broker_kit__start(&kit);
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        EVP_PKEY *key = i % 2 ? second : first;
        struct buf request;
        char kid[8];

        snprintf(kid, sizeof(kid), "k%zu", i);
        publish(rows[i].good ? key : first, rows[i].good ? kid : "other");
        buf__init(&request, 1 << 20);
        add_request(&request, "POST /api/hubs/chat/:send", key, kid);
        buf__printf(&request, "Content-Length: 100000\r\n%s\r\n",
                    rows[i].expect ? "Expect: 100-continue\r\n" : "");
        for (int j = 0; j < 100000 && !rows[i].expect; j++)
            buf__byte(&request, 'x');
        assert_int_equal(broker_kit__http(&kit, buf__view(&request), NULL), rows[i].status);
        buf__free(&request);
    }
}

static void a_broker_without_readable_keys_does_not_start(void **state)
{
    struct diag diag = {""};

    (void)state;
    publish(NULL, "[]");
    prepare(1);
    assert_null(broker__start(&kit.settings, &kit.limits, kit.log, &diag));
    assert_non_null(strstr(diag.text, path));
    kit.settings.entra.jwks_file = STR("/nowhere/keys.json");
    assert_null(broker__start(&kit.settings, &kit.limits, kit.log, &diag));
    assert_non_null(strstr(diag.text, "/nowhere/keys.json: No such file"));
}

/* Port 1 refuses: calls are refused, too, and the broker stops in time. */
static void a_url_may_be_out_of_reach(void **state)
{
    (void)state;
    prepare(2);
    kit.settings.entra.jwks_file = STR_NONE;
    kit.settings.entra.jwks_url = STR("http://127.0.0.1:1/keys");
    broker_kit__start(&kit);
    assert_int_equal(ask(first, "a"), 401);
    assert_int_equal(ask(first, "a"), 401);
}

/* Those who name unknown keys while these come slowly take a quarter of the HTTP connections
 * at the most. */
static void slow_keys_keep_some_requests_waiting(void **state)
{
    char url[64], status[13] = "";
    uint16_t port;
    int server = open_silent_server(&port), held[2];
    struct buf request;

    (void)state;
    snprintf(url, sizeof(url), "http://127.0.0.1:%u/keys", port);
    prepare(1);
    kit.settings.entra.jwks_file = STR_NONE;
    kit.settings.entra.jwks_url = str__of(url);
    kit.limits.http_connections = 8;
    broker_kit__start(&kit);
    buf__init(&request, 8192);
    add_request(&request, "HEAD " EXISTS, first, "a");
    buf__str(&request, STR("\r\n"));
    for (size_t i = 0; i < 2; i++) {
        held[i] = broker_kit__connect(&kit);
        broker_kit__write(held[i], request.data, request.len);
    }
    for (size_t i = 0; i < 7; i++)
        assert_int_equal(ask(first, "a"), 503);
    assert_int_equal(broker_kit__rest(&kit, "HEAD", EXISTS, NULL, STR_NONE, NULL), 404);
    close(server); /* no keys then */
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(recv(held[i], status, 12, MSG_WAITALL), 12);
        assert_string_equal(status, "HTTP/1.1 401");
        close(held[i]);
    }
    assert_int_equal(ask(first, "a"), 401);
    buf__free(&request);
}

static void without_validation_no_key_is_needed(void **state)
{
    (void)state;
    prepare(1);
    kit.settings.entra = (struct entra_settings){.audience = STR("https://webpubsub.azure.com"),
                                                 .allow_unvalidated = true};
    broker_kit__start(&kit);
    assert_int_equal(ask(first, "a"), 404);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(unknown_key_makes_them_read_again, teardown),
        cmocka_unit_test_teardown(but_not_more_often_than_allowed, teardown),
        cmocka_unit_test_teardown(held_requests_go_on, teardown),
        cmocka_unit_test_teardown(a_broker_without_readable_keys_does_not_start, teardown),
        cmocka_unit_test_teardown(a_url_may_be_out_of_reach, teardown),
        cmocka_unit_test_teardown(slow_keys_keep_some_requests_waiting, teardown),
        cmocka_unit_test_teardown(without_validation_no_key_is_needed, teardown),
    };

    return cmocka_run_group_tests(tests, make_keys, free_keys);
}
