#include "base/exposition.h"

#include <inttypes.h>

void exposition__family(struct buf *out, const char *name, const char *type, const char *help)
{
    buf__printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

void exposition__label(struct buf *out, const char *name, struct str value)
{
    buf__printf(out, "%s=\"", name);
    for (size_t i = 0; i < value.len; i++) {
        char c = value.ptr[i];

        if (c == '\n') {
            buf__str(out, STR("\\n"));
            continue;
        }
        if (c == '"' || c == '\\')
            buf__byte(out, '\\');
        buf__byte(out, c);
    }
    buf__byte(out, '"');
}

void exposition__number(struct buf *out, uint64_t n)
{
    buf__printf(out, " %" PRIu64 "\n", n);
}

void exposition__thousandths(struct buf *out, uint64_t n)
{
    buf__printf(out, " %" PRIu64 ".%03u\n", n / 1000, (unsigned)(n % 1000));
}

void exposition__millionths(struct buf *out, uint64_t n)
{
    buf__printf(out, " %" PRIu64 ".%06u\n", n / 1000000, (unsigned)(n % 1000000));
}
