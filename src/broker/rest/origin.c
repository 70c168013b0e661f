#include "broker/rest/origin.h"

void origin__write(struct buf *out, const struct rest_world *world,
                   const struct http_headers *headers)
{
    struct str host = http__get(headers, STR("Host"));

    buf__str(out, STR("http://"));
    buf__str(out, host.len > 0 ? host : world->own_host);
}
