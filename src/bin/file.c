#include "bin/file.h"

#include <errno.h>
#include <stdio.h>

static enum ph_err read_all(FILE *f, const char *path, struct buf *out, struct diag *diag)
{
    char part[8192];
    size_t n;

    while ((n = fread(part, 1, sizeof(part), f)) > 0)
        buf__append(out, part, n);
    if (ferror(f))
        return diag__set(diag, PH_ERR_ARGUMENT, "%s: %s", path, strerror(errno));
    if (out->failed)
        return diag__set(diag, PH_ERR_ARGUMENT, "%s: larger than %zu bytes", path, out->max);
    return PH_OK;
}

enum ph_err file__read(const char *path, struct buf *out, struct diag *diag)
{
    bool is_stdin = strcmp(path, "-") == 0;
    FILE *f = is_stdin ? stdin : fopen(path, "re");
    enum ph_err err;

    if (!f)
        return diag__set(diag, PH_ERR_ARGUMENT, "%s: %s", path, strerror(errno));
    err = read_all(f, path, out, diag);
    if (!is_stdin)
        fclose(f);
    return err;
}
