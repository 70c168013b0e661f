/* The broker's command line, and the configuration file that it names. */
#ifndef BIN_BROKER_SETTINGS_H
#define BIN_BROKER_SETTINGS_H

#include "base/file.h"
#include "bin/cli.h"
#include "broker/config/settings.h"

struct settings_source {
    int argc;
    char **argv;
    const char *path;        /* of the configuration file; NULL: none */
    bool watch;              /* --watch: load plugins again when they change */
    struct buf text;         /* of it, as it is in effect, */
    struct buf read;         /* and as it was read again */
    struct file_stamp stamp; /* of it, when it was read last */
};

void settings_source__init(struct settings_source *source, int argc, char **argv);
void settings_source__free(struct settings_source *source);
/* Mistakes are printed. */
enum cli_result settings_source__read(struct settings_source *source, struct settings *s);
/* Is there a file that may have changed? */
bool settings_source__can_reread(const struct settings_source *source);
/* The settings once more, with what the file says now; `changes` gets what is different.
 * Where to listen and the number of threads stay those of `running`. NULL: the file or
 * what would come of it is wrong, and `diag` says why. */
struct settings *settings_source__reread(struct settings_source *source,
                                         const struct settings *running, struct buf *changes,
                                         struct diag *diag);
/* What was read again is in effect: the next change is compared with it. */
void settings_source__accept(struct settings_source *source);

#endif
