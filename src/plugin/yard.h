/* Where plugins go when their last user has gone. That may be a thread that serves events, or
 * one of the plugin's own, in the middle of its code; neither may run its `close` or take its
 * code away. So they wait here for a thread that may. */
#ifndef PLUGIN_YARD_H
#define PLUGIN_YARD_H

#include <stdbool.h>

struct yard;

/* The first member of what is left here. */
struct wreck {
    struct wreck *next;
    void (*destroy)(struct wreck *wreck);
};

/* `wake` is called, by any thread, when something has been left. NULL: memory is out. */
struct yard *yard__new(void (*wake)(void *arg), void *arg);
/* Both are fine with NULL. */
struct yard *yard__ref(struct yard *yard);
void yard__unref(struct yard *yard);
/* Any thread. Destroys it here and now when there is no yard, or it is shut. */
void yard__leave(struct yard *yard, struct wreck *wreck, void (*destroy)(struct wreck *wreck));
/* Destroys what is there. */
void yard__clear(struct yard *yard);
/* Nobody is woken any more. */
void yard__shut(struct yard *yard);

#endif
