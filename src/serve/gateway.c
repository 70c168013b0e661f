#include "serve/gateway.h"

/* Bytes asked of the body's source at once. */
#define CHUNK 16384
/* Largest response: what handlers may answer (event-handler section 3.6) and a head. */
#define RESPONSE_MAX ((16 << 20) + 65536)
/* A buffer of a response up to this size is kept for the next. */
#define KEEP_BUFFER 65536

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

static bool read_head(struct ph_request *request, const char *const *variables)
{
    request->http.method = gateway__variable(variables, STR("REQUEST_METHOD"));
    http__set_target(&request->http, target(&request->arena, variables));
    return request->http.path.ptr && add_headers(request, variables);
}

/* Reads to the end in any case: a rest would be taken for the next request. */
static void read_body(gateway_read_fn *read, void *source, struct buf *body)
{
    char chunk[CHUNK];
    size_t n;

    while ((n = read(source, chunk, sizeof(chunk))) > 0)
        buf__append(body, chunk, n);
}

static bool is_complete(const struct gateway *g)
{
    struct str length = http__get(&g->exchange.request->http.headers, STR("Content-Length"));
    uint64_t expected;

    return !length.ptr || (str__to_u64(length, &expected) && expected == g->exchange.body.len);
}

void gateway__refuse(struct gateway *g, int status, const char *why)
{
    app__refuse(g->app, g->exchange.request, g->exchange.response, status, why);
}

static bool ask(struct gateway *g, ph_served_fn *done, void *arg)
{
    ph_request_set_body(g->exchange.request, buf__view(&g->exchange.body).ptr,
                        g->exchange.body.len);
    if (done)
        return app__serve_checked(g->app, g->exchange.request, g->exchange.response, done, arg);
    app__serve_waiting(g->app, g->exchange.request, g->exchange.response);
    return true;
}

static bool respond(struct gateway *g, ph_served_fn *done, void *arg)
{
    if (app__check_head(g->app, g->exchange.request, g->exchange.response))
        return true;
    if (!g->exchange.body.failed && is_complete(g))
        return ask(g, done, arg);
    if (g->exchange.body.failed)
        gateway__refuse(g, 413, "the body is larger than this server allows");
    else
        gateway__refuse(g, 400, "the body is shorter or longer than Content-Length says");
    return true;
}

static void write_number(struct buf *out, struct str name, uint64_t value, struct str rest)
{
    buf__str(out, name);
    buf__u64(out, value);
    buf__str(out, rest);
}

static void write_response(const struct http_response *res, struct buf *out)
{
    write_number(out, STR("Status: "), (uint64_t)res->status, STR(" "));
    buf__str(out, str__of(http__reason(res->status)));
    buf__str(out, STR("\r\n"));
    for (size_t i = 0; i < res->headers.count; i++) {
        buf__str(out, res->headers.items[i].name);
        buf__str(out, STR(": "));
        buf__str(out, res->headers.items[i].value);
        buf__str(out, STR("\r\n"));
    }
    if (res->status != 204)
        write_number(out, STR("Content-Length: "), res->body.len, STR("\r\n"));
    buf__str(out, STR("\r\n"));
    buf__str(out, res->body);
}

bool gateway__serve(struct gateway *g, const char *const *variables, gateway_read_fn *read,
                    void *source, ph_served_fn *done, void *arg)
{
    g->taken = read_head(g->exchange.request, variables);
    read_body(read, source, &g->exchange.body);
    return !g->taken || respond(g, done, arg);
}

struct str gateway__response(struct gateway *g)
{
    if (g->taken)
        write_response(&g->exchange.response->http, &g->out);
    if (g->taken && !g->out.failed)
        return buf__view(&g->out);
    return STR("Status: 500 Internal Server Error\r\n\r\n");
}

bool gateway__init(struct gateway *g, struct ph_app *app)
{
    *g = (struct gateway){.app = app};
    buf__init(&g->out, RESPONSE_MAX);
    return exchange__init(&g->exchange, app);
}

void gateway__free(struct gateway *g)
{
    exchange__fini(&g->exchange);
    buf__free(&g->out);
}

void gateway__reset(struct gateway *g)
{
    exchange__reset(&g->exchange);
    if (g->out.cap > KEEP_BUFFER)
        buf__free(&g->out);
    buf__reset(&g->out);
}
