/* The parts of a compiled filter: a tree in an array. */
#ifndef BROKER_FILTER_NODE_H
#define BROKER_FILTER_NODE_H

#include "broker/filter/filter.h"

#include <stdatomic.h>

enum node_kind {
    NODE_NULL,
    NODE_BOOL,
    NODE_INT,
    NODE_STRING,
    NODE_USER_ID,
    NODE_CONNECTION_ID,
    NODE_PROTOCOL,
    NODE_GROUPS,
    NODE_NOT,
    NODE_EQ,
    NODE_NE,
    NODE_GT,
    NODE_GE,
    NODE_LT,
    NODE_LE,
    NODE_IN,  /* the first child, in the list of the others or in `groups` */
    NODE_AND, /* of two or more */
    NODE_OR,
    NODE_CALL,
    NODE_UNKNOWN /* a name, function or literal that is none of ours */
};

enum function {
    FUNCTION_LENGTH,
    FUNCTION_TOLOWER,
    FUNCTION_TOUPPER,
    FUNCTION_TRIM,
    FUNCTION_SUBSTRING,
    FUNCTION_INDEXOF,
    FUNCTION_STARTSWITH,
    FUNCTION_ENDSWITH,
    FUNCTION_CONTAINS,
    FUNCTION_CONCAT,
    FUNCTION_NONE
};

#define NODE_NONE UINT32_MAX

/* What a unit of work is besides a node: so many bytes looked at, or changed. */
#define WORK_BYTES 32
#define WORK_CHANGED_BYTES 4

struct extent {
    uint32_t at, end; /* bytes of the text */
};

struct node {
    enum node_kind kind;
    enum function function; /* NODE_CALL */
    uint32_t child, next;   /* places in the array, or NODE_NONE */
    struct extent extent;   /* in the text */
    struct extent outer;    /* with the parentheses around it */
    union {
        bool boolean;
        int64_t integer;
        struct {
            uint32_t at, len;
        } literal; /* in the filter's literals */
    } value;
};

struct filter {
    atomic_uint refs;
    struct node *nodes;
    uint32_t count, size, root;
    char *literals; /* strings without quotes, one behind the other */
    uint32_t literal_len;
    uint64_t text_work; /* of functions of texts, when names are long */
};

/* The place of a new node with this kind and extent; NODE_NONE: memory, or too many. */
uint32_t node__add(struct filter *f, enum node_kind kind, struct extent extent);
enum function node__function(struct str name); /* with case */
const char *node__function_name(enum function function);

/* Are all types right? The tree's types are then known to be right for any subject. */
enum ph_err filter__check(const struct filter *f, struct str text, struct diag *diag);

#endif
