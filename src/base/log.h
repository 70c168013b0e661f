/* Writing to a struct ph_log (pubhook/log.h) from inside.
 *
 * A message is a sentence for people; fields repeat the facts in it for machines:
 *   log__info(log, LOG_FIELDS("hub", hub, "connection", id), "closed: %s", why);
 * Never log a token, a key, a signature, or a query string that may hold one. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "pubhook/log.h"

#include <stdbool.h>

/* Pairs of name and value, NULL-terminated. A NULL value ends the list too, so put
 * values that may be absent last. */
#define LOG_FIELDS(...) ((const char *const[]){__VA_ARGS__, NULL})
#define LOG_NONE ((const char *const[]){NULL})

/* True when a message of this level would be written; for messages that cost something to make. */
bool log__wants(const struct ph_log *log, enum ph_log_level level);
/* Any thread: another level from now on. */
void log__set_level(struct ph_log *log, enum ph_log_level level);
void log__write(struct ph_log *log, enum ph_log_level level, const char *const *fields,
                const char *fmt, ...) __attribute__((format(printf, 4, 5)));

#define log__error(log, fields, ...) log__write(log, PH_LOG_ERROR, fields, __VA_ARGS__)
#define log__warn(log, fields, ...) log__write(log, PH_LOG_WARN, fields, __VA_ARGS__)
#define log__info(log, fields, ...) log__write(log, PH_LOG_INFO, fields, __VA_ARGS__)
#define log__debug(log, fields, ...) log__write(log, PH_LOG_DEBUG, fields, __VA_ARGS__)

#endif
