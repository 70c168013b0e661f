#include "rest_kit.h"

#include "broker/rest/answer.h"
#include "http_text.h"

int kit__set_up(void **state)
{
    static struct fixture f;

    memset(&f, 0, sizeof(f));
    arena__init(&f.arena, NULL, 0, 4 << 20);
    f.settings.keys[0] = mac__key_new(STR(SETTINGS_DEFAULT_KEY));
    f.settings.key_count = 1;
    f.settings.limits = LIMITS_DEFAULT;
    f.world = (struct rest_world){.settings = &f.settings,
                                  .own_host = STR(OWN),
                                  .now = NOW,
                                  .loop_ms = 5000,
                                  .max_body = MAX_BODY};
    buf__init(&f.token, JWT_MAX_LEN);
    *state = &f;
    return 0;
}

int kit__tear_down(void **state)
{
    struct fixture *f = *state;

    rest__free(&f->call);
    arena__free(&f->arena);
    mac__key_free(f->settings.keys[0]);
    buf__free(&f->token);
    return 0;
}

struct str kit__bearer(struct fixture *f, const char *aud)
{
    buf__reset(&f->token);
    buf__str(&f->token, STR("Bearer "));
    jwt__sign(&f->token,
              str__of(arena__printf(&f->arena, "{\"exp\":%d,\"aud\":\"%s\"}", NOW + 60, aud)),
              f->settings.keys[0]);
    assert_false(f->token.failed);
    return str__of(arena__strdup(&f->arena, buf__view(&f->token)));
}

int kit__call(struct fixture *f, const char *method, const char *target, const char *headers,
              struct str body)
{
    struct http_request req = {.method = str__of(method)};
    int status;

    http__set_target(&req, str__of(target));
    assert_true(http_text__add(&f->arena, &req.headers, str__of(headers)));
    if (http__count(&req.headers, STR("Host")) == 0)
        http__add(&f->arena, &req.headers, STR("Host"), STR("localhost:8080"));
    if (http__count(&req.headers, STR("Authorization")) == 0)
        http__add(&f->arena, &req.headers, STR("Authorization"),
                  kit__bearer(f, arena__printf(&f->arena, HOST "%s", target)));
    rest__free(&f->call);
    f->diag.text[0] = '\0';
    assert_true(rest__is_path(req.path));
    status = rest__begin(&f->arena, &req, &f->world, &f->call, &f->diag);
    assert_int_equal(status == REST_WANTS_KEYS ? 0 : status, f->call.response.status);
    if (status != 0)
        return status;
    req.body = body;
    rest__body(&f->arena, &req, &f->world, &f->call, &f->diag);
    assert_int_equal(f->call.has_command, f->call.response.status == 0);
    return f->call.response.status;
}

int kit__finish(struct fixture *f, size_t matched)
{
    struct hub_result result = {.matched = matched, .conflict = false};

    assert_true(f->call.has_command);
    rest__finish(&f->arena, &f->call, &result);
    return f->call.response.status;
}

struct str kit__header(struct fixture *f, const char *name)
{
    return http__get(&f->call.response.headers, str__of(name));
}

void kit__error_is(struct fixture *f, const char *code, const char *target)
{
    struct json *body;
    struct diag diag;

    assert_int_equal(
        json__parse(&f->arena, f->call.response.body, &JSON_LIMITS_DEFAULT, &body, &diag), PH_OK);
    assert_str(json__get_string(body, STR("code")), code);
    assert_true(json__get_string(body, STR("message")).len > 0);
    assert_str(json__get_string(body, STR("target")), target);
    assert_str(kit__header(f, "x-ms-error-code"), code);
    assert_str(kit__header(f, "Content-Type"), "application/json");
    assert_str(kit__header(f, "api-supported-versions"), ANSWER_VERSIONS);
    assert_true(f->diag.text[0] != '\0');
}
