#include "plugin/yard.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

struct yard {
    atomic_size_t refs;
    pthread_mutex_t lock;
    struct wreck *first;
    void (*wake)(void *arg); /* NULL: it is shut */
    void *arg;
};

struct yard *yard__new(void (*wake)(void *arg), void *arg)
{
    struct yard *yard = calloc(1, sizeof(*yard));

    if (!yard)
        return NULL;
    atomic_init(&yard->refs, 1);
    pthread_mutex_init(&yard->lock, NULL);
    yard->wake = wake;
    yard->arg = arg;
    return yard;
}

struct yard *yard__ref(struct yard *yard)
{
    if (yard)
        atomic_fetch_add(&yard->refs, 1);
    return yard;
}

void yard__unref(struct yard *yard)
{
    if (!yard || atomic_fetch_sub(&yard->refs, 1) != 1)
        return;
    pthread_mutex_destroy(&yard->lock);
    free(yard);
}

void yard__leave(struct yard *yard, struct wreck *wreck, void (*destroy)(struct wreck *wreck))
{
    bool taken = false;

    wreck->destroy = destroy;
    if (yard) {
        pthread_mutex_lock(&yard->lock);
        taken = yard->wake;
        if (taken) {
            wreck->next = yard->first;
            yard->first = wreck;
            yard->wake(yard->arg);
        }
        pthread_mutex_unlock(&yard->lock);
    }
    if (!taken)
        destroy(wreck);
}

void yard__clear(struct yard *yard)
{
    struct wreck *wreck, *next;

    pthread_mutex_lock(&yard->lock);
    wreck = yard->first;
    yard->first = NULL;
    pthread_mutex_unlock(&yard->lock);
    for (; wreck; wreck = next) {
        next = wreck->next;
        wreck->destroy(wreck);
    }
}

void yard__shut(struct yard *yard)
{
    pthread_mutex_lock(&yard->lock);
    yard->wake = NULL;
    pthread_mutex_unlock(&yard->lock);
    yard__clear(yard);
}
