/* The WebSocket decoder. The first byte says in what pieces the rest arrives, and whether a server
 * has sent it (128) or a client; whatever the pieces are, the events must be those of the input in
 * one piece, text must be UTF-8, and no memory may be held between messages. */
#include "base/buf.h"
#include "ws/ws.h"

#include <stdlib.h>

#define MAX_MESSAGE 4096
#define MAX_FRAMES 16
#define FROM_SERVER 128

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition)
        abort();
}

static void check_event(const struct ws *ws, const struct ws_event *ev)
{
    if (ev->type == WS_MESSAGE)
        require(ev->data.len <= MAX_MESSAGE && (ev->binary || utf8__valid(ev->data)));
    if (ev->type == WS_PING || ev->type == WS_PONG)
        require(ev->data.len <= WS_MAX_CONTROL);
    if (ev->type == WS_CLOSE)
        require(ev->code == WS_CLOSE_NONE || ws__valid_close_code(ev->code));
    if (ev->type == WS_ERROR)
        require(ws__valid_close_code(ev->code) && ev->data.len <= WS_MAX_CONTROL - 2);
    require(ws->done == (ev->type == WS_CLOSE || ev->type == WS_ERROR));
}

static void write_event(struct buf *out, const struct ws_event *ev)
{
    buf__byte(out, (char)ev->type);
    buf__byte(out, ev->binary);
    buf__u64(out, ev->code);
    buf__byte(out, ':');
    buf__u64(out, ev->data.len);
    buf__byte(out, ':');
    buf__str(out, ev->data);
}

static void run(struct str input, bool from_server, size_t step, struct buf *out)
{
    struct ws_event ev;
    struct ws ws;

    if (from_server)
        ws__init_client(&ws, MAX_MESSAGE, MAX_FRAMES);
    else
        ws__init(&ws, MAX_MESSAGE, MAX_FRAMES);
    while (input.len > 0) {
        size_t len = step && step < input.len ? step : input.len;
        char *piece = malloc(len), *at = piece;

        require(piece != NULL);
        memcpy(piece, input.ptr, len);
        while (ws__next(&ws, &at, piece + len, &ev) != WS_NEED_MORE) {
            check_event(&ws, &ev);
            write_event(out, &ev);
        }
        require(at == piece + len);
        require(!ws.partial || ws.in_payload || ws.message_opcode != WS_OP_CONTINUATION);
        free(piece);
        input = str__n(input.ptr + len, input.len - len);
    }
    ws__free(&ws);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf whole, pieces;
    bool from_server;

    if (size < 2)
        return 0;
    from_server = data[0] & FROM_SERVER;
    buf__init(&whole, 1u << 24);
    buf__init(&pieces, 1u << 24);
    run(str__n(data + 1, size - 1), from_server, 0, &whole);
    run(str__n(data + 1, size - 1), from_server, 1 + data[0] % FROM_SERVER, &pieces);
    require(str__eq(buf__view(&whole), buf__view(&pieces)));
    buf__free(&whole);
    buf__free(&pieces);
    return 0;
}
