/* Whether a filter is true for a connection. The types were checked, so each operand has
 * a type that its operator takes, null among them. */
#include "base/unicode.h"
#include "broker/filter/node.h"
#include "broker/filter/text.h"

enum type { VALUE_NULL, VALUE_BOOL, VALUE_INT, VALUE_STRING, VALUE_COLLECTION };

struct value {
    enum type type;
    bool boolean;
    int64_t integer;
    struct str text;
};

struct match {
    const struct filter *f;
    const struct filter_subject *subject;
    uint64_t work;
    size_t used;
    char scratch[FILTER_SCRATCH]; /* computed texts of the operand at work */
};

#define GROUP_WORK 2 /* to look for one */

static struct value eval(struct match *m, uint32_t n);

static const struct node *node(const struct match *m, uint32_t n)
{
    return &m->f->nodes[n];
}

static struct value of_bool(bool b)
{
    return (struct value){.type = VALUE_BOOL, .boolean = b};
}

static struct value of_int(int64_t i)
{
    return (struct value){.type = VALUE_INT, .integer = i};
}

static struct value of_text(struct match *m, struct str s)
{
    m->work += s.len / WORK_BYTES;
    return (struct value){.type = s.ptr ? VALUE_STRING : VALUE_NULL, .text = s};
}

static const struct value null = {.type = VALUE_NULL};

/* Room for a computed text, NULL when that would be too long. */
static char *reserve(struct match *m, size_t len)
{
    return len <= sizeof(m->scratch) - m->used ? m->scratch + m->used : NULL;
}

/* --- Operators ------------------------------------------------------------- */

static bool equal(const struct value *a, const struct value *b)
{
    if (a->type != b->type)
        return false;
    switch (a->type) {
    case VALUE_BOOL:
        return a->boolean == b->boolean;
    case VALUE_INT:
        return a->integer == b->integer;
    case VALUE_STRING:
        return str__eq(a->text, b->text);
    case VALUE_NULL:
    case VALUE_COLLECTION: /* there is only one */
        break;
    }
    return true;
}

/* Anything compared with null is false. */
static bool ordered(enum node_kind kind, const struct value *a, const struct value *b)
{
    if (a->type != VALUE_INT || b->type != VALUE_INT)
        return false;
    switch (kind) {
    case NODE_GT:
        return a->integer > b->integer;
    case NODE_GE:
        return a->integer >= b->integer;
    case NODE_LT:
        return a->integer < b->integer;
    default:
        return a->integer <= b->integer;
    }
}

static bool compare(struct match *m, const struct node *n)
{
    struct value left = eval(m, n->child), right = eval(m, node(m, n->child)->next);

    if (n->kind == NODE_EQ || n->kind == NODE_NE)
        return equal(&left, &right) == (n->kind == NODE_EQ);
    return ordered(n->kind, &left, &right);
}

static bool is_in_groups(struct match *m, const struct value *name)
{
    m->work += GROUP_WORK;
    return name->type == VALUE_STRING && m->subject->in_group(m->subject->ctx, name->text);
}

static bool is_in(struct match *m, const struct node *n)
{
    struct value left = eval(m, n->child);
    size_t used = m->used;

    for (uint32_t i = node(m, n->child)->next; i != NODE_NONE; i = node(m, i)->next) {
        struct value item;

        m->used = used;
        if (node(m, i)->kind == NODE_GROUPS)
            return is_in_groups(m, &left);
        item = eval(m, i);
        if (equal(&left, &item))
            return true;
    }
    return false;
}

/* Both sides are of the right type, so the second one need not be looked at. */
static bool chain(struct match *m, const struct node *n)
{
    bool stop = n->kind == NODE_OR;

    for (uint32_t i = n->child; i != NODE_NONE; i = node(m, i)->next) {
        if (eval(m, i).boolean == stop)
            return stop;
    }
    return !stop;
}

/* --- Functions ------------------------------------------------------------- */

static struct value length(struct match *m, const struct value *arg)
{
    if (arg->type == VALUE_COLLECTION)
        return of_int((int64_t)m->subject->group_count);
    return arg->type == VALUE_NULL ? null : of_int((int64_t)text__length(arg->text));
}

static struct value change_case(struct match *m, struct str s,
                                uint32_t (*change)(uint32_t c, size_t *near))
{
    char *out = reserve(m, 0);
    size_t len = 0, near = 0;

    m->work += s.len / WORK_CHANGED_BYTES;
    while (s.len > 0) {
        if (!reserve(m, len + 4))
            return null;
        len += unicode__put(out + len, change(unicode__next(&s), &near));
    }
    m->used += len;
    return of_text(m, str__n(out, len));
}

static struct value concat(struct match *m, struct str a, struct str b)
{
    char *out = reserve(m, a.len + b.len);

    if (!out)
        return null;
    memcpy(out, a.len ? a.ptr : "", a.len);
    memcpy(out + a.len, b.len ? b.ptr : "", b.len);
    m->used += a.len + b.len;
    return of_text(m, str__n(out, a.len + b.len));
}

/* The text between two places, of which either may be in the middle of a character. */
static struct value cut(struct match *m, struct str s, size_t from, size_t count)
{
    bool half_start, half_end;
    size_t start = text__offset(s, from, &half_start);
    size_t end = text__offset(s, from + count, &half_end);
    char *out;
    size_t len = 0;

    if (count == 0 || (!half_start && !half_end))
        return of_text(m, str__n(s.ptr + start, count == 0 ? 0 : end - start));
    out = reserve(m, end - start + 6);
    if (!out)
        return null;
    if (half_start) {
        start += 4;
        len += unicode__put(out, UNICODE_REPLACEMENT);
    }
    memcpy(out + len, s.ptr + start, end - start);
    len += end - start;
    if (half_end)
        len += unicode__put(out + len, UNICODE_REPLACEMENT);
    m->used += len;
    return of_text(m, str__n(out, len));
}

static struct value substring(struct match *m, const struct value args[3], unsigned count)
{
    int64_t len, start = args[1].integer, taken;

    if (args[0].type == VALUE_NULL || args[1].type == VALUE_NULL ||
        (count == 3 && args[2].type == VALUE_NULL))
        return null;
    len = (int64_t)text__length(args[0].text);
    if (start < 0 || start > len)
        return null;
    taken = count == 3 ? args[2].integer : len - start;
    if (taken < 0 || taken > len - start)
        return null;
    return cut(m, args[0].text, (size_t)start, (size_t)taken);
}

static struct value search(enum function function, struct str s, struct str part)
{
    bool known = s.ptr && part.ptr; /* nothing is found in null, nor null in anything */

    switch (function) {
    case FUNCTION_INDEXOF:
        return of_int(known ? text__index_of(s, part) : -1);
    case FUNCTION_STARTSWITH:
        return of_bool(known && str__starts_with(s, part));
    case FUNCTION_ENDSWITH:
        return of_bool(known && text__ends_with(s, part));
    default:
        return of_bool(known && text__index_of(s, part) >= 0);
    }
}

static struct value call(struct match *m, const struct node *n)
{
    struct value args[3] = {null, null, null};
    unsigned count = 0;

    for (uint32_t i = n->child; i != NODE_NONE; i = node(m, i)->next)
        args[count++] = eval(m, i);
    m->work += (args[0].text.len + args[1].text.len) / WORK_BYTES;
    switch (n->function) {
    case FUNCTION_LENGTH:
        return length(m, &args[0]);
    case FUNCTION_SUBSTRING:
        return substring(m, args, count);
    case FUNCTION_CONCAT:
        return concat(m, args[0].text, args[1].text);
    case FUNCTION_TOLOWER:
    case FUNCTION_TOUPPER:
        if (args[0].type == VALUE_NULL)
            return null;
        return change_case(m, args[0].text,
                           n->function == FUNCTION_TOLOWER ? unicode__lower_near
                                                           : unicode__upper_near);
    case FUNCTION_TRIM:
        return args[0].type == VALUE_NULL ? null : of_text(m, text__trim(args[0].text));
    default:
        return search(n->function, args[0].text, args[1].text);
    }
}

/* --- Expressions ------------------------------------------------------------- */

static struct value eval_node(struct match *m, const struct node *n)
{
    switch (n->kind) {
    case NODE_BOOL:
        return of_bool(n->value.boolean);
    case NODE_INT:
        return of_int(n->value.integer);
    case NODE_STRING:
        return of_text(m, str__n(m->f->literals + n->value.literal.at, n->value.literal.len));
    case NODE_USER_ID:
        return of_text(m, m->subject->user_id);
    case NODE_CONNECTION_ID:
        return of_text(m, m->subject->connection_id);
    case NODE_PROTOCOL:
        return of_text(m, m->subject->protocol);
    case NODE_GROUPS:
        return (struct value){.type = VALUE_COLLECTION};
    case NODE_NOT:
        return of_bool(!eval(m, n->child).boolean);
    case NODE_IN:
        return of_bool(is_in(m, n));
    case NODE_AND:
    case NODE_OR:
        return of_bool(chain(m, n));
    case NODE_CALL:
        return call(m, n);
    case NODE_NULL:
    case NODE_UNKNOWN:
        return null;
    default:
        return of_bool(compare(m, n));
    }
}

/* What is no text needs those that it was made of no more. */
static struct value eval(struct match *m, uint32_t at)
{
    size_t used = m->used;
    struct value v = eval_node(m, node(m, at));

    m->work++;
    if (v.type != VALUE_STRING)
        m->used = used;
    return v;
}

uint64_t filter__cost(const struct filter *f)
{
    return f->count + f->text_work;
}

bool filter__match(const struct filter *f, const struct filter_subject *subject, uint64_t *work)
{
    struct match m; /* not zeroed: the scratch is large */
    bool result;

    m.f = f;
    m.subject = subject;
    m.work = 0;
    m.used = 0;
    result = eval(&m, f->root).boolean;
    *work += m.work;
    return result;
}
