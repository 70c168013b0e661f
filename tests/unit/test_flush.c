/* A loop turn over real sockets: what is read, who is written to, and how much at once. */
#include "broker/net/gather.h"
#include "broker/net/transport.h"
#include "broker/wire/formats.h"
#include "core_shell.h"
#include "unit.h"

#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define MEMBERS 100
#define LARGE 100000 /* bytes: fits into a socket, and so many fill more than a turn */

static const unsigned char ping_frame[] = {0x89, 0x80, 0, 0, 0, 0};

struct scene {
    uv_loop_t loop;
    struct transports all;
    struct core *core;
    int client[MEMBERS]; /* the other ends */
};

static void on_close(void *ctx, struct transport *t, uint16_t code, struct str reason)
{
    (void)ctx;
    transport__close(t, code, reason);
}

static void on_abort(void *ctx, struct transport *t)
{
    (void)ctx;
    transport__abort(t);
}

static const struct core_ops ops = {CORE_SHELL_OPS, .event = core_shell__event, .close = on_close,
                                    .abort = on_abort, .ended = core_shell__ended};

static void connect_member(struct scene *sc, int i)
{
    char id[16];
    int ends[2], n = snprintf(id, sizeof(id), "%d", i);
    struct session_config config = {.hub = STR("h"),
                                    .connection_id = str__n(id, (size_t)n),
                                    .format = &format_raw,
                                    .groups = &STR("g"),
                                    .group_count = 1};
    struct session *s = session__new(sc->core, &config);
    struct transport *t;

    assert_non_null(s);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    sc->client[i] = ends[1];
    t = transport__new(&sc->all, ends[0], s, 30);
    assert_non_null(t);
    session__attach(s, t, STR_NONE);
}

static int setup(void **state)
{
    struct scene *sc = calloc(1, sizeof(*sc));
    struct core_config config = {
        .limits = CORE_LIMITS_DEFAULT, .ops = &ops, .ctx = sc, .seed = {1, 2}};

    assert_non_null(sc);
    assert_int_equal(uv_loop_init(&sc->loop), 0);
    assert_true(transports__open(&sc->all, &sc->loop, 5, core_shell__now, NULL));
    sc->core = core__new(&config);
    assert_non_null(sc->core);
    for (int i = 0; i < MEMBERS; i++)
        connect_member(sc, i);
    *state = sc;
    return 0;
}

static int teardown(void **state)
{
    struct scene *sc = *state;

    transports__close(&sc->all);
    core__free(sc->core);
    uv_run(&sc->loop, UV_RUN_DEFAULT);
    uv_loop_close(&sc->loop);
    for (int i = 0; i < MEMBERS; i++)
        close(sc->client[i]);
    free(sc);
    return 0;
}

static void send_to(struct scene *sc, enum scope scope, const char *name, size_t len)
{
    static char data[LARGE];
    struct message *m = message__new(&(struct message){
        .from = MESSAGE_FROM_SERVER, .type = PH_DATA_BINARY, .data = str__n(data, len)});
    struct hub_command cmd = {
        .op = HUB_SEND, .scope = scope, .hub = STR("h"), .name = str__of(name), .message = m};

    core__apply(sc->core, &cmd, NULL);
    message__unref(m);
}

static int arrived(const struct scene *sc, int i)
{
    int bytes = -1;

    assert_int_equal(ioctl(sc->client[i], FIONREAD, &bytes), 0);
    return bytes;
}

static int members_with(const struct scene *sc, int bytes)
{
    int count = 0;

    for (int i = 0; i < MEMBERS; i++)
        count += arrived(sc, i) == bytes;
    return count;
}

/* Whoever says something in the meantime is answered with the next part, not behind the last
 * one; what it waits for itself goes along. */
static void many_are_written_to_in_turns(void **state)
{
    struct scene *sc = *state;
    const int whole = 10 + LARGE;
    int first, waits = 0;

    send_to(sc, SCOPE_GROUP, "g", LARGE);
    assert_false(transports__flush(&sc->all, sc->core));
    first = members_with(sc, whole);
    assert_in_range(first, 1, MEMBERS - 1);
    assert_int_equal(members_with(sc, 0), MEMBERS - first);

    while (arrived(sc, waits) > 0)
        waits++;
    send_to(sc, SCOPE_GROUP, "g", LARGE); /* the others again, behind those who wait */
    assert_false(poller__look(&sc->all.poller));
    assert_int_equal(write(sc->client[waits], ping_frame, sizeof(ping_frame)), sizeof(ping_frame));
    assert_true(poller__look(&sc->all.poller));
    assert_false(transports__flush(&sc->all, sc->core));
    assert_true(arrived(sc, waits) > 2);

    for (int turns = 0; !transports__flush(&sc->all, sc->core); turns++)
        assert_in_range(turns, 0, 10);
    assert_int_equal(members_with(sc, 0), 0);
}

static void a_small_message_to_all_is_one_turn(void **state)
{
    struct scene *sc = *state;

    send_to(sc, SCOPE_HUB, NULL, 10);
    send_to(sc, SCOPE_HUB, NULL, 11);
    assert_true(transports__flush(&sc->all, sc->core));
    assert_int_equal(sc->all.work, MEMBERS); /* one write each */
    assert_int_equal(members_with(sc, 2 + 10 + 2 + 11), MEMBERS);
    assert_int_equal(sc->all.gather->held, 0); /* frames are let go of */
}

/* More than a turn's work, but who has as much to read may not get more before it. */
static void many_messages_for_each_are_one_turn(void **state)
{
    struct scene *sc = *state;
    const int len = 3000;

    for (int i = 0; i < CORE_BURST; i++)
        send_to(sc, SCOPE_GROUP, "g", (size_t)len);
    assert_true(transports__flush(&sc->all, sc->core));
    assert_int_equal(members_with(sc, CORE_BURST * (4 + len)), MEMBERS);
}

static void who_has_gone_is_counted(void **state)
{
    struct scene *sc = *state;

    shutdown(sc->client[3], SHUT_RDWR);
    assert_true(poller__look(&sc->all.poller));
    assert_int_equal(sc->all.ended, 1);
    assert_int_equal(sc->all.count, MEMBERS - 1);
}

/* Nothing is tried in vain: a write that fails would be work, too. */
static void a_slow_client_costs_the_others_nothing(void **state)
{
    struct scene *sc = *state;
    uint64_t before;

    while (sc->all.blocked == 0) {
        send_to(sc, SCOPE_CONNECTION, "7", LARGE);
        transports__flush(&sc->all, sc->core);
    }
    before = sc->all.work;
    for (int i = 0; i < 10; i++) {
        send_to(sc, SCOPE_GROUP, "g", 10);
        assert_true(transports__flush(&sc->all, sc->core));
    }
    assert_int_equal(sc->all.work - before, 10 * (MEMBERS - 1));
    assert_int_equal(members_with(sc, 10 * (2 + 10)), MEMBERS - 1);
}

/* Others are told of what is about to be read, whatever makes the shard write. */
static int unread_when_told;

static void on_writing(void *ctx)
{
    const struct scene *sc = ctx;

    if (arrived(sc, 7) == 0)
        unread_when_told++;
}

static void nobody_reads_before_others_are_told(void **state)
{
    static char read_by_it[LARGE];
    struct scene *sc = *state;

    sc->all.writing = on_writing;
    sc->all.ctx = sc;
    send_to(sc, SCOPE_CONNECTION, "7", 10);
    assert_true(transports__flush(&sc->all, sc->core));
    assert_int_equal(unread_when_told, 1);

    while (sc->all.blocked == 0) {
        send_to(sc, SCOPE_CONNECTION, "7", LARGE);
        transports__flush(&sc->all, sc->core);
    }
    while (arrived(sc, 7) > 0)
        assert_true(read(sc->client[7], read_by_it, sizeof(read_by_it)) > 0);
    unread_when_told = 0;
    assert_true(poller__look(&sc->all.poller)); /* which writes on its own */
    assert_int_equal(unread_when_told, 1);
    assert_true(arrived(sc, 7) > 0);
}

/* --- Input ------------------------------------------------------------------ */

#define PINGS ((int)TRANSPORT_READ_SIZE / 6 + 100) /* more bytes than one read takes */

/* Sockets are watched for edges: nothing but the first read tells that there is more. */
static void what_one_read_cannot_hold_comes_with_the_next(void **state)
{
    static unsigned char pings[PINGS][sizeof(ping_frame)];
    struct scene *sc = *state;

    for (int i = 0; i < PINGS; i++)
        memcpy(pings[i], ping_frame, sizeof(ping_frame));
    assert_int_equal(write(sc->client[3], pings, sizeof(pings)), sizeof(pings));
    assert_true(poller__look(&sc->all.poller));
    assert_true(poller__look(&sc->all.poller));
    assert_false(poller__look(&sc->all.poller));
    assert_true(transports__flush(&sc->all, sc->core));
    assert_int_equal(arrived(sc, 3), 2 * PINGS);
}

static void the_end_behind_the_last_bytes_is_seen(void **state)
{
    struct scene *sc = *state;

    assert_int_equal(write(sc->client[3], ping_frame, sizeof(ping_frame)), sizeof(ping_frame));
    assert_int_equal(shutdown(sc->client[3], SHUT_WR), 0);
    assert_true(poller__look(&sc->all.poller));
    assert_int_equal(sc->all.count, MEMBERS);
    assert_true(transports__flush(&sc->all, sc->core));
    assert_int_equal(arrived(sc, 3), 2);
    assert_true(poller__look(&sc->all.poller));
    assert_int_equal(sc->all.count, MEMBERS - 1);
}

/* A socket that was full is watched for edges again, and loses none meanwhile. */
static void who_reads_again_is_heard_again(void **state)
{
    static char read_by_it[LARGE];
    struct scene *sc = *state;

    while (sc->all.blocked == 0) {
        send_to(sc, SCOPE_CONNECTION, "7", LARGE);
        transports__flush(&sc->all, sc->core);
    }
    assert_int_equal(write(sc->client[7], ping_frame, sizeof(ping_frame)), sizeof(ping_frame));
    assert_true(poller__look(&sc->all.poller));
    while (sc->all.blocked > 0 || arrived(sc, 7) > 0) {
        assert_true(read(sc->client[7], read_by_it, sizeof(read_by_it)) > 0);
        poller__look(&sc->all.poller);
        transports__flush(&sc->all, sc->core);
    }
    assert_int_equal(write(sc->client[7], ping_frame, sizeof(ping_frame)), sizeof(ping_frame));
    assert_true(poller__look(&sc->all.poller));
    assert_true(transports__flush(&sc->all, sc->core));
    assert_int_equal(arrived(sc, 7), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(many_are_written_to_in_turns, setup, teardown),
        cmocka_unit_test_setup_teardown(a_small_message_to_all_is_one_turn, setup, teardown),
        cmocka_unit_test_setup_teardown(many_messages_for_each_are_one_turn, setup, teardown),
        cmocka_unit_test_setup_teardown(who_has_gone_is_counted, setup, teardown),
        cmocka_unit_test_setup_teardown(a_slow_client_costs_the_others_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(nobody_reads_before_others_are_told, setup, teardown),
        cmocka_unit_test_setup_teardown(what_one_read_cannot_hold_comes_with_the_next, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(the_end_behind_the_last_bytes_is_seen, setup, teardown),
        cmocka_unit_test_setup_teardown(who_reads_again_is_heard_again, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
