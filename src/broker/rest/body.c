#include "broker/rest/body.h"

#include "base/json.h"

static bool find_type(struct str media_type, enum ph_data_type *type)
{
    static const struct {
        struct str media_type;
        enum ph_data_type type;
    } rows[] = {
        {{"text/plain", 10}, PH_DATA_TEXT},
        {{"application/json", 16}, PH_DATA_JSON},
        {{"application/octet-stream", 24}, PH_DATA_BINARY},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        if (str__eq_nocase(rows[i].media_type, media_type)) {
            *type = rows[i].type;
            return true;
        }
    }
    return false;
}

/* The charset parameter, unquoted; absent when there is none. */
static struct str charset_of(struct str content_type)
{
    struct str part, name;

    str__split(&content_type, ';', &part);
    while (str__split(&content_type, ';', &part)) {
        str__split(&part, '=', &name);
        if (!str__eq_nocase(str__trim(name), STR("charset")))
            continue;
        part = str__trim(part);
        if (part.len >= 2 && part.ptr[0] == '"' && part.ptr[part.len - 1] == '"')
            part = str__n(part.ptr + 1, part.len - 2);
        return part.ptr ? part : STR("");
    }
    return STR_NONE;
}

enum ph_err body__kind(const struct http_headers *headers, struct body_kind *out, struct diag *diag)
{
    struct str content_type = http__get(headers, STR("Content-Type"));
    struct str charset = charset_of(content_type);

    *out = (struct body_kind){PH_DATA_BINARY, {CHARSET_UTF8, false, false}};
    if (!content_type.ptr)
        return PH_OK;
    if (http__count(headers, STR("Content-Type")) > 1 ||
        !find_type(http__media_type(content_type), &out->type))
        return diag__set(diag, PH_ERR_UNSUPPORTED,
                         "expected one Content-Type: text/plain, application/json or "
                         "application/octet-stream");
    if (charset.ptr && out->type != PH_DATA_BINARY && !charset__find(charset, &out->reading))
        return diag__set(diag, PH_ERR_UNSUPPORTED,
                         "the charset of the Content-Type is unknown: expected " CHARSET_NAMES);
    return PH_OK;
}

enum ph_err body__data(const struct body_kind *kind, struct str body, struct buf *room,
                       struct str *out, struct diag *diag)
{
    struct diag detail;
    enum ph_err err;

    *out = body.ptr ? body : STR("");
    if (kind->type == PH_DATA_BINARY)
        return PH_OK;
    err = charset__to_utf8(&kind->reading, *out, room, out);
    if (err == PH_ERR_SYNTAX)
        return diag__set(diag, err, "The request body is not in the charset of its Content-Type.");
    if (err != PH_OK)
        return diag__set(diag, err, "no memory for the request body");
    if (kind->type == PH_DATA_JSON && json__check(*out, BODY_MAX_DEPTH, &detail) != PH_OK)
        return diag__set(diag, PH_ERR_SYNTAX, "The request body is not a valid JSON. (%s)",
                         detail.text);
    return PH_OK;
}
