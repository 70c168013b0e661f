/* A handler that calls the service, for tests of ph_event_service: user events named
 *
 *   wait   asks whether the group "g" exists, waits for the answer, and replies with it
 *   post   posts its data to all, and replies "posted", or why not
 *   later  asks without waiting; what came of it is posted to the connection
 *
 * Setting: never=1 declares that it never blocks. */
#include <pubhook/plugin.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct ph_reply *say(const char *text)
{
    return ph_reply_text(text, strlen(text));
}

static struct ph_reply *on_wait(const struct ph_event *ev)
{
    struct ph_service_result *result;
    struct ph_reply *reply;
    char text[16];
    int exists;

    if (ph_service_group_exists(ph_event_service(ev), "g", &exists, &result)) {
        reply = say(ph_service_result_why(result));
    } else {
        snprintf(text, sizeof(text), "exists %d", exists);
        reply = say(text);
    }
    ph_service_result_free(result);
    return reply;
}

static struct ph_reply *on_post(const struct ph_event *ev)
{
    size_t len;
    const char *data = ph_event_data(ev, &len);
    enum ph_err err = ph_service_post(
        ph_event_service(ev), &(struct ph_service_request){
                                  .operation = PH_SERVICE_SEND_TO_ALL, .data = data, .len = len});

    return say(err ? ph_strerror(err) : "posted");
}

struct question {
    struct ph_service *service;
    char connection[];
};

static void answered(const struct ph_service_result *result, void *arg)
{
    struct question *q = arg;
    char text[16];

    snprintf(text, sizeof(text), "later %d", ph_service_result_answer(result));
    ph_service_post(q->service,
                    &(struct ph_service_request){.operation = PH_SERVICE_SEND_TO_CONNECTION,
                                                 .connection_id = q->connection,
                                                 .text = text});
    free(q);
}

static struct ph_reply *on_later(const struct ph_event *ev)
{
    const char *id = ph_event_connection_id(ev);
    struct question *q = malloc(sizeof(*q) + strlen(id) + 1);

    if (!q)
        return NULL;
    q->service = ph_event_service(ev);
    strcpy(q->connection, id);
    if (ph_service_start(q->service,
                         &(struct ph_service_request){.operation = PH_SERVICE_CONNECTION_EXISTS,
                                                      .connection_id = id},
                         answered, q, NULL))
        free(q);
    return ph_reply_ok();
}

static struct ph_reply *on_event(const struct ph_event *ev, void *self)
{
    const char *name = ph_event_name(ev);

    (void)self;
    if (strcmp(name, "wait") == 0)
        return on_wait(ev);
    return strcmp(name, "post") == 0 ? on_post(ev) : on_later(ev);
}

static const struct ph_plugin_handler handlers[] = {
    {PH_EVENT_USER, "*", on_event},
    {0, NULL, NULL},
};

static enum ph_err open_caller(struct ph_plugin_config *config, void **state)
{
    (void)state;
    if (ph_plugin_config_get(config, "never"))
        ph_plugin_config_never_blocks(config);
    return PH_OK;
}

static const struct ph_plugin plugin = {
    PH_PLUGIN_HEAD, "caller", PH_VERSION, open_caller, NULL, handlers, NULL,
};

PH_PLUGIN(plugin)
