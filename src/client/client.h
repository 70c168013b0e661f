/* The client behind pubhook/client.h: threads, and what joins the dialog to its channel.
 *
 * Any thread makes operations and puts them into the inbox. The dialog, the channel and the
 * loop belong to the client's own thread, or whoever calls ph_client_process; callbacks are
 * called there with no lock held. */
#ifndef CLIENT_CLIENT_H
#define CLIENT_CLIENT_H

#include "client/channel.h"
#include "client/dialog.h"

struct ph_client {
    struct ph_client_options options; /* its strings live in `texts` */
    struct buf texts;
    struct dialog_settings dialog_settings;
    struct channel_settings channel_settings;
    struct map_seed seed;
    struct loop *loop;
    struct loop_timer timer; /* the dialog's */
    struct channel *channel;
    struct dialog *dialog;
    pthread_t thread; /* its own, or the one that processes */
    pthread_mutex_t lock;
    /* Under the lock. */
    struct link inbox;
    size_t bytes;     /* of operations for the service without an answer */
    uint32_t pending; /* and how many they are */
    uint64_t last_ack_id, last_invocation_id;
    bool busy;    /* `thread` processes */
    bool leaving; /* to be freed: nothing more is taken in */
};

static inline enum ph_err client__fail(const char **why, enum ph_err err, const char *text)
{
    if (why)
        *why = text;
    return err;
}

/* `why` may be NULL. */
enum ph_err client__check_options(const struct ph_client_options *options, const char **why);
enum ph_err client__check_url(const char *url, const char **why);
/* Copies the texts of c->options, which were checked, and makes the settings of the client's
 * parts. False: out of memory. */
bool client__take_options(struct ph_client *c);

bool client__stream_is_over(struct ph_client_stream *s);
/* Its callback is not called any more. */
void client__silence_stream(struct ph_client_stream *s);
void client__stream_unref(struct ph_client_stream *s);

/* Counts the operation, and hands it over. It is freed when it is not taken. */
enum ph_err client__submit(struct ph_client *c, struct op *op);
/* `chosen` by the program; 0: the next one. */
uint64_t client__take_ack_id(struct ph_client *c, uint64_t chosen);
/* A frame that `op` has room for. */
enum ph_err client__encode(struct ph_client *c, struct op *op, const struct frame_request *r);
/* PH_OK for data that may be sent. */
enum ph_err client__check_data(enum ph_data_type type, const void *data, size_t len);

#endif
