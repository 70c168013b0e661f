/* JSON, parsed by yajl into a small tree whose nodes know where in the text they
 * came from, so that a value can be passed on with its bytes untouched. The only
 * file that includes yajl is json.c. Plain text does not get there: json_plain.h. */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/diag.h"

enum json_type { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

struct json {
    enum json_type type;
    bool boolean;      /* JSON_BOOL */
    uint32_t count;    /* JSON_ARRAY, JSON_OBJECT: number of children */
    struct str key;    /* member name, decoded; absent for array items and the root */
    struct str string; /* JSON_STRING: decoded, NUL behind it. JSON_NUMBER: the digits as written */
    struct str raw;    /* the bytes of the value in the text */
    struct json *child;
    struct json *next;
};

struct json_limits {
    uint32_t depth; /* deepest nesting of arrays and objects */
    uint32_t nodes; /* values that become nodes */
    uint32_t tree;  /* levels below the root that become nodes; what is deeper is checked,
                       but known by its bytes in `raw` alone. 0: all levels */
    bool views;     /* strings without escapes, keys too, are bytes of the text: not copied, and
                       without a NUL behind them */
    bool comments;  /* accept C and C++ comments (configuration files only) */
};

#define JSON_LIMITS_DEFAULT ((struct json_limits){.depth = 64, .nodes = 100000})

/* Parses one value; nothing but white space may follow. Nodes and decoded
 * strings live in the arena and `raw` points into `text`.
 * PH_ERR_SYNTAX: not JSON, or not UTF-8; `diag` names line and column.
 * PH_ERR_LIMIT: a limit was passed. PH_ERR_MEMORY. */
enum ph_err json__parse(struct arena *a, struct str text, const struct json_limits *limits,
                        struct json **out, struct diag *diag);

/* The same judgement without a tree, in constant memory: for a value that is passed
 * on as it is and may hold any number of values. */
enum ph_err json__check(struct str text, uint32_t depth, struct diag *diag);

/* The member called `key`, the last one if it is repeated; NULL if absent or `object` is none. */
const struct json *json__get(const struct json *object, struct str key);
/* The string value of a member, absent unless it is a string. */
struct str json__get_string(const struct json *object, struct str key);
/* True and the value for a number written as plain digits that fits. */
bool json__to_u64(const struct json *node, uint64_t *out);
/* True and the value for a number that is whole and fits; 1.0 and 1e3 are whole. */
bool json__to_i64(const struct json *node, int64_t *out);
/* True and the value for a number that is not too large for a double. */
bool json__to_double(const struct json *node, double *out);
const char *json__type_name(const struct json *node);
/* Line, from 1, of `node` in the text it was parsed from. */
unsigned json__line(struct str text, const struct json *node);

/* Appends a quoted and escaped string. Bytes must be UTF-8; they are not checked. */
void json__quote(struct buf *out, struct str s);
/* Appends the shortest number that reads as the same double. False: it is not finite. */
bool json__number(struct buf *out, double value);
/* Appends ["a","b"]. */
void json__quote_array(struct buf *out, const struct str *items, size_t count);

#endif
