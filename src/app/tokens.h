/* Bearer tokens of Microsoft Entra that come with events (event-handler section 2.1). */
#ifndef APP_TOKENS_H
#define APP_TOKENS_H

#include "base/http.h"
#include "pubhook/auth.h"

struct tokens;

/* Starts the thread that reads the public keys. NULL: `diag` says why, with `err`. */
struct tokens *tokens__new(const struct ph_entra_options *options, struct ph_log *log,
                           enum ph_err *err, struct diag *diag);
void tokens__free(struct tokens *tokens); /* NULL is fine */

/* Any thread. PH_ERR_STATE: this cannot be decided now, because the keys are not there. Any other
 * error: no token, or none that is good. */
enum ph_err tokens__check(struct tokens *tokens, const struct http_headers *headers,
                          struct arena *a, struct diag *diag);
/* Reads the public keys again, soon. */
void tokens__read_again(struct tokens *tokens);

#endif
