/* What a web server tells a CGI or FastCGI program, and what it makes of the answer. */
#ifndef TEST_VARIABLES_H
#define TEST_VARIABLES_H

#include "base/buf.h"
#include "base/http.h"

struct test_variable {
    struct str name, value; /* each with a NUL behind it */
};

struct test_variables {
    struct test_variable *items;
    size_t count;
};

/* RFC 3875 section 4.1; headers that repeat are joined, as web servers do. False: no memory. */
bool test_variables__of(const struct http_request *req, uint16_t port, struct arena *a,
                        struct test_variables *out);
/* An answer that begins with the header "Status". PH_ERR_SYSTEM, PH_ERR_MEMORY. */
enum ph_err test_variables__answer(struct str bytes, struct arena *a, struct http_response *out,
                                   struct diag *diag);

#endif
