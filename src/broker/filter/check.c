/* The types of a filter. An expression has a set of types that it can have; a property
 * that may be absent is a string or null. What an operator does not take of that set is an
 * error, null first: hence `not length(userId) gt 5` is refused with "Type 'null', expect
 * 'bool'", for `not` binds tighter than `gt` and there may be no user id. */
#include "broker/filter/complaint.h"

#include <stdio.h>

enum {
    TYPE_NULL = 1,
    TYPE_BOOL = 2,
    TYPE_INT = 4,
    TYPE_STRING = 8,
    TYPE_COLLECTION = 16,
    TYPE_PRIMITIVE = TYPE_NULL | TYPE_BOOL | TYPE_INT | TYPE_STRING,
    TYPE_ANY = TYPE_PRIMITIVE | TYPE_COLLECTION
};

struct check {
    const struct filter *f;
    struct str text;
    struct diag *diag;
    enum ph_err err;
};

static unsigned types_of(struct check *c, uint32_t n);

static const char *type_name(unsigned types)
{
    static const char *const names[] = {"null", "bool", "int", "string", "collection"};
    unsigned i = 0;

    while (!(types & 1u << i))
        i++;
    return names[i];
}

/* 0 when the operand has a type that is not accepted, or an error inside. */
static unsigned expect(struct check *c, uint32_t operand, unsigned accepted, const char *wanted,
                       struct extent where)
{
    unsigned types = types_of(c, operand);
    char what[64];

    if ((types & ~accepted) == 0)
        return types;
    snprintf(what, sizeof(what), "Type '%s', expect '%s'", type_name(types & ~accepted), wanted);
    c->err = complaint__of(c->diag, c->text, where, what);
    return 0;
}

static const struct node *node(const struct check *c, uint32_t n)
{
    return &c->f->nodes[n];
}

/* Of a chain's operand: together with the one before it, or behind it. */
static struct extent pair_of(const struct check *c, uint32_t before, uint32_t operand)
{
    uint32_t from = before == NODE_NONE ? operand : before;
    uint32_t to = before == NODE_NONE ? node(c, operand)->next : operand;

    return (struct extent){node(c, from)->outer.at, node(c, to)->outer.end};
}

static unsigned check_chain(struct check *c, const struct node *chain)
{
    uint32_t before = NODE_NONE;

    for (uint32_t i = chain->child; i != NODE_NONE; before = i, i = node(c, i)->next) {
        if (!expect(c, i, TYPE_BOOL, "bool", pair_of(c, before, i)))
            return 0;
    }
    return TYPE_BOOL;
}

static unsigned check_operands(struct check *c, const struct node *n, unsigned accepted,
                               const char *wanted)
{
    for (uint32_t i = n->child; i != NODE_NONE; i = node(c, i)->next) {
        if (!expect(c, i, accepted, wanted, n->extent))
            return 0;
    }
    return TYPE_BOOL;
}

static bool is_groups(const struct check *c, uint32_t list)
{
    return node(c, list)->kind == NODE_GROUPS && node(c, list)->next == NODE_NONE;
}

/* `x in y` without parentheses wants `groups`; a list has them. */
static unsigned check_in(struct check *c, const struct node *n)
{
    uint32_t list = node(c, n->child)->next;
    bool bare = node(c, list)->next == NODE_NONE && n->extent.end == node(c, list)->outer.end;

    if (!expect(c, n->child, TYPE_PRIMITIVE, "string", n->extent))
        return 0;
    if (is_groups(c, list))
        return TYPE_BOOL;
    for (uint32_t i = list; i != NODE_NONE; i = node(c, i)->next) {
        if (!expect(c, i, bare ? TYPE_COLLECTION : TYPE_PRIMITIVE, bare ? "collection" : "string",
                    n->extent))
            return 0;
    }
    return TYPE_BOOL;
}

#define TEXT (TYPE_STRING | TYPE_NULL)
#define NUMBER (TYPE_INT | TYPE_NULL)

static const struct signature {
    unsigned least, most; /* arguments */
    unsigned accepted[3];
    unsigned result;
    bool null_of_null; /* the result is null when the first argument is */
} signatures[] = {
    [FUNCTION_LENGTH] = {1, 1, {TEXT | TYPE_COLLECTION}, TYPE_INT, true},
    [FUNCTION_TOLOWER] = {1, 1, {TEXT}, TYPE_STRING, true},
    [FUNCTION_TOUPPER] = {1, 1, {TEXT}, TYPE_STRING, true},
    [FUNCTION_TRIM] = {1, 1, {TEXT}, TYPE_STRING, true},
    [FUNCTION_SUBSTRING] = {2, 3, {TEXT, NUMBER, NUMBER}, TYPE_STRING | TYPE_NULL, true},
    [FUNCTION_INDEXOF] = {2, 2, {TEXT, TEXT}, TYPE_INT, false},
    [FUNCTION_STARTSWITH] = {2, 2, {TEXT, TEXT}, TYPE_BOOL, false},
    [FUNCTION_ENDSWITH] = {2, 2, {TEXT, TEXT}, TYPE_BOOL, false},
    [FUNCTION_CONTAINS] = {2, 2, {TEXT, TEXT}, TYPE_BOOL, false},
    [FUNCTION_CONCAT] = {2, 2, {TEXT, TEXT}, TYPE_STRING, false},
};

static bool check_count(struct check *c, const struct node *call, const struct signature *s)
{
    unsigned count = 0;
    char what[96], wanted[16];

    for (uint32_t i = call->child; i != NODE_NONE; i = node(c, i)->next)
        count++;
    if (count >= s->least && count <= s->most)
        return true;
    snprintf(wanted, sizeof(wanted), s->least < s->most ? "%u or %u" : "%u", s->least, s->most);
    snprintf(what, sizeof(what), "Function '%s' takes %s argument%s, got %u",
             node__function_name(call->function), wanted, s->most == 1 ? "" : "s", count);
    c->err = complaint__of(c->diag, c->text, call->extent, what);
    return false;
}

static unsigned check_call(struct check *c, const struct node *call)
{
    const struct signature *s = &signatures[call->function];
    unsigned result = s->result, k = 0;

    if (!check_count(c, call, s))
        return 0;
    for (uint32_t i = call->child; i != NODE_NONE; i = node(c, i)->next, k++) {
        bool number = (s->accepted[k] & TYPE_INT) != 0;
        unsigned types = expect(c, i, s->accepted[k], number ? "int" : "string", call->extent);

        if (!types)
            return 0;
        if (k == 0 && s->null_of_null)
            result |= types & TYPE_NULL;
    }
    return result;
}

static unsigned refuse(struct check *c, const struct node *n)
{
    c->err = complaint__token(c->diag, c->text, n->extent);
    return 0;
}

static unsigned types_of(struct check *c, uint32_t at)
{
    const struct node *n = node(c, at);

    switch (n->kind) {
    case NODE_NULL:
        return TYPE_NULL;
    case NODE_BOOL:
        return TYPE_BOOL;
    case NODE_INT:
        return TYPE_INT;
    case NODE_STRING:
    case NODE_CONNECTION_ID:
        return TYPE_STRING;
    case NODE_USER_ID:
    case NODE_PROTOCOL:
        return TYPE_STRING | TYPE_NULL;
    case NODE_GROUPS:
        return TYPE_COLLECTION;
    case NODE_NOT:
        return check_operands(c, n, TYPE_BOOL, "bool");
    case NODE_EQ:
    case NODE_NE:
        return check_operands(c, n, TYPE_ANY, "");
    case NODE_GT:
    case NODE_GE:
    case NODE_LT:
    case NODE_LE:
        return check_operands(c, n, TYPE_INT | TYPE_NULL, "int");
    case NODE_IN:
        return check_in(c, n);
    case NODE_AND:
    case NODE_OR:
        return check_chain(c, n);
    case NODE_CALL:
        return check_call(c, n);
    case NODE_UNKNOWN:
        break;
    }
    return refuse(c, n);
}

enum ph_err filter__check(const struct filter *f, struct str text, struct diag *diag)
{
    struct check c = {.f = f, .text = text, .diag = diag};

    expect(&c, f->root, TYPE_BOOL, "bool", f->nodes[f->root].extent);
    return c.err;
}
