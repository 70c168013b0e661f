#include "serve/head.h"

/* libmicrohttpd 0.9.75 reads lines as C strings: what stands behind a NUL byte is
 * dropped, and "a\0b" would pass as "a". The parts of the head are in its buffer one
 * behind the other, and only the separators, overwritten with NULs, are between them;
 * anything else there was cut off by a NUL, or is a line that was folded and so moved
 * (RFC 9112 section 5.2 lets a server refuse those). That is a fact of these versions, not of
 * the interface, so nothing is concluded from the buffers of others. */
static bool knows_layout(void)
{
    return strcmp(MHD_get_version(), "0.9.75") == 0;
}

/* True when only separators are between the end of one part and the next. */
static bool clean_gap(const char *end, const char *next)
{
    for (; end < next; end++) {
        if (*end != '\0' && *end != ' ' && *end != '\t')
            return false;
    }
    return true;
}

struct taker {
    struct arena *arena;
    struct http_headers *headers;
    const char *end; /* of the value before; NULL at first */
    bool layout;
    bool cut; /* something is between the parts */
    bool printable;
    bool failed;
};

static enum MHD_Result take_header(void *cls, enum MHD_ValueKind kind, const char *name,
                                   size_t name_len, const char *value, size_t value_len)
{
    struct taker *t = cls;

    (void)kind;
    if (t->layout && t->end && !clean_gap(t->end, name))
        t->cut = true;
    t->end = value ? value + value_len : NULL;
    t->printable &= str__is_printable(str__n(value, value_len));
    t->failed = !http__add(t->arena, t->headers, str__n(name, name_len),
                           str__n(value ? value : "", value_len));
    return t->failed ? MHD_NO : MHD_YES;
}

/* True when the head ends where the empty line does, behind the last value and its CRLF.
 * For libmicrohttpd a line without a name (":x") ends the head too, and the rest of it
 * would be the next request. Lines that end in LF alone are refused with them. */
static bool ends_in_empty_line(struct MHD_Connection *mhd, const char *start, const char *end)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);

    while (*end == ' ' || *end == '\t')
        end++;
    return info && (size_t)(end - start) + 4 == info->header_size;
}

static bool line_is_cut(const struct head_line *line)
{
    return !clean_gap(line->method + strlen(line->method), line->raw_target) ||
           !clean_gap(line->raw_target + strlen(line->target), line->version);
}

static bool has_blank(const char *target)
{
    for (; *target; target++) {
        if ((unsigned char)*target <= 0x20 || *target == 0x7f)
            return true;
    }
    return false;
}

void head__hide_query(const char *target)
{
    char *mark = strchr((char *)(uintptr_t)target, '?');

    if (mark)
        mark[1] = '\0';
}

bool head__take(struct arena *a, struct MHD_Connection *mhd, const struct head_line *line,
                struct http_request *out, const char **malformed)
{
    struct taker t = {
        .arena = a, .headers = &out->headers, .layout = knows_layout(), .printable = true};

    *out = (struct http_request){.method = str__of(line->method)};
    http__set_target(out, str__of(line->target));
    MHD_get_connection_values_n(mhd, MHD_HEADER_KIND, take_header, &t);
    if (t.failed)
        return false;
    out->headers.printable = t.printable;
    if (t.layout && (line_is_cut(line) || (t.end && !ends_in_empty_line(mhd, line->method, t.end))))
        t.cut = true;
    *malformed = t.cut ? "the head holds a NUL byte, a folded line or one without a name, or its "
                         "lines do not end in CRLF"
                 : has_blank(line->target) ? "the request target holds a control character"
                                           : NULL;
    return true;
}
