#include "http_text.h"

bool http_text__parse(struct arena *a, struct str text, struct http_headers *headers,
                      struct str *body)
{
    struct str line;

    *headers = (struct http_headers){NULL, 0, 0};
    *body = STR("");
    while (str__split(&text, '\n', &line)) {
        struct str name;

        if (line.len > 0 && line.ptr[line.len - 1] == '\r')
            line.len--;
        if (line.len == 0)
            break;
        if (line.ptr[0] == '#')
            continue;
        str__split(&line, ':', &name);
        if (!http__add(a, headers, name, line.ptr ? str__trim(line) : STR("")))
            return false;
    }
    if (text.ptr)
        *body = text;
    return true;
}
