#include "broker_kit.h"

#include "base/json.h"
#include "base/jwt.h"
#include "ws_client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define BUFFER_MAX (64u << 20)

void broker_kit__init(struct broker_kit *k, unsigned threads)
{
    struct diag diag = {""};

    memset(k, 0, sizeof(*k));
    k->limits = BROKER_LIMITS_DEFAULT;
    assert_true(settings__init(&k->settings));
    assert_int_equal(settings__set_listen(&k->settings, "127.0.0.1:0", &diag), PH_OK);
    assert_int_equal(settings__finish(&k->settings, threads, &diag), PH_OK);
    k->log = ph_log_new(PH_LOG_ERROR, PH_LOG_TEXT);
    assert_non_null(k->log);
}

void broker_kit__start(struct broker_kit *k)
{
    struct diag diag = {""};

    k->broker = broker__start(&k->settings, &k->limits, k->log, &diag);
    if (!k->broker)
        fail_msg("%s", diag.text);
    k->port = (unsigned)atoi(strrchr(k->broker->own_host, ':') + 1);
}

void broker_kit__free(struct broker_kit *k)
{
    broker__stop(k->broker);
    ph_log_free(k->log);
    settings__free(&k->settings);
}

/* --- HTTP ---------------------------------------------------------------------- */

int broker_kit__connect(const struct broker_kit *k)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)k->port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval wait = {.tv_sec = BROKER_KIT_WAIT_S};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
    assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof(at)), 0);
    return fd;
}

void broker_kit__write(int fd, const void *data, size_t len)
{
    const char *at = data;

    while (len > 0) {
        ssize_t n = send(fd, at, len, MSG_NOSIGNAL);

        if (n <= 0)
            return; /* the broker has closed the socket; the test reads what it said */
        at += n;
        len -= (size_t)n;
    }
}

/* False at the end of the socket. Silence fails the test. */
static bool read_more(int fd, struct buf *in)
{
    char part[65536];
    ssize_t n = recv(fd, part, sizeof(part), 0);

    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        fail_msg("the broker was silent for %d s", BROKER_KIT_WAIT_S);
    if (n <= 0)
        return false;
    buf__append(in, part, (size_t)n);
    return true;
}

/* Length of the head with the empty line, 0 as long as it is not complete. */
static size_t head_length(const struct buf *in)
{
    const char *end = in->data ? strstr(in->data, "\r\n\r\n") : NULL;

    return end ? (size_t)(end - in->data) + 4 : 0;
}

static int read_head(int fd, struct buf *in)
{
    while (head_length(in) == 0) {
        if (!read_more(fd, in))
            return 0;
    }
    return atoi(in->data + strlen("HTTP/1.1 "));
}

static bool response_complete(const struct buf *in, bool head_only)
{
    size_t head = head_length(in);
    const char *length = head ? strcasestr(in->data, "\r\nContent-Length:") : NULL;

    if (head == 0)
        return false;
    return head_only || !length || in->len >= head + strtoul(length + 17, NULL, 10);
}

int broker_kit__http(const struct broker_kit *k, struct str request, struct buf *out)
{
    bool head_only = str__starts_with(request, STR("HEAD "));
    int fd = broker_kit__connect(k), status = 0;
    struct buf in;

    buf__init(&in, BUFFER_MAX);
    broker_kit__write(fd, request.ptr, request.len);
    if (read_head(fd, &in) != 0) {
        status = atoi(in.data + strlen("HTTP/1.1 "));
        while (!response_complete(&in, head_only) && read_more(fd, &in))
            ;
    }
    if (out)
        buf__str(out, buf__view(&in));
    buf__free(&in);
    close(fd);
    return status;
}

void broker_kit__token(const struct broker_kit *k, const char *path, const char *claims,
                       struct buf *out)
{
    struct buf payload;

    buf__init(&payload, JWT_MAX_LEN);
    buf__printf(&payload, "{\"aud\":\"http://127.0.0.1:%u%s\",\"exp\":%lld%s}", k->port, path,
                (long long)time(NULL) + 600, claims ? claims : "");
    jwt__sign(out, buf__view(&payload), k->settings.keys[0]);
    buf__free(&payload);
}

int broker_kit__rest(const struct broker_kit *k, const char *method, const char *target,
                     const char *content_type, struct str body, struct buf *out)
{
    struct buf request;
    int status;

    buf__init(&request, BUFFER_MAX);
    buf__printf(&request, "%s %s HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nAuthorization: Bearer ", method,
                target, k->port);
    broker_kit__token(k, target, NULL, &request);
    buf__printf(&request, "\r\nContent-Type: %s\r\nContent-Length: %zu\r\n\r\n", content_type,
                body.len);
    buf__str(&request, body);
    status = broker_kit__http(k, buf__view(&request), out);
    buf__free(&request);
    return status;
}

/* --- WebSocket ------------------------------------------------------------------- */

static void upgrade_request(const struct broker_kit *k, const struct client_options *o,
                            struct buf *out)
{
    char path[256];

    snprintf(path, sizeof(path), "/client/hubs/%s", o->hub ? o->hub : "chat");
    buf__printf(out, "GET %s?%s", path, o->query ? o->query : "");
    if (!o->no_token) {
        buf__printf(out, "%saccess_token=", o->query ? "&" : "");
        broker_kit__token(k, path, o->claims, out);
    }
    buf__printf(out,
                " HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
                k->port);
    if (o->protocol)
        buf__printf(out, "Sec-WebSocket-Protocol: %s\r\n", o->protocol);
    buf__str(out, STR("\r\n"));
    buf__str(out, o->early);
}

void client__open(struct client *c, const struct broker_kit *k, const struct client_options *o)
{
    struct buf request;

    memset(c, 0, sizeof(*c));
    buf__init(&c->in, BUFFER_MAX);
    buf__init(&c->payload, BUFFER_MAX);
    buf__init(&request, 65536);
    c->fd = broker_kit__connect(k);
    if (o->receive_buffer)
        setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &o->receive_buffer, sizeof(o->receive_buffer));
    upgrade_request(k, o, &request);
    broker_kit__write(c->fd, request.data, request.len);
    c->status = read_head(c->fd, &c->in);
    c->at = head_length(&c->in);
    buf__free(&request);
}

void client__close(struct client *c)
{
    close(c->fd);
    buf__free(&c->in);
    buf__free(&c->payload);
}

void client__frame(struct client *c, uint8_t first, struct str payload)
{
    struct buf frame;

    buf__init(&frame, BUFFER_MAX);
    ws_client__frame(&frame, first, payload, "\x12\x34\x56\x78");
    broker_kit__write(c->fd, frame.data, frame.len);
    buf__free(&frame);
}

void client__text(struct client *c, const char *text)
{
    client__frame(c, 0x80 | WS_OP_TEXT, str__of(text));
}

/* Takes `len` bytes of input; NULL at the end of the socket. */
static const char *take(struct client *c, size_t len)
{
    if (c->at == c->in.len) {
        buf__reset(&c->in);
        c->at = 0;
    }
    while (c->in.len - c->at < len) {
        if (!read_more(c->fd, &c->in))
            return NULL;
    }
    c->at += len;
    return c->in.data + c->at - len;
}

static bool take_number(struct client *c, size_t bytes, size_t *out)
{
    const uint8_t *p = (const uint8_t *)take(c, bytes);

    for (*out = 0; p && bytes > 0; bytes--)
        *out = *out << 8 | *p++;
    return p;
}

int client__read_frame(struct client *c)
{
    size_t opcode, len;
    const char *data;

    if (!take_number(c, 1, &opcode) || !take_number(c, 1, &len))
        return -1;
    assert_true(opcode & 0x80); /* the broker does not fragment */
    if (len >= 126 && !take_number(c, len == 126 ? 2 : 8, &len))
        return -1;
    data = take(c, len);
    if (!data && len > 0)
        return -1;
    buf__reset(&c->payload);
    buf__append(&c->payload, data ? data : "", len);
    buf__append(&c->payload, "", 0);
    if ((opcode & 0xf) == WS_OP_CLOSE)
        c->code = len < 2
                      ? WS_CLOSE_NONE
                      : (uint16_t)((uint8_t)c->payload.data[0] << 8 | (uint8_t)c->payload.data[1]);
    return (int)(opcode & 0xf);
}

/* A test that takes long is asked now and then whether it lives. */
int client__read(struct client *c)
{
    int opcode;

    while ((opcode = client__read_frame(c)) == WS_OP_PING)
        client__frame(c, 0x80 | WS_OP_PONG, buf__view(&c->payload));
    return opcode;
}

void client__expect(struct client *c, int opcode, const char *payload)
{
    int got = opcode == WS_OP_PING ? client__read_frame(c) : client__read(c);

    if (got != opcode)
        fail_msg("got opcode %d \"%.*s\", expected %d \"%s\"", got, STR_FMT(buf__view(&c->payload)),
                 opcode, payload);
    assert_str(buf__view(&c->payload), payload);
}

unsigned client__expect_close(struct client *c)
{
    int opcode;

    do {
        opcode = client__read(c);
    } while (opcode >= 0 && opcode != WS_OP_CLOSE);
    if (opcode < 0)
        fail_msg("the socket ended without a close frame");
    client__frame(c, 0x80 | WS_OP_CLOSE, str__n(c->payload.data, c->payload.len < 2 ? 0 : 2));
    assert_int_equal(client__read(c), -1);
    return c->code;
}

void client__member(struct client *c, const char *name, char *out, size_t size)
{
    const struct json_limits limits = JSON_LIMITS_DEFAULT;
    struct diag diag = {""};
    struct arena arena;
    struct json *root;
    struct str value;

    arena__init(&arena, NULL, 0, 1u << 20);
    if (json__parse(&arena, buf__view(&c->payload), &limits, &root, &diag))
        fail_msg("%s: %.*s", diag.text, STR_FMT(buf__view(&c->payload)));
    value = json__get_string(root, str__of(name));
    snprintf(out, size, "%.*s", STR_FMT(value));
    arena__free(&arena);
}

int open_silent_server(uint16_t *port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(at);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(listen(fd, 64), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    *port = ntohs(at.sin_port);
    return fd;
}
