/* The REST API, from the lines of a request to the answer. */
#include "broker/core/listing.h"
#include "broker/rest/rest.h"
#include "request.h"

#include <stdio.h>
#include <stdlib.h>

#define NOW 1800000000 /* the tokens of the corpus are good until 2100 */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct settings *settings_of_all_runs(void)
{
    static struct settings settings;

    if (settings.key_count == 0) {
        settings.limits = LIMITS_DEFAULT;
        settings.keys[settings.key_count++] = mac__key_new(STR(SETTINGS_DEFAULT_KEY));
    }
    return &settings;
}

/* Somebody is in every group, and so many that there is always a next page. */
static void finish(struct arena *a, struct rest_call *call)
{
    struct hub_result result = {.matched = 1};
    char id[8];

    if (call->command.op == HUB_LIST)
        result.listing = listing__new(call->command.limit);
    for (unsigned i = 0; result.listing && i < call->command.limit; i++) {
        snprintf(id, sizeof(id), "c%u", i);
        listing__offer(result.listing, str__of(id), i % 2 ? STR("\"") : STR_NONE);
    }
    if (result.listing)
        listing__sort(result.listing);
    rest__finish(a, call, &result);
    hub_result__free(&result);
}

static void run(struct arena *a, const struct http_request *req)
{
    const struct rest_world world = {.settings = settings_of_all_runs(),
                                     .own_host = STR("127.0.0.1:8080"),
                                     .now = NOW,
                                     .max_body = 1u << 20};
    struct rest_call call;
    struct diag diag = {""};
    int status = rest__begin(a, req, &world, &call, &diag);

    if (status == 0)
        rest__body(a, req, &world, &call, &diag);
    if (call.has_command) {
        if (call.command.hub.len == 0 || (call.command.op == HUB_SEND) != !!call.command.message)
            abort();
        finish(a, &call);
    }
    if (call.response.status < 200 || call.response.status > 599)
        abort();
    rest__free(&call);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a;
    struct http_request req;

    arena__init(&a, NULL, 0, 4 << 20);
    if (request__read(&a, str__n(data, size), &req) && rest__is_path(req.path))
        run(&a, &req);
    arena__free(&a);
    return 0;
}
