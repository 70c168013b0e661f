/* A publisher and the members of one group, all in the dialect of the server under load. */
#ifndef TESTS_BENCH_LOAD_CROWD_H
#define TESTS_BENCH_LOAD_CROWD_H

#include "dialect.h"

struct crowd {
    struct ws_client client;
    const struct dialect *dialect;
    const char *port;
    int ready;
    /* NULL: deliveries are not looked at. */
    void (*on_delivery)(struct ws_conn *c, const char *payload, size_t len);
    void *ctx;
};

/* Opens the publisher and `members`, and waits until all are ready. */
void crowd__open(struct crowd *crowd, const char *port, const char *dialect, int members);
void crowd__publish(struct crowd *crowd, const char *payload, size_t len);
/* Handles what has arrived, waiting up to `timeout_ms`; false on time-out. */
bool crowd__poll(struct crowd *crowd, int timeout_ms);
/* The crowd that a connection belongs to. */
struct crowd *crowd__of(const struct ws_conn *c);

#endif
