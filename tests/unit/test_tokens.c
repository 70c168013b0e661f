/* Tokens of Microsoft Entra that come with events: which are good, and where the keys are when
 * they are not where they were. */
#include "base/base64.h"
#include "base/jwt.h"
#include "entra/entra_keys.h"
#include "pubhook/auth.h"
#include "rsa_kit.h"
#include "unit.h"
#include "webhook.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define ISSUER "https://sts.windows.net/tenant/"
#define AUDIENCE "api://handler"

static EVP_PKEY *first, *second;
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

static const char *const issuers[] = {"https://other/", ISSUER, NULL};
static const char *const audiences[] = {AUDIENCE, "00000000-1111", NULL};

static struct ph_entra_options options_of(const char *keys)
{
    return (struct ph_entra_options){.issuers = issuers, .audiences = audiences, .keys = keys};
}

static struct ph_app *new_app(const struct ph_entra_options *options)
{
    struct ph_app *app = ph_app_new();
    const char *why;

    assert_non_null(app);
    if (ph_app_use_entra(app, options, &why) != PH_OK)
        fail_msg("%s", why);
    return app;
}

/* --- Tokens ------------------------------------------------------------------------- */

/* Claims of a good token; `at` is when it begins, and it lasts for an hour. */
static const char *claims_of(char out[512], const char *aud, const char *iss, long long at)
{
    long long now = (long long)time(NULL);

    snprintf(out, 512, "{\"aud\":\"%s\",\"iss\":\"%s\",\"nbf\":%lld,\"exp\":%lld}", aud, iss,
             now + at, now + at + 3600);
    return out;
}

static void good_token(struct buf *out, EVP_PKEY *key, const char *kid)
{
    char claims[512];

    rsa_kit__token(out, key, kid, NULL, claims_of(claims, AUDIENCE, ISSUER, 0));
}

/* What somebody makes who takes the public key for the secret of an HMAC. */
static void sign_with_public_key(struct buf *out, EVP_PKEY *key, const char *claims)
{
    static const char header[] = "{\"alg\":\"HS256\",\"typ\":\"JWT\",\"kid\":\"a\"}";
    struct mac_key *mac;
    uint8_t signature[MAC_SIZE];
    struct buf set;

    buf__init(&set, 8192);
    rsa_kit__set(&set, key, "a");
    mac = mac__key_new(buf__view(&set));
    base64__encode_url(out, header, sizeof(header) - 1);
    buf__byte(out, '.');
    base64__encode_url(out, claims, strlen(claims));
    mac__sign(mac, buf__view(out), signature);
    buf__byte(out, '.');
    base64__encode_url(out, signature, sizeof(signature));
    mac__key_free(mac);
    buf__free(&set);
}

/* --- Events ------------------------------------------------------------------------- */

/* POSTs an event with these Authorization lines; `good`: with a signature by WEBHOOK_KEY. */
static int post(struct ph_app *app, const struct str *lines, size_t count, bool good)
{
    struct ph_event ev = webhook__user_event("message", PH_DATA_TEXT, "hi");
    struct ph_request *req = ph_request_new("POST", "/eventhandler");
    struct str signature = good ? STR(WEBHOOK_SIGNATURE) : STR_NONE;
    struct ph_response *res;
    const char *body;
    size_t len;
    struct diag diag;
    int status;

    assert_non_null(req);
    assert_int_equal(event__encode(&req->arena, &ev, signature, &req->http, &diag), PH_OK);
    for (size_t i = 0; i < count; i++)
        assert_true(http__add(&req->arena, &req->http.headers, STR("Authorization"), lines[i]));
    res = webhook__serve(app, req);
    status = ph_response_status(res);
    body = ph_response_body(res, &len);
    if (status == 401)
        assert_str(str__n(body, len), "unauthorized"); /* and nothing that helps */
    ph_response_free(res);
    ph_request_free(req);
    return status;
}

static int post_token(struct ph_app *app, struct str token, bool good)
{
    struct buf line;
    struct str view;
    int status;

    buf__init(&line, 64 << 10);
    buf__str(&line, STR("Bearer "));
    buf__str(&line, token);
    view = buf__view(&line);
    status = post(app, &view, 1, good);
    buf__free(&line);
    return status;
}

static int post_good(struct ph_app *app, EVP_PKEY *key, const char *kid)
{
    struct buf token;
    int status;

    buf__init(&token, 8192);
    good_token(&token, key, kid);
    status = post_token(app, buf__view(&token), false);
    buf__free(&token);
    return status;
}

/* --- Which are good ------------------------------------------------------------------- */

static void tokens_are_judged_by_what_they_say(void **state)
{
    static const struct {
        const char *aud, *iss;
        long long at;
        int status;
        const char *logged;
    } rows[] = {
        {AUDIENCE, ISSUER, 0, 204, NULL},
        {AUDIENCE "/", ISSUER, 0, 204, NULL},
        {"00000000-1111", "https://other/", 0, 204, NULL},
        {AUDIENCE, ISSUER, -3600 - 290, 204, NULL}, /* expired, within the skew */
        {AUDIENCE, ISSUER, -3600 - 310, 401, "the token expired 31"},
        {AUDIENCE, ISSUER, 290, 204, NULL},
        {AUDIENCE, ISSUER, 320, 401, "the token is not valid for another 3"},
        {"api://handlers", ISSUER, 0, 401, "the token's audience is \"api://handlers\", expected"},
        {"", ISSUER, 0, 401, "the token's audience is \"\""},
        {AUDIENCE, "https://sts.windows.net/tenant", 0, 401, "the token's issuer is \"https://sts"},
        {AUDIENCE, "", 0, 401, "the token's issuer is \"\""},
    };
    struct ph_entra_options options = options_of(path);
    struct ph_app *app;

    (void)state;
    publish(first, "a");
    app = new_app(&options);
    assert_int_equal(ph_app_check(app, NULL), PH_OK);
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct webhook_log log;
        struct buf token;
        char claims[512];
        int status;

        webhook__log_open(&log);
        ph_app_set_log(app, log.log);
        buf__init(&token, 8192);
        rsa_kit__token(&token, first, "a", NULL,
                       claims_of(claims, rows[i].aud, rows[i].iss, rows[i].at));
        status = post_token(app, buf__view(&token), false);
        if (status != rows[i].status || (rows[i].logged && !strstr(log.text, rows[i].logged)))
            fail_msg("row %zu: %d, expected %d: %s", i, status, rows[i].status, log.text);
        assert_null(strstr(log.text, token.data));
        buf__free(&token);
        ph_app_set_log(app, NULL);
        webhook__log_close(&log);
    }
    ph_app_free(app);
}

static void only_rs256_by_a_known_key_counts(void **state)
{
    static const struct {
        const char *header;
        bool other_key; /* signs */
    } rows[] = {
        {"{\"alg\":\"none\",\"kid\":\"a\"}", false},
        {"{\"alg\":\"None\",\"kid\":\"a\"}", false},
        {"{\"kid\":\"a\"}", false},
        {"{\"alg\":\"RS512\",\"kid\":\"a\"}", false},
        {"{\"alg\":\"HS256\",\"kid\":\"a\"}", false},
        {"{\"alg\":\"RS256\",\"kid\":\"a\",\"crit\":[\"exp\"]}", false},
        {"{\"alg\":\"RS256\",\"kid\":\"a\"}", true},
        {"{\"alg\":\"RS256\",\"kid\":\"b\"}", true},
    };
    struct ph_entra_options options = options_of(path);
    struct ph_app *app;
    struct buf token;
    char claims[512];

    (void)state;
    claims_of(claims, AUDIENCE, ISSUER, 0);
    publish(first, "a");
    app = new_app(&options);
    buf__init(&token, 8192);
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        buf__reset(&token);
        rsa_kit__token(&token, rows[i].other_key ? second : first, "a", rows[i].header, claims);
        if (post_token(app, buf__view(&token), false) != 401)
            fail_msg("%s was accepted", rows[i].header);
    }
    /* no signature at all */
    token.len = (size_t)(strrchr(token.data, '.') + 1 - token.data);
    assert_int_equal(post_token(app, buf__view(&token), false), 401);
    buf__reset(&token);
    sign_with_public_key(&token, first, claims);
    assert_int_equal(post_token(app, buf__view(&token), false), 401);
    assert_int_equal(post_good(app, first, "a"), 204);
    buf__free(&token);
    ph_app_free(app);
}

static void what_is_no_token_is_refused(void **state)
{
    static const char *const rows[] = {"",
                                       "Bearer",
                                       "Bearer ",
                                       "Basic YTpi",
                                       "bearer .",
                                       "a.b",
                                       "Bearer ....",
                                       "Bearer a.b.c.d",
                                       "B",
                                       "Bearer e30.e30",
                                       "Bearer e30.e30.e30"};
    struct ph_entra_options options = options_of(path);
    struct ph_app *app;
    struct str lines[2];
    struct buf token;
    char *huge;

    (void)state;
    publish(first, "a");
    app = new_app(&options);
    assert_int_equal(post(app, NULL, 0, true), 401); /* a signature is of no use */
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        lines[0] = str__of(rows[i]);
        assert_int_equal(post(app, lines, 1, false), 401);
    }
    buf__init(&token, 8192);
    buf__str(&token, STR("bearer  "));
    good_token(&token, first, "a");
    for (size_t len = 0; len < token.len; len++) {
        lines[0] = str__n(token.data, len);
        if (post(app, lines, 1, false) != 401)
            fail_msg("cut at %zu", len);
    }
    lines[0] = lines[1] = buf__view(&token);
    assert_int_equal(post(app, lines, 1, false), 204);
    assert_int_equal(post(app, lines, 2, false), 401); /* which of them? */
    buf__free(&token);
    for (size_t len = JWT_MAX_LEN - 1; len <= JWT_MAX_LEN + 1; len++) {
        huge = malloc(len);
        memset(huge, 'a', len);
        huge[10] = huge[20] = '.';
        assert_int_equal(post_token(app, str__n(huge, len), false), 401);
        free(huge);
    }
    ph_app_free(app);
}

/* --- Signature and token ---------------------------------------------------------------- */

static void what_is_demanded(void **state)
{
    static const struct {
        bool keys, entra;
        enum ph_proof proof;
        /* nothing, a signature, a token, both */
        int status[4];
    } rows[] = {
        {true, false, PH_PROOF_CONFIGURED, {401, 204, 401, 204}},
        {false, true, PH_PROOF_CONFIGURED, {401, 401, 204, 204}},
        {true, true, PH_PROOF_CONFIGURED, {401, 401, 401, 204}},
        {true, true, PH_PROOF_SIGNATURE, {401, 204, 401, 204}},
        {true, true, PH_PROOF_TOKEN, {401, 401, 204, 204}},
        {true, true, PH_PROOF_BOTH, {401, 401, 401, 204}},
        {true, true, PH_PROOF_EITHER, {401, 204, 204, 204}},
    };
    struct buf good, bad;

    (void)state;
    publish(first, "a");
    buf__init(&good, 8192);
    buf__init(&bad, 8192);
    good_token(&good, first, "a");
    good_token(&bad, second, "a");
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct ph_entra_options options = options_of(path);
        struct ph_app *app = ph_app_new();

        if (rows[i].keys)
            assert_int_equal(ph_app_add_key(app, WEBHOOK_KEY), PH_OK);
        if (rows[i].entra)
            assert_int_equal(ph_app_use_entra(app, &options, NULL), PH_OK);
        assert_int_equal(ph_app_require(app, rows[i].proof), PH_OK);
        assert_int_equal(ph_app_check(app, NULL), PH_OK);
        for (int sent = 0; sent < 4; sent++) {
            int status = post_token(app, buf__view(sent & 2 ? &good : &bad), sent & 1);

            if (status != rows[i].status[sent])
                fail_msg("row %zu, sent %d: %d", i, sent, status);
        }
        ph_app_free(app);
    }
    buf__free(&good);
    buf__free(&bad);
}

static void what_nobody_can_prove_is_no_configuration(void **state)
{
    static const struct {
        bool keys, entra, unsigned_too;
        enum ph_proof proof;
        const char *why;
    } rows[] = {
        {false, false, false, PH_PROOF_CONFIGURED, "no access key is configured"},
        {false, false, true, PH_PROOF_SIGNATURE, "no access key is configured"},
        {true, false, true, PH_PROOF_TOKEN, "tokens of Microsoft Entra are required"},
        {true, false, false, PH_PROOF_BOTH, "tokens of Microsoft Entra are required"},
        {false, true, false, PH_PROOF_BOTH, "no access key is configured"},
        {false, true, false, PH_PROOF_EITHER, "no access key is configured"},
    };

    (void)state;
    publish(first, "a");
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct ph_entra_options options = options_of(path);
        struct ph_app *app = ph_app_new();
        const char *why = NULL;

        if (rows[i].keys)
            ph_app_add_key(app, WEBHOOK_KEY);
        if (rows[i].entra)
            assert_int_equal(ph_app_use_entra(app, &options, NULL), PH_OK);
        if (rows[i].unsigned_too)
            ph_app_allow_unsigned(app);
        ph_app_require(app, rows[i].proof);
        assert_int_equal(ph_app_check(app, &why), PH_ERR_CONFIG);
        if (strncmp(why, rows[i].why, strlen(rows[i].why)) != 0)
            fail_msg("row %zu: %s", i, why);
        ph_app_free(app);
    }
}

static void wrong_options_are_refused(void **state)
{
    static const char *const none[] = {NULL}, *const empty[] = {"", NULL};
    const struct {
        struct ph_entra_options options;
        enum ph_err err;
        const char *why;
    } rows[] = {
        {{.audiences = audiences, .keys = path}, PH_ERR_ARGUMENT, "need a tenant or an issuer"},
        {{.tenant = "t", .keys = path}, PH_ERR_ARGUMENT, "need an audience"},
        {{.tenant = "t", .audiences = none, .keys = path}, PH_ERR_ARGUMENT, "need an audience"},
        {{.tenant = "t", .audiences = empty, .keys = path}, PH_ERR_ARGUMENT, "not empty"},
        {{.tenant = "a/b", .audiences = audiences}, PH_ERR_ARGUMENT, "the id or the domain"},
        {{.issuers = issuers, .audiences = audiences}, PH_ERR_ARGUMENT, "a file or URL"},
        {{.tenant = "t", .audiences = audiences, .keys = "http://example.com/keys"},
         PH_ERR_ARGUMENT,
         "must be https://"},
        {{.tenant = "t", .audiences = audiences, .keys = "https://example.com"},
         PH_ERR_ARGUMENT,
         "must be https://"},
        {{.tenant = "t", .audiences = audiences, .keys = "/nowhere/keys"},
         PH_ERR_SYSTEM,
         "/nowhere/keys: No such file"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct ph_app *app = ph_app_new();
        const char *why = NULL;

        assert_int_equal(ph_app_use_entra(app, &rows[i].options, &why), rows[i].err);
        if (!strstr(why, rows[i].why))
            fail_msg("row %zu: %s", i, why);
        assert_int_equal(ph_app_check(app, NULL), PH_ERR_CONFIG);
        ph_app_free(app);
    }
}

/* --- Where the keys are ------------------------------------------------------------------ */

/* An identity provider, which serves what is in the file. */
struct provider {
    int fd;
    unsigned port;
    pthread_t thread;
    atomic_int asked;
    atomic_bool broken, hanging, stopping;
};

static void answer(struct provider *p, int fd)
{
    char request[4096], response[16384];
    size_t len = 0;
    FILE *f = fopen(path, "re");

    assert_non_null(f);
    if (read(fd, request, sizeof(request)) > 0) {
        char set[8192];
        size_t size = fread(set, 1, sizeof(set), f);

        atomic_fetch_add(&p->asked, 1);
        len =
            (size_t)snprintf(response, sizeof(response),
                             "HTTP/1.1 %s\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n%.*s",
                             atomic_load(&p->broken) ? "500 No" : "200 OK", size, (int)size, set);
    }
    fclose(f);
    while (atomic_load(&p->hanging) && !atomic_load(&p->stopping))
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    if (write(fd, response, len) != (ssize_t)len)
        print_message("the answer was not taken\n");
    close(fd);
}

static void *provide(void *arg)
{
    struct provider *p = arg;
    int fd;

    while ((fd = accept(p->fd, NULL, NULL)) >= 0 && !atomic_load(&p->stopping))
        answer(p, fd);
    if (fd >= 0)
        close(fd);
    return NULL;
}

static void provider_start(struct provider *p)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(at);

    memset(p, 0, sizeof(*p));
    p->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(p->fd, (struct sockaddr *)&at, len), 0);
    assert_int_equal(getsockname(p->fd, (struct sockaddr *)&at, &len), 0);
    assert_int_equal(listen(p->fd, 16), 0);
    p->port = ntohs(at.sin_port);
    assert_int_equal(pthread_create(&p->thread, NULL, provide, p), 0);
}

/* Nobody listens there afterwards. */
static void provider_stop(struct provider *p)
{
    atomic_store(&p->stopping, true);
    shutdown(p->fd, SHUT_RDWR);
    pthread_join(p->thread, NULL);
    close(p->fd);
}

static const char *url_of(const struct provider *p, char out[64])
{
    snprintf(out, 64, "http://127.0.0.1:%u/keys", p->port);
    return out;
}

static void an_unknown_key_is_looked_up(void **state)
{
    struct ph_entra_options options;
    struct provider p;
    struct ph_app *app;
    char url[64];

    (void)state;
    publish(first, "a");
    provider_start(&p);
    options = options_of(url_of(&p, url));
    options.refresh_seconds = 1;
    options.wait_ms = 20000;
    app = new_app(&options);
    assert_int_equal(post_good(app, first, "a"), 204); /* it waits for the first reading */
    assert_int_equal(atomic_load(&p.asked), 1);
    publish(second, "b");
    assert_int_equal(post_good(app, first, "a"), 204);
    while (post_good(app, second, "b") != 204) /* 401 until it may be asked again */
        nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    assert_int_equal(atomic_load(&p.asked), 2);
    assert_int_equal(post_good(app, first, "a"), 401); /* withdrawn */
    ph_app_free(app);
    provider_stop(&p);
}

static void strangers_cannot_make_it_ask_often(void **state)
{
    struct ph_entra_options options;
    struct provider p;
    struct ph_app *app;
    struct buf token;
    char url[64], claims[512];

    (void)state;
    publish(first, "a");
    provider_start(&p);
    options = options_of(url_of(&p, url));
    options.refresh_seconds = 3600;
    options.wait_ms = 20000;
    app = new_app(&options);
    assert_int_equal(post_good(app, first, "a"), 204);
    for (int i = 0; i < 5; i++)
        assert_int_equal(post_good(app, second, "b"), 401);
    assert_int_equal(atomic_load(&p.asked), 1);
    ph_app_free(app);

    /* not even once, if the token is not for us */
    options.refresh_seconds = 1;
    app = new_app(&options);
    assert_int_equal(post_good(app, first, "a"), 204);
    assert_int_equal(atomic_load(&p.asked), 2);
    nanosleep(&(struct timespec){.tv_sec = 1, .tv_nsec = 10000000}, NULL);
    buf__init(&token, 8192);
    rsa_kit__token(&token, second, "b", NULL, claims_of(claims, "api://another", ISSUER, 0));
    assert_int_equal(post_token(app, buf__view(&token), false), 401);
    assert_int_equal(post_good(app, first, "a"), 204);
    assert_int_equal(atomic_load(&p.asked), 2);
    buf__free(&token);
    ph_app_free(app);
    provider_stop(&p);
}

static void while_the_provider_is_down_known_keys_stay_good(void **state)
{
    struct ph_entra_options options;
    struct provider p;
    struct ph_app *app, *forgetful;
    char url[64];
    int status;

    (void)state;
    publish(first, "a");
    provider_start(&p);
    options = options_of(url_of(&p, url));
    options.refresh_seconds = 1;
    options.max_age_seconds = 3600;
    options.wait_ms = 20000;
    app = new_app(&options);
    assert_int_equal(post_good(app, first, "a"), 204);
    options.max_age_seconds = 3;
    forgetful = new_app(&options);
    while (post_good(forgetful, first, "a") != 204) /* old already, on a very busy machine */
        nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
    provider_stop(&p);
    assert_int_equal(post_good(app, first, "a"), 204);
    assert_int_equal(post_good(app, second, "b"), 401);
    assert_int_equal(post_good(app, first, "a"), 204);
    /* but not for ever */
    while ((status = post_good(forgetful, first, "a")) == 204)
        nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
    assert_int_equal(status, 503);
    ph_app_free(forgetful);
    ph_app_free(app);
}

static void without_keys_nothing_is_accepted(void **state)
{
    struct ph_entra_options options;
    struct provider p;
    struct ph_app *app;
    char url[64];

    (void)state;
    publish(first, "a");
    provider_start(&p);
    atomic_store(&p.broken, true);
    options = options_of(url_of(&p, url));
    options.wait_ms = 20000;
    app = new_app(&options);
    assert_int_equal(post_good(app, first, "a"), 503);
    assert_int_equal(post(app, NULL, 0, true), 401);
    ph_app_free(app);

    /* nor is it waited for long */
    atomic_store(&p.broken, false);
    atomic_store(&p.hanging, true);
    options.wait_ms = 20;
    app = new_app(&options);
    assert_int_equal(post_good(app, first, "a"), 503);
    atomic_store(&p.hanging, false);
    while (post_good(app, first, "a") != 204)
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    ph_app_free(app);
    provider_stop(&p);
    options = options_of(url_of(&p, url));
    options.wait_ms = 20000;
    app = new_app(&options);
    assert_int_equal(post_good(app, first, "a"), 503);
    ph_app_free(app);
}

/* Looks for the keys when the log says that they were read. */
struct witness {
    struct entra_keys *keys;
    size_t count;
    sem_t told;
};

static void look_for_keys(void *arg, enum ph_log_level level, const char *line, size_t len)
{
    struct witness *w = arg;
    const struct jwks *keys;

    (void)level;
    if (!memmem(line, len, "public keys were read", 21))
        return;
    keys = entra_keys__get(w->keys);
    w->count = keys ? jwks__count(keys) : 0;
    jwks__unref(keys);
    sem_post(&w->told);
}

static void the_log_tells_of_keys_that_are_there(void **state)
{
    struct witness w = {.count = 0};
    struct entra_keys_config config = {.refresh_seconds = 3600};
    struct provider p;
    char url[64];

    (void)state;
    publish(first, "a");
    provider_start(&p);
    sem_init(&w.told, 0, 0);
    config.url = str__of(url_of(&p, url));
    config.log = ph_log_new(PH_LOG_INFO, PH_LOG_TEXT);
    ph_log_set_sink(config.log, look_for_keys, &w);
    w.keys = entra_keys__new(&config, NULL);
    assert_non_null(w.keys);
    assert_true(entra_keys__start(w.keys));
    assert_int_equal(unit__wait(&w.told), 0);
    assert_int_equal(w.count, 1);
    entra_keys__free(w.keys);
    ph_log_free(config.log);
    sem_destroy(&w.told);
    provider_stop(&p);
}

/* A server that hangs holds up nobody but the first. */
static void who_comes_later_does_not_wait_in_vain(void **state)
{
    const struct jwks *keys;
    struct entra_keys_config config = {.refresh_seconds = 1};
    struct entra_keys *k;
    struct provider p;
    char url[64];

    (void)state;
    publish(first, "a");
    provider_start(&p);
    atomic_store(&p.hanging, true);
    config.url = str__of(url_of(&p, url));
    k = entra_keys__new(&config, NULL);
    assert_non_null(k);
    assert_true(entra_keys__start(k));
    assert_int_equal(entra_keys__want(k, NULL), ENTRA_KEYS_COMING);
    assert_false(entra_keys__await(k, 1));
    for (int i = 0; i < 100; i++)
        assert_false(entra_keys__await(k, 3600 * 1000)); /* else this takes its time */
    atomic_store(&p.hanging, false);
    while (!(keys = entra_keys__get(k)))
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    jwks__unref(keys);
    assert_true(entra_keys__await(k, 3600 * 1000));
    entra_keys__free(k);
    provider_stop(&p);
}

static void a_file_of_keys_is_read_again(void **state)
{
    struct ph_entra_options options = options_of(path);
    struct ph_app *app;

    (void)state;
    options.refresh_seconds = 3600; /* which is not for operators */
    publish(first, "a");
    app = new_app(&options);
    assert_int_equal(post_good(app, first, "a"), 204);
    publish(second, "b");
    assert_int_equal(ph_app_refresh_keys(app, NULL), PH_OK);
    while (post_good(app, second, "b") != 204)
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    assert_int_equal(post_good(app, first, "a"), 401);
    ph_app_free(app);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tokens_are_judged_by_what_they_say),
        cmocka_unit_test(only_rs256_by_a_known_key_counts),
        cmocka_unit_test(what_is_no_token_is_refused),
        cmocka_unit_test(what_is_demanded),
        cmocka_unit_test(what_nobody_can_prove_is_no_configuration),
        cmocka_unit_test(wrong_options_are_refused),
        cmocka_unit_test(an_unknown_key_is_looked_up),
        cmocka_unit_test(strangers_cannot_make_it_ask_often),
        cmocka_unit_test(while_the_provider_is_down_known_keys_stay_good),
        cmocka_unit_test(without_keys_nothing_is_accepted),
        cmocka_unit_test(the_log_tells_of_keys_that_are_there),
        cmocka_unit_test(who_comes_later_does_not_wait_in_vain),
        cmocka_unit_test(a_file_of_keys_is_read_again),
    };

    return cmocka_run_group_tests(tests, make_keys, free_keys);
}
