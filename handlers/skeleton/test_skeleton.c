/* The test of a plugin, over each way that it can be reached. Any test framework will do as well
 * as this little one; see pubhook-test(3). */
#include <pubhook/test.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void check(int condition, const char *what)
{
    if (condition)
        return;
    fprintf(stderr, "failed: %s\n", what);
    exit(EXIT_FAILURE);
}

static struct ph_test_reply *fire(struct ph_test_handler *handler, struct ph_test_event *ev)
{
    struct ph_test_reply *reply = NULL;
    const char *why = "";

    if (ph_test_fire(handler, ev, &reply, &why))
        check(0, why);
    ph_test_event_free(ev);
    return reply;
}

static void guests_get_a_name(struct ph_test_handler *handler)
{
    struct ph_test_reply *reply = fire(handler, ph_test_event_new(PH_EVENT_CONNECT, "chat"));

    check(reply->success, "a client may connect");
    check(reply->user_id && strcmp(reply->user_id, "guest") == 0, "it is called guest");
    ph_test_reply_free(reply);
}

static void greetings_are_answered(struct ph_test_handler *handler)
{
    struct ph_test_event *ev = ph_test_event_new(PH_EVENT_USER, "chat");
    struct ph_test_reply *reply;

    ph_test_event_set(ev, PH_TEST_EVENT_NAME, "greet");
    reply = fire(handler, ev);
    check(reply->has_data && strcmp(reply->data, "good day") == 0, "the greeting comes back");
    ph_test_reply_free(reply);
}

static void forgers_are_refused(struct ph_test_handler *handler)
{
    struct ph_test_event *ev = ph_test_event_new(PH_EVENT_USER, "chat");
    struct ph_test_reply *reply;

    ph_test_event_set(ev, PH_TEST_SIGNED_BY, "another key");
    reply = fire(handler, ev);
    check(reply->status == 401, "an event with a wrong signature is refused");
    ph_test_reply_free(reply);
}

int main(int argc, char **argv)
{
    char spec[512];

    check(argc == 2, "usage: test_skeleton FILE.so");
    snprintf(spec, sizeof(spec), "%s?greeting=good%%20day", argv[1]);
    for (int i = 0; i < PH_TEST_TRANSPORT_COUNT; i++) {
        enum ph_test_transport transport = (enum ph_test_transport)i;
        struct ph_test_handler *handler = NULL;
        const char *why = "";

        if (ph_test_plugin_start(spec, transport, NULL, &handler, &why))
            check(0, why);
        guests_get_a_name(handler);
        greetings_are_answered(handler);
        forgers_are_refused(handler);
        ph_test_handler_stop(handler);
        printf("ok: %s\n", ph_test_transport_name(transport));
    }
    return EXIT_SUCCESS;
}
