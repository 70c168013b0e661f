#include "broker/wire/formats.h"

#include "broker/wire/json.h"
#include "broker/wire/protobuf.h"

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

/* The schema is one for both: client-and-rest section 2.7. */
const struct format format_protobuf = {
    .subprotocol = "protobuf.webpubsub.azure.v1",
    .index = 3,
    .accepts_binary = true,
    .decode = protobuf_decode__plain,
    .carries = protobuf_encode__carries,
    .message = protobuf_encode__message,
    .ack = protobuf_encode__ack,
    .pong = protobuf_encode__pong,
    .connected = protobuf_encode__connected,
    .disconnected = protobuf_encode__disconnected,
    .invoke_response = protobuf_encode__invoke_response,
    .stream_ack = protobuf_encode__stream_ack,
    .stream_nack = protobuf_encode__stream_nack,
    .stream_closed = protobuf_encode__stream_closed,
    .group_state = protobuf_encode__group_state,
};

const struct format format_protobuf_reliable = {
    .subprotocol = "protobuf.reliable.webpubsub.azure.v1",
    .index = 4,
    .reliable = true,
    .accepts_binary = true,
    .decode = protobuf_decode__reliable,
    .carries = protobuf_encode__carries,
    .message = protobuf_encode__sequenced_message,
    .ack = protobuf_encode__ack,
    .pong = protobuf_encode__pong,
    .connected = protobuf_encode__connected,
    .disconnected = protobuf_encode__disconnected,
    .invoke_response = protobuf_encode__invoke_response,
    .stream_ack = protobuf_encode__stream_ack,
    .stream_nack = protobuf_encode__stream_nack,
    .stream_closed = protobuf_encode__stream_closed,
    .group_state = protobuf_encode__sequenced_group_state,
    .enclose = protobuf_encode__enclose,
};

static const struct format *const predefined[] = {&format_json, &format_json_reliable,
                                                  &format_protobuf, &format_protobuf_reliable};

const struct format *formats__find(struct str subprotocol)
{
    for (size_t i = 0; i < sizeof(predefined) / sizeof(predefined[0]); i++) {
        if (str__eq_nocase(subprotocol, str__of(predefined[i]->subprotocol)))
            return predefined[i];
    }
    return NULL;
}
