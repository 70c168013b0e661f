#include "ws_client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define READ_SIZE (256 * 1024)
#define HELD_SIZE (256 * 1024)
#define MAX_HEAD 8
#define OPENING_AT_ONCE 64
#define MAX_EVENTS 256

enum opcode { OP_TEXT = 1, OP_BINARY = 2, OP_CLOSE = 8, OP_PING = 9, OP_PONG = 10 };

int64_t bench__now_us(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

void bench__start(void)
{
    puts("started");
    fflush(stdout);
}

void bench__die(const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fputc('\n', stderr);
    exit(1);
}

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

int64_t bench__quantile(int64_t *values, size_t count, double q)
{
    if (count == 0)
        return 0;
    qsort(values, count, sizeof(*values), by_value);
    return values[(size_t)(q * (double)(count - 1))];
}

static void write_all(int fd, const void *data, size_t len)
{
    while (len > 0) {
        ssize_t n = send(fd, data, len, MSG_NOSIGNAL);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            bench__die("send: %s", strerror(errno));
        data = (const char *)data + n;
        len -= (size_t)n;
    }
}

static void open_one(struct ws_client *w, struct ws_conn *c, uint16_t port, const char *subprotocol,
                     const char *target)
{
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = c};
    char request[8192], protocol[128] = "";
    int one = 1, len;

    c->client = w;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (w->receive_buffer > 0)
        setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &w->receive_buffer, sizeof(w->receive_buffer));
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&to, sizeof(to)) != 0)
        bench__die("connect to port %u: %s", port, strerror(errno));
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (subprotocol)
        snprintf(protocol, sizeof(protocol), "Sec-WebSocket-Protocol: %s\r\n", subprotocol);
    len = snprintf(request, sizeof(request),
                   "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nUpgrade: websocket\r\n"
                   "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                   "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n%s\r\n",
                   target, port, protocol);
    write_all(c->fd, request, (size_t)len);
    if (epoll_ctl(w->epoll, EPOLL_CTL_ADD, c->fd, &ev) != 0)
        bench__die("epoll_ctl: %s", strerror(errno));
}

void ws_client__open(struct ws_client *w, uint16_t port, int count, ws_client_text_fn *target,
                     ws_client_text_fn *subprotocol, void *ctx)
{
    w->epoll = epoll_create1(EPOLL_CLOEXEC);
    w->conns = calloc((size_t)count, sizeof(*w->conns));
    w->held = malloc(HELD_SIZE);
    if (w->epoll < 0 || !w->conns || !w->held)
        bench__die("out of resources");
    w->count = count;
    for (int i = 0; i < count; i++) {
        w->conns[i].index = i;
        open_one(w, &w->conns[i], port, subprotocol(ctx, i), target(ctx, i));
        while (i + 1 - w->open >= OPENING_AT_ONCE && ws_client__poll(w, 10000))
            ;
    }
    while (w->open < count) {
        if (!ws_client__poll(w, 10000))
            bench__die("only %d of %d connections opened", w->open, count);
    }
}

/* A mask of zeros is a mask; the payload goes as it is. */
static size_t put_head(char head[MAX_HEAD], unsigned opcode, size_t len)
{
    size_t n = 2;

    memset(head, 0, MAX_HEAD);
    head[0] = (char)(0x80 | opcode);
    if (len < 126) {
        head[1] = (char)(0x80 | len);
    } else if (len < 65536) {
        head[1] = (char)(0x80 | 126);
        head[2] = (char)(len >> 8);
        head[3] = (char)len;
        n = 4;
    } else {
        bench__die("a frame of %zu bytes is too long for this client", len);
    }
    return n + 4;
}

static void send_frame(struct ws_conn *c, unsigned opcode, const char *data, size_t len)
{
    char head[MAX_HEAD];
    size_t n = put_head(head, opcode, len);

    if (n + len <= 4096) {
        char whole[4096];

        memcpy(whole, head, n);
        memcpy(whole + n, data, len);
        write_all(c->fd, whole, n + len);
    } else {
        write_all(c->fd, head, n);
        write_all(c->fd, data, len);
    }
}

void ws_client__send(struct ws_conn *c, const char *text, size_t len)
{
    send_frame(c, OP_TEXT, text, len);
}

void ws_client__send_binary(struct ws_conn *c, const char *data, size_t len)
{
    send_frame(c, OP_BINARY, data, len);
}

void ws_client__confirm_at_once(struct ws_conn *c)
{
    const int on = 1;

    setsockopt(c->fd, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof(on));
}

void ws_client__hold(struct ws_conn *c, const char *text, size_t len)
{
    struct ws_client *w = c->client;

    if (w->held_len + MAX_HEAD + len > HELD_SIZE)
        bench__die("connection %d: too many frames to send at a time", c->index);
    w->held_len += put_head(w->held + w->held_len, 1, len);
    memcpy(w->held + w->held_len, text, len);
    w->held_len += len;
}

static void release_held(struct ws_conn *c)
{
    struct ws_client *w = c->client;
    size_t len = w->held_len;

    w->held_len = 0;
    write_all(c->fd, w->held, len);
}

/* Length of the first frame and where its payload lies; 0 while it is incomplete. */
static size_t frame_size(const unsigned char *p, size_t len, size_t *payload_at)
{
    size_t size, at = 2;

    if (len < 2)
        return 0;
    size = p[1] & 127;
    if (size == 126) {
        if (len < 4)
            return 0;
        size = (size_t)p[2] << 8 | p[3];
        at = 4;
    } else if (size == 127) {
        if (len < 10)
            return 0;
        size = 0;
        for (int i = 2; i < 10; i++)
            size = size << 8 | p[i];
        at = 10;
    }
    *payload_at = at;
    return len >= at + size ? at + size : 0;
}

static void handle(struct ws_conn *c, unsigned opcode, const char *payload, size_t len)
{
    switch (opcode) {
    case OP_CLOSE:
        bench__die("connection %d was closed by the server: %.*s", c->index,
                   (int)(len > 2 ? len - 2 : 0), payload + 2);
    case OP_PING:
        send_frame(c, OP_PONG, payload, len);
        break;
    case OP_PONG:
        break;
    default:
        if (c->client->on_frame)
            c->client->on_frame(c, payload, len);
    }
}

/* Handles what is complete in `data` and returns how many bytes that was. */
static size_t take(struct ws_conn *c, const char *data, size_t len)
{
    size_t done = 0;

    if (!c->open) {
        const char *end = memmem(data, len, "\r\n\r\n", 4);

        if (!end)
            return 0;
        if (strncmp(data, "HTTP/1.1 101", 12) != 0)
            bench__die("connection %d was refused: %.*s", c->index, (int)(end - data), data);
        c->open = true;
        c->client->open++;
        if (c->client->on_open)
            c->client->on_open(c);
        done = (size_t)(end + 4 - data);
    }
    for (;;) {
        size_t at, size = frame_size((const unsigned char *)data + done, len - done, &at);

        if (size == 0)
            return done;
        handle(c, (unsigned)data[done] & 15, data + done + at, size - at);
        done += size;
    }
}

static void keep(struct ws_conn *c, const char *data, size_t len)
{
    if (c->in_cap < len) {
        c->in = realloc(c->in, len * 2);
        if (!c->in)
            bench__die("out of memory");
        c->in_cap = len * 2;
    }
    memmove(c->in, data, len);
    c->in_len = len;
}

static void receive(struct ws_conn *c)
{
    static char buffer[READ_SIZE];
    ssize_t n;
    size_t used, len;

    if (c->in_len > 0)
        memcpy(buffer, c->in, c->in_len);
    n = recv(c->fd, buffer + c->in_len, sizeof(buffer) - c->in_len, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0)
        bench__die("connection %d: the server hung up", c->index);
    len = c->in_len + (size_t)n;
    used = take(c, buffer, len);
    release_held(c);
    c->in_len = 0;
    if (used < len)
        keep(c, buffer + used, len - used);
}

static bool handle_events(const struct epoll_event *events, int n)
{
    for (int i = 0; i < n; i++)
        receive(events[i].data.ptr);
    return n > 0;
}

bool ws_client__poll(struct ws_client *w, int timeout_ms)
{
    struct epoll_event events[MAX_EVENTS];

    return handle_events(events, epoll_wait(w->epoll, events, MAX_EVENTS, timeout_ms));
}

bool ws_client__poll_until(struct ws_client *w, int64_t time_us)
{
    struct epoll_event events[MAX_EVENTS];
    int64_t left = time_us - bench__now_us();
    struct timespec timeout = {left / 1000000, left % 1000000 * 1000};

    if (left <= 0)
        return false;
    return handle_events(events, epoll_pwait2(w->epoll, events, MAX_EVENTS, &timeout, NULL));
}
