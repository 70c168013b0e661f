#include "request.h"

static const struct http_limits limits = {.headers = 100, .header_bytes = 32768};

bool request__read(struct arena *a, struct str input, struct http_request *req)
{
    struct str line, rest = input, name;

    *req = (struct http_request){0};
    if (!str__split(&rest, '\n', &line))
        return false;
    str__split(&line, ' ', &req->method);
    if (!line.ptr)
        return false;
    http__set_target(req, line);
    while (str__split(&rest, '\n', &line) && line.len > 0) {
        str__split(&line, ':', &name);
        if (!http__add(a, &req->headers, name, line.ptr ? str__trim(line) : STR("")))
            return false;
    }
    req->body = rest;
    return http__check(&req->headers, &limits, NULL) == 0;
}
