/* A user's test with a broker in its own process, and nothing but the installed headers and
 * what `pkg-config --libs pubhooktest` names. Arguments: a plugin that echoes. */
#include <arpa/inet.h>
#include <pubhook/pubhook.h>
#include <pubhook/test.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define STARTS 10

static int failures;

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            printf("FAILED %s:%d: %s\n", __FILE__, __LINE__, #condition);                          \
            failures++;                                                                            \
        }                                                                                          \
    } while (0)

/* --- A client that knows just enough ------------------------------------------------- */

static int dial(const char *url)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval wait = {.tv_sec = 60};
    const char *port = strstr(url, "127.0.0.1:");
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    CHECK(port);
    at.sin_port = htons((uint16_t)atoi(port + strlen("127.0.0.1:")));
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
    CHECK(connect(fd, (struct sockaddr *)&at, sizeof(at)) == 0);
    return fd;
}

/* One byte at a time, so that nothing of the first frame goes with the head. */
static int upgrade(int fd, const char *url)
{
    char text[8192];
    size_t len = (size_t)snprintf(text, sizeof(text),
                                  "GET %s HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
                                  "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                                  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
                                  strstr(url, "/client"));

    CHECK(send(fd, text, len, MSG_NOSIGNAL) == (ssize_t)len);
    for (len = 0; len < sizeof(text) - 1 && recv(fd, text + len, 1, 0) == 1; len++) {
        if (len >= 3 && memcmp(text + len - 3, "\r\n\r\n", 4) == 0)
            break;
    }
    return strncmp(text, "HTTP/1.1 ", 9) == 0 ? atoi(text + 9) : 0;
}

/* Sends a short text and compares what comes back. */
static int is_echoed(int fd, const char *text)
{
    unsigned char frame[128] = {0x81, (unsigned char)(0x80 | strlen(text)), 0, 0, 0, 0};
    size_t len = strlen(text);

    memcpy(frame + 6, text, len); /* masked with zeros */
    CHECK(send(fd, frame, 6 + len, MSG_NOSIGNAL) == (ssize_t)(6 + len));
    memset(frame, 0, sizeof(frame));
    CHECK(recv(fd, frame, 2 + len, MSG_WAITALL) == (ssize_t)(2 + len));
    return frame[0] == 0x81 && memcmp(frame + 2, text, len) == 0;
}

static void a_client_is_echoed(const struct ph_test_broker *broker, const char *hub)
{
    struct ph_token_options options = {.user_id = "ann"};
    char *url = NULL;
    int fd;

    CHECK(ph_test_broker_client_url(broker, hub, &options, &url) == PH_OK);
    fd = dial(url);
    CHECK(upgrade(fd, url) == 101);
    CHECK(is_echoed(fd, hub));
    close(fd);
    ph_token_free(url);
}

/* --- The tests -------------------------------------------------------------------------- */

static struct ph_reply *echo(const struct ph_event *ev, void *arg)
{
    size_t len;
    const void *data = ph_event_data(ev, &len);

    (void)arg;
    return ph_reply_data(ph_event_data_type(ev), data, len);
}

/* The same by way of the broker, which the application calls as its service. */
static struct ph_reply *tell_all(const struct ph_event *ev, void *arg)
{
    struct ph_service *service = ph_event_service(ev);
    size_t len;
    const void *data = ph_event_data(ev, &len);

    (void)arg;
    return service && ph_service_send_to_all(service, PH_DATA_TEXT, data, len, NULL) == PH_OK
               ? ph_reply_ok()
               : NULL;
}

static struct ph_app *make_app(void)
{
    struct ph_app *app = ph_app_new();

    ph_app_add_key(app, PH_TEST_KEY);
    ph_app_on_event(app, "calling", "*", tell_all, NULL, NULL);
    ph_app_on_event(app, NULL, "*", echo, NULL, NULL);
    return app;
}

static struct ph_test_broker *start(const struct ph_test_broker_options *options)
{
    struct ph_test_broker *broker = NULL;
    const char *why = "";

    if (ph_test_broker_start(options, &broker, &why)) {
        printf("FAILED: %s\n", why);
        exit(EXIT_FAILURE);
    }
    return broker;
}

/* Applications, plugins and URLs; two brokers at once, each with its own. */
static void events_go_to_each_kind_of_handler(const char *plugin)
{
    struct ph_app *app = make_app();
    struct ph_server *server = NULL;
    struct ph_test_event_handler handlers[] = {{.hub = "inapp", .app = app},
                                               {.hub = "calling", .app = app},
                                               {.hub = "inplugin", .plugin = plugin}};
    struct ph_test_event_handler by_url = {.hub = "byurl"};
    struct ph_test_broker *first, *second;

    CHECK(ph_serve_http(app, "127.0.0.1:0", 1, &server, NULL) == PH_OK);
    by_url.url = ph_server_address(server);
    first = start(
        &(struct ph_test_broker_options){.handlers = handlers, .handler_count = plugin ? 3 : 2});
    second = start(&(struct ph_test_broker_options){
        .config = "{\"hubs\": {\"byurl\": {}}} // as in a file",
        .handlers = &by_url,
        .handler_count = 1,
        .threads = 2,
    });
    CHECK(strcmp(ph_test_broker_url(first), ph_test_broker_url(second)) != 0);
    a_client_is_echoed(first, "inapp");
    a_client_is_echoed(first, "calling");
    if (plugin)
        a_client_is_echoed(first, "inplugin");
    a_client_is_echoed(second, "byurl");
    ph_test_broker_stop(first);
    a_client_is_echoed(second, "byurl");
    ph_test_broker_stop(second);
    ph_server_free(server);
    ph_app_free(app);
}

static void the_key_is_the_one_that_was_given(void)
{
    static const char key[] = "0123456789abcdef0123456789abcdef";
    struct ph_test_broker *broker = start(&(struct ph_test_broker_options){.access_key = key});
    char expected[256], *url = NULL;
    int fd;

    snprintf(expected, sizeof(expected), "Endpoint=%s;AccessKey=%s;Version=1.0;",
             ph_test_broker_url(broker), key);
    CHECK(strcmp(ph_test_broker_connection_string(broker), expected) == 0);
    snprintf(expected, sizeof(expected), "Endpoint=%s;AccessKey=%s;Version=1.0;",
             ph_test_broker_url(broker), PH_TEST_KEY);
    CHECK(ph_client_access_url(expected, "chat", NULL, &url) == PH_OK);
    fd = dial(url);
    CHECK(upgrade(fd, url) == 401);
    close(fd);
    ph_token_free(url);
    ph_test_broker_stop(broker);
}

static void mistakes_are_explained(void)
{
    const struct ph_test_event_handler nowhere = {.hub = "chat"},
                                       hubless = {.url = "http://localhost/"},
                                       both = {.hub = "chat",
                                               .url = "http://localhost/",
                                               .plugin = "a.so"},
                                       missing = {.hub = "chat", .plugin = "/nowhere/a.so"};
    const struct {
        struct ph_test_broker_options options;
        enum ph_err err;
        const char *why;
    } rows[] = {
        {{.config = "{\"hub\": 1}"}, PH_ERR_CONFIG, "config:1: "},
        {{.access_key = "short"}, PH_ERR_ARGUMENT, "32"},
        {{.handlers = &nowhere, .handler_count = 1},
         PH_ERR_ARGUMENT,
         "handler 1: expected a hub, and a URL, a plugin or an application"},
        {{.handlers = &hubless, .handler_count = 1}, PH_ERR_ARGUMENT, "handler 1: expected a hub"},
        {{.handlers = &both, .handler_count = 1}, PH_ERR_ARGUMENT, "one of the three"},
        {{.handler_count = 2}, PH_ERR_ARGUMENT, "no event handlers, expected 2"},
        {{.handlers = &missing, .handler_count = 1}, PH_ERR_PLUGIN, "/nowhere/a.so: no such file"},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct ph_test_broker *broker = (struct ph_test_broker *)"not touched";
        const char *why = "";
        enum ph_err err = ph_test_broker_start(&rows[i].options, &broker, &why);

        if (err != rows[i].err || !strstr(why, rows[i].why) || broker) {
            printf("FAILED row %zu: error %d, \"%s\"\n", i, (int)err, why);
            failures++;
        }
    }
    ph_test_broker_stop(NULL);
}

static double now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* Told, and not judged: how fast it is depends on the machine. */
static void tell_how_long_it_takes(void)
{
    double fastest = 1e9, stopped = 1e9;

    for (int i = 0; i < STARTS; i++) {
        double begin = now_ms(), ready, end;
        struct ph_test_broker *broker = start(NULL);

        ready = now_ms();
        ph_test_broker_stop(broker);
        end = now_ms();
        fastest = ready - begin < fastest ? ready - begin : fastest;
        stopped = end - ready < stopped ? end - ready : stopped;
    }
    printf("start %.1f ms, stop %.1f ms\n", fastest, stopped);
}

static void signals_stay_as_they_are(void)
{
    struct sigaction pipe_action, child_action;
    sigset_t blocked;

    sigaction(SIGPIPE, NULL, &pipe_action);
    sigaction(SIGCHLD, NULL, &child_action);
    pthread_sigmask(SIG_BLOCK, NULL, &blocked);
    CHECK(pipe_action.sa_handler == SIG_DFL && child_action.sa_handler == SIG_DFL);
    for (int i = 1; i < 32; i++)
        CHECK(!sigismember(&blocked, i));
}

int main(int argc, char **argv)
{
    events_go_to_each_kind_of_handler(argc > 1 ? argv[1] : NULL);
    the_key_is_the_one_that_was_given();
    mistakes_are_explained();
    tell_how_long_it_takes();
    signals_stay_as_they_are();
    printf("%s\n", failures ? "failed" : "ok");
    return failures ? EXIT_FAILURE : EXIT_SUCCESS;
}
