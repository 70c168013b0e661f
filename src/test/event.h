/* Events that tests make, and the requests that they become. */
#ifndef TEST_EVENT_H
#define TEST_EVENT_H

#include "event/event.h"
#include "pubhook/test.h"

/* Wrong on purpose: a header as it shall be in the request; without a value it is taken out. */
struct test_header {
    struct str name, value;
};

struct ph_test_event {
    struct arena arena; /* all but the structure itself */
    struct ph_event event;
    struct event_mqtt mqtt;    /* event.mqtt, if that is there */
    struct str method, target; /* absent: the usual */
    struct str key;            /* absent: the handler's */
    bool is_unsigned;
    bool left_out[PH_TEST_ATTRIBUTE_COUNT]; /* although encoding insists on them */
    bool has_body;                          /* `body` in place of what the event says */
    struct str body;
    struct test_header *headers;
    size_t header_count;
    const char *failed; /* why something could not be added */
};

/* Makes the request for a handler with this key, at this target. PH_ERR_ARGUMENT,
 * PH_ERR_MEMORY. What it holds is in the arena or the event. */
enum ph_err test_event__encode(const struct ph_test_event *e, struct str key, struct str target,
                               struct arena *a, struct http_request *out, struct diag *diag);

#endif
