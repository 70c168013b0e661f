/* REST sends to one connection of a hub, one at a time: the time from the request until the
 * answer and the message are there. Every message is compared with what was sent.
 *
 *   rest PORT user|connection|group CONNECTIONS GROUPS SENDS
 *
 * Opens CONNECTIONS of as many users, of which the last is sent to, alone in its group;
 * and has them join GROUPS others, five thousand each. Prints one line of JSON. */
#include "base/jwt.h"
#include "ws_client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <pubhook/pubhook.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>

#define KEY "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789ABCDEFGH"
#define GROUPS_EACH 5000 /* half of what the broker allows a connection */
#define PATIENCE_MS 10000

struct hub {
    struct ws_client client;
    const char *port;
    int connections, groups;
    int greeted, acked;
    char id[64];         /* of the connection that is sent to */
    const char *awaited; /* the message that must come; NULL when it has */
    int http, both;      /* the REST connection; an epoll set of it and of the clients */
    char token[1024];
};

static int last(const struct hub *hub)
{
    return hub->connections - 1;
}

static const char *subprotocol_of(void *ctx, int index)
{
    (void)ctx, (void)index;
    return "json.webpubsub.azure.v1";
}

static const char *target_of(void *ctx, int index)
{
    static const char *const roles[] = {"webpubsub.joinLeaveGroup", NULL};
    static const char *const groups[] = {"g", NULL};
    static char *url;
    struct hub *hub = ctx;
    char connection_string[256], user[16];
    struct ph_token_options options = {
        .user_id = user, .roles = roles, .groups = index == last(hub) ? groups : NULL};

    ph_token_free(url);
    snprintf(user, sizeof(user), "u%d", index);
    snprintf(connection_string, sizeof(connection_string),
             "Endpoint=http://127.0.0.1:%s;AccessKey=%s;Version=1.0;", hub->port, KEY);
    if (ph_client_access_url(connection_string, "bench", &options, &url) != PH_OK)
        bench__die("no token");
    return strstr(url + 5, "/client");
}

static void greet(struct hub *hub, const struct ws_conn *c, const char *text, size_t len)
{
    static const char word[] = "\"connectionId\":\"";
    const char *id = memmem(text, len, word, sizeof(word) - 1), *end;

    hub->greeted++;
    if (c->index != last(hub) || !id)
        return;
    id += sizeof(word) - 1;
    end = memchr(id, '"', len - (size_t)(id - text));
    snprintf(hub->id, sizeof(hub->id), "%.*s", end ? (int)(end - id) : 0, id);
}

static void on_frame(struct ws_conn *c, const char *text, size_t len)
{
    struct hub *hub = c->client->ctx;

    if (memmem(text, len, "\"connected\"", 11)) {
        greet(hub, c, text, len);
    } else if (memmem(text, len, "\"type\":\"ack\"", 12)) {
        if (!memmem(text, len, "\"success\":true", 14))
            bench__die("connection %d could not join: %.*s", c->index, (int)len, text);
        hub->acked++;
    } else {
        if (c->index != last(hub) || !hub->awaited ||
            !memmem(text, len, hub->awaited, strlen(hub->awaited)))
            bench__die("connection %d: nobody sent it %.*s", c->index, (int)len, text);
        hub->awaited = NULL;
    }
}

static void poll_clients(struct hub *hub, const char *what)
{
    if (!ws_client__poll(&hub->client, PATIENCE_MS))
        bench__die("waited in vain for %s", what);
}

/* The last one of each connection is acknowledged. */
static void join_groups(struct hub *hub)
{
    int joining = (hub->groups + GROUPS_EACH - 1) / GROUPS_EACH;

    if (joining > hub->connections)
        bench__die("%d connections cannot be in %d groups", hub->connections, hub->groups);
    for (int i = 0; i < hub->groups; i++) {
        bool ends = (i + 1) % GROUPS_EACH == 0 || i + 1 == hub->groups;
        char text[128];
        int n = snprintf(text, sizeof(text), "{\"type\":\"joinGroup\",\"group\":\"g%d\"%s}", i,
                         ends ? ",\"ackId\":1" : "");

        ws_client__send(&hub->client.conns[i / GROUPS_EACH], text, (size_t)n);
    }
    while (hub->acked < joining)
        poll_clients(hub, "acks of joinGroup");
}

static void write_token(struct hub *hub)
{
    struct mac_key *key = mac__key_new(STR(KEY));
    struct buf out;
    char claims[256];

    buf__init(&out, sizeof(hub->token) - 1);
    snprintf(claims, sizeof(claims),
             "{\"aud\":\"http://127.0.0.1:%s/api/hubs/bench\",\"exp\":%lld}", hub->port,
             (long long)time(NULL) + 3600);
    jwt__sign(&out, str__of(claims), key);
    snprintf(hub->token, sizeof(hub->token), "%.*s", STR_FMT(buf__view(&out)));
    buf__free(&out);
    mac__key_free(key);
}

static void open_rest(struct hub *hub)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)atoi(hub->port)),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct epoll_event ev = {.events = EPOLLIN};
    int one = 1;

    hub->http = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    hub->both = epoll_create1(EPOLL_CLOEXEC);
    if (connect(hub->http, (struct sockaddr *)&to, sizeof(to)) != 0)
        bench__die("connect: %s", strerror(errno));
    setsockopt(hub->http, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    ev.data.fd = hub->http;
    epoll_ctl(hub->both, EPOLL_CTL_ADD, hub->http, &ev);
    ev.data.fd = hub->client.epoll;
    epoll_ctl(hub->both, EPOLL_CTL_ADD, hub->client.epoll, &ev);
}

/* True when the answer is there as a whole. */
static bool answered(struct hub *hub)
{
    static char text[4096];
    static size_t len;
    ssize_t n = recv(hub->http, text + len, sizeof(text) - 1 - len, MSG_DONTWAIT);

    if (n <= 0)
        bench__die("the broker hung up on the REST connection");
    len += (size_t)n;
    text[len] = '\0';
    if (!strstr(text, "\r\n\r\n"))
        return false;
    if (strncmp(text, "HTTP/1.1 202", 12) != 0)
        bench__die("a send was answered: %s", text);
    len = 0;
    return true;
}

static int64_t send_once(struct hub *hub, const char *path, int number)
{
    char request[2048], message[64];
    int body = snprintf(message, sizeof(message), "#%050d#", number);
    int len = snprintf(request, sizeof(request),
                       "POST %s/:send?api-version=2024-12-01 HTTP/1.1\r\nHost: 127.0.0.1:%s\r\n"
                       "Authorization: Bearer %s\r\nContent-Type: text/plain\r\n"
                       "Content-Length: %d\r\n\r\n%s",
                       path, hub->port, hub->token, body, message);
    int64_t began = bench__now_us();
    bool waiting = true;

    hub->awaited = message;
    if (send(hub->http, request, (size_t)len, MSG_NOSIGNAL) != len)
        bench__die("send: %s", strerror(errno));
    while (waiting || hub->awaited) {
        struct epoll_event ready[2];
        int n = epoll_wait(hub->both, ready, 2, PATIENCE_MS);

        if (n <= 0)
            bench__die("send %d: no %s came", number, waiting ? "answer" : "message");
        for (int i = 0; i < n; i++) {
            if (ready[i].data.fd == hub->http)
                waiting = !answered(hub);
            else
                poll_clients(hub, "a message");
        }
    }
    return bench__now_us() - began;
}

int main(int argc, char **argv)
{
    struct hub hub = {0};
    int sends = argc == 6 ? atoi(argv[5]) : 0;
    int64_t *took = calloc((size_t)sends + 1, sizeof(*took)), sum = 0, p50;
    char path[256];

    if (sends < 1 || !took)
        bench__die("usage: rest PORT user|connection|group CONNECTIONS GROUPS SENDS");
    hub.port = argv[1];
    hub.connections = atoi(argv[3]);
    hub.groups = atoi(argv[4]);
    hub.client.on_frame = on_frame;
    hub.client.ctx = &hub;
    ws_client__open(&hub.client, (uint16_t)atoi(argv[1]), hub.connections, target_of,
                    subprotocol_of, &hub);
    while (hub.greeted < hub.connections)
        poll_clients(&hub, "greetings");
    join_groups(&hub);
    write_token(&hub);
    open_rest(&hub);
    snprintf(path, sizeof(path), "/api/hubs/bench/%ss/%s", argv[2],
             strcmp(argv[2], "connection") == 0 ? hub.id
             : strcmp(argv[2], "group") == 0    ? "g"
                                                : "u");
    if (strcmp(argv[2], "user") == 0)
        snprintf(path + strlen(path), 16, "%d", last(&hub));
    bench__start();
    for (int i = 0; i < sends; i++)
        sum += took[i] = send_once(&hub, path, i);
    p50 = bench__quantile(took, (size_t)sends, 0.5); /* sorts them */
    printf("{\"sends_per_s\":%.0f,\"p50_us\":%lld,\"p99_us\":%lld}\n", sends * 1e6 / (double)sum,
           (long long)p50, (long long)bench__quantile(took, (size_t)sends, 0.99));
    return 0;
}
