/* Streams that this client publishes (client-and-rest section 2.4). Fragments are operations
 * like all others, so that they wait, are sent again and end as those do; the service's
 * acknowledgements of a stream take the place of acks. */
#include "base/names.h"
#include "base/random.h"
#include "base/utf8.h"
#include "client/client.h"

#include <stdio.h>
#include <stdlib.h>

#define RANDOM_ID_BYTES 16
#define MAX_STREAM_ID 256
#define END_ID (UINT64_MAX - 1) /* behind all fragments */

static void put_random_id(char out[2 * RANDOM_ID_BYTES + 1])
{
    uint8_t bytes[RANDOM_ID_BYTES];

    out[0] = '\0';
    if (!random__bytes(bytes, sizeof(bytes)))
        return;
    for (size_t i = 0; i < sizeof(bytes); i++)
        snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}

static enum ph_err submit(struct ph_client_stream *s, enum op_kind kind, uint64_t sequence_id,
                          const struct frame_request *r, ph_client_done *done, void *arg)
{
    struct ph_client *c = s->client;
    struct op *op = op__new(kind, STR(""), c->options.max_send);
    enum ph_err err;

    if (!op)
        return PH_ERR_MEMORY;
    op->stream = s;
    op->stream_sequence_id = sequence_id;
    op->timeout_ms = c->options.ack_timeout_ms;
    op->done = done;
    op->arg = arg;
    err = client__encode(c, op, r);
    if (err == PH_OK)
        return client__submit(c, op);
    op__free(op);
    return err;
}

enum ph_err ph_client_open_stream(struct ph_client *c, const char *group,
                                  const struct ph_client_stream_options *options,
                                  struct ph_client_stream **out, ph_client_done *done, void *arg)
{
    static const struct ph_client_stream_options none;
    const struct ph_client_stream_options *o = options ? options : &none;
    char random[2 * RANDOM_ID_BYTES + 1];
    struct str id = str__of(o->stream_id);
    struct ph_client_stream *s;
    struct frame_request r;
    enum ph_err err;
    char *at;

    *out = NULL;
    if (c->options.protocol == PH_CLIENT_RAW)
        return PH_ERR_UNSUPPORTED;
    if (!id.ptr) {
        put_random_id(random);
        id = str__of(random);
    }
    if (!group || !names__valid_group(str__of(group)) || id.len > MAX_STREAM_ID ||
        !names__valid_id(id))
        return PH_ERR_ARGUMENT;
    s = calloc(1, sizeof(*s) + id.len + 1);
    if (!s)
        return PH_ERR_MEMORY;
    list__init(&s->link);
    at = s->text;
    s->id = str__place(&at, id);
    s->client = c;
    s->failed = o->failed;
    s->arg = o->arg;
    s->refs = 1;
    pthread_mutex_init(&s->order, NULL);
    r = (struct frame_request){.kind = FRAME_STREAM_OPEN,
                               .group = str__of(group),
                               .stream_id = s->id,
                               .idle_timeout_ms = o->idle_timeout_ms,
                               .no_echo = o->no_echo};
    err = submit(s, OP_STREAM_OPEN, 0, &r, done, arg);
    if (err == PH_OK)
        *out = s;
    else
        client__stream_unref(s);
    return err;
}

const char *ph_client_stream_id(const struct ph_client_stream *s)
{
    return s->id.ptr;
}

/* Numbers and hands over in one go, so that the fragments of many threads keep their order. */
static enum ph_err add(struct ph_client_stream *s, enum op_kind kind, struct frame_request *r,
                       ph_client_done *done, void *arg)
{
    bool fragment = kind == OP_STREAM_DATA;
    enum ph_err err;

    r->stream_id = s->id;
    pthread_mutex_lock(&s->order);
    r->stream_sequence_id = fragment ? s->last_id + 1 : 0;
    err = s->ending || client__stream_is_over(s)
              ? PH_ERR_STATE
              : submit(s, kind, fragment ? r->stream_sequence_id : END_ID, r, done, arg);
    if (err == PH_OK) {
        s->last_id += fragment;
        s->ending = !fragment;
    }
    pthread_mutex_unlock(&s->order);
    return err;
}

enum ph_err ph_client_stream_write(struct ph_client_stream *s, enum ph_data_type type,
                                   const void *data, size_t len, ph_client_done *done, void *arg)
{
    struct frame_request r = {
        .kind = FRAME_STREAM_DATA, .type = type, .data = data ? str__n(data, len) : STR("")};
    enum ph_err err = client__check_data(type, data, len);

    return err == PH_OK ? add(s, OP_STREAM_DATA, &r, done, arg) : err;
}

enum ph_err ph_client_stream_end(struct ph_client_stream *s, ph_client_done *done, void *arg)
{
    struct frame_request r = {.kind = FRAME_STREAM_END};

    return add(s, OP_STREAM_END, &r, done, arg);
}

enum ph_err ph_client_stream_abort(struct ph_client_stream *s, const char *code,
                                   const char *message, ph_client_done *done, void *arg)
{
    struct frame_request r = {.kind = FRAME_STREAM_END,
                              .failed = true,
                              .error_code = str__of(code),
                              .error_message = str__of(message)};

    if ((code && !utf8__valid(r.error_code)) || (message && !utf8__valid(r.error_message)))
        return PH_ERR_ARGUMENT;
    return add(s, OP_STREAM_END, &r, done, arg);
}

enum ph_err ph_client_stream_keep_alive(struct ph_client_stream *s)
{
    struct frame_request r = {.kind = FRAME_STREAM_DATA, .stream_id = s->id};

    if (client__stream_is_over(s))
        return PH_ERR_STATE;
    return submit(s, OP_NOTICE, 0, &r, NULL, NULL);
}

void ph_client_stream_free(struct ph_client_stream *s)
{
    struct op *op;
    bool ending;

    if (!s)
        return;
    pthread_mutex_lock(&s->order);
    ending = s->ending;
    pthread_mutex_unlock(&s->order);
    client__silence_stream(s);
    op = ending ? NULL : op__new(OP_ABANDON, STR(""), 0);
    if (op) {
        op->stream = s;
        client__submit(s->client, op);
    }
    client__stream_unref(s);
}
