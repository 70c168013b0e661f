#include "bin/config_watch.h"

#include <libgen.h>
#include <stdlib.h>

static void look(uv_timer_t *timer)
{
    struct config_watch *w = timer->data;
    struct file_stamp now;

    file__stamp(w->path, &now);
    if (!file__same(&now, w->seen))
        w->changed(w->arg);
}

static void stirred(uv_fs_event_t *folder, const char *name, int events, int status)
{
    struct config_watch *w = folder->data;

    (void)name, (void)events, (void)status;
    uv_timer_start(&w->quiet, look, CONFIG_WATCH_QUIET_MS, 0);
}

bool config_watch__open(struct config_watch *w, uv_loop_t *loop, const char *path,
                        const struct file_stamp *seen, void (*changed)(void *arg), void *arg)
{
    char *copy = strdup(path);

    *w = (struct config_watch){.path = path, .seen = seen, .changed = changed, .arg = arg};
    uv_timer_init(loop, &w->quiet);
    uv_fs_event_init(loop, &w->folder);
    w->quiet.data = w->folder.data = w;
    w->failed = !copy || uv_fs_event_start(&w->folder, stirred, dirname(copy), 0) != 0;
    free(copy);
    /* It may have changed between being read and being watched. */
    if (!w->failed)
        uv_timer_start(&w->quiet, look, CONFIG_WATCH_QUIET_MS, 0);
    return !w->failed;
}

void config_watch__close(struct config_watch *w)
{
    uv_close((uv_handle_t *)&w->quiet, NULL);
    uv_close((uv_handle_t *)&w->folder, NULL);
}
