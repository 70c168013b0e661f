#include "broker/bus/mailbox.h"
#include "unit.h"

#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>

#define WRITERS 4
#define PER_WRITER 20000

struct note {
    struct letter letter;
    unsigned writer;
    unsigned number;
};

struct reader {
    struct mailbox box;
    sem_t awake;
    atomic_uint wakes;
    unsigned next[WRITERS]; /* number expected from each writer */
    unsigned opened;
    unsigned out_of_order;
};

static void wake(void *arg)
{
    struct reader *r = arg;

    atomic_fetch_add(&r->wakes, 1);
    sem_post(&r->awake);
}

static void open_note(struct letter *letter, void *arg)
{
    struct note *note = (struct note *)letter;
    struct reader *r = arg;

    r->out_of_order += note->number != r->next[note->writer];
    r->next[note->writer] = note->number + 1;
    r->opened++;
    free(note);
}

static void post(struct reader *r, unsigned writer, unsigned number)
{
    struct note *note = malloc(sizeof(*note));

    assert_non_null(note);
    *note = (struct note){.letter = {.open = open_note}, .writer = writer, .number = number};
    mailbox__post(&r->box, &note->letter);
}

static void reader_init(struct reader *r)
{
    memset(r, 0, sizeof(*r));
    sem_init(&r->awake, 0, 0);
    mailbox__init(&r->box, wake, r);
}

static void test_wakes_once_a_batch(void **state)
{
    struct reader r;

    (void)state;
    reader_init(&r);
    mailbox__read(&r.box);
    assert_int_equal(r.opened, 0);
    for (unsigned i = 0; i < 3; i++)
        post(&r, 0, i);
    assert_int_equal(atomic_load(&r.wakes), 1);
    mailbox__read(&r.box);
    assert_int_equal(r.opened, 3);
    post(&r, 0, 3);
    assert_int_equal(atomic_load(&r.wakes), 2);
    mailbox__read(&r.box);
    assert_int_equal(r.out_of_order, 0);
    mailbox__free(&r.box, NULL);
    sem_destroy(&r.awake);
}

static void test_counts_what_waits(void **state)
{
    struct reader r;

    (void)state;
    reader_init(&r);
    for (unsigned i = 0; i < 3; i++) {
        struct note *note = malloc(sizeof(*note));

        assert_non_null(note);
        *note = (struct note){.letter = {.open = open_note, .size = 10 + i}, .number = i};
        mailbox__post(&r.box, &note->letter);
    }
    assert_int_equal(mailbox__waiting(&r.box), 33);
    mailbox__read(&r.box);
    assert_int_equal(mailbox__waiting(&r.box), 0);
    mailbox__free(&r.box, NULL);
    sem_destroy(&r.awake);
}

/* What is in a bag arrives behind what was posted before, at once. */
static void test_bags_arrive_together(void **state)
{
    struct postbag bag = {0};
    struct reader r;

    (void)state;
    reader_init(&r);
    mailbox__post_all(&r.box, &bag);
    assert_int_equal(atomic_load(&r.wakes), 0);
    post(&r, 0, 0);
    for (unsigned i = 1; i < 4; i++) {
        struct note *note = malloc(sizeof(*note));

        assert_non_null(note);
        *note = (struct note){.letter = {.open = open_note, .size = 10}, .number = i};
        postbag__add(&bag, &note->letter);
    }
    assert_int_equal(bag.size, 30);
    assert_int_equal(mailbox__waiting(&r.box), 0);
    mailbox__post_all(&r.box, &bag);
    assert_null(bag.first);
    assert_int_equal(bag.size, 0);
    assert_int_equal(mailbox__waiting(&r.box), 30);
    post(&r, 0, 4);
    assert_int_equal(atomic_load(&r.wakes), 1);
    mailbox__read(&r.box);
    assert_int_equal(r.opened, 5);
    assert_int_equal(r.out_of_order, 0);
    mailbox__free(&r.box, NULL);
    sem_destroy(&r.awake);
}

/* A letter that is opened may post another to the same box. */
struct chain {
    struct letter letter;
    unsigned left;
};

static void open_chain(struct letter *letter, void *arg)
{
    struct chain *chain = (struct chain *)letter;
    struct reader *r = arg;

    r->opened++;
    if (chain->left-- > 0)
        mailbox__post(&r->box, letter);
}

static void test_posts_while_reading(void **state)
{
    struct chain chain = {.letter = {.open = open_chain}, .left = 2};
    struct reader r;

    (void)state;
    reader_init(&r);
    mailbox__post(&r.box, &chain.letter);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(atomic_load(&r.wakes), i + 1);
        mailbox__read(&r.box);
        assert_int_equal(r.opened, i + 1);
    }
    mailbox__free(&r.box, NULL);
    sem_destroy(&r.awake);
}

static unsigned discarded;

static void discard(struct letter *letter)
{
    discarded++;
    free(letter);
}

static void test_discards_what_is_left(void **state)
{
    struct reader r;

    (void)state;
    reader_init(&r);
    post(&r, 0, 0);
    post(&r, 0, 1);
    discarded = 0;
    mailbox__free(&r.box, discard);
    assert_int_equal(discarded, 2);
    assert_int_equal(r.opened, 0);
    sem_destroy(&r.awake);
}

struct writer {
    struct reader *reader;
    unsigned number;
};

static void *write_many(void *arg)
{
    struct writer *w = arg;

    for (unsigned i = 0; i < PER_WRITER; i++)
        post(w->reader, w->number, i);
    return NULL;
}

/* Nothing is lost, doubled or out of order, and no wake-up is missed: the reader
 * only ever looks after one. */
static void test_many_writers(void **state)
{
    struct writer writers[WRITERS];
    pthread_t threads[WRITERS];
    struct reader r;

    (void)state;
    reader_init(&r);
    for (unsigned i = 0; i < WRITERS; i++) {
        writers[i] = (struct writer){&r, i};
        assert_int_equal(pthread_create(&threads[i], NULL, write_many, &writers[i]), 0);
    }
    while (r.opened < WRITERS * PER_WRITER) {
        sem_wait(&r.awake);
        mailbox__read(&r.box);
    }
    for (unsigned i = 0; i < WRITERS; i++)
        pthread_join(threads[i], NULL);
    mailbox__read(&r.box);
    assert_int_equal(r.opened, WRITERS * PER_WRITER);
    assert_int_equal(r.out_of_order, 0);
    mailbox__free(&r.box, NULL);
    sem_destroy(&r.awake);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wakes_once_a_batch),    cmocka_unit_test(test_counts_what_waits),
        cmocka_unit_test(test_bags_arrive_together),  cmocka_unit_test(test_posts_while_reading),
        cmocka_unit_test(test_discards_what_is_left), cmocka_unit_test(test_many_writers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
