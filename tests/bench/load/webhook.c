/* Webhooks: clients that post signed `message` events over connections that are kept
 * open, each one at a time. Every answer is looked at: its status, and with `echo` that it
 * is the data of its own request.
 *
 *   webhook PORT CLIENTS SECONDS REQUESTS empty|echo
 *
 * Ends when each client has had REQUESTS answers (0: as many as come), or after SECONDS. In
 * the second case it waits for the answers that are due, so that none can be lost unseen.
 * Prints one line of JSON. */
#include "ws_client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define KEY "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789ABCDEFGH"
#define DATA_LEN 64
#define PATIENCE_US 10000000 /* for what is due at the end */

struct client {
    int fd, index;
    int sent, answered;
    int64_t sent_at;
    char request[1024];
    size_t len; /* of the request; its last DATA_LEN bytes are the data */
    char in[4096];
    size_t in_len;
};

static struct {
    int epoll, count, requests;
    bool echo, over; /* no more requests */
    struct client *clients;
    int finished; /* clients that had all their answers */
    long answers;
    int64_t *took;
    size_t took_cap;
} all;

/* --- Requests ------------------------------------------------------------------------ */

static void sign(const char *id, char *hex)
{
    unsigned char mac[32];
    unsigned len;

    HMAC(EVP_sha256(), KEY, sizeof(KEY) - 1, (const unsigned char *)id, strlen(id), mac, &len);
    for (unsigned i = 0; i < len; i++)
        sprintf(hex + (size_t)2 * i, "%02x", mac[i]);
}

static void write_request(struct client *c)
{
    char id[40], signature[65];

    snprintf(id, sizeof(id), "%032x", c->index);
    sign(id, signature);
    c->len = (size_t)snprintf(
        c->request, sizeof(c->request),
        "POST /eventhandler HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        "Content-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\n"
        "WebHook-Request-Origin: localhost\r\nce-specversion: 1.0\r\nce-awpsversion: 1.0\r\n"
        "ce-type: azure.webpubsub.user.message\r\nce-source: /hubs/bench/client/%s\r\n"
        "ce-id: 2\r\nce-time: 2026-11-20T12:00:00Z\r\nce-hub: bench\r\nce-connectionId: %s\r\n"
        "ce-eventName: message\r\nce-userId: bench\r\nce-signature: sha256=%s\r\n\r\n%0*d",
        DATA_LEN, id, id, signature, DATA_LEN, 0);
}

static void send_next(struct client *c)
{
    char number[12];

    if (all.over || (all.requests && c->sent == all.requests))
        return;
    c->sent++;
    memcpy(c->request + c->len - 10, number,
           (size_t)snprintf(number, sizeof(number), "%010d", c->sent));
    c->sent_at = bench__now_us();
    if (send(c->fd, c->request, c->len, MSG_NOSIGNAL) != (ssize_t)c->len)
        bench__die("client %d: send: %s", c->index, strerror(errno));
}

/* --- Answers ------------------------------------------------------------------------- */

/* A header's value in `head`, which ends with a NUL; NULL without it. */
static const char *header(const char *head, const char *name)
{
    const char *at = strcasestr(head, name);

    return at ? at + strlen(name) : NULL;
}

/* Where the body ends, or NULL while it has not come as a whole. */
static const char *body_end(const char *head, const char *body, const char *in_end, bool *chunked)
{
    const char *length;

    *chunked = false;
    if (strncmp(head + strlen("HTTP/1.1 "), "204", 3) == 0)
        return body;
    length = header(head, "\r\nContent-Length:");
    *chunked = !length && header(head, "\r\nTransfer-Encoding: chunked");
    if (*chunked) {
        const char *last = memmem(body, (size_t)(in_end - body), "0\r\n\r\n", 5);

        return last ? last + 5 : NULL;
    }
    body += length ? strtol(length, NULL, 10) : 0;
    return body <= in_end ? body : NULL;
}

static void check(const struct client *c, const char *head, const char *body, size_t len,
                  bool chunked)
{
    const char *data = c->request + c->len - DATA_LEN;

    if (strncmp(head, "HTTP/1.1 2", 10) != 0)
        bench__die("client %d was answered: %.*s", c->index, (int)strcspn(head, "\r\n"), head);
    if (all.echo && (chunked ? !memmem(body, len, data, DATA_LEN)
                             : len != DATA_LEN || memcmp(body, data, len) != 0))
        bench__die("client %d: expected its data, but came: %.*s", c->index, (int)len, body);
    if (!all.echo && len > 0 && !chunked)
        bench__die("client %d: expected no data, but came: %.*s", c->index, (int)len, body);
}

static void note(struct client *c)
{
    if ((size_t)all.answers == all.took_cap) {
        all.took_cap = all.took_cap ? all.took_cap * 2 : 1 << 16;
        all.took = realloc(all.took, all.took_cap * sizeof(*all.took));
        if (!all.took)
            bench__die("out of memory");
    }
    all.took[all.answers++] = bench__now_us() - c->sent_at;
    if (++c->answered == all.requests)
        all.finished++;
}

static void receive(struct client *c)
{
    ssize_t n = recv(c->fd, c->in + c->in_len, sizeof(c->in) - 1 - c->in_len, MSG_DONTWAIT);
    const char *end, *body;
    bool chunked;

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0)
        bench__die("client %d: the server hung up after %d answers", c->index, c->answered);
    c->in_len += (size_t)n;
    c->in[c->in_len] = '\0';
    body = memmem(c->in, c->in_len, "\r\n\r\n", 4);
    if (!body)
        return;
    body += 4;
    c->in[body - c->in - 1] = '\0';
    end = body_end(c->in, body, c->in + c->in_len, &chunked);
    if (!end) {
        c->in[body - c->in - 1] = '\n';
        return;
    }
    if (end != c->in + c->in_len)
        bench__die("client %d: more came than its answer", c->index);
    check(c, c->in, body, (size_t)(end - body), chunked);
    c->in_len = 0;
    note(c);
    send_next(c);
}

/* --- The run ------------------------------------------------------------------------- */

static void open_one(struct client *c, int index, uint16_t port)
{
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = c};
    int one = 1;

    c->index = index;
    write_request(c);
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&to, sizeof(to)) != 0)
        bench__die("connect to port %u: %s", port, strerror(errno));
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (epoll_ctl(all.epoll, EPOLL_CTL_ADD, c->fd, &ev) != 0)
        bench__die("epoll_ctl: %s", strerror(errno));
}

static void poll_until(int64_t end)
{
    struct epoll_event events[256];
    int64_t left = end - bench__now_us();
    int n = epoll_wait(all.epoll, events, 256, left > 0 ? (int)(left / 1000) + 1 : 0);

    for (int i = 0; i < n; i++)
        receive(events[i].data.ptr);
}

static long sent(void)
{
    long count = 0;

    for (int i = 0; i < all.count; i++)
        count += all.clients[i].sent;
    return count;
}

/* Of all clients, how many answers the one had that had the fewest. */
static int fewest(void)
{
    int min = all.clients[0].answered;

    for (int i = 1; i < all.count; i++)
        min = all.clients[i].answered < min ? all.clients[i].answered : min;
    return min;
}

/* What was sent must be answered. Of a bounded number of requests it is a finding when
 * it is not; otherwise a failure. */
static void wait_for_the_rest(void)
{
    int64_t end = bench__now_us() + PATIENCE_US;

    while (all.answers < sent()) {
        if (bench__now_us() > end)
            bench__die("%ld of %ld requests were never answered", sent() - all.answers, sent());
        poll_until(end);
    }
}

int main(int argc, char **argv)
{
    int64_t start, end, took;
    long in_time;

    if (argc < 6)
        bench__die("usage: webhook PORT CLIENTS SECONDS REQUESTS empty|echo");
    all.count = atoi(argv[2]);
    all.requests = atoi(argv[4]);
    all.echo = strcmp(argv[5], "echo") == 0;
    all.clients = calloc((size_t)all.count, sizeof(*all.clients));
    all.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (!all.clients || all.epoll < 0)
        bench__die("out of resources");
    for (int i = 0; i < all.count; i++)
        open_one(&all.clients[i], i, (uint16_t)atoi(argv[1]));
    bench__start();
    start = bench__now_us();
    end = start + atoi(argv[3]) * (int64_t)1000000;
    for (int i = 0; i < all.count; i++)
        send_next(&all.clients[i]);
    while (all.finished < all.count && bench__now_us() < end)
        poll_until(end);
    took = bench__now_us() - start;
    in_time = all.answers;
    all.over = true;
    if (!all.requests)
        wait_for_the_rest();
    printf("{\"requests\":%ld,\"requests_per_s\":%.0f,\"p50_us\":%lld,\"p99_us\":%lld,"
           "\"finished\":%d,\"fewest\":%d}\n",
           all.answers, (double)in_time * 1e6 / (double)took,
           (long long)bench__quantile(all.took, (size_t)in_time, 0.5),
           (long long)bench__quantile(all.took, (size_t)in_time, 0.99), all.finished, fewest());
    return 0;
}
