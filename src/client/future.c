/* Waiting for an operation. The result and its strings are copied, since the operation's
 * own are gone when the waiting thread looks. */
#include "base/buf.h"
#include "pubhook/client.h"

#include <pthread.h>
#include <stdlib.h>

struct ph_client_future {
    pthread_mutex_t lock;
    pthread_cond_t resolved;
    bool done;
    struct ph_client_result result;
    struct buf copy; /* of what the result points to */
};

struct ph_client_future *ph_client_future_new(void)
{
    struct ph_client_future *f = calloc(1, sizeof(*f));

    if (!f)
        return NULL;
    pthread_mutex_init(&f->lock, NULL);
    pthread_cond_init(&f->resolved, NULL);
    buf__init(&f->copy, SIZE_MAX);
    return f;
}

void ph_client_future_free(struct ph_client_future *f)
{
    if (!f)
        return;
    pthread_cond_destroy(&f->resolved);
    pthread_mutex_destroy(&f->lock);
    buf__free(&f->copy);
    free(f);
}

/* Each with a NUL behind it, in the order of the members. */
static void keep(struct ph_client_future *f, const struct ph_client_result *r)
{
    size_t name_len = strlen(r->name) + 1, message_len = strlen(r->message) + 1;

    buf__reset(&f->copy);
    buf__append(&f->copy, r->name, name_len);
    buf__append(&f->copy, r->message, message_len);
    if (r->data)
        buf__append(&f->copy, r->data, r->len);
    f->result = *r;
    if (f->copy.failed) {
        f->result = (struct ph_client_result){
            .err = PH_ERR_MEMORY, .name = "", .message = "out of memory", .ack_id = r->ack_id};
        return;
    }
    f->result.name = f->copy.data;
    f->result.message = f->copy.data + name_len;
    f->result.data = r->data ? f->copy.data + name_len + message_len : NULL;
}

void ph_client_resolve(struct ph_client *c, const struct ph_client_result *result, void *future)
{
    struct ph_client_future *f = future;

    (void)c;
    pthread_mutex_lock(&f->lock);
    keep(f, result);
    f->done = true;
    pthread_cond_signal(&f->resolved);
    pthread_mutex_unlock(&f->lock);
}

const struct ph_client_result *ph_client_future_wait(struct ph_client_future *f)
{
    pthread_mutex_lock(&f->lock);
    while (!f->done)
        pthread_cond_wait(&f->resolved, &f->lock);
    f->done = false;
    pthread_mutex_unlock(&f->lock);
    return &f->result;
}
