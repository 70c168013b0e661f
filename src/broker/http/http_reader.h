/* Reads a response of HTTP/1.1 (RFC 9112) out of its bytes, wherever they are cut. It is
 * strict where leniency has let somebody smuggle: lines end in CR LF, no line is folded, the
 * length is said once and in one way. Interim responses (1xx) are passed over. */
#ifndef BROKER_HTTP_HTTP_READER_H
#define BROKER_HTTP_HTTP_READER_H

#include "base/buf.h"
#include "base/http.h"

#define HTTP_READER_FIRST 2048 /* for the lines of a usual response */

struct http_reader_limits {
    struct http_limits head; /* of each response, interim or final */
    size_t body;
};

enum http_verdict {
    HTTP_MORE, /* the response goes on in the bytes to come */
    HTTP_DONE, /* `response` is complete */
    /* There is no response, `why` says what came instead. */
    HTTP_NOTHING,   /* not a byte */
    HTTP_CUT_OFF,   /* ends too early */
    HTTP_FOREIGN,   /* another protocol */
    HTTP_MALFORMED, /* breaks the rules */
    HTTP_TOO_LARGE,
    HTTP_NO_MEMORY
};

enum http_place {
    HTTP_STATUS_LINE,
    HTTP_HEADER_LINE,
    HTTP_BODY, /* `left` bytes of it */
    HTTP_BODY_UNTIL_CLOSE,
    HTTP_CHUNK_SIZE,
    HTTP_CHUNK, /* `left` bytes of it */
    HTTP_CHUNK_END,
    HTTP_TRAILER,
    HTTP_END
};

struct http_reader {
    struct http_response response; /* its strings live until the reset */
    bool has_headers;              /* of the final response */
    bool keeps;                    /* when done: the connection takes another request */
    struct diag why;
    /* private */
    const struct http_reader_limits *limits;
    enum http_verdict verdict;
    enum http_place place;
    struct arena arena; /* of the headers */
    struct buf line;    /* the part of a line that came before */
    struct buf body;
    size_t left;
    size_t head_bytes; /* names and values, or of the trailers */
    unsigned interims;
    bool line_done; /* `line` was handed out */
    bool old;       /* HTTP/1.0 */
    bool began;     /* a byte has come */
    char first[HTTP_READER_FIRST];
};

/* `limits` live as long as the reader. It must not move. */
void http_reader__init(struct http_reader *r, const struct http_reader_limits *limits);
void http_reader__free(struct http_reader *r);
/* For the next response. Memory for lines and bodies of up to `keep` bytes stays. */
void http_reader__reset(struct http_reader *r, size_t keep);

/* The next bytes. What comes behind the end of the response only makes that the
 * connection is not kept. */
enum http_verdict http_reader__take(struct http_reader *r, struct str bytes);
/* No more bytes will come; `orderly`: because the peer has said so. Never HTTP_MORE. */
enum http_verdict http_reader__end(struct http_reader *r, bool orderly);

#endif
