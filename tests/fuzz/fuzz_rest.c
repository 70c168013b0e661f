/* The REST API, from the lines of a request to the answer: as it came, and with tokens
 * that are good for every path, so that mutations of it get past them. */
#include "base/json.h"
#include "base/jwt.h"
#include "base/names.h"
#include "broker/core/listing.h"
#include "broker/rest/rest.h"
#include "request.h"

#include <stdio.h>
#include <stdlib.h>

#define NOW 1800000000 /* the tokens of the corpus are good until 2100 */
#define MAX_TOKEN 1024

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Half of the runs name the broker as its callers do, the others have a public endpoint. */
static struct settings *settings_of_all_runs(void)
{
    static struct public_endpoint endpoint = {
        .url = {"https://example.com/base", 24}, .secure = true, .host = {"example.com", 11}};
    static struct settings settings = {.endpoints = &endpoint};

    if (settings.key_count == 0) {
        settings.limits = LIMITS_DEFAULT;
        settings.keys[settings.key_count++] = mac__key_new(STR(SETTINGS_DEFAULT_KEY));
    }
    return &settings;
}

static void check_command(const struct hub_command *cmd)
{
    if (!names__valid_hub(cmd->hub) || (cmd->op == HUB_SEND) != !!cmd->message)
        abort();
    if ((cmd->scope == SCOPE_HUB) != !cmd->name.ptr || (cmd->name.ptr && cmd->name.len == 0))
        abort();
    for (size_t i = 0; i < cmd->group_count; i++) {
        if (!names__valid_group(cmd->groups[i]))
            abort();
    }
    if ((cmd->target.ptr && !names__valid_group(cmd->target)) ||
        (cmd->op == HUB_JOIN && cmd->group_count == 0))
        abort();
}

/* Every body of ours is JSON, whatever it quotes. */
static void check_answer(const struct http_response *response)
{
    if (response->status < 200 || response->status > 599)
        abort();
    if (response->body.len > 0 && json__check(response->body, 8, NULL) != PH_OK)
        abort();
}

/* Somebody is in every group, and so many that there is always a next page. */
static void finish(struct arena *a, struct rest_call *call)
{
    struct hub_result result = {.matched = 1, .conflict = call->command.op == HUB_GRANT};
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
    const struct entra_settings entra = {.audience = STR("https://webpubsub.azure.com"),
                                         .allow_unvalidated = true};
    const struct rest_world world = {.settings = settings_of_all_runs(),
                                     .own_host = STR("127.0.0.1:8080"),
                                     .now = NOW,
                                     .max_body = 1u << 20,
                                     .entra = &entra,
                                     .entra_keys_final = true};
    struct rest_call call;
    struct diag diag = {""};
    int status = rest__begin(a, req, &world, &call, &diag);

    if (status == 0)
        rest__body(a, req, &world, &call, &diag);
    if (call.has_command) {
        check_command(&call.command);
        finish(a, &call);
        check_answer(&call.response);
        if (call.command.op != HUB_LIST)
            rest__finish(a, &call, &(struct hub_result){0});
    }
    check_answer(&call.response);
    rest__free(&call);
}

/* The audience is a parent of every path. */
static void run_as(struct arena *a, const struct http_request *req, const char *audience)
{
    struct http_request copy = *req;
    struct buf token;

    copy.headers = (struct http_headers){0};
    buf__init(&token, MAX_TOKEN);
    buf__str(&token, STR("Bearer "));
    jwt__sign(&token, str__of(arena__printf(a, "{\"exp\":%d,\"aud\":\"%s\"}", NOW + 60, audience)),
              settings_of_all_runs()->keys[0]);
    if (token.failed)
        abort();
    http__add(a, &copy.headers, STR("Authorization"), str__of(arena__strdup(a, buf__view(&token))));
    buf__free(&token);
    for (size_t i = 0; i < req->headers.count; i++) {
        if (!str__eq_nocase(req->headers.items[i].name, STR("Authorization")))
            http__add(a, &copy.headers, req->headers.items[i].name, req->headers.items[i].value);
    }
    run(a, &copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a;
    struct http_request req;

    arena__init(&a, NULL, 0, 8 << 20);
    settings_of_all_runs()->endpoint_count = size % 2;
    if (request__read(&a, str__n(data, size), &req) && rest__is_path(req.path)) {
        run(&a, &req);
        run_as(&a, &req, "http://127.0.0.1:8080");
        run_as(&a, &req, "https://webpubsub.azure.com");
    }
    arena__free(&a);
    return 0;
}
