#include "base/diag.h"

#include "base/utf8.h"

#include <stdarg.h>
#include <stdio.h>

enum ph_err diag__set(struct diag *d, enum ph_err err, const char *fmt, ...)
{
    va_list args;
    int len;

    if (!d)
        return err;
    va_start(args, fmt);
    len = vsnprintf(d->text, sizeof(d->text), fmt, args);
    va_end(args);
    if (len >= (int)sizeof(d->text)) /* some of these go to peers, who want UTF-8 */
        d->text[utf8__cut(str__of(d->text), sizeof(d->text)).len] = '\0';
    return err;
}
