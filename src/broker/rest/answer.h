/* Responses of the REST API (client-and-rest section 5.5). */
#ifndef BROKER_REST_ANSWER_H
#define BROKER_REST_ANSWER_H

#include "base/http.h"

/* Versions of the API, newest last, as answers list them (section 5.1). */
#define ANSWER_NEWEST_VERSION "2024-12-01"
#define ANSWER_VERSIONS "2021-10-01, 2022-11-01, 2023-07-01, 2024-01-01, " ANSWER_NEWEST_VERSION

#define ANSWER_BAD_REQUEST "Error.BadRequest"

/* An answer without a body. */
void answer__status(struct arena *a, struct http_response *response, int status);
/* An answer with the body {code, message, target} and x-ms-error-code; target may be NULL. */
void answer__error(struct arena *a, struct http_response *response, int status, const char *code,
                   const char *target, const char *message);

#endif
