#include "broker/http/http_reader.h"

#define MAX_CHUNK_LINE 1024  /* size and extensions, which mean nothing here */
#define MAX_BLANKS 1024      /* of a header line, which are not counted as name or value */
#define ARENA_MAX (1u << 20) /* the limits of the head, twice, and the table */

static bool fail(struct http_reader *r, enum http_verdict verdict)
{
    r->verdict = verdict;
    return false;
}

static bool malformed(struct http_reader *r, const char *what)
{
    diag__set(&r->why, PH_ERR_SYNTAX, "its answer is not proper HTTP/1.1: %s", what);
    return fail(r, HTTP_MALFORMED);
}

static bool head_too_large(struct http_reader *r)
{
    diag__set(&r->why, PH_ERR_LIMIT, "the headers of its answer are too many or too large");
    return fail(r, HTTP_TOO_LARGE);
}

static bool body_too_large(struct http_reader *r)
{
    diag__set(&r->why, PH_ERR_LIMIT, "its answer is larger than the limit of %zu MiB",
              r->limits->body >> 20);
    return fail(r, HTTP_TOO_LARGE);
}

static bool out_of_memory(struct http_reader *r)
{
    diag__set(&r->why, PH_ERR_MEMORY, "out of memory");
    return fail(r, HTTP_NO_MEMORY);
}

static bool foreign(struct http_reader *r)
{
    diag__set(&r->why, PH_ERR_SYNTAX,
              "its answer is not HTTP: the URL must start with http:// or https://, and the "
              "handler must speak HTTP/1.1 or later");
    return fail(r, HTTP_FOREIGN);
}

/* --- lines ------------------------------------------------------------------------ */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* What has come of the status line may become one: "HTTP/1.1" up to the version. */
static bool may_be_status_line(struct str line)
{
    struct str start = STR("HTTP/1.");

    return memcmp(line.ptr, start.ptr, line.len < start.len ? line.len : start.len) == 0;
}

/* The first bytes tell another protocol, however long the line is and wherever it is cut. */
static bool check_line(struct http_reader *r, struct str line, bool fits)
{
    if (r->place == HTTP_STATUS_LINE && !may_be_status_line(line))
        return foreign(r);
    return fits || head_too_large(r);
}

static bool add_to_line(struct http_reader *r, struct str part, size_t max)
{
    size_t room = max - r->line.len;

    buf__append(&r->line, part.ptr, part.len < room ? part.len : room);
    if (r->line.failed)
        return out_of_memory(r);
    return check_line(r, buf__view(&r->line), part.len <= room);
}

/* Takes a line off the input, without its CR LF. False: it goes on in the bytes to come,
 * or is broken. Valid until the next call. */
static bool next_line(struct http_reader *r, struct str *in, struct str *line, size_t max)
{
    const char *end = memchr(in->ptr, '\n', in->len);
    struct str part = str__n(in->ptr, end ? (size_t)(end + 1 - in->ptr) : in->len);

    if (r->line_done)
        buf__reset(&r->line);
    r->line_done = false;
    *in = str__n(in->ptr + part.len, in->len - part.len);
    *line = part;
    if (!end || r->line.len > 0) {
        if (!add_to_line(r, part, max))
            return false;
        *line = buf__view(&r->line);
    }
    if (!end)
        return false;
    r->line_done = true;
    if (!check_line(r, *line, line->len <= max))
        return false;
    if (line->len < 2 || line->ptr[line->len - 2] != '\r')
        return malformed(r, "a line ends in LF without CR");
    line->len -= 2;
    if (memchr(line->ptr, '\r', line->len))
        return malformed(r, "a CR stands inside a line");
    return true;
}

static size_t max_head_line(const struct http_reader *r)
{
    return r->limits->head.header_bytes + MAX_BLANKS;
}

/* --- the head --------------------------------------------------------------------- */

/* HTTP/1.1 200 OK; many leave out the space when they give no reason. */
static bool take_status_line(struct http_reader *r, struct str *in)
{
    struct str line;
    int status;

    if (!next_line(r, in, &line, max_head_line(r)))
        return false;
    if (line.len < 12 || !is_digit(line.ptr[7]) || line.ptr[8] != ' ' || !is_digit(line.ptr[9]) ||
        !is_digit(line.ptr[10]) || !is_digit(line.ptr[11]) ||
        (line.len > 12 && line.ptr[12] != ' '))
        return malformed(r, "expected a status line such as \"HTTP/1.1 200 OK\"");
    status = (line.ptr[9] - '0') * 100 + (line.ptr[10] - '0') * 10 + (line.ptr[11] - '0');
    if (status < 100 || status > 599)
        return malformed(r, "expected a status from 100 to 599");
    r->response.status = status;
    r->old = line.ptr[7] == '0';
    r->place = HTTP_HEADER_LINE;
    return true;
}

static bool add_header(struct http_reader *r, struct str line)
{
    struct http_headers *headers = &r->response.headers;
    struct str value = line, name;

    if (line.ptr[0] == ' ' || line.ptr[0] == '\t')
        return malformed(r, "a header line is folded");
    str__split(&value, ':', &name);
    if (!value.ptr)
        return malformed(r, "a header line has no colon");
    value = str__trim(value);
    r->head_bytes += name.len + value.len;
    if (headers->count == r->limits->head.headers || r->head_bytes > r->limits->head.header_bytes)
        return head_too_large(r);
    name.ptr = arena__strdup(&r->arena, name);
    value.ptr = arena__strdup(&r->arena, value);
    return (name.ptr && value.ptr && http__add(&r->arena, headers, name, value)) ||
           out_of_memory(r);
}

static void start_head(struct http_reader *r)
{
    arena__reset(&r->arena);
    r->response = (struct http_response){0};
    r->head_bytes = 0;
    r->place = HTTP_STATUS_LINE;
}

/* Nobody asked to switch protocols. */
static bool pass_over_interim(struct http_reader *r)
{
    if (r->response.status == 101)
        return malformed(r, "it switches protocols (101), which nobody asked for");
    if (++r->interims > HTTP_MAX_INTERIMS)
        return malformed(r, "interim responses (1xx) without end");
    start_head(r);
    return true;
}

static bool expect_body(struct http_reader *r, struct str length)
{
    uint64_t count;

    if (!str__to_u64(length, &count))
        return malformed(r, "Content-Length is not a number");
    if (count > r->limits->body)
        return body_too_large(r);
    r->left = (size_t)count;
    r->place = count > 0 ? HTTP_BODY : HTTP_END;
    return buf__reserve(&r->body, r->left) || out_of_memory(r);
}

/* None follows, says RFC 9112 section 6.3; a handler that announces one may send it all the
 * same, and later than its head. */
static bool expect_none(struct http_reader *r, bool chunked, struct str length)
{
    r->keeps &= !chunked && (!length.ptr || str__eq(length, STR("0")));
    r->place = HTTP_END;
    return true;
}

/* RFC 9112 section 6.3. */
static bool find_body(struct http_reader *r)
{
    const struct http_headers *headers = &r->response.headers;
    struct str length = http__get(headers, STR("Content-Length"));
    bool chunked = http__get(headers, STR("Transfer-Encoding")).ptr;
    int status = r->response.status;

    if (status == 204 || status == 304)
        return expect_none(r, chunked, length);
    if (chunked) {
        r->place = HTTP_CHUNK_SIZE;
        return !r->old || malformed(r, "HTTP/1.0 knows no Transfer-Encoding");
    }
    if (length.ptr)
        return expect_body(r, length);
    r->place = HTTP_BODY_UNTIL_CLOSE;
    r->keeps = false;
    return true;
}

static bool end_head(struct http_reader *r)
{
    const struct http_headers *headers = &r->response.headers;
    struct diag diag;

    if (http__check(headers, &r->limits->head, &diag) != 0)
        return malformed(r, diag.text);
    if (r->response.status < 200)
        return pass_over_interim(r);
    r->has_headers = true;
    r->head_bytes = 0;
    r->keeps = r->old ? http__lists(headers, STR("Connection"), STR("keep-alive"))
                      : !http__lists(headers, STR("Connection"), STR("close"));
    return find_body(r);
}

static bool take_header_line(struct http_reader *r, struct str *in)
{
    struct str line;

    if (!next_line(r, in, &line, max_head_line(r)))
        return false;
    return line.len > 0 ? add_header(r, line) : end_head(r);
}

/* --- the body --------------------------------------------------------------------- */

static bool add_body(struct http_reader *r, struct str *in, size_t len)
{
    if (len > r->limits->body - r->body.len)
        return body_too_large(r);
    buf__append(&r->body, in->ptr, len);
    *in = str__n(in->ptr + len, in->len - len);
    return !r->body.failed || out_of_memory(r);
}

/* As much of `left` as has come. */
static bool take_counted(struct http_reader *r, struct str *in, enum http_place next)
{
    size_t len = in->len < r->left ? in->len : r->left;

    r->left -= len;
    if (r->left == 0)
        r->place = next;
    return add_body(r, in, len);
}

static bool take_body(struct http_reader *r, struct str *in)
{
    return take_counted(r, in, HTTP_END);
}

static bool take_until_close(struct http_reader *r, struct str *in)
{
    return add_body(r, in, in->len);
}

/* RFC 9112 section 7.1: hex digits, then extensions behind a semicolon. */
static bool take_chunk_size(struct http_reader *r, struct str *in)
{
    struct str line;
    size_t size = 0, at = 0;

    if (!next_line(r, in, &line, MAX_CHUNK_LINE))
        return false;
    for (; at < line.len && str__hex_digit(line.ptr[at]) >= 0; at++) {
        size = size * 16 + (size_t)str__hex_digit(line.ptr[at]);
        if (size > r->limits->body)
            return body_too_large(r);
    }
    line = str__trim(str__n(line.ptr + at, line.len - at));
    if (at == 0 || (line.len > 0 && line.ptr[0] != ';'))
        return malformed(r, "expected the size of a chunk in hex digits");
    r->left = size;
    r->place = size > 0 ? HTTP_CHUNK : HTTP_TRAILER;
    return true;
}

static bool take_chunk(struct http_reader *r, struct str *in)
{
    return take_counted(r, in, HTTP_CHUNK_END);
}

static bool take_chunk_end(struct http_reader *r, struct str *in)
{
    struct str line;

    if (!next_line(r, in, &line, MAX_CHUNK_LINE))
        return false;
    if (line.len > 0)
        return malformed(r, "a chunk is longer than its size");
    r->place = HTTP_CHUNK_SIZE;
    return true;
}

/* Trailers mean nothing here. */
static bool take_trailer(struct http_reader *r, struct str *in)
{
    struct str line;

    if (!next_line(r, in, &line, max_head_line(r)))
        return false;
    r->head_bytes += line.len;
    if (r->head_bytes > r->limits->head.header_bytes)
        return head_too_large(r);
    if (line.len == 0)
        r->place = HTTP_END;
    return true;
}

/* --- all of it -------------------------------------------------------------------- */

static bool (*const take_next[])(struct http_reader *r, struct str *in) = {
    [HTTP_STATUS_LINE] = take_status_line,
    [HTTP_HEADER_LINE] = take_header_line,
    [HTTP_BODY] = take_body,
    [HTTP_BODY_UNTIL_CLOSE] = take_until_close,
    [HTTP_CHUNK_SIZE] = take_chunk_size,
    [HTTP_CHUNK] = take_chunk,
    [HTTP_CHUNK_END] = take_chunk_end,
    [HTTP_TRAILER] = take_trailer,
};

static enum http_verdict done(struct http_reader *r)
{
    r->response.body = buf__view(&r->body);
    return r->verdict = HTTP_DONE;
}

enum http_verdict http_reader__take(struct http_reader *r, struct str bytes)
{
    r->began |= bytes.len > 0;
    while (r->verdict == HTTP_MORE && r->place != HTTP_END && bytes.len > 0)
        take_next[r->place](r, &bytes);
    if (r->verdict == HTTP_MORE && r->place == HTTP_END)
        done(r);
    if (bytes.len > 0)
        r->keeps = false;
    return r->verdict;
}

enum http_verdict http_reader__end(struct http_reader *r, bool orderly)
{
    if (r->verdict != HTTP_MORE)
        return r->verdict;
    if (r->place == HTTP_BODY_UNTIL_CLOSE && orderly)
        return done(r);
    if (!r->began) {
        diag__set(&r->why, PH_ERR_SYNTAX,
                  "closed the connection without an answer: does an HTTP server listen there, and "
                  "did it survive the request?");
        return r->verdict = HTTP_NOTHING;
    }
    diag__set(&r->why, PH_ERR_SYNTAX,
              "closed the connection in the middle of its answer: did it survive the request?");
    return r->verdict = HTTP_CUT_OFF;
}

/* --- life -------------------------------------------------------------------------- */

void http_reader__init(struct http_reader *r, const struct http_reader_limits *limits)
{
    r->limits = limits;
    arena__init(&r->arena, r->first, sizeof(r->first), ARENA_MAX);
    buf__init(&r->line, max_head_line(r));
    buf__init(&r->body, limits->body);
    http_reader__reset(r, 0);
}

static void empty(struct buf *b, size_t keep)
{
    if (b->cap > keep)
        buf__free(b);
    buf__reset(b);
}

void http_reader__reset(struct http_reader *r, size_t keep)
{
    empty(&r->line, keep);
    empty(&r->body, keep);
    start_head(r);
    r->verdict = HTTP_MORE;
    r->left = 0;
    r->interims = 0;
    r->has_headers = r->keeps = r->line_done = r->old = r->began = false;
    r->why.text[0] = '\0';
}

void http_reader__free(struct http_reader *r)
{
    arena__free(&r->arena);
    buf__free(&r->line);
    buf__free(&r->body);
}
