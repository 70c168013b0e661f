#include "serve_client.h"

#include "base/url.h"
#include "unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static struct ph_reply *echo(const struct ph_event *ev, void *arg)
{
    size_t len;
    const void *data = ph_event_data(ev, &len);

    (void)arg;
    return ph_reply_data(ph_event_data_type(ev), data, len);
}

struct ph_app *serve_client__echo_app(void)
{
    struct ph_app *app = ph_app_new();

    assert_non_null(app);
    assert_int_equal(ph_app_add_key(app, WEBHOOK_KEY), PH_OK);
    assert_int_equal(ph_app_on_event(app, NULL, "message", echo, NULL, NULL), PH_OK);
    return app;
}

const char *serve_client__authority(const struct ph_server *server, char out[64])
{
    const char *address = ph_server_address(server);
    const char *start = strstr(address, "127.0.0.1:");

    assert_non_null(start);
    snprintf(out, 64, "%.*s", (int)strcspn(start, "/"), start);
    return out;
}

static int connected(int fd, const struct sockaddr *sa, socklen_t len)
{
    struct timeval wait = {.tv_sec = SERVE_CLIENT_WAIT_S};

    assert_true(fd >= 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
    if (connect(fd, sa, len))
        fail_msg("connect: %s", strerror(errno));
    return fd;
}

int serve_client__connect_tcp(const char *authority)
{
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct str host;
    uint16_t port;

    assert_true(url__host_port(str__of(authority), &host, &port));
    sa.sin_port = htons(port);
    return connected(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), (struct sockaddr *)&sa,
                     sizeof(sa));
}

int serve_client__connect_unix(const char *path)
{
    struct sockaddr_un sa = {.sun_family = AF_UNIX};

    snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
    return connected(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), (struct sockaddr *)&sa,
                     sizeof(sa));
}

bool serve_client__send(int fd, const void *data, size_t len)
{
    const char *at = data;

    while (len > 0) {
        ssize_t n = send(fd, at, len, MSG_NOSIGNAL);

        if (n <= 0)
            return false;
        at += n;
        len -= (size_t)n;
    }
    return true;
}

size_t serve_client__read_all(int fd, char *out, size_t size)
{
    size_t len = 0;
    ssize_t n;

    while ((n = recv(fd, out + len, size - 1 - len, 0)) > 0)
        len += (size_t)n;
    if (n < 0 && errno == EAGAIN)
        fail_msg("the server neither answered nor closed the connection");
    out[len] = '\0';
    return len;
}

/* True once `out` holds the head and as much body as it announces. */
static bool is_complete(const char *out, size_t len)
{
    const char *end = strstr(out, "\r\n\r\n"), *length = strstr(out, "Content-Length: ");

    if (!end)
        return false;
    return len >= (size_t)(end + 4 - out) + (length ? strtoul(length + 16, NULL, 10) : 0);
}

int serve_client__read_http(int fd, char *out, size_t size)
{
    size_t len = 0;
    int status = 0;

    out[0] = '\0';
    while (!is_complete(out, len)) {
        ssize_t n = recv(fd, out + len, size - 1 - len, 0);

        if (n < 0 && errno == EAGAIN)
            fail_msg("the server does not answer");
        if (n <= 0)
            return 0;
        len += (size_t)n;
        out[len] = '\0';
    }
    sscanf(out, "HTTP/1.1 %d", &status);
    return status;
}

struct str serve_client__event(char *out, size_t size, const char *extra_lines, const char *body)
{
    int len = snprintf(out, size,
                       "POST /eventhandler HTTP/1.1\r\n" SERVE_CLIENT_EVENT_LINES "%s"
                       "Content-Length: %zu\r\n\r\n%s",
                       extra_lines, strlen(body), body);

    assert_true(len > 0 && (size_t)len < size);
    return str__n(out, (size_t)len);
}
