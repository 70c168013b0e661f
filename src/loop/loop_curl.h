/* libcurl's transfers in a loop: its sockets are watched there, and its timer is a timer
 * there. */
#ifndef LOOP_LOOP_CURL_H
#define LOOP_LOOP_CURL_H

#include "loop/loop.h"

#include <curl/curl.h>

struct loop_curl;

/* `done` is called for each transfer that ended, out of loop__process. The handle stays
 * added, which keeps the connection of a CURLOPT_CONNECT_ONLY; `done` may remove it, add
 * others and remove others, but not free the loop_curl. NULL: out of memory, or curl refuses
 * to work. */
struct loop_curl *loop_curl__new(struct loop *l, void (*done)(void *ctx, CURL *easy, CURLcode code),
                                 void *ctx);
/* All handles were removed. The loop is still there. */
void loop_curl__free(struct loop_curl *c);
/* For options of the multi handle. */
CURLM *loop_curl__multi(struct loop_curl *c);
/* Starts a transfer; nothing is called from here. False: out of memory. */
bool loop_curl__add(struct loop_curl *c, CURL *easy);
/* Ends it, or forgets one that has ended. */
void loop_curl__remove(struct loop_curl *c, CURL *easy);

#endif
