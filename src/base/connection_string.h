/* Connection strings of Web PubSub (client-and-rest section 5.6):
 * "Endpoint=https://HOST;AccessKey=...;Version=1.0;" */
#ifndef BASE_CONNECTION_STRING_H
#define BASE_CONNECTION_STRING_H

#include "base/buf.h"
#include "base/diag.h"

#define CONNECTION_STRING_VARIABLE "WebPubSubConnectionString"

/* Views into the text. */
struct connection_string {
    bool secure;     /* https, which is also meant when there is no scheme */
    struct str host; /* without port; an IPv6 address keeps its brackets */
    struct str port; /* digits; absent for the scheme's own */
    struct str path; /* of the endpoint, without a slash at its end; may be empty */
    struct str access_key;
};

/* Of several, one a line, which event handlers may have, the first: calls go there.
 * PH_ERR_SYNTAX: a part is no KEY=VALUE, or Endpoint or AccessKey is missing or wrong;
 * `diag` never holds a part of the text. */
enum ph_err connection_string__parse(struct str text, struct connection_string *out,
                                     struct diag *diag);

/* An endpoint alone: "https://HOST[:PORT][/PATH]". The key is absent. PH_ERR_SYNTAX. */
enum ph_err connection_string__endpoint(struct str endpoint, struct connection_string *out,
                                        struct diag *diag);
/* Appends scheme://host[:port]/path; the scheme is `http` or `ws`, to which an s is added. */
void connection_string__url(struct buf *out, const char *scheme, const struct connection_string *c);

#endif
