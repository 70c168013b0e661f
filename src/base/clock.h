/* The two clocks. Protocol code takes times as parameters and never reads one. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

#define CLOCK_RFC3339_SIZE sizeof("2026-11-20T19:13:27.000Z")

/* Milliseconds of a clock that never goes back. */
int64_t clock__mono_ms(void);
int64_t clock__mono_us(void);
/* Milliseconds, but up to some 4 ms behind, at a fifth of the price. */
int64_t clock__coarse_ms(void);
/* Milliseconds since 1970-01-01 UTC. */
int64_t clock__unix_ms(void);
/* The same, but up to some 4 ms behind: for times that are told in seconds. */
int64_t clock__coarse_unix_ms(void);
/* Writes yyyy-MM-ddTHH:mm:ssZ, or with milliseconds; returns its length. */
size_t clock__rfc3339(char out[CLOCK_RFC3339_SIZE], int64_t unix_ms, int with_ms);

#endif
