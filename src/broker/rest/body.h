/* The body of a `:send` (client-and-rest section 5.3): which data type its
 * Content-Type means, and the data as it is delivered. */
#ifndef BROKER_REST_BODY_H
#define BROKER_REST_BODY_H

#include "base/http.h"
#include "broker/rest/charset.h"
#include "pubhook/event.h"

/* Nesting of a JSON body; deeper ones are refused as invalid. */
#define BODY_MAX_DEPTH 64
/* By how much a body can grow on its way to UTF-8 (ISO-8859-1). */
#define BODY_GROWTH 2

struct body_kind {
    enum ph_data_type type;
    struct charset_reading reading; /* text and JSON */
};

/* PH_ERR_UNSUPPORTED and what is accepted in `diag`, for a 415. No Content-Type means
 * binary. */
enum ph_err body__kind(const struct http_headers *headers, struct body_kind *out,
                       struct diag *diag);
/* The data, as it came or in `room` (up to BODY_GROWTH times as long). PH_ERR_SYNTAX,
 * for a 400; PH_ERR_MEMORY. */
enum ph_err body__data(const struct body_kind *kind, struct str body, struct buf *room,
                       struct str *out, struct diag *diag);

#endif
