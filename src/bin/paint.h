/* Colour, where a person looks at a terminal and has not set NO_COLOR. */
#ifndef BIN_PAINT_H
#define BIN_PAINT_H

#include <stdio.h>

enum paint { PAINT_END, PAINT_NAME, PAINT_FAINT, PAINT_GOOD, PAINT_BAD };

/* What switches to it; "" where there is no colour. */
const char *paint__code(FILE *out, enum paint paint);

#endif
