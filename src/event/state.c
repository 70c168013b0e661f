/* pubhook/state.h: connection state in its usual form, base64 of a JSON object. */
#include "pubhook/state.h"

#include "base/base64.h"
#include "base/utf8.h"
#include "event/reply.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define STATE_TAIL 512
/* State travels in one header line; what is larger than this no HTTP stack accepts. */
#define STATE_MAX_JSON (256u << 10)
#define STATE_MAX_MEMORY (4u << 20)

struct member {
    struct member *next;
    struct str key;
    struct json value; /* `string` of a string, `raw` of all, with a NUL behind each */
};

struct ph_state {
    struct arena arena; /* first bytes are the tail of the state's own allocation */
    struct member *members;
    bool failed; /* memory was out once: what is here is not what was asked for */
};

static struct ph_state *state_new(void)
{
    struct ph_state *state = malloc(sizeof(*state) + STATE_TAIL);

    if (!state)
        return NULL;
    *state = (struct ph_state){.members = NULL};
    arena__init(&state->arena, state + 1, STATE_TAIL, STATE_MAX_MEMORY);
    return state;
}

void ph_state_free(struct ph_state *state)
{
    if (!state)
        return;
    arena__free(&state->arena);
    free(state);
}

static struct member *find(const struct ph_state *state, const char *key)
{
    struct str wanted = str__of(key);

    for (struct member *m = state ? state->members : NULL; m; m = m->next) {
        if (key && str__eq(m->key, wanted))
            return m;
    }
    return NULL;
}

static struct member *append(struct ph_state *state, struct str key)
{
    struct member **end = &state->members;
    struct member *m = arena__zalloc(&state->arena, sizeof(*m));
    char *name = arena__strdup(&state->arena, key);

    if (!m || !name)
        return NULL;
    while (*end)
        end = &(*end)->next;
    m->key = str__n(name, key.len);
    *end = m;
    return m;
}

static bool copy(struct ph_state *state, struct str *s)
{
    s->ptr = s->ptr ? arena__strdup(&state->arena, *s) : NULL;
    return s->ptr != NULL;
}

static enum ph_err put(struct ph_state *state, const char *key, struct json value)
{
    bool copied =
        copy(state, &value.raw) && (value.type != JSON_STRING || copy(state, &value.string));
    struct member *m = copied ? find(state, key) : NULL;

    if (copied && !m)
        m = append(state, str__of(key));
    if (!m) {
        state->failed = true;
        return PH_ERR_MEMORY;
    }
    if (value.type == JSON_NUMBER)
        value.string = value.raw;
    m->value = value;
    return PH_OK;
}

/* Anything but base64 of a JSON object reads as empty, as in the official middlewares. */
static void load(struct ph_state *state, struct str text)
{
    struct str json = base64__decode(&state->arena, text);
    struct json *object;

    if (!json.ptr || json__parse(&state->arena, json, &JSON_LIMITS_DEFAULT, &object, NULL) ||
        object->type != JSON_OBJECT)
        return;
    for (const struct json *m = object->child; m; m = m->next) {
        if (!memchr(m->key.ptr, '\0', m->key.len))
            put(state, m->key.ptr, *m);
    }
}

struct ph_state *ph_state_from_event(const struct ph_event *ev)
{
    struct ph_state *state = state_new();

    if (state && ph_event_state(ev))
        load(state, str__of(ph_event_state(ev)));
    return state;
}

/* --- Getting ------------------------------------------------------------------------------ */

static const struct json *value_of(const struct ph_state *state, const char *key)
{
    const struct member *m = find(state, key);

    return m ? &m->value : NULL;
}

const char *ph_state_get(const struct ph_state *state, const char *key)
{
    const struct json *value = value_of(state, key);

    if (!value)
        return NULL;
    return value->type == JSON_STRING ? value->string.ptr : value->raw.ptr;
}

int64_t ph_state_get_int(const struct ph_state *state, const char *key, int64_t fallback)
{
    int64_t number;

    return json__to_i64(value_of(state, key), &number) ? number : fallback;
}

double ph_state_get_double(const struct ph_state *state, const char *key, double fallback)
{
    double number;

    return json__to_double(value_of(state, key), &number) ? number : fallback;
}

int ph_state_get_bool(const struct ph_state *state, const char *key, int fallback)
{
    const struct json *value = value_of(state, key);

    return value && value->type == JSON_BOOL ? value->boolean : fallback;
}

const char *ph_state_get_json(const struct ph_state *state, const char *key, size_t *len)
{
    const struct json *value = value_of(state, key);

    if (len)
        *len = value ? value->raw.len : 0;
    return value ? value->raw.ptr : NULL;
}

size_t ph_state_count(const struct ph_state *state)
{
    size_t count = 0;

    for (const struct member *m = state ? state->members : NULL; m; m = m->next)
        count++;
    return count;
}

const char *ph_state_key(const struct ph_state *state, size_t at)
{
    const struct member *m = state ? state->members : NULL;

    while (m && at-- > 0)
        m = m->next;
    return m ? m->key.ptr : NULL;
}

/* --- Setting ------------------------------------------------------------------------------ */

static enum ph_err check(const struct ph_state *state, const char *key)
{
    if (!state)
        return PH_ERR_MEMORY;
    return key && utf8__valid(str__of(key)) ? PH_OK : PH_ERR_ARGUMENT;
}

/* A value as text that is JSON: `node` says what it is. */
static enum ph_err put_text(struct ph_state *state, const char *key, struct json node,
                            const char *text)
{
    enum ph_err err = check(state, key);

    node.raw = str__of(text);
    return err == PH_OK ? put(state, key, node) : err;
}

static enum ph_err put_string(struct ph_state *state, const char *key, struct str value)
{
    struct json node = {.type = JSON_STRING, .string = value};
    enum ph_err err = PH_ERR_MEMORY;
    struct buf quoted;

    buf__init(&quoted, STATE_MAX_JSON);
    json__quote(&quoted, value);
    node.raw = buf__view(&quoted);
    if (!quoted.failed)
        err = put(state, key, node);
    else
        state->failed = true;
    buf__free(&quoted);
    return err;
}

enum ph_err ph_state_set(struct ph_state *state, const char *key, const char *value)
{
    enum ph_err err = check(state, key);

    if (err != PH_OK)
        return err;
    if (!utf8__valid(str__of(value)))
        return PH_ERR_ARGUMENT;
    if (value)
        return put_string(state, key, str__of(value));
    ph_state_remove(state, key);
    return PH_OK;
}

enum ph_err ph_state_set_int(struct ph_state *state, const char *key, int64_t value)
{
    char digits[sizeof("-9223372036854775808")];

    snprintf(digits, sizeof(digits), "%" PRId64, value);
    return put_text(state, key, (struct json){.type = JSON_NUMBER}, digits);
}

enum ph_err ph_state_set_double(struct ph_state *state, const char *key, double value)
{
    enum ph_err err = PH_ERR_ARGUMENT;
    struct buf text;

    buf__init(&text, STATE_MAX_JSON);
    if (json__number(&text, value))
        err = text.failed ? PH_ERR_MEMORY
                          : put_text(state, key, (struct json){.type = JSON_NUMBER}, text.data);
    if (state && text.failed)
        state->failed = true;
    buf__free(&text);
    return err;
}

enum ph_err ph_state_set_bool(struct ph_state *state, const char *key, int value)
{
    return put_text(state, key, (struct json){.type = JSON_BOOL, .boolean = value != 0},
                    value ? "true" : "false");
}

enum ph_err ph_state_set_json(struct ph_state *state, const char *key, const char *json, size_t len)
{
    /* nodes below the value itself are not needed */
    const struct json_limits limits = {.depth = 64, .nodes = UINT32_MAX, .tree = 1};
    enum ph_err err = check(state, key);
    struct json *value;

    if (err == PH_OK && (!json || len > STATE_MAX_JSON))
        err = json ? PH_ERR_LIMIT : PH_ERR_ARGUMENT;
    if (err == PH_OK)
        err = json__parse(&state->arena, str__n(json, len), &limits, &value, NULL);
    if (err == PH_OK)
        return put(state, key, *value);
    if (err == PH_ERR_MEMORY && state)
        state->failed = true;
    return err;
}

void ph_state_remove(struct ph_state *state, const char *key)
{
    const struct member *found = find(state, key);
    struct member **at = state ? &state->members : NULL;

    if (!found)
        return;
    while (*at != found)
        at = &(*at)->next;
    *at = found->next;
}

void ph_state_clear(struct ph_state *state)
{
    if (state)
        state->members = NULL;
}

static void write_json(struct buf *out, const struct ph_state *state)
{
    buf__byte(out, '{');
    for (const struct member *m = state->members; m; m = m->next) {
        if (m != state->members)
            buf__byte(out, ',');
        json__quote(out, m->key);
        buf__byte(out, ':');
        buf__str(out, m->value.raw);
    }
    buf__byte(out, '}');
}

void ph_reply_set_state_from(struct ph_reply *reply, const struct ph_state *state)
{
    struct buf json, text;

    buf__init(&json, STATE_MAX_JSON);
    buf__init(&text, base64__encoded_len(STATE_MAX_JSON));
    if (state)
        write_json(&json, state);
    if (!json.failed)
        base64__encode(&text, buf__view(&json).ptr, json.len);
    if (!reply)
        ; /* nothing to put it into */
    else if (!state || state->failed || json.failed || text.failed)
        reply__fail(reply, "the connection state could not be written: out of memory, or far "
                           "above its 8000 bytes");
    else
        ph_reply_set_state(reply, buf__view(&text).ptr);
    buf__free(&json);
    buf__free(&text);
}
