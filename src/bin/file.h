/* A whole file into memory. */
#ifndef BIN_FILE_H
#define BIN_FILE_H

#include "base/buf.h"
#include "base/diag.h"

/* Appends the file's bytes; `path` "-" is standard input. PH_ERR_ARGUMENT: cannot be
 * read, or is larger than the buffer's maximum; `diag` says which. */
enum ph_err file__read(const char *path, struct buf *out, struct diag *diag);

#endif
