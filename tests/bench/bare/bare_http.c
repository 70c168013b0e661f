/* Bare libmicrohttpd doing the one thing that a webhook must cost: an HMAC-SHA256 of
 * the connection id. Reads the body, checks nothing, answers 204. The measure for
 * pubhookd, on the same library.
 *
 *   bare_http THREADS    prints `ready PORT` */
#include <microhttpd.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

static enum MHD_Result answer(void *cls, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *data,
                              size_t *size, void **state)
{
    static int seen;
    const char *id;
    unsigned char out[32];
    size_t len;
    struct MHD_Response *response;
    enum MHD_Result result;

    (void)cls, (void)url, (void)method, (void)version, (void)data;
    if (!*state) {
        *state = &seen;
        return MHD_YES;
    }
    if (*size > 0) {
        *size = 0;
        return MHD_YES;
    }
    if (!mac)
        keyed_context();
    id = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "ce-connectionId");
    EVP_MAC_init(mac, NULL, 0, NULL);
    EVP_MAC_update(mac, (const unsigned char *)(id ? id : ""), id ? strlen(id) : 0);
    EVP_MAC_final(mac, out, &len, sizeof(out));
    response = MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    result = MHD_queue_response(connection, 204, response);
    MHD_destroy_response(response);
    return result;
}

int main(int argc, char **argv)
{
    unsigned threads = argc > 1 ? (unsigned)atoi(argv[1]) : 1;
    struct MHD_Daemon *daemon;
    sigset_t stop;
    int sig;

    sigemptyset(&stop);
    sigaddset(&stop, SIGTERM);
    sigaddset(&stop, SIGINT);
    sigprocmask(SIG_BLOCK, &stop, NULL);
    if (threads > 1)
        daemon = MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD, 0, NULL, NULL, answer, NULL,
                                  MHD_OPTION_THREAD_POOL_SIZE, threads, MHD_OPTION_END);
    else
        daemon = MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD, 0, NULL, NULL, answer, NULL,
                                  MHD_OPTION_END);
    if (!daemon)
        return 1;
    printf("ready %u\n", MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT)->port);
    fflush(stdout);
    sigwait(&stop, &sig);
    MHD_stop_daemon(daemon);
    return 0;
}
