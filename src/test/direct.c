/* Events straight into ph_app_serve. */
#include "test/handler.h"

static enum ph_err out_of_memory(struct diag *diag)
{
    return diag__set(diag, PH_ERR_MEMORY, "out of memory");
}

static bool copy_response(const struct ph_response *from, struct arena *a,
                          struct http_response *out)
{
    const char *name, *value;
    const void *body;
    size_t len;

    *out = (struct http_response){.status = ph_response_status(from)};
    for (size_t i = 0; (name = ph_response_header(from, i, &value)); i++) {
        char *n = arena__strdup(a, str__of(name)), *v = arena__strdup(a, str__of(value));

        if (!n || !v || !http__add(a, &out->headers, str__of(n), str__of(v)))
            return false;
    }
    body = ph_response_body(from, &len);
    out->body = str__n(arena__dup(a, body, len), len);
    return out->body.ptr;
}

static struct ph_request *make_request(const struct http_request *req, struct arena *a)
{
    const char *method = arena__strdup(a, req->method);
    const char *target = arena__printf(a, "%.*s%s%.*s", STR_FMT(req->path),
                                       req->query.ptr ? "?" : "", STR_FMT(req->query));
    struct ph_request *made = method && target ? ph_request_new(method, target) : NULL;

    for (size_t i = 0; made && i < req->headers.count; i++) {
        const struct http_header *h = &req->headers.items[i];

        if (ph_request_add_header(made, h->name.ptr, h->name.len, h->value.ptr, h->value.len)) {
            ph_request_free(made);
            made = NULL;
        }
    }
    if (made)
        ph_request_set_body(made, req->body.ptr, req->body.len);
    return made;
}

enum ph_err test_direct__call(const struct ph_test_handler *h, const struct http_request *req,
                              struct arena *a, struct http_response *out, struct diag *diag)
{
    struct ph_request *request = make_request(req, a);
    struct ph_response *response = ph_response_new();
    enum ph_err err = PH_OK;

    if (!request || !response)
        err = out_of_memory(diag);
    else
        ph_app_serve(h->app, request, response); /* what is wrong is in the response */
    if (!err && !copy_response(response, a, out))
        err = out_of_memory(diag);
    ph_request_free(request);
    ph_response_free(response);
    return err;
}
