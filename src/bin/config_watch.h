/* Notices that a file has changed, in whatever way: written in place, replaced by another
 * (as editors do), or reached through a link that points elsewhere now (as Kubernetes
 * does). The folder is watched, and the file looked at when it is quiet there. */
#ifndef BIN_CONFIG_WATCH_H
#define BIN_CONFIG_WATCH_H

#include "base/file.h"

#include <uv.h>

#define CONFIG_WATCH_QUIET_MS 200 /* a file is written in several steps */

struct config_watch {
    uv_fs_event_t folder;
    uv_timer_t quiet;
    const char *path;
    const struct file_stamp *seen; /* the caller's: the file as it was read last */
    void (*changed)(void *arg);
    void *arg;
    bool failed; /* nothing is watched */
};

/* `path` and `seen` outlive the watch. False: the folder cannot be watched; it is to be
 * closed all the same. */
bool config_watch__open(struct config_watch *w, uv_loop_t *loop, const char *path,
                        const struct file_stamp *seen, void (*changed)(void *arg), void *arg);
/* The loop must run once more before the memory goes. */
void config_watch__close(struct config_watch *w);

#endif
