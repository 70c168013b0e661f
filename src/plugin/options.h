/* The table of options that a plugin has: what its configuration may hold. */
#ifndef PLUGIN_OPTIONS_H
#define PLUGIN_OPTIONS_H

#include "base/buf.h"
#include "base/diag.h"
#include "plugin/host.h"

#define OPTIONS_MAX 64
#define OPTIONS_MAX_NAME 64 /* bytes */

/* A value as the plugin gets it. */
struct option_value {
    const char *text;
    int64_t number; /* of an integer, in milliseconds of a duration, 1 for yes, index of a choice */
};

/* `table` ends with a row without a name; NULL is fine everywhere. PH_ERR_PLUGIN: a mistake of
 * the plugin's author; `file` is for messages. */
enum ph_err options__check(const struct ph_plugin_option *table, const char *file,
                           struct diag *diag);
const struct ph_plugin_option *options__find(const struct ph_plugin_option *table,
                                             const char *name);
/* PH_ERR_PLUGIN: names the key, what came and what was expected. */
enum ph_err options__read(const struct ph_plugin_option *option, const char *text,
                          struct option_value *out, const char *file, struct diag *diag);
/* PH_ERR_PLUGIN, always: a required key was not given. */
enum ph_err options__missing(const struct ph_plugin_option *option, const char *file,
                             struct diag *diag);
/* ", name, name" */
void options__names(const struct ph_plugin_option *table, char *out, size_t size);
/* A line or more for each. */
void options__describe(const struct ph_plugin_option *table, struct buf *out);

#endif
