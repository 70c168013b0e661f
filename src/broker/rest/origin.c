#include "broker/rest/origin.h"

#include "base/url.h"

static uint16_t port_of(uint16_t port, bool secure)
{
    return port > 0 ? port : secure ? 443 : 80;
}

static bool is_host_of(const struct public_endpoint *e, struct str host)
{
    struct str name;
    uint16_t port = 0;

    if (!url__host_port(host, &name, &port))
        name = url__host_only(host);
    return str__eq_nocase(name, e->host) && port_of(port, e->secure) == port_of(e->port, e->secure);
}

void origin__write(struct buf *out, const struct rest_world *world,
                   const struct http_headers *headers)
{
    const struct public_endpoint *all = world->settings->endpoints;
    struct str host = http__get(headers, STR("Host"));
    bool secure = str__eq_nocase(http__get(headers, STR("X-Forwarded-Proto")), STR("https"));

    for (size_t i = 0; i < world->settings->endpoint_count; i++) {
        if (is_host_of(&all[i], host)) {
            buf__str(out, all[i].url);
            return;
        }
    }
    if (world->settings->endpoint_count > 0) {
        buf__str(out, all[0].url);
        return;
    }
    buf__str(out, secure ? STR("https://") : STR("http://"));
    url__encode_rest(out, host.len > 0 ? host : world->own_host); /* it goes into JSON */
}
