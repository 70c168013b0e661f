/* The configuration of a plugin: what stands behind the '?' of its specification. */
#ifndef PLUGIN_CONFIG_H
#define PLUGIN_CONFIG_H

#include "base/diag.h"
#include "base/log.h"
#include "base/url.h"
#include "plugin/options.h"
#include "plugin/plugin.h"

struct ph_plugin_config {
    struct arena arena;
    struct str file; /* for messages and dlopen; NUL-terminated */
    struct url_query keys;
    const struct ph_plugin_option *options; /* the plugin's table; NULL: it has none */
    bool asked[PLUGIN_MAX_KEYS];            /* the plugin knows this key */
    char known[256];                        /* names it asked for, for the message about a typo */
    char failure[256];                      /* its own words when `open` fails */
    char stray[OPTIONS_MAX_NAME +
               1]; /* a key that it asked for but does not have in its table, or of another type */
    struct ph_log *log;
    bool never_blocks; /* as the plugin declared */
    bool shut;         /* `open` has returned: a plugin that still asks gets nothing */
};

/* Splits the specification. PH_ERR_PLUGIN, PH_ERR_MEMORY. */
enum ph_err plugin_config__parse(struct ph_plugin_config *c, const char *spec, struct ph_log *log,
                                 struct diag *diag);
void plugin_config__free(struct ph_plugin_config *c);
/* Hub number `at` that the handlers are for; NULL past the end. */
const char *plugin_config__hub(const struct ph_plugin_config *c, size_t at);
/* Before `open`, with the plugin's table if it has one: refuses keys that are not in it, wrong
 * values and missing ones. */
enum ph_err plugin_config__read(struct ph_plugin_config *c, const struct ph_plugin_option *options,
                                struct diag *diag);
/* After `open`: refuses keys that the plugin never asked for, and repeated ones. */
enum ph_err plugin_config__check(const struct ph_plugin_config *c, struct diag *diag);

/* Functions of the host table. */
const char *plugin_config__get(const struct ph_plugin_config *c, const char *key);
int64_t plugin_config__int(const struct ph_plugin_config *c, const char *key);
int plugin_config__bool(const struct ph_plugin_config *c, const char *key);
int plugin_config__choice(const struct ph_plugin_config *c, const char *key);
int plugin_config__is_given(const struct ph_plugin_config *c, const char *key);
enum ph_err plugin_config__fail(struct ph_plugin_config *c, const char *why);
struct ph_log *plugin_config__log(const struct ph_plugin_config *c);
void plugin_config__never_blocks(struct ph_plugin_config *c);

#endif
