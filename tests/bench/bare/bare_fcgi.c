/* Bare libfcgi doing the one thing that a webhook must cost: an HMAC-SHA256 of the
 * connection id. Reads the body, checks nothing, answers 204. The measure for pubhookd
 * --fastcgi, on the same library, used as its manual says: a loop around FCGX_Accept_r in
 * each thread, which serves one connection for as long as the web server keeps it.
 *
 *   bare_fcgi SOCKET THREADS    prints `ready SOCKET` */
#include <fcgiapp.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char key[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789ABCDEFGH";
static int listener;

static EVP_MAC_CTX *keyed_context(void)
{
    char digest[] = "SHA256";
    OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
                           OSSL_PARAM_construct_end()};
    EVP_MAC_CTX *mac = EVP_MAC_CTX_new(EVP_MAC_fetch(NULL, "HMAC", NULL));

    EVP_MAC_init(mac, (const unsigned char *)key, sizeof(key) - 1, params);
    return mac;
}

static void answer(FCGX_Request *request, EVP_MAC_CTX *mac)
{
    const char *id = FCGX_GetParam("HTTP_CE_CONNECTIONID", request->envp);
    unsigned char out[32];
    char body[16384];
    size_t len;

    while (FCGX_GetStr(body, sizeof(body), request->in) > 0)
        ;
    EVP_MAC_init(mac, NULL, 0, NULL);
    EVP_MAC_update(mac, (const unsigned char *)(id ? id : ""), id ? strlen(id) : 0);
    EVP_MAC_final(mac, out, &len, sizeof(out));
    FCGX_PutS("Status: 204 No Content\r\n\r\n", request->out);
}

static void *serve(void *unused)
{
    EVP_MAC_CTX *mac = keyed_context();
    FCGX_Request request;

    FCGX_InitRequest(&request, listener, 0);
    while (FCGX_Accept_r(&request) == 0)
        answer(&request, mac);
    return unused;
}

int main(int argc, char **argv)
{
    int threads = argc > 2 ? atoi(argv[2]) : 1;
    pthread_t thread;

    if (argc < 2 || FCGX_Init() != 0 || (listener = FCGX_OpenSocket(argv[1], 1024)) < 0) {
        fprintf(stderr, "usage: bare_fcgi SOCKET THREADS\n");
        return 1;
    }
    for (int i = 0; i < threads; i++) {
        if (pthread_create(&thread, NULL, serve, NULL) != 0)
            return 1;
    }
    printf("ready %s\n", argv[1]);
    fflush(stdout);
    pause();
    return 0;
}
