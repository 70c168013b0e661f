#include "bin/paint.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const codes[] = {
    [PAINT_END] = "\x1b[0m",   [PAINT_NAME] = "\x1b[36m", [PAINT_FAINT] = "\x1b[2m",
    [PAINT_GOOD] = "\x1b[32m", [PAINT_BAD] = "\x1b[31m",
};

static bool wanted(FILE *out)
{
    const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

    return !(no && *no) && !(term && strcmp(term, "dumb") == 0) && isatty(fileno(out));
}

const char *paint__code(FILE *out, enum paint paint)
{
    return wanted(out) ? codes[paint] : "";
}
