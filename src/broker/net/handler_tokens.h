/* The bearer tokens that events carry to handlers which check them: each read from a file,
 * or from what a command prints (event-handler section 5, auth). Whoever reads may block,
 * so each source of tokens has a thread of its own; shards only copy what it has got.
 *
 * A file is read again every two seconds. A command runs every refreshSeconds, and after
 * a refusal, but then not more often than every five seconds; when nobody has asked for
 * its token since the last time, it rests until somebody does. */
#ifndef BROKER_NET_HANDLER_TOKENS_H
#define BROKER_NET_HANDLER_TOKENS_H

#include "broker/upstream/upstream.h"

#define HANDLER_TOKENS_MAX_SOURCES 64

struct handler_tokens_times {
    int file_ms;    /* between two looks at a file; 2000 */
    int pause_ms;   /* between two runs of a command, also after a failure; 5000 */
    int command_ms; /* then a command that has not ended is killed; 30000 */
};
#define HANDLER_TOKENS_TIMES_DEFAULT ((struct handler_tokens_times){2000, 5000, 30000})

struct handler_tokens;

/* NULL: out of memory. `log` outlives it. */
struct handler_tokens *handler_tokens__new(const struct handler_tokens_times *times,
                                           struct ph_log *log);
/* Ends the threads, and the commands that run. NULL is fine. */
void handler_tokens__free(struct handler_tokens *t);

/* Starts to read the tokens of all handlers, and waits for the first outcome of each, so
 * that the first event finds one. */
void handler_tokens__prime(struct handler_tokens *t, const struct settings *settings);
/* Any thread: as struct upstream_ops.token. */
bool handler_tokens__get(struct handler_tokens *t, const struct handler_auth *auth,
                         struct upstream_token *out);
/* Any thread: as struct upstream_ops.token_refused. */
void handler_tokens__refused(struct handler_tokens *t, const struct handler_auth *auth,
                             uint64_t serial);

#endif
