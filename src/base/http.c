#include "base/http.h"

bool http__grow(struct arena *a, struct http_headers *h)
{
    size_t cap = h->cap ? h->cap * 2 : 24;
    struct http_header *items = arena__alloc(a, cap * sizeof(*items));

    if (!items)
        return false;
    if (h->count > 0)
        memcpy(items, h->items, h->count * sizeof(*items));
    h->items = items;
    h->cap = cap;
    return true;
}

bool http__own(struct arena *a, struct http_request *req)
{
    for (size_t i = 0; i < req->headers.count; i++) {
        struct str *value = &req->headers.items[i].value;

        value->ptr = arena__strdup(a, *value);
        if (!value->ptr)
            return false;
    }
    req->body.ptr = arena__strdup(a, req->body);
    return req->body.ptr != NULL;
}

struct str http__get(const struct http_headers *h, struct str name)
{
    for (size_t i = 0; i < h->count; i++) {
        if (str__eq_nocase(h->items[i].name, name))
            return h->items[i].value;
    }
    return STR_NONE;
}

struct str http__get_last(const struct http_headers *h, struct str name)
{
    for (size_t i = h->count; i > 0; i--) {
        if (str__eq_nocase(h->items[i - 1].name, name))
            return h->items[i - 1].value;
    }
    return STR_NONE;
}

struct str http__bearer(const struct http_headers *headers)
{
    struct str rest = str__trim(http__get(headers, STR("Authorization"))), scheme;

    if (!str__split(&rest, ' ', &scheme) || !rest.ptr || !str__eq_nocase(scheme, STR("Bearer")))
        return STR_NONE;
    return str__trim(rest);
}

size_t http__count(const struct http_headers *h, struct str name)
{
    size_t count = 0;

    for (size_t i = 0; i < h->count; i++)
        count += str__eq_nocase(h->items[i].name, name);
    return count;
}

bool http__lists(const struct http_headers *h, struct str name, struct str member)
{
    for (size_t i = 0; i < h->count; i++) {
        struct str rest = h->items[i].value, part;

        if (!str__eq_nocase(h->items[i].name, name))
            continue;
        while (str__split(&rest, ',', &part)) {
            if (str__eq_nocase(str__trim(part), member))
                return true;
        }
    }
    return false;
}

/* What follows scheme and authority of a target in absolute form (RFC 9112 section 3.2.2),
 * which a server must accept; the target itself if it is of another form. */
static struct str without_authority(struct str target)
{
    size_t at = 0;

    if (str__starts_with_nocase(target, STR("http://")))
        at = strlen("http://");
    else if (str__starts_with_nocase(target, STR("https://")))
        at = strlen("https://");
    else
        return target;
    while (at < target.len && target.ptr[at] != '/' && target.ptr[at] != '?')
        at++;
    return str__n(target.ptr + at, target.len - at);
}

void http__set_target(struct http_request *req, struct str target)
{
    req->query = without_authority(target);
    str__split(&req->query, '?', &req->path);
    if (req->path.len == 0 && req->path.ptr != target.ptr)
        req->path = STR("/");
}

struct str http__media_type(struct str content_type)
{
    struct str type;

    if (!str__split(&content_type, ';', &type))
        return STR_NONE;
    return str__trim(type);
}

/* RFC 9110 section 5.6.2. */
/* clang-format off */
static const unsigned char in_token[256] = {
    [0x20] = 0, 1, 0, 1, 1, 1, 1, 1, 0, 0, 1, 1, 0, 1, 1, 0, /* ! # $ % & ' * + - . */
    [0x30] = 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, /* digits */
    [0x40] = 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, /* letters */
    [0x50] = 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 1, 1, /* ^ _ */
    [0x60] = 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, /* ` */
    [0x70] = 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 1, 0, 1, 0, /* | ~ */
};
/* clang-format on */

bool http__is_token(struct str s)
{
    unsigned all = 1;

    if (s.len == 0 || str__is_word(s))
        return s.len > 0;
    for (size_t i = 0; i < s.len; i++)
        all &= in_token[(unsigned char)s.ptr[i]];
    return all;
}

/* RFC 9110 section 5.5: any but a tab; bytes above 127 are allowed (UTF-8 in ce-userId). */
static bool has_control(struct str s)
{
    struct str part;

    while (str__has_control(s) && str__split(&s, '\t', &part)) {
        if (str__has_control(part))
            return true;
    }
    return false;
}

/* What may come once: it says where the request goes and where it ends. */
enum { HOST, CONTENT_LENGTH, TRANSFER_ENCODING, SINGLE_COUNT };

static const struct str singles[SINGLE_COUNT] = {
    {"Host", 4}, {"Content-Length", 14}, {"Transfer-Encoding", 17}};

/* Whether a name has the length of one of them. */
static bool may_be_single(size_t len)
{
    return len < 32 && ((1u << 4 | 1u << 14 | 1u << 17) >> len & 1);
}

struct seen {
    size_t count;
    struct str value; /* the last */
};

static void find_singles(const struct http_headers *h, struct seen seen[SINGLE_COUNT])
{
    for (size_t i = 0; i < h->count; i++) {
        for (size_t n = 0; n < SINGLE_COUNT && may_be_single(h->items[i].name.len); n++) {
            if (!str__eq_nocase(h->items[i].name, singles[n]))
                continue;
            seen[n].count++;
            seen[n].value = h->items[i].value;
        }
    }
}

static int check_single(const struct http_headers *h, struct diag *diag)
{
    struct seen seen[SINGLE_COUNT] = {{0, STR_NONE}};
    struct str coding;

    find_singles(h, seen);
    for (size_t n = 0; n < SINGLE_COUNT; n++) {
        if (seen[n].count > 1) {
            diag__set(diag, PH_ERR_SYNTAX, "header %s came %zu times, expected one at the most",
                      singles[n].ptr, seen[n].count);
            return 400;
        }
    }
    if (seen[CONTENT_LENGTH].count > 0 && seen[TRANSFER_ENCODING].count > 0) {
        diag__set(diag, PH_ERR_SYNTAX, "Content-Length and Transfer-Encoding came together");
        return 400;
    }
    coding = seen[TRANSFER_ENCODING].value;
    if (coding.ptr && !str__eq_nocase(str__trim(coding), STR("chunked"))) {
        diag__set(diag, PH_ERR_UNSUPPORTED, "Transfer-Encoding is \"%.*s\", expected \"chunked\"",
                  STR_FMT(str__is_ascii(coding) ? coding : STR("?"))); /* it goes into JSON */
        return 501;
    }
    return 0;
}

int http__check(const struct http_headers *h, const struct http_limits *limits, struct diag *diag)
{
    size_t bytes = 0;

    if (h->count > limits->headers) {
        diag__set(diag, PH_ERR_LIMIT, "%zu header lines, at most %zu are allowed", h->count,
                  limits->headers);
        return 431;
    }
    for (size_t i = 0; i < h->count; i++) {
        bytes += h->items[i].name.len + h->items[i].value.len;
        if (!http__is_token(h->items[i].name)) {
            diag__set(diag, PH_ERR_SYNTAX, "header line %zu: the name is not a token", i + 1);
            return 400;
        }
        if (!h->printable && has_control(h->items[i].value)) {
            diag__set(diag, PH_ERR_SYNTAX, "header %.*s: the value holds a control character",
                      STR_FMT(h->items[i].name));
            return 400;
        }
    }
    if (bytes > limits->header_bytes) {
        diag__set(diag, PH_ERR_LIMIT, "%zu bytes of headers, at most %zu are allowed", bytes,
                  limits->header_bytes);
        return 431;
    }
    return check_single(h, diag);
}

const char *http__reason(int status)
{
    static const struct {
        int status;
        const char *reason;
    } rows[] = {
        {101, "Switching Protocols"},
        {200, "OK"},
        {201, "Created"},
        {202, "Accepted"},
        {204, "No Content"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {411, "Length Required"},
        {413, "Content Too Large"},
        {415, "Unsupported Media Type"},
        {426, "Upgrade Required"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {502, "Bad Gateway"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        if (rows[i].status == status)
            return rows[i].reason;
    }
    return status >= 500 ? "Server Error" : status >= 400 ? "Client Error" : "OK";
}
