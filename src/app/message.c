/* Requests and responses of pubhook/app.h: plain data in an allocation of their own. */
#include "app/app.h"

#include <stdlib.h>

/* An event of a real service has about 20 headers of 1 KiB together: one allocation
 * for the request and one for the response, the decoded event included. */
#define REQUEST_TAIL 3072
#define RESPONSE_TAIL 3072
#define REQUEST_MAX_MEMORY (16u << 20)

struct ph_request *app__request_new(void)
{
    struct ph_request *req = malloc(sizeof(*req) + REQUEST_TAIL);

    if (!req)
        return NULL;
    *req = (struct ph_request){.http = {.method = STR_NONE}};
    arena__init(&req->arena, req + 1, REQUEST_TAIL, REQUEST_MAX_MEMORY);
    return req;
}

void app__request_reset(struct ph_request *req)
{
    arena__reset(&req->arena);
    req->http = (struct http_request){.method = STR_NONE};
}

void app__response_reset(struct ph_response *res)
{
    arena__reset(&res->arena);
    res->http = (struct http_response){.status = 0};
    res->call.app = NULL;
}

bool app__request_add_borrowed(struct ph_request *req, struct str name, struct str value)
{
    return http__add(&req->arena, &req->http.headers, name, value);
}

struct ph_request *ph_request_new(const char *method, const char *target)
{
    struct ph_request *req = method && target ? app__request_new() : NULL;
    char *method_copy, *target_copy;

    if (!req)
        return NULL;
    method_copy = arena__strdup(&req->arena, str__of(method));
    target_copy = arena__strdup(&req->arena, str__of(target));
    if (!method_copy || !target_copy) {
        ph_request_free(req);
        return NULL;
    }
    req->http.method = str__of(method_copy);
    http__set_target(&req->http, str__of(target_copy));
    return req;
}

void ph_request_free(struct ph_request *request)
{
    if (!request)
        return;
    arena__free(&request->arena);
    free(request);
}

enum ph_err ph_request_add_header(struct ph_request *request, const char *name, size_t name_len,
                                  const char *value, size_t value_len)
{
    char *name_copy, *value_copy;

    if (!request || !name || (!value && value_len > 0))
        return PH_ERR_ARGUMENT;
    name_copy = arena__dup(&request->arena, name, name_len);
    value_copy = arena__dup(&request->arena, value, value_len);
    if (!name_copy || !value_copy ||
        !app__request_add_borrowed(request, str__n(name_copy, name_len),
                                   str__n(value_copy, value_len)))
        return PH_ERR_MEMORY;
    return PH_OK;
}

void ph_request_set_body(struct ph_request *request, const void *body, size_t len)
{
    if (request)
        request->http.body = str__n(body, len);
}

struct ph_response *ph_response_new(void)
{
    struct ph_response *res = malloc(sizeof(*res) + RESPONSE_TAIL);

    if (!res)
        return NULL;
    *res = (struct ph_response){.http = {.status = 0}};
    arena__init(&res->arena, res + 1, RESPONSE_TAIL, SIZE_MAX);
    return res;
}

void ph_response_free(struct ph_response *response)
{
    if (!response)
        return;
    arena__free(&response->arena);
    free(response);
}

int ph_response_status(const struct ph_response *response)
{
    return response->http.status;
}

const char *ph_response_header(const struct ph_response *response, size_t at, const char **value)
{
    if (at >= response->http.headers.count)
        return NULL;
    if (value)
        *value = response->http.headers.items[at].value.ptr;
    return response->http.headers.items[at].name.ptr;
}

const void *ph_response_body(const struct ph_response *response, size_t *len)
{
    if (len)
        *len = response->http.body.len;
    return response->http.body.ptr ? response->http.body.ptr : "";
}
