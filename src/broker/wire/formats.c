#include "broker/wire/formats.h"

#include "broker/wire/json.h"

/* Binary messages are none of the JSON subprotocols' (official-emulator section 2.4):
 * they close with 1003. */
const struct format format_json = {
    .subprotocol = "json.webpubsub.azure.v1",
    .index = 1,
    .accepts_text = true,
    .decode = json_decode__plain,
    .message = json_encode__message,
    .ack = json_encode__ack,
    .pong = json_encode__pong,
    .connected = json_encode__connected,
    .disconnected = json_encode__disconnected,
    .invoke_response = json_encode__invoke_response,
    .stream_ack = json_encode__stream_ack,
    .stream_nack = json_encode__stream_nack,
    .stream_closed = json_encode__stream_closed,
    .group_state = json_encode__group_state,
};

const struct format format_json_reliable = {
    .subprotocol = "json.reliable.webpubsub.azure.v1",
    .index = 2,
    .reliable = true,
    .accepts_text = true,
    .decode = json_decode__reliable,
    .message = json_encode__sequenced_message,
    .ack = json_encode__ack,
    .pong = json_encode__pong,
    .connected = json_encode__connected,
    .disconnected = json_encode__disconnected,
    .invoke_response = json_encode__invoke_response,
    .stream_ack = json_encode__stream_ack,
    .stream_nack = json_encode__stream_nack,
    .stream_closed = json_encode__stream_closed,
    .group_state = json_encode__sequenced_group_state,
    .enclose = json_encode__enclose,
};

static const struct format *const predefined[] = {&format_json, &format_json_reliable};

const struct format *formats__find(struct str subprotocol)
{
    for (size_t i = 0; i < sizeof(predefined) / sizeof(predefined[0]); i++) {
        if (str__eq_nocase(subprotocol, str__of(predefined[i]->subprotocol)))
            return predefined[i];
    }
    return NULL;
}
