/* The client as a program uses it, against a broker in this process: both ways to live, from
 * many threads, and its end at every place where it may come. */
#include "pubhook/client.h"
#include "pubhook/test.h"
#include "unit.h"

#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>

#define THREADS 4
#define EACH 100

static struct ph_test_broker *broker;

static int start_broker(void **state)
{
    const char *why = "";

    (void)state;
    if (ph_test_broker_start(NULL, &broker, &why) != PH_OK)
        fail_msg("%s", why);
    return 0;
}

static int stop_broker(void **state)
{
    (void)state;
    ph_test_broker_stop(broker);
    return 0;
}

static char *client_url(void)
{
    static const char *const roles[] = {"webpubsub.joinLeaveGroup", "webpubsub.sendToGroup", NULL};
    const struct ph_token_options options = {.user_id = "ann", .roles = roles};
    char *url = NULL;

    assert_int_equal(ph_test_broker_client_url(broker, "chat", &options, &url), PH_OK);
    return url;
}

static struct ph_client *make(struct ph_client_options *options)
{
    struct ph_client *client = NULL;
    const char *why = "";
    char *url = client_url();

    options->url = options->need_url ? NULL : url;
    if (ph_client_new(options, &client, &why) != PH_OK)
        fail_msg("%s", why);
    ph_token_free(url);
    return client;
}

static const struct ph_client_result *wait_for(enum ph_err err, struct ph_client_future *f)
{
    assert_int_equal(err, PH_OK);
    return ph_client_future_wait(f);
}

#define assert_done(call, future) assert_int_equal(wait_for(call, future)->err, PH_OK)

/* --- What callbacks count ---------------------------------------------------------------- */

struct counts {
    atomic_int messages, connected, stopped, traced, urls, ended;
    atomic_int fragments, closed; /* of streams that come in */
    atomic_bool free_it;
};

static void count_message(struct ph_client *client, const struct ph_client_message *m, void *arg)
{
    struct counts *n = arg;

    assert_int_equal(m->type, PH_DATA_TEXT);
    atomic_fetch_add(&n->messages, 1);
    if (atomic_exchange(&n->free_it, false))
        ph_client_free(client);
}

static void count_connected(struct ph_client *client, const char *id, const char *user, void *arg)
{
    enum ph_err err;

    assert_true(id[0]);
    assert_string_equal(user, "ann");
    atomic_fetch_add(&((struct counts *)arg)->connected, 1);
    /* Asking for something in a callback is fine; that it is done is told later. */
    err = ph_client_join_group(client, "from-callback", NULL, NULL);
    assert_true(err == PH_OK || err == PH_ERR_CLOSED); /* it is being freed */
}

static void count_stopped(struct ph_client *client, void *arg)
{
    (void)client;
    atomic_fetch_add(&((struct counts *)arg)->stopped, 1);
}

static void count_frame(struct ph_client *client, int outgoing, int binary, const char *frame,
                        size_t len, void *arg)
{
    (void)client, (void)outgoing;
    assert_false(binary);
    assert_int_equal(frame[0], '{');
    assert_int_equal(frame[len - 1], '}');
    atomic_fetch_add(&((struct counts *)arg)->traced, 1);
}

static void give_url(struct ph_client *client, void *arg)
{
    char *url = client_url();

    atomic_fetch_add(&((struct counts *)arg)->urls, 1);
    assert_int_equal(ph_client_give_url(client, url), PH_OK);
    ph_token_free(url);
}

static void count_end(struct ph_client *client, const struct ph_client_result *r, void *arg)
{
    (void)client;
    assert_true(r->err == PH_OK || r->err == PH_ERR_CLOSED || r->err == PH_ERR_CANCELLED);
    atomic_fetch_add(&((struct counts *)arg)->ended, 1);
}

/* --- Streams that come in --------------------------------------------------------------------- */

/* Whoever reads a stream has memory of its own, until it has ended. */
struct reader {
    struct ph_client *client;
    struct counts *counts;
};

static void read_fragment(struct ph_client_incoming *stream, const struct ph_client_message *m,
                          void *arg)
{
    struct reader *reader = arg;

    assert_string_equal(m->fragment->stream_id, stream->stream_id);
    assert_string_equal(m->group, "g");
    assert_int_equal(++reader->counts->fragments, m->fragment->sequence_id);
    if (atomic_exchange(&reader->counts->free_it, false))
        ph_client_free(reader->client);
}

static void read_end(struct ph_client_incoming *stream, const struct ph_client_result *r, void *arg)
{
    struct reader *reader = arg;

    assert_int_equal(stream->sequence_id, 1);
    assert_true(r->err == PH_OK || r->err == PH_ERR_CLOSED);
    if (r->err == PH_ERR_CLOSED)
        reader->counts->closed++;
    reader->counts->ended++;
    free(reader);
}

/* Those whose id begins with "x" are not wanted. */
static void read_stream(struct ph_client *client, struct ph_client_incoming *stream, void *arg)
{
    struct reader *reader;

    if (stream->stream_id[0] == 'x')
        return;
    reader = malloc(sizeof(*reader));
    assert_non_null(reader);
    *reader = (struct reader){client, arg};
    stream->fragment = read_fragment;
    stream->ended = read_end;
    stream->arg = reader;
}

static struct ph_client_options options_for(struct counts *n)
{
    return (struct ph_client_options){
        .connected = count_connected,
        .stopped = count_stopped,
        .group_message = count_message,
        .trace = count_frame,
        .arg = n,
    };
}

/* --- A thread of its own ------------------------------------------------------------------- */

static void *send_many(void *arg)
{
    struct ph_client_future *f = ph_client_future_new();

    assert_non_null(f);
    for (int i = 0; i < EACH; i++)
        assert_done(
            ph_client_send_to_group(arg, "g", PH_DATA_TEXT, "x", 1, NULL, ph_client_resolve, f), f);
    ph_client_future_free(f);
    return NULL;
}

static void test_many_threads(void **state)
{
    struct counts n = {0};
    struct ph_client_options options = options_for(&n);
    struct ph_client_future *f = ph_client_future_new();
    struct ph_client *client = make(&options);
    pthread_t threads[THREADS];

    (void)state;
    assert_int_equal(ph_client_fd(client), -1);
    assert_int_equal(ph_client_process(client), PH_ERR_STATE);
    assert_done(ph_client_start(client, ph_client_resolve, f), f);
    assert_done(ph_client_join_group(client, "g", ph_client_resolve, f), f);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, send_many, client), 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_done(ph_client_stop(client, ph_client_resolve, f), f);
    assert_int_equal(n.messages, THREADS * EACH); /* each was there before its ack */
    assert_int_equal(n.connected, 1);
    assert_int_equal(n.stopped, 1);
    assert_true(n.traced > 3 * THREADS * EACH);
    ph_client_free(client);
    ph_client_future_free(f);
}

static void test_a_url_for_each_connection(void **state)
{
    struct counts n = {0};
    struct ph_client_options options = options_for(&n);
    struct ph_client_future *f = ph_client_future_new();
    struct ph_client *client;

    (void)state;
    options.need_url = give_url;
    client = make(&options);
    for (int i = 1; i <= 3; i++) {
        assert_done(ph_client_start(client, ph_client_resolve, f), f);
        assert_int_equal(n.urls, i);
        assert_int_equal(wait_for(ph_client_start(client, ph_client_resolve, f), f)->err,
                         PH_ERR_STATE);
        assert_done(ph_client_stop(client, ph_client_resolve, f), f);
        assert_int_equal(n.stopped, i);
    }
    assert_int_equal(wait_for(ph_client_join_group(client, "g", ph_client_resolve, f), f)->err,
                     PH_ERR_CLOSED);
    ph_client_free(client);
    ph_client_future_free(f);
}

/* Each operation ends once, also when the client goes while it is under way. */
static void test_freed_under_load(void **state)
{
    (void)state;
    for (int round = 0; round < 10; round++) {
        struct counts n = {0};
        struct ph_client_options options = options_for(&n);
        struct ph_client_future *f = ph_client_future_new();
        struct ph_client *client = make(&options);
        struct ph_client_stream *stream;
        int asked = 0;

        if (round > 0)
            assert_done(ph_client_start(client, ph_client_resolve, f), f);
        else
            assert_int_equal(ph_client_start(client, NULL, NULL), PH_OK);
        assert_int_equal(ph_client_open_stream(client, "g", NULL, &stream, count_end, &n), PH_OK);
        asked++;
        for (int i = 0; i < 50; i++, asked += 2) {
            assert_int_equal(
                ph_client_send_to_group(client, "g", PH_DATA_TEXT, "x", 1, NULL, count_end, &n),
                PH_OK);
            assert_int_equal(ph_client_stream_write(stream, PH_DATA_TEXT, "x", 1, count_end, &n),
                             PH_OK);
        }
        ph_client_stream_free(stream);
        ph_client_free(client);
        assert_int_equal(n.ended, asked);
        ph_client_future_free(f);
    }
}

static void test_freed_in_a_callback(void **state)
{
    struct counts n = {0};
    struct ph_client_options options = options_for(&n);
    struct ph_client_future *f = ph_client_future_new();
    struct ph_client *client = make(&options);

    (void)state;
    assert_done(ph_client_start(client, ph_client_resolve, f), f);
    assert_done(ph_client_join_group(client, "g", ph_client_resolve, f), f);
    atomic_store(&n.free_it, true);
    wait_for(ph_client_send_to_group(client, "g", PH_DATA_TEXT, "x", 1, NULL, ph_client_resolve, f),
             f);
    assert_int_equal(n.messages, 1);
    ph_client_future_free(f);
}

/* --- The program's loop ----------------------------------------------------------------------- */

static enum ph_err turn(struct ph_client *client)
{
    struct pollfd p = {.fd = ph_client_fd(client), .events = POLLIN};

    assert_int_equal(poll(&p, 1, 1000 * UNIT_WAIT_S), 1);
    return ph_client_process(client);
}

static void test_own_loop(void **state)
{
    struct counts n = {0};
    struct ph_client_options options = options_for(&n);
    struct ph_client *client;

    (void)state;
    options.own_loop = 1;
    client = make(&options);
    assert_int_equal(ph_client_start(client, NULL, NULL), PH_OK);
    assert_int_equal(ph_client_join_group(client, "g", count_end, &n), PH_OK);
    assert_int_equal(n.connected, 0); /* nothing happens in the calls themselves */
    while (n.ended == 0)
        assert_int_equal(turn(client), PH_OK);
    assert_int_equal(n.connected, 1);
    for (int i = 0; i < EACH; i++)
        assert_int_equal(
            ph_client_send_to_group(client, "g", PH_DATA_TEXT, "x", 1, NULL, NULL, NULL), PH_OK);
    while (n.messages < EACH)
        assert_int_equal(turn(client), PH_OK);
    atomic_store(&n.free_it, true);
    assert_int_equal(ph_client_send_to_group(client, "g", PH_DATA_TEXT, "x", 1, NULL, NULL, NULL),
                     PH_OK);
    while (turn(client) == PH_OK)
        ;
    assert_int_equal(n.messages, EACH + 1); /* and the client is gone */
}

/* A client that writes fragments to group g. */
struct publisher {
    struct ph_client *client;
    struct ph_client_stream *stream;
    struct ph_client_future *f;
};

static struct publisher publish(const char *id, int fragments)
{
    const struct ph_client_stream_options named = {.stream_id = id};
    struct ph_client_options options = {.no_reconnect = 1};
    struct publisher p = {.client = make(&options), .f = ph_client_future_new()};

    assert_done(ph_client_start(p.client, ph_client_resolve, p.f), p.f);
    assert_int_equal(ph_client_open_stream(p.client, "g", &named, &p.stream, NULL, NULL), PH_OK);
    for (int i = 0; i < fragments; i++)
        assert_done(ph_client_stream_write(p.stream, PH_DATA_TEXT, "x", 1, ph_client_resolve, p.f),
                    p.f);
    return p;
}

static void end_publisher(struct publisher p)
{
    assert_done(ph_client_stream_end(p.stream, ph_client_resolve, p.f), p.f);
    ph_client_stream_free(p.stream);
    ph_client_free(p.client);
    ph_client_future_free(p.f);
}

static struct ph_client *start_reader(struct counts *n, int own_loop)
{
    struct ph_client_options options = options_for(n);
    struct ph_client *client;

    options.own_loop = own_loop;
    options.group_stream = read_stream;
    client = make(&options);
    assert_int_equal(ph_client_start(client, NULL, NULL), PH_OK);
    assert_int_equal(ph_client_join_group(client, "g", count_end, n), PH_OK);
    while (n->ended == 0)
        assert_int_equal(own_loop ? (int)turn(client) : sched_yield(), 0);
    n->ended = 0;
    return client;
}

static void test_incoming_streams(void **state)
{
    struct counts n = {0};
    struct ph_client *client = start_reader(&n, 1);

    (void)state;
    end_publisher(publish("wanted", 10));
    end_publisher(publish("x, which is not", 5));
    while (n.ended < 1 || n.messages < 6) /* the end of one is a message too */
        assert_int_equal(turn(client), PH_OK);
    assert_int_equal(n.fragments, 10);
    assert_int_equal(n.closed, 0);
    ph_client_free(client);
    assert_int_equal(n.messages, 6);
    assert_int_equal(n.ended, 1);
}

/* Wherever its client ends, a stream ends once; its reader's memory is freed, or leaks. */
static void test_incoming_streams_end_with_their_client(void **state)
{
    (void)state;
    for (int row = 0; row < 4; row++) {
        const int own_loop = row & 1, inside = row & 2;
        struct counts n = {.free_it = inside};
        struct ph_client *client = start_reader(&n, own_loop);
        struct publisher p = publish("s", 1);
        bool alive = true;

        while (n.fragments == 0 || (inside && n.closed == 0))
            alive = own_loop ? turn(client) == PH_OK : sched_yield() == 0;
        assert_int_equal(alive, !(own_loop && inside));
        if (!inside)
            ph_client_free(client);
        assert_int_equal(n.closed, 1);
        assert_int_equal(n.ended, 1);
        end_publisher(p);
    }
}

/* --- What is refused ----------------------------------------------------------------------------
 */

static void test_arguments(void **state)
{
    static const struct ph_client_metadata bad[] = {{"no spaces", "x"}};
    const struct ph_client_send_options metadata = {.metadata = bad, .metadata_count = 1};
    const struct ph_client_send_options ttl = {.ttl_seconds = 301};
    const struct {
        struct ph_client_options options;
        enum ph_err want;
    } rows[] = {
        {{.url = NULL}, PH_ERR_ARGUMENT},
        {{.url = "ftp://h/"}, PH_ERR_SYNTAX},
        {{.url = "ws://"}, PH_ERR_SYNTAX},
        {{.url = "ws://a b/"}, PH_ERR_SYNTAX},
        {{.url = "ws://user@h/"}, PH_ERR_SYNTAX},
        {{.url = "ws://h/#x"}, PH_ERR_SYNTAX},
        {{.url = "ws://h/\r\nx"}, PH_OK}, /* escaped */
        {{.url = "ws://h", .max_pending = 1001}, PH_ERR_ARGUMENT},
        {{.url = "ws://h", .max_incoming = 1001}, PH_ERR_ARGUMENT},
        {{.url = "ws://h", .max_queue = SIZE_MAX}, PH_ERR_ARGUMENT},
    };
    struct ph_client_options options = {.own_loop = 1};
    struct ph_client_stream *stream;
    struct ph_client *client;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        const char *why = NULL;

        assert_int_equal(ph_client_new(&rows[i].options, &client, &why), rows[i].want);
        assert_int_equal(why != NULL, rows[i].want != PH_OK);
        ph_client_free(client);
    }
    client = make(&options);
#define REFUSED(want, call) assert_int_equal(call, want)
    REFUSED(PH_ERR_ARGUMENT, ph_client_join_group(client, "", NULL, NULL));
    REFUSED(PH_ERR_ARGUMENT, ph_client_join_group(client, NULL, NULL, NULL));
    REFUSED(PH_ERR_ARGUMENT,
            ph_client_send_event(client, "1x", PH_DATA_TEXT, "", 0, NULL, NULL, NULL));
    REFUSED(PH_ERR_SYNTAX,
            ph_client_send_event(client, "x", PH_DATA_TEXT, "\xff", 1, NULL, NULL, NULL));
    REFUSED(PH_ERR_SYNTAX,
            ph_client_send_event(client, "x", PH_DATA_JSON, "{", 1, NULL, NULL, NULL));
    REFUSED(PH_ERR_SYNTAX,
            ph_client_send_event(client, "x", PH_DATA_JSON, "1,\"a\":2", 7, NULL, NULL, NULL));
    REFUSED(PH_ERR_ARGUMENT,
            ph_client_send_to_group(client, "g", PH_DATA_TEXT, NULL, 1, NULL, NULL, NULL));
    REFUSED(PH_ERR_ARGUMENT,
            ph_client_send_to_group(client, "g", PH_DATA_TEXT, "x", 1, &metadata, NULL, NULL));
    REFUSED(PH_ERR_ARGUMENT,
            ph_client_send_to_group(client, "g", PH_DATA_TEXT, "x", 1, &ttl, NULL, NULL));
    REFUSED(PH_ERR_UNSUPPORTED, ph_client_send(client, PH_DATA_TEXT, "x", 1, NULL, NULL));
    REFUSED(PH_ERR_ARGUMENT, ph_client_open_stream(client, "", NULL, &stream, NULL, NULL));
    REFUSED(PH_ERR_SYNTAX, ph_client_give_url(client, "x"));
    ph_client_free(client);
    options.protocol = PH_CLIENT_RAW;
    client = make(&options);
    REFUSED(PH_ERR_UNSUPPORTED, ph_client_join_group(client, "g", NULL, NULL));
    REFUSED(PH_ERR_UNSUPPORTED, ph_client_open_stream(client, "g", NULL, &stream, NULL, NULL));
    ph_client_free(client);
    ph_client_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_many_threads),
        cmocka_unit_test(test_a_url_for_each_connection),
        cmocka_unit_test(test_freed_under_load),
        cmocka_unit_test(test_freed_in_a_callback),
        cmocka_unit_test(test_incoming_streams),
        cmocka_unit_test(test_incoming_streams_end_with_their_client),
        cmocka_unit_test(test_own_loop),
        cmocka_unit_test(test_arguments),
    };

    return cmocka_run_group_tests(tests, start_broker, stop_broker);
}
