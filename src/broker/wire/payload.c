#include "broker/wire/payload.h"

struct frame *payload__frame(enum ws_opcode opcode, struct str payload)
{
    char header[WS_MAX_HEADER];
    size_t header_len = ws__header(header, opcode, payload.len);
    struct frame *f;

    if (payload.len > PAYLOAD_MAX)
        return NULL;
    f = frame__new((uint32_t)(header_len + payload.len));
    if (!f)
        return NULL;
    f->opcode = (uint8_t)opcode;
    memcpy(f->bytes, header, header_len);
    if (payload.len > 0)
        memcpy(f->bytes + header_len, payload.ptr, payload.len);
    return f;
}

struct frame *payload__take(enum ws_opcode opcode, struct buf *b)
{
    struct frame *f = b->failed ? NULL : payload__frame(opcode, buf__view(b));

    buf__free(b);
    return f;
}

struct frame *payload__sequenced(enum ws_opcode opcode, struct str start)
{
    struct frame *f = start.len <= PAYLOAD_MAX ? frame__new((uint32_t)start.len) : NULL;

    if (!f)
        return NULL;
    f->opcode = (uint8_t)opcode;
    f->sequenced = true;
    memcpy(f->bytes, start.ptr, start.len);
    return f;
}
