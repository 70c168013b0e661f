#include "fastcgi_client.h"

#include "serve_client.h"
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>

enum { BEGIN_REQUEST = 1, END_REQUEST = 3, PARAMS = 4, STDIN = 5, STDOUT = 6 };

static void put_record(struct buf *out, int type, struct str content)
{
    char head[8] = {1, (char)type, 0, 1, (char)(content.len >> 8), (char)content.len, 0, 0};

    buf__append(out, head, sizeof(head));
    buf__str(out, content);
}

static void put_length(struct buf *out, size_t len)
{
    if (len < 128) {
        buf__byte(out, (char)len);
        return;
    }
    buf__byte(out, (char)(0x80 | (len >> 24)));
    buf__byte(out, (char)(len >> 16));
    buf__byte(out, (char)(len >> 8));
    buf__byte(out, (char)len);
}

static void put_param(struct buf *out, const char *name, const char *value)
{
    put_length(out, strlen(name));
    put_length(out, strlen(value));
    buf__str(out, str__of(name));
    buf__str(out, str__of(value));
}

static const char *const event_params[][2] = {
    {"REQUEST_METHOD", "POST"},
    {"REQUEST_URI", "/eventhandler"},
    {"CONTENT_TYPE", "text/plain"},
    {"HTTP_HOST", "localhost"},
    {"HTTP_CE_SPECVERSION", "1.0"},
    {"HTTP_CE_AWPSVERSION", "1.0"},
    {"HTTP_CE_TYPE", "azure.webpubsub.user.message"},
    {"HTTP_CE_SOURCE", "/hubs/chat/client/conn1"},
    {"HTTP_CE_ID", "2"},
    {"HTTP_CE_TIME", "2026-11-20T12:00:00Z"},
    {"HTTP_CE_SIGNATURE", WEBHOOK_SIGNATURE},
    {"HTTP_CE_CONNECTIONID", WEBHOOK_CONNECTION},
    {"HTTP_CE_HUB", "chat"},
    {"HTTP_CE_EVENTNAME", "message"},
    {"HTTP_CE_USERID", "\xd0\xba\xd0\xbb"},
    {"HTTP_WEBHOOK_REQUEST_ORIGIN", "localhost"},
};

void fastcgi_client__put_event(struct buf *out, bool keep, struct str body, size_t length)
{
    char begin[8] = {0, 1, keep, 0, 0, 0, 0, 0}, number[24];
    struct buf params;

    buf__init(&params, 65535);
    for (size_t i = 0; i < sizeof(event_params) / sizeof(*event_params); i++)
        put_param(&params, event_params[i][0], event_params[i][1]);
    snprintf(number, sizeof(number), "%zu", length);
    put_param(&params, "CONTENT_LENGTH", number);
    put_record(out, BEGIN_REQUEST, str__n(begin, sizeof(begin)));
    put_record(out, PARAMS, buf__view(&params));
    put_record(out, PARAMS, STR(""));
    while (body.len > 0) {
        size_t n = body.len < 32768 ? body.len : 32768;

        put_record(out, STDIN, str__n(body.ptr, n));
        body = str__n(body.ptr + n, body.len - n);
    }
    put_record(out, STDIN, STR(""));
    buf__free(&params);
}

bool fastcgi_client__send_event(int fd, bool keep, const char *body, size_t length)
{
    struct buf out;
    bool sent;

    buf__init(&out, 4 << 20);
    fastcgi_client__put_event(&out, keep, str__of(body), length);
    sent = serve_client__send(fd, out.data, out.len);
    buf__free(&out);
    return sent;
}

static bool receive(int fd, void *to, size_t len)
{
    ssize_t n = recv(fd, to, len, MSG_WAITALL);

    if (n < 0 && errno == EAGAIN)
        fail_msg("the server does not answer");
    return n == (ssize_t)len;
}

bool fastcgi_client__read_response(int fd, char *out, size_t size)
{
    unsigned char head[8];
    char content[65536 + 256];
    size_t len = 0;

    while (receive(fd, head, sizeof(head))) {
        size_t n = (size_t)head[4] << 8 | head[5];

        if (!receive(fd, content, n + head[6]))
            return false;
        if (head[1] == STDOUT) {
            assert_true(len + n < size);
            memcpy(out + len, content, n);
            len += n;
        }
        out[len] = '\0';
        if (head[1] == END_REQUEST)
            return true;
    }
    return false;
}
