/* Frames that we send (RFC 6455 section 5), which are always final. */
#include "ws/ws.h"

#define FIN 0x80
#define MASK 0x80

size_t ws__header(char out[WS_MAX_HEADER], enum ws_opcode opcode, uint64_t len)
{
    out[0] = (char)(FIN | opcode);
    if (len < 126) {
        out[1] = (char)len;
        return 2;
    }
    if (len <= UINT16_MAX) {
        out[1] = 126;
        out[2] = (char)(len >> 8);
        out[3] = (char)len;
        return 4;
    }
    out[1] = 127;
    for (size_t i = 0; i < 8; i++)
        out[2 + i] = (char)(len >> 8 * (7 - i));
    return 10;
}

size_t ws__masked_header(char out[WS_MAX_MASKED_HEADER], enum ws_opcode opcode, uint64_t len,
                         const uint8_t key[WS_MASK_KEY_LEN])
{
    size_t head = ws__header(out, opcode, len);

    out[1] = (char)(MASK | out[1]);
    memcpy(out + head, key, WS_MASK_KEY_LEN);
    return head + WS_MASK_KEY_LEN;
}

size_t ws__control_frame(char out[WS_MAX_CONTROL_FRAME], enum ws_opcode opcode, struct str payload)
{
    size_t len = payload.len < WS_MAX_CONTROL ? payload.len : WS_MAX_CONTROL;
    size_t head = ws__header(out, opcode, len);

    if (len > 0)
        memcpy(out + head, payload.ptr, len);
    return head + len;
}

size_t ws__close_payload(char out[WS_MAX_CONTROL], uint16_t code, struct str reason)
{
    size_t len = utf8__cut(reason, WS_MAX_CONTROL - 2).len;

    if (!ws__valid_close_code(code))
        return 0;
    out[0] = (char)(code >> 8);
    out[1] = (char)code;
    if (len > 0)
        memcpy(out + 2, reason.ptr, len);
    return 2 + len;
}

size_t ws__close_frame(char out[WS_MAX_CONTROL_FRAME], uint16_t code, struct str reason)
{
    char payload[WS_MAX_CONTROL];

    return ws__control_frame(out, WS_OP_CLOSE,
                             str__n(payload, ws__close_payload(payload, code, reason)));
}

bool ws__valid_close_code(uint16_t code)
{
    /* Section 7.4.1; 1012 to 1014 were registered with IANA later. Those left out
     * are reserved (1004), never on the wire (1005, 1006, 1015), or unassigned. */
    static const struct {
        uint16_t first, last;
    } valid[] = {{1000, 1003}, {1007, 1014}, {3000, 4999}};

    for (size_t i = 0; i < sizeof(valid) / sizeof(valid[0]); i++) {
        if (code >= valid[i].first && code <= valid[i].last)
            return true;
    }
    return false;
}
