/* Bearer tokens for event handlers: from files, and from commands. Only what cannot be seen
 * otherwise is waited for, and nothing for longer than UNIT_WAIT_S. */
#include "unit.h"

#include "base/log.h"
#include "broker/net/handler_tokens.h"
#include "broker/net/token_command.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const struct handler_tokens_times quick = {
    .file_ms = 10, .pause_ms = 10, .command_ms = 1000 * UNIT_WAIT_S};

struct fixture {
    char folder[64], file[96], script[96];
    struct settings settings;
    struct hub_settings hub;
    struct event_handler handler;
    struct str words[4];
    struct ph_log *log;
    pthread_mutex_t lock;
    char logged[4096];
    struct handler_tokens *tokens;
};

static void keep_log(void *arg, enum ph_log_level level, const char *line, size_t len)
{
    struct fixture *f = arg;
    size_t at;

    (void)level;
    pthread_mutex_lock(&f->lock);
    at = strlen(f->logged);
    snprintf(f->logged + at, sizeof(f->logged) - at, "%.*s", (int)len, line);
    pthread_mutex_unlock(&f->lock);
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    strcpy(f->folder, "/tmp/test_handler_tokens.XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    snprintf(f->file, sizeof(f->file), "%s/token", f->folder);
    snprintf(f->script, sizeof(f->script), "%s/count", f->folder);
    pthread_mutex_init(&f->lock, NULL);
    f->log = ph_log_new(PH_LOG_DEBUG, PH_LOG_TEXT);
    ph_log_set_sink(f->log, keep_log, f);
    f->settings.hubs = &f->hub;
    f->settings.hub_count = 1;
    f->hub.handlers = &f->handler;
    f->hub.handler_count = 1;
    f->tokens = handler_tokens__new(&quick, f->log);
    assert_non_null(f->tokens);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    handler_tokens__free(f->tokens);
    ph_log_free(f->log);
    unlink(f->file);
    unlink(f->script);
    rmdir(f->folder);
    pthread_mutex_destroy(&f->lock);
    free(f);
    return 0;
}

static void write_file(const char *name, const char *text, size_t len)
{
    char other[128];
    FILE *out;

    snprintf(other, sizeof(other), "%s.new", name);
    out = fopen(other, "w");
    assert_non_null(out);
    assert_int_equal(fwrite(text, 1, len, out), len);
    fclose(out);
    assert_int_equal(rename(other, name), 0); /* a reader sees the one or the other */
}

static void write_token(struct fixture *f, const char *text)
{
    write_file(f->file, text, strlen(text));
}

static const struct handler_auth *file_auth(struct fixture *f)
{
    f->handler.auth = (struct handler_auth){
        .origin = TOKEN_FILE, .file = str__of(f->file), .key = str__of(f->file)};
    return &f->handler.auth;
}

static const struct handler_auth *shell_auth(struct fixture *f, const char *script,
                                             unsigned refresh)
{
    f->words[0] = STR("sh");
    f->words[1] = STR("-c");
    f->words[2] = str__of(script);
    f->handler.auth = (struct handler_auth){.origin = TOKEN_COMMAND,
                                            .command = f->words,
                                            .command_count = 3,
                                            .refresh_seconds = refresh,
                                            .key = str__of(script)};
    return &f->handler.auth;
}

static bool get(struct fixture *f, struct upstream_token *out)
{
    return handler_tokens__get(f->tokens, &f->handler.auth, out);
}

/* Until the token is `text`, or, when that is NULL, until the reason for having none, or the
 * log, says `why`. */
static void expect(struct fixture *f, const char *text, const char *why)
{
    struct upstream_token token;

    for (int i = 0; i < UNIT_WAIT_S * 100; i++) {
        bool there = get(f, &token), logged;

        pthread_mutex_lock(&f->lock);
        logged = why && strstr(f->logged, why);
        pthread_mutex_unlock(&f->lock);
        if (text ? there && strcmp(token.text, text) == 0
                 : logged || (!there && strstr(token.why, why)))
            return;
        usleep(10000);
    }
    fail_msg("token \"%s\", why \"%s\", log %s; expected %s", token.text, token.why, f->logged,
             text ? text : why);
}

/* --- files ------------------------------------------------------------------------------- */

static void a_file_is_read_before_the_first_event(void **state)
{
    struct fixture *f = *state;
    struct upstream_token token;

    write_token(f, " first \r\n");
    file_auth(f);
    handler_tokens__prime(f->tokens, &f->settings);
    assert_true(get(f, &token));
    assert_string_equal(token.text, "first");
    assert_null(strstr(f->logged, "first"));
}

static void a_file_that_changes_is_read_again(void **state)
{
    struct fixture *f = *state;
    struct upstream_token token;
    uint64_t serial;

    file_auth(f);
    handler_tokens__prime(f->tokens, &f->settings);
    assert_false(get(f, &token));
    assert_non_null(strstr(token.why, f->file));
    assert_non_null(strstr(token.why, "cannot be opened: No such file"));
    write_token(f, "one");
    expect(f, "one", NULL);
    assert_true(get(f, &token));
    serial = token.serial;
    write_token(f, "two");
    expect(f, "two", NULL);
    assert_true(get(f, &token));
    assert_true(token.serial != serial);
    unlink(f->file); /* the last one goes on being used */
    expect(f, NULL, "the last one goes on being used");
    expect(f, "two", NULL);
}

static void what_is_no_token_is_refused(void **state)
{
    static const struct {
        const char *text, *why;
    } rows[] = {
        {"", "gave nothing, expected a token"},       {" \n", "gave nothing, expected a token"},
        {"two words", "gave something with a blank"}, {"line\nline", "gave something with a blank"},
        {"\xc3\xa4", "gave something with a blank"},  {"x\x7f", "gave something with a blank"},
    };
    struct fixture *f = *state;

    file_auth(f);
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        write_token(f, rows[i].text);
        expect(f, NULL, rows[i].why);
    }
}

static void tokens_have_a_largest_size(void **state)
{
    struct fixture *f = *state;
    char *text = malloc(3 * UPSTREAM_MAX_TOKEN);

    memset(text, 't', 3 * UPSTREAM_MAX_TOKEN);
    file_auth(f);
    write_file(f->file, text, UPSTREAM_MAX_TOKEN + 1);
    expect(f, NULL, "gave more than the 8192 bytes of a token");
    write_file(f->file, text, 3 * UPSTREAM_MAX_TOKEN);
    expect(f, NULL, "has more than the 8192 bytes of a token");
    write_file(f->file, text, UPSTREAM_MAX_TOKEN);
    text[UPSTREAM_MAX_TOKEN] = '\0';
    expect(f, text, NULL);
    free(text);
}

/* --- commands ---------------------------------------------------------------------------- */

static void a_command_prints_the_token(void **state)
{
    struct fixture *f = *state;
    struct upstream_token token;

    shell_auth(f, "echo from-$0-$1; echo noise >&2", 60);
    handler_tokens__prime(f->tokens, &f->settings);
    assert_true(get(f, &token));
    assert_string_equal(token.text, "from-sh-");
    assert_null(strstr(f->logged, "from-sh-"));
}

/* Each run appends a line; the token says how many there are. */
static const char *counting(struct fixture *f)
{
    static char script[256];

    snprintf(script, sizeof(script), "echo x >>%s; echo run$(wc -l <%s)", f->script, f->script);
    return script;
}

/* At least that many; a test that is held up may miss one. */
static void expect_run(struct fixture *f, int number)
{
    struct upstream_token token = {.text = ""};
    int got = 0;

    for (int i = 0; i < UNIT_WAIT_S * 100 && got < number; i++) {
        if (get(f, &token))
            assert_int_equal(sscanf(token.text, "run%d", &got), 1);
        usleep(10000);
    }
    assert_true(got >= number);
}

static void a_refusal_runs_the_command_again(void **state)
{
    struct fixture *f = *state;
    struct upstream_token token;

    shell_auth(f, counting(f), 3600);
    handler_tokens__prime(f->tokens, &f->settings);
    assert_true(get(f, &token));
    assert_string_equal(token.text, "run1");
    handler_tokens__refused(f->tokens, &f->handler.auth, token.serial + 7); /* of another token */
    handler_tokens__refused(f->tokens, &f->handler.auth, token.serial);
    expect(f, "run2", NULL);
    assert_true(get(f, &token));
    assert_string_equal(token.text, "run2");
}

static void a_command_runs_again_in_time(void **state)
{
    struct fixture *f = *state;

    shell_auth(f, counting(f), 1);
    expect_run(f, 3);
}

static void a_command_that_fails_says_why(void **state)
{
    struct fixture *f = *state;

    shell_auth(f, "echo secret; echo 'no such tenant' >&2; echo more >&2; exit 3", 60);
    expect(f, NULL, "there is no token yet: sh ended with status 3: no such tenant");
    pthread_mutex_lock(&f->lock);
    assert_null(strstr(f->logged, "secret"));
    assert_non_null(strstr(f->logged, "no new token for event handlers: sh ended with status 3"));
    pthread_mutex_unlock(&f->lock);
    shell_auth(f, "kill -9 $$", 60);
    expect(f, NULL, "sh was ended by signal 9");
    shell_auth(f, "head -c 100000 /dev/zero | tr '\\0' t", 60);
    expect(f, NULL, "sh printed more than");
    f->words[0] = STR("/nowhere/to/be/found");
    f->handler.auth.key = STR("other");
    expect(f, NULL, "/nowhere/to/be/found does not start: No such file or directory");
}

static void sources_have_a_maximum(void **state)
{
    struct fixture *f = *state;
    char keys[HANDLER_TOKENS_MAX_SOURCES + 1][16];
    struct upstream_token token;

    write_token(f, "t");
    file_auth(f);
    for (int i = 0; i <= HANDLER_TOKENS_MAX_SOURCES; i++) {
        snprintf(keys[i], sizeof(keys[i]), "%d", i);
        f->handler.auth.key = str__of(keys[i]);
        get(f, &token);
        assert_true((strstr(token.why, "more than 64 sources") != NULL) ==
                    (i == HANDLER_TOKENS_MAX_SOURCES));
    }
}

/* --- running a program ------------------------------------------------------------------- */

static void a_program_that_hangs_is_killed(void **state)
{
    static char sh[] = "sh", c[] = "-c", script[] = "sleep 1000 & exec >&- 2>&-; sleep 1000";
    char *words[] = {sh, c, script, NULL};
    atomic_bool stop;
    struct diag diag = {""};
    struct buf out;

    (void)state;
    atomic_init(&stop, false);
    buf__init(&out, 100);
    assert_int_equal(token_command__run(words, 300, &stop, &out, &diag), PH_ERR_SYSTEM);
    assert_string_equal(diag.text, "sh did not end within 0 s");
    buf__free(&out);
}

static void a_program_is_not_waited_for_at_the_end(void **state)
{
    static char sleep_word[] = "sleep", for_long[] = "1000";
    char *words[] = {sleep_word, for_long, NULL};
    atomic_bool stop;
    struct diag diag = {""};
    struct buf out;

    (void)state;
    atomic_init(&stop, true);
    buf__init(&out, 100);
    assert_int_equal(token_command__run(words, 1000000, &stop, &out, &diag), PH_ERR_SYSTEM);
    buf__free(&out);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_file_is_read_before_the_first_event),
        CASE(a_file_that_changes_is_read_again),
        CASE(what_is_no_token_is_refused),
        CASE(tokens_have_a_largest_size),
        CASE(a_command_prints_the_token),
        CASE(a_refusal_runs_the_command_again),
        CASE(a_command_runs_again_in_time),
        CASE(a_command_that_fails_says_why),
        CASE(sources_have_a_maximum),
        cmocka_unit_test(a_program_that_hangs_is_killed),
        cmocka_unit_test(a_program_is_not_waited_for_at_the_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
