#include "base/json_plain.h"

#include <endian.h>

#define DEEPEST 128 /* each level is a call of read_value */

struct reader {
    const char *at, *end;
    struct arena *arena;
    const struct json_limits *limits;
    uint32_t depth;
    uint32_t nodes;
    bool out_of_memory;
};

static bool is_plain(unsigned char c)
{
    return c >= 0x20 && c != '"' && c != '\\';
}

typedef uint8_t bytes __attribute__((vector_size(16)));

/* Of sixteen, how many come before the first that is escaped. */
static size_t leading_plain(const char *at)
{
    uint64_t halves[2];
    bytes b, escaped;

    memcpy(&b, at, sizeof(b));
    escaped = (bytes)((b < 0x20) | (b == '"') | (b == '\\'));
    memcpy(halves, &escaped, sizeof(halves));
    if (halves[0])
        return (size_t)__builtin_ctzll(le64toh(halves[0])) / 8;
    return halves[1] ? 8 + (size_t)__builtin_ctzll(le64toh(halves[1])) / 8 : sizeof(b);
}

size_t json_plain__length(struct str s)
{
    size_t i = 0, n;

    for (; s.len - i >= sizeof(bytes); i += n) {
        n = leading_plain(s.ptr + i);
        if (n < sizeof(bytes))
            return i + n;
    }
    while (i < s.len && is_plain((unsigned char)s.ptr[i]))
        i++;
    return i;
}

static struct str rest(const struct reader *r)
{
    return str__n(r->at, (size_t)(r->end - r->at));
}

/* A NUL, which is nowhere right, stands for the end. */
static char peek(const struct reader *r)
{
    return r->at < r->end ? *r->at : '\0';
}

static bool accept(struct reader *r, char c)
{
    if (peek(r) != c)
        return false;
    r->at++;
    return true;
}

static char skip_white_space(struct reader *r)
{
    while (r->at < r->end && (*r->at == ' ' || *r->at == '\n' || *r->at == '\r' || *r->at == '\t'))
        r->at++;
    return peek(r);
}

/* Clients seldom send white space. */
static inline char next(struct reader *r)
{
    return peek(r) > ' ' ? *r->at : skip_white_space(r);
}

static bool accept_next(struct reader *r, char c)
{
    next(r);
    return accept(r, c);
}

static bool read_word(struct reader *r, struct str word)
{
    if (!str__starts_with(rest(r), word))
        return false;
    r->at += word.len;
    return true;
}

static bool read_null(struct reader *r, struct json *node)
{
    (void)node;
    return read_word(r, STR("null"));
}

static bool read_boolean(struct reader *r, struct json *node)
{
    bool value = *r->at == 't';

    if (node)
        node->boolean = value;
    return read_word(r, value ? STR("true") : STR("false"));
}

static bool read_digits(struct reader *r)
{
    const char *from = r->at;

    while (peek(r) >= '0' && peek(r) <= '9')
        r->at++;
    return r->at > from;
}

/* RFC 8259 section 6. */
static bool read_number(struct reader *r, struct json *node)
{
    const char *from = r->at;

    accept(r, '-');
    if (!accept(r, '0') && !read_digits(r))
        return false;
    if (accept(r, '.') && !read_digits(r))
        return false;
    if (accept(r, 'e') || accept(r, 'E')) {
        if (!accept(r, '+'))
            accept(r, '-');
        if (!read_digits(r))
            return false;
    }
    if (node)
        node->string = str__n(from, (size_t)(r->at - from));
    return true;
}

static bool skip_escape(struct reader *r)
{
    int digits = 4;

    if (!accept(r, '\\'))
        return false;
    if (!accept(r, 'u')) {
        bool known = peek(r) && strchr("\"\\/bfnrt", peek(r));

        r->at += known;
        return known;
    }
    while (digits > 0 && str__hex_digit(peek(r)) >= 0) {
        r->at++;
        digits--;
    }
    return digits == 0;
}

static bool copy_text(struct reader *r, struct str text, struct str *out)
{
    const char *copy = r->limits->views ? text.ptr : arena__strdup(r->arena, text);

    r->out_of_memory |= !copy;
    *out = str__n(copy, text.len);
    return copy != NULL;
}

/* `out` is NULL where nothing is kept. */
static bool read_text(struct reader *r, struct str *out)
{
    const char *from = ++r->at;

    for (;;) {
        r->at += json_plain__length(rest(r));
        if (accept(r, '"'))
            break;
        if (out || !skip_escape(r))
            return false;
    }
    return !out || copy_text(r, str__n(from, (size_t)(r->at - 1 - from)), out);
}

static bool read_string(struct reader *r, struct json *node)
{
    return read_text(r, node ? &node->string : NULL);
}

static struct json *new_node(struct reader *r)
{
    struct json *node;

    if (r->nodes++ >= r->limits->nodes)
        return NULL;
    node = arena__zalloc(r->arena, sizeof(*node));
    r->out_of_memory |= !node;
    return node;
}

static bool read_value(struct reader *r, struct json *node);

static bool read_key(struct reader *r, struct str *key)
{
    return next(r) == '"' && read_text(r, key) && accept_next(r, ':');
}

/* An item or a member of `parent`; where that is no node, or the last level of nodes, it is
 * checked alone. */
static bool read_child(struct reader *r, struct json *parent, bool named, struct json ***last)
{
    struct json *child = NULL;

    if (parent && (r->limits->tree == 0 || r->depth <= r->limits->tree)) {
        child = new_node(r);
        if (!child)
            return false;
        **last = child;
        *last = &child->next;
        parent->count++;
    }
    if (named && !read_key(r, child ? &child->key : NULL))
        return false;
    return read_value(r, child);
}

static bool read_container(struct reader *r, struct json *node)
{
    const bool named = *r->at++ == '{';
    const char close = named ? '}' : ']';
    struct json **last = node ? &node->child : NULL;

    if (r->depth >= r->limits->depth || r->depth >= DEEPEST)
        return false;
    r->depth++;
    if (!accept_next(r, close)) {
        do {
            if (!read_child(r, node, named, &last))
                return false;
        } while (accept_next(r, ','));
        if (!accept(r, close))
            return false;
    }
    r->depth--;
    return true;
}

static enum json_type type_of(char first)
{
    switch (first) {
    case '{':
        return JSON_OBJECT;
    case '[':
        return JSON_ARRAY;
    case '"':
        return JSON_STRING;
    case 't':
    case 'f':
        return JSON_BOOL;
    case 'n':
        return JSON_NULL;
    default:
        return JSON_NUMBER;
    }
}

/* `node` is NULL for a value that is checked alone. */
static bool read_value(struct reader *r, struct json *node)
{
    static bool (*const readers[])(struct reader *, struct json *) = {
        [JSON_NULL] = read_null,     [JSON_BOOL] = read_boolean,    [JSON_NUMBER] = read_number,
        [JSON_STRING] = read_string, [JSON_ARRAY] = read_container, [JSON_OBJECT] = read_container};
    const enum json_type type = type_of(next(r));
    const char *from = r->at;

    if (!readers[type](r, node))
        return false;
    if (node) {
        node->type = type;
        node->raw = str__n(from, (size_t)(r->at - from));
    }
    return true;
}

static bool read_whole(struct reader *r, struct str text, struct json *root)
{
    if (text.len == 0) /* it may be absent then */
        return false;
    r->at = text.ptr;
    r->end = text.ptr + text.len;
    return read_value(r, root) && (next(r), r->at == r->end);
}

enum ph_err json_plain__parse(struct arena *a, struct str text, const struct json_limits *limits,
                              struct json **out)
{
    const struct arena before = *a;
    struct reader r = {.arena = a, .limits = limits};

    *out = new_node(&r);
    if (*out && read_whole(&r, text, *out))
        return PH_OK;
    *out = NULL;
    arena__rewind(a, &before);
    return r.out_of_memory ? PH_ERR_MEMORY : PH_ERR_SYNTAX;
}

bool json_plain__check(struct str text, uint32_t depth)
{
    const struct json_limits limits = {.depth = depth};

    return read_whole(&(struct reader){.limits = &limits}, text, NULL);
}
