/* pubhook/json.h: writing. The first thing that is put wrongly ends it. */
#include "base/utf8.h"
#include "event/reply.h"
#include "pubhook/json.h"

#include <inttypes.h>
#include <stdlib.h>

#define MAX_TEXT (16u << 20) /* what the service takes (event-handler section 3.6) */
#define MAX_DEPTH 512        /* as of all JSON that goes out */

struct ph_json_writer {
    struct buf text;
    const char *failed; /* a constant */
    bool has_key;       /* and a value has to follow */
    bool needs_comma;
    unsigned depth;
    bool is_object[MAX_DEPTH];
};

struct ph_json_writer *ph_json_writer_new(void)
{
    struct ph_json_writer *w = malloc(sizeof(*w));

    if (!w)
        return NULL;
    w->failed = NULL;
    w->has_key = w->needs_comma = false;
    w->depth = 0;
    buf__init(&w->text, MAX_TEXT);
    return w;
}

void ph_json_writer_free(struct ph_json_writer *w)
{
    if (!w)
        return;
    buf__free(&w->text);
    free(w);
}

static bool in_object(const struct ph_json_writer *w)
{
    return w->depth > 0 && w->is_object[w->depth - 1];
}

static bool fail(struct ph_json_writer *w, const char *why)
{
    if (!w->failed)
        w->failed = why;
    return false;
}

/* What stands before a value; false when none may come. */
static bool begin(struct ph_json_writer *w)
{
    if (!w || w->failed)
        return false;
    if (in_object(w) && !w->has_key)
        return fail(w, "a value in an object needs ph_json_put_key() before it");
    if (w->depth == 0 && w->text.len > 0)
        return fail(w, "a JSON text is one value; another one was put behind it");
    if (w->needs_comma && !w->has_key)
        buf__byte(&w->text, ',');
    w->has_key = false;
    w->needs_comma = true;
    return true;
}

static void put(struct ph_json_writer *w, struct str value)
{
    if (begin(w))
        buf__str(&w->text, value);
}

static void open_container(struct ph_json_writer *w, bool is_object)
{
    if (!begin(w))
        return;
    if (w->depth == MAX_DEPTH) {
        fail(w, "the JSON is nested deeper than 512 levels");
        return;
    }
    w->is_object[w->depth++] = is_object;
    w->needs_comma = false;
    buf__byte(&w->text, is_object ? '{' : '[');
}

void ph_json_put_object(struct ph_json_writer *w)
{
    open_container(w, true);
}

void ph_json_put_array(struct ph_json_writer *w)
{
    open_container(w, false);
}

void ph_json_put_end(struct ph_json_writer *w)
{
    if (!w || w->failed)
        return;
    if (w->depth == 0) {
        fail(w, "ph_json_put_end() without an object or array that is open");
        return;
    }
    if (w->has_key) {
        fail(w, "the last key of an object has no value");
        return;
    }
    buf__byte(&w->text, in_object(w) ? '}' : ']');
    w->depth--;
    w->needs_comma = true;
}

void ph_json_put_key(struct ph_json_writer *w, const char *key)
{
    if (!w || w->failed)
        return;
    if (!in_object(w))
        fail(w, "ph_json_put_key() outside an object");
    else if (w->has_key)
        fail(w, "a key follows a key that has no value yet");
    else if (!key || !utf8__valid(str__of(key)))
        fail(w, "a key is NULL or not UTF-8");
    if (w->failed)
        return;
    if (w->needs_comma)
        buf__byte(&w->text, ',');
    json__quote(&w->text, str__of(key));
    buf__byte(&w->text, ':');
    w->has_key = true;
}

void ph_json_put_text(struct ph_json_writer *w, const char *text)
{
    if (text)
        ph_json_put_string(w, text, strlen(text));
    else
        ph_json_put_null(w);
}

void ph_json_put_string(struct ph_json_writer *w, const char *text, size_t len)
{
    struct str s = str__n(text ? text : "", len);

    if (!begin(w))
        return;
    if ((!text && len > 0) || !utf8__valid(s))
        fail(w, "a string is NULL or not UTF-8");
    else
        json__quote(&w->text, s);
}

void ph_json_put_int(struct ph_json_writer *w, int64_t value)
{
    if (begin(w))
        buf__printf(&w->text, "%" PRId64, value);
}

void ph_json_put_double(struct ph_json_writer *w, double value)
{
    if (begin(w) && !json__number(&w->text, value))
        fail(w, "a number is infinite or none, which JSON cannot say");
}

void ph_json_put_bool(struct ph_json_writer *w, int value)
{
    put(w, value ? STR("true") : STR("false"));
}

void ph_json_put_null(struct ph_json_writer *w)
{
    put(w, STR("null"));
}

void ph_json_put_raw(struct ph_json_writer *w, const char *json, size_t len)
{
    struct str text = str__n(json, len);

    if (!begin(w))
        return;
    if (!json || json__check(text, MAX_DEPTH - w->depth, NULL) != PH_OK)
        fail(w, "what ph_json_put_raw() got is not one valid JSON value of at most 512 levels");
    else
        buf__str(&w->text, text);
}

void ph_json_put_value(struct ph_json_writer *w, const struct ph_json *value)
{
    size_t len;
    const char *raw = ph_json_raw(value, "", &len);

    if (raw)
        ph_json_put_raw(w, raw, len);
    else
        ph_json_put_null(w);
}

/* NULL when the text is whole. */
static const char *problem(const struct ph_json_writer *w)
{
    if (w->failed)
        return w->failed;
    if (w->text.failed)
        return "out of memory, or more than 16 MiB of JSON";
    if (w->depth > 0)
        return "an object or array was not ended with ph_json_put_end()";
    return w->text.len == 0 ? "nothing was put into the JSON" : NULL;
}

const char *ph_json_writer_text(const struct ph_json_writer *w, size_t *len, const char **why)
{
    const char *wrong = w ? problem(w) : "out of memory";

    if (len)
        *len = wrong ? 0 : w->text.len;
    if (why)
        *why = wrong;
    return wrong ? NULL : w->text.data;
}

struct ph_reply *ph_reply_json_from(struct ph_json_writer *w)
{
    struct ph_reply *reply = w ? reply__new(REPLY_DATA, w->text.len) : NULL;
    const char *wrong = w ? problem(w) : NULL;

    if (reply)
        reply->type = PH_DATA_JSON;
    if (reply && wrong)
        reply__fail(reply, wrong);
    else if (reply)
        reply->data = reply__copy(reply, buf__view(&w->text));
    ph_json_writer_free(w);
    return reply;
}
