/* The outgoing queue: limits, order, what stays until acknowledged, and a comparison of
 * long random lives with a naive list. */
#include "broker/core/outbox.h"
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>

enum kind { PLAIN, NUMBERED, CONTROL };

static const struct queue_limits wide = {1000, 1u << 20};

static struct frame *frame_of(enum kind kind, uint32_t len)
{
    struct frame *f = frame__new(len);

    assert_non_null(f);
    f->sequenced = kind == NUMBERED;
    f->control = kind == CONTROL;
    return f;
}

static enum outbox_result push_mortal(struct outbox *o, enum kind kind, uint32_t len,
                                      int64_t expires_ms, const struct queue_limits *limits)
{
    struct frame *f = frame_of(kind, len);
    enum outbox_result result;

    f->expires_ms = expires_ms;
    result = outbox__push(o, f, limits);

    assert_int_equal(f->refs, result == OUTBOX_OK ? 2 : 1);
    frame__unref(f);
    return result;
}

static enum outbox_result push(struct outbox *o, enum kind kind, uint32_t len,
                               const struct queue_limits *limits)
{
    return push_mortal(o, kind, len, 0, limits);
}

static size_t pending(const struct outbox *o)
{
    struct out_item items[4096];

    return outbox__peek(o, items, 4096);
}

static void messages_stop_at_the_limit(void **state)
{
    struct queue_limits limits = {3, 1000};
    struct outbox o = {0};

    (void)state;
    assert_int_equal(push(&o, PLAIN, 1, &limits), OUTBOX_OK);
    assert_int_equal(push(&o, PLAIN, 1, &limits), OUTBOX_OK);
    assert_int_equal(push(&o, PLAIN, 1, &limits), OUTBOX_OK);
    assert_int_equal(push(&o, PLAIN, 1, &limits), OUTBOX_FULL);
    outbox__written(&o, 1, false);
    assert_int_equal(push(&o, PLAIN, 1, &limits), OUTBOX_OK);
    outbox__free(&o);
}

static void bytes_stop_at_the_limit(void **state)
{
    struct queue_limits limits = {100, 10};
    struct outbox o = {0};

    (void)state;
    assert_int_equal(push(&o, PLAIN, 9, &limits), OUTBOX_OK);
    assert_int_equal(push(&o, PLAIN, 2, &limits), OUTBOX_FULL);
    assert_int_equal(push(&o, PLAIN, 1, &limits), OUTBOX_OK);
    assert_int_equal(push(&o, PLAIN, 0, &limits), OUTBOX_OK);
    assert_int_equal(push(&o, PLAIN, 1, &limits), OUTBOX_FULL);
    outbox__free(&o);
}

static void an_empty_queue_takes_one_of_any_size(void **state)
{
    struct queue_limits limits = {100, 10};
    struct outbox o = {0};

    (void)state;
    assert_int_equal(push(&o, PLAIN, 11, &limits), OUTBOX_OK);
    assert_int_equal(push(&o, PLAIN, 0, &limits), OUTBOX_FULL);
    assert_int_equal(push(&o, CONTROL, OUTBOX_CONTROL_BYTES, &limits), OUTBOX_OK);
    assert_int_equal(push(&o, CONTROL, 1, &limits), OUTBOX_FULL);
    outbox__written(&o, 2, false);
    assert_int_equal(push(&o, NUMBERED, 11, &limits), OUTBOX_OK);
    outbox__written(&o, 1, false);
    assert_int_equal(push(&o, NUMBERED, 0, &limits), OUTBOX_FULL);
    outbox__ack(&o, 1);
    assert_int_equal(push(&o, NUMBERED, 11, &limits), OUTBOX_OK);
    outbox__free(&o);
}

static void control_frames_go_a_little_beyond(void **state)
{
    struct queue_limits limits = {2, 10};
    struct outbox o = {0};

    (void)state;
    push(&o, PLAIN, 5, &limits);
    push(&o, PLAIN, 5, &limits);
    for (int i = 0; i < OUTBOX_CONTROL_MESSAGES; i++)
        assert_int_equal(push(&o, CONTROL, 1, &limits), OUTBOX_OK);
    assert_int_equal(push(&o, CONTROL, 1, &limits), OUTBOX_FULL);
    outbox__free(&o);

    push(&o, PLAIN, 10, &limits);
    assert_int_equal(push(&o, CONTROL, OUTBOX_CONTROL_BYTES + 1, &limits), OUTBOX_FULL);
    assert_int_equal(push(&o, CONTROL, OUTBOX_CONTROL_BYTES, &limits), OUTBOX_OK);
    assert_int_equal(push(&o, CONTROL, 1, &limits), OUTBOX_FULL);
    outbox__free(&o);
}

static void numbered_frames_count_until_acknowledged(void **state)
{
    struct queue_limits limits = {2, 1000};
    struct outbox o = {0};

    (void)state;
    push(&o, NUMBERED, 1, &limits);
    push(&o, NUMBERED, 1, &limits);
    outbox__written(&o, 2, false);
    assert_int_equal(pending(&o), 0);
    assert_int_equal(push(&o, NUMBERED, 1, &limits), OUTBOX_FULL);
    outbox__ack(&o, 1);
    assert_int_equal(push(&o, NUMBERED, 1, &limits), OUTBOX_OK);
    assert_int_equal(o.sequence, 3);
    outbox__free(&o);
}

static void a_rewound_queue_starts_with_what_is_kept(void **state)
{
    struct outbox o = {0};
    struct out_item items[8];
    struct frame *hello = frame_of(CONTROL, 5);

    (void)state;
    push(&o, NUMBERED, 1, &wide);
    push(&o, CONTROL, 2, &wide);
    push(&o, NUMBERED, 3, &wide);
    push(&o, CONTROL, 4, &wide);
    outbox__written(&o, 3, false);
    outbox__rewind(&o);
    assert_true(outbox__push_front(&o, hello));
    frame__unref(hello);
    assert_int_equal(outbox__peek(&o, items, 8), 3);
    assert_int_equal(items[0].frame->len, 5);
    assert_int_equal(items[1].sequence_id, 1);
    assert_int_equal(items[2].sequence_id, 2);
    outbox__free(&o);
}

static void an_empty_queue_gives_a_burst_back(void **state)
{
    struct outbox o = {0};

    (void)state;
    push(&o, PLAIN, 1, &wide);
    outbox__written(&o, 1, false);
    assert_non_null(o.items);
    for (int i = 0; i < 100; i++)
        push(&o, PLAIN, 1, &wide);
    outbox__written(&o, 99, false);
    assert_non_null(o.items);
    outbox__written(&o, 1, false);
    assert_null(o.items);
    assert_int_equal(push(&o, PLAIN, 1, &wide), OUTBOX_OK);
    outbox__free(&o);
}

static void pongs_beside_unacknowledged_messages_cost_nothing(void **state)
{
    struct outbox o = {0};

    (void)state;
    for (int i = 0; i < 100; i++)
        push(&o, NUMBERED, 1, &wide);
    outbox__written(&o, 100, false);
    for (int i = 0; i < 10000; i++) {
        push(&o, CONTROL, 1, &wide);
        outbox__written(&o, 1, false);
    }
    assert_true(o.size <= 256);
    outbox__free(&o);
}

static void what_expires_leaves_and_makes_room(void **state)
{
    struct queue_limits limits = {4, 1000};
    struct outbox o = {0};
    struct out_item items[8];

    (void)state;
    push_mortal(&o, NUMBERED, 10, 500, &limits);
    push_mortal(&o, NUMBERED, 20, 300, &limits);
    push(&o, NUMBERED, 30, &limits);
    push_mortal(&o, NUMBERED, 40, 400, &limits);
    assert_int_equal(push(&o, NUMBERED, 50, &limits), OUTBOX_FULL);
    assert_false(outbox__expired(&o, 299));
    assert_true(outbox__expired(&o, 300));
    outbox__written(&o, 2, false); /* the first two are kept */
    outbox__expire(&o, 400);
    assert_int_equal(o.messages, 2);
    assert_int_equal(o.message_bytes, 40);
    assert_false(outbox__expired(&o, 499));
    assert_int_equal(push(&o, NUMBERED, 50, &limits), OUTBOX_OK);
    outbox__rewind(&o);
    assert_int_equal(outbox__peek(&o, items, 8), 3);
    assert_int_equal(items[0].sequence_id, 1);
    assert_int_equal(items[1].sequence_id, 3);
    assert_int_equal(items[2].sequence_id, 5);
    outbox__expire(&o, 500);
    assert_int_equal(outbox__peek(&o, items, 8), 2);
    assert_false(outbox__expired(&o, INT64_MAX));
    outbox__free(&o);
}

static void a_frame_that_is_begun_is_finished(void **state)
{
    struct outbox o = {0};
    struct out_item items[8];

    (void)state;
    push_mortal(&o, PLAIN, 1, 100, &wide);
    push_mortal(&o, PLAIN, 2, 100, &wide);
    push_mortal(&o, PLAIN, 3, 200, &wide);
    outbox__written(&o, 0, true);
    outbox__expire(&o, 100);
    assert_int_equal(outbox__peek(&o, items, 8), 2);
    assert_int_equal(items[0].frame->len, 1);
    assert_int_equal(items[1].frame->len, 3);
    outbox__written(&o, 1, false);
    outbox__expire(&o, 200);
    assert_int_equal(pending(&o), 0);
    assert_int_equal(o.messages + o.message_bytes, 0);
    outbox__free(&o);
}

/* --- Against a naive model --------------------------------------------------- */

#define MODEL_MAX 4096

struct model_item {
    enum kind kind;
    uint64_t sequence;
    bool written;
    int64_t expires_ms;
};

struct model {
    struct model_item items[MODEL_MAX];
    size_t count;
    uint64_t sequence, highest_written, acked;
    int64_t now_ms;
    bool begun;
};

static void model_remove(struct model *m, size_t at)
{
    memmove(&m->items[at], &m->items[at + 1], (m->count - at - 1) * sizeof(m->items[0]));
    m->count--;
}

static void model_insert(struct model *m, size_t at, struct model_item item)
{
    assert_true(m->count < MODEL_MAX);
    memmove(&m->items[at + 1], &m->items[at], (m->count - at) * sizeof(m->items[0]));
    m->items[at] = item;
    m->count++;
}

static size_t model_first_pending(const struct model *m)
{
    size_t i = 0;

    while (i < m->count && m->items[i].written)
        i++;
    return i;
}

static void model_written(struct model *m)
{
    size_t at = model_first_pending(m);
    struct model_item *item = &m->items[at];

    if (at == m->count)
        return;
    item->written = true;
    if (item->sequence > m->highest_written)
        m->highest_written = item->sequence;
    if (item->kind != NUMBERED || item->sequence <= m->acked)
        model_remove(m, at);
}

static void model_ack(struct model *m, uint64_t id)
{
    id = id < m->highest_written ? id : m->highest_written;
    if (id > m->acked)
        m->acked = id;
    for (size_t i = m->count; i-- > 0;) {
        if (m->items[i].written && m->items[i].sequence <= m->acked)
            model_remove(m, i);
    }
}

static void model_rewind(struct model *m)
{
    for (size_t i = m->count; i-- > 0;) {
        m->items[i].written = false;
        if (m->items[i].kind == CONTROL)
            model_remove(m, i);
    }
}

static void model_expire(struct model *m)
{
    size_t begun = m->begun ? model_first_pending(m) : MODEL_MAX;

    for (size_t i = m->count; i-- > 0;) {
        if (i != begun && m->items[i].expires_ms && m->items[i].expires_ms <= m->now_ms)
            model_remove(m, i);
    }
}

static void compare(const struct outbox *o, const struct model *m)
{
    struct out_item items[MODEL_MAX];
    size_t n = outbox__peek(o, items, MODEL_MAX), first = model_first_pending(m), messages = 0;

    assert_int_equal(n, m->count - first);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(items[i].frame->control, m->items[first + i].kind == CONTROL);
        assert_int_equal(items[i].sequence_id, m->items[first + i].sequence);
    }
    for (size_t i = 0; i < m->count; i++)
        messages += m->items[i].kind != CONTROL;
    assert_int_equal(o->messages, messages);
    assert_int_equal(o->controls, m->count - messages);
}

static void step(struct outbox *o, struct model *m, bool reliable)
{
    static const struct queue_limits limits = {64, 1u << 20};
    unsigned what = (unsigned)rand() % 16;
    enum kind kind = what < 3 ? CONTROL : reliable ? NUMBERED : PLAIN;
    int64_t expires_ms = kind != CONTROL && rand() % 4 == 0 ? m->now_ms + rand() % 40 : 0;
    struct frame *f;

    m->now_ms++;
    if (what < 9) {
        if (push_mortal(o, kind, 1, expires_ms, &limits) == OUTBOX_OK)
            model_insert(
                m, m->count,
                (struct model_item){kind, kind == NUMBERED ? ++m->sequence : 0, false, expires_ms});
    } else if (what < 14) {
        size_t count = (size_t)rand() % 12;

        while (count-- > 0) {
            outbox__written(o, 1, false);
            model_written(m);
        }
        m->begun = rand() % 2 && outbox__pending(o);
        outbox__written(o, 0, m->begun);
        outbox__expire(o, m->now_ms);
        model_expire(m);
    } else if (what < 15) {
        uint64_t id = m->sequence - (uint64_t)rand() % 8 + (uint64_t)rand() % 2;

        id = id > m->sequence + 1 ? 0 : id;
        outbox__ack(o, id);
        model_ack(m, id);
    } else if (rand() % 8 == 0) {
        f = frame_of(CONTROL, 1);
        outbox__rewind(o);
        model_rewind(m);
        m->begun = false;
        assert_true(outbox__push_front(o, f));
        model_insert(m, 0, (struct model_item){CONTROL, 0, false, 0});
        frame__unref(f);
    }
}

static void random_lives_equal_a_list(void **state)
{

    (void)state;
    unit__seed();
    for (int life = 0; life < 20; life++) {
        struct outbox o = {0};
        struct model m = {.count = 0};

        for (int i = 0; i < 2000; i++) {
            step(&o, &m, life % 2);
            compare(&o, &m);
        }
        outbox__free(&o);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_stop_at_the_limit),
        cmocka_unit_test(bytes_stop_at_the_limit),
        cmocka_unit_test(an_empty_queue_takes_one_of_any_size),
        cmocka_unit_test(control_frames_go_a_little_beyond),
        cmocka_unit_test(numbered_frames_count_until_acknowledged),
        cmocka_unit_test(a_rewound_queue_starts_with_what_is_kept),
        cmocka_unit_test(an_empty_queue_gives_a_burst_back),
        cmocka_unit_test(pongs_beside_unacknowledged_messages_cost_nothing),
        cmocka_unit_test(what_expires_leaves_and_makes_room),
        cmocka_unit_test(a_frame_that_is_begun_is_finished),
        cmocka_unit_test(random_lives_equal_a_list),
    };

    return cmocka_run_group_tests_name("outbox", tests, NULL, NULL);
}
