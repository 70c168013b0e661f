#include "plugin/object.h"

#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <link.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHUNK 65536
#define MAX_BYTES (1u << 30)

enum ph_err object__open(struct object *o, const char *path, const char *name, struct diag *diag)
{
    o->handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (o->handle)
        return PH_OK;
    return diag__set(diag, PH_ERR_PLUGIN, "%s: not a shared object that can be loaded here: %s",
                     name, dlerror());
}

void *object__symbol(const struct object *o, const char *name)
{
    return dlsym(o->handle, name);
}

/* --- A copy --------------------------------------------------------------------------- */

static bool write_all(int fd, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, data, len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return false;
        data += n;
        len -= (size_t)n;
    }
    return true;
}

static bool copy_bytes(int from, int to)
{
    char *chunk = malloc(CHUNK);
    size_t total = 0;
    ssize_t n = 0;
    bool good = chunk;

    while (good && (n = read(from, chunk, CHUNK)) > 0) {
        total += (size_t)n;
        good = total <= MAX_BYTES && write_all(to, chunk, (size_t)n);
    }
    free(chunk);
    return good && n == 0;
}

static bool ends_within(uint64_t offset, uint64_t len, uint64_t size)
{
    return offset <= size && len <= size - offset;
}

/* What the loader maps must be there, or the program ends with a bus error when it looks. The
 * rest of what can be wrong it finds out by itself. */
static bool has_segments(int fd, const ElfW(Ehdr) * head, uint64_t size)
{
    for (unsigned i = 0; i < head->e_phnum; i++) {
        off_t at = (off_t)(head->e_phoff + i * sizeof(ElfW(Phdr)));
        ElfW(Phdr) segment;

        if (pread(fd, &segment, sizeof(segment), at) != (ssize_t)sizeof(segment) ||
            (segment.p_type == PT_LOAD && !ends_within(segment.p_offset, segment.p_filesz, size)))
            return false;
    }
    return true;
}

static bool is_complete(int fd)
{
    ElfW(Ehdr) head;
    struct stat st;

    if (fstat(fd, &st) != 0 || pread(fd, &head, sizeof(head), 0) != (ssize_t)sizeof(head) ||
        memcmp(head.e_ident, ELFMAG, SELFMAG) != 0 || head.e_phentsize != sizeof(ElfW(Phdr)))
        return false;
    /* The table of sections is the last that a linker writes. */
    return ends_within(head.e_phoff, (uint64_t)head.e_phnum * head.e_phentsize,
                       (uint64_t)st.st_size) &&
           ends_within(head.e_shoff, (uint64_t)head.e_shnum * head.e_shentsize,
                       (uint64_t)st.st_size) &&
           has_segments(fd, &head, (uint64_t)st.st_size);
}

/* A folder for us alone, with an empty file in it. -1: neither. */
static int make_file(const char *path, char **out)
{
    const char *base = getenv("TMPDIR");
    char *copy = strdup(path), *folder = NULL;
    int fd = -1;

    *out = NULL;
    if (!copy || asprintf(&folder, "%s/pubhook-XXXXXX", base && *base ? base : "/tmp") < 0 ||
        !mkdtemp(folder)) {
        free(copy);
        free(folder);
        return -1;
    }
    if (asprintf(out, "%s/%s", folder, basename(copy)) < 0)
        *out = NULL;
    if (*out)
        fd = open(*out, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0700);
    if (fd < 0) {
        rmdir(folder);
        free(*out);
        *out = NULL;
    }
    free(copy);
    free(folder);
    return fd;
}

static void remove_file(char *path)
{
    if (!path)
        return;
    unlink(path);
    rmdir(dirname(path));
    free(path);
}

static enum ph_err copy_file(const char *path, const char *name, char **out, struct diag *diag)
{
    int from = open(path, O_RDONLY | O_CLOEXEC);
    int to = from >= 0 ? make_file(path, out) : -1;
    enum ph_err err = PH_OK;

    if (from < 0)
        err = diag__set(diag, PH_ERR_PLUGIN, "%s: cannot be read: %m", name);
    else if (to < 0 || !copy_bytes(from, to))
        err = diag__set(diag, PH_ERR_SYSTEM,
                        "%s: no copy can be made below %s: %m; TMPDIR names another folder", name,
                        getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
    else if (!is_complete(to))
        err = diag__set(diag, PH_ERR_PLUGIN,
                        "%s: not a shared object that can be loaded here: the file is no ELF file, "
                        "or not complete",
                        name);
    if (from >= 0)
        close(from);
    if (to >= 0)
        close(to);
    return err;
}

enum ph_err object__open_copy(struct object *o, const char *path, const char *name,
                              struct diag *diag)
{
    enum ph_err err;

    *o = (struct object){NULL, NULL};
    err = copy_file(path, name, &o->copy, diag);
    if (!err)
        err = object__open(o, o->copy, name, diag);
    return err;
}

void object__close(struct object *o)
{
    if (o->handle)
        dlclose(o->handle);
    remove_file(o->copy);
    *o = (struct object){NULL, NULL};
}
