/* A negotiate server: tells clients where to connect, with an access token in the URL.
 *
 *     WebPubSubConnectionString='Endpoint=...;AccessKey=...;Version=1.0;' \
 *         negotiate --hub HUB [--listen HOST:PORT] [--page FILE]
 *
 * GET /negotiate?id=USER answers {"url":"wss://..."}; GET / answers the page. The
 * access key stays here; a real server would check who asks before it answers. */
#include <arpa/inet.h>
#include <getopt.h>
#include <microhttpd.h>
#include <netdb.h>
#include <pubhook/pubhook.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define PAGE_MAX (4 << 20)

struct settings {
    const char *listen;
    const char *hub;
    const char *page;
};

static enum MHD_Result answer(struct MHD_Connection *client, unsigned status, const char *type,
                              char *body)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(strlen(body), body, MHD_RESPMEM_MUST_FREE);
    enum MHD_Result result = MHD_NO;

    if (!response) {
        free(body);
        return MHD_NO;
    }
    if (MHD_add_response_header(response, "Content-Type", type) == MHD_YES &&
        MHD_add_response_header(response, "Cache-Control", "no-store") == MHD_YES)
        result = MHD_queue_response(client, status, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result answer_text(struct MHD_Connection *client, unsigned status, const char *text)
{
    char *copy = strdup(text);

    return copy ? answer(client, status, "text/plain; charset=utf-8", copy) : MHD_NO;
}

/* {"url":"..."}; of a URL, only these two characters could end the string. */
static char *to_json(const char *url)
{
    char *json = malloc(2 * strlen(url) + sizeof("{\"url\":\"\"}")), *at = json;

    if (!json)
        return NULL;
    at += sprintf(at, "{\"url\":\"");
    for (; *url; url++) {
        if (*url == '"' || *url == '\\')
            *at++ = '\\';
        *at++ = *url;
    }
    strcpy(at, "\"}");
    return json;
}

static enum MHD_Result negotiate(const struct settings *settings, struct MHD_Connection *client)
{
    const char *user = MHD_lookup_connection_value(client, MHD_GET_ARGUMENT_KIND, "id");
    struct ph_token_options options = {.user_id = user, .minutes = 60};
    enum ph_err err;
    char *url, *json;

    if (!user || !*user)
        return answer_text(client, 400, "who are you? Ask for /negotiate?id=NAME");
    err = ph_client_access_url(NULL, settings->hub, &options, &url);
    if (err == PH_ERR_ARGUMENT)
        return answer_text(client, 400, "this name cannot be a user id");
    if (err)
        return answer_text(client, 500, ph_strerror(err));
    json = to_json(url);
    ph_token_free(url);
    return json ? answer(client, 200, "application/json", json) : MHD_NO;
}

static enum MHD_Result page(const struct settings *settings, struct MHD_Connection *client)
{
    FILE *file = settings->page ? fopen(settings->page, "r") : NULL;
    char *text = file ? calloc(1, PAGE_MAX + 1) : NULL;
    size_t len = text ? fread(text, 1, PAGE_MAX, file) : 0;

    if (file)
        fclose(file);
    if (len > 0)
        return answer(client, 200, "text/html; charset=utf-8", text);
    free(text);
    return answer_text(client, 404, "there is no page here");
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *client, const char *path,
                                  const char *method, const char *version, const char *data,
                                  size_t *data_len, void **context)
{
    (void)version, (void)data, (void)data_len;
    if (!*context) { /* the head; the answer may not come before the rest */
        *context = cls;
        return MHD_YES;
    }
    if (strcmp(method, "GET") != 0)
        return answer_text(client, 405, "expected GET");
    if (strcmp(path, "/negotiate") == 0)
        return negotiate(cls, client);
    if (strcmp(path, "/") == 0)
        return page(cls, client);
    return answer_text(client, 404, "expected / or /negotiate");
}

static struct MHD_Daemon *start(struct settings *settings)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_family = AF_INET};
    char *host = strdup(settings->listen), *colon = host ? strrchr(host, ':') : NULL;
    struct addrinfo *address = NULL;
    struct MHD_Daemon *daemon = NULL;

    if (colon) {
        *colon = '\0';
        if (getaddrinfo(host, colon + 1, &hints, &address) == 0)
            daemon = MHD_start_daemon(MHD_USE_AUTO_INTERNAL_THREAD | MHD_USE_ITC, 0, NULL, NULL,
                                      on_request, settings, MHD_OPTION_SOCK_ADDR, address->ai_addr,
                                      MHD_OPTION_CONNECTION_TIMEOUT, 30u, MHD_OPTION_END);
    }
    if (daemon)
        printf("ready http://%s:%u/\n", host,
               MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT)->port);
    fflush(stdout);
    if (address)
        freeaddrinfo(address);
    free(host);
    return daemon;
}

static int parse(int argc, char **argv, struct settings *settings)
{
    static const struct option options[] = {{"listen", required_argument, NULL, 'l'},
                                            {"hub", required_argument, NULL, 'h'},
                                            {"page", required_argument, NULL, 'p'},
                                            {0}};
    int c;

    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (c == 'l')
            settings->listen = optarg;
        else if (c == 'h')
            settings->hub = optarg;
        else if (c == 'p')
            settings->page = optarg;
        else
            return 0;
    }
    return settings->hub && optind == argc;
}

int main(int argc, char **argv)
{
    struct settings settings = {.listen = "127.0.0.1:8081"};
    struct MHD_Daemon *daemon;
    sigset_t signals;
    char *token;
    int number;
    enum ph_err err;

    if (!parse(argc, argv, &settings)) {
        fprintf(stderr, "usage: negotiate --hub HUB [--listen HOST:PORT] [--page FILE]\n");
        return 2;
    }
    err = ph_client_access_token(NULL, settings.hub, NULL, &token);
    if (err) {
        fprintf(stderr, "negotiate: WebPubSubConnectionString or hub: %s\n", ph_strerror(err));
        return EXIT_FAILURE;
    }
    ph_token_free(token);
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    daemon = start(&settings);
    if (!daemon) {
        fprintf(stderr, "negotiate: cannot listen on %s, expected HOST:PORT\n", settings.listen);
        return EXIT_FAILURE;
    }
    sigwait(&signals, &number);
    MHD_stop_daemon(daemon);
    return EXIT_SUCCESS;
}
