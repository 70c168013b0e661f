/* Runs a program to its end, for what it prints. Blocks. */
#ifndef BROKER_NET_TOKEN_COMMAND_H
#define BROKER_NET_TOKEN_COMMAND_H

#include "base/buf.h"
#include "base/diag.h"

#include <stdatomic.h>

/* `words` end with NULL; the first is looked for in PATH. What it prints is appended to
 * `out`; more than that has room for is a failure. Its standard error goes into the reason
 * of one. It is killed, with what it has started, after `limit_ms` or when `stop` is set. */
enum ph_err token_command__run(char *const *words, int limit_ms, const atomic_bool *stop,
                               struct buf *out, struct diag *diag);

#endif
