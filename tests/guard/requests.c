/* HTTP requests at the broker: tokens, the client handshake, the REST API. */
#include "broker/rest/rest.h"
#include "broker/wire/handshake.h"
#include "guard.h"

#include <stdio.h>
#include <stdlib.h>

#define NOW 1800000000
#define OWN_HOST STR("127.0.0.1:8080")
#define CLIENT_PATH "/client/hubs/chat"
#define SEND_PATH "/api/hubs/chat/groups/room/:send?api-version=2024-12-01"
#define BASE "http://localhost:8080"
#define MAX_TARGET 2048
#define MAX_MEMORY (1u << 20)

struct judge {
    struct settings settings;
    char token[1024], target[MAX_TARGET], bearer[1100];
    struct arena arena;
    char first[16 << 10]; /* as shards have, so that small requests allocate nothing */
};

static struct judge *new_judge(const char *claims)
{
    struct judge *j = guard__zalloc(sizeof(*j));
    struct buf token;

    j->settings.limits = LIMITS_DEFAULT;
    j->settings.keys[0] = mac__key_new(STR(SETTINGS_DEFAULT_KEY));
    j->settings.key_count = 1;
    buf__init(&token, sizeof(j->token) - 1);
    jwt__sign(&token, str__of(claims), j->settings.keys[0]);
    MUST(!token.failed);
    memcpy(j->token, token.data, token.len);
    buf__free(&token);
    arena__init(&j->arena, j->first, sizeof(j->first), MAX_MEMORY);
    return j;
}

static void drop_judge(void *world)
{
    struct judge *j = world;

    arena__free(&j->arena);
    mac__key_free(j->settings.keys[0]);
    free(j);
}

static void *prepare_client(const void *what)
{
    struct judge *j = new_judge("{\"exp\":1800000060,\"aud\":\"" BASE CLIENT_PATH
                                "\",\"sub\":\"alice\",\"role\":[\"webpubsub.sendToGroup\","
                                "\"webpubsub.joinLeaveGroup.room\"],\"webpubsub.group\":\"room\"}");

    (void)what;
    snprintf(j->target, sizeof(j->target), CLIENT_PATH "?access_token=%s&device=phone", j->token);
    return j;
}

static void verify_token(void *world)
{
    struct judge *j = world;
    const struct jwt_rules rules = {
        .keys = j->settings.keys, .key_count = 1, .now = NOW, .skew = ACCESS_SKEW_SECONDS};
    const struct json *claims;
    struct diag diag;

    arena__reset(&j->arena);
    MUST(jwt__verify(&j->arena, str__of(j->token), &rules, &claims, &diag) == PH_OK);
}

static void shake_hands(void *world)
{
    struct judge *j = world;
    struct http_request req = {.method = STR("GET")};
    struct handshake h;
    struct diag diag;

    arena__reset(&j->arena);
    http__set_target(&req, str__of(j->target));
    http__add(&j->arena, &req.headers, STR("Host"), STR("localhost:8080"));
    http__add(&j->arena, &req.headers, STR("Connection"), STR("Upgrade"));
    http__add(&j->arena, &req.headers, STR("Upgrade"), STR("websocket"));
    http__add(&j->arena, &req.headers, STR("Sec-WebSocket-Version"), STR("13"));
    http__add(&j->arena, &req.headers, STR("Sec-WebSocket-Key"), STR("dGhlIHNhbXBsZSBub25jZQ=="));
    http__add(&j->arena, &req.headers, STR("Sec-WebSocket-Protocol"),
              STR("json.reliable.webpubsub.azure.v1, json.webpubsub.azure.v1"));
    handshake__read(&j->arena, &req, &j->settings, OWN_HOST, NOW, &h, &diag);
    MUST(h.status == 0 && h.format->reliable && h.group_count == 1);
}

static void *prepare_rest(const void *what)
{
    struct judge *j = new_judge("{\"exp\":1800000060,\"aud\":\"" BASE SEND_PATH "\"}");

    (void)what;
    snprintf(j->bearer, sizeof(j->bearer), "Bearer %s", j->token);
    return j;
}

static void send_by_rest(void *world)
{
    struct judge *j = world;
    const struct rest_world rest = {.settings = &j->settings,
                                    .own_host = OWN_HOST,
                                    .now = NOW,
                                    .loop_ms = 5000,
                                    .max_body = MAX_MEMORY};
    struct http_request req = {.method = STR("POST")};
    struct rest_call call;
    struct diag diag;

    arena__reset(&j->arena);
    http__set_target(&req, STR(SEND_PATH));
    http__add(&j->arena, &req.headers, STR("Host"), STR("localhost:8080"));
    http__add(&j->arena, &req.headers, STR("Content-Type"), STR("application/json"));
    http__add(&j->arena, &req.headers, STR("Content-Length"), STR("17"));
    http__add(&j->arena, &req.headers, STR("Accept"), STR("application/json"));
    http__add(&j->arena, &req.headers, STR("Authorization"), str__of(j->bearer));
    MUST(rest__begin(&j->arena, &req, &rest, &call, &diag) == 0);
    req.body = STR("{\"hello\":\"world\"}");
    rest__body(&j->arena, &req, &rest, &call, &diag);
    MUST(call.has_command);
    rest__finish(&j->arena, &call, &(struct hub_result){.matched = 1});
    MUST(call.response.status == 202);
    rest__free(&call);
}

const struct scenario guard_requests[] = {
    {"token-verify", 100, NULL, prepare_client, verify_token, drop_judge},
    {"handshake", 100, NULL, prepare_client, shake_hands, drop_judge},
    {"rest-send-to-group", 100, NULL, prepare_rest, send_by_rest, drop_judge},
    {.name = NULL},
};
