/* Bare libmicrohttpd doing the one thing that a webhook must cost: an HMAC-SHA256 of
 * the connection id. Reads the body, checks nothing, answers 204, or 200 with the body.
 * The measure for pubhookd, on the same library.
 *
 *   bare_http THREADS [echo]    prints `ready PORT` */
#include <microhttpd.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_BODY 4096

struct request {
    size_t len;
    char body[MAX_BODY];
};

static const char key[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789ABCDEFGH";
static _Thread_local EVP_MAC_CTX *mac;

static void keyed_context(void)
{
    char digest[] = "SHA256";
    OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
                           OSSL_PARAM_construct_end()};

    mac = EVP_MAC_CTX_new(EVP_MAC_fetch(NULL, "HMAC", NULL));
    EVP_MAC_init(mac, (const unsigned char *)key, sizeof(key) - 1, params);
}

static void sign(const char *id)
{
    unsigned char out[32];
    size_t len;

    if (!mac)
        keyed_context();
    EVP_MAC_init(mac, NULL, 0, NULL);
    EVP_MAC_update(mac, (const unsigned char *)(id ? id : ""), id ? strlen(id) : 0);
    EVP_MAC_final(mac, out, &len, sizeof(out));
}

static enum MHD_Result reply(struct MHD_Connection *connection, struct request *r)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(r->len, r->body, MHD_RESPMEM_PERSISTENT);
    enum MHD_Result result;

    if (r->len > 0)
        MHD_add_response_header(response, "Content-Type", "text/plain");
    result = MHD_queue_response(connection, r->len > 0 ? 200 : 204, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result answer(void *cls, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *data,
                              size_t *size, void **state)
{
    struct request *r = *state;
    const bool *echo = cls;

    (void)url, (void)method, (void)version;
    if (!r) {
        *state = r = malloc(sizeof(*r));
        r->len = 0;
        return MHD_YES;
    }
    if (*size > 0) {
        if (*size > MAX_BODY - r->len)
            return MHD_NO;
        memcpy(r->body + r->len, data, *size);
        r->len += *echo ? *size : 0;
        *size = 0;
        return MHD_YES;
    }
    sign(MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "ce-connectionId"));
    return reply(connection, r);
}

static void completed(void *cls, struct MHD_Connection *connection, void **state,
                      enum MHD_RequestTerminationCode code)
{
    (void)cls, (void)connection, (void)code;
    free(*state);
}

int main(int argc, char **argv)
{
    unsigned threads = argc > 1 ? (unsigned)atoi(argv[1]) : 1;
    bool echo = argc > 2 && strcmp(argv[2], "echo") == 0;
    struct MHD_Daemon *daemon;
    sigset_t stop;
    int sig;

    sigemptyset(&stop);
    sigaddset(&stop, SIGTERM);
    sigaddset(&stop, SIGINT);
    sigprocmask(SIG_BLOCK, &stop, NULL);
    if (threads > 1)
        daemon = MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD, 0, NULL, NULL, answer, &echo,
                                  MHD_OPTION_NOTIFY_COMPLETED, completed, NULL,
                                  MHD_OPTION_THREAD_POOL_SIZE, threads, MHD_OPTION_END);
    else
        daemon = MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD, 0, NULL, NULL, answer, &echo,
                                  MHD_OPTION_NOTIFY_COMPLETED, completed, NULL, MHD_OPTION_END);
    if (!daemon)
        return 1;
    printf("ready %u\n", MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT)->port);
    fflush(stdout);
    sigwait(&stop, &sig);
    MHD_stop_daemon(daemon);
    return 0;
}
