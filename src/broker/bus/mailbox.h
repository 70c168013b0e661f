/* How one shard tells another something: a queue with many writers and one reader,
 * and a wake-up function. What is posted by one thread arrives in order.
 *
 * A mailbox refuses nothing, for a letter that is lost would be a message that is lost.
 * It counts what waits in it instead, and the writers stop taking work while that is too
 * much (shard.c). */
#ifndef BROKER_BUS_MAILBOX_H
#define BROKER_BUS_MAILBOX_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct letter {
    struct letter *next;
    size_t size; /* bytes that it holds on to, about */
    /* Called on the reader's thread; frees the letter. `reader` is the mailbox's; NULL: there is
     * none any more. */
    void (*open)(struct letter *letter, void *reader);
};

/* Letters for one mailbox that are to arrive together. */
struct postbag {
    struct letter *first, *last; /* NULL: it is empty */
    size_t size;
};

struct mailbox {
    pthread_mutex_t lock;
    struct letter *first;
    struct letter **last;
    atomic_size_t waiting; /* bytes of letters posted and not yet opened */
    void (*wake)(void *reader);
    void *reader;
};

void mailbox__init(struct mailbox *m, void (*wake)(void *reader), void *reader);
/* Opens nothing: letters still inside are handed to `discard` or leak if it is NULL. */
void mailbox__free(struct mailbox *m, void (*discard)(struct letter *letter));
/* Lets go of a letter that nobody reads: `open` without a reader. */
void letter__discard(struct letter *letter);
/* Any thread. Wakes the reader when the box was empty. */
void mailbox__post(struct mailbox *m, struct letter *letter);
void postbag__add(struct postbag *bag, struct letter *letter);
/* Any thread. Posts all letters in a bag in their order, and empties it. */
void mailbox__post_all(struct mailbox *m, struct postbag *bag);
/* Any thread: bytes that wait. */
size_t mailbox__waiting(const struct mailbox *m);
/* Reader's thread: opens all letters posted so far. False: there was none. */
bool mailbox__read(struct mailbox *m);

#endif
