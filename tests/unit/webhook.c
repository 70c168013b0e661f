#include "webhook.h"

#include "unit.h"

#include <string.h>

struct ph_event webhook__event(enum ph_event_kind kind, const char *name)
{
    return (struct ph_event){
        .kind = kind,
        .hub = STR("chat"),
        .connection_id = STR(WEBHOOK_CONNECTION),
        .name = str__of(name),
        .id = STR("7"),
        .time = STR("2026-11-20T12:00:00Z"),
        .origin = STR("localhost"),
        .type = PH_DATA_JSON,
    };
}

struct ph_event webhook__user_event(const char *name, enum ph_data_type type, const char *data)
{
    struct ph_event ev = webhook__event(PH_EVENT_USER, name);

    ev.type = type;
    ev.data = str__of(data);
    return ev;
}

struct ph_response *webhook__serve(struct ph_app *app, const struct ph_request *req)
{
    struct ph_response *res = ph_response_new();

    assert_non_null(res);
    ph_app_serve(app, req, res);
    return res;
}

struct ph_response *webhook__post(struct ph_app *app, const struct ph_event *ev)
{
    struct ph_request *req = ph_request_new("POST", "/eventhandler");
    struct ph_response *res;
    struct diag diag = {""};

    assert_non_null(req);
    if (event__encode(&req->arena, ev, STR(WEBHOOK_SIGNATURE), &req->http, &diag) != PH_OK)
        fail_msg("encode: %s", diag.text);
    res = webhook__serve(app, req);
    ph_request_free(req);
    return res;
}

struct ph_request *webhook__request(const char *method, const char *target,
                                    const char *const *lines)
{
    struct ph_request *req = ph_request_new(method, target);

    assert_non_null(req);
    for (; *lines; lines++) {
        const char *colon = strstr(*lines, ": ");

        assert_non_null(colon);
        assert_int_equal(ph_request_add_header(req, *lines, (size_t)(colon - *lines), colon + 2,
                                               strlen(colon + 2)),
                         PH_OK);
    }
    return req;
}

const char *webhook__header(const struct ph_response *res, const char *name)
{
    const char *found = NULL, *value, *at;

    for (size_t i = 0; (at = ph_response_header(res, i, &value)); i++) {
        if (!str__eq_nocase(str__of(at), str__of(name)))
            continue;
        assert_null(found);
        found = value;
    }
    return found;
}

static void collect(void *arg, enum ph_log_level level, const char *line, size_t len)
{
    struct webhook_log *log = arg;

    (void)level;
    assert_true(log->len + len < sizeof(log->text));
    memcpy(log->text + log->len, line, len);
    log->len += len;
    log->text[log->len] = '\0';
}

void webhook__log_open(struct webhook_log *log)
{
    *log = (struct webhook_log){.log = ph_log_new(PH_LOG_DEBUG, PH_LOG_TEXT)};
    assert_non_null(log->log);
    ph_log_set_sink(log->log, collect, log);
}

void webhook__log_close(struct webhook_log *log)
{
    ph_log_free(log->log);
}
