/* One HTTP exchange in curl's hands: a request as data goes in, the response comes out as
 * data. Whoever owns it performs it (curl_easy_perform, or a multi handle) and says what a
 * failure means. Used again for the next request, with its curl handle. */
#ifndef CURL_CALL_H
#define CURL_CALL_H

#include "base/buf.h"
#include "base/http.h"

#include <curl/curl.h>

struct call_limits {
    size_t headers, header_bytes; /* lines of a response; their names and values together */
    size_t body;
};

struct call_request {
    struct str url;
    const struct http_request *http; /* method, headers and body; the body must outlive the call */
    struct str bearer;               /* token of the Authorization header; absent: none */
    struct str ca_file;              /* trusted besides the system's issuers; absent: none */
};

struct call {
    CURL *easy; /* its CURLOPT_PRIVATE is free for the owner */
    struct call_limits limits;
    struct curl_slist *headers;
    struct arena arena; /* of the response's headers */
    struct buf body;
    struct http_response response;
    size_t header_bytes;
    unsigned interims;                    /* responses (1xx) so far */
    bool has_headers;                     /* of the final response, not of a 1xx */
    const char *broken;                   /* a limit of ours that the response passed */
    void (*headers_came)(struct call *c); /* may be NULL */
    char error[CURL_ERROR_SIZE];
    char limit_text[64];
};

/* False when memory is out; call__free is then not needed. */
bool call__init(struct call *c, const struct call_limits *limits);
/* The curl handle is in no multi handle. */
void call__free(struct call *c);
/* Readies the curl handle for a request. Only http and https, and redirects are not
 * followed. False: out of memory. */
bool call__prepare(struct call *c, const struct call_request *req);
/* The response, valid until the call is reset; NULL when there is none, or a limit was
 * passed. */
const struct http_response *call__response(struct call *c, CURLcode code);
/* What went wrong when there is no response: curl's text, or ours. */
const char *call__problem(const struct call *c, CURLcode code);
/* Forgets request and response. */
void call__reset(struct call *c);

#endif
