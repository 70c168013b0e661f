/* A view of bytes owned by somebody else. Not NUL-terminated. */
#ifndef BASE_STR_H
#define BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct str {
    const char *ptr; /* NULL means absent, which is not the same as empty */
    size_t len;
};

#define STR(literal) ((struct str){(literal), sizeof(literal) - 1})
#define STR_NONE ((struct str){NULL, 0})
/* For printf("%.*s", STR_FMT(s)). */
#define STR_FMT(s) (int)(s).len, ((s).ptr ? (s).ptr : "")

static inline struct str str__of(const char *c_string)
{
    return (struct str){c_string, c_string ? strlen(c_string) : 0};
}

static inline struct str str__n(const void *ptr, size_t len)
{
    return (struct str){ptr, len};
}

static inline bool str__eq(struct str a, struct str b)
{
    return a.len == b.len &&
           (a.len == 0 || (a.ptr[0] == b.ptr[0] && memcmp(a.ptr, b.ptr, a.len) == 0));
}

/* Compares without ASCII case; bytes above 127 are compared as they are. The lengths come
 * first: they tell most pairs apart that are looked at when a header is searched. */
bool str__same_letters(const char *a, const char *b, size_t len);
static inline bool str__eq_nocase(struct str a, struct str b)
{
    return a.len == b.len && str__same_letters(a.ptr, b.ptr, a.len);
}
bool str__starts_with(struct str s, struct str prefix);
bool str__starts_with_nocase(struct str s, struct str prefix);

/* Drops spaces and tabs at both ends. */
struct str str__trim(struct str s);

/* Takes the part before the first `sep` off *rest. Returns false when nothing
 * is left; an empty part between two separators is returned as such. */
bool str__split(struct str *rest, char sep, struct str *part);

/* Parses decimal digits only. False on an empty string, another character or overflow. */
bool str__to_u64(struct str s, uint64_t *out);

/* Writes decimal digits and a NUL to the end of `out`, and returns them. */
#define STR_U64_SIZE sizeof("18446744073709551615")
struct str str__from_u64(char out[STR_U64_SIZE], uint64_t value);

/* A copy with a NUL behind it, for free(); NULL when `s` is absent or memory is out. */
char *str__dup(struct str s);

/* Copies s to *at, which goes past it: for a structure and its strings in one allocation. */
struct str str__place(char **at, struct str s);

/* True when a byte is one of 0 to 31, or 127: what would end a header line, or the C string
 * that a handler sees. */
bool str__has_control(struct str s);

/* True when no byte is above 127. */
bool str__is_ascii(struct str s);
/* True when all are ASCII letters, digits and hyphens, as in nearly all names. */
bool str__is_word(struct str s);
/* True when all is printable ASCII, as nearly all headers are. */
bool str__is_printable(struct str s);
/* Printable ASCII without a space at its ends: what nearly all values of headers are. */
bool str__is_plain_value(struct str s);

/* Value of a hex digit of either case, -1 for another character. */
extern const unsigned char str__hex_digits[256]; /* each plus 1 */
static inline int str__hex_digit(char c)
{
    return str__hex_digits[(unsigned char)c] - 1;
}

#endif
