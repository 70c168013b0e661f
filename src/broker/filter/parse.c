/* Recursive descent, one function for each level of precedence, the loosest first. */
#include "broker/filter/parse.h"

#include "broker/filter/complaint.h"
#include "broker/filter/token.h"

struct parser {
    struct filter *f;
    struct str text;
    struct token now;
    uint32_t behind; /* end of the token before that */
    unsigned depth, clauses, texts;
    enum ph_err err;
    struct diag *diag;
};

static uint32_t parse_or(struct parser *p);
static uint32_t parse_unary(struct parser *p);

static uint32_t fail(struct parser *p, enum ph_err err)
{
    p->err = err;
    return NODE_NONE;
}

static uint32_t fail_here(struct parser *p, const char *what)
{
    return fail(p, complaint__at(p->diag, p->text, p->now.extent.at, what));
}

static bool advance(struct parser *p)
{
    p->behind = p->now.extent.end;
    p->err = token__next(p->text, p->behind, &p->now, p->diag);
    return p->err == PH_OK;
}

static struct str now_text(const struct parser *p)
{
    return str__n(p->text.ptr + p->now.extent.at, p->now.extent.end - p->now.extent.at);
}

static bool is_word(const struct parser *p, struct str word)
{
    return p->now.kind == TOKEN_WORD && str__eq(now_text(p), word);
}

static uint32_t add(struct parser *p, enum node_kind kind, struct extent extent)
{
    uint32_t n = p->f->count < FILTER_MAX_NODES ? node__add(p->f, kind, extent) : NODE_NONE;

    if (n != NODE_NONE)
        return n;
    if (p->f->count < FILTER_MAX_NODES)
        return fail(p, diag__set(p->diag, PH_ERR_MEMORY, "out of memory"));
    return fail(p, complaint__limit(p->diag, p->text, extent.at,
                                    "The filter has too many operators, names and literals"));
}

/* A node of the tokens from `at` to the one before the current. */
static uint32_t add_parent(struct parser *p, enum node_kind kind, uint32_t at, uint32_t child)
{
    uint32_t n = add(p, kind, (struct extent){at, p->behind});

    if (n != NODE_NONE)
        p->f->nodes[n].child = child;
    return n;
}

static bool enter(struct parser *p)
{
    if (++p->depth <= FILTER_MAX_DEPTH)
        return true;
    p->err =
        complaint__limit(p->diag, p->text, p->now.extent.at, "Recursion depth exceeded limit 100");
    return false;
}

static bool count_clause(struct parser *p)
{
    if (++p->clauses <= FILTER_MAX_CLAUSES)
        return true;
    p->err = complaint__limit(p->diag, p->text, p->now.extent.at,
                              "The filter has more than 100 clauses");
    return false;
}

#define LONG_NAME 4096 /* bytes: 1024 characters */

/* What a function of texts costs for a long name is known before any connection is looked at,
 * and it stays within what may be done in one go. */
static bool count_text(struct parser *p, enum function function)
{
    bool changes = function == FUNCTION_TOLOWER || function == FUNCTION_TOUPPER;

    p->f->text_work += LONG_NAME / (changes ? WORK_CHANGED_BYTES : WORK_BYTES);
    if (!(changes || function == FUNCTION_CONCAT) || ++p->texts <= FILTER_MAX_TEXTS)
        return true;
    p->err = complaint__limit(p->diag, p->text, p->now.extent.at,
                              "The filter has more than 200 calls of tolower, toupper and concat");
    return false;
}

/* --- Literals -------------------------------------------------------------- */

/* Doubled quotes become single ones. */
static uint32_t parse_string(struct parser *p)
{
    struct filter *f = p->f;
    uint32_t n = add(p, NODE_STRING, p->now.extent);
    uint32_t start = f->literal_len;

    if (n == NODE_NONE)
        return n;
    for (uint32_t i = p->now.extent.at + 1; i < p->now.extent.end - 1; i++) {
        f->literals[f->literal_len++] = p->text.ptr[i];
        if (p->text.ptr[i] == '\'')
            i++;
    }
    f->nodes[n].value.literal.at = start;
    f->nodes[n].value.literal.len = f->literal_len - start;
    return advance(p) ? n : NODE_NONE;
}

static uint32_t parse_integer(struct parser *p)
{
    struct str digits = now_text(p);
    bool negative = *digits.ptr == '-';
    uint64_t limit = (uint64_t)INT64_MAX + (negative ? 1 : 0), value;
    uint32_t n = add(p, NODE_INT, p->now.extent);

    if (n == NODE_NONE)
        return n;
    if (*digits.ptr == '-' || *digits.ptr == '+')
        digits = str__n(digits.ptr + 1, digits.len - 1);
    if (!str__to_u64(digits, &value) || value > limit)
        return fail_here(p, "An integer that does not fit into 64 bits");
    p->f->nodes[n].value.integer = (int64_t)(negative ? -value : value);
    return advance(p) ? n : NODE_NONE;
}

/* --- Names ----------------------------------------------------------------- */

static enum node_kind kind_of_name(struct str name, bool *value)
{
    static const struct {
        struct str name;
        enum node_kind kind;
        bool value;
    } constants[] = {{{"true", 4}, NODE_BOOL, true},
                     {{"false", 5}, NODE_BOOL, false},
                     {{"null", 4}, NODE_NULL, false}},
      properties[] = {{{"userId", 6}, NODE_USER_ID, false},
                      {{"connectionId", 12}, NODE_CONNECTION_ID, false},
                      {{"groups", 6}, NODE_GROUPS, false},
                      {{"protocol", 8}, NODE_PROTOCOL, false}};

    for (size_t i = 0; i < sizeof(constants) / sizeof(*constants); i++) {
        *value = constants[i].value;
        if (str__eq(name, constants[i].name))
            return constants[i].kind;
    }
    for (size_t i = 0; i < sizeof(properties) / sizeof(*properties); i++) {
        if (str__eq_nocase(name, properties[i].name))
            return properties[i].kind;
    }
    return NODE_UNKNOWN;
}

static uint32_t parse_name(struct parser *p)
{
    bool value = false;
    enum node_kind kind = kind_of_name(now_text(p), &value);
    uint32_t n = add(p, kind, p->now.extent);

    if (n == NODE_NONE)
        return n;
    if (kind == NODE_BOOL)
        p->f->nodes[n].value.boolean = value;
    return advance(p) ? n : NODE_NONE;
}

/* What it would be about is not known, so its arguments are not looked at. */
static uint32_t parse_unknown_call(struct parser *p, uint32_t at)
{
    uint32_t end = token__skip_parenthesis(p->text, p->now.extent.at);
    uint32_t n;

    if (end == 0) {
        p->now.extent.at = (uint32_t)p->text.len;
        return fail_here(p, "')' or ',' expected");
    }
    n = add(p, NODE_UNKNOWN, (struct extent){at, end});
    p->now.extent.end = end;
    return n != NODE_NONE && advance(p) ? n : NODE_NONE;
}

/* Expressions between commas up to the closing parenthesis; the current token opens it.
 * Returns the first of them. */
static uint32_t parse_list(struct parser *p, uint32_t (*parse_item)(struct parser *p))
{
    uint32_t first = NODE_NONE, last = NODE_NONE;

    if (!enter(p))
        return NODE_NONE;
    do {
        uint32_t n = advance(p) ? parse_item(p) : NODE_NONE;

        if (n == NODE_NONE)
            return NODE_NONE;
        if (first == NODE_NONE)
            first = n;
        else
            p->f->nodes[last].next = n;
        last = n;
    } while (p->now.kind == TOKEN_COMMA);
    if (p->now.kind != TOKEN_CLOSE)
        return fail_here(p, "')' or ',' expected");
    p->depth--;
    return advance(p) ? first : NODE_NONE;
}

static uint32_t parse_call(struct parser *p, enum function function, uint32_t at)
{
    struct token open = p->now, next;
    uint32_t first = NODE_NONE, n;

    if (token__next(p->text, open.extent.end, &next, NULL) == PH_OK && next.kind == TOKEN_CLOSE) {
        if (!advance(p) || !advance(p)) /* no arguments: for the check of types to refuse */
            return NODE_NONE;
    } else {
        first = parse_list(p, parse_or);
        if (first == NODE_NONE)
            return NODE_NONE;
    }
    n = add_parent(p, NODE_CALL, at, first);
    if (n == NODE_NONE || !count_text(p, function))
        return NODE_NONE;
    p->f->nodes[n].function = function;
    if (function >= FUNCTION_STARTSWITH && function <= FUNCTION_CONTAINS && !count_clause(p))
        return NODE_NONE;
    return n;
}

static uint32_t parse_word(struct parser *p)
{
    uint32_t at = p->now.extent.at;
    enum function function = node__function(now_text(p));
    struct token next;

    if (token__next(p->text, p->now.extent.end, &next, NULL) != PH_OK || next.kind != TOKEN_OPEN)
        return parse_name(p);
    if (!advance(p))
        return NODE_NONE;
    return function == FUNCTION_NONE ? parse_unknown_call(p, at) : parse_call(p, function, at);
}

/* --- Operators, the tightest first ------------------------------------------- */

static uint32_t parse_parenthesis(struct parser *p)
{
    uint32_t at = p->now.extent.at, n;

    if (!enter(p) || !advance(p))
        return NODE_NONE;
    n = parse_or(p);
    if (n == NODE_NONE)
        return n;
    if (p->now.kind != TOKEN_CLOSE)
        return fail_here(p, "')' or operator expected");
    p->f->nodes[n].outer = (struct extent){at, p->now.extent.end};
    p->depth--;
    return advance(p) ? n : NODE_NONE;
}

static uint32_t parse_foreign(struct parser *p)
{
    uint32_t n = add(p, NODE_UNKNOWN, p->now.extent);

    return n != NODE_NONE && advance(p) ? n : NODE_NONE;
}

static uint32_t parse_primary(struct parser *p)
{
    switch (p->now.kind) {
    case TOKEN_STRING:
        return parse_string(p);
    case TOKEN_INTEGER:
        return parse_integer(p);
    case TOKEN_FOREIGN:
        return parse_foreign(p);
    case TOKEN_WORD:
        return parse_word(p);
    case TOKEN_OPEN:
        return parse_parenthesis(p);
    case TOKEN_CLOSE:
    case TOKEN_COMMA:
    case TOKEN_END:
        break;
    }
    return fail_here(p, "Expression expected");
}

static uint32_t parse_unary(struct parser *p)
{
    uint32_t at = p->now.extent.at, child, n;

    if (!is_word(p, STR("not")))
        return parse_primary(p);
    if (!enter(p) || !advance(p))
        return NODE_NONE;
    child = parse_unary(p);
    if (child == NODE_NONE)
        return NODE_NONE;
    n = add_parent(p, NODE_NOT, at, child);
    p->depth--;
    return n;
}

static enum node_kind comparison_of(const struct parser *p)
{
    static const struct {
        struct str name;
        enum node_kind kind;
    } operators[] = {{{"eq", 2}, NODE_EQ}, {{"ne", 2}, NODE_NE}, {{"gt", 2}, NODE_GT},
                     {{"ge", 2}, NODE_GE}, {{"lt", 2}, NODE_LT}, {{"le", 2}, NODE_LE},
                     {{"in", 2}, NODE_IN}};

    for (size_t i = 0; i < sizeof(operators) / sizeof(*operators); i++) {
        if (is_word(p, operators[i].name))
            return operators[i].kind;
    }
    return NODE_UNKNOWN;
}

static uint32_t parse_right_side(struct parser *p, enum node_kind kind)
{
    if (kind == NODE_IN && p->now.kind == TOKEN_OPEN)
        return parse_list(p, parse_primary);
    return parse_unary(p);
}

static uint32_t parse_comparison(struct parser *p)
{
    uint32_t at = p->now.extent.at;
    uint32_t left = parse_unary(p);
    enum node_kind kind;

    while (left != NODE_NONE && (kind = comparison_of(p)) != NODE_UNKNOWN) {
        uint32_t right;

        if (!count_clause(p) || !advance(p))
            return NODE_NONE;
        right = parse_right_side(p, kind);
        if (right == NODE_NONE)
            return NODE_NONE;
        p->f->nodes[left].next = right;
        left = add_parent(p, kind, at, left);
    }
    return left;
}

/* A chain of operands becomes one node, so that a long one is no deep one. */
static uint32_t parse_chain(struct parser *p, struct str word, enum node_kind kind,
                            uint32_t (*parse_operand)(struct parser *p))
{
    uint32_t at = p->now.extent.at;
    uint32_t first = parse_operand(p);
    uint32_t last = first;

    while (last != NODE_NONE && is_word(p, word)) {
        uint32_t n = advance(p) ? parse_operand(p) : NODE_NONE;

        if (n != NODE_NONE)
            p->f->nodes[last].next = n;
        last = n;
    }
    if (last == NODE_NONE || last == first)
        return last;
    return add_parent(p, kind, at, first);
}

static uint32_t parse_and(struct parser *p)
{
    return parse_chain(p, STR("and"), NODE_AND, parse_comparison);
}

static uint32_t parse_or(struct parser *p)
{
    return parse_chain(p, STR("or"), NODE_OR, parse_and);
}

enum ph_err parse__filter(struct filter *f, struct str text, struct diag *diag)
{
    struct parser p = {.f = f, .text = text, .diag = diag};

    p.err = token__next(text, 0, &p.now, diag);
    if (p.err == PH_OK)
        f->root = parse_or(&p);
    /* The service names the place behind the word that is one too many. */
    if (p.err == PH_OK && p.now.kind != TOKEN_END)
        return complaint__at(diag, text, p.now.extent.end, "Syntax error");
    return p.err;
}
