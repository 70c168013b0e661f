/* pubhook/state.h: connection state in its usual form, base64 of a JSON object. */
#include "pubhook/state.h"

#include "base/base64.h"
#include "base/utf8.h"
#include "event/event.h"

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
    struct str text; /* of a string, decoded; of any other value, its JSON. NUL behind it */
    bool is_string;
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

static void remove_key(struct ph_state *state, const char *key)
{
    struct str wanted = str__of(key);

    for (struct member **m = &state->members; *m; m = &(*m)->next) {
        if (str__eq((*m)->key, wanted)) {
            *m = (*m)->next;
            return;
        }
    }
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

static enum ph_err put(struct ph_state *state, const char *key, struct str text, bool is_string)
{
    char *copy = arena__strdup(&state->arena, text);
    struct member *m = copy ? find(state, key) : NULL;

    if (copy && !m)
        m = append(state, str__of(key));
    if (!m) {
        state->failed = true;
        return PH_ERR_MEMORY;
    }
    m->text = str__n(copy, text.len);
    m->is_string = is_string;
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
        bool is_string = m->type == JSON_STRING;

        if (!memchr(m->key.ptr, '\0', m->key.len))
            put(state, m->key.ptr, is_string ? m->string : m->raw, is_string);
    }
}

struct ph_state *ph_state_from_event(const struct ph_event *ev)
{
    struct ph_state *state = state_new();

    if (state && ph_event_state(ev))
        load(state, str__of(ph_event_state(ev)));
    return state;
}

const char *ph_state_get(const struct ph_state *state, const char *key)
{
    const struct member *m = find(state, key);

    return m ? m->text.ptr : NULL;
}

int64_t ph_state_get_int(const struct ph_state *state, const char *key, int64_t fallback)
{
    const struct member *m = find(state, key);
    struct str digits;
    bool negative;
    uint64_t value;

    if (!m || m->is_string)
        return fallback;
    negative = m->text.len > 0 && m->text.ptr[0] == '-';
    digits = str__n(m->text.ptr + negative, m->text.len - negative);
    if (!str__to_u64(digits, &value) || value > (uint64_t)INT64_MAX + negative)
        return fallback;
    return negative ? (int64_t)(0 - value) : (int64_t)value;
}

enum ph_err ph_state_set(struct ph_state *state, const char *key, const char *value)
{
    if (!state)
        return PH_ERR_MEMORY;
    if (!key || !utf8__valid(str__of(key)) || !utf8__valid(str__of(value)))
        return PH_ERR_ARGUMENT;
    if (value)
        return put(state, key, str__of(value), true);
    remove_key(state, key);
    return PH_OK;
}

enum ph_err ph_state_set_int(struct ph_state *state, const char *key, int64_t value)
{
    char digits[sizeof("-9223372036854775808")];

    if (!state)
        return PH_ERR_MEMORY;
    if (!key || !utf8__valid(str__of(key)))
        return PH_ERR_ARGUMENT;
    snprintf(digits, sizeof(digits), "%" PRId64, value);
    return put(state, key, str__of(digits), false);
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
        if (m->is_string)
            json__quote(out, m->text);
        else
            buf__str(out, m->text);
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
        reply->failed = "the connection state could not be written: out of memory, or too large";
    else
        ph_reply_set_state(reply, buf__view(&text).ptr);
    buf__free(&json);
    buf__free(&text);
}
