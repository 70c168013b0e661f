/* A peer of the broker: the smallest fan-out server over libwebsockets. The messages of
 * /publisher go to all others. libwebsockets lets a connection write when it asks for it,
 * and one message each time. On its own loop, which in this load is twice as fast as
 * the one over libuv.
 *
 *   libwebsockets    prints `ready PORT` */
#include <libwebsockets.h>

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define RING 1024 /* messages; the load has fewer in flight */
#define MAX_MESSAGE 4096

struct message {
    size_t len;
    unsigned char bytes[LWS_PRE + MAX_MESSAGE];
};

struct member {
    bool publisher;
    unsigned next; /* message to write */
};

static struct message ring[RING];
static unsigned published;

static void join(struct lws *wsi, struct member *m)
{
    char path[64] = "";

    lws_hdr_copy(wsi, path, sizeof(path), WSI_TOKEN_GET_URI);
    m->publisher = strcmp(path, "/publisher") == 0;
    m->next = published;
}

static void publish(struct lws *wsi, const void *data, size_t len)
{
    struct message *m = &ring[published++ % RING];

    m->len = len < MAX_MESSAGE ? len : MAX_MESSAGE;
    memcpy(m->bytes + LWS_PRE, data, m->len);
    lws_callback_on_writable_all_protocol(lws_get_context(wsi), lws_get_protocol(wsi));
}

static int write_next(struct lws *wsi, struct member *member)
{
    struct message *m;

    if (member->publisher || member->next == published)
        return 0;
    m = &ring[member->next++ % RING];
    if (lws_write(wsi, m->bytes + LWS_PRE, m->len, LWS_WRITE_TEXT) < (int)m->len)
        return -1;
    if (member->next != published)
        lws_callback_on_writable(wsi);
    return 0;
}

static int on_event(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                    size_t len)
{
    switch (reason) {
    case LWS_CALLBACK_ESTABLISHED:
        join(wsi, user);
        return 0;
    case LWS_CALLBACK_RECEIVE:
        if (((struct member *)user)->publisher)
            publish(wsi, in, len);
        return 0;
    case LWS_CALLBACK_SERVER_WRITEABLE:
        return write_next(wsi, user);
    default:
        return 0;
    }
}

int main(void)
{
    static const struct lws_protocols protocols[] = {
        {"fanout", on_event, sizeof(struct member), MAX_MESSAGE, 0, NULL, 0},
        {NULL, NULL, 0, 0, 0, NULL, 0},
    };
    struct lws_context_creation_info info = {
        .port = 0, .iface = "127.0.0.1", .protocols = protocols};
    struct lws_context *context;
    struct lws_vhost *vhost;

    lws_set_log_level(LLL_ERR, NULL);
    info.options = LWS_SERVER_OPTION_EXPLICIT_VHOSTS;
    context = lws_create_context(&info);
    vhost = context ? lws_create_vhost(context, &info) : NULL;
    if (!vhost)
        return 1;
    printf("ready %d\n", lws_get_vhost_listen_port(vhost));
    fflush(stdout);
    while (lws_service(context, 0) >= 0)
        ;
    lws_context_destroy(context);
    return 0;
}
