#include "base/file.h"

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

void file__stamp(const char *path, struct file_stamp *out)
{
    struct stat st;

    *out = (struct file_stamp){0};
    if (stat(path, &st) == 0)
        *out = (struct file_stamp){st.st_dev, st.st_ino, st.st_size, st.st_mtim};
}

bool file__same(const struct file_stamp *a, const struct file_stamp *b)
{
    return a->device == b->device && a->inode == b->inode && a->size == b->size &&
           a->written.tv_sec == b->written.tv_sec && a->written.tv_nsec == b->written.tv_nsec;
}
