/* Vectors for what clients send, whatever the subprotocol: one frame a line, and what it
 * means. */
#ifndef TESTS_UNIT_FRAMES_KIT_H
#define TESTS_UNIT_FRAMES_KIT_H

#include "base/buf.h"
#include "broker/core/format.h"

/* A command in the words of the vectors. */
void frames_kit__describe(struct buf *b, const struct command *cmd);

typedef void frames_kit_check(const struct format *format, struct str frame, const char *want);

/* Calls `check` for each line "[plain |reliable ]FRAME => WANT" of a file. */
void frames_kit__file(const char *path, const struct format *plain, const struct format *reliable,
                      frames_kit_check *check);

#endif
