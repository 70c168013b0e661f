/* google.protobuf.Any as it comes from elsewhere: base64 of JSON clients, answers of
 * event handlers, REST bodies. */
#ifndef BROKER_WIRE_ANY_H
#define BROKER_WIRE_ANY_H

#include "base/str.h"

/* May these bytes stand where a protobuf client expects a serialized Any? */
bool any__valid(struct str bytes);

#endif
