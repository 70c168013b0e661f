#include "broker/filter/node.h"

#include <stdlib.h>

#define FIRST_SIZE 16

static const struct {
    struct str name;
    enum function function;
} functions[] = {
    {{"length", 6}, FUNCTION_LENGTH},       {{"tolower", 7}, FUNCTION_TOLOWER},
    {{"toupper", 7}, FUNCTION_TOUPPER},     {{"trim", 4}, FUNCTION_TRIM},
    {{"substring", 9}, FUNCTION_SUBSTRING}, {{"indexof", 7}, FUNCTION_INDEXOF},
    {{"indexOf", 7}, FUNCTION_INDEXOF},     {{"startswith", 10}, FUNCTION_STARTSWITH},
    {{"endswith", 8}, FUNCTION_ENDSWITH},   {{"contains", 8}, FUNCTION_CONTAINS},
    {{"concat", 6}, FUNCTION_CONCAT},
};
#define FUNCTION_NAMES (sizeof(functions) / sizeof(*functions))

uint32_t node__add(struct filter *f, enum node_kind kind, struct extent extent)
{
    if (f->count == f->size) {
        uint32_t size = f->size ? f->size * 2 : FIRST_SIZE;
        struct node *nodes = realloc(f->nodes, size * sizeof(*nodes));

        if (!nodes)
            return NODE_NONE;
        f->nodes = nodes;
        f->size = size;
    }
    f->nodes[f->count] = (struct node){.kind = kind,
                                       .function = FUNCTION_NONE,
                                       .child = NODE_NONE,
                                       .next = NODE_NONE,
                                       .extent = extent,
                                       .outer = extent};
    return f->count++;
}

enum function node__function(struct str name)
{
    for (size_t i = 0; i < FUNCTION_NAMES; i++) {
        if (str__eq(functions[i].name, name))
            return functions[i].function;
    }
    return FUNCTION_NONE;
}

const char *node__function_name(enum function function)
{
    for (size_t i = 0; i < FUNCTION_NAMES; i++) {
        if (functions[i].function == function)
            return functions[i].name.ptr;
    }
    return "";
}
