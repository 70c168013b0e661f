/* Inside of pubhook/token.h: the same with the time as a parameter. */
#ifndef SERVICE_TOKEN_H
#define SERVICE_TOKEN_H

#include "base/buf.h"
#include "base/connection_string.h"
#include "pubhook/token.h"

/* Appends a token for a hub; `now` in seconds since 1970. PH_ERR_ARGUMENT, PH_ERR_MEMORY. */
enum ph_err token__write(struct buf *out, const struct connection_string *service, struct str hub,
                         const struct ph_token_options *options, int64_t now);

/* A token, or with `url` the client's URL with it, in memory of its own. */
enum ph_err token__make(const struct connection_string *service, struct str hub, bool url,
                        const struct ph_token_options *options, char **out);
/* The parts, for tokens that the service makes. */
bool token__check(const struct ph_token_options *options);
/* `scheme`: http for the audience, ws for the client. */
void token__write_url(struct buf *out, const char *scheme, const struct connection_string *service,
                      struct str hub, const struct ph_token_options *options);
/* What PH_SERVICE_GENERATE_TOKEN calls the protocol; NULL: the default, which has no name. */
const char *token__client_type(const struct ph_token_options *options);

#endif
