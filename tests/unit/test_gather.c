/* Gathered writes: cut at every byte, the parts are the same bytes as the whole. */
#include "base/buf.h"
#include "broker/net/gather.h"
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>

#define COUNT 5

static void enclose(const struct frame *f, uint64_t sequence_id, char head[FORMAT_MAX_HEAD],
                    size_t *head_len, char tail[FORMAT_MAX_TAIL], size_t *tail_len)
{
    *head_len = (size_t)snprintf(head, FORMAT_MAX_HEAD, "<%u:", f->len);
    *tail_len = (size_t)snprintf(tail, FORMAT_MAX_TAIL, "#%llu>", (unsigned long long)sequence_id);
}

static const struct format format = {.enclose = enclose};

struct queue {
    struct out_item items[COUNT];
};

static int setup(void **state)
{
    static const char *texts[COUNT] = {"plain", "numbered", "", "x", "numbered too"};
    struct queue *q = calloc(1, sizeof(*q));

    assert_non_null(q);
    for (unsigned i = 0; i < COUNT; i++) {
        struct frame *f = frame__new((uint32_t)strlen(texts[i]));

        assert_non_null(f);
        memcpy(f->bytes, texts[i], f->len);
        f->sequenced = i % 2 == 1 || i == 4;
        q->items[i] = (struct out_item){f, 100 + i};
    }
    *state = q;
    return 0;
}

static int teardown(void **state)
{
    struct queue *q = *state;

    for (unsigned i = 0; i < COUNT; i++)
        frame__unref(q->items[i].frame);
    free(q);
    return 0;
}

static void join(const struct gather *g, struct buf *out)
{
    for (size_t i = 0; i < g->count; i++)
        buf__append(out, g->pieces[i].iov_base, g->pieces[i].iov_len);
}

static void test_whole(void **state)
{
    struct queue *q = *state;
    struct gather g;
    struct buf out;
    uint32_t rest;

    buf__init(&out, 4096);
    assert_int_equal(gather__build(&g, &format, q->items, COUNT, 0), 51);
    join(&g, &out);
    assert_str(buf__view(&out), "plain<8:numbered#101><1:x#103><12:numbered too#104>");
    assert_int_equal(gather__done(&g, out.len, &rest), COUNT);
    assert_int_equal(rest, 0);
    buf__free(&out);
}

/* Writes the queue through a socket that takes `step` bytes at a time. */
static void drain(struct queue *q, size_t step, struct buf *out)
{
    size_t first = 0;
    uint32_t written = 0;

    while (first < COUNT) {
        struct gather g;
        size_t left = gather__build(&g, &format, q->items + first, COUNT - first, written);
        size_t taken = left < step ? left : step;
        struct buf all;

        buf__init(&all, 4096);
        join(&g, &all);
        assert_int_equal(all.len, left);
        buf__append(out, all.data ? all.data : "", taken);
        buf__free(&all);
        first += gather__done(&g, taken + written, &written);
    }
    assert_int_equal(written, 0);
}

static void test_cut_everywhere(void **state)
{
    struct buf whole, parts;

    buf__init(&whole, 4096);
    drain(*state, 4096, &whole);
    for (size_t step = 1; step <= whole.len; step++) {
        buf__init(&parts, 4096);
        drain(*state, step, &parts);
        assert_true(str__eq(buf__view(&parts), buf__view(&whole)));
        buf__free(&parts);
    }
    buf__free(&whole);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_whole, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cut_everywhere, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
