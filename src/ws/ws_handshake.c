#include "ws/ws_handshake.h"

#include "base/http.h"

#include <openssl/evp.h>

#define MAX_HEADERS 100
#define LINE_END "\r\n"

void ws_handshake__key(char out[WS_KEY_LEN + 1], const uint8_t nonce[WS_NONCE_LEN])
{
    EVP_EncodeBlock((unsigned char *)out, nonce, WS_NONCE_LEN);
}

static void put_header(struct buf *out, struct str name, struct str value)
{
    buf__str(out, name);
    buf__str(out, STR(": "));
    buf__str(out, value);
    buf__str(out, STR(LINE_END));
}

void ws_handshake__request(struct buf *out, const struct ws_request *req)
{
    buf__str(out, STR("GET "));
    buf__str(out, req->target);
    buf__str(out, STR(" HTTP/1.1" LINE_END));
    put_header(out, STR("Host"), req->host);
    put_header(out, STR("Upgrade"), STR("websocket"));
    put_header(out, STR("Connection"), STR("Upgrade"));
    put_header(out, STR("Sec-WebSocket-Key"), str__of(req->key));
    put_header(out, STR("Sec-WebSocket-Version"), STR("13"));
    if (req->subprotocol.ptr)
        put_header(out, STR("Sec-WebSocket-Protocol"), req->subprotocol);
    buf__str(out, STR(LINE_END));
}

size_t ws_handshake__head_len(struct str bytes)
{
    const char *end = bytes.len > 0 ? memmem(bytes.ptr, bytes.len, LINE_END LINE_END, 4) : NULL;

    return end ? (size_t)(end - bytes.ptr) + 4 : 0;
}

/* Takes a line off *rest. False: no line ends there. */
static bool next_line(struct str *rest, struct str *line)
{
    const char *end = rest->len > 0 ? memmem(rest->ptr, rest->len, LINE_END, 2) : NULL;
    size_t len = end ? (size_t)(end - rest->ptr) : 0;

    if (!end)
        return false;
    *line = str__n(rest->ptr, len);
    *rest = str__n(end + 2, rest->len - len - 2);
    return true;
}

/* "HTTP/1.1 101 Switching Protocols"; 0: it is no such line. */
static int read_status(struct str line)
{
    struct str version = STR("HTTP/1.1 ");
    int status = 0;

    if (!str__starts_with(line, version) || line.len < version.len + 3)
        return 0;
    for (size_t i = version.len; i < version.len + 3; i++) {
        if (line.ptr[i] < '0' || line.ptr[i] > '9')
            return 0;
        status = status * 10 + line.ptr[i] - '0';
    }
    return line.len == version.len + 3 || line.ptr[version.len + 3] == ' ' ? status : 0;
}

static enum ph_err read_headers(struct arena *a, struct str rest, struct http_headers *out,
                                struct diag *diag)
{
    struct str line, name;

    while (next_line(&rest, &line) && line.len > 0) {
        if (!str__split(&line, ':', &name) || !http__is_token(name) || str__has_control(line))
            return diag__set(diag, PH_ERR_SYNTAX, "the server's answer has a malformed header");
        if (out->count == MAX_HEADERS)
            return diag__set(diag, PH_ERR_SYNTAX, "the server's answer has too many headers");
        if (!http__add(a, out, name, str__trim(line)))
            return diag__set(diag, PH_ERR_MEMORY, "out of memory");
    }
    return PH_OK;
}

static enum ph_err refused(int status, struct diag *diag)
{
    static const struct {
        int status;
        enum ph_err err;
    } known[] = {{401, PH_ERR_AUTH}, {403, PH_ERR_FORBIDDEN}, {404, PH_ERR_NOT_FOUND}};
    enum ph_err err = PH_ERR_REFUSED;

    for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
        if (known[i].status == status)
            err = known[i].err;
    }
    return diag__set(diag, err, "the server answered the handshake with status %d %s", status,
                     http__reason(status));
}

/* Section 4.1, the client's list of what makes it fail the connection. */
static enum ph_err check(const struct http_headers *h, const struct ws_request *req,
                         struct diag *diag)
{
    struct str chosen = http__get(h, STR("Sec-WebSocket-Protocol"));
    struct str accept = http__get(h, STR("Sec-WebSocket-Accept"));
    char expected[WS_ACCEPT_LEN + 1];

    if (!ws__accept_key(str__of(req->key), expected))
        return diag__set(diag, PH_ERR_INTERNAL, "SHA-1 is not available");
    if (!str__eq_nocase(http__get(h, STR("Upgrade")), STR("websocket")) ||
        !http__lists(h, STR("Connection"), STR("upgrade")))
        return diag__set(diag, PH_ERR_SYNTAX, "the server did not upgrade to WebSocket");
    if (!accept.ptr || !str__eq(accept, str__of(expected)))
        return diag__set(diag, PH_ERR_SYNTAX,
                         "the server's Sec-WebSocket-Accept is not the one to our key");
    if (http__count(h, STR("Sec-WebSocket-Extensions")) > 0)
        return diag__set(diag, PH_ERR_SYNTAX, "the server uses an extension nobody offered");
    if (!req->subprotocol.ptr != !chosen.ptr ||
        (chosen.ptr && !str__eq_nocase(chosen, req->subprotocol)))
        return diag__set(diag, PH_ERR_SYNTAX,
                         "the server chose the subprotocol \"%.*s\" of \"%.*s\"", STR_FMT(chosen),
                         STR_FMT(req->subprotocol));
    return PH_OK;
}

enum ph_err ws_handshake__response(struct str head, const struct ws_request *req, struct diag *diag)
{
    struct http_headers headers = {0};
    struct arena a;
    struct str line;
    int status = next_line(&head, &line) ? read_status(line) : 0;
    enum ph_err err;

    if (status == 0)
        return diag__set(diag, PH_ERR_SYNTAX, "the server does not speak HTTP/1.1");
    if (status != 101)
        return refused(status, diag);
    arena__init(&a, NULL, 0, WS_MAX_RESPONSE_HEAD);
    err = read_headers(&a, head, &headers, diag);
    if (err == PH_OK)
        err = check(&headers, req, diag);
    arena__free(&a);
    return err;
}
