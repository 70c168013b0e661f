/* Inside of pubhook/token.h: the same with the time as a parameter. */
#ifndef SERVICE_TOKEN_H
#define SERVICE_TOKEN_H

#include "base/buf.h"
#include "base/connection_string.h"
#include "pubhook/token.h"

/* Appends a token for a hub; `now` in seconds since 1970. PH_ERR_ARGUMENT, PH_ERR_MEMORY. */
enum ph_err token__write(struct buf *out, const struct connection_string *service, struct str hub,
                         const struct ph_token_options *options, int64_t now);

#endif
