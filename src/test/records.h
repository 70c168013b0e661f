/* FastCGI's records as a web server writes and reads them, for one request on a connection of its
 * own (FastCGI specification, sections 3 and 8). */
#ifndef TEST_RECORDS_H
#define TEST_RECORDS_H

#include "base/buf.h"
#include "base/diag.h"
#include "test/variables.h"

#define RECORDS_MAX_TRAFFIC (64u << 20) /* bytes of a request, and of an answer */

/* Appends a whole request; out->failed: it is too large. */
void test_records__request(struct buf *out, const struct test_variables *variables,
                           struct str body);
/* Takes the whole records out of `in`, from *at on: the handler's output goes into `text`.
 * *ended: the request has. PH_ERR_SYSTEM: it was refused, or what came is not FastCGI. */
enum ph_err test_records__take(struct str in, size_t *at, struct buf *text, bool *ended,
                               struct diag *diag);

#endif
