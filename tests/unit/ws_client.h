/* The client's half of RFC 6455, which the broker does not need and its tests do. */
#ifndef TESTS_UNIT_WS_CLIENT_H
#define TESTS_UNIT_WS_CLIENT_H

#include "base/buf.h"

/* Appends a masked frame. `first` is its first byte: FIN, RSV bits, opcode. The length
 * takes the fewest bytes. */
void ws_client__frame(struct buf *out, uint8_t first, struct str payload, const char key[4]);

#endif
