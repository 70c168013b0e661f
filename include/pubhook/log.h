/**
 * Logging: one line for each thing worth knowing, as text or as JSON, to
 * standard error or to a function of yours. No secret is ever logged.
 */
#ifndef PUBHOOK_LOG_H
#define PUBHOOK_LOG_H

#include <pubhook/err.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct ph_log;

enum ph_log_level { PH_LOG_ERROR, PH_LOG_WARN, PH_LOG_INFO, PH_LOG_DEBUG };

enum ph_log_format {
    PH_LOG_TEXT, /* time level message field=value ... */
    PH_LOG_JSON  /* one JSON object a line: time, level, message, fields */
};

/**
 * A log that writes to standard error, one write(2) a line.
 *
 * @param level   the least important level that is still written
 * @param format  text or JSON lines
 * @return        the log, owned by the caller; NULL when memory is out
 */
PH_API struct ph_log *ph_log_new(enum ph_log_level level, enum ph_log_format format);

/** Frees the log; NULL is fine. Nothing may use it any more. */
PH_API void ph_log_free(struct ph_log *log);

/**
 * Sends lines to a function instead of standard error.
 *
 * @param sink  gets each finished line with its newline; may be called by
 *              several threads at once; must not log itself
 * @param arg   handed to `sink`; must outlive the log
 * Threads: before the log is used.
 */
PH_API void ph_log_set_sink(struct ph_log *log,
                            void (*sink)(void *arg, enum ph_log_level level, const char *line,
                                         size_t len),
                            void *arg);

/**
 * Reads "error", "warn", "info" or "debug".
 *
 * @return PH_OK, or PH_ERR_ARGUMENT for another name
 */
PH_API enum ph_err ph_log_level_from_name(const char *name, enum ph_log_level *out);

/**
 * Writes a line. Control characters in it are escaped.
 *
 * @param log  NULL writes nothing
 * Threads: any.
 */
PH_API void ph_log_write(struct ph_log *log, enum ph_log_level level, const char *message);

#ifdef __cplusplus
}
#endif
#endif
