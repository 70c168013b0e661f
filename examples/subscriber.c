/* A client of Web PubSub: joins a group, prints what is said there, and says what comes on
 * standard input, a message for each line.
 *
 *     cc subscriber.c $(pkg-config --cflags --libs pubhook) -o subscriber
 *     ./subscriber "$URL" lobby
 *
 * The URL is a client access URL, as a negotiate server or `pubhook url` makes it, with the
 * roles webpubsub.joinLeaveGroup and webpubsub.sendToGroup. */
#include <pubhook/pubhook.h>
#include <stdio.h>
#include <string.h>

static void on_message(struct ph_client *client, const struct ph_client_message *m, void *arg)
{
    (void)client, (void)arg;
    printf("%s: %.*s\n", m->from_user_id ? m->from_user_id : "somebody", (int)m->len,
           (const char *)m->data);
    fflush(stdout);
}

static void on_connected(struct ph_client *client, const char *connection_id, const char *user_id,
                         void *arg)
{
    (void)client, (void)arg;
    fprintf(stderr, "connected as %s (%s)\n", user_id ? user_id : "nobody", connection_id);
}

static void on_disconnected(struct ph_client *client, const char *connection_id, const char *reason,
                            void *arg)
{
    (void)client, (void)connection_id, (void)arg;
    fprintf(stderr, "disconnected: %s\n", reason);
}

/* Waits for an operation that has begun. */
static int is_done(enum ph_err err, struct ph_client_future *future, const char *what)
{
    const struct ph_client_result *r;

    if (err != PH_OK) {
        fprintf(stderr, "%s: %s\n", what, ph_strerror(err));
        return 0;
    }
    r = ph_client_future_wait(future);
    if (r->err != PH_OK)
        fprintf(stderr, "%s: %s\n", what, r->message[0] ? r->message : ph_strerror(r->err));
    return r->err == PH_OK;
}

static int chat(struct ph_client *client, const char *group, struct ph_client_future *f)
{
    const struct ph_client_send_options others = {.no_echo = 1};
    char line[4096];

    if (!is_done(ph_client_start(client, ph_client_resolve, f), f, "start") ||
        !is_done(ph_client_join_group(client, group, ph_client_resolve, f), f, "join"))
        return 1;
    while (fgets(line, sizeof(line), stdin)) {
        size_t len = strcspn(line, "\n");

        if (!is_done(ph_client_send_to_group(client, group, PH_DATA_TEXT, line, len, &others,
                                             ph_client_resolve, f),
                     f, "send"))
            return 1;
    }
    return !is_done(ph_client_stop(client, ph_client_resolve, f), f, "stop");
}

int main(int argc, char **argv)
{
    struct ph_client_options options = {
        .connected = on_connected,
        .disconnected = on_disconnected,
        .group_message = on_message,
    };
    struct ph_client_future *future;
    struct ph_client *client;
    const char *why;
    int status = 1;

    if (argc != 3) {
        fprintf(stderr, "usage: subscriber URL GROUP\n");
        return 2;
    }
    options.url = argv[1];
    if (ph_client_new(&options, &client, &why) != PH_OK) {
        fprintf(stderr, "%s\n", why);
        return 1;
    }
    future = ph_client_future_new();
    if (future)
        status = chat(client, argv[2], future);
    ph_client_free(client);
    ph_client_future_free(future);
    return status;
}
