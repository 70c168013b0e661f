/* What came of a request: inside of struct ph_service_result. No I/O. */
#ifndef SERVICE_RESULT_H
#define SERVICE_RESULT_H

#include "service/operation.h"

struct result_detail {
    const char *code, *message;
};

struct result_connection {
    const char *id, *user_id;
};

struct ph_service_result {
    struct arena arena;
    enum ph_service_operation operation;
    enum ph_err err;
    struct diag why;
    int status;
    unsigned tries;
    int answer;
    const char *request_id;
    const char *code, *message, *target;
    const struct result_detail *details;
    size_t detail_count;
    const struct result_connection *connections;
    size_t connection_count;
    const char *continuation;
    const char *token;
};

/* NULL when memory is out; result__no_memory() then stands in for it. */
struct ph_service_result *result__new(enum ph_service_operation operation);
/* One that says so, to be freed like others. */
struct ph_service_result *result__no_memory(void);

/* Reads the answer to an operation. */
void result__read(struct ph_service_result *r, const struct operation *o,
                  const struct http_response *answer);
/* No answer came. */
void result__fail(struct ph_service_result *r, enum ph_err err, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#endif
