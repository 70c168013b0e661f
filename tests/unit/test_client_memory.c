/* The client without memory: each allocation of making it, asking it for things, connecting
 * and ending fails in turn. What was accepted ends exactly once; nothing crashes or leaks.
 * The server is a socket of this test, which says what a service would. */
#include "base/buf.h"
#include "memory_kit.h"
#include "pubhook/client.h"
#include "unit.h"
#include "ws/ws_handshake.h"

#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

struct server {
    int listener;
    char url[64];
};

static int accepted, ended;

static void count_end(struct ph_client *client, const struct ph_client_result *r, void *arg)
{
    (void)client, (void)arg;
    assert_non_null(r->message);
    ended++;
}

static void expect_end(enum ph_err err)
{
    assert_true(err == PH_OK || err == PH_ERR_MEMORY || err == PH_ERR_LIMIT);
    accepted += err == PH_OK;
}

/* Answers the handshake with the right key, and greets. */
static void answer(int fd)
{
    static const char greeting[] = "{\"type\":\"system\",\"event\":\"connected\",\"connectionId\":"
                                   "\"c\",\"reconnectionToken\":\"t\"}";
    char head[4096], key[WS_ACCEPT_LEN + 1], out[1024];
    ssize_t n = recv(fd, head, sizeof(head) - 1, MSG_DONTWAIT);
    const char *at;
    int len;

    if (n <= 0)
        return;
    head[n] = '\0';
    at = strstr(head, "Sec-WebSocket-Key: ");
    if (!at || !ws__accept_key(str__n(at + 19, WS_KEY_LEN), key))
        return;
    len = snprintf(out, sizeof(out),
                   "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                   "Sec-WebSocket-Accept: %s\r\n"
                   "Sec-WebSocket-Protocol: json.reliable.webpubsub.azure.v1\r\n\r\n\x81%c%s",
                   key, (int)sizeof(greeting) - 1, greeting);
    assert_int_equal(send(fd, out, (size_t)len, MSG_NOSIGNAL), len);
}

static void ask_for_everything(struct ph_client *client)
{
    static const struct ph_client_metadata pair[] = {{"k", "v"}};
    const struct ph_client_send_options options = {.metadata = pair, .metadata_count = 1};
    struct ph_client_stream *stream;
    enum ph_err err;

    expect_end(ph_client_start(client, count_end, NULL));
    expect_end(ph_client_join_group(client, "g", count_end, NULL));
    expect_end(
        ph_client_send_to_group(client, "g", PH_DATA_BINARY, "\0x", 2, &options, count_end, NULL));
    expect_end(ph_client_invoke(client, "e", PH_DATA_JSON, "[1]", 3, NULL, count_end, NULL));
    err = ph_client_open_stream(client, "g", NULL, &stream, count_end, NULL);
    expect_end(err);
    if (err != PH_OK)
        return;
    expect_end(ph_client_stream_write(stream, PH_DATA_TEXT, "x", 1, count_end, NULL));
    expect_end(ph_client_stream_end(stream, count_end, NULL));
    ph_client_stream_free(stream);
}

/* Until nothing happens any more for a moment. */
static void run_for_a_while(struct ph_client *client, int listener)
{
    int fd = -1;

    for (int i = 0; i < 100; i++) {
        struct pollfd fds[] = {{.fd = ph_client_fd(client), .events = POLLIN},
                               {.fd = fd < 0 ? listener : fd, .events = POLLIN}};

        if (poll(fds, 2, 20) <= 0)
            break;
        if (fds[0].revents)
            assert_int_equal(ph_client_process(client), PH_OK);
        if (fds[1].revents && fd < 0)
            fd = accept(listener, NULL, NULL);
        else if (fds[1].revents)
            answer(fd);
    }
    if (fd >= 0)
        close(fd);
}

static void whole_life(void *ctx)
{
    const struct server *server = ctx;
    const struct ph_client_options options = {.url = server->url, .own_loop = 1, .no_reconnect = 1};
    struct ph_client *client = NULL;
    const char *why = NULL;

    accepted = ended = 0;
    if (ph_client_new(&options, &client, &why) != PH_OK) {
        assert_non_null(why);
        assert_null(client);
        return;
    }
    ask_for_everything(client);
    run_for_a_while(client, server->listener);
    ph_client_free(client);
    assert_int_equal(ended, accepted);
}

static void test_each_allocation_fails(void **state)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);
    struct server server = {.listener = socket(AF_INET, SOCK_STREAM, 0)};

    (void)state;
    assert_int_equal(bind(server.listener, (struct sockaddr *)&address, len), 0);
    assert_int_equal(listen(server.listener, 100), 0);
    assert_int_equal(getsockname(server.listener, (struct sockaddr *)&address, &len), 0);
    snprintf(server.url, sizeof(server.url), "ws://127.0.0.1:%u/client/hubs/chat",
             ntohs(address.sin_port));
    whole_life(&server);
    assert_true(accepted == 7 && ended == 7);
    memory_kit__each_fails(whole_life, &server, 30); /* 39 when optimised */
    close(server.listener);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_each_allocation_fails)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
