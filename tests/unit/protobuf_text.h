/* Protobuf messages as the vectors and tests write them: fields separated by blanks.
 *
 *     1:"text\x00"  a string or bytes     1{...}        a message
 *     1:7           a varint              1#00010203    four or eight bytes as they are
 *                                         x0a05         bytes without a tag */
#ifndef TESTS_UNIT_PROTOBUF_TEXT_H
#define TESTS_UNIT_PROTOBUF_TEXT_H

#include "base/buf.h"

/* Appends the bytes that `text` stands for. A text that cannot be read fails the test. */
void protobuf_text__write(struct buf *out, struct str text);

/* The bytes of a varint. */
void protobuf_text__varint(struct buf *out, uint64_t value);

#endif
