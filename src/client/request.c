/* The operations of pubhook/client.h that ask something of the service. */
#include "base/names.h"
#include "base/pattern.h"
#include "client/client.h"

#include <stdlib.h>

#define MAX_TTL_SECONDS 300
#define MAX_ACK_ID (UINT64_MAX / 2) /* so that there is always a next one */
#define MAX_INVOCATION_ID 256

static bool is_group_name(const char *name)
{
    return name && names__valid_group(str__of(name));
}

static bool speaks_json(const struct ph_client *c)
{
    return c->options.protocol != PH_CLIENT_RAW;
}

/* Encodes and hands over. `r->ack_id` is given here when there is to be one. */
static enum ph_err send(struct ph_client *c, struct op *op, struct frame_request *r,
                        ph_client_done *done, void *arg)
{
    enum ph_err err;

    if (!op)
        return PH_ERR_MEMORY;
    op->done = done;
    op->arg = arg;
    op->ack_id = r->ack_id;
    if (op->timeout_ms == 0)
        op->timeout_ms = c->options.ack_timeout_ms;
    err = client__encode(c, op, r);
    if (err == PH_OK)
        return client__submit(c, op);
    op__free(op);
    return err;
}

static enum ph_err change_group(struct ph_client *c, enum op_kind kind, enum frame_kind frame,
                                const char *group, ph_client_done *done, void *arg)
{
    struct frame_request r = {.kind = frame, .group = str__of(group)};

    if (!speaks_json(c))
        return PH_ERR_UNSUPPORTED;
    if (!is_group_name(group))
        return PH_ERR_ARGUMENT;
    r.ack_id = client__take_ack_id(c, 0);
    return send(c, op__new(kind, r.group, c->options.max_send), &r, done, arg);
}

enum ph_err ph_client_join_group(struct ph_client *c, const char *group, ph_client_done *done,
                                 void *arg)
{
    return change_group(c, OP_JOIN, FRAME_JOIN_GROUP, group, done, arg);
}

enum ph_err ph_client_leave_group(struct ph_client *c, const char *group, ph_client_done *done,
                                  void *arg)
{
    return change_group(c, OP_LEAVE, FRAME_LEAVE_GROUP, group, done, arg);
}

static enum ph_err take_options(struct ph_client *c, struct frame_request *r,
                                const struct ph_client_send_options *o,
                                struct metadata_entry *entries)
{
    if (o->ttl_seconds > MAX_TTL_SECONDS || o->ack_id > MAX_ACK_ID)
        return PH_ERR_ARGUMENT;
    for (size_t i = 0; i < o->metadata_count; i++)
        entries[i] =
            (struct metadata_entry){str__of(o->metadata[i].name), str__of(o->metadata[i].value)};
    r->metadata = (struct metadata){entries, o->metadata_count};
    r->no_echo = o->no_echo;
    r->ttl_seconds = o->ttl_seconds;
    if (!o->fire_and_forget)
        r->ack_id = client__take_ack_id(c, o->ack_id);
    return metadata__problem(&r->metadata) ? PH_ERR_ARGUMENT : PH_OK;
}

/* To a group, or to the event handler. */
static enum ph_err send_data(struct ph_client *c, struct frame_request *r, enum ph_data_type type,
                             const void *data, size_t len,
                             const struct ph_client_send_options *options, ph_client_done *done,
                             void *arg)
{
    static const struct ph_client_send_options none;
    const struct ph_client_send_options *o = options ? options : &none;
    struct metadata_entry *entries;
    enum ph_err err = client__check_data(type, data, len);

    if (!speaks_json(c))
        return PH_ERR_UNSUPPORTED;
    if (err != PH_OK)
        return err;
    if (o->metadata_count > METADATA_MAX_BYTES)
        return PH_ERR_ARGUMENT;
    entries = calloc(o->metadata_count + 1, sizeof(*entries));
    if (!entries)
        return PH_ERR_MEMORY;
    r->type = type;
    r->data = data ? str__n(data, len) : STR("");
    err = take_options(c, r, o, entries);
    if (err == PH_OK)
        err = send(c, op__new(r->ack_id ? OP_SEND : OP_NOTICE, STR(""), c->options.max_send), r,
                   done, arg);
    free(entries);
    return err;
}

enum ph_err ph_client_send_to_group(struct ph_client *c, const char *group, enum ph_data_type type,
                                    const void *data, size_t len,
                                    const struct ph_client_send_options *options,
                                    ph_client_done *done, void *arg)
{
    struct frame_request r = {.kind = FRAME_SEND_TO_GROUP, .group = str__of(group)};

    if (!is_group_name(group))
        return PH_ERR_ARGUMENT;
    return send_data(c, &r, type, data, len, options, done, arg);
}

enum ph_err ph_client_send_event(struct ph_client *c, const char *event, enum ph_data_type type,
                                 const void *data, size_t len,
                                 const struct ph_client_send_options *options, ph_client_done *done,
                                 void *arg)
{
    struct frame_request r = {.kind = FRAME_EVENT, .event = str__of(event)};

    if (!event || !names__valid_event(r.event))
        return PH_ERR_ARGUMENT;
    return send_data(c, &r, type, data, len, options, done, arg);
}

enum ph_err ph_client_send(struct ph_client *c, enum ph_data_type type, const void *data,
                           size_t len, ph_client_done *done, void *arg)
{
    enum ph_err err =
        client__check_data(type == PH_DATA_TEXT ? PH_DATA_TEXT : PH_DATA_BINARY, data, len);
    struct op *op;

    if (speaks_json(c))
        return PH_ERR_UNSUPPORTED;
    if (err != PH_OK)
        return err;
    op = op__new(OP_NOTICE, STR(""), c->options.max_send);
    if (!op)
        return PH_ERR_MEMORY;
    op->binary = type != PH_DATA_TEXT;
    op->done = done;
    op->arg = arg;
    op->timeout_ms = c->options.ack_timeout_ms;
    buf__append(&op->frame, data, len);
    if (!op->frame.failed)
        return client__submit(c, op);
    op__free(op);
    return len > c->options.max_send ? PH_ERR_LIMIT : PH_ERR_MEMORY;
}

static struct str next_invocation_id(struct ph_client *c, char out[STR_U64_SIZE])
{
    uint64_t id;

    pthread_mutex_lock(&c->lock);
    id = ++c->last_invocation_id;
    pthread_mutex_unlock(&c->lock);
    return str__from_u64(out, id);
}

enum ph_err ph_client_invoke(struct ph_client *c, const char *event, enum ph_data_type type,
                             const void *data, size_t len,
                             const struct ph_client_invoke_options *options, ph_client_done *done,
                             void *arg)
{
    static const struct ph_client_invoke_options none;
    const struct ph_client_invoke_options *o = options ? options : &none;
    struct frame_request r = {.kind = FRAME_INVOKE, .event = str__of(event), .type = type};
    char digits[STR_U64_SIZE];
    enum ph_err err = client__check_data(type, data, len);
    struct op *op;

    if (!speaks_json(c))
        return PH_ERR_UNSUPPORTED;
    if (!event || !names__valid_event(r.event))
        return PH_ERR_ARGUMENT;
    if (err != PH_OK)
        return err;
    r.data = data ? str__n(data, len) : STR("");
    r.invocation_id = o->invocation_id ? str__of(o->invocation_id) : next_invocation_id(c, digits);
    if (r.invocation_id.len > MAX_INVOCATION_ID || !names__valid_id(r.invocation_id))
        return PH_ERR_ARGUMENT;
    op = op__new(OP_INVOKE, r.invocation_id, c->options.max_send);
    if (op)
        op->timeout_ms = o->timeout_ms;
    return send(c, op, &r, done, arg);
}
