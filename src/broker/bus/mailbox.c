#include "broker/bus/mailbox.h"

void mailbox__init(struct mailbox *m, void (*wake)(void *reader), void *reader)
{
    pthread_mutex_init(&m->lock, NULL);
    m->first = NULL;
    m->last = &m->first;
    atomic_init(&m->waiting, 0);
    m->wake = wake;
    m->reader = reader;
}

/* Takes everything out at once, so that the lock is held for a few instructions
 * however many letters there are. */
static struct letter *take_all(struct mailbox *m)
{
    struct letter *first;

    pthread_mutex_lock(&m->lock);
    first = m->first;
    m->first = NULL;
    m->last = &m->first;
    pthread_mutex_unlock(&m->lock);
    return first;
}

void letter__discard(struct letter *letter)
{
    letter->open(letter, NULL);
}

void mailbox__free(struct mailbox *m, void (*discard)(struct letter *letter))
{
    struct letter *letter = take_all(m);

    while (letter) {
        struct letter *next = letter->next;

        if (discard)
            discard(letter);
        letter = next;
    }
    pthread_mutex_destroy(&m->lock);
}

void postbag__add(struct postbag *bag, struct letter *letter)
{
    letter->next = NULL;
    if (bag->last)
        bag->last->next = letter;
    else
        bag->first = letter;
    bag->last = letter;
    bag->size += letter->size;
}

void mailbox__post_all(struct mailbox *m, struct postbag *bag)
{
    bool was_empty;

    if (!bag->first)
        return;
    atomic_fetch_add_explicit(&m->waiting, bag->size, memory_order_relaxed);
    pthread_mutex_lock(&m->lock);
    was_empty = !m->first;
    *m->last = bag->first;
    m->last = &bag->last->next;
    pthread_mutex_unlock(&m->lock);
    *bag = (struct postbag){0};
    /* One wake-up a batch: the reader takes all that came until it looks. */
    if (was_empty)
        m->wake(m->reader);
}

void mailbox__post(struct mailbox *m, struct letter *letter)
{
    struct postbag bag = {0};

    postbag__add(&bag, letter);
    mailbox__post_all(m, &bag);
}

size_t mailbox__waiting(const struct mailbox *m)
{
    return atomic_load_explicit(&m->waiting, memory_order_relaxed);
}

bool mailbox__read(struct mailbox *m)
{
    struct letter *letter = take_all(m);
    bool any = letter != NULL;

    while (letter) {
        struct letter *next = letter->next;
        size_t size = letter->size;

        letter->open(letter, m->reader);
        atomic_fetch_sub_explicit(&m->waiting, size, memory_order_relaxed);
        letter = next;
    }
    return any;
}
