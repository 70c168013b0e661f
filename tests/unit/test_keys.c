/* Access keys: which count for whom, where they come from, and changing them while events are
 * served. */
#include "app/keys.h"
#include "base/buf.h"
#include "unit.h"
#include "webhook.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#define A "a.webpubsub.azure.com"
#define B "b.webpubsub.azure.com"

/* POSTs an event that says it comes from `origins` (lines, NULL-terminated), signed with `key`. */
static int post(struct ph_app *app, const char *const *origins, const char *key)
{
    struct ph_event ev = webhook__user_event("message", PH_DATA_TEXT, "hi");
    struct ph_request *req = ph_request_new("POST", "/eventhandler");
    struct mac_key *mac = mac__key_new(str__of(key));
    struct ph_response *res;
    struct buf signature;
    struct diag diag;
    int status;

    assert_non_null(req);
    buf__init(&signature, 256);
    assert_true(event__sign(&signature, STR(WEBHOOK_CONNECTION), &mac, 1));
    ev.origin = STR_NONE;
    assert_int_equal(event__encode(&req->arena, &ev, buf__view(&signature), &req->http, &diag),
                     PH_OK);
    for (; *origins; origins++)
        assert_true(http__add(&req->arena, &req->http.headers, STR("WebHook-Request-Origin"),
                              str__of(*origins)));
    res = webhook__serve(app, req);
    status = ph_response_status(res);
    ph_response_free(res);
    ph_request_free(req);
    buf__free(&signature);
    mac__key_free(mac);
    return status;
}

static int post_from(struct ph_app *app, const char *origin, const char *key)
{
    const char *const origins[] = {origin, NULL};

    return post(app, origins, key);
}

static struct ph_app *new_app(void)
{
    struct ph_app *app = ph_app_new();

    assert_non_null(app);
    return app;
}

static void the_host_picks_the_keys(void **state)
{
    static const struct {
        const char *origins[3];
        const char *key;
        int status;
    } rows[] = {
        {{A}, "ka", 204},
        {{A}, "ka2", 204},
        {{A}, "kb", 401},
        {{A}, "general", 401}, /* keys of its own alone */
        {{B}, "kb", 204},
        {{B}, "ka", 401},
        {{"A.WebPubSub.azure.COM:443"}, "ka", 204},
        {{"127.0.0.1"}, "kl", 204}, /* the names of the loopback interface are equal */
        {{"[::1]:8080"}, "kl", 204},
        {{"other.example.com"}, "general", 204},
        {{"other.example.com"}, "ka", 401},
        {{""}, "general", 204},
        {{NULL}, "general", 204},
        {{NULL}, "ka", 401},
        {{A ", custom.example.com"}, "ka", 204},
        {{"custom.example.com,  " A}, "ka", 204},
        {{"custom.example.com", A}, "ka", 204},
        {{"custom.example.com", A}, "general", 401},
        {{A ", " B}, "ka", 401}, /* the key of one speaks for no other */
        {{A ", " B}, "kb", 401},
        {{B, A}, "ka", 401},
        {{A ", " B}, "both", 204},
        {{"1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16"}, "general", 204},
        {{"1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17"}, "general", 401},
        {{"1,2,3,4,5,6,7,8,9,10,11,12,13,14,15", A ",17"}, "ka", 401},
    };
    struct ph_app *app = new_app();

    (void)state;
    assert_int_equal(ph_app_add_key_for(app, A, "ka"), PH_OK);
    assert_int_equal(ph_app_add_key(app, "general"), PH_OK);
    assert_int_equal(ph_app_add_key_for(app, "B.webpubsub.azure.com:8080", "kb"), PH_OK);
    assert_int_equal(ph_app_add_key_for(app, "a.WEBPUBSUB.azure.com", "ka2"), PH_OK);
    assert_int_equal(ph_app_add_key_for(app, "localhost", "kl"), PH_OK);
    assert_int_equal(ph_app_add_key_for(app, A, "both"), PH_OK);
    assert_int_equal(ph_app_add_key_for(app, B, "both"), PH_OK);
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        int status = post(app, rows[i].origins, rows[i].key);

        if (status != rows[i].status)
            fail_msg("row %zu (%s, %s): %d, expected %d", i, rows[i].origins[0], rows[i].key,
                     status, rows[i].status);
    }
    ph_app_free(app);
}

static void without_a_key_for_it_an_origin_is_refused(void **state)
{
    struct webhook_log log;
    struct ph_app *app = new_app();

    (void)state;
    webhook__log_open(&log);
    ph_app_set_log(app, log.log);
    ph_app_allow_unsigned(app); /* is of no matter once there is a key */
    assert_int_equal(ph_app_add_key_for(app, A, "ka"), PH_OK);
    assert_int_equal(ph_app_check(app, NULL), PH_OK);
    assert_int_equal(post_from(app, A, "ka"), 204);
    assert_int_equal(post_from(app, B, "ka"), 401);
    assert_non_null(strstr(log.text, "there is no access key for WebHook-Request-Origin \"" B));
    assert_null(strstr(log.text, "ka"));
    ph_app_free(app);
    webhook__log_close(&log);
}

/* Whoever is given a key may send, beside those on the list. */
static void hosts_with_keys_are_allowed_origins(void **state)
{
    struct ph_app *app = new_app();

    (void)state;
    assert_int_equal(
        ph_app_use_connection_string(app, "Endpoint=https://c.example.com;AccessKey=kc;"), PH_OK);
    assert_int_equal(post_from(app, A, "kc"), 403);
    assert_int_equal(ph_app_add_key_for(app, A, "ka"), PH_OK);
    assert_int_equal(post_from(app, A, "ka"), 204);
    assert_int_equal(post_from(app, "c.example.com", "kc"), 204);
    assert_int_equal(post_from(app, B, "kc"), 403);
    ph_app_free(app);
}

static void several_connection_strings_are_told_apart(void **state)
{
    struct ph_app *app = new_app();

    (void)state;
    assert_int_equal(ph_app_use_connection_string(app, "Endpoint=https://" A
                                                       ";AccessKey=ka;Version=1.0;\n\n"
                                                       "Endpoint=https://" B ";AccessKey=kb;\n"
                                                       "Endpoint=https://" B ";AccessKey=kb2;\n"),
                     PH_OK);
    assert_int_equal(post_from(app, A, "ka"), 204);
    assert_int_equal(post_from(app, A, "kb"), 401);
    assert_int_equal(post_from(app, B, "kb"), 204);
    assert_int_equal(post_from(app, B, "kb2"), 204);
    assert_int_equal(post_from(app, B, "ka"), 401);
    assert_int_equal(post_from(app, "c.example.com", "ka"), 401);
    ph_app_free(app);
}

static void keys_are_read_from_text(void **state)
{
    static const struct {
        const char *text;
        enum ph_err err;
        size_t count;
        const char *why;
    } rows[] = {
        {"secret\n", PH_OK, 1, ""},
        {"secret", PH_OK, 1, ""},
        {"# keys\n\n one \r\n\ttwo\n" A "  \t three==\n", PH_OK, 3, ""},
        {"Endpoint=https://" A ";AccessKey=k=;Version=1.0;\n", PH_OK, 1, ""},
        {"endpoint=http://localhost:8080; AccessKey=k", PH_OK, 1, ""},
        {"", PH_ERR_NOT_FOUND, 0, "there is no key in it"},
        {"\n# nothing\n", PH_ERR_NOT_FOUND, 0, "there is no key in it"},
        {"one\nhost two three\n", PH_ERR_SYNTAX, 1, "line 2: expected KEY, HOST KEY"},
        {"https://host secret\n", PH_ERR_SYNTAX, 0, "line 1: expected a host name"},
        {"* secret\n", PH_ERR_SYNTAX, 0, "line 1: expected a host name"},
        {"Endpoint=*;AccessKey=secret\n", PH_ERR_SYNTAX, 0, "line 1: expected a host name"},
        {"Endpoint=https://host\n", PH_ERR_SYNTAX, 0, "line 1: AccessKey is missing"},
        {"Endpoint=https://host secret\n", PH_ERR_SYNTAX, 0, "line 1: AccessKey is missing"},
        {"sec\x01ret\n", PH_ERR_SYNTAX, 0, "line 1: it holds a control character"},
        {"host sec\x7fret\n", PH_ERR_SYNTAX, 0, "line 1: it holds a control character"},
        {"host\tsec\x01ret\n", PH_ERR_SYNTAX, 0, "line 1: expected KEY"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct ph_keys *keys = ph_keys_new();
        const char *why = NULL;

        assert_non_null(keys);
        assert_int_equal(ph_keys_read(keys, rows[i].text, strlen(rows[i].text), &why), rows[i].err);
        assert_int_equal(keys->count, rows[i].count);
        if (strncmp(why, rows[i].why, strlen(rows[i].why)) != 0 || strstr(why, "sec"))
            fail_msg("row %zu: %s", i, why);
        ph_keys_free(keys);
    }
}

static void there_is_a_limit_of_keys(void **state)
{
    struct ph_keys *keys = ph_keys_new();
    char text[KEYS_MAX_TEXT + 2];

    (void)state;
    for (int i = 0; i < KEYS_MAX; i++)
        assert_int_equal(ph_keys_add(keys, i % 2 ? A : NULL, "k"), PH_OK);
    assert_int_equal(ph_keys_add(keys, NULL, "k"), PH_ERR_LIMIT);
    ph_keys_free(keys);
    keys = ph_keys_new();
    memset(text, '#', sizeof(text));
    text[0] = 'k';
    text[1] = '\n';
    assert_int_equal(ph_keys_read(keys, text, KEYS_MAX_TEXT, NULL), PH_OK);
    assert_int_equal(ph_keys_read(keys, text, KEYS_MAX_TEXT + 1, NULL), PH_ERR_LIMIT);
    assert_int_equal(ph_keys_add(keys, "", "k"), PH_ERR_ARGUMENT);
    assert_int_equal(ph_keys_add(keys, NULL, ""), PH_ERR_ARGUMENT);
    ph_keys_free(keys);
}

/* --- Files ----------------------------------------------------------------------- */

static char path[] = "/tmp/pubhook-keys-XXXXXX";

static void put(const char *text)
{
    FILE *f = fopen(path, "we");

    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static int make_file(void **state)
{
    int fd = mkstemp(path);

    (void)state;
    return fd >= 0 ? close(fd) : -1;
}

static int remove_file(void **state)
{
    (void)state;
    return unlink(path);
}

static void a_wrong_file_changes_nothing(void **state)
{
    struct ph_app *app = new_app();
    struct webhook_log log;
    const char *why;

    (void)state;
    webhook__log_open(&log);
    ph_app_set_log(app, log.log);
    put("# nothing yet\n");
    assert_int_equal(ph_app_add_key_file(app, path, &why), PH_ERR_NOT_FOUND);
    assert_non_null(strstr(why, "there is no key in it"));
    assert_int_equal(ph_app_add_key_file(app, "/nowhere/keys", &why), PH_ERR_SYSTEM);
    assert_non_null(strstr(why, "/nowhere/keys: No such file"));
    assert_int_equal(ph_app_check(app, NULL), PH_ERR_CONFIG);

    put("first\n" A " ka\n");
    assert_int_equal(ph_app_add_key_file(app, path, &why), PH_OK);
    assert_int_equal(post_from(app, B, "first"), 204);
    assert_int_equal(post_from(app, A, "ka"), 204);

    put("second\nhost a b\n");
    assert_int_equal(ph_app_refresh_keys(app, &why), PH_ERR_SYNTAX);
    assert_non_null(strstr(why, "line 2"));
    assert_non_null(strstr(log.text, "the access keys from before stay"));
    assert_int_equal(post_from(app, B, "first"), 204);
    assert_int_equal(post_from(app, B, "second"), 401);

    put("second\n");
    assert_int_equal(ph_app_refresh_keys(app, &why), PH_OK);
    assert_int_equal(post_from(app, B, "first"), 401);
    assert_int_equal(post_from(app, B, "second"), 204);
    assert_int_equal(post_from(app, A, "second"), 204); /* it has no keys of its own any more */
    assert_null(strstr(log.text, "second\n"));
    ph_app_free(app);
    webhook__log_close(&log);
}

/* Waits for the thread that looks after the file. */
static void await(struct ph_app *app, const char *key)
{
    const struct timespec moment = {.tv_nsec = 5000000};

    for (int i = 0; i < UNIT_WAIT_S * 200; i++) {
        if (post_from(app, B, key) == 204)
            return;
        nanosleep(&moment, NULL);
    }
    fail_msg("the key \"%s\" was not read", key);
}

static void a_changed_file_is_read_again(void **state)
{
    struct ph_app *app = new_app();

    (void)state;
    put("first\n");
    assert_int_equal(ph_app_add_key_file(app, path, NULL), PH_OK);
    assert_int_equal(ph_app_watch_keys(app, 0), PH_ERR_ARGUMENT);
    assert_int_equal(ph_app_watch_keys(app, 1), PH_OK);
    assert_int_equal(ph_app_watch_keys(app, 1), PH_ERR_STATE);
    put("another\n");
    await(app, "another");
    ph_app_free(app);
}

static void it_is_read_at_once_when_asked_to(void **state)
{
    struct ph_app *app = new_app();

    (void)state;
    put("first\n");
    assert_int_equal(ph_app_add_key_file(app, path, NULL), PH_OK);
    ph_app_refresh_keys_soon(app); /* nobody is there to do it */
    assert_int_equal(ph_app_watch_keys(app, 86400), PH_OK);
    put("second\n");
    ph_app_refresh_keys_soon(app);
    await(app, "second");
    ph_app_free(app);
}

/* What the application answers to an event signed with "second" when it says that it read keys. */
struct hearing {
    struct ph_app *app;
    int lines, status;
};

static void try_the_key(void *arg, enum ph_log_level level, const char *line, size_t len)
{
    struct hearing *h = arg;

    (void)level;
    if (!memmem(line, len, "1 access keys were read", 23))
        return;
    h->lines++;
    h->status = post_from(h->app, B, "second");
}

static void keys_are_in_use_when_the_log_says_so(void **state)
{
    struct ph_log *log = ph_log_new(PH_LOG_INFO, PH_LOG_TEXT);
    struct hearing h = {.app = new_app()};

    (void)state;
    assert_non_null(log);
    ph_log_set_sink(log, try_the_key, &h);
    ph_app_set_log(h.app, log);
    put("first\n");
    assert_int_equal(ph_app_add_key_file(h.app, path, NULL), PH_OK);
    put("second\n");
    assert_int_equal(ph_app_refresh_keys(h.app, NULL), PH_OK);
    assert_int_equal(h.lines, 1);
    assert_int_equal(h.status, 204);
    ph_app_free(h.app);
    ph_log_free(log);
}

/* --- Functions -------------------------------------------------------------------- */

struct giver {
    const char *key;
    enum ph_err err;
    int calls, freed;
};

static enum ph_err give(struct ph_keys *keys, void *arg)
{
    struct giver *g = arg;

    g->calls++;
    return g->key ? ph_keys_add(keys, NULL, g->key) : g->err;
}

static void forget(void *arg)
{
    ((struct giver *)arg)->freed++;
}

static void a_function_gives_keys(void **state)
{
    struct giver g = {.key = "first"}, none = {.err = PH_OK}, bad = {.err = PH_ERR_SYSTEM};
    struct ph_app *app = new_app();
    const char *why;

    (void)state;
    assert_int_equal(ph_app_add_key_source(app, give, &none, forget), PH_ERR_NOT_FOUND);
    assert_int_equal(ph_app_add_key_source(app, give, &bad, forget), PH_ERR_SYSTEM);
    assert_int_equal(ph_app_add_key_source(app, NULL, &bad, forget), PH_ERR_ARGUMENT);
    assert_int_equal(none.freed, 1);
    assert_int_equal(bad.freed, 2);
    assert_int_equal(ph_app_add_key_source(app, give, &g, forget), PH_OK);
    assert_int_equal(ph_app_add_key(app, "own"), PH_OK);
    assert_int_equal(post_from(app, A, "first"), 204);
    assert_int_equal(post_from(app, A, "own"), 204);
    assert_int_equal(g.calls, 1);
    g.key = NULL;
    g.err = PH_ERR_SYSTEM;
    assert_int_equal(ph_app_refresh_keys(app, &why), PH_ERR_SYSTEM);
    assert_int_equal(post_from(app, A, "first"), 204);
    g.key = "second";
    assert_int_equal(ph_app_refresh_keys(app, &why), PH_OK);
    assert_int_equal(post_from(app, A, "first"), 401);
    assert_int_equal(post_from(app, A, "second"), 204);
    assert_int_equal(post_from(app, A, "own"), 204);
    ph_app_free(app);
    assert_int_equal(g.freed, 1);
}

/* --- While events are served ------------------------------------------------------- */

static void own_keys_are_replaced(void **state)
{
    struct ph_keys *keys = ph_keys_new();
    struct ph_app *app = new_app();

    (void)state;
    assert_int_equal(ph_app_add_key(app, "old"), PH_OK);
    assert_int_equal(ph_app_replace_keys(app, keys), PH_ERR_ARGUMENT);
    assert_int_equal(post_from(app, A, "old"), 204);
    assert_int_equal(ph_keys_add(keys, NULL, "new"), PH_OK);
    assert_int_equal(ph_app_replace_keys(app, keys), PH_OK);
    ph_keys_free(keys);
    assert_int_equal(post_from(app, A, "old"), 401);
    assert_int_equal(post_from(app, A, "new"), 204);
    ph_app_free(app);
}

static atomic_bool finished;

struct server {
    struct ph_app *app;
    int refused;
};

/* This key is in each of the sets that follow one another. */
static void *serve_on(void *arg)
{
    struct server *s = arg;

    while (!atomic_load(&finished))
        s->refused += post_from(s->app, A, "always") != 204;
    return NULL;
}

static void rotation_loses_no_event(void **state)
{
    struct ph_app *app = new_app();
    struct server servers[3];
    pthread_t threads[3];

    (void)state;
    assert_int_equal(ph_app_add_key(app, "always"), PH_OK);
    atomic_store(&finished, false);
    for (int i = 0; i < 3; i++) {
        servers[i] = (struct server){app, 0};
        assert_int_equal(pthread_create(&threads[i], NULL, serve_on, &servers[i]), 0);
    }
    for (int i = 0; i < 300; i++) {
        struct ph_keys *keys = ph_keys_new();
        char other[16];

        snprintf(other, sizeof(other), "k%d", i);
        assert_int_equal(ph_keys_add(keys, i % 3 ? NULL : A, other), PH_OK);
        assert_int_equal(ph_keys_add(keys, i % 3 ? NULL : A, "always"), PH_OK);
        assert_int_equal(ph_app_replace_keys(app, keys), PH_OK);
        ph_keys_free(keys);
    }
    atomic_store(&finished, true);
    for (int i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(servers[i].refused, 0);
    }
    ph_app_free(app);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_host_picks_the_keys),
        cmocka_unit_test(without_a_key_for_it_an_origin_is_refused),
        cmocka_unit_test(hosts_with_keys_are_allowed_origins),
        cmocka_unit_test(several_connection_strings_are_told_apart),
        cmocka_unit_test(keys_are_read_from_text),
        cmocka_unit_test(there_is_a_limit_of_keys),
        cmocka_unit_test(a_wrong_file_changes_nothing),
        cmocka_unit_test(a_changed_file_is_read_again),
        cmocka_unit_test(it_is_read_at_once_when_asked_to),
        cmocka_unit_test(keys_are_in_use_when_the_log_says_so),
        cmocka_unit_test(a_function_gives_keys),
        cmocka_unit_test(own_keys_are_replaced),
        cmocka_unit_test(rotation_loses_no_event),
    };

    return cmocka_run_group_tests(tests, make_file, remove_file);
}
