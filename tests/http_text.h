/* HTTP messages as text files, for vectors and fuzz seeds: header lines, an empty line,
 * and the body up to the end of the file. A line that starts with '#' is a comment. */
#ifndef TESTS_HTTP_TEXT_H
#define TESTS_HTTP_TEXT_H

#include "base/http.h"

/* Names point into `text`; values and body are copies with a NUL behind them. False when memory is
 * out. */
bool http_text__parse(struct arena *a, struct str text, struct http_headers *headers,
                      struct str *body);
/* Appends the headers in `lines`; empty lines are passed over. False when memory is out. */
bool http_text__add(struct arena *a, struct http_headers *headers, struct str lines);

#endif
