/* Watches that are called, paused and taken away while a batch is worked on. */
#include "broker/net/poller.h"
#include "unit.h"

#include <stddef.h>
#include <unistd.h>

#define COUNT 3

struct scene {
    uv_loop_t loop;
    struct poller poller;
    struct end {
        struct poller_watch watch;
        struct scene *scene;
        int fd, other; /* readable from the start, and as long as it is open */
        unsigned called, fetched;
        bool gone;
    } ends[COUNT];
    void (*on_ready)(struct scene *sc, struct end *e);
};

static void ready(struct poller_watch *watch, uint32_t events)
{
    struct end *e = (struct end *)watch;

    assert_int_equal(events, EPOLLIN);
    e->called++;
    if (e->scene->on_ready)
        e->scene->on_ready(e->scene, e);
}

static void fetch(const struct poller_watch *watch)
{
    struct end *e = (struct end *)(uintptr_t)watch;

    assert_false(e->gone);
    e->fetched++;
}

static const struct poller_ops watch_ops = {.ready = ready, .fetch = fetch};

static unsigned calls(const struct scene *sc)
{
    unsigned sum = 0;

    for (int i = 0; i < COUNT; i++)
        sum += sc->ends[i].called;
    return sum;
}

static unsigned fetches(const struct scene *sc)
{
    unsigned sum = 0;

    for (int i = 0; i < COUNT; i++)
        sum += sc->ends[i].fetched;
    return sum;
}

static int open_scene(void **state, uint32_t events)
{
    static struct scene scene;
    struct scene *sc = &scene;

    *sc = (struct scene){0};
    assert_int_equal(uv_loop_init(&sc->loop), 0);
    assert_true(poller__open(&sc->poller, &sc->loop));
    for (int i = 0; i < COUNT; i++) {
        struct end *e = &sc->ends[i];
        int fds[2];

        assert_int_equal(pipe(fds), 0);
        assert_int_equal(write(fds[1], "x", 1), 1);
        *e = (struct end){.watch.ops = &watch_ops, .scene = sc, .fd = fds[0], .other = fds[1]};
        assert_true(poller__add(&sc->poller, &e->watch, e->fd, events));
    }
    *state = sc;
    return 0;
}

static int setup(void **state)
{
    return open_scene(state, EPOLLIN);
}

static int setup_edges(void **state)
{
    return open_scene(state, EPOLLIN | EPOLLET);
}

static int teardown(void **state)
{
    struct scene *sc = *state;

    poller__close(&sc->poller);
    uv_run(&sc->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&sc->loop), 0);
    for (int i = 0; i < COUNT; i++) {
        close(sc->ends[i].fd);
        close(sc->ends[i].other);
    }
    return 0;
}

static void each_is_called_once_a_look(void **state)
{
    struct scene *sc = *state;

    assert_true(poller__look(&sc->poller));
    assert_int_equal(calls(sc), COUNT);
    assert_int_equal(fetches(sc), COUNT - 1); /* each while the one before is worked on */
    assert_true(poller__look(&sc->poller));
    assert_int_equal(calls(sc), 2 * COUNT);
    for (int i = 0; i < COUNT; i++)
        poller__remove(&sc->poller, &sc->ends[i].watch);
    assert_false(poller__look(&sc->poller));
}

static void an_edge_is_told_of_once(void **state)
{
    struct scene *sc = *state;

    assert_true(poller__look(&sc->poller));
    assert_int_equal(calls(sc), COUNT);
    assert_false(poller__look(&sc->poller));
    poller__again(&sc->poller, &sc->ends[1].watch);
    assert_true(poller__look(&sc->poller));
    assert_int_equal(sc->ends[1].called, 2);
    assert_int_equal(calls(sc), COUNT + 1);
    poller__change(&sc->poller, &sc->ends[1].watch, EPOLLIN);
    assert_true(poller__look(&sc->poller));
    assert_true(poller__look(&sc->poller));
    assert_int_equal(sc->ends[1].called, 4);
}

static void pause_it(struct scene *sc, struct end *e)
{
    (void)e;
    poller__pause(&sc->poller, true);
}

/* What is left of the batch comes again. */
static void a_pause_begins_at_once(void **state)
{
    struct scene *sc = *state;

    sc->on_ready = pause_it;
    poller__look(&sc->poller);
    assert_int_equal(calls(sc), 1);
    assert_false(poller__look(&sc->poller));
    uv_run(&sc->loop, UV_RUN_NOWAIT);
    assert_int_equal(calls(sc), 1);
    poller__pause(&sc->poller, false);
    sc->on_ready = NULL;
    uv_run(&sc->loop, UV_RUN_NOWAIT);
    assert_int_equal(calls(sc), 1 + COUNT);
}

static void edges_are_not_lost_in_a_pause(void **state)
{
    struct scene *sc = *state;

    sc->on_ready = pause_it;
    poller__look(&sc->poller);
    assert_int_equal(calls(sc), 1);
    sc->on_ready = NULL;
    poller__pause(&sc->poller, false);
    uv_run(&sc->loop, UV_RUN_NOWAIT);
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(sc->ends[i].called, 1);
    assert_false(poller__look(&sc->poller));
}

static void remove_others(struct scene *sc, struct end *e)
{
    for (int i = 0; i < COUNT; i++) {
        if (&sc->ends[i] != e) {
            poller__remove(&sc->poller, &sc->ends[i].watch);
            sc->ends[i].gone = true;
        }
    }
}

static void who_is_removed_is_not_called(void **state)
{
    struct scene *sc = *state;

    sc->on_ready = remove_others;
    assert_true(poller__look(&sc->poller));
    assert_int_equal(calls(sc), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_is_called_once_a_look, setup, teardown),
        cmocka_unit_test_setup_teardown(a_pause_begins_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(an_edge_is_told_of_once, setup_edges, teardown),
        cmocka_unit_test_setup_teardown(edges_are_not_lost_in_a_pause, setup_edges, teardown),
        cmocka_unit_test_setup_teardown(who_is_removed_is_not_called, setup, teardown),
        cmocka_unit_test_setup_teardown(who_is_removed_is_not_called, setup_edges, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
