/* Many HTTP requests, some at a time, over connections that stay open; or one. */
#ifndef BIN_LOAD_H
#define BIN_LOAD_H

#include "curl/call.h"

#define LOAD_MAX_CONNECTIONS 1024

/* A request and what became of it. */
struct load_call {
    uint64_t number; /* from 0 */
    struct call_request request;
    const struct http_response *response; /* NULL: none */
    const char *why;                      /* why there is none */
    int64_t microseconds;                 /* from when it was due until its answer was there */
};

struct load {
    uint64_t count;
    double rate; /* requests a second; 0: as fast as answers come */
    unsigned connections;
    unsigned timeout_s;
    /* Makes the request with what it needs from the arena, which lives until `done` returned.
     * False ends the load. */
    bool (*make)(void *arg, struct arena *a, struct load_call *call);
    void (*done)(void *arg, const struct load_call *call);
    /* Called now and then, some times in a second; may be NULL. */
    void (*tick)(void *arg);
    void *arg;
};

/* Ends early, with the requests that are under way, after SIGINT or SIGTERM. PH_ERR_MEMORY. */
enum ph_err load__run(const struct load *load);

#endif
