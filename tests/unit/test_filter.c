/* Filters: expressions with their results for three connections, and those that are
 * refused, with the words of the refusal (client-and-rest section 5.4, official-emulator
 * section 2.9). */
#include "base/unicode.h"
#include "base/utf8.h"
#include "broker/filter/filter.h"
#include "unit.h"

#include <stdio.h>

struct person {
    const char *connection_id, *user_id, *protocol;
    const char *groups[4];
};

/* A user, an anonymous simple client, and one whose names take more than ASCII. */
static const struct person people[] = {
    {"conn-1", "user-ab-de", "json.webpubsub.azure.v1", {"group1", "group2", "user-ab-de"}},
    {"conn-2", NULL, NULL, {NULL}},
    {"conn-3", " \xc3\x9cn\xc3\xaf\xf0\x9f\x98\x80x\xe3\x80\x80", "custom", {"\xf0\x9f\x98\x80"}},
};
#define PEOPLE (sizeof(people) / sizeof(*people))

static size_t count_groups(const struct person *p)
{
    size_t count = 0;

    while (count < 4 && p->groups[count])
        count++;
    return count;
}

static bool in_group(const void *ctx, struct str group)
{
    const struct person *p = ctx;

    assert_non_null(group.ptr); /* only strings are looked for */
    for (size_t i = 0; i < count_groups(p); i++) {
        if (str__eq(str__of(p->groups[i]), group))
            return true;
    }
    return false;
}

static bool ask(const struct filter *f, const struct person *p)
{
    struct filter_subject subject = {str__of(p->connection_id),
                                     str__of(p->user_id),
                                     str__of(p->protocol),
                                     count_groups(p),
                                     in_group,
                                     p};
    uint64_t work = 0;
    bool result = filter__match(f, &subject, &work);

    assert_true(work > 0);
    return result;
}

static struct filter *compiled(struct str text)
{
    struct diag diag = {""};
    struct filter *f;

    if (filter__compile(text, &f, &diag) != PH_OK)
        fail_msg("%.*s: %s", STR_FMT(text), diag.text);
    return f;
}

static void results(void **state)
{
    /* "yn-": true for the user, false for the anonymous one; the third is not asked. */
    static const struct {
        const char *text, *want;
    } rows[] = {
        /* literals */
        {"true", "yyy"},
        {"false", "nnn"},
        {"(true)", "yyy"},
        {"((((false))))", "nnn"},
        {" \t\r\n true \xe3\x80\x80", "yyy"},
        {"true\xe3\x80\x80"
         "and\xe3\x80\x80"
         "true",
         "yyy"},
        /* eq and ne: any two values */
        {"userId eq 'user-ab-de'", "ynn"},
        {"userId eq 'USER-AB-DE'", "nnn"},
        {"userId ne 'user-ab-de'", "nyy"},
        {"userId eq null", "nyn"},
        {"null eq userId", "nyn"},
        {"userId ne null", "yny"},
        {"USERID eq 'user-ab-de'", "ynn"},
        {"userid eq 'user-ab-de'", "ynn"},
        {"connectionId eq 'conn-1'", "ynn"},
        {"CONNECTIONID ne 'conn-1'", "nyy"},
        {"connectionId eq null", "nnn"},
        {"protocol eq 'json.webpubsub.azure.v1'", "ynn"},
        {"PROTOCOL eq null", "nyn"},
        {"protocol eq 'custom'", "nny"},
        {"'a' eq 'a'", "yyy"},
        {"'a' eq 'A'", "nnn"},
        {"'a' eq 1", "nnn"},
        {"'1' eq 1", "nnn"},
        {"1 eq 1", "yyy"},
        {"1 ne 1", "nnn"},
        {"true eq true", "yyy"},
        {"true eq false", "nnn"},
        {"true ne 1", "yyy"},
        {"null eq null", "yyy"},
        {"null ne null", "nnn"},
        {"null eq false", "nnn"},
        {"'' eq null", "nnn"},
        {"groups eq groups", "yyy"},
        {"groups eq null", "nnn"},
        {"groups ne 'group1'", "yyy"},
        /* the same level, from the left */
        {"1 eq 1 eq true", "yyy"},
        {"1 eq 2 eq false", "yyy"},
        {"1 eq 2 ne true", "yyy"},
        {"'group1' in groups eq true", "ynn"},
        {"1 gt 2 eq false", "yyy"},
        /* strings */
        {"userId eq 'vic''s'", "nnn"},
        {"'it''s' eq 'it''s'", "yyy"},
        {"length('''') eq 1", "yyy"},
        {"length('''''') eq 2", "yyy"},
        {"length('') eq 0", "yyy"},
        {"'and' eq 'and'", "yyy"},
        {"'(' eq ')'", "nnn"},
        {"'not true' ne 'true'", "yyy"},
        /* integers */
        {"+5 eq 5", "yyy"},
        {"-5 lt 5", "yyy"},
        {"-0 eq 0", "yyy"},
        {"007 eq 7", "yyy"},
        {"9223372036854775807 gt 0", "yyy"},
        {"-9223372036854775808 lt -9223372036854775807", "yyy"},
        {"1 gt 0", "yyy"},
        {"1 gt 1", "nnn"},
        {"1 ge 1", "yyy"},
        {"0 ge 1", "nnn"},
        {"1 lt 1", "nnn"},
        {"0 lt 1", "yyy"},
        {"1 le 1", "yyy"},
        {"2 le 1", "nnn"},
        /* anything ordered with null is false */
        {"1 gt null", "nnn"},
        {"null lt 1", "nnn"},
        {"null ge null", "nnn"},
        {"null le null", "nnn"},
        {"length(userId) gt 5", "yny"},
        {"length(userId) le 5", "nnn"},
        {"length(userId) gt 5 or length(userId) le 5", "yny"},
        /* and, or, not: not binds tightest, then comparisons, and, or */
        {"true and true", "yyy"},
        {"true and false", "nnn"},
        {"false or true", "yyy"},
        {"false or false", "nnn"},
        {"true or true and false", "yyy"},
        {"(true or true) and false", "nnn"},
        {"false and true or true", "yyy"},
        {"false and (true or true)", "nnn"},
        {"true and true and true and false", "nnn"},
        {"false or false or false or true", "yyy"},
        {"not true", "nnn"},
        {"not false", "yyy"},
        {"not not true", "yyy"},
        {"not(false)", "yyy"},
        {"not (length(userId) gt 5)", "nyn"},
        {"not false and false", "nnn"},
        {"not false eq true", "yyy"},
        {"not (false eq true)", "yyy"},
        {"not true or true", "yyy"},
        {"true and not false", "yyy"},
        {"true eq not false", "yyy"},
        {"1 eq 1 and 2 eq 2", "yyy"},
        {"userId eq 'user-ab-de' or connectionId eq 'conn-2' and true", "yyn"},
        {"length(userId) gt 0 and length(userId) lt 3 or length(userId) gt 7", "yny"},
        {"userId eq 'user-ab-de' and (not ('group3' in groups))", "ynn"},
        {"userId eq 'user-ab-de' and connectionId ne '123'", "ynn"},
        /* in */
        {"'group1' in groups", "ynn"},
        {"'group3' in groups", "nnn"},
        {"'GROUP1' in groups", "nnn"},
        {"'group1' in GROUPS", "ynn"},
        {"'group1' in (groups)", "ynn"},
        {"'group1' in ((groups))", "ynn"},
        {"'group1' in groups or 'group2' in groups", "ynn"},
        {"userId in groups", "ynn"},
        {"null in groups", "nnn"},
        {"1 in groups", "nnn"},
        {"tolower('GROUP1') in groups", "ynn"},
        {"'\xf0\x9f\x98\x80' in groups", "nny"},
        {"userId in ('u1','user-ab-de')", "ynn"},
        {"userId in ( 'u1' , 'u2' )", "nnn"},
        {"userId in ('user-ab-de')", "ynn"},
        {"userId in (('user-ab-de'), 'x')", "ynn"},
        {"userId in (null)", "nyn"},
        {"userId in ('Doe, John', 'O''Brien, Jane')", "nnn"},
        {"1 in (1, 2, 3)", "yyy"},
        {"4 in (1, 2, 3)", "nnn"},
        {"1 in ('1', true, null)", "nnn"},
        {"true in (false, true)", "yyy"},
        {"length(userId) in (10, 8)", "yny"},
        {"connectionId in (userId, concat('conn', '-2'))", "nyn"},
        {"not (userId in ('user-ab-de'))", "nyy"},
        {"userId in ('user-ab-de') and 'group1' in groups", "ynn"},
        /* length */
        {"length(groups) eq 3", "ynn"},
        {"length(GROUPS) gt 1", "ynn"},
        {"length((groups)) eq 0", "nyn"},
        {"length(userId) eq 10", "ynn"},
        {"length(userId) eq null", "nyn"},
        {"length(null) eq null", "yyy"},
        {"length('abc') eq 3", "yyy"},
        {"length ( 'abc' ) eq 3", "yyy"},
        /* lengths and places are those of UTF-16 */
        {"length('\xc3\x9c') eq 1", "yyy"},
        {"length('\xe2\x82\xac') eq 1", "yyy"},
        {"length('\xf0\x9f\x98\x80') eq 2", "yyy"},
        {"length(userId) eq 8", "nny"},
        {"indexof(userId, 'x') eq 6", "nny"},
        {"substring(userId, 6, 1) eq 'x'", "nny"},
        {"substring('\xf0\x9f\x98\x80', 0, 2) eq '\xf0\x9f\x98\x80'", "yyy"},
        {"substring('a\xf0\x9f\x98\x80z', 0, 2) eq 'a\xef\xbf\xbd'", "yyy"},
        {"substring('a\xf0\x9f\x98\x80z', 2) eq '\xef\xbf\xbdz'", "yyy"},
        {"length(substring('a\xf0\x9f\x98\x80z', 2)) eq 2", "yyy"},
        {"substring('\xf0\x9f\x98\x80\xf0\x9f\x98\x80', 1, 2) eq '\xef\xbf\xbd\xef\xbf\xbd'",
         "yyy"},
        {"substring('\xf0\x9f\x98\x80\xf0\x9f\x98\x80', 2, 0) eq ''", "yyy"},
        {"substring('\xf0\x9f\x98\x80', 1, 0) eq ''", "yyy"},
        /* case */
        {"tolower(userId) eq 'user-ab-de'", "ynn"},
        {"toupper(userId) eq 'USER-AB-DE'", "ynn"},
        {"tolower(userId) eq null", "nyn"},
        {"toupper(null) eq null", "yyy"},
        {"tolower('\xc3\x9c') eq '\xc3\xbc'", "yyy"},
        {"toupper('\xc3\xbc\xc3\xbf') eq '\xc3\x9c\xc5\xb8'", "yyy"},
        {"toupper('stra\xc3\x9f"
         "e') eq 'STRA\xc3\x9f"
         "E'",
         "yyy"},
        {"tolower('\xce\xa9\xd0\x94') eq '\xcf\x89\xd0\xb4'", "yyy"},
        {"toupper('\xc4\xb1') eq '\xc4\xb1'", "yyy"},
        {"tolower(concat(toupper('ab'), 'CD')) eq 'abcd'", "yyy"},
        {"tolower('') eq ''", "yyy"},
        /* trim */
        {"trim('  a b  ') eq 'a b'", "yyy"},
        {"trim(userId) eq '\xc3\x9cn\xc3\xaf\xf0\x9f\x98\x80x'", "nny"},
        {"trim('\xc2\xa0\t') eq ''", "yyy"},
        {"trim(null) eq null", "yyy"},
        {"length(trim(userId)) eq 6", "nny"},
        /* substring: what is out of range is null */
        {"substring(userId, 5) eq 'ab-de'", "ynn"},
        {"substring(userId, 5, 2) eq 'ab'", "ynn"},
        {"substring('abc', 0) eq 'abc'", "yyy"},
        {"substring('abc', 3) eq ''", "yyy"},
        {"substring('abc', 4) eq null", "yyy"},
        {"substring('abc', -1) eq null", "yyy"},
        {"substring('abc', 1, 2) eq 'bc'", "yyy"},
        {"substring('abc', 1, 3) eq null", "yyy"},
        {"substring('abc', 1, -1) eq null", "yyy"},
        {"substring('abc', 3, 0) eq ''", "yyy"},
        {"substring('abc', 9223372036854775807, 9223372036854775807) eq null", "yyy"},
        {"substring(null, 0) eq null", "yyy"},
        {"substring('abc', null) eq null", "yyy"},
        {"substring('abc', 0, null) eq null", "yyy"},
        {"substring(userId, indexof(userId, '-') , 3) eq '-ab'", "ynn"},
        {"substring(connectionId, 1) eq 'onn-1'", "ynn"},
        /* indexof */
        {"indexof(userId, '-ab-') eq 4", "ynn"},
        {"indexOf(userId, 'zzz') eq -1", "yyy"},
        {"indexof(userId, 'zzz') eq -1", "yyy"},
        {"indexof(null, 'a') eq -1", "yyy"},
        {"indexof('a', null) eq -1", "yyy"},
        {"indexof('abc', '') eq 0", "yyy"},
        {"indexof('\xf0\x9f\x98\x80x', 'x') eq 2", "yyy"},
        {"indexof('ab', 'abc') lt 0", "yyy"},
        /* startswith, endswith, contains: null is no part of anything */
        {"startswith(userId, 'user')", "ynn"},
        {"startswith(userId, 'ser')", "nnn"},
        {"startswith('abc', '')", "yyy"},
        {"startswith('ab', 'abc')", "nnn"},
        {"startswith(null, null)", "nnn"},
        {"endswith(userId, 'de')", "ynn"},
        {"endswith('abc', 'abc')", "yyy"},
        {"endswith('bc', 'abc')", "nnn"},
        {"endswith(userId, null)", "nnn"},
        {"not endswith(userId, 'milk')", "yyy"},
        {"contains(userId, 'ab')", "ynn"},
        {"contains('abc', '')", "yyy"},
        {"contains('abc', 'd')", "nnn"},
        {"contains(null, 'a')", "nnn"},
        {"contains(substring('abc', 9), '')", "nnn"},
        {"contains(protocol, 'json') eq true", "ynn"},
        /* concat: null adds nothing */
        {"concat(userId, '!') eq 'user-ab-de!'", "ynn"},
        {"concat(userId, '!') eq '!'", "nyn"},
        {"concat(null, null) eq ''", "yyy"},
        {"concat('a', null) eq 'a'", "yyy"},
        {"concat(concat('a', 'b'), concat('c', 'd')) eq 'abcd'", "yyy"},
        {"concat(connectionId, userId) eq concat('conn-1', 'user-ab-de')", "ynn"},
    };

    (void)state;
    assert_true(sizeof(rows) / sizeof(*rows) >= 150);
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct filter *f = compiled(str__of(rows[i].text));

        for (size_t k = 0; k < PEOPLE; k++) {
            if (ask(f, &people[k]) != (rows[i].want[k] == 'y'))
                fail_msg("%s is %s for %s", rows[i].text, rows[i].want[k] == 'y' ? "false" : "true",
                         people[k].connection_id);
        }
        filter__unref(f);
    }
}

#define AT(what, position, text) what " at position " #position " in '" text "'"

static void refusals(void **state)
{
    /* `of` is the part that is quoted, NULL for all of the text. */
    static const struct {
        const char *text, *of, *why;
    } rows[] = {
        /* what the service says, word for word, as recorded by its SDK's tests and in its
         * documentation */
        {"invalid filter", NULL, AT("Syntax error", 14, "invalid filter")},
        {"not length(userId) gt 5", "not length(userId)", "Type 'null', expect 'bool'"},
        {"( not 'a' )", "not 'a'", "Type 'string', expect 'bool'"},
        {"userId lt 1", NULL, "Type 'string', expect 'int'"},
        {"invalid(ab,c)", NULL, "Token 'invalid(ab,c)' is not supported"},
        {"ab eq 1", NULL, "Token 'ab' is not supported"},
        /* nothing, too little */
        {" ", NULL, AT("Expression expected", 1, " ")},
        {"()", NULL, AT("Expression expected", 1, "()")},
        {"userId eq", NULL, AT("Expression expected", 9, "userId eq")},
        {"userId eq ", NULL, AT("Expression expected", 10, "userId eq ")},
        {"true and", NULL, AT("Expression expected", 8, "true and")},
        {"not", NULL, AT("Expression expected", 3, "not")},
        {"true or )", NULL, AT("Expression expected", 8, "true or )")},
        {"userId in ()", NULL, AT("Expression expected", 11, "userId in ()")},
        {"userId in ('a',)", NULL, AT("Expression expected", 15, "userId in ('a',)")},
        {"length(,)", NULL, AT("Expression expected", 7, "length(,)")},
        {", true", NULL, AT("Expression expected", 0, ", true")},
        /* too much */
        {"true true", NULL, AT("Syntax error", 9, "true true")},
        {"true)", NULL, AT("Syntax error", 5, "true)")},
        {"true, true", NULL, AT("Syntax error", 5, "true, true")},
        {"userId eq 'a' AND true", NULL, AT("Syntax error", 17, "userId eq 'a' AND true")},
        {"userId EQ 'a'", NULL, AT("Syntax error", 9, "userId EQ 'a'")},
        {"userId == 'a'", NULL, AT("Syntax error: character '=' is not valid", 7, "userId == 'a'")},
        {"userId eq 'a' an true", NULL, AT("Syntax error", 16, "userId eq 'a' an true")},
        {"and true", NULL, AT("Syntax error", 8, "and true")},
        {"'a''b'c' eq 1", NULL, AT("Syntax error", 7, "'a''b'c' eq 1")},
        /* parentheses */
        {"(true", NULL, AT("')' or operator expected", 5, "(true")},
        {"(true and (false)", NULL, AT("')' or operator expected", 17, "(true and (false)")},
        {"(true, false)", NULL, AT("')' or operator expected", 5, "(true, false)")},
        {"length(userId", NULL, AT("')' or ',' expected", 13, "length(userId")},
        {"userId in ('a' 'b')", NULL, AT("')' or ',' expected", 15, "userId in ('a' 'b')")},
        {"userId in ('a'", NULL, AT("')' or ',' expected", 14, "userId in ('a'")},
        {"1 in (1 eq 1)", NULL, AT("')' or ',' expected", 8, "1 in (1 eq 1)")},
        {"foo('a'", NULL, AT("')' or ',' expected", 7, "foo('a'")},
        {"foo('a", NULL, AT("')' or ',' expected", 6, "foo('a")},
        /* characters and literals */
        {"userId eq 'a", NULL, AT("There is an unterminated string literal", 10, "userId eq 'a")},
        {"userId eq 'a''", NULL,
         AT("There is an unterminated string literal", 10, "userId eq 'a''")},
        {"userId eq \"a\"", NULL,
         AT("Syntax error: character '\"' is not valid", 10, "userId eq \"a\"")},
        {"userId = 'a'", NULL, AT("Syntax error: character '=' is not valid", 7, "userId = 'a'")},
        {"$filter eq 1", NULL, AT("Syntax error: character '$' is not valid", 0, "$filter eq 1")},
        {"'\xf0\x9f\x98\x80' eq ;", NULL,
         AT("Syntax error: character ';' is not valid", 8, "'\xf0\x9f\x98\x80' eq ;")},
        {"1 eq -", NULL, AT("A digit was expected", 6, "1 eq -")},
        {"1 eq - 1", NULL, AT("A digit was expected", 6, "1 eq - 1")},
        {"1 eq 9223372036854775808", NULL,
         AT("An integer that does not fit into 64 bits", 5, "1 eq 9223372036854775808")},
        {"1 eq -9223372036854775809", NULL,
         AT("An integer that does not fit into 64 bits", 5, "1 eq -9223372036854775809")},
        {"1 eq 1.5", NULL, "Token '1.5' is not supported"},
        {"1 eq 12a", NULL, "Token '12a' is not supported"},
        {"1 eq 2024-01-01", NULL, "Token '2024-01-01' is not supported"},
        /* names */
        {"user eq 'a'", NULL, "Token 'user' is not supported"},
        {"True", NULL, "Token 'True' is not supported"},
        {"userId eq NULL", NULL, "Token 'NULL' is not supported"},
        {"TOLOWER(userId) eq 'a'", NULL, "Token 'TOLOWER(userId)' is not supported"},
        {"Length(groups) eq 1", NULL, "Token 'Length(groups)' is not supported"},
        {"groups/any(g: g eq 'a')", NULL, "Token 'groups/any(g: g eq 'a')' is not supported"},
        {"groups/all(g: startswith(g, ')'))", NULL,
         "Token 'groups/all(g: startswith(g, ')'))' is not supported"},
        {"any(groups)", NULL, "Token 'any(groups)' is not supported"},
        {"true and foo", NULL, "Token 'foo' is not supported"},
        {"\xc3\x9c eq 1", NULL, "Token '\xc3\x9c' is not supported"},
        /* types of operands: what may be null is null first */
        {"userId", NULL, "Type 'null', expect 'bool'"},
        {"'a'", NULL, "Type 'string', expect 'bool'"},
        {"1", NULL, "Type 'int', expect 'bool'"},
        {"null", NULL, "Type 'null', expect 'bool'"},
        {"groups", NULL, "Type 'collection', expect 'bool'"},
        {"length(groups)", NULL, "Type 'int', expect 'bool'"},
        {"length(userId)", NULL, "Type 'null', expect 'bool'"},
        {"indexof(userId, 'a')", NULL, "Type 'int', expect 'bool'"}, /* -1 for null */
        {"concat(userId, 'a')", NULL, "Type 'string', expect 'bool'"},
        {"trim(userId)", NULL, "Type 'null', expect 'bool'"},
        {"tolower(userId)", NULL, "Type 'null', expect 'bool'"},
        {"toupper(protocol)", NULL, "Type 'null', expect 'bool'"},
        {"startswith(userId, 'a') eq 1 and userId", "startswith(userId, 'a') eq 1 and userId",
         "Type 'null', expect 'bool'"},
        {"substring(connectionId, 1)", NULL, "Type 'null', expect 'bool'"},
        {"(tolower(connectionId))", "tolower(connectionId)", "Type 'string', expect 'bool'"},
        {"not userId", NULL, "Type 'null', expect 'bool'"},
        {"not 'g' in groups", "not 'g'", "Type 'string', expect 'bool'"},
        {"not groups", NULL, "Type 'collection', expect 'bool'"},
        {"true and 1", NULL, "Type 'int', expect 'bool'"},
        {"1 and true", NULL, "Type 'int', expect 'bool'"},
        {"true or 'a'", NULL, "Type 'string', expect 'bool'"},
        {"true or null", NULL, "Type 'null', expect 'bool'"},
        {"false and userId", NULL, "Type 'null', expect 'bool'"},
        {"true and (false) and ('a')", "(false) and ('a')", "Type 'string', expect 'bool'"},
        {"1 and true and true", "1 and true", "Type 'int', expect 'bool'"},
        {"true or (1 gt 'a')", "1 gt 'a'", "Type 'string', expect 'int'"},
        {"connectionId gt 1", NULL, "Type 'string', expect 'int'"},
        {"1 le true", NULL, "Type 'bool', expect 'int'"},
        {"groups ge 1", NULL, "Type 'collection', expect 'int'"},
        {"1 lt substring('a', 1)", NULL, "Type 'string', expect 'int'"},
        /* types of in */
        {"'a' in userId", NULL, "Type 'null', expect 'collection'"},
        {"'a' in 'b'", NULL, "Type 'string', expect 'collection'"},
        {"groups in ('a')", NULL, "Type 'collection', expect 'string'"},
        {"groups in groups", NULL, "Type 'collection', expect 'string'"},
        {"'a' in ('b', groups)", NULL, "Type 'collection', expect 'string'"},
        /* types and number of arguments */
        {"length(1) eq 1", "length(1)", "Type 'int', expect 'string'"},
        {"length() eq 1", "length()", "Function 'length' takes 1 argument, got 0"},
        {"length( ) eq 1", "length( )", "Function 'length' takes 1 argument, got 0"},
        {"length('a','b') eq 1", "length('a','b')", "Function 'length' takes 1 argument, got 2"},
        {"trim(true) eq ''", "trim(true)", "Type 'bool', expect 'string'"},
        {"tolower(groups) eq ''", "tolower(groups)", "Type 'collection', expect 'string'"},
        {"contains('a')", NULL, "Function 'contains' takes 2 arguments, got 1"},
        {"contains('a', 1)", NULL, "Type 'int', expect 'string'"},
        {"contains(groups, 'a')", NULL, "Type 'collection', expect 'string'"},
        {"startswith(1, 'a')", NULL, "Type 'int', expect 'string'"},
        {"endswith('a', 'b', 'c')", NULL, "Function 'endswith' takes 2 arguments, got 3"},
        {"indexof('a', true) eq 1", "indexof('a', true)", "Type 'bool', expect 'string'"},
        {"substring('a') eq 'a'", "substring('a')",
         "Function 'substring' takes 2 or 3 arguments, got 1"},
        {"substring('a', 'b') eq 'a'", "substring('a', 'b')", "Type 'string', expect 'int'"},
        {"substring('a', 1, true) eq 'a'", "substring('a', 1, true)", "Type 'bool', expect 'int'"},
        {"substring(1, 1) eq 'a'", "substring(1, 1)", "Type 'int', expect 'string'"},
        {"concat('a', 1) eq 'a'", "concat('a', 1)", "Type 'int', expect 'string'"},
    };
    char want[512];

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct diag diag = {""};
        struct filter *f;

        snprintf(want, sizeof(want), "Invalid syntax for '%s': %s. (Parameter 'filter')",
                 rows[i].of ? rows[i].of : rows[i].text, rows[i].why);
        assert_int_equal(filter__compile(str__of(rows[i].text), &f, &diag), PH_ERR_SYNTAX);
        assert_null(f);
        assert_string_equal(diag.text, want);
    }
}

/* `count` times `item`, between `head` and `tail`. */
static struct str repeated(char *room, size_t size, const char *head, const char *item,
                           size_t count, const char *tail)
{
    size_t len = (size_t)snprintf(room, size, "%s", head);

    for (size_t i = 0; i < count; i++)
        len += (size_t)snprintf(room + len, size - len, "%s", item);
    len += (size_t)snprintf(room + len, size - len, "%s", tail);
    assert_true(len < size);
    return str__n(room, len);
}

static void limits(void **state)
{
    static const struct {
        const char *head, *item;
        size_t most;
        const char *tail;
        const char *refusal;
    } rows[] = {
        {"1 eq 1", " and 1 eq 1", FILTER_MAX_CLAUSES - 1, "", "more than 100 clauses"},
        {"true", " or contains('', '')", FILTER_MAX_CLAUSES, "", "more than 100 clauses"},
        {"1 eq 1", " eq true", FILTER_MAX_CLAUSES - 1, "", "more than 100 clauses"},
        {"", "not ", FILTER_MAX_DEPTH, "true", "Recursion depth"},
        {"1 in (1", ", length(tolower(toupper('')))", FILTER_MAX_TEXTS / 2, ")",
         "more than 200 calls"},
        {"'' eq ''", " and 0 eq length(concat('', ''))", FILTER_MAX_CLAUSES - 1, "",
         "more than 100 clauses"},
        {"1 in (1", ", length(concat('', ''))", FILTER_MAX_TEXTS, ")", "more than 200 calls"},
        {"true", " and true", 1500, "", NULL},
        {"(true)", " and (true)", 1500, "", NULL},
        {"not false", " and not false", 1500, "", NULL},
        {"1 in (length('a')", ", length('a')", 1000, ")", NULL},
        {"1 in (1", ",1", 3900, ")", NULL},
        {"1 in (1", ",1", FILTER_MAX_NODES - 3, ")", "too many operators"},
        {"true", " ", FILTER_MAX_BYTES - 4, "", "longer than 32768 bytes"},
    };
    static char room[64 << 10];

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct diag diag = {""};
        struct str text =
            repeated(room, sizeof(room), rows[i].head, rows[i].item, rows[i].most, rows[i].tail);
        struct filter *f = compiled(text);

        ask(f, &people[0]);
        filter__unref(f);
        if (!rows[i].refusal)
            continue;
        text = repeated(room, sizeof(room), rows[i].head, rows[i].item, rows[i].most + 1,
                        rows[i].tail);
        assert_int_equal(filter__compile(text, &f, &diag), PH_ERR_LIMIT);
        assert_non_null(strstr(diag.text, rows[i].refusal));
        assert_non_null(strstr(diag.text, ". (Parameter 'filter')"));
        assert_true(utf8__valid(str__of(diag.text)));
    }
}

static void depth_of_parentheses_and_calls(void **state)
{
    static char room[4096];

    (void)state;
    for (size_t depth = FILTER_MAX_DEPTH; depth <= FILTER_MAX_DEPTH + 1; depth++) {
        struct filter *f;
        struct diag diag;
        size_t len;
        enum ph_err want = depth == FILTER_MAX_DEPTH ? PH_OK : PH_ERR_LIMIT;

        repeated(room, sizeof(room), "", "(", depth, "true");
        len = strlen(room);
        repeated(room + len, sizeof(room) - len, "", ")", depth, "");
        assert_int_equal(filter__compile(str__of(room), &f, &diag), want);
        filter__unref(f);
        repeated(room, sizeof(room), "'' eq ", "trim(", depth, "''");
        len = strlen(room);
        repeated(room + len, sizeof(room) - len, "", ")", depth, "");
        assert_int_equal(filter__compile(str__of(room), &f, &diag), want);
        if (f)
            assert_true(ask(f, &people[0]));
        filter__unref(f);
    }
}

/* Long filters are quoted around the place that is meant, in whole characters. */
static void long_filters_are_quoted_in_part(void **state)
{
    static char room[8192];
    struct str text = repeated(room, sizeof(room), "'", "\xe2\x82\xac\xf0\x9f\x98\x80", 100,
                               "' eq 'a' oder true");
    struct diag diag = {""};
    struct filter *f;

    (void)state;
    assert_int_equal(filter__compile(text, &f, &diag), PH_ERR_SYNTAX);
    assert_true(utf8__valid(str__of(diag.text)));
    assert_non_null(strstr(diag.text, "Syntax error at position 314 in '..."));
    assert_non_null(strstr(diag.text, "' eq 'a' oder true'. (Parameter 'filter')"));
}

static void not_utf8(void **state)
{
    struct diag diag = {""};
    struct filter *f;

    (void)state;
    assert_int_equal(filter__compile(STR("userId eq '\xff'"), &f, &diag), PH_ERR_SYNTAX);
    assert_string_equal(diag.text, "Invalid syntax: not UTF-8. (Parameter 'filter')");
}

/* A text that would be too long for the scratch is null. */
static void computed_texts_have_a_limit(void **state)
{
    static char user[FILTER_SCRATCH + 2];
    struct person p = {"c", user, NULL, {NULL}};
    struct filter *twice = compiled(STR("concat(userId, userId) eq null"));
    struct filter *upper = compiled(STR("toupper(userId) eq null"));
    /* What was computed for one operand makes room for the next. */
    struct filter *again = compiled(STR("tolower(userId) ne null and toupper(userId) ne null and "
                                        "1 in (length(tolower(userId)), length(userId), 1)"));
    struct filter *calls =
        compiled(STR("contains(tolower(userId), 'y') or contains(toupper(userId), 'y') or "
                     "endswith(concat(userId, 'z'), 'z')"));
    struct filter *items = compiled(STR("8194 in (length(tolower(userId)), "
                                        "length(concat(userId, 'x')))"));

    (void)state;
    memset(user, 'x', FILTER_SCRATCH / 2);
    assert_false(ask(twice, &p));
    memset(user, 'x', FILTER_SCRATCH / 2 + 1);
    assert_true(ask(twice, &p));
    assert_true(ask(again, &p));
    assert_true(ask(items, &p));
    assert_true(ask(calls, &p));
    memset(user, 'x', FILTER_SCRATCH + 1);
    assert_true(ask(upper, &p));
    filter__unref(twice);
    filter__unref(upper);
    filter__unref(again);
    filter__unref(items);
    filter__unref(calls);
}

/* Whatever is looked at counts, so that the time for a unit of work is about the same. */
static void work_is_counted(void **state)
{
    static char user[8192 + 1];
    static const struct {
        const char *text;
        uint64_t nobody, most, least; /* without a user, and with a long one */
    } rows[] = {
        {"userId eq null", 3, 3 + 300, 3 + 256},
        {"userId eq userId", 3, 3 + 600, 3 + 512},
        {"'g' in groups", 4, 4, 4},
        {"'g' in groups or 'g' in groups", 9, 9, 9},
        {"contains(userId, 'y')", 3, 3 + 600, 3 + 512},
        {"contains('y', userId)", 3, 3 + 600, 3 + 512},
        {"contains(tolower(userId), 'y')", 4, 4 + 3200, 4 + 3072},
        {"length(substring(userId, 1)) eq 1", 6, 6 + 1060, 6 + 1020},
    };
    struct filter_subject subject = {.connection_id = STR("c"), .in_group = in_group};

    (void)state;
    subject.ctx = &people[1];
    memset(user, 'x', sizeof(user) - 1);
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct filter *f = compiled(str__of(rows[i].text));
        uint64_t work = 0;

        subject.user_id = STR_NONE;
        filter__match(f, &subject, &work);
        filter__match(f, &subject, &work);
        if (work != 2 * rows[i].nobody)
            fail_msg("%s: %llu", rows[i].text, (unsigned long long)work / 2);
        work = 0;
        subject.user_id = str__of(user);
        filter__match(f, &subject, &work);
        if (work < rows[i].least || work > rows[i].most)
            fail_msg("%s of a long name: %llu", rows[i].text, (unsigned long long)work);
        filter__unref(f);
    }
}

static void references(void **state)
{
    struct filter *f = compiled(STR("true"));

    (void)state;
    assert_ptr_equal(filter__ref(f), f);
    filter__unref(f);
    assert_true(ask(f, &people[0]));
    filter__unref(f);
    filter__unref(NULL);
}

/* A character's lower case has an upper case that leads back, with exceptions that are
 * characters of their own. */
static void case_mappings(void **state)
{
    unsigned pairs = 0;

    (void)state;
    for (uint32_t c = 0; c < 0x110000; c++) {
        uint32_t lower = unicode__lower(c);

        assert_int_equal(unicode__lower(lower), lower);
        assert_int_equal(unicode__upper(unicode__upper(c)), unicode__upper(c));
        pairs += lower != c && unicode__upper(lower) == c;
    }
    assert_true(pairs > 1300);
    assert_int_equal(unicode__lower(0x0130), 0x0130);
    assert_int_equal(unicode__upper(0x0131), 0x0131);
    assert_int_equal(unicode__upper(0x017f), 0x017f);
    assert_int_equal(unicode__lower(0x10400), 0x10428);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(results),
        cmocka_unit_test(refusals),
        cmocka_unit_test(limits),
        cmocka_unit_test(depth_of_parentheses_and_calls),
        cmocka_unit_test(long_filters_are_quoted_in_part),
        cmocka_unit_test(not_utf8),
        cmocka_unit_test(computed_texts_have_a_limit),
        cmocka_unit_test(work_is_counted),
        cmocka_unit_test(references),
        cmocka_unit_test(case_mappings),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
