#include "test/records.h"

#define MAX_CONTENT 65535
#define HEAD 8 /* bytes of a record's header */
#define FASTCGI_VERSION 1
#define REQUEST_ID 1

enum {
    BEGIN_REQUEST = 1,
    END_REQUEST = 3,
    PARAMS = 4,
    STDIN = 5,
    STDOUT = 6,
};

/* --- The request ------------------------------------------------------------------------ */

static void put_record(struct buf *out, char type, struct str content)
{
    const char head[HEAD] = {
        FASTCGI_VERSION,
        type,
        0,
        REQUEST_ID,
        (char)(content.len >> 8),
        (char)(content.len & 0xff),
        0,
        0,
    };

    buf__append(out, head, sizeof(head));
    buf__str(out, content);
}

/* In as many records as it takes, and an empty one at the end. */
static void put_stream(struct buf *out, char type, struct str content)
{
    while (content.len > 0) {
        size_t part = content.len > MAX_CONTENT ? MAX_CONTENT : content.len;

        put_record(out, type, str__n(content.ptr, part));
        content = str__n(content.ptr + part, content.len - part);
    }
    put_record(out, type, STR(""));
}

/* One byte below 128, else four (section 3.4). */
static void put_length(struct buf *out, size_t len)
{
    const char bytes[4] = {(char)(0x80 | (len >> 24 & 0x7f)), (char)(len >> 16), (char)(len >> 8),
                           (char)len};

    if (len < 0x80)
        buf__byte(out, (char)len);
    else
        buf__append(out, bytes, sizeof(bytes));
}

static void put_params(struct buf *out, const struct test_variables *variables)
{
    struct buf text;

    buf__init(&text, RECORDS_MAX_TRAFFIC);
    for (size_t i = 0; i < variables->count; i++) {
        put_length(&text, variables->items[i].name.len);
        put_length(&text, variables->items[i].value.len);
        buf__str(&text, variables->items[i].name);
        buf__str(&text, variables->items[i].value);
    }
    out->failed = out->failed || text.failed;
    put_stream(out, PARAMS, buf__view(&text));
    buf__free(&text);
}

void test_records__request(struct buf *out, const struct test_variables *variables, struct str body)
{
    static const char begin[8] = {0, 1 /* responder */, 0 /* close at the end */};

    put_record(out, BEGIN_REQUEST, str__n(begin, sizeof(begin)));
    put_params(out, variables);
    put_stream(out, STDIN, body);
}

/* --- The answer --------------------------------------------------------------------------- */

struct record {
    unsigned version, type, id;
    struct str content;
    size_t whole; /* with header and padding */
};

/* False: it has not come to its end. Its header has. */
static bool read_record(struct str in, struct record *out)
{
    const unsigned char *head = (const unsigned char *)in.ptr;
    size_t len = (size_t)head[4] << 8 | head[5];

    *out = (struct record){
        .version = head[0],
        .type = head[1],
        .id = (unsigned)head[2] << 8 | head[3],
        .content = str__n(in.ptr + HEAD, len),
        .whole = HEAD + len + head[6],
    };
    return in.len >= out->whole;
}

/* Section 5.5. */
static enum ph_err check_end(struct str content, struct diag *diag)
{
    static const char *const reasons[] = {
        "",
        "it cannot serve several on one connection",
        "it is overloaded",
        "it does not know the role",
    };
    unsigned status;

    if (content.len != 8)
        return diag__set(diag, PH_ERR_SYSTEM, "the end of the request has %zu bytes, FastCGI has 8",
                         content.len);
    status = (unsigned char)content.ptr[4];
    if (status == 0)
        return PH_OK;
    return diag__set(diag, PH_ERR_SYSTEM, "the handler has refused the request: %s",
                     status < sizeof(reasons) / sizeof(*reasons) ? reasons[status]
                                                                 : "nobody knows why");
}

/* Records of no request are about the connection, and those of other types than these are for
 * a web server's log. */
static enum ph_err take(const struct record *r, struct buf *text, bool *ended, struct diag *diag)
{
    if (r->version != FASTCGI_VERSION || r->id > REQUEST_ID)
        return diag__set(diag, PH_ERR_SYSTEM,
                         "the handler has sent a record of FastCGI version %u for request %u, "
                         "expected version 1 and request 1",
                         r->version, r->id);
    if (r->id == REQUEST_ID && r->type == STDOUT)
        buf__str(text, r->content);
    *ended = r->id == REQUEST_ID && r->type == END_REQUEST;
    return *ended ? check_end(r->content, diag) : PH_OK;
}

enum ph_err test_records__take(struct str in, size_t *at, struct buf *text, bool *ended,
                               struct diag *diag)
{
    enum ph_err err = PH_OK;
    struct record r;

    *ended = false;
    while (!err && !*ended && in.len - *at >= HEAD &&
           read_record(str__n(in.ptr + *at, in.len - *at), &r)) {
        err = take(&r, text, ended, diag);
        *at += r.whole;
    }
    return err;
}
