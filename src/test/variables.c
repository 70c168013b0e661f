#include "test/variables.h"

#include "test/handler.h"

#define STATUS STR("Status: ")
#define MAX_FIXED 12 /* those that are no headers */

static bool put(struct arena *a, struct test_variables *v, struct str name, struct str value)
{
    char *copy = arena__strdup(a, value.ptr ? value : STR(""));

    v->items[v->count++] = (struct test_variable){name, str__n(copy, value.len)};
    return copy;
}

/* "ce-userId" is HTTP_CE_USERID. */
static struct str variable_name(struct arena *a, struct str header)
{
    bool plain = str__eq_nocase(header, STR("Content-Type"));
    char *name = arena__printf(a, "%s%.*s", plain ? "" : "HTTP_", STR_FMT(header));

    for (char *c = name; c && *c; c++)
        *c = *c == '-' ? '_' : *c >= 'a' && *c <= 'z' ? (char)(*c & ~0x20) : *c;
    return str__of(name);
}

static bool put_header(struct arena *a, struct test_variables *v, const struct http_header *h)
{
    struct str name = variable_name(a, h->name);

    if (!name.ptr)
        return false;
    for (size_t i = 0; i < v->count; i++) {
        struct test_variable *had = &v->items[i];

        if (!str__eq(had->name, name))
            continue;
        had->value =
            str__of(arena__printf(a, "%.*s, %.*s", STR_FMT(had->value), STR_FMT(h->value)));
        return had->value.ptr;
    }
    return put(a, v, name, h->value);
}

bool test_variables__of(const struct http_request *req, uint16_t port, struct arena *a,
                        struct test_variables *out)
{
    const struct {
        struct str name, value;
    } fixed[] = {
        {STR("GATEWAY_INTERFACE"), STR("CGI/1.1")},
        {STR("SERVER_PROTOCOL"), STR("HTTP/1.1")},
        {STR("SERVER_SOFTWARE"), STR("pubhooktest")},
        {STR("SERVER_NAME"), STR("localhost")},
        {STR("REMOTE_ADDR"), STR("127.0.0.1")},
        {STR("REQUEST_METHOD"), req->method},
        {STR("SCRIPT_NAME"), req->path},
        {STR("QUERY_STRING"), req->query},
        {STR("CONTENT_LENGTH"), str__of(arena__printf(a, "%zu", req->body.len))},
        {STR("SERVER_PORT"), str__of(arena__printf(a, "%u", port))},
        {STR("REQUEST_URI"),
         str__of(arena__printf(a, "%.*s%s%.*s", STR_FMT(req->path), req->query.ptr ? "?" : "",
                               STR_FMT(req->query)))},
    };
    bool fits = true;

    *out = (struct test_variables){
        arena__alloc(a, (MAX_FIXED + req->headers.count) * sizeof(*out->items)), 0};
    if (!out->items)
        return false;
    for (size_t i = 0; i < sizeof(fixed) / sizeof(*fixed); i++)
        fits = fits && put(a, out, fixed[i].name, fixed[i].value);
    for (size_t i = 0; fits && i < req->headers.count; i++) {
        /* what the web server has consumed itself */
        if (!str__eq_nocase(req->headers.items[i].name, STR("Content-Length")))
            fits = put_header(a, out, &req->headers.items[i]);
    }
    return fits;
}

/* But for its first line, it is an answer of HTTP. */
enum ph_err test_variables__answer(struct str bytes, struct arena *a, struct http_response *out,
                                   struct diag *diag)
{
    const struct str http = STR("HTTP/1.1 ");
    struct str rest;
    char *text, *at;

    if (!str__starts_with_nocase(bytes, STATUS))
        return diag__set(diag, PH_ERR_SYSTEM,
                         "the handler's answer begins with \"%.*s\", expected \"Status: \"",
                         bytes.len > 40 ? 40 : (int)bytes.len, bytes.ptr ? bytes.ptr : "");
    rest = str__n(bytes.ptr + STATUS.len, bytes.len - STATUS.len);
    text = at = arena__alloc(a, http.len + rest.len);
    if (!text)
        return diag__set(diag, PH_ERR_MEMORY, "out of memory");
    str__place(&at, http);
    str__place(&at, rest);
    return test_http__read(str__n(text, http.len + rest.len), a, out, diag);
}
