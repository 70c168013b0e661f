#include "event/reply.h"
#include "base/names.h"
#include "base/utf8.h"

#include <stdlib.h>

/* The service reads 16 MiB of an answer (section 3.6); a little more for the rest. */
#define REPLY_MAX_BYTES ((16u << 20) + (64u << 10))
#define REPLY_TAIL 256

void reply__fail(struct ph_reply *reply, const char *why)
{
    if (!reply->failed)
        reply->failed = why;
}

/* Says where it is, so that a copy has the wrong one; the first that a free overwrites. */
static uintptr_t mark_of(const struct ph_reply *reply)
{
    return (uintptr_t)reply ^ (uintptr_t)0x5068526570ca11edu;
}

bool reply__is_genuine(const struct ph_reply *reply)
{
    return (uintptr_t)reply % _Alignof(struct ph_reply) == 0 && reply->mark == mark_of(reply);
}

struct ph_reply *reply__new(enum reply_kind kind, size_t data_len)
{
    size_t tail = REPLY_TAIL + (data_len < REPLY_MAX_BYTES ? data_len : 0);
    struct ph_reply *reply = malloc(sizeof(*reply) + tail);

    if (!reply)
        return NULL;
    *reply = (struct ph_reply){.mark = mark_of(reply), .kind = kind};
    arena__init(&reply->arena, reply + 1, tail, REPLY_MAX_BYTES);
    return reply;
}

void ph_reply_free(struct ph_reply *reply)
{
    if (!reply || !reply__is_genuine(reply))
        return;
    reply->mark = 0;
    if (reply->deferred)
        reply->unref(reply->deferred);
    arena__free(&reply->arena);
    free(reply);
}

struct str reply__copy(struct ph_reply *reply, struct str s)
{
    char *text = arena__strdup(&reply->arena, s);

    if (!text)
        reply__fail(reply, "out of memory, or more than 16 MiB");
    return str__n(text, text ? s.len : 0);
}

/* True when `value` may be added to an accepting reply. */
static bool may_set(struct ph_reply *reply, const char *value)
{
    if (!reply)
        return false;
    if (reply->kind != REPLY_ACCEPT)
        reply__fail(reply, "user id, groups, roles and subprotocol belong to ph_reply_accept()");
    else if (!value)
        reply__fail(reply, "a user id, group, role or subprotocol is NULL");
    else if (!utf8__valid(str__of(value)))
        reply__fail(reply, "a user id, group, role or subprotocol is not UTF-8");
    return !reply->failed;
}

/* Doubles when full, which is whenever the count is a power of two. */
static void append(struct ph_reply *reply, struct str **items, size_t *count, const char *value)
{
    if ((*count & (*count - 1)) == 0) {
        size_t cap = *count ? *count * 2 : 1;
        struct str *grown = arena__alloc(&reply->arena, cap * sizeof(*grown));

        if (!grown) {
            reply__fail(reply, "out of memory");
            return;
        }
        if (*count > 0)
            memcpy(grown, *items, *count * sizeof(*grown));
        *items = grown;
    }
    (*items)[(*count)++] = reply__copy(reply, str__of(value));
}

struct ph_reply *ph_reply_accept(void)
{
    return reply__new(REPLY_ACCEPT, 0);
}

void ph_reply_set_user_id(struct ph_reply *reply, const char *user_id)
{
    struct str id = str__of(user_id);

    if (!may_set(reply, user_id))
        return;
    if (id.len > 0 && names__user_fault(id))
        reply__fail(reply, "a user id must be UTF-8 without control characters and without white "
                           "space at its ends, because later events carry it in a header");
    else
        reply->user_id = reply__copy(reply, id);
}

void ph_reply_add_group(struct ph_reply *reply, const char *group)
{
    if (!may_set(reply, group))
        return;
    if (!names__valid_group(str__of(group)))
        reply__fail(reply, "a group name must have 1 to 1024 characters, not all of them blank");
    else
        append(reply, &reply->groups, &reply->group_count, group);
}

void ph_reply_add_role(struct ph_reply *reply, const char *role)
{
    if (!may_set(reply, role))
        return;
    reply->has_roles = true;
    append(reply, &reply->roles, &reply->role_count, role);
}

void ph_reply_clear_roles(struct ph_reply *reply)
{
    if (!may_set(reply, ""))
        return;
    reply->has_roles = true;
    reply->role_count = 0;
}

void ph_reply_set_subprotocol(struct ph_reply *reply, const char *subprotocol)
{
    if (!may_set(reply, subprotocol))
        return;
    if (subprotocol[0] == '\0')
        reply__fail(reply,
                    "a subprotocol must not be empty: leave it out to take the client's first");
    else
        reply->subprotocol = reply__copy(reply, str__of(subprotocol));
}

struct ph_reply *ph_reply_reject(int status, const char *text)
{
    struct str body = str__of(text);
    struct ph_reply *reply = reply__new(REPLY_REJECT, body.len);

    if (!reply)
        return NULL;
    reply->status = status;
    if (status < 400 || status > 599)
        reply__fail(reply, "the status of ph_reply_reject() must be from 400 to 599");
    else if (!utf8__valid(body))
        reply__fail(reply, "the text of ph_reply_reject() is not UTF-8");
    else if (text)
        reply->text = reply__copy(reply, body);
    return reply;
}

struct ph_reply *ph_reply_ok(void)
{
    return reply__new(REPLY_OK, 0);
}

struct ph_reply *ph_reply_pass(void)
{
    return reply__new(REPLY_PASS, 0);
}

struct ph_reply *reply__deferred(struct ph_deferred *deferred,
                                 void (*unref)(struct ph_deferred *deferred))
{
    struct ph_reply *reply = reply__new(REPLY_DEFERRED, 0);

    if (!reply)
        return NULL;
    reply->deferred = deferred;
    reply->unref = unref;
    return reply;
}

/* The deepest JSON that goes out; what comes in has a limit of its own. */
#define REPLY_JSON_DEPTH 512

struct ph_reply *ph_reply_data(enum ph_data_type type, const void *data, size_t len)
{
    struct str bytes = str__n(data ? data : "", len);
    struct ph_reply *reply = reply__new(REPLY_DATA, len);

    if (!reply)
        return NULL;
    reply->type = type;
    if ((unsigned)type > PH_DATA_PROTOBUF)
        reply__fail(reply, "unknown data type of a reply");
    else if (!data && len > 0)
        reply__fail(reply, "the data of a reply is NULL but its length is not 0");
    else if (type == PH_DATA_TEXT && !utf8__valid(bytes))
        reply__fail(reply, "the text of ph_reply_text() is not UTF-8");
    else if (type == PH_DATA_JSON && json__check(bytes, REPLY_JSON_DEPTH, NULL) != PH_OK)
        reply__fail(reply, "the data of ph_reply_json() is not valid JSON");
    else
        reply->data = reply__copy(reply, bytes);
    return reply;
}

struct ph_reply *ph_reply_text(const char *text, size_t len)
{
    return ph_reply_data(PH_DATA_TEXT, text, len);
}

struct ph_reply *ph_reply_json(const char *json, size_t len)
{
    return ph_reply_data(PH_DATA_JSON, json, len);
}

struct ph_reply *ph_reply_binary(const void *data, size_t len)
{
    return ph_reply_data(PH_DATA_BINARY, data, len);
}

struct ph_reply *ph_reply_protobuf(const void *data, size_t len)
{
    return ph_reply_data(PH_DATA_PROTOBUF, data, len);
}

/* The state travels as a header: what a header would lose or refuse is refused here. */
void ph_reply_set_state(struct ph_reply *reply, const char *state)
{
    if (!reply)
        return;
    if (!state || !str__is_plain_value(str__of(state)))
        reply__fail(reply, "connection state must be ASCII without control characters and without "
                           "white space at its ends");
    else if (strlen(state) > PH_STATE_MAX)
        reply__fail(reply, "the connection state has more than 8000 bytes, which a header line "
                           "cannot be relied on to hold; keep the data elsewhere, and a key to "
                           "it in the state");
    else if (reply->kind == REPLY_REJECT || reply->kind == REPLY_PASS)
        reply__fail(reply, "connection state cannot be set by a reply that rejects or passes");
    else
        reply->state = reply__copy(reply, str__of(state));
}

/* --- metadata -------------------------------------------------------------------- */

static void set_entry(struct ph_reply *reply, size_t at, struct str name, struct str value)
{
    reply->metadata[at] =
        (struct metadata_entry){reply__copy(reply, name), reply__copy(reply, value)};
    if (at == reply->metadata_count)
        reply->metadata_count++;
}

/* Room for one more; the number of entries is limited by their names, which differ. */
static bool reserve_entry(struct ph_reply *reply)
{
    size_t count = reply->metadata_count;
    struct metadata_entry *grown;

    if ((count & (count - 1)) != 0)
        return true;
    grown = arena__alloc(&reply->arena, (count ? count * 2 : 1) * sizeof(*grown));
    if (!grown) {
        reply__fail(reply, "out of memory");
        return false;
    }
    if (count > 0)
        memcpy(grown, reply->metadata, count * sizeof(*grown));
    reply->metadata = grown;
    return true;
}

void ph_reply_set_metadata(struct ph_reply *reply, const char *name, const char *value)
{
    size_t at = 0;

    if (!reply)
        return;
    if (reply->kind != REPLY_DATA && reply->kind != REPLY_OK)
        reply__fail(reply, "metadata belongs to ph_reply_ok() and to replies with data");
    else if (!name || !value)
        reply__fail(reply, "the name or the value of metadata is NULL");
    else if (str__trim(str__of(value)).len != strlen(value))
        reply__fail(reply, "a metadata value must not start or end with white space");
    if (reply->failed || !reserve_entry(reply))
        return;
    while (at < reply->metadata_count && !str__eq_nocase(reply->metadata[at].name, str__of(name)))
        at++;
    set_entry(reply, at, str__of(name), str__of(value));
    if (!reply->failed) {
        const char *problem =
            metadata__problem(&(struct metadata){reply->metadata, reply->metadata_count});

        if (problem)
            reply__fail(reply, problem);
    }
}
