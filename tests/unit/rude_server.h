/* An HTTP server that does to each request what a script says, however rude. */
#ifndef TESTS_UNIT_RUDE_SERVER_H
#define TESTS_UNIT_RUDE_SERVER_H

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

enum rude_act {
    RUDE_END,    /* of the script: what comes then is answered with 202 */
    RUDE_ANSWER, /* sends the text; the connection stays */
    RUDE_LAST,   /* sends the text and closes the connection */
    RUDE_CUT,    /* reads the request and closes the connection */
    RUDE_HANG    /* reads the request and says nothing */
};

struct rude_step {
    enum rude_act act;
    const char *text;
};

struct rude_server {
    int listener;
    uint16_t port;
    pthread_t thread;
    const struct rude_step *next;   /* of the script */
    const struct rude_step *coming; /* the next script */
    int wake;                       /* an event counter: there is one */
    sem_t begun;                    /* it is played */
    atomic_uint requests, connections;
    atomic_int stopping;
    char last[4096]; /* head of the request that came last */
};

void rude_server__start(struct rude_server *s);
void rude_server__stop(struct rude_server *s);
/* Another script, and counting from zero; while nobody waits for it. What clients have asked that
 * are gone already belongs to the script before. */
void rude_server__play(struct rude_server *s, const struct rude_step *script);

#endif
