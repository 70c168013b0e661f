/* The formats that we speak: rows for core/format.h. */
#ifndef BROKER_WIRE_FORMATS_H
#define BROKER_WIRE_FORMATS_H

#include "broker/core/format.h"

extern const struct format format_raw;
extern const struct format format_json;
extern const struct format format_json_reliable;
extern const struct format format_protobuf;
extern const struct format format_protobuf_reliable;

/* The format of a predefined subprotocol (compared without case), NULL for any other. */
const struct format *formats__find(struct str subprotocol);

#endif
