/* The web server's side of FastCGI: one request on a connection of its own. */
#include "base/clock.h"
#include "test/handler.h"
#include "test/socket.h"
#include "test/variables.h"

#include <unistd.h>

#define MAX_TRAFFIC (64u << 20)
#define MAX_RECORD 65535
#define HEAD 8 /* bytes of a record's header */

/* FastCGI specification, section 8. */
enum {
    BEGIN_REQUEST = 1,
    END_REQUEST = 3,
    PARAMS = 4,
    STDIN = 5,
    STDOUT = 6,
};

static void record(struct buf *out, char type, struct str content)
{
    const char head[HEAD] = {
        1, type, 0, 1, (char)(content.len >> 8), (char)(content.len & 0xff), 0, 0,
    };

    buf__append(out, head, sizeof(head));
    buf__str(out, content);
}

/* In as many records as it takes, and an empty one at the end. */
static void stream(struct buf *out, char type, struct str content)
{
    while (content.len > 0) {
        size_t part = content.len > MAX_RECORD ? MAX_RECORD : content.len;

        record(out, type, str__n(content.ptr, part));
        content = str__n(content.ptr + part, content.len - part);
    }
    record(out, type, STR(""));
}

/* One byte below 128, else four (section 3.4). */
static void length(struct buf *out, size_t len)
{
    const char bytes[4] = {(char)(0x80 | (len >> 24 & 0x7f)), (char)(len >> 16), (char)(len >> 8),
                           (char)len};

    if (len < 0x80)
        buf__byte(out, (char)len);
    else
        buf__append(out, bytes, sizeof(bytes));
}

static void params(struct buf *out, const struct test_variables *variables)
{
    struct buf text;

    buf__init(&text, MAX_TRAFFIC);
    for (size_t i = 0; i < variables->count; i++) {
        length(&text, variables->items[i].name.len);
        length(&text, variables->items[i].value.len);
        buf__str(&text, variables->items[i].name);
        buf__str(&text, variables->items[i].value);
    }
    out->failed = out->failed || text.failed;
    stream(out, PARAMS, buf__view(&text));
    buf__free(&text);
}

/* Takes whole records out of what came: its output into `text`. True: the request has ended. */
static bool take_records(struct buf *in, size_t *at, struct buf *text)
{
    while (in->len - *at >= HEAD) {
        const unsigned char *head = (const unsigned char *)in->data + *at;
        size_t len = (size_t)head[4] << 8 | head[5], whole = HEAD + len + head[6];

        if (in->len - *at < whole)
            return false;
        if (head[1] == STDOUT)
            buf__append(text, head + HEAD, len);
        *at += whole;
        if (head[1] == END_REQUEST)
            return true;
    }
    return false;
}

static enum ph_err read_answer(int fd, int64_t until, struct buf *text, struct diag *diag)
{
    bool more = true, ended = false;
    enum ph_err err = PH_OK;
    struct buf in;
    size_t at = 0;

    buf__init(&in, MAX_TRAFFIC);
    while (!err && more && !ended) {
        err = test_socket__read(fd, &in, until, &more, diag);
        ended = !err && take_records(&in, &at, text);
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
    static const char begin[8] = {0, 1 /* responder */, 0 /* close at the end */};
    struct test_variables variables;
    struct buf request, answer;
    enum ph_err err;

    if (!test_variables__of(req, h->port, a, &variables))
        return diag__set(diag, PH_ERR_MEMORY, "out of memory");
    buf__init(&request, MAX_TRAFFIC);
    buf__init(&answer, MAX_TRAFFIC);
    record(&request, BEGIN_REQUEST, str__n(begin, sizeof(begin)));
    params(&request, &variables);
    stream(&request, STDIN, req->body);
    err = request.failed
              ? diag__set(diag, PH_ERR_ARGUMENT, "the event is larger than %u bytes", MAX_TRAFFIC)
              : exchange(h, buf__view(&request), &answer, diag);
    if (!err)
        err = test_variables__answer(buf__view(&answer), a, out, diag);
    buf__free(&request);
    buf__free(&answer);
    return err;
}
