#include "serve/gateway.h"

/* Bytes asked of the body's source at once. */
#define CHUNK 16384

struct str gateway__variable(const char *const *variables, struct str name)
{
    for (; *variables; variables++) {
        if (strncmp(*variables, name.ptr, name.len) == 0 && (*variables)[name.len] == '=')
            return str__of(*variables + name.len + 1);
    }
    return STR_NONE;
}

/* REQUEST_URI is what the client sent; RFC 3875 knows only the decoded parts. */
static struct str target(struct arena *a, const char *const *variables)
{
    struct str uri = gateway__variable(variables, STR("REQUEST_URI"));
    struct str script, info, query;
    char *joined;

    if (uri.len > 0)
        return uri;
    script = gateway__variable(variables, STR("SCRIPT_NAME"));
    info = gateway__variable(variables, STR("PATH_INFO"));
    query = gateway__variable(variables, STR("QUERY_STRING"));
    joined = arena__printf(a, "%.*s%.*s%s%.*s", STR_FMT(script), STR_FMT(info),
                           query.len > 0 ? "?" : "", STR_FMT(query));
    return str__of(joined);
}

/* HTTP_CE_USERID is "ce-userid": the web server's names know neither case nor dashes.
 * What the server consumed itself (framing), or says in another variable, is left out. */
static struct str header_name(struct arena *a, struct str variable)
{
    static const struct str rows[][2] = {{{"CONTENT_TYPE", 12}, {"content-type", 12}},
                                         {{"CONTENT_LENGTH", 14}, {"content-length", 14}},
                                         {{"HTTP_CONTENT_TYPE", 17}, {NULL, 0}},
                                         {{"HTTP_CONTENT_LENGTH", 19}, {NULL, 0}},
                                         {{"HTTP_TRANSFER_ENCODING", 22}, {NULL, 0}}};
    struct str prefix = STR("HTTP_");
    char *name;

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        if (str__eq(variable, rows[i][0]))
            return rows[i][1];
    }
    if (!str__starts_with(variable, prefix) || variable.len == prefix.len)
        return STR_NONE;
    name = arena__dup(a, variable.ptr + prefix.len, variable.len - prefix.len);
    for (char *c = name; c && *c; c++)
        *c = *c == '_' ? '-' : *c >= 'A' && *c <= 'Z' ? (char)(*c + ('a' - 'A')) : *c;
    return str__of(name);
}

static bool add_headers(struct ph_request *request, const char *const *variables)
{
    for (; *variables; variables++) {
        struct str value = str__of(*variables), variable, name;

        if (!str__split(&value, '=', &variable))
            continue;
        name = header_name(&request->arena, variable);
        /* an empty CONTENT_LENGTH means that there is no body */
        if (!name.ptr || (value.len == 0 && str__starts_with(variable, STR("CONTENT_"))))
            continue;
        if (!app__request_add_borrowed(request, name,
                                       str__n(value.ptr ? value.ptr : "", value.len)))
            return false;
    }
    return true;
}

static struct ph_request *make_request(const char *const *variables)
{
    struct str method = gateway__variable(variables, STR("REQUEST_METHOD"));
    struct ph_request *request = app__request_borrow(method, STR(""));

    if (!request)
        return NULL;
    http__set_target(&request->http, target(&request->arena, variables));
    if (request->http.path.ptr && add_headers(request, variables))
        return request;
    ph_request_free(request);
    return NULL;
}

/* Reads to the end in any case: a rest would be taken for the next request. */
static void read_body(gateway_read_fn *read, void *source, struct buf *body)
{
    char chunk[CHUNK];
    size_t n;

    while ((n = read(source, chunk, sizeof(chunk))) > 0)
        buf__append(body, chunk, n);
}

static bool is_complete(const struct ph_request *request, const struct buf *body)
{
    struct str length = http__get(&request->http.headers, STR("Content-Length"));
    uint64_t expected;

    return !length.ptr || (str__to_u64(length, &expected) && expected == body->len);
}

static void respond(struct ph_app *app, struct ph_request *request, struct buf *body,
                    struct ph_response *response)
{
    if (app__check_head(app, request, response))
        return;
    if (body->failed) {
        app__refuse(app, request, response, 413, "the body is larger than this server allows");
    } else if (!is_complete(request, body)) {
        app__refuse(app, request, response, 400,
                    "the body is shorter or longer than Content-Length says");
    } else {
        ph_request_set_body(request, buf__view(body).ptr, body->len);
        app__serve_checked(app, request, response);
    }
}

static void write_response(const struct http_response *res, struct buf *out)
{
    buf__printf(out, "Status: %d %s\r\n", res->status, http__reason(res->status));
    for (size_t i = 0; i < res->headers.count; i++) {
        buf__str(out, res->headers.items[i].name);
        buf__str(out, STR(": "));
        buf__str(out, res->headers.items[i].value);
        buf__str(out, STR("\r\n"));
    }
    if (res->status != 204)
        buf__printf(out, "Content-Length: %zu\r\n", res->body.len);
    buf__str(out, STR("\r\n"));
    buf__str(out, res->body);
}

void gateway__serve(struct ph_app *app, const char *const *variables, gateway_read_fn *read,
                    void *source, struct buf *out)
{
    struct ph_request *request = make_request(variables);
    struct ph_response *response = ph_response_new();
    struct buf body;

    buf__init(&body, ph_app_limit(app, PH_LIMIT_BODY));
    read_body(read, source, &body);
    if (request && response) {
        respond(app, request, &body, response);
        write_response(&response->http, out);
    }
    if (out->failed || !request || !response) {
        buf__reset(out);
        buf__str(out, STR("Status: 500 Internal Server Error\r\n\r\n"));
    }
    buf__free(&body);
    ph_request_free(request);
    ph_response_free(response);
}
