/* A whole file into memory, and whether it is still the same. */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include "base/buf.h"
#include "base/diag.h"

#include <sys/stat.h>

/* Appends the file's bytes; `path` "-" is standard input. PH_ERR_ARGUMENT: cannot be
 * read, or is larger than the buffer's maximum; `diag` says which. */
enum ph_err file__read(const char *path, struct buf *out, struct diag *diag);

/* Which file a path leads to, and when that was written. */
struct file_stamp {
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec written;
};

/* All zero when there is no file. */
void file__stamp(const char *path, struct file_stamp *out);
bool file__same(const struct file_stamp *a, const struct file_stamp *b);

#endif
