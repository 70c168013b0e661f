#include "http_text.h"

static bool add_line(struct arena *a, struct http_headers *headers, struct str line)
{
    struct str name;

    char *value;

    str__split(&line, ':', &name);
    line = str__trim(line);
    value = arena__strdup(a, line);
    return value && http__add(a, headers, name, str__n(value, line.len));
}

bool http_text__add(struct arena *a, struct http_headers *headers, struct str lines)
{
    struct str line;

    while (str__split(&lines, '\n', &line)) {
        if (line.len > 0 && !add_line(a, headers, line))
            return false;
    }
    return true;
}

bool http_text__parse(struct arena *a, struct str text, struct http_headers *headers,
                      struct str *body)
{
    struct str line;

    *headers = (struct http_headers){0};
    *body = STR("");
    while (str__split(&text, '\n', &line)) {
        if (line.len > 0 && line.ptr[line.len - 1] == '\r')
            line.len--;
        if (line.len == 0)
            break;
        if (line.ptr[0] == '#')
            continue;
        if (!add_line(a, headers, line))
            return false;
    }
    if (text.ptr)
        *body = str__n(arena__strdup(a, text), text.len);
    return body->ptr != NULL;
}
