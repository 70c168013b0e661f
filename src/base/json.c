#include "base/json.h"

#include "base/asan.h"
#include "base/hex.h"
#include "base/json_plain.h"
#include "base/json_text.h"
#include "base/utf8.h"

#include <locale.h>
#include <math.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <yajl/yajl_parse.h>

/* yajl asks for five small blocks to parse anything, which took a sixth of parsing a client's
 * frame: they come from the stack, and what does not fit from malloc. With the address
 * sanitizer all do, so that it sees them. */
#if ASAN_WATCHES
#define ROOM_SIZE 0
#else
#define ROOM_SIZE 768
#endif

/* A block of malloc. yajl does not ask whether it got what it wanted: when memory is out, it is
 * left by a jump, and what it had is freed without it. */
struct block {
    struct block *next, **link; /* of the list that it is in */
    _Alignas(max_align_t) char data[];
};

struct room {
    jmp_buf out_of_memory;
    struct block *blocks;
    size_t used;
    _Alignas(max_align_t) char bytes[ROOM_SIZE + 1];
};

static bool in_room(const struct room *room, const void *block)
{
    return (uintptr_t)block - (uintptr_t)room->bytes < room->used;
}

static struct block *block_of(void *data)
{
    return (struct block *)(void *)((char *)data - offsetof(struct block, data));
}

/* Puts a block of malloc or realloc into the list. */
static void *enter(struct room *room, struct block *block)
{
    block->next = room->blocks;
    block->link = &room->blocks;
    if (block->next)
        block->next->link = &block->next;
    room->blocks = block;
    return block->data;
}

static void leave(struct block *block)
{
    *block->link = block->next;
    if (block->next)
        block->next->link = block->link;
}

static void *block_malloc(struct room *room, size_t size)
{
    struct block *block = malloc(sizeof(*block) + size);

    if (!block)
        longjmp(room->out_of_memory, 1);
    return enter(room, block);
}

static void *block_realloc(struct room *room, struct block *old, size_t size)
{
    struct block *block;

    leave(old);
    block = realloc(old, sizeof(*block) + size);
    if (!block) {
        enter(room, old);
        longjmp(room->out_of_memory, 1);
    }
    return enter(room, block);
}

static void *room_malloc(void *ctx, size_t size)
{
    struct room *room = ctx;
    size_t rounded = (size + _Alignof(max_align_t) - 1) & ~(_Alignof(max_align_t) - 1);
    void *block;

    if (size > ROOM_SIZE || rounded > ROOM_SIZE - room->used)
        return block_malloc(room, size);
    block = room->bytes + room->used;
    room->used += rounded;
    return block;
}

static void room_free(void *ctx, void *data)
{
    if (!data || in_room(ctx, data))
        return;
    leave(block_of(data));
    free(block_of(data));
}

/* How large the old block is nobody knows; what stands behind it in the room may be copied
 * along, for nothing there is secret from yajl. */
static void *room_realloc(void *ctx, void *data, size_t size)
{
    struct room *room = ctx;
    size_t old;
    void *copy;

    if (!data)
        return room_malloc(ctx, size);
    if (!in_room(room, data))
        return block_realloc(room, block_of(data), size);
    copy = block_malloc(room, size);
    old = room->used - (size_t)((char *)data - room->bytes);
    return memcpy(copy, data, old < size ? old : size);
}

static void room_free_all(struct room *room)
{
    while (room->blocks)
        room_free(room, room->blocks->data);
}

static yajl_alloc_funcs room_funcs(struct room *room)
{
    return (yajl_alloc_funcs){room_malloc, room_realloc, room_free, room};
}

struct parser {
    struct arena *arena;
    const struct json_limits *limits;
    struct str text;
    yajl_handle yajl;
    struct json *root;
    struct json **stack; /* open containers, limits->depth of them at the most */
    struct json **last;  /* per open container, its last child */
    uint32_t depth;
    uint32_t stack_size;
    uint32_t nodes;
    struct str key;
    size_t token_from; /* where to look for the start of the next value */
    bool at_end;       /* the whole text was fed; yajl now completes what is open */
    enum ph_err err;
};

/* Bytes of the text up to the end of the token that yajl read last. */
static size_t consumed(const struct parser *p)
{
    return p->at_end ? p->text.len : yajl_get_bytes_consumed(p->yajl);
}

static int stop(struct parser *p, enum ph_err err)
{
    p->err = err;
    return 0;
}

static bool is_filler(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == ',' || c == ':';
}

/* yajl tells where a token ends. Where it starts follows from where the last one
 * ended: only white space, separators and comments lie between. */
static size_t token_start(const struct parser *p)
{
    const char *t = p->text.ptr;
    size_t i = p->token_from, end = p->text.len;

    for (;;) {
        while (i < end && is_filler(t[i]))
            i++;
        if (!p->limits->comments || end - i < 2 || t[i] != '/')
            return i;
        if (t[i + 1] == '/') {
            while (i < end && t[i] != '\n')
                i++;
        } else {
            i += 2;
            while (i + 1 < end && !(t[i] == '*' && t[i + 1] == '/'))
                i++;
            i = i + 2 < end ? i + 2 : end;
        }
    }
}

/* Is the value at hand too deep to become a node? */
static bool too_deep(const struct parser *p)
{
    return p->limits->tree > 0 && p->depth > p->limits->tree;
}

static struct json *add(struct parser *p, enum json_type type)
{
    struct json *node;
    size_t start = token_start(p);

    if (p->nodes++ >= p->limits->nodes) {
        p->err = PH_ERR_LIMIT;
        return NULL;
    }
    node = arena__zalloc(p->arena, sizeof(*node));
    if (!node) {
        p->err = PH_ERR_MEMORY;
        return NULL;
    }
    node->type = type;
    node->key = p->key;
    node->raw = str__n(p->text.ptr + start, consumed(p) - start);
    p->key = STR_NONE;
    p->token_from = consumed(p);
    if (p->depth == 0) {
        p->root = node;
        return node;
    }
    if (p->last[p->depth - 1])
        p->last[p->depth - 1]->next = node;
    else
        p->stack[p->depth - 1]->child = node;
    p->last[p->depth - 1] = node;
    p->stack[p->depth - 1]->count++;
    return node;
}

static int on_null(void *ctx)
{
    return too_deep(ctx) || add(ctx, JSON_NULL) != NULL;
}

static int on_boolean(void *ctx, int value)
{
    struct json *node;

    if (too_deep(ctx))
        return 1;
    node = add(ctx, JSON_BOOL);
    if (!node)
        return 0;
    node->boolean = value != 0;
    return 1;
}

static int on_number(void *ctx, const char *digits, size_t len)
{
    struct json *node;

    (void)digits;
    if (too_deep(ctx))
        return 1;
    node = add(ctx, JSON_NUMBER);
    if (!node)
        return 0;
    /* yajl hands over the text of the number; the same bytes stand in `raw`. */
    node->string = str__n(node->raw.ptr + node->raw.len - len, len);
    return 1;
}

/* yajl's own reading of \u loses what stands behind half of a pair, so it is not used. */
static int copy_string(struct parser *p, struct str *out, struct str raw)
{
    bool plain = json_plain__length(raw) == raw.len;
    char *copy;

    if (p->limits->views && plain) {
        *out = raw;
        return 1;
    }
    copy = arena__strdup(p->arena, raw);
    if (!copy)
        return stop(p, PH_ERR_MEMORY);
    *out = str__n(copy, plain ? raw.len : json_text__unescape(copy, raw));
    copy[out->len] = '\0';
    return 1;
}

/* Without the quotes. */
static struct str between(struct str quoted)
{
    return str__n(quoted.ptr + 1, quoted.len - 2);
}

static int on_string(void *ctx, const unsigned char *text, size_t len)
{
    struct json *node;

    (void)text, (void)len;
    if (too_deep(ctx))
        return 1;
    node = add(ctx, JSON_STRING);
    return node ? copy_string(ctx, &node->string, between(node->raw)) : 0;
}

static int on_key(void *ctx, const unsigned char *text, size_t len)
{
    struct parser *p = ctx;
    size_t start;

    (void)text, (void)len;
    if (too_deep(p))
        return 1;
    start = token_start(p);
    p->token_from = consumed(p);
    return copy_string(p, &p->key, between(str__n(p->text.ptr + start, p->token_from - start)));
}

static bool grow_stack(struct parser *p)
{
    uint32_t size = p->stack_size ? p->stack_size * 2 : 16;
    struct json **stack = arena__alloc(p->arena, size * sizeof(*stack));
    struct json **last = arena__alloc(p->arena, size * sizeof(*last));

    if (!stack || !last)
        return false;
    if (p->depth > 0) {
        memcpy(stack, p->stack, p->depth * sizeof(*stack));
        memcpy(last, p->last, p->depth * sizeof(*last));
    }
    p->stack = stack;
    p->last = last;
    p->stack_size = size;
    return true;
}

static int open_container(struct parser *p, enum json_type type)
{
    struct json *node;

    if (p->depth >= p->limits->depth)
        return stop(p, PH_ERR_LIMIT);
    if (too_deep(p)) {
        p->depth++;
        return 1;
    }
    node = add(p, type);
    if (!node)
        return 0;
    if (p->depth == p->stack_size && !grow_stack(p))
        return stop(p, PH_ERR_MEMORY);
    p->stack[p->depth] = node;
    p->last[p->depth] = NULL;
    p->depth++;
    return 1;
}

static int on_open_object(void *ctx)
{
    return open_container(ctx, JSON_OBJECT);
}

static int on_open_array(void *ctx)
{
    return open_container(ctx, JSON_ARRAY);
}

static int on_close(void *ctx)
{
    struct parser *p = ctx;
    struct json *node;

    p->depth--;
    if (too_deep(p))
        return 1;
    node = p->stack[p->depth];
    p->token_from = consumed(p);
    node->raw.len = (size_t)(p->text.ptr + p->token_from - node->raw.ptr);
    return 1;
}

static const yajl_callbacks callbacks = {
    .yajl_null = on_null,
    .yajl_boolean = on_boolean,
    .yajl_number = on_number,
    .yajl_string = on_string,
    .yajl_start_map = on_open_object,
    .yajl_map_key = on_key,
    .yajl_end_map = on_close,
    .yajl_start_array = on_open_array,
    .yajl_end_array = on_close,
};

static enum ph_err explain(const struct parser *p, struct diag *diag)
{
    size_t at = consumed(p), line = 1, column = 1;

    if (p->err == PH_ERR_MEMORY)
        return diag__set(diag, PH_ERR_MEMORY, "out of memory");
    for (size_t i = 0; i < at && i < p->text.len; i++) {
        column = p->text.ptr[i] == '\n' ? 1 : column + 1;
        line += p->text.ptr[i] == '\n';
    }
    if (p->err == PH_ERR_LIMIT && p->nodes > p->limits->nodes)
        return diag__set(diag, PH_ERR_LIMIT, "line %zu, column %zu: more than %u JSON values", line,
                         column, p->limits->nodes);
    if (p->err == PH_ERR_LIMIT)
        return diag__set(diag, PH_ERR_LIMIT,
                         "line %zu, column %zu: JSON nested deeper than %u levels", line, column,
                         p->limits->depth);
    return diag__set(diag, PH_ERR_SYNTAX, "line %zu, column %zu: not valid JSON%s", line, column,
                     at >= p->text.len ? " (it ends too early)" : "");
}

/* yajl takes form feed and vertical tab for white space. JSON does not (RFC 8259 section
 * 2), and they cannot stand in a string either: they are nowhere right. */
static enum ph_err check_white_space(struct str text, struct diag *diag)
{
    for (const char *odd = "\f\v"; *odd; odd++) {
        const char *at = text.len > 0 ? memchr(text.ptr, *odd, text.len) : NULL;

        if (at)
            return diag__set(diag, PH_ERR_SYNTAX,
                             "line %u: not valid JSON (byte %u is the control character 0x%02x)",
                             json__line(text, &(struct json){.raw = {at, 1}}),
                             (unsigned)(at - text.ptr) + 1, (unsigned)*odd);
    }
    return PH_OK;
}

/* yajl lets overlong forms pass, such as 0xc0 0x80 for NUL, and halves of characters. Most texts
 * are ASCII, which is quickly seen. */
static enum ph_err check_utf8(struct str text, struct diag *diag)
{
    if (utf8__valid(text))
        return PH_OK;
    return diag__set(diag, PH_ERR_SYNTAX, "not valid JSON: the text is not UTF-8");
}

/* Has yajl said all that it has to say? A number at the very end may go on, for all it knows. */
static bool is_complete(const struct parser *p)
{
    return p->nodes > 0 && p->depth == 0 && p->token_from == p->text.len;
}

/* yajl takes a string that begins behind the value and never ends for nothing at all. */
static bool ends_clean(const struct parser *p)
{
    return p->nodes > 0 && p->depth == 0 && token_start(p) == p->text.len;
}

static enum ph_err run(struct parser *p, const yajl_callbacks *calls, yajl_alloc_funcs *funcs,
                       struct diag *diag)
{
    enum ph_err err = PH_OK;
    yajl_status status;

    p->yajl = yajl_alloc(calls, funcs, p);
    if (!p->yajl)
        return diag__set(diag, PH_ERR_MEMORY, "out of memory");
    yajl_config(p->yajl, yajl_allow_comments, p->limits->comments ? 1 : 0);
    status = yajl_parse(p->yajl, (const unsigned char *)p->text.ptr, p->text.len);
    if (status == yajl_status_ok && !is_complete(p)) {
        p->at_end = true;
        status = yajl_complete_parse(p->yajl);
    }
    if (status != yajl_status_ok || p->err != PH_OK || !ends_clean(p))
        err = explain(p, diag);
    yajl_free(p->yajl);
    return err;
}

/* A function of its own, because what changes after setjmp must not be a variable here. */
static enum ph_err run_guarded(struct parser *p, const yajl_callbacks *calls, struct room *room,
                               struct diag *diag)
{
    yajl_alloc_funcs funcs = room_funcs(room);

    if (setjmp(room->out_of_memory) == 0)
        return run(p, calls, &funcs, diag);
    room_free_all(room);
    return diag__set(diag, PH_ERR_MEMORY, "out of memory");
}

static enum ph_err run_in_room(struct parser *p, const yajl_callbacks *calls, struct diag *diag)
{
    enum ph_err err = check_white_space(p->text, diag);
    struct room room;

    if (err != PH_OK)
        return err;
    room.blocks = NULL;
    room.used = 0;
    return run_guarded(p, calls, &room, diag);
}

/* Whatever is odd about the text. */
static enum ph_err parse_any(struct arena *a, struct str text, const struct json_limits *limits,
                             struct json **out, struct diag *diag)
{
    struct parser p = {.arena = a, .limits = limits, .text = text};
    enum ph_err err = run_in_room(&p, &callbacks, diag);

    *out = err == PH_OK ? p.root : NULL;
    return err;
}

/* Files with comments are read rarely, and by yajl alone. */
enum ph_err json__parse(struct arena *a, struct str text, const struct json_limits *limits,
                        struct json **out, struct diag *diag)
{
    enum ph_err err = check_utf8(text, diag);

    *out = NULL;
    if (err != PH_OK)
        return err;
    err = limits->comments ? PH_ERR_SYNTAX : json_plain__parse(a, text, limits, out);
    if (err == PH_ERR_MEMORY)
        return diag__set(diag, PH_ERR_MEMORY, "out of memory");
    return err == PH_OK ? PH_OK : parse_any(a, text, limits, out, diag);
}

static int check_scalar(void *ctx)
{
    struct parser *p = ctx;

    p->nodes = 1;
    p->token_from = consumed(p);
    return 1;
}

static int check_boolean(void *ctx, int value)
{
    (void)value;
    return check_scalar(ctx);
}

static int check_number(void *ctx, const char *digits, size_t len)
{
    (void)digits;
    (void)len;
    return check_scalar(ctx);
}

static int check_string(void *ctx, const unsigned char *text, size_t len)
{
    (void)text;
    (void)len;
    return check_scalar(ctx);
}

static int check_open(void *ctx)
{
    struct parser *p = ctx;

    if (p->depth >= p->limits->depth)
        return stop(p, PH_ERR_LIMIT);
    p->depth++;
    return check_scalar(ctx);
}

static int check_close(void *ctx)
{
    ((struct parser *)ctx)->depth--;
    return check_scalar(ctx);
}

static const yajl_callbacks check_callbacks = {
    .yajl_null = check_scalar,
    .yajl_boolean = check_boolean,
    .yajl_number = check_number,
    .yajl_string = check_string,
    .yajl_start_map = check_open,
    .yajl_map_key = check_string,
    .yajl_end_map = check_close,
    .yajl_start_array = check_open,
    .yajl_end_array = check_close,
};

enum ph_err json__check(struct str text, uint32_t depth, struct diag *diag)
{
    struct json_limits limits = {.depth = depth, .nodes = 1};
    struct parser p = {.limits = &limits, .text = text};
    enum ph_err err = check_utf8(text, diag);

    if (err != PH_OK || json_plain__check(text, depth))
        return err;
    return run_in_room(&p, &check_callbacks, diag);
}

const struct json *json__get(const struct json *object, struct str key)
{
    const struct json *found = NULL;

    if (!object || object->type != JSON_OBJECT)
        return NULL;
    for (const struct json *m = object->child; m; m = m->next) {
        if (str__eq(m->key, key))
            found = m;
    }
    return found;
}

struct str json__get_string(const struct json *object, struct str key)
{
    const struct json *m = json__get(object, key);

    return m && m->type == JSON_STRING ? m->string : STR_NONE;
}

bool json__to_u64(const struct json *node, uint64_t *out)
{
    return node && node->type == JSON_NUMBER && str__to_u64(node->string, out);
}

/* Digits that end before the point: the longest double has 309. */
#define LONGEST_NUMBER 512

/* strtod reads the decimal point of the locale. */
static char decimal_point(void)
{
    return localeconv()->decimal_point[0];
}

bool json__to_double(const struct json *node, double *out)
{
    char text[LONGEST_NUMBER + 1], *point;

    if (!node || node->type != JSON_NUMBER || node->string.len > LONGEST_NUMBER)
        return false;
    memcpy(text, node->string.ptr, node->string.len);
    text[node->string.len] = '\0';
    point = strchr(text, '.');
    if (point)
        *point = decimal_point();
    *out = strtod(text, NULL);
    return isfinite(*out);
}

static bool plain_i64(struct str digits, int64_t *out)
{
    bool negative = digits.len > 0 && digits.ptr[0] == '-';
    uint64_t value;

    if (!str__to_u64(str__n(digits.ptr + negative, digits.len - negative), &value) ||
        value > (uint64_t)INT64_MAX + negative)
        return false;
    *out = negative ? (int64_t)(0 - value) : (int64_t)value;
    return true;
}

/* From here on, a double stands for several whole numbers. */
#define AMBIGUOUS 9007199254740992.0

bool json__to_i64(const struct json *node, int64_t *out)
{
    double value;

    if (!node || node->type != JSON_NUMBER)
        return false;
    if (plain_i64(node->string, out))
        return true;
    if (!json__to_double(node, &value) || value <= -AMBIGUOUS || value >= AMBIGUOUS)
        return false;
    *out = (int64_t)value;
    return (double)*out == value;
}

const char *json__type_name(const struct json *node)
{
    static const char *const names[] = {"null",     "a boolean", "a number",
                                        "a string", "an array",  "an object"};

    return node ? names[node->type] : "nothing";
}

unsigned json__line(struct str text, const struct json *node)
{
    unsigned line = 1;

    for (const char *p = text.ptr; p < node->raw.ptr; p++)
        line += *p == '\n';
    return line;
}

static void escape(struct buf *out, unsigned char c)
{
    char escaped[6] = {'\\', 0};
    size_t len = 2;

    switch (c) {
    case '"':
    case '\\':
        escaped[1] = (char)c;
        break;
    case '\n':
        escaped[1] = 'n';
        break;
    case '\r':
        escaped[1] = 'r';
        break;
    case '\t':
        escaped[1] = 't';
        break;
    default:
        memcpy(escaped + 1, "u00", 3);
        escaped[4] = hex__digit(c >> 4);
        escaped[5] = hex__digit(c);
        len = 6;
    }
    buf__append(out, escaped, len);
}

void json__quote(struct buf *out, struct str s)
{
    buf__byte(out, '"');
    while (s.len > 0) {
        size_t plain = json_plain__length(s);

        buf__append(out, s.ptr, plain);
        if (plain < s.len)
            escape(out, (unsigned char)s.ptr[plain++]);
        s = str__n(s.ptr + plain, s.len - plain);
    }
    buf__byte(out, '"');
}

bool json__number(struct buf *out, double value)
{
    char text[32], *point;
    int digits = 15;

    if (!isfinite(value))
        return false;
    do
        snprintf(text, sizeof(text), "%.*g", digits, value);
    while (strtod(text, NULL) != value && ++digits <= 17);
    point = strchr(text, decimal_point());
    if (point)
        *point = '.';
    buf__str(out, str__of(text));
    return true;
}

void json__quote_array(struct buf *out, const struct str *items, size_t count)
{
    buf__byte(out, '[');
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            buf__byte(out, ',');
        json__quote(out, items[i]);
    }
    buf__byte(out, ']');
}
