/* pubhook/json.h: reading. A value is a node of base/json.h. */
#include "pubhook/json.h"

#include "event/event.h"

#include <stdlib.h>

#define MAX_DEPTH 512
#define MAX_TEXT (16u << 20)
#define MAX_VALUES 100000
/* Nodes, and strings with escapes; far above what the limits before let in. */
#define MAX_MEMORY (64u << 20)
#define DOC_TAIL 2048

struct ph_json_doc {
    struct arena arena; /* first bytes are the tail of the document's own allocation */
    struct json *root;
};

static const struct json_limits limits = {.depth = MAX_DEPTH, .nodes = MAX_VALUES, .views = true};

static const struct json *node_of(const struct ph_json *value)
{
    return (const struct json *)(const void *)value;
}

static const struct ph_json *value_of(const struct json *node)
{
    return (const struct ph_json *)(const void *)node;
}

const struct ph_json *ph_event_json(const struct ph_event *ev)
{
    struct ph_event *own = event__lock(ev);

    if (!own->json_read && own->arena && own->type == PH_DATA_JSON)
        json__parse(own->arena, own->data, &limits, &own->json, NULL);
    own->json_read = true;
    event__unlock(own);
    return value_of(own->json);
}

static enum ph_err explain(enum ph_err err, const char **why)
{
    if (why)
        *why = err == PH_ERR_LIMIT      ? "the text is too large, too deep or has too many values"
               : err == PH_ERR_MEMORY   ? "out of memory"
               : err == PH_ERR_ARGUMENT ? "the text, or where the document goes, is NULL"
                                        : "the text is not valid JSON in UTF-8";
    return err;
}

enum ph_err ph_json_parse(const char *text, size_t len, struct ph_json_doc **out, const char **why)
{
    struct ph_json_doc *doc;
    enum ph_err err;

    if (out)
        *out = NULL;
    if (!text || !out)
        return explain(PH_ERR_ARGUMENT, why);
    if (len > MAX_TEXT)
        return explain(PH_ERR_LIMIT, why);
    doc = malloc(sizeof(*doc) + DOC_TAIL);
    if (!doc)
        return explain(PH_ERR_MEMORY, why);
    arena__init(&doc->arena, doc + 1, DOC_TAIL, MAX_MEMORY);
    err = json__parse(&doc->arena, str__n(text, len), &limits, &doc->root, NULL);
    if (err != PH_OK) {
        ph_json_free(doc);
        return explain(err, why);
    }
    *out = doc;
    return PH_OK;
}

const struct ph_json *ph_json_root(const struct ph_json_doc *doc)
{
    return doc ? value_of(doc->root) : NULL;
}

void ph_json_free(struct ph_json_doc *doc)
{
    if (!doc)
        return;
    arena__free(&doc->arena);
    free(doc);
}

/* --- Paths ------------------------------------------------------------------------------ */

/* Is the token of a pointer, with ~0 for '~' and ~1 for '/', this key? */
static bool is_key(struct str token, struct str key)
{
    size_t at = 0;

    for (size_t i = 0; i < token.len; i++, at++) {
        char c = token.ptr[i];

        if (c == '~') {
            if (++i == token.len || (token.ptr[i] != '0' && token.ptr[i] != '1'))
                return false;
            c = token.ptr[i] == '0' ? '~' : '/';
        }
        if (at == key.len || key.ptr[at] != c)
            return false;
    }
    return at == key.len;
}

static const struct json *member(const struct json *object, struct str token)
{
    const struct json *found = NULL;

    for (const struct json *m = object->child; m; m = m->next) {
        if (is_key(token, m->key))
            found = m;
    }
    return found;
}

/* RFC 6901 section 4: no leading zeros. */
static const struct json *item(const struct json *array, struct str token)
{
    const struct json *i = array->child;
    uint64_t index;

    if (!str__to_u64(token, &index) || (token.len > 1 && token.ptr[0] == '0') ||
        index >= array->count)
        return NULL;
    while (index-- > 0)
        i = i->next;
    return i;
}

static const struct json *find(const struct ph_json *value, const char *path)
{
    const struct json *node = node_of(value);
    struct str rest = str__of(path), token;

    if (rest.len == 0)
        return node;
    if (rest.ptr[0] != '/')
        return NULL;
    str__split(&rest, '/', &token);
    while (node && str__split(&rest, '/', &token))
        node = node->type == JSON_OBJECT  ? member(node, token)
               : node->type == JSON_ARRAY ? item(node, token)
                                          : NULL;
    return node;
}

const struct ph_json *ph_json_at(const struct ph_json *value, const char *path)
{
    return value_of(find(value, path));
}

/* --- Values ------------------------------------------------------------------------------- */

enum ph_json_type ph_json_type(const struct ph_json *value)
{
    static const enum ph_json_type types[] = {
        [JSON_NULL] = PH_JSON_NULL,     [JSON_BOOL] = PH_JSON_BOOL,
        [JSON_NUMBER] = PH_JSON_NUMBER, [JSON_STRING] = PH_JSON_STRING,
        [JSON_ARRAY] = PH_JSON_ARRAY,   [JSON_OBJECT] = PH_JSON_OBJECT,
    };

    return value ? types[node_of(value)->type] : PH_JSON_ABSENT;
}

size_t ph_json_count(const struct ph_json *value)
{
    return value ? node_of(value)->count : 0;
}

const struct ph_json *ph_json_first(const struct ph_json *value)
{
    return value ? value_of(node_of(value)->child) : NULL;
}

const struct ph_json *ph_json_next(const struct ph_json *value)
{
    return value ? value_of(node_of(value)->next) : NULL;
}

/* A view may be empty and yet be there. */
static const char *give(struct str s, size_t *len)
{
    if (len)
        *len = s.len;
    return s.ptr;
}

const char *ph_json_name(const struct ph_json *value, size_t *len)
{
    return give(value ? node_of(value)->key : STR_NONE, len);
}

static struct str string_at(const struct ph_json *value, const char *path)
{
    const struct json *node = find(value, path);

    return node && node->type == JSON_STRING ? node->string : STR_NONE;
}

const char *ph_json_string(const struct ph_json *value, const char *path, size_t *len)
{
    return give(string_at(value, path), len);
}

int ph_json_is(const struct ph_json *value, const char *path, const char *text)
{
    struct str s = string_at(value, path);

    return s.ptr && text && str__eq(s, str__of(text));
}

enum ph_err ph_json_copy(const struct ph_json *value, const char *path, char *buffer, size_t size)
{
    struct str s = string_at(value, path);

    if (!buffer || size == 0)
        return PH_ERR_ARGUMENT;
    buffer[0] = '\0';
    if (!s.ptr)
        return PH_ERR_NOT_FOUND;
    if (s.len > 0 && memchr(s.ptr, '\0', s.len))
        return PH_ERR_SYNTAX;
    if (s.len >= size)
        return PH_ERR_LIMIT;
    memcpy(buffer, s.ptr, s.len);
    buffer[s.len] = '\0';
    return PH_OK;
}

int64_t ph_json_int(const struct ph_json *value, const char *path, int64_t fallback)
{
    int64_t number;

    return json__to_i64(find(value, path), &number) ? number : fallback;
}

double ph_json_double(const struct ph_json *value, const char *path, double fallback)
{
    double number;

    return json__to_double(find(value, path), &number) ? number : fallback;
}

int ph_json_bool(const struct ph_json *value, const char *path, int fallback)
{
    const struct json *node = find(value, path);

    return node && node->type == JSON_BOOL ? node->boolean : fallback;
}

const char *ph_json_raw(const struct ph_json *value, const char *path, size_t *len)
{
    const struct json *node = find(value, path);

    return give(node ? node->raw : STR_NONE, len);
}
