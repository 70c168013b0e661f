#include "ws_client.h"

#include "ws/ws.h"

void ws_client__frame(struct buf *out, uint8_t first, struct str payload, const char key[4])
{
    char head[WS_MAX_HEADER];
    size_t len = ws__header(head, WS_OP_BINARY, payload.len);

    head[0] = (char)first;
    head[1] = (char)(head[1] | 0x80);
    buf__append(out, head, len);
    buf__append(out, key, 4);
    for (size_t i = 0; i < payload.len; i++)
        buf__byte(out, (char)(payload.ptr[i] ^ key[i % 4]));
}
