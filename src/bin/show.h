/* HTTP messages, events and what answers mean, for people and as JSON. */
#ifndef BIN_SHOW_H
#define BIN_SHOW_H

#include "bin/paint.h"
#include "event/event.h"

/* Text from elsewhere: control characters, which a terminal would obey, are escaped. */
void show__text(FILE *out, struct str text);
/* The same, or how many bytes there are when it is not text. */
void show__data(FILE *out, struct str data);

void show__request(FILE *out, const char *url, const struct http_request *req);
void show__response(FILE *out, const struct http_response *res);
/* Members "status", "headers" (an array of pairs) and "body". */
void show__record_response(struct record *r, const struct http_response *res);
void show__record_headers(struct record *r, const struct http_headers *headers);

/* What the service would do with an answer, as a sentence. `problem`: why a 2xx answer
 * breaks the contract, or NULL. */
void show__meaning(struct buf *out, const struct ph_event *ev, const struct answer *answer,
                   const char *problem);
void show__record_answer(struct record *r, const struct ph_event *ev, const struct answer *answer);

#endif
