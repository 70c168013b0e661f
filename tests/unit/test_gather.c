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
    struct gather g = {0};
    struct buf out;
    uint32_t rest;

    buf__init(&out, 4096);
    assert_int_equal(gather__build(&g, &format, q->items, COUNT, 0), 51);
    join(&g, &out);
    assert_str(buf__view(&out), "plain<8:numbered#101><1:x#103><12:numbered too#104>");
    assert_int_equal(gather__done(&g, out.len, &rest), COUNT);
    assert_int_equal(rest, 0);
    buf__free(&out);
    gather__clear(&g);
}

/* What many clients wait for is laid out once; what differs between them is not shared. */
static void test_the_same_again(void **state)
{
    struct queue *q = *state;
    struct out_item plain[] = {q->items[0], q->items[2], q->items[0]}, other[3];
    struct gather g = {0};
    uint32_t rest;

    memcpy(other, plain, sizeof(other));
    assert_int_equal(gather__build(&g, &format, plain, 3, 0), 10);
    assert_int_equal(g.count, 1);
    g.copies[0] = 'P';
    assert_int_equal(gather__build(&g, &format, other, 3, 0), 10);
    assert_memory_equal(g.pieces[0].iov_base, "Plainplain", 10); /* still there */
    assert_int_equal(gather__done(&g, 10, &rest), 3);
    assert_int_equal(gather__done(&g, 9, &rest), 2);
    assert_int_equal(rest, 4);

    assert_int_equal(gather__build(&g, &format, other, 3, 1), 9); /* a client that is behind */
    assert_memory_equal(g.pieces[0].iov_base, "lainplain", 9);
    assert_int_equal(gather__build(&g, &format, other, 3, 0), 10);
    assert_memory_equal(g.pieces[0].iov_base, "plainplain", 10);
    other[1] = q->items[1]; /* one that has other frames */
    assert_int_equal(gather__build(&g, &format, other, 3, 0), 26);
    other[1].sequence_id = 7;
    assert_int_equal(gather__build(&g, &format, other, 3, 0), 24);
    assert_memory_equal(g.pieces[0].iov_base, "plain<8:numbered#7>plain", 24);
    gather__clear(&g);
}

/* Of sequenced frames, each client gets its own numbers in what is laid out for another. */
static void test_numbers_of_another(void **state)
{
    static const struct {
        uint64_t first, second;
        const char *bytes;
        bool anew;
    } cases[] = {
        {101, 102, "Plain<8:numbered#101>x<1:x#102>", false}, /* the same as the one before */
        {555, 102, "Plain<8:numbered#555>x<1:x#102>", false},
        {554, 999, "Plain<8:numbered#554>x<1:x#999>", false},
        {554, 1000, "plain<8:numbered#554>x<1:x#1000>", true}, /* one is longer */
        {9, 10, "plain<8:numbered#9>x<1:x#10>", true},
    };
    struct queue *q = *state;
    struct out_item items[] = {q->items[0], q->items[1], q->items[2], q->items[3]};
    struct gather g = {0};
    uint32_t rest;

    items[2].frame = frame__new(1);
    assert_non_null(items[2].frame);
    items[2].frame->bytes[0] = 'x';
    items[3].sequence_id = 102;
    gather__build(&g, &format, items, 4, 0);
    g.copies[0] = 'P'; /* until it is laid out anew */
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        size_t len = strlen(cases[i].bytes);

        items[1].sequence_id = cases[i].first;
        items[3].sequence_id = cases[i].second;
        assert_int_equal(gather__build(&g, &format, items, 4, 0), len);
        assert_int_equal(g.count, 1);
        assert_memory_equal(g.pieces[0].iov_base, cases[i].bytes, len);
        assert_int_equal(gather__done(&g, len, &rest), 4);
        assert_int_equal(gather__done(&g, len - 1, &rest), 3);
    }
    assert_int_equal(gather__build(&g, &format, items, 4, 1), 27); /* a client that is behind */
    assert_memory_equal(g.pieces[0].iov_base, "lain<8:numbered#9>x<1:x#10>", 27);
    gather__clear(&g);
    frame__unref(items[2].frame);
}

/* Another frame in the memory of one that has gone would be taken for it. */
static void test_frames_are_kept(void **state)
{
    struct queue *q = *state;
    const struct out_item plain[] = {q->items[0], q->items[2]};
    struct gather g = {0};

    gather__build(&g, &format, plain, 2, 0);
    assert_int_equal(plain[0].frame->refs, 2);
    assert_int_equal(plain[1].frame->refs, 2);
    gather__build(&g, &format, plain, 1, 0);
    assert_int_equal(plain[0].frame->refs, 2);
    assert_int_equal(plain[1].frame->refs, 1);
    gather__clear(&g);
    assert_int_equal(plain[0].frame->refs, 1);
}

static bool is_copied(const struct gather *g, const void *at)
{
    return (const char *)at >= g->copies && (const char *)at < g->copies + sizeof(g->copies);
}

/* Of frames of each length as many as there may be: copied as long as there is room. */
static void test_lengths(void **state)
{
    static struct gather g;
    static const uint32_t lengths[] = {1, GATHER_COPY, GATHER_COPY + 1};
    struct out_item items[GATHER_FRAMES];
    struct buf out;
    size_t total;

    (void)state;
    for (unsigned i = 0; i < 3 * 3; i++) {
        struct frame *f = frame__new(lengths[i / 3]);

        memset(f->bytes, 'x', f->len);
        f->sequenced = i % 3 == 1;
        for (unsigned j = 0; j < GATHER_FRAMES; j++)
            items[j] = (struct out_item){f, 10000000000000000000u};
        if (i % 3 == 2) { /* one alone */
            assert_int_equal(gather__build(&g, &format, items, 1, 0), f->len);
            assert_ptr_equal(g.pieces[0].iov_base, f->bytes);
        }
        buf__init(&out, 1 << 20);
        total = gather__build(&g, &format, items, GATHER_FRAMES, 0);
        join(&g, &out);
        assert_int_equal(out.len, total);
        /* with its private parts around it, a copy is one piece with them */
        assert_int_equal(is_copied(&g, g.pieces[f->len > GATHER_COPY && f->sequenced].iov_base),
                         f->len <= GATHER_COPY);
        buf__free(&out);
        gather__clear(&g);
        frame__unref(f);
    }
}

/* Writes the queue through a socket that takes `step` bytes at a time. */
static void drain(struct queue *q, size_t step, struct buf *out)
{
    size_t first = 0;
    uint32_t written = 0;
    struct gather g = {0};

    while (first < COUNT) {
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
    gather__clear(&g);
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
        cmocka_unit_test_setup_teardown(test_the_same_again, setup, teardown),
        cmocka_unit_test_setup_teardown(test_numbers_of_another, setup, teardown),
        cmocka_unit_test_setup_teardown(test_frames_are_kept, setup, teardown),
        cmocka_unit_test(test_lengths),
        cmocka_unit_test_setup_teardown(test_cut_everywhere, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
