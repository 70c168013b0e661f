/* From a payload to a frame that is ready for the socket. */
#ifndef BROKER_WIRE_PAYLOAD_H
#define BROKER_WIRE_PAYLOAD_H

#include "base/buf.h"
#include "broker/core/message.h"
#include "ws/ws.h"

/* Escaping makes a byte six at the most, base64 makes three four; event handlers answer
 * with 16 MiB at the most. More than this is nothing that anybody sent. */
#define PAYLOAD_MAX (128u << 20)

/* A whole WebSocket frame, header included. NULL when memory is out. */
struct frame *payload__frame(enum ws_opcode opcode, struct str payload);
/* The same for what a writer put into `b`, which is freed; NULL also if it failed. */
struct frame *payload__take(enum ws_opcode opcode, struct buf *b);
/* Bytes alone: the start of a payload that format->enclose completes. */
struct frame *payload__sequenced(enum ws_opcode opcode, struct str start);

#endif
