/* Each allocation of an application fails in turn that checks who sends, remembers what it
 * answered, and counts: an error, no crash, no leak, and above all nobody who gets in without
 * a proof. */
#include "memory_kit.h"
#include "pubhook/auth.h"
#include "pubhook/metrics.h"
#include "rsa_kit.h"
#include "unit.h"
#include "webhook.h"

#include <stdio.h>
#include <unistd.h>

#define ISSUER "https://sts.windows.net/tenant/"
#define AUDIENCE "api://handler"

static char jwks_path[] = "/tmp/pubhook-jwks-XXXXXX", keys_path[] = "/tmp/pubhook-keys-XXXXXX";
static struct ph_request *good, *without_token, *forged;
static int handled;

static void put(char *path, const char *text)
{
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    assert_int_equal(close(fd), 0);
}

static struct ph_request *request(const char *signature, struct str authorization)
{
    struct ph_event ev = webhook__user_event("message", PH_DATA_TEXT, "hi");
    struct ph_request *req = ph_request_new("POST", "/eventhandler");
    struct diag diag;

    assert_non_null(req);
    assert_int_equal(event__encode(&req->arena, &ev, str__of(signature), &req->http, &diag), PH_OK);
    assert_true(http__add(&req->arena, &req->http.headers, STR("Authorization"), authorization));
    return req;
}

static int set_up(void **state)
{
    static char authorization[4096];
    EVP_PKEY *key = rsa_kit__key(2048);
    struct buf set, token;
    char claims[256];

    (void)state;
    buf__init(&set, 8192);
    buf__init(&token, 4096);
    rsa_kit__set(&set, key, "a");
    put(jwks_path, set.data);
    put(keys_path, "localhost " WEBHOOK_KEY "\n");
    snprintf(claims, sizeof(claims), "{\"aud\":\"%s\",\"iss\":\"%s\",\"exp\":%lld}", AUDIENCE,
             ISSUER, (long long)time(NULL) + 3600);
    rsa_kit__token(&token, key, "a", NULL, claims);
    snprintf(authorization, sizeof(authorization), "Bearer %s", token.data);
    good = request(WEBHOOK_SIGNATURE, str__of(authorization));
    without_token = request(WEBHOOK_SIGNATURE, STR("Bearer e30.e30.e30"));
    forged = request("sha256=00", str__of(authorization));
    buf__free(&set);
    buf__free(&token);
    EVP_PKEY_free(key);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    ph_request_free(good);
    ph_request_free(without_token);
    ph_request_free(forged);
    return unlink(jwks_path) | unlink(keys_path);
}

static struct ph_reply *handle(const struct ph_event *ev, void *arg)
{
    (void)ev, (void)arg;
    handled++;
    return ph_reply_text("hello", 5);
}

static enum ph_err give(struct ph_keys *keys, void *arg)
{
    (void)arg;
    return ph_keys_add(keys, "localhost", "another");
}

/* Fine as long as memory is; once it was not, any error will do. */
static bool fine(enum ph_err err)
{
    if (err != PH_OK && !memory_kit__failed())
        fail_msg("error %d without a cause", err);
    return err == PH_OK;
}

/* The status, 0 when there is no response. */
static int post(struct ph_app *app, const struct ph_request *req)
{
    struct ph_response *res = ph_response_new();
    int status;

    if (!res)
        return 0;
    ph_app_serve(app, req, res);
    status = ph_response_status(res);
    ph_response_free(res);
    return status;
}

/* False: it is not set up as it should be, and is not served. */
static bool configure(struct ph_app *app)
{
    static const char *const issuers[] = {ISSUER, NULL}, *const audiences[] = {AUDIENCE, NULL};
    const struct ph_entra_options options = {
        .issuers = issuers, .audiences = audiences, .keys = jwks_path};
    const char *why;

    return fine(ph_app_add_key(app, "general")) && fine(ph_app_add_key_for(app, "b", "kb")) &&
           fine(ph_app_add_key_file(app, keys_path, &why)) &&
           fine(ph_app_add_key_source(app, give, NULL, NULL)) &&
           fine(ph_app_allow_origin(app, "c")) && fine(ph_app_use_entra(app, &options, &why)) &&
           fine(ph_app_set_deduplication(app, 60, 10, 0)) && fine(ph_app_name_handlers(app, "h")) &&
           fine(ph_app_on_event(app, NULL, "*", handle, NULL, NULL));
}

static void change_keys(struct ph_app *app)
{
    struct ph_keys *keys = ph_keys_new();
    const char *why;

    if (!keys || (fine(ph_keys_add(keys, NULL, "new")) && fine(ph_app_replace_keys(app, keys))))
        fine(ph_app_refresh_keys(app, &why));
    ph_keys_free(keys);
}

static void serve(struct ph_app *app)
{
    int status;

    for (int i = 0; i < 2; i++) {
        status = post(app, good);
        if (status != 200 && !memory_kit__failed())
            fail_msg("status %d without a cause", status);
        assert_int_not_equal(status, 401); /* which would be final */
        status = post(app, without_token);
        assert_true(status == 401 || (memory_kit__failed() && (status == 0 || status == 503)));
        status = post(app, forged);
        assert_true(status == 401 || (memory_kit__failed() && (status == 0 || status == 503)));
        change_keys(app);
    }
}

static void live(void *ctx)
{
    struct ph_app *app = ph_app_new();
    char *text;
    size_t len;

    (void)ctx;
    handled = 0;
    if (!app) {
        assert_true(memory_kit__failed());
        return;
    }
    if (configure(app)) {
        serve(app);
        assert_int_equal(handled, memory_kit__failed() ? handled : 1);
        if (fine(ph_app_metrics(app, &text, &len)))
            ph_metrics_free(text);
    }
    ph_app_free(app);
}

static void each_allocation_may_fail(void **state)
{
    (void)state;
    memory_kit__each_fails(live, NULL, 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(each_allocation_may_fail)};

    return cmocka_run_group_tests_name("who may send, out of memory", tests, set_up, tear_down);
}
