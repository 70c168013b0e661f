#include "bin/show.h"

#include "base/utf8.h"
#include "event/mqtt.h"

#define NAME(out) paint__code(out, PAINT_NAME)
#define FAINT(out) paint__code(out, PAINT_FAINT)
#define END(out) paint__code(out, PAINT_END)

static bool is_harmless(char c)
{
    return ((unsigned char)c >= ' ' && c != 0x7f) || c == '\n' || c == '\t';
}

/* C1 controls, which some terminals obey too, are C2 80 to C2 9F in UTF-8. */
static bool is_c1(struct str text, size_t at)
{
    return (unsigned char)text.ptr[at] == 0xc2 && at + 1 < text.len &&
           (unsigned char)text.ptr[at + 1] < 0xa0;
}

void show__text(FILE *out, struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (is_harmless(text.ptr[i]) && !is_c1(text, i))
            fputc(text.ptr[i], out);
        else
            fprintf(out, "\\x%02x", (unsigned char)text.ptr[i]);
    }
}

void show__data(FILE *out, struct str data)
{
    if (utf8__valid(data) && !(data.len > 0 && memchr(data.ptr, '\0', data.len)))
        show__text(out, data);
    else
        fprintf(out, "%s(%zu bytes that are no text)%s", FAINT(out), data.len, END(out));
}

static void show_headers(FILE *out, const char *mark, const struct http_headers *headers)
{
    for (size_t i = 0; i < headers->count; i++) {
        fprintf(out, "%s%s %s", FAINT(out), mark, NAME(out));
        show__text(out, headers->items[i].name);
        fprintf(out, "%s: ", END(out));
        show__text(out, headers->items[i].value);
        fputc('\n', out);
    }
}

static void show_body(FILE *out, const char *mark, struct str body)
{
    struct str line;

    if (body.len == 0)
        return;
    fprintf(out, "%s%s%s\n", FAINT(out), mark, END(out));
    if (!utf8__valid(body)) {
        fprintf(out, "%s%s%s ", FAINT(out), mark, END(out));
        show__data(out, body);
        fputc('\n', out);
        return;
    }
    while (str__split(&body, '\n', &line)) {
        fprintf(out, "%s%s%s ", FAINT(out), mark, END(out));
        show__text(out, line);
        fputc('\n', out);
    }
}

void show__request(FILE *out, const char *url, const struct http_request *req)
{
    fprintf(out, "%s>%s %.*s %s\n", FAINT(out), END(out), STR_FMT(req->method), url);
    show_headers(out, ">", &req->headers);
    show_body(out, ">", req->body);
}

void show__response(FILE *out, const struct http_response *res)
{
    enum paint paint = res->status / 100 == 2 ? PAINT_GOOD : PAINT_BAD;

    fprintf(out, "%s<%s %s%d %s%s\n", FAINT(out), END(out), paint__code(out, paint), res->status,
            http__reason(res->status), END(out));
    show_headers(out, "<", &res->headers);
    show_body(out, "<", res->body);
}

void show__record_headers(struct record *r, const struct http_headers *headers)
{
    record__open(r, "headers", '[');
    for (size_t i = 0; i < headers->count; i++) {
        record__open(r, NULL, '[');
        record__text(r, NULL, headers->items[i].name);
        record__text(r, NULL, headers->items[i].value);
        record__close(r, ']');
    }
    record__close(r, ']');
}

void show__record_response(struct record *r, const struct http_response *res)
{
    record__number(r, "status", (uint64_t)res->status);
    show__record_headers(r, &res->headers);
    record__text(r, "body", res->body);
}

/* --- what an answer means ---------------------------------------------------------------- */

static bool is_notification(enum ph_event_kind kind)
{
    return kind != PH_EVENT_CONNECT && kind != PH_EVENT_USER;
}

static bool is_retried(int status)
{
    return status == 408 || status / 100 == 5;
}

/* ", groups a, b" */
static void list(struct buf *out, const char *what, const struct str *items, size_t count)
{
    buf__printf(out, ", %s", what);
    for (size_t i = 0; i < count; i++)
        buf__printf(out, "%s%.*s", i > 0 ? ", " : " ", STR_FMT(items[i]));
}

static void describe_connect(struct buf *out, const struct answer *a)
{
    size_t before;

    buf__str(out, STR("the client is accepted"));
    before = out->len;
    if (a->user_id.ptr)
        buf__printf(out, ", as %s%.*s", a->user_id.len > 0 ? "user " : "nobody (no user id)",
                    STR_FMT(a->user_id));
    if (a->group_count > 0)
        list(out, "in groups", a->groups, a->group_count);
    if (a->has_roles)
        list(out, a->role_count > 0 ? "with roles" : "without any role", a->roles, a->role_count);
    if (a->subprotocol.ptr)
        buf__printf(out, ", with subprotocol %.*s", STR_FMT(a->subprotocol));
    if (out->len == before)
        buf__str(out, STR(", as its token says"));
}

static void describe_user(struct buf *out, const struct ph_event *ev, const struct answer *a)
{
    bool any_type = mqtt__is_client(ev) && a->content_type.ptr;

    if (!a->has_data) {
        buf__str(out, STR("the event succeeds; nothing is sent to the client"));
        return;
    }
    buf__printf(out, "the event succeeds; the client is sent %zu bytes of ", a->data.len);
    buf__str(out, any_type ? a->content_type : str__of(event__data_type_name(a->type)));
    if (a->metadata.count > 0)
        buf__printf(out, " with %zu entries of metadata", a->metadata.count);
}

static void describe_success(struct buf *out, const struct ph_event *ev, const struct answer *a)
{
    if (is_notification(ev->kind)) {
        buf__str(out, STR("the handler has been told"));
        return;
    }
    if (ev->kind == PH_EVENT_CONNECT)
        describe_connect(out, a);
    else
        describe_user(out, ev, a);
    if (a->state.ptr)
        buf__printf(out, "; the connection state is now \"%.*s\"", STR_FMT(a->state));
}

static void describe_failure(struct buf *out, const struct ph_event *ev, const struct answer *a,
                             const char *problem)
{
    bool retried = !problem && is_retried(a->status) && !is_notification(ev->kind);

    if (retried)
        buf__printf(out, "%d is tried again after 1, 3 and 5 seconds; then ", a->status);
    if (ev->kind == PH_EVENT_CONNECT)
        buf__printf(out, "the client is refused with status %d", problem ? 500 : a->status);
    else if (ev->kind == PH_EVENT_USER)
        buf__str(out, STR("the event fails: a raw client is closed, others get a failed ack"));
    else
        buf__str(out, STR("the failure is only logged"));
    if (a->mqtt_code > 0)
        buf__printf(out, "; its CONNACK has code %d%s%.*s", a->mqtt_code,
                    a->mqtt_reason.len > 0 ? ": " : "", STR_FMT(a->mqtt_reason));
    if (problem)
        buf__printf(out, ", because %s", problem);
}

void show__meaning(struct buf *out, const struct ph_event *ev, const struct answer *answer,
                   const char *problem)
{
    if (answer->success)
        describe_success(out, ev, answer);
    else
        describe_failure(out, ev, answer, problem);
}

static void record_list(struct record *r, const char *name, const struct str *items, size_t count)
{
    record__open(r, name, '[');
    for (size_t i = 0; i < count; i++)
        record__text(r, NULL, items[i]);
    record__close(r, ']');
}

static void record_data(struct record *r, const struct answer *a)
{
    record__text(r, "dataType", str__of(event__data_type_name(a->type)));
    if (a->type == PH_DATA_JSON)
        record__raw(r, "data", a->data);
    else
        record__text(r, "data", a->data);
}

void show__record_answer(struct record *r, const struct ph_event *ev, const struct answer *a)
{
    if (a->mqtt_code > 0)
        record__number(r, "mqttCode", (uint64_t)a->mqtt_code);
    if (!a->success || is_notification(ev->kind))
        return;
    if (a->user_id.ptr)
        record__text(r, "userId", a->user_id);
    if (a->group_count > 0)
        record_list(r, "groups", a->groups, a->group_count);
    if (a->has_roles)
        record_list(r, "roles", a->roles, a->role_count);
    if (a->subprotocol.ptr)
        record__text(r, "subprotocol", a->subprotocol);
    if (a->has_data)
        record_data(r, a);
    if (a->state.ptr)
        record__text(r, "connectionState", a->state);
}
