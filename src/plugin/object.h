/* Shared objects: one that is loaded as it is, or as a copy of its own. */
#ifndef PLUGIN_OBJECT_H
#define PLUGIN_OBJECT_H

#include "base/diag.h"

struct object {
    void *handle; /* of dlopen */
    char *copy;   /* its file, in a folder of its own; or NULL */
};

/* `name` is for messages. PH_ERR_PLUGIN: it cannot be loaded. */
enum ph_err object__open(struct object *o, const char *path, const char *name, struct diag *diag);
/* Loads a copy: dlopen gives the old object for a path that it knows, and a linker that
 * writes to a file in use would change the code that runs. The copy is a file with the same
 * name below TMPDIR, where debuggers find it, for as long as it is loaded. Refuses a file that
 * is not complete. PH_ERR_SYSTEM: no copy can be made. */
enum ph_err object__open_copy(struct object *o, const char *path, const char *name,
                              struct diag *diag);
/* Fine for one that is all zero, or failed to open. */
void object__close(struct object *o);
void *object__symbol(const struct object *o, const char *name);

#endif
