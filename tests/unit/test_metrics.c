/* What is counted, and the text that Prometheus reads: byte by byte where it matters. */
#include "unit.h"

#include "base/buf.h"
#include "broker/metrics/metrics_text.h"

#include <stdio.h>

#define PAGE_MAX (1u << 20)

struct fixture {
    struct metrics *shards[2];
    struct metrics_operation operations[2];
    struct metrics_facts facts;
    struct buf out;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    f->shards[0] = metrics__new();
    f->shards[1] = metrics__new();
    assert_non_null(f->shards[0]);
    assert_non_null(f->shards[1]);
    f->operations[0] = (struct metrics_operation){"HEAD", "/api/health"};
    f->operations[1] = (struct metrics_operation){"POST", "/api/hubs/{hub}/:send"};
    f->facts = (struct metrics_facts){.version = "1.2.3", .start_ms = 1700000000042, .shards = 2};
    buf__init(&f->out, PAGE_MAX);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    metrics__free(f->shards[0]);
    metrics__free(f->shards[1]);
    buf__free(&f->out);
    free(f);
    return 0;
}

static const char *page(struct fixture *f)
{
    const struct metrics_page p = {.shards = (const struct metrics *const *)f->shards,
                                   .shard_count = 2,
                                   .operations = f->operations,
                                   .operation_count = 2,
                                   .facts = &f->facts};

    buf__reset(&f->out);
    metrics__write(&f->out, &p);
    assert_false(f->out.failed);
    buf__byte(&f->out, '\0');
    return f->out.data;
}

/* The page has exactly this line. */
static void expect_line(struct fixture *f, const char *line)
{
    const char *text = page(f), *at = text;
    size_t len = strlen(line);

    while ((at = strstr(at, line))) {
        if ((at == text || at[-1] == '\n') && at[len] == '\n')
            return;
        at += len;
    }
    fail_msg("no line %s in\n%s", line, text);
}

static size_t count(const char *text, const char *what)
{
    size_t n = 0;

    for (; (text = strstr(text, what)); text += strlen(what))
        n++;
    return n;
}

/* Every line is a comment of its family or one of its samples, and families do not mix. */
static void each_family_is_introduced_once(void **state)
{
    struct fixture *f = *state;
    char *text = strdup(page(f)), *save = NULL, name[128] = "", type[32];
    size_t families = 0;

    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        if (strncmp(line, "# HELP ", 7) == 0) {
            assert_int_equal(sscanf(line, "# HELP %127s", name), 1);
            assert_true(strlen(line) > 8 + strlen(name));
            families++;
        } else if (strncmp(line, "# TYPE ", 7) == 0) {
            char again[128];

            assert_int_equal(sscanf(line, "# TYPE %127s %31s", again, type), 2);
            assert_string_equal(again, name);
            assert_true(strcmp(type, "counter") == 0 || strcmp(type, "gauge") == 0 ||
                        strcmp(type, "histogram") == 0);
            if (strcmp(type, "counter") == 0)
                assert_string_equal(name + strlen(name) - 6, "_total");
        } else {
            assert_int_equal(strncmp(line, name, strlen(name)), 0);
            assert_true(strchr(" {_", line[strlen(name)]) != NULL);
        }
    }
    assert_true(families > 20);
    free(text);
    text = strdup(page(f));
    assert_int_equal(count(text, "# HELP "), families);
    assert_int_equal(count(text, "# TYPE "), families);
    assert_int_equal(text[strlen(text) - 1], '\n');
    free(text);
}

static void shards_are_added_up(void **state)
{
    struct fixture *f = *state;

    metrics__add(f->shards[0], METRIC_MESSAGES_IN, 3);
    metrics__add(f->shards[0], METRIC_MESSAGES_IN, 1);
    metrics__add(f->shards[1], METRIC_MESSAGES_IN, 5);
    expect_line(f, "pubhook_messages_received_total 9");
    metrics__set(f->shards[0], METRIC_SOCKETS, 7);
    metrics__set(f->shards[1], METRIC_SOCKETS, 2);
    metrics__set(f->shards[0], METRIC_SOCKETS, 1);
    expect_line(f, "pubhook_sockets 3");
}

static void facts_are_written(void **state)
{
    struct fixture *f = *state;

    f->facts.cpu_ms = 12345;
    f->facts.open_files = 17;
    f->facts.handlers_left_alone = 3;
    expect_line(f, "pubhook_build_info{version=\"1.2.3\",threads=\"2\"} 1");
    expect_line(f, "process_start_time_seconds 1700000000.042");
    expect_line(f, "process_cpu_seconds_total 12.345");
    expect_line(f, "process_open_fds 17");
    expect_line(f, "pubhook_handlers_left_alone 3");
}

static void label_values_are_escaped(void **state)
{
    struct fixture *f = *state;

    metrics__up(metrics__hub(f->shards[0], STR("a\"b\\c\nd")));
    expect_line(f, "pubhook_connections{hub=\"a\\\"b\\\\c\\nd\"} 1");
}

static void hubs_of_all_shards_are_one_sample_each(void **state)
{
    struct fixture *f = *state;
    metrics_number *chat = metrics__hub(f->shards[0], STR("chat"));

    metrics__up(chat);
    metrics__up(chat);
    metrics__down(chat);
    metrics__up(metrics__hub(f->shards[1], STR("news")));
    metrics__up(metrics__hub(f->shards[1], STR("chat")));
    assert_ptr_equal(metrics__hub(f->shards[0], STR("chat")), chat);
    expect_line(f, "pubhook_connections{hub=\"chat\"} 2");
    expect_line(f, "pubhook_connections{hub=\"news\"} 1");
    expect_line(f, "pubhook_connections{hub=\"(others)\"} 0");
    assert_int_equal(count(page(f), "\npubhook_connections{"), 3);
    metrics__down(chat);
    metrics__down(metrics__hub(f->shards[1], STR("chat")));
    expect_line(f, "pubhook_connections{hub=\"chat\"} 0");
}

static void hubs_beyond_the_limit_share_a_sample(void **state)
{
    struct fixture *f = *state;
    char name[16];

    for (int i = 0; i < METRICS_MAX_HUBS + 2; i++) {
        snprintf(name, sizeof(name), "h%d", i);
        metrics__up(metrics__hub(f->shards[0], str__of(name)));
    }
    expect_line(f, "pubhook_connections{hub=\"h255\"} 1");
    expect_line(f, "pubhook_connections{hub=\"(others)\"} 2");
    assert_null(strstr(page(f), "h256"));
}

static void closes_are_told_apart_by_category(void **state)
{
    struct fixture *f = *state;

    metrics__closed(f->shards[0], STR("PingTimeout"));
    metrics__closed(f->shards[0], STR("UnackedClient"));
    metrics__closed(f->shards[1], STR("SlowClient"));
    metrics__closed(f->shards[1], STR("never heard of"));
    metrics__closed(f->shards[1], STR_NONE);
    expect_line(f, "pubhook_connections_closed_total{reason=\"PingTimeout\"} 1");
    expect_line(f, "pubhook_connections_closed_total{reason=\"SlowClient\"} 2");
    expect_line(f, "pubhook_connections_closed_total{reason=\"Other\"} 2");
    expect_line(f, "pubhook_connections_closed_total{reason=\"Normal\"} 0");
}

static void refusals_and_calls_are_told_apart_by_status(void **state)
{
    struct fixture *f = *state;

    metrics__refused(f->shards[0], 401);
    metrics__refused(f->shards[0], 418);
    expect_line(f, "pubhook_handshakes_refused_total{status=\"401\"} 1");
    expect_line(f, "pubhook_handshakes_refused_total{status=\"other\"} 1");
    metrics__rest(f->shards[0], 1, 202);
    metrics__rest(f->shards[1], 1, 404);
    metrics__rest(f->shards[1], METRICS_MAX_OPERATIONS, 404);
    metrics__rest(f->shards[1], 100000, 101);
    expect_line(f, "pubhook_rest_requests_total{operation=\"POST "
                   "/api/hubs/{hub}/:send\",status=\"2xx\"} 1");
    expect_line(f, "pubhook_rest_requests_total{operation=\"POST "
                   "/api/hubs/{hub}/:send\",status=\"4xx\"} 1");
    expect_line(f, "pubhook_rest_requests_total{operation=\"none\",status=\"4xx\"} 1");
    expect_line(f, "pubhook_rest_requests_total{operation=\"none\",status=\"5xx\"} 1");
    expect_line(f, "pubhook_rest_requests_total{operation=\"HEAD /api/health\",status=\"2xx\"} 0");
}

#define TOOK "pubhook_event_duration_seconds"

static void buckets_are_cumulative(void **state)
{
    struct fixture *f = *state;

    metrics__event_took(f->shards[0], METRIC_USER, -1); /* no clock goes back, but if it does */
    metrics__event_took(f->shards[0], METRIC_USER, 1);
    metrics__event_took(f->shards[1], METRIC_USER, 2);
    metrics__event_took(f->shards[1], METRIC_USER, 3);
    metrics__event_took(f->shards[1], METRIC_USER, 100000);
    metrics__event_took(f->shards[1], METRIC_USER, 100001);
    expect_line(f, TOOK "_bucket{event=\"user\",le=\"0.001\"} 2");
    expect_line(f, TOOK "_bucket{event=\"user\",le=\"0.002\"} 3");
    expect_line(f, TOOK "_bucket{event=\"user\",le=\"0.005\"} 4");
    expect_line(f, TOOK "_bucket{event=\"user\",le=\"30\"} 4");
    expect_line(f, TOOK "_bucket{event=\"user\",le=\"100\"} 5");
    expect_line(f, TOOK "_bucket{event=\"user\",le=\"+Inf\"} 6");
    expect_line(f, TOOK "_sum{event=\"user\"} 200.007");
    expect_line(f, TOOK "_count{event=\"user\"} 6");
    expect_line(f, TOOK "_bucket{event=\"connect\",le=\"+Inf\"} 0");
}

static void outcomes_and_failures(void **state)
{
    struct fixture *f = *state;

    for (int e = 0; e < METRIC_EVENTS; e++) {
        for (int o = 0; o < METRIC_OUTCOMES; o++) {
            for (int n = 0; n <= e * METRIC_OUTCOMES + o; n++)
                metrics__event(f->shards[n % 2], (enum metric_event)e, (enum metric_outcome)o);
        }
    }
    expect_line(f, "pubhook_events_total{event=\"connect\",outcome=\"ok\"} 1");
    expect_line(f, "pubhook_events_total{event=\"connect\",outcome=\"refused\"} 2");
    expect_line(f, "pubhook_events_total{event=\"user\",outcome=\"dropped\"} 15");
    expect_line(f, "pubhook_events_total{event=\"disconnected\",outcome=\"dropped\"} 20");
    metrics__failure(f->shards[0], FAILURE_BREAKER);
    metrics__failure(f->shards[1], FAILURE_OTHER);
    expect_line(f, "pubhook_handler_failures_total{kind=\"breaker_open\"} 1");
    expect_line(f, "pubhook_handler_failures_total{kind=\"other\"} 1");
    /* The family behind it is untouched. */
    assert_null(strstr(page(f), "pubhook_rest_requests_total{operation=\"HEAD "
                                "/api/health\",status=\"2xx\"} 1"));
}

static void nobody_needs_to_count(void **state)
{
    (void)state;
    metrics__add(NULL, METRIC_BYTES_IN, 1);
    metrics__set(NULL, METRIC_SOCKETS, 1);
    metrics__closed(NULL, STR("Normal"));
    metrics__refused(NULL, 400);
    metrics__event(NULL, METRIC_USER, OUTCOME_OK);
    metrics__event_took(NULL, METRIC_USER, 1);
    metrics__up(metrics__hub(NULL, STR("chat")));
    metrics__down(NULL);
    metrics__free(NULL);
}

#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FIXTURE(each_family_is_introduced_once),
        WITH_FIXTURE(shards_are_added_up),
        WITH_FIXTURE(facts_are_written),
        WITH_FIXTURE(label_values_are_escaped),
        WITH_FIXTURE(hubs_of_all_shards_are_one_sample_each),
        WITH_FIXTURE(hubs_beyond_the_limit_share_a_sample),
        WITH_FIXTURE(closes_are_told_apart_by_category),
        WITH_FIXTURE(refusals_and_calls_are_told_apart_by_status),
        WITH_FIXTURE(buckets_are_cumulative),
        WITH_FIXTURE(outcomes_and_failures),
        cmocka_unit_test(nobody_needs_to_count),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
