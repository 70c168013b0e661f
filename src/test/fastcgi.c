/* The web server's side of FastCGI: one request on a connection of its own. */
#include "base/clock.h"
#include "test/handler.h"
#include "test/records.h"
#include "test/socket.h"
#include "test/variables.h"

#include <unistd.h>

static enum ph_err read_answer(int fd, int64_t until, struct buf *text, struct diag *diag)
{
    bool more = true, ended = false;
    enum ph_err err = PH_OK;
    struct buf in;
    size_t at = 0;

    buf__init(&in, RECORDS_MAX_TRAFFIC);
    while (!err && more && !ended) {
        err = test_socket__read(fd, &in, until, &more, diag);
        if (!err)
            err = test_records__take(buf__view(&in), &at, text, &ended, diag);
    }
    if (!err && !ended)
        err = diag__set(diag, PH_ERR_SYSTEM,
                        "the handler has closed the connection of FastCGI before the end");
    buf__free(&in);
    return err;
}

static enum ph_err exchange(const struct ph_test_handler *h, struct str request, struct buf *answer,
                            struct diag *diag)
{
    int64_t until = clock__mono_ms() + h->timeout_ms;
    enum ph_err err;
    int fd;

    err = test_socket__connect(h->port, &fd, diag);
    if (err)
        return err;
    err = test_socket__write(fd, request, until, diag);
    if (!err)
        err = read_answer(fd, until, answer, diag);
    close(fd);
    return err;
}

enum ph_err test_fastcgi__call(const struct ph_test_handler *h, const struct http_request *req,
                               struct arena *a, struct http_response *out, struct diag *diag)
{
    struct test_variables variables;
    struct buf request, answer;
    enum ph_err err;

    if (!test_variables__of(req, h->port, a, &variables))
        return diag__set(diag, PH_ERR_MEMORY, "out of memory");
    buf__init(&request, RECORDS_MAX_TRAFFIC);
    buf__init(&answer, RECORDS_MAX_TRAFFIC);
    test_records__request(&request, &variables, req->body);
    err = request.failed ? diag__set(diag, PH_ERR_ARGUMENT, "the event is larger than %u bytes",
                                     RECORDS_MAX_TRAFFIC)
                         : exchange(h, buf__view(&request), &answer, diag);
    if (!err)
        err = test_variables__answer(buf__view(&answer), a, out, diag);
    buf__free(&request);
    buf__free(&answer);
    return err;
}
