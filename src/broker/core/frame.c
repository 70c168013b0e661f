#include "broker/core/message.h"

#include <stdlib.h>

struct frame *frame__new(uint32_t len)
{
    struct frame *f = malloc(sizeof(*f) + len);

    if (f)
        *f = (struct frame){.refs = 1, .len = len};
    return f;
}

void frame__unref(struct frame *f)
{
    if (f && --f->refs == 0)
        free(f);
}
