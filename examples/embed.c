/* An application with a main() of its own, which also answers Web PubSub events.
 *
 *     WebPubSubConnectionString='Endpoint=...;AccessKey=...;Version=1.0;' embed [HOST:PORT]
 *
 * The listener runs on threads of its own; main goes on with what it does: here it
 * reads commands ("count", "quit") from standard input. */
#include <pubhook/pubhook.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct application {
    atomic_long messages;
};

static struct ph_reply *on_connect(const struct ph_event *ev, void *arg)
{
    const char *user = ph_event_user_id(ev);

    (void)arg;
    if (user && strcmp(user, "mallory") == 0)
        return ph_reply_reject(403, "not you");
    return ph_reply_accept();
}

/* Called by several threads at once, hence the atomic counter. */
static struct ph_reply *on_message(const struct ph_event *ev, void *arg)
{
    struct application *application = arg;
    char text[256];
    int len = snprintf(text, sizeof(text), "message %ld, from %.100s",
                       atomic_fetch_add(&application->messages, 1) + 1,
                       ph_event_user_id(ev) ? ph_event_user_id(ev) : "somebody");

    return ph_reply_text(text, (size_t)len);
}

static void run(struct application *application)
{
    char line[80];

    while (fgets(line, sizeof(line), stdin) && strcmp(line, "quit\n") != 0) {
        if (strcmp(line, "count\n") == 0)
            printf("%ld messages\n", atomic_load(&application->messages));
        else
            printf("commands: count, quit\n");
        fflush(stdout);
    }
}

static int fail(const char *what, const char *why)
{
    fprintf(stderr, "embed: %s: %s\n", what, why);
    return EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    struct application application = {0};
    struct ph_log *log = ph_log_new(PH_LOG_INFO, PH_LOG_TEXT);
    struct ph_app *app = ph_app_new();
    struct ph_server *server = NULL;
    const char *why = "";
    int status = EXIT_SUCCESS;
    enum ph_err err;

    if (!app || !log)
        return fail("start", ph_strerror(PH_ERR_MEMORY));
    ph_app_set_log(app, log);
    err = ph_app_use_connection_string(app, NULL);
    if (!err)
        err = ph_app_on_connect(app, NULL, on_connect, NULL, NULL);
    if (!err)
        err = ph_app_on_event(app, NULL, "message", on_message, &application, NULL);
    if (err) {
        status = fail("WebPubSubConnectionString", ph_strerror(err));
    } else if (ph_serve_http(app, argc > 1 ? argv[1] : "127.0.0.1:8090", 0, &server, &why)) {
        status = fail("listener", why);
    } else {
        printf("ready %s\n", ph_server_address(server));
        fflush(stdout);
        run(&application);
    }
    ph_server_free(server);
    ph_app_free(app);
    ph_log_free(log);
    return status;
}
