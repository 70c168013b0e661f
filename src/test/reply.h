/* What an answer means, for tests. */
#ifndef TEST_REPLY_H
#define TEST_REPLY_H

#include "event/event.h"
#include "pubhook/test.h"

/* Memory of a reply and of the exchange that brings it: the request, and the response as it
 * comes in. NULL: out of memory. */
struct ph_test_reply *test_reply__new(void);
struct arena *test_reply__arena(struct ph_test_reply *reply);
/* Whose strings live in the arena. */
struct http_response *test_reply__response(struct ph_test_reply *reply);

/* Once the response is there: what it means as the answer to this event, or to the
 * validation of an origin. PH_ERR_MEMORY. */
enum ph_err test_reply__read_event(struct ph_test_reply *reply, const struct ph_event *ev);
enum ph_err test_reply__read_validation(struct ph_test_reply *reply, struct str origin);

#endif
