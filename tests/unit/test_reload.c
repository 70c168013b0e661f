/* Plugins that are loaded again: by rename, by writing over them, and when told; with events
 * under way, at once and deferred; builds that do not load. Everything waits for lines of the
 * log, never for time. */
#include "app/app.h"
#include "fastcgi_client.h"
#include "plugin/watch.h"
#include "serve_client.h"
#include "unit.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define ONE PLUGINS_DIR "/build_one.so"
#define TWO PLUGINS_DIR "/build_two.so"
/* With the name: what is not loaded says "plugin not loaded again", and a file that is written
 * over while the machine is busy may be found empty first. */
#define LOADED "plugin build loaded again"

struct fixture {
    char folder[64], file[128], other[128], spec[160];
    int gate[2];
    struct ph_log *log;
    pthread_mutex_t lock;
    pthread_cond_t more;
    char lines[65536]; /* what was logged */
    size_t len, read;  /* up to where it was waited for */
    struct ph_app *app;
    struct plugin_watch *watch;
};

/* --- Files and lines -------------------------------------------------------------------- */

static void collect(void *arg, enum ph_log_level level, const char *line, size_t len)
{
    struct fixture *f = arg;

    (void)level;
    pthread_mutex_lock(&f->lock);
    assert_true(f->len + len < sizeof(f->lines));
    memcpy(f->lines + f->len, line, len);
    f->len += len;
    f->lines[f->len] = '\0';
    pthread_cond_broadcast(&f->more);
    pthread_mutex_unlock(&f->lock);
}

/* Behind the line that was waited for last. */
static void await_line(struct fixture *f, const char *text)
{
    struct timespec until;
    const char *at;
    int late = 0;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += UNIT_WAIT_S;
    pthread_mutex_lock(&f->lock);
    while (!(at = strstr(f->lines + f->read, text)) && !late)
        late = pthread_cond_timedwait(&f->more, &f->lock, &until);
    if (at)
        f->read = (size_t)(at - f->lines) + strlen(text);
    pthread_mutex_unlock(&f->lock);
    if (!at)
        fail_msg("no line \"%s\" in:\n%s", text, f->lines);
}

static int count_lines(struct fixture *f, const char *text)
{
    int count = 0;

    pthread_mutex_lock(&f->lock);
    for (const char *at = f->lines; (at = strstr(at, text)); at++)
        count++;
    pthread_mutex_unlock(&f->lock);
    return count;
}

static size_t read_file(const char *path, char **out)
{
    FILE *file = fopen(path, "rb");
    struct stat st;
    size_t len;

    assert_non_null(file);
    assert_int_equal(fstat(fileno(file), &st), 0);
    *out = malloc((size_t)st.st_size);
    len = fread(*out, 1, (size_t)st.st_size, file);
    assert_int_equal(len, st.st_size);
    fclose(file);
    return len;
}

/* Over what is there. */
static void write_file(const char *path, const char *data, size_t len)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0755);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, len), len);
    close(fd);
}

static void copy_file(const char *from, const char *to)
{
    char *data;
    size_t len = read_file(from, &data);

    write_file(to, data, len);
    free(data);
}

/* As build tools that mean well do. */
static void replace(struct fixture *f, const char *from)
{
    copy_file(from, f->other);
    assert_int_equal(rename(f->other, f->file), 0);
}

/* --- Events -------------------------------------------------------------------------------- */

static void check(struct ph_response *res, int status, const char *answer)
{
    size_t len;
    const void *body = ph_response_body(res, &len);

    assert_int_equal(ph_response_status(res), status);
    assert_str(str__n(body, len), answer);
    ph_response_free(res);
}

static void expect(struct fixture *f, const char *event, int status, const char *answer)
{
    struct ph_event ev = webhook__user_event(event, PH_DATA_TEXT, "");

    check(webhook__post(f->app, &ev), status, answer);
}

struct under_way {
    struct fixture *f;
    const char *event;
    struct ph_response *res;
    pthread_t thread;
};

static void *fire(void *arg)
{
    struct under_way *u = arg;
    struct ph_event ev = webhook__user_event(u->event, PH_DATA_TEXT, "");

    u->res = webhook__post(u->f->app, &ev);
    return NULL;
}

/* Until the handler has it. */
static void begin(struct under_way *u, struct fixture *f, const char *event)
{
    *u = (struct under_way){.f = f, .event = event};
    assert_int_equal(pthread_create(&u->thread, NULL, fire, u), 0);
    await_line(f, "waits");
}

static void open_gate(struct fixture *f)
{
    assert_int_equal(write(f->gate[1], "x", 1), 1);
}

static void finish(struct under_way *u, int status, const char *answer)
{
    pthread_join(u->thread, NULL);
    check(u->res, status, answer);
}

/* --- Fixture --------------------------------------------------------------------------------- */

static void begin_with(struct fixture *f, const char *plugin, bool files)
{
    struct diag diag = {""};

    memset(f, 0, sizeof(*f));
    snprintf(f->folder, sizeof(f->folder), "/tmp/pubhook-reload-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    snprintf(f->file, sizeof(f->file), "%s/plugin.so", f->folder);
    snprintf(f->other, sizeof(f->other), "%s/other", f->folder);
    assert_int_equal(pipe(f->gate), 0);
    snprintf(f->spec, sizeof(f->spec), "%s?gate=%d", f->file, f->gate[0]);
    pthread_mutex_init(&f->lock, NULL);
    pthread_cond_init(&f->more, NULL);
    f->log = ph_log_new(PH_LOG_INFO, PH_LOG_TEXT);
    ph_log_set_sink(f->log, collect, f);
    copy_file(plugin, f->file);
    f->app = ph_app_new();
    assert_int_equal(ph_app_add_key(f->app, WEBHOOK_KEY), PH_OK);
    ph_app_set_log(f->app, f->log);
    f->watch = plugin_watch__new(f->log, files);
    assert_non_null(f->watch);
    if (plugin_watch__load(f->watch, f->app, f->spec, &diag) ||
        plugin_watch__start(f->watch, &diag))
        fail_msg("%s", diag.text);
}

static void end(struct fixture *f)
{
    plugin_watch__free(f->watch);
    ph_app_free(f->app);
    assert_int_equal(count_lines(f, " opens"), count_lines(f, " closes"));
    ph_log_free(f->log);
    close(f->gate[0]);
    close(f->gate[1]);
    unlink(f->file);
    unlink(f->other);
    rmdir(f->folder);
}

/* --- Tests -------------------------------------------------------------------------------- */

static void a_file_that_is_replaced_is_loaded(void **state)
{
    struct fixture f;

    (void)state;
    begin_with(&f, ONE, true);
    expect(&f, "name", 200, "one");
    expect(&f, "two", 204, "");
    for (int i = 0; i < 3; i++) {
        replace(&f, TWO);
        await_line(&f, LOADED);
        expect(&f, "name", 200, "two");
        expect(&f, "two", 200, "two"); /* its own handlers, */
        expect(&f, "one", 204, "");    /* and those of the other are gone */
        await_line(&f, "build one closes");
        replace(&f, ONE);
        await_line(&f, LOADED);
        expect(&f, "name", 200, "one");
        await_line(&f, "build two closes");
    }
    end(&f);
}

/* A half of a build is refused, and tried again when the rest is there. */
static void a_file_that_is_written_over_is_loaded_when_it_is_complete(void **state)
{
    struct fixture f;
    char *data;
    size_t len = read_file(TWO, &data);
    int fd;

    (void)state;
    begin_with(&f, ONE, true);
    write_file(f.file, data, len / 2);
    await_line(&f, "the old build stays");
    await_line(&f, "not complete");
    expect(&f, "name", 200, "one");
    fd = open(f.file, O_WRONLY | O_APPEND);
    assert_int_equal(write(fd, data + len / 2, len - len / 2), len - len / 2);
    close(fd);
    await_line(&f, LOADED);
    expect(&f, "name", 200, "two");
    free(data);
    end(&f);
}

static void refuse_part(struct ph_app *app, const char *file, const char *data, size_t len)
{
    const struct plugin_order order = {.spec = file, .copied = true};
    struct diag diag = {""};

    write_file(file, data, len);
    if (plugin__bring(app, &order, &diag) != PH_ERR_PLUGIN || !strstr(diag.text, "not complete"))
        fail_msg("%zu bytes: \"%s\"", len, diag.text);
}

/* Wherever it ends: what the loader would map must not be missing. */
static void no_part_of_a_file_is_loaded(void **state)
{
    char folder[] = "/tmp/pubhook-reload-XXXXXX", file[64], *data;
    size_t len = read_file(TWO, &data);
    struct ph_app *app = ph_app_new();

    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(file, sizeof(file), "%s/plugin.so", folder);
    for (size_t i = 0; i < 65; i++) /* a header has 64 */
        refuse_part(app, file, data, i);
    for (size_t i = 1; i < 50; i++)
        refuse_part(app, file, data, len * i / 50);
    for (size_t i = 1; i < 65; i++)
        refuse_part(app, file, data, len - i);
    unlink(file);
    rmdir(folder);
    free(data);
    ph_app_free(app);
}

static void a_build_that_does_not_load_keeps_the_old_one(void **state)
{
    static const struct {
        const char *file, *why;
    } rows[] = {
        {PLUGINS_DIR "/bad_no_entry.so", "does not export ph_plugin_entry"},
        {PLUGINS_DIR "/bad_open.so", "the moon is in the wrong phase"},
        {PLUGINS_DIR "/bad_major.so", "built for plugin interface"},
        {HANDLERS_BUILD_DIR "/echo.so", "does not know the key \"gate\""},
        {"/etc/passwd", "no ELF file"},
    };
    struct fixture f;

    (void)state;
    begin_with(&f, ONE, true);
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        replace(&f, rows[i].file);
        await_line(&f, "plugin not loaded again, the old build stays: ");
        await_line(&f, rows[i].why);
        expect(&f, "name", 200, "one");
    }
    assert_int_equal(count_lines(&f, "closes"), 0);
    unlink(f.file); /* as before a build; that is no change yet */
    replace(&f, TWO);
    await_line(&f, LOADED);
    expect(&f, "name", 200, "two");
    end(&f);
}

static void events_under_way_end_with_the_build_that_they_began_with(void **state)
{
    struct under_way slow;
    struct fixture f;

    (void)state;
    begin_with(&f, ONE, true);
    begin(&slow, &f, "slow");
    replace(&f, TWO);
    await_line(&f, LOADED);
    expect(&f, "name", 200, "two");
    assert_int_equal(count_lines(&f, "one closes"), 0);
    open_gate(&f);
    finish(&slow, 200, "one");
    await_line(&f, "build one closes");
    await_line(&f, "plugin build closed");
    end(&f);
}

static void a_deferred_event_keeps_its_build(void **state)
{
    struct under_way later, never;
    struct fixture f;

    (void)state;
    begin_with(&f, ONE, true);
    begin(&later, &f, "later");
    replace(&f, TWO);
    await_line(&f, LOADED);
    assert_int_equal(count_lines(&f, "one closes"), 0);
    open_gate(&f);
    finish(&later, 200, "one later");
    await_line(&f, "build one closes");
    /* One that nobody answers goes when its time is over. */
    begin(&never, &f, "never");
    replace(&f, ONE);
    await_line(&f, LOADED);
    await_line(&f, "build two closes");
    finish(&never, 504, "");
    end(&f);
}

/* --- Under load ------------------------------------------------------------------------------ */

#define CLIENTS 3
#define EXCHANGES 6

/* Asks for the build's name, one event after the other, on one connection. */
struct client {
    const char *socket, *authority; /* FastCGI or HTTP */
    atomic_bool *over;
    atomic_int answers[2]; /* of each build */
    atomic_bool failed;
    char other[512];
    pthread_t thread;
};

static bool ask_http(int fd, char *out, size_t size)
{
    char text[2048];
    struct str event = serve_client__event(text, sizeof(text), "", "");

    return serve_client__send(fd, event.ptr, event.len) &&
           serve_client__read_http(fd, out, size) == 200;
}

static bool ask_fastcgi(int fd, char *out, size_t size)
{
    return fastcgi_client__send_event(fd, true, "", 0) &&
           fastcgi_client__read_response(fd, out, size) && strstr(out, "Status: 200");
}

static void *ask_all_the_time(void *arg)
{
    struct client *c = arg;
    int fd =
        c->socket ? serve_client__connect_unix(c->socket) : serve_client__connect_tcp(c->authority);
    bool good = true;

    while (good && !atomic_load(c->over)) {
        char out[2048] = "no answer";
        const char *body;

        good = c->socket ? ask_fastcgi(fd, out, sizeof(out)) : ask_http(fd, out, sizeof(out));
        body = strstr(out, "\r\n\r\n");
        if (good && body && strcmp(body + 4, "one") == 0)
            c->answers[0]++;
        else if (good && body && strcmp(body + 4, "two") == 0)
            c->answers[1]++;
        else
            good = false;
        if (!good)
            snprintf(c->other, sizeof(c->other), "%.500s", out);
    }
    c->failed = !good;
    close(fd);
    return NULL;
}

/* Until each has another answer of that build, however slowly it gets there. */
static void await_answers(struct client *clients, int build)
{
    for (size_t i = 0; i < CLIENTS; i++) {
        int before = clients[i].answers[build];

        while (clients[i].answers[build] == before && !clients[i].failed)
            usleep(1000);
    }
}

/* Good builds take turns, with one that does not load in between. */
static void exchange(struct fixture *f, struct client *clients)
{
    await_answers(clients, 0);
    for (int i = 0; i < EXCHANGES; i++) {
        replace(f, PLUGINS_DIR "/bad_no_entry.so");
        await_line(f, "the old build stays");
        replace(f, i % 2 ? ONE : TWO);
        await_line(f, LOADED);
        await_answers(clients, i % 2 ? 0 : 1);
    }
}

static void serve_and_exchange(struct fixture *f, const char *socket)
{
    struct client clients[CLIENTS];
    atomic_bool over = false;
    struct ph_server *server;
    char authority[64];
    const char *why = "";

    if (socket ? ph_serve_fastcgi(f->app, socket, 2, &server, &why)
               : ph_serve_http(f->app, "127.0.0.1:0", 2, &server, &why))
        fail_msg("%s", why);
    if (!socket)
        serve_client__authority(server, authority);
    for (size_t i = 0; i < CLIENTS; i++) {
        clients[i] = (struct client){.socket = socket, .authority = authority, .over = &over};
        pthread_create(&clients[i].thread, NULL, ask_all_the_time, &clients[i]);
    }
    exchange(f, clients);
    atomic_store(&over, true);
    for (size_t i = 0; i < CLIENTS; i++)
        pthread_join(clients[i].thread, NULL);
    ph_server_free(server);
    for (size_t i = 0; i < CLIENTS; i++) {
        if (clients[i].other[0])
            fail_msg("client %zu: %s", i, clients[i].other);
    }
}

static void every_request_is_answered_while_builds_are_exchanged(void **state)
{
    static const struct {
        bool fastcgi;
        unsigned workers;
    } rows[] = {{false, 0}, {true, 0}, {false, 2}, {true, 2}};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct fixture f;
        char socket[96];

        begin_with(&f, ONE, true);
        snprintf(socket, sizeof(socket), "%s/socket", f.folder);
        if (rows[i].workers > 0)
            assert_int_equal(ph_app_set_workers(f.app, rows[i].workers, 16), PH_OK);
        serve_and_exchange(&f, rows[i].fastcgi ? socket : NULL);
        assert_int_equal(count_lines(&f, LOADED), EXCHANGES);
        end(&f);
    }
}

static void without_files_it_looks_when_told(void **state)
{
    struct fixture f;

    (void)state;
    begin_with(&f, ONE, false);
    replace(&f, TWO);
    expect(&f, "name", 200, "one");
    plugin_watch__look(f.watch);
    await_line(&f, LOADED);
    expect(&f, "name", 200, "two");
    end(&f);
}

static void a_link_that_leads_elsewhere_is_followed(void **state)
{
    struct fixture f;
    char elsewhere[] = "/tmp/pubhook-reload-XXXXXX", target[128];

    (void)state;
    assert_non_null(mkdtemp(elsewhere));
    snprintf(target, sizeof(target), "%s/real.so", elsewhere);
    begin_with(&f, ONE, true);
    copy_file(TWO, target);
    assert_int_equal(symlink(target, f.other), 0);
    assert_int_equal(rename(f.other, f.file), 0);
    await_line(&f, LOADED);
    expect(&f, "name", 200, "two");
    unlink(target); /* now the file changes where the link leads to */
    copy_file(ONE, target);
    await_line(&f, LOADED);
    expect(&f, "name", 200, "one");
    unlink(target);
    rmdir(elsewhere);
    end(&f);
}

/* plugin.so leads to ..data/plugin.so, and ..data to the folder of a release. */
static void a_volume_of_kubernetes_is_followed(void **state)
{
    struct fixture f;
    char paths[5][160];
    static const char *const names[] = {"..one", "..two", "..data", "..one/plugin.so",
                                        "..two/plugin.so"};

    (void)state;
    begin_with(&f, ONE, true);
    for (size_t i = 0; i < 5; i++)
        snprintf(paths[i], sizeof(paths[i]), "%s/%s", f.folder, names[i]);
    assert_int_equal(mkdir(paths[0], 0700) + mkdir(paths[1], 0700), 0);
    copy_file(ONE, paths[3]);
    assert_int_equal(symlink("..one", paths[2]), 0);
    assert_int_equal(symlink("..data/plugin.so", f.other), 0);
    assert_int_equal(rename(f.other, f.file), 0);
    await_line(&f, LOADED);
    copy_file(TWO, paths[4]);
    assert_int_equal(symlink("..two", f.other), 0);
    assert_int_equal(rename(f.other, paths[2]), 0);
    unlink(paths[3]);
    rmdir(paths[0]);
    await_line(&f, LOADED);
    expect(&f, "name", 200, "two");
    copy_file(ONE, paths[4]);
    await_line(&f, LOADED);
    expect(&f, "name", 200, "one");
    unlink(paths[4]);
    unlink(paths[2]);
    rmdir(paths[1]);
    end(&f);
}

/* The link that changes is neither where the plugin's path ends nor where its file is. */
static void a_link_on_the_way_is_followed(void **state)
{
    struct fixture f;
    char elsewhere[] = "/tmp/pubhook-reload-XXXXXX";
    char paths[7][160];
    static const char *const names[] = {
        "one", "two", "current", "one/real.so", "two/real.so", "current/real.so", "next"};

    (void)state;
    assert_non_null(mkdtemp(elsewhere));
    for (size_t i = 0; i < 7; i++)
        snprintf(paths[i], sizeof(paths[i]), "%s/%s", elsewhere, names[i]);
    assert_int_equal(mkdir(paths[0], 0700) + mkdir(paths[1], 0700), 0);
    copy_file(ONE, paths[3]);
    copy_file(TWO, paths[4]);
    assert_int_equal(symlink("one", paths[2]), 0);
    begin_with(&f, ONE, true);
    assert_int_equal(symlink(paths[5], f.other), 0);
    assert_int_equal(rename(f.other, f.file), 0);
    await_line(&f, LOADED);
    await_line(&f, "plugin build closed");
    usleep(100000); /* it has looked for the last time, or any build passes this test */
    assert_int_equal(symlink("two", paths[6]), 0);
    assert_int_equal(rename(paths[6], paths[2]), 0);
    await_line(&f, LOADED);
    expect(&f, "name", 200, "two");
    end(&f);
    for (int i = 4; i >= 0; i--)
        remove(paths[i]);
    rmdir(elsewhere);
}

static void what_did_not_load_is_tried_again_when_told(void **state)
{
    struct fixture f;

    (void)state;
    begin_with(&f, ONE, true);
    plugin_watch__look(f.watch); /* nothing is new */
    replace(&f, PLUGINS_DIR "/bad_open.so");
    await_line(&f, "the old build stays");
    plugin_watch__look(f.watch);
    await_line(&f, "the old build stays");
    expect(&f, "name", 200, "one");
    replace(&f, TWO);
    await_line(&f, LOADED);
    assert_int_equal(count_lines(&f, LOADED), 1);
    end(&f);
}

static void a_folder_that_is_made_anew_is_found(void **state)
{
    struct fixture f;

    (void)state;
    begin_with(&f, ONE, true);
    unlink(f.file);
    assert_int_equal(rmdir(f.folder), 0);
    expect(&f, "name", 200, "one");
    assert_int_equal(mkdir(f.folder, 0700), 0);
    replace(&f, TWO);
    await_line(&f, LOADED);
    expect(&f, "name", 200, "two");
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_that_is_replaced_is_loaded),
        cmocka_unit_test(a_file_that_is_written_over_is_loaded_when_it_is_complete),
        cmocka_unit_test(no_part_of_a_file_is_loaded),
        cmocka_unit_test(a_build_that_does_not_load_keeps_the_old_one),
        cmocka_unit_test(events_under_way_end_with_the_build_that_they_began_with),
        cmocka_unit_test(a_deferred_event_keeps_its_build),
        cmocka_unit_test(every_request_is_answered_while_builds_are_exchanged),
        cmocka_unit_test(without_files_it_looks_when_told),
        cmocka_unit_test(a_link_that_leads_elsewhere_is_followed),
        cmocka_unit_test(a_volume_of_kubernetes_is_followed),
        cmocka_unit_test(a_link_on_the_way_is_followed),
        cmocka_unit_test(what_did_not_load_is_tried_again_when_told),
        cmocka_unit_test(a_folder_that_is_made_anew_is_found),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
