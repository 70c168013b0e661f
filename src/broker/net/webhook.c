#include "broker/net/webhook.h"

#include "broker/net/curl_sender.h"
#include "broker/net/http_sender.h"

#include <stdlib.h>

struct webhook {
    uv_loop_t *loop;
    exchange_report_fn *report;
    void *ctx;
    struct sender_budget budget;
    struct http_sender *http;
    struct curl_sender *curl; /* NULL: not needed yet */
    bool proxied;             /* the environment may name a proxy for http:// */
};

/* Those that curl looks at for http:// (HTTP_PROXY is not among them). */
static bool has_proxy(void)
{
    static const char *const names[] = {"http_proxy", "all_proxy", "ALL_PROXY"};
    bool found = false;

    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        const char *value = getenv(names[i]);

        found |= value && value[0];
    }
    return found;
}

struct webhook *webhook__new(uv_loop_t *loop, size_t max_connections, exchange_report_fn *report,
                             void *ctx)
{
    struct webhook *w = calloc(1, sizeof(*w));

    if (!w)
        return NULL;
    w->loop = loop;
    w->report = report;
    w->ctx = ctx;
    w->budget.total = max_connections;
    w->budget.per_host = max_connections < 4 ? 1 : max_connections / 4;
    w->proxied = has_proxy();
    w->http = http_sender__new(loop, &w->budget, report, ctx);
    if (!w->http) {
        free(w);
        return NULL;
    }
    return w;
}

void webhook__free(struct webhook *w)
{
    if (!w)
        return;
    http_sender__free(w->http);
    curl_sender__free(w->curl);
    free(w);
}

bool webhook__send(struct webhook *w, struct exchange *x, const struct upstream_request *req)
{
    struct http_target target;

    if (!w->proxied && http_target__read(req->url, &target))
        return http_sender__send(w->http, x, req, &target);
    if (!w->curl)
        w->curl = curl_sender__new(w->loop, &w->budget, w->report, w->ctx);
    return w->curl && curl_sender__send(w->curl, x, req);
}

void webhook__cancel(struct webhook *w, struct exchange *x)
{
    struct sending *sending = exchange__shell(x);

    (void)w;
    if (sending)
        sending->cancel(sending);
}
