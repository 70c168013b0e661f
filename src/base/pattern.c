#include "base/pattern.h"

/* Bytes of the character at the start of `s`. What is no UTF-8 counts byte by byte. */
static size_t character(struct str s)
{
    unsigned char c = (unsigned char)s.ptr[0];
    size_t len = c < 0xC0 ? 1 : c < 0xE0 ? 2 : c < 0xF0 ? 3 : 4;

    return len <= s.len ? len : 1;
}

static struct str behind(struct str s, size_t len)
{
    return str__n(s.ptr + len, s.len - len);
}

enum token_kind { TOKEN_LITERAL, TOKEN_ONE, TOKEN_SEGMENT, TOKEN_ANY };

struct token {
    enum token_kind kind;
    struct str literal; /* one character */
    size_t len;         /* in the pattern */
};

static struct token token_at(struct str rest)
{
    size_t skip;

    if (rest.ptr[0] == '*') {
        bool two = rest.len > 1 && rest.ptr[1] == '*';

        return (struct token){two ? TOKEN_ANY : TOKEN_SEGMENT, STR_NONE, two ? 2 : 1};
    }
    if (rest.ptr[0] == '?')
        return (struct token){TOKEN_ONE, STR_NONE, 1};
    skip = rest.ptr[0] == '\\' && rest.len > 1 ? 1 : 0;
    rest = behind(rest, skip);
    return (struct token){TOKEN_LITERAL, str__n(rest.ptr, character(rest)), skip + character(rest)};
}

const char *pattern__problem(struct str pattern)
{
    size_t characters = 0, stars = 0;

    for (struct str rest = pattern; rest.len > 0; characters++) {
        bool escape = rest.ptr[0] == '\\';

        if (escape && rest.len == 1)
            return "ends with a single `\\`";
        if (escape && !memchr("*?\\", rest.ptr[1], 3))
            return "has a `\\` before something else than `*`, `?` or `\\`";
        characters += escape;
        stars += rest.ptr[0] == '*';
        rest = behind(rest, escape ? 2 : character(rest));
    }
    if (characters == 0)
        return "is empty";
    if (characters > PATTERN_MAX_CHARACTERS)
        return "has more than 1024 characters";
    return stars > PATTERN_MAX_STARS ? "has more than 5 `*`" : NULL;
}

bool pattern__has_wildcard(struct str pattern)
{
    struct token t = {.len = 0};

    for (; pattern.len > 0; pattern = behind(pattern, t.len)) {
        t = token_at(pattern);
        if (t.kind != TOKEN_LITERAL)
            return true;
    }
    return false;
}

/* All the places in the pattern that the characters so far may have led to. */
struct places {
    size_t low, high; /* of those that are set; low > high: none */
    bool set[PATTERN_MAX_BYTES + 1];
};

static void clear(struct places *p, size_t len)
{
    memset(p->set, 0, len + 1);
    p->low = len + 1;
    p->high = 0;
}

/* A star may stand for nothing, so being before it is being behind it too. */
static void reach(struct places *p, struct str pattern, size_t at)
{
    for (;;) {
        bool star = at < pattern.len && pattern.ptr[at] == '*';

        p->set[at] = true;
        p->low = at < p->low ? at : p->low;
        p->high = at > p->high ? at : p->high;
        if (!star)
            return;
        at += token_at(behind(pattern, at)).len;
    }
}

static void step(const struct places *from, struct places *to, struct str pattern, struct str c,
                 enum pattern_case which)
{
    bool dot = c.ptr[0] == '.';

    clear(to, pattern.len);
    for (size_t at = from->low; at <= from->high && at < pattern.len; at++) {
        struct token t;

        if (!from->set[at])
            continue;
        t = token_at(behind(pattern, at));
        if (t.kind == TOKEN_ANY || (t.kind == TOKEN_SEGMENT && !dot))
            reach(to, pattern, at);
        else if ((t.kind == TOKEN_ONE && !dot) ||
                 (t.kind == TOKEN_LITERAL &&
                  (which == PATTERN_NOCASE ? str__eq_nocase(t.literal, c) : str__eq(t.literal, c))))
            reach(to, pattern, at + t.len);
    }
}

bool pattern__matches(struct str pattern, struct str name, enum pattern_case which)
{
    struct places places[2];
    struct places *now = &places[0], *next = &places[1];

    if (pattern.len > PATTERN_MAX_BYTES)
        return false;
    clear(now, pattern.len);
    reach(now, pattern, 0);
    while (name.len > 0 && now->low <= now->high) {
        struct places *was = now;
        size_t len = character(name);

        step(now, next, pattern, str__n(name.ptr, len), which);
        now = next;
        next = was;
        name = behind(name, len);
    }
    return name.len == 0 && now->set[pattern.len];
}
