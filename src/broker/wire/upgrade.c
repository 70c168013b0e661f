#include "broker/wire/upgrade.h"

#include "ws/ws.h"

static int refuse(struct diag *diag, int status, const char *why)
{
    diag__set(diag, PH_ERR_SYNTAX, "%s", why);
    return status;
}

int upgrade__check(const struct http_request *req, struct str *key, struct diag *diag)
{
    const struct http_headers *h = &req->headers;

    if (!http__lists(h, STR("Upgrade"), STR("websocket")))
        return refuse(diag, 400,
                      "not a WebSocket upgrade: open this URL with a WebSocket client (ws:// or "
                      "wss://); behind a proxy, let it pass the Upgrade header");
    if (!http__lists(h, STR("Connection"), STR("upgrade")))
        return refuse(diag, 400,
                      "not a WebSocket upgrade: the Connection header has no `upgrade`; behind a "
                      "proxy, set `Connection: upgrade` towards the broker");
    if (!str__eq(req->method, STR("GET")))
        return refuse(diag, 400, "a WebSocket upgrade must be a GET request");
    if (http__count(h, STR("Sec-WebSocket-Version")) != 1 ||
        !str__eq(str__trim(http__get(h, STR("Sec-WebSocket-Version"))), STR("13")))
        return refuse(diag, 426, "expected one header Sec-WebSocket-Version: 13");
    *key = str__trim(http__get(h, STR("Sec-WebSocket-Key")));
    if (http__count(h, STR("Sec-WebSocket-Key")) != 1 || !ws__valid_key(*key))
        return refuse(diag, 400, "expected one Sec-WebSocket-Key with 16 bytes in base64");
    return 0;
}

static int add_offers(struct str value, struct str *offered, size_t *count, struct diag *diag)
{
    struct str part;

    while (str__split(&value, ',', &part)) {
        part = str__trim(part);
        if (part.len == 0)
            continue;
        /* What is echoed into a response header must be a token. */
        if (!http__is_token(part))
            return refuse(diag, 400, "Sec-WebSocket-Protocol holds a name that is no token");
        if (*count == UPGRADE_MAX_SUBPROTOCOLS)
            return refuse(diag, 400, "Sec-WebSocket-Protocol offers more than 64 subprotocols");
        offered[(*count)++] = part;
    }
    return 0;
}

int upgrade__offered(struct arena *a, const struct http_headers *headers, struct str **offered,
                     size_t *count, struct diag *diag)
{
    struct str name = STR("Sec-WebSocket-Protocol");
    int status = 0;

    *count = 0;
    *offered = NULL;
    if (http__count(headers, name) == 0)
        return 0;
    *offered = arena__alloc(a, UPGRADE_MAX_SUBPROTOCOLS * sizeof(**offered));
    if (!*offered)
        return refuse(diag, 503, "no memory for the offered subprotocols");
    for (size_t i = 0; i < headers->count && status == 0; i++) {
        if (str__eq_nocase(headers->items[i].name, name))
            status = add_offers(headers->items[i].value, *offered, count, diag);
    }
    return status;
}
