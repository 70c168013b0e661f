#include "broker/filter/token.h"

#include "base/unicode.h"
#include "broker/filter/complaint.h"

#include <stdio.h>

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool starts_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (unsigned char)c >= 0x80;
}

/* Paths (groups/any) and dotted names are words that nothing is called by. */
static bool is_in_word(char c)
{
    return starts_word(c) || is_digit(c) || c == '.' || c == '/';
}

static struct str from(struct str text, uint32_t at)
{
    return str__n(text.ptr + at, text.len - at);
}

static uint32_t skip_space(struct str text, uint32_t at)
{
    while (at < text.len) {
        struct str rest = from(text, at);

        if (!unicode__is_space(unicode__next(&rest)))
            break;
        at = (uint32_t)(text.len - rest.len);
    }
    return at;
}

/* Behind the closing quote; 0: there is none. A doubled quote stands for one. */
static uint32_t skip_string(struct str text, uint32_t at)
{
    for (at++; at < text.len; at++) {
        if (text.ptr[at] != '\'')
            continue;
        if (at + 1 == text.len || text.ptr[at + 1] != '\'')
            return at + 1;
        at++;
    }
    return 0;
}

static uint32_t skip_word(struct str text, uint32_t at)
{
    while (at < text.len && is_in_word(text.ptr[at])) {
        struct str rest = from(text, at);

        if (unicode__is_space(unicode__next(&rest)))
            break;
        at = (uint32_t)(text.len - rest.len);
    }
    return at;
}

static enum ph_err take_string(struct str text, struct token *t, struct diag *diag)
{
    t->kind = TOKEN_STRING;
    t->extent.end = skip_string(text, t->extent.at);
    if (t->extent.end > 0)
        return PH_OK;
    return complaint__at(diag, text, t->extent.at, "There is an unterminated string literal");
}

static enum ph_err take_number(struct str text, struct token *t, struct diag *diag)
{
    uint32_t at = t->extent.at + (is_digit(text.ptr[t->extent.at]) ? 0 : 1);

    if (at == text.len || !is_digit(text.ptr[at]))
        return complaint__at(diag, text, at, "A digit was expected");
    while (at < text.len && is_digit(text.ptr[at]))
        at++;
    t->kind = TOKEN_INTEGER;
    t->extent.end = at;
    while (at < text.len && (is_in_word(text.ptr[at]) || text.ptr[at] == '-'))
        at++;
    if (at > t->extent.end)
        *t = (struct token){TOKEN_FOREIGN, {t->extent.at, at}};
    return PH_OK;
}

static enum ph_err refuse_character(struct str text, const struct token *t, struct diag *diag)
{
    char what[64];

    snprintf(what, sizeof(what), "Syntax error: character '%c' is not valid",
             text.ptr[t->extent.at]);
    return complaint__at(diag, text, t->extent.at, what);
}

enum ph_err token__next(struct str text, uint32_t at, struct token *out, struct diag *diag)
{
    static const struct {
        char character;
        enum token_kind kind;
    } marks[] = {{'(', TOKEN_OPEN}, {')', TOKEN_CLOSE}, {',', TOKEN_COMMA}};
    char c;

    at = skip_space(text, at);
    *out = (struct token){TOKEN_END, {at, at}};
    if (at == text.len)
        return PH_OK;
    c = text.ptr[at];
    for (size_t i = 0; i < sizeof(marks) / sizeof(*marks); i++) {
        if (marks[i].character == c) {
            *out = (struct token){marks[i].kind, {at, at + 1}};
            return PH_OK;
        }
    }
    if (c == '\'')
        return take_string(text, out, diag);
    if (is_digit(c) || c == '-' || c == '+')
        return take_number(text, out, diag);
    if (!starts_word(c))
        return refuse_character(text, out, diag);
    *out = (struct token){TOKEN_WORD, {at, skip_word(text, at)}};
    return PH_OK;
}

uint32_t token__skip_parenthesis(struct str text, uint32_t at)
{
    size_t depth = 0;

    while (at < text.len) {
        char c = text.ptr[at++];

        if (c == '\'' && (at = skip_string(text, at - 1)) == 0)
            return 0;
        depth += c == '(';
        if (c == ')' && --depth == 0)
            return at;
    }
    return 0;
}
