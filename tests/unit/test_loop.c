/* The loop behind one descriptor: descriptors, timers, the wake-up, and what happens when
 * one of them is removed by another in the same turn. */
#include "base/clock.h"
#include "loop/loop.h"
#include "unit.h"

#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

struct pipe_watch {
    struct loop_watch watch;
    struct loop *loop;
    struct pipe_watch *victim; /* freed when this one is ready */
    int read_end, write_end;
    int ready;
};

static bool is_readable(struct loop *l)
{
    struct pollfd p = {.fd = loop__fd(l), .events = POLLIN};

    return poll(&p, 1, 0) == 1;
}

static void pipe_free(struct pipe_watch *p)
{
    loop__unwatch(p->loop, &p->watch);
    close(p->read_end);
    close(p->write_end);
    free(p);
}

static void pipe_ready(struct loop_watch *w, unsigned events)
{
    struct pipe_watch *p = w->ctx;
    char byte;

    assert_true(events & EPOLLIN);
    assert_int_equal(read(p->read_end, &byte, 1), 1);
    p->ready++;
    if (p->victim) {
        pipe_free(p->victim);
        p->victim = NULL;
    }
}

static struct pipe_watch *pipe_new(struct loop *l)
{
    struct pipe_watch *p = calloc(1, sizeof(*p));
    int ends[2];

    assert_non_null(p);
    assert_int_equal(pipe(ends), 0);
    p->loop = l;
    p->read_end = ends[0];
    p->write_end = ends[1];
    p->watch.ready = pipe_ready;
    p->watch.ctx = p;
    assert_true(loop__watch(l, &p->watch, p->read_end, EPOLLIN));
    return p;
}

static void test_descriptors(void **state)
{
    struct loop *l = loop__new();
    struct pipe_watch *p = pipe_new(l);

    (void)state;
    assert_false(is_readable(l));
    assert_int_equal(write(p->write_end, "ab", 2), 2);
    assert_true(is_readable(l));
    loop__process(l);
    assert_int_equal(p->ready, 1);
    assert_true(is_readable(l)); /* level-triggered */
    loop__process(l);
    assert_false(is_readable(l));
    assert_int_equal(write(p->write_end, "c", 1), 1);
    assert_true(loop__rewatch(l, &p->watch, 0));
    assert_false(is_readable(l));
    assert_true(loop__rewatch(l, &p->watch, EPOLLIN));
    loop__process(l);
    assert_int_equal(p->ready, 3);
    pipe_free(p);
    loop__free(l);
}

/* Whichever is told first frees the other, which must not be told any more. */
static void test_removed_within_the_turn(void **state)
{
    struct loop *l = loop__new();
    struct pipe_watch *a = pipe_new(l), *b = pipe_new(l);

    (void)state;
    a->victim = b;
    b->victim = a;
    assert_int_equal(write(a->write_end, "a", 1), 1);
    assert_int_equal(write(b->write_end, "b", 1), 1);
    loop__process(l);
    assert_false(is_readable(l));
    pipe_free(a->ready ? a : b);
    loop__free(l);
}

struct ringing {
    struct loop_timer timer;
    struct loop *loop;
    int rings, again;
    int *order, place;
};

static void ring(struct loop_timer *t)
{
    struct ringing *r = t->ctx;

    r->rings++;
    if (r->order)
        r->place = ++*r->order;
    if (r->again-- > 0)
        loop__set_timer(r->loop, t, 0);
}

static void test_timers(void **state)
{
    struct loop *l = loop__new();
    int order = 0;
    struct ringing soon = {.timer.ring = ring, .loop = l, .order = &order};
    struct ringing late = soon, never = soon;
    int64_t start = clock__mono_ms();

    (void)state;
    soon.timer.ctx = &soon;
    late.timer.ctx = &late;
    never.timer.ctx = &never;
    assert_true(loop__add_timer(l, &soon.timer));
    assert_true(loop__add_timer(l, &late.timer));
    assert_true(loop__add_timer(l, &never.timer));
    assert_false(is_readable(l));
    loop__set_timer(l, &late.timer, start + 30);
    loop__set_timer(l, &never.timer, start + 20);
    loop__set_timer(l, &soon.timer, start + 10);
    loop__clear_timer(l, &never.timer);
    while (!late.rings)
        loop__run(l, -1);
    assert_true(clock__mono_ms() >= start + 30);
    assert_int_equal(soon.rings, 1);
    assert_int_equal(soon.place, 1);
    assert_int_equal(late.place, 2);
    assert_int_equal(never.rings, 0);
    loop__set_timer(l, &soon.timer, 0); /* long ago */
    assert_true(is_readable(l));
    loop__process(l);
    assert_int_equal(soon.rings, 2);
    assert_false(is_readable(l));
    loop__remove_timer(l, &soon.timer);
    loop__remove_timer(l, &late.timer);
    loop__remove_timer(l, &never.timer);
    loop__free(l);
}

static void test_a_timer_that_sets_itself_rings_once_a_turn(void **state)
{
    struct loop *l = loop__new();
    struct ringing r = {.timer.ring = ring, .loop = l, .again = 3};

    (void)state;
    r.timer.ctx = &r;
    assert_true(loop__add_timer(l, &r.timer));
    loop__set_timer(l, &r.timer, 0);
    for (int turn = 1; turn <= 4; turn++) {
        loop__run(l, -1);
        assert_int_equal(r.rings, turn);
    }
    assert_int_equal(r.again, -1);
    loop__remove_timer(l, &r.timer);
    loop__free(l);
}

static void count(void *ctx)
{
    ++*(int *)ctx;
}

static void *wake_often(void *arg)
{
    for (int i = 0; i < 1000; i++)
        loop__wake(arg);
    return NULL;
}

static void test_wake(void **state)
{
    struct loop *l = loop__new();
    pthread_t thread;
    int woken = 0;

    (void)state;
    loop__on_wake(l, count, &woken);
    loop__process(l);
    assert_int_equal(woken, 0);
    loop__wake(l);
    loop__wake(l);
    loop__process(l);
    assert_int_equal(woken, 1);
    assert_int_equal(pthread_create(&thread, NULL, wake_often, l), 0);
    loop__run(l, -1);
    assert_int_equal(pthread_join(thread, NULL), 0);
    loop__process(l);
    assert_true(woken >= 2);
    assert_false(is_readable(l));
    loop__free(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_descriptors),
        cmocka_unit_test(test_removed_within_the_turn),
        cmocka_unit_test(test_timers),
        cmocka_unit_test(test_a_timer_that_sets_itself_rings_once_a_turn),
        cmocka_unit_test(test_wake),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
