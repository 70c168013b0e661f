/* Prometheus' text exposition format, version 0.0.4, a sample at a time. */
#ifndef BASE_EXPOSITION_H
#define BASE_EXPOSITION_H

#include "base/buf.h"

#define EXPOSITION_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* The lines that begin a family. */
void exposition__family(struct buf *out, const char *name, const char *type, const char *help);
/* name="value", with what must be escaped. */
void exposition__label(struct buf *out, const char *name, struct str value);
/* The end of a sample: its value. */
void exposition__number(struct buf *out, uint64_t n);
void exposition__thousandths(struct buf *out, uint64_t n);
void exposition__millionths(struct buf *out, uint64_t n);

#endif
