/* The body of a `:send` (client-and-rest.md section 5.3): which data type its
 * Content-Type means, and the data as it is delivered. */
#ifndef BROKER_REST_BODY_H
#define BROKER_REST_BODY_H

#include "base/http.h"
#include "broker/rest/charset.h"
#include "pubhook/event.h"

/* Nesting of a JSON body; deeper ones are refused as invalid. */
#define BODY_MAX_DEPTH 64

struct body_kind {
    enum ph_data_type type;
    struct charset_reading reading; /* text and JSON */
};

/* PH_ERR_UNSUPPORTED and what is accepted in `diag`, for a 415. No Content-Type means
 * binary. */
enum ph_err body__kind(const struct http_headers *headers, struct body_kind *out,
                       struct diag *diag);
/* The data, in the arena or as it came. PH_ERR_SYNTAX, for a 400. */
enum ph_err body__data(struct arena *a, const struct body_kind *kind, struct str body,
                       struct str *out, struct diag *diag);

#endif
