#include "client/op.h"

#include <stdlib.h>

struct op *op__new(enum op_kind kind, struct str name, size_t max)
{
    struct op *op = calloc(1, sizeof(*op) + name.len + 1);
    char *at;

    if (!op)
        return NULL;
    at = op->text;
    op->kind = kind;
    op->name = str__place(&at, name);
    list__init(&op->link);
    buf__init(&op->frame, max);
    return op;
}

void op__free(struct op *op)
{
    if (!op)
        return;
    buf__free(&op->frame);
    free(op);
}

size_t op__bytes(const struct op *op)
{
    return sizeof(*op) + op->name.len + op->frame.len;
}
