/* A small WebSocket client for load programs: many connections on one epoll set,
 * every frame looked at. It trusts the server to speak WebSocket correctly. */
#ifndef TESTS_BENCH_LOAD_WS_CLIENT_H
#define TESTS_BENCH_LOAD_WS_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ws_client;

struct ws_conn {
    struct ws_client *client;
    int fd;
    int index;
    char *in; /* bytes of a frame that is not complete yet */
    size_t in_len, in_cap;
    bool open; /* the 101 has arrived */
    void *user;
};

struct ws_client {
    int epoll;
    struct ws_conn *conns;
    int count;
    int open;
    int receive_buffer;                 /* bytes for SO_RCVBUF; 0: the kernel's choice */
    void (*on_open)(struct ws_conn *c); /* may be NULL, as the next */
    void (*on_frame)(struct ws_conn *c, const char *payload, size_t len);
    void *ctx;
    char *held; /* frames that leave together: ws_client__hold */
    size_t held_len;
};

typedef const char *ws_client_text_fn(void *ctx, int index);

/* Opens `count` connections to 127.0.0.1:port with the request target of `target(i)` and the
 * subprotocol of `subprotocol(i)` (NULL: none), and waits until all are open. Exits with a
 * message when one is refused. */
void ws_client__open(struct ws_client *w, uint16_t port, int count, ws_client_text_fn *target,
                     ws_client_text_fn *subprotocol, void *ctx);
/* Sends one masked frame; the socket must have room (load programs bound what is in flight). */
void ws_client__send(struct ws_conn *c, const char *text, size_t len);
void ws_client__send_binary(struct ws_conn *c, const char *data, size_t len);
/* The kernel puts off its TCP acknowledgements for who writes now and then, and the server has to
 * keep what it sent for so long, up to 40 ms. This makes it stop, until something is sent. */
void ws_client__confirm_at_once(struct ws_conn *c);
/* ws_client__send from inside `on_frame` for the connection it is called with: what is sent to it
 * leaves in one write when all that it has received is handled. */
void ws_client__hold(struct ws_conn *c, const char *text, size_t len);
/* Handles what has arrived, waiting up to `timeout_ms`; false on time-out. */
bool ws_client__poll(struct ws_client *w, int timeout_ms);
/* The same, waiting up to a time of bench__now_us(). It sleeps, so that a server that shares
 * the core gets it. */
bool ws_client__poll_until(struct ws_client *w, int64_t time_us);

int64_t bench__now_us(void);
/* Says `started` to who runs the load: what is measured begins here, all are connected. */
void bench__start(void);
void bench__die(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));
/* Sorts and returns the q-quantile (0 to 1). */
int64_t bench__quantile(int64_t *values, size_t count, double q);

#endif
