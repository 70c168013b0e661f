/* HTTP messages as plain data, for the code that decides what they mean. Whoever
 * reads the socket (libmicrohttpd, libfcgi, libcurl, an embedder) fills a request
 * and sends a response; nobody in between does I/O. */
#ifndef BASE_HTTP_H
#define BASE_HTTP_H

#include "base/arena.h"
#include "base/diag.h"

struct http_header {
    struct str name, value; /* names compare without case; a name may repeat */
};

struct http_headers {
    struct http_header *items;
    size_t count;
    size_t cap;
    bool printable; /* all values are known to be printable ASCII: nobody need look again */
};

struct http_request {
    struct str method; /* upper case as sent */
    struct str path;   /* as sent, still percent-encoded, no query */
    struct str query;  /* behind the '?', absent when there is none */
    struct http_headers headers;
    struct str body;
};

struct http_response {
    int status;
    struct http_headers headers;
    struct str body;
};

/* Makes room for more headers. False when memory is out. */
bool http__grow(struct arena *a, struct http_headers *h);
/* Appends a header; the strings are not copied. False when memory is out. */
static inline bool http__add(struct arena *a, struct http_headers *h, struct str name,
                             struct str value)
{
    if (h->count == h->cap && !http__grow(a, h))
        return false;
    h->items[h->count++] = (struct http_header){name, value};
    h->printable = false;
    return true;
}
/* Makes the header values and the body copies with a NUL behind them. False when memory is
 * out. */
bool http__own(struct arena *a, struct http_request *req);
/* First value of a header, absent when there is none. */
struct str http__get(const struct http_headers *h, struct str name);
/* Last value of a header (rule for ce-connectionState and metadata). */
struct str http__get_last(const struct http_headers *h, struct str name);
/* Token from `Authorization: Bearer` (scheme without case); absent when there is none. */
struct str http__bearer(const struct http_headers *headers);
size_t http__count(const struct http_headers *h, struct str name);
/* Is it in the list that a header has, with commas, over one line or more? Without case. */
bool http__lists(const struct http_headers *h, struct str name, struct str member);
/* Splits a request target, in origin or absolute form, into path and query. */
void http__set_target(struct http_request *req, struct str target);
/* The media type of a Content-Type value, without parameters and white space around. */
struct str http__media_type(struct str content_type);

/* RFC 9110 section 5.6.2: one or more characters that need no quotes. */
bool http__is_token(struct str s);

/* Responses (1xx) before the final one that a client of ours takes. */
#define HTTP_MAX_INTERIMS 16

struct http_limits {
    size_t headers;      /* number of header lines */
    size_t header_bytes; /* names and values together */
};

/* Refuses what a strict reader refuses even though some HTTP libraries let it pass:
 * a repeated Host, Content-Length or Transfer-Encoding, Content-Length beside
 * Transfer-Encoding (RFC 9112 section 6.1, request smuggling), control characters
 * in values, characters that are none of a token in names, a transfer coding other
 * than chunked (without an end that a server could know).
 * Returns 0, or the status to answer with (400, 431, 501) and why in `diag`. */
int http__check(const struct http_headers *h, const struct http_limits *limits, struct diag *diag);

const char *http__reason(int status);

#endif
