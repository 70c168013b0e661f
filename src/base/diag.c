#include "base/diag.h"

#include <stdarg.h>
#include <stdio.h>

enum ph_err diag__set(struct diag *d, enum ph_err err, const char *fmt, ...)
{
    va_list args;

    if (!d)
        return err;
    va_start(args, fmt);
    vsnprintf(d->text, sizeof(d->text), fmt, args);
    va_end(args);
    return err;
}
