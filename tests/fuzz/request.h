/* A request out of a fuzz input: "METHOD TARGET", header lines, an empty line, the
 * body; lines end in LF. No HTTP library in between, and no more of HTTP than this. */
#ifndef TESTS_FUZZ_REQUEST_H
#define TESTS_FUZZ_REQUEST_H

#include "base/http.h"

/* False when a listener would not let it through to us. */
bool request__read(struct arena *a, struct str input, struct http_request *req);

#endif
