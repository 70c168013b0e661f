/* Events over HTTP, each on a connection of its own. */
#include "base/clock.h"
#include "broker/http/http_reader.h"
#include "broker/http/http_writer.h"
#include "test/handler.h"
#include "test/socket.h"

#include <unistd.h>

#define MAX_REQUEST (64u << 20)
#define READ_LIMITS                                                                                \
    ((struct http_reader_limits){{.headers = 1000, .header_bytes = 1u << 20}, 64u << 20})

static bool copy_response(const struct http_response *from, struct arena *a,
                          struct http_response *out)
{
    *out = (struct http_response){.status = from->status};
    for (size_t i = 0; i < from->headers.count; i++) {
        const struct http_header *h = &from->headers.items[i];
        char *name = arena__strdup(a, h->name), *value = arena__strdup(a, h->value);

        if (!name || !value ||
            !http__add(a, &out->headers, str__n(name, h->name.len), str__n(value, h->value.len)))
            return false;
    }
    out->body =
        str__n(arena__dup(a, from->body.ptr ? from->body.ptr : "", from->body.len), from->body.len);
    return out->body.ptr;
}

static enum ph_err take_response(struct http_reader *r, enum http_verdict verdict, struct arena *a,
                                 struct http_response *out, struct diag *diag)
{
    if (verdict != HTTP_DONE)
        return diag__set(diag, PH_ERR_SYSTEM, "the handler's answer: %s", r->why.text);
    return copy_response(&r->response, a, out) ? PH_OK
                                               : diag__set(diag, PH_ERR_MEMORY, "out of memory");
}

enum ph_err test_http__read(struct str bytes, struct arena *a, struct http_response *out,
                            struct diag *diag)
{
    const struct http_reader_limits limits = READ_LIMITS;
    struct http_reader reader;
    enum http_verdict verdict;
    enum ph_err err;

    http_reader__init(&reader, &limits);
    verdict = http_reader__take(&reader, bytes);
    if (verdict == HTTP_MORE)
        verdict = http_reader__end(&reader, true);
    err = take_response(&reader, verdict, a, out, diag);
    http_reader__free(&reader);
    return err;
}

static enum ph_err read_response(int fd, int64_t until, struct arena *a, struct http_response *out,
                                 struct diag *diag)
{
    const struct http_reader_limits limits = READ_LIMITS;
    enum http_verdict verdict = HTTP_MORE;
    struct http_reader reader;
    enum ph_err err = PH_OK;
    bool more = true;
    struct buf in;

    http_reader__init(&reader, &limits);
    buf__init(&in, MAX_REQUEST);
    while (!err && more && verdict == HTTP_MORE) {
        buf__reset(&in);
        err = test_socket__read(fd, &in, until, &more, diag);
        if (in.len > 0)
            verdict = http_reader__take(&reader, buf__view(&in));
    }
    if (!err && verdict == HTTP_MORE)
        verdict = http_reader__end(&reader, true);
    if (!err)
        err = take_response(&reader, verdict, a, out, diag);
    buf__free(&in);
    http_reader__free(&reader);
    return err;
}

enum ph_err test_http__call(const struct ph_test_handler *h, const struct http_request *req,
                            struct arena *a, struct http_response *out, struct diag *diag)
{
    const struct http_target target = {
        .host = STR("127.0.0.1"),
        .authority = str__of(arena__printf(a, "127.0.0.1:%u", h->port)),
        .path = str__of(arena__printf(a, "%.*s%s%.*s", STR_FMT(req->path),
                                      req->query.ptr ? "?" : "", STR_FMT(req->query))),
        .port = h->port,
    };
    int64_t until = clock__mono_ms() + h->timeout_ms;
    enum ph_err err;
    struct buf text;
    int fd;

    err = test_socket__connect(h->port, &fd, diag);
    if (err)
        return err;
    buf__init(&text, MAX_REQUEST);
    if (!http_writer__head(&text, req, &target, STR_NONE))
        err = diag__set(diag, PH_ERR_ARGUMENT,
                        "a header of the event cannot be sent over HTTP: it holds a line end");
    buf__str(&text, req->body);
    if (!err && text.failed)
        err = diag__set(diag, PH_ERR_ARGUMENT, "the event is larger than %u bytes", MAX_REQUEST);
    if (!err)
        err = test_socket__write(fd, buf__view(&text), until, diag);
    if (!err)
        err = read_response(fd, until, a, out, diag);
    buf__free(&text);
    close(fd);
    return err;
}
