/* Webhook events: decoded from vectors, encoded, and both in turn. */
#include "event/event.h"

#include "http_text.h"
#include "pubhook/event.h"
#include "unit.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#define MAX_VECTOR 65536

static const struct event_limits limits = {.json_depth = 64};

struct fixture {
    struct arena arena;
    struct http_request req;
    struct ph_event *ev;
    struct diag diag;
};

static int setup(void **state)
{
    static struct fixture f;

    f = (struct fixture){.diag = {""}};
    arena__init(&f.arena, NULL, 0, 64 << 20);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    arena__free(&((struct fixture *)*state)->arena);
    return 0;
}

static struct str read_vector(struct fixture *f, const char *name)
{
    char path[1024];
    char *text = arena__alloc(&f->arena, MAX_VECTOR);
    FILE *file;
    size_t len;

    snprintf(path, sizeof(path), "%s/events/%s", VECTORS_DIR, name);
    file = fopen(path, "rb");
    if (!file)
        fail_msg("cannot open %s", path);
    len = fread(text, 1, MAX_VECTOR, file);
    fclose(file);
    assert_true(len < MAX_VECTOR);
    assert_true(http_text__parse(&f->arena, str__n(text, len), &f->req.headers, &f->req.body));
    return str__n(text, len);
}

static enum ph_err decode(struct fixture *f)
{
    f->diag.text[0] = '\0';
    return event__decode(&f->arena, &f->req, &limits, &f->ev, &f->diag);
}

static const struct ph_event *decode_vector(struct fixture *f, const char *name)
{
    read_vector(f, name);
    if (decode(f) != PH_OK)
        fail_msg("%s: %s", name, f->diag.text);
    return f->ev;
}

/* The text behind "#! ". */
static struct str expected_reason(struct str text)
{
    struct str line;

    while (str__split(&text, '\n', &line)) {
        if (str__starts_with(line, STR("#! ")))
            return str__n(line.ptr + 3, line.len - 3);
    }
    return STR_NONE;
}

static void check_refusal(struct fixture *f, const char *name, struct str text)
{
    char reason[256];
    enum ph_err err = decode(f);

    snprintf(reason, sizeof(reason), "%.*s", STR_FMT(expected_reason(text)));
    assert_true(reason[0] != '\0');
    if (err == PH_OK || f->ev || !strstr(f->diag.text, reason))
        fail_msg("%s: got %d \"%s\", expected \"%s\"", name, err, f->diag.text, reason);
    assert_int_equal(err == PH_ERR_UNSUPPORTED,
                     str__starts_with(str__of(name), STR("bad-content-type")));
}

/* A body that ends too early is an error or another event, and nothing else. The copy
 * has its exact size, so that the sanitizer sees a read behind it. */
static void cut_everywhere(struct fixture *f)
{
    struct str whole = f->req.body;

    for (size_t len = 0; len < whole.len; len++) {
        char *copy = malloc(len + 1);
        struct arena a;

        assert_non_null(copy);
        memcpy(copy, whole.ptr, len);
        copy[len] = '\0';
        f->req.body = str__n(copy, len);
        arena__init(&a, NULL, 0, 1 << 20);
        if (event__decode(&a, &f->req, &limits, &f->ev, &f->diag) != PH_OK)
            assert_null(f->ev);
        arena__free(&a);
        free(copy);
    }
    f->req.body = whole;
}

static void vectors_decode_or_are_refused_for_the_right_reason(void **state)
{
    struct fixture *f = *state;
    DIR *dir = opendir(VECTORS_DIR "/events");
    struct dirent *entry;
    size_t count = 0;

    assert_non_null(dir);
    while ((entry = readdir(dir))) {
        struct str name = str__of(entry->d_name);

        if (name.len < 5 || strcmp(entry->d_name + name.len - 5, ".http") != 0)
            continue;
        if (str__starts_with(name, STR("ok-")))
            decode_vector(f, entry->d_name);
        else
            check_refusal(f, entry->d_name, read_vector(f, entry->d_name));
        cut_everywhere(f);
        count++;
    }
    closedir(dir);
    assert_true(count >= 60);
}

static void connect_body_is_read_whole(void **state)
{
    const struct ph_event *ev = decode_vector(*state, "ok-connect.http");

    assert_int_equal(ph_event_kind(ev), PH_EVENT_CONNECT);
    assert_string_equal(ph_event_hub(ev), "chat");
    assert_string_equal(ph_event_connection_id(ev), "conn1");
    assert_string_equal(ph_event_name(ev), "connect");
    assert_string_equal(ph_event_user_id(ev), "bob");
    assert_string_equal(ph_event_id(ev), "2");
    assert_string_equal(ph_event_time(ev), "2026-11-20T12:00:00Z");
    assert_string_equal(ph_event_source(ev), "/hubs/chat/client/conn1");
    assert_string_equal(ph_event_origin(ev), "localhost");
    assert_int_equal(ph_event_field_count(ev, PH_FIELD_CLAIMS), 4);
    assert_string_equal(ph_event_field_name(ev, PH_FIELD_CLAIMS, 3), "role");
    assert_null(ph_event_field_name(ev, PH_FIELD_CLAIMS, 4));
    assert_string_equal(ph_event_field(ev, PH_FIELD_CLAIMS, "role", 1), "b");
    assert_null(ph_event_field(ev, PH_FIELD_CLAIMS, "role", 2));
    assert_null(ph_event_field(ev, PH_FIELD_CLAIMS, "Role", 0));
    assert_string_equal(ph_event_field(ev, PH_FIELD_QUERY, "room", 0), "7");
    assert_string_equal(ph_event_field(ev, PH_FIELD_QUERY, "empty", 0), "");
    assert_null(ph_event_field(ev, PH_FIELD_QUERY, "none", 0));
    assert_string_equal(ph_event_field(ev, PH_FIELD_HEADERS, "x-two", 1), "2");
    assert_string_equal(ph_event_field(ev, PH_FIELD_HEADERS, "COOKIE", 0), "a=1; b=2");
    assert_null(ph_event_field(ev, PH_FIELD_HEADERS, NULL, 0));
    assert_string_equal(ph_event_offered_subprotocol(ev, 0), "json.webpubsub.azure.v1");
    assert_string_equal(ph_event_offered_subprotocol(ev, 1), "custom");
    assert_null(ph_event_offered_subprotocol(ev, 2));
    assert_int_equal(ph_event_certificate_count(ev), 1);
    assert_string_equal(ph_event_certificate_thumbprint(ev, 0), "ab12");
    assert_string_equal(ph_event_certificate_pem(ev, 0),
                        "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----");
    assert_null(ph_event_certificate_thumbprint(ev, 1));
    assert_null(ph_event_certificate_pem(ev, 1));
    assert_string_equal(ph_event_http_header(ev, "CE-SPECVERSION"), "1.0");
    assert_null(ph_event_http_header(ev, "x-none"));
}

static void certificates_that_cannot_be_read_fail_no_event(void **state)
{
    const struct ph_event *ev = decode_vector(*state, "ok-connect-certificate.http");

    assert_int_equal(ph_event_certificate_count(ev), 2);
    assert_string_equal(ph_event_certificate_fact(ev, 0, PH_CERTIFICATE_SERIAL), "badcafe01");
    assert_string_equal(ph_event_certificate_thumbprint(ev, 0), "8cf2");
    assert_null(ph_event_certificate_fact(ev, 1, PH_CERTIFICATE_SERIAL));
    assert_string_equal(ph_event_certificate_pem(ev, 1), "none");
    assert_null(ph_event_certificate_thumbprint(ev, 1));
}

static void absent_and_empty_are_told_apart(void **state)
{
    const struct ph_event *ev = decode_vector(*state, "ok-text.http");

    assert_null(ph_event_user_id(ev));
    assert_null(ph_event_subprotocol(ev));
    assert_null(ph_event_state(ev));
    assert_null(ph_event_reason(ev));
    assert_int_equal(ph_event_certificate_count(ev), 0);
    assert_null(ph_event_offered_subprotocol(ev, 0));
    ev = decode_vector(*state, "ok-user-utf8.http");
    assert_string_equal(ph_event_user_id(ev), "\xe5\xbc\xa0\xe4\xb8\x89");
    assert_string_equal(ph_event_state(ev), "");
    assert_string_equal(ph_event_subprotocol(ev), "json.webpubsub.azure.v1");
}

static void reason_is_text_or_null(void **state)
{
    assert_string_equal(ph_event_reason(decode_vector(*state, "ok-disconnected.http")),
                        "The connection recovery timeout expired.");
    assert_null(ph_event_reason(decode_vector(*state, "ok-disconnected-null.http")));
    assert_null(ph_event_group(decode_vector(*state, "ok-disconnected-null.http")));
}

static void joined_and_left_name_the_group(void **state)
{
    const struct ph_event *ev = decode_vector(*state, "ok-joined.http");

    assert_int_equal(ph_event_kind(ev), PH_EVENT_JOINED);
    assert_string_equal(ph_event_group(ev), "chat room/\xc3\xa4");
    ev = decode_vector(*state, "ok-left.http");
    assert_int_equal(ph_event_kind(ev), PH_EVENT_LEFT);
    assert_string_equal(ph_event_group(ev), "g");
}

static void data_is_untouched_and_has_a_nul_behind_it(void **state)
{
    static const struct {
        const char *name;
        enum ph_data_type type;
    } rows[] = {
        {"ok-text.http", PH_DATA_TEXT},         {"ok-text-empty.http", PH_DATA_TEXT},
        {"ok-text-nul.http", PH_DATA_TEXT},     {"ok-json.http", PH_DATA_JSON},
        {"ok-json-scalar.http", PH_DATA_JSON},  {"ok-binary.http", PH_DATA_BINARY},
        {"ok-protobuf.http", PH_DATA_PROTOBUF}, {"ok-connected.http", PH_DATA_JSON},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        const struct ph_event *ev = decode_vector(f, rows[i].name);
        size_t len;
        const char *data = ph_event_data(ev, &len);

        assert_int_equal(ph_event_data_type(ev), rows[i].type);
        assert_true(str__eq(str__n(data, len), f->req.body));
        assert_int_equal(data[len], '\0');
        assert_ptr_equal(ph_event_data(ev, NULL), data);
    }
}

static void metadata_and_origins(void **state)
{
    const struct ph_event *ev = decode_vector(*state, "ok-metadata.http");

    assert_int_equal(ph_event_field_count(ev, PH_FIELD_METADATA), 2);
    assert_string_equal(ph_event_field(ev, PH_FIELD_METADATA, "trace", 0), "2");
    assert_null(ph_event_field(ev, PH_FIELD_METADATA, "trace", 1));
    assert_string_equal(ph_event_field(ev, PH_FIELD_METADATA, "lang", 0), "en");
    assert_string_equal(ph_event_field(ev, PH_FIELD_METADATA, "LANG", 0), "en");
    assert_null(ph_event_field(ev, PH_FIELD_METADATA, "nothing", 0));
    assert_null(ph_event_field(ev, PH_FIELD_METADATA, NULL, 0));
    assert_string_equal(ph_event_field_name(ev, PH_FIELD_METADATA, 1), "lang");
    assert_null(ph_event_field_name(ev, PH_FIELD_METADATA, 2));
    ev = decode_vector(*state, "ok-origins.http");
    assert_string_equal(ph_event_origin(ev), "a.example, b.example, c.example");
}

/* The decoder must not lean on http__check having been called. */
static void nul_in_a_header_does_not_shorten_an_attribute(void **state)
{
    struct fixture *f = *state;

    read_vector(f, "ok-text.http");
    http__add(&f->arena, &f->req.headers, STR("ce-userId"), str__n("admin\0x", 7));
    assert_int_equal(decode(f), PH_ERR_SYNTAX);
    assert_non_null(strstr(f->diag.text, "control character"));
}

static struct str nested(struct fixture *f, const char *prefix, size_t depth, const char *suffix)
{
    size_t before = strlen(prefix), after = strlen(suffix), len = before + 2 * depth + after;
    char *text = arena__alloc(&f->arena, len + 1);

    memcpy(text, prefix, before);
    memset(text + before, '[', depth);
    memset(text + before + depth, ']', depth);
    memcpy(text + before + 2 * depth, suffix, after + 1);
    return str__n(text, len);
}

static void json_depth_is_limited(void **state)
{
    struct fixture *f = *state;

    read_vector(f, "ok-json.http");
    for (size_t depth = 63; depth <= 65; depth++) {
        f->req.body = nested(f, "", depth, "");
        assert_int_equal(decode(f), depth <= 64 ? PH_OK : PH_ERR_LIMIT);
    }
    f->req.body = nested(f, "", 100000, "");
    assert_int_equal(decode(f), PH_ERR_LIMIT);
    read_vector(f, "ok-connect.http");
    for (size_t depth = 62; depth <= 64; depth++) { /* the object is a level too */
        f->req.body = nested(f, "{\"other\":", depth, "}");
        assert_int_equal(decode(f), depth <= 63 ? PH_OK : PH_ERR_LIMIT);
    }
    f->req.body = nested(f, "{\"other\":", 100000, "}");
    assert_int_equal(decode(f), PH_ERR_LIMIT);
}

/* {"other":[0,0,...]} with so many values in all. */
static struct str many_values(struct fixture *f, size_t values)
{
    static const char head[] = "{\"other\":[0";
    size_t items = values - 2, len = sizeof(head) - 1 + 2 * (items - 1) + 2;
    char *text = arena__alloc(&f->arena, len), *at = text + sizeof(head) - 1;

    memcpy(text, head, sizeof(head) - 1);
    for (size_t i = 1; i < items; i++, at += 2)
        memcpy(at, ",0", 2);
    memcpy(at, "]}", 2);
    return str__n(text, len);
}

static void values_of_a_connect_body_are_limited_those_of_data_are_not(void **state)
{
    struct fixture *f = *state;

    read_vector(f, "ok-connect.http");
    for (size_t values = 16383; values <= 16385; values++) {
        f->req.body = many_values(f, values);
        assert_int_equal(decode(f), values <= 16384 ? PH_OK : PH_ERR_LIMIT);
    }
    read_vector(f, "ok-json.http");
    f->req.body = many_values(f, 500000);
    assert_int_equal(decode(f), PH_OK);
}

static void expect_fields(const struct event_fields *got, const struct event_fields *want)
{
    assert_int_equal(got->count, want->count);
    for (size_t i = 0; i < want->count; i++) {
        assert_true(str__eq(got->items[i].name, want->items[i].name));
        assert_int_equal(got->items[i].count, want->items[i].count);
        for (size_t v = 0; v < want->items[i].count; v++)
            assert_true(str__eq(got->items[i].values[v], want->items[i].values[v]));
    }
}

static void expect_same(struct str got, struct str want)
{
    assert_int_equal(got.ptr == NULL, want.ptr == NULL);
    assert_true(str__eq(got, want));
}

static void expect_metadata(const struct metadata *got, const struct metadata *want)
{
    assert_int_equal(got->count, want->count);
    for (size_t i = 0; i < want->count; i++) {
        expect_same(got->items[i].name, want->items[i].name);
        expect_same(got->items[i].value, want->items[i].value);
    }
}

static void expect_mqtt(const struct ph_event *got, const struct ph_event *want)
{
    const struct http_headers *properties = &want->mqtt_properties;

    assert_int_equal(got->mqtt_properties.count, properties->count);
    for (size_t i = 0; i < properties->count; i++) {
        expect_same(got->mqtt_properties.items[i].name, properties->items[i].name);
        expect_same(got->mqtt_properties.items[i].value, properties->items[i].value);
    }
    assert_int_equal(got->mqtt != NULL, want->mqtt != NULL);
    if (!want->mqtt)
        return;
    assert_int_equal(got->mqtt->version, want->mqtt->version);
    assert_int_equal(got->mqtt->clean_start, want->mqtt->clean_start);
    expect_same(got->mqtt->username, want->mqtt->username);
    expect_same(got->mqtt->password, want->mqtt->password);
    assert_int_equal(got->mqtt->initiated_by_client, want->mqtt->initiated_by_client);
    assert_int_equal(got->mqtt->has_packet, want->mqtt->has_packet);
    assert_int_equal(got->mqtt->code, want->mqtt->code);
}

static void expect_event(const struct ph_event *got, const struct ph_event *want)
{
    assert_int_equal(got->kind, want->kind);
    assert_int_equal(got->type, want->type);
    expect_same(got->hub, want->hub);
    expect_same(got->connection_id, want->connection_id);
    expect_same(got->name, want->name);
    expect_same(got->user_id, want->user_id);
    expect_same(got->subprotocol, want->subprotocol);
    expect_same(got->id, want->id);
    expect_same(got->time, want->time);
    expect_same(got->origin, want->origin);
    expect_same(got->state, want->state);
    expect_same(got->reason, want->reason);
    expect_same(got->physical_id, want->physical_id);
    expect_same(got->session_id, want->session_id);
    expect_mqtt(got, want);
    expect_same(got->group, want->group);
    if (want->kind == PH_EVENT_USER)
        expect_same(got->data, want->data);
    expect_fields(&got->claims, &want->claims);
    expect_fields(&got->query, &want->query);
    expect_fields(&got->headers, &want->headers);
    expect_metadata(&got->metadata, &want->metadata);
    assert_int_equal(got->subprotocol_count, want->subprotocol_count);
    for (size_t i = 0; i < want->subprotocol_count; i++)
        assert_true(str__eq(got->subprotocols[i], want->subprotocols[i]));
    assert_int_equal(got->certificate_count, want->certificate_count);
    for (size_t i = 0; i < want->certificate_count; i++) {
        expect_same(got->certificates[i].thumbprint, want->certificates[i].thumbprint);
        expect_same(got->certificates[i].pem, want->certificates[i].pem);
    }
}

static struct ph_event minimal(enum ph_event_kind kind, const char *name)
{
    return (struct ph_event){.kind = kind,
                             .hub = STR("chat"),
                             .connection_id = STR("conn1"),
                             .name = str__of(name),
                             .id = STR("0"),
                             .type = PH_DATA_JSON};
}

static bool is_of_the_way(struct str name)
{
    return str__eq_nocase(name, STR("ce-signature"));
}

/* A copy shares nothing with the event, and is the same. */
static void keep(const struct ph_event *ev, const struct ph_event *decoded)
{
    struct arena a;
    struct ph_event *copy;
    struct diag diag = {""};

    arena__init(&a, NULL, 0, 1u << 20);
    if (event__keep(&a, ev, &limits, &copy, &diag) != PH_OK)
        fail_msg("%s", diag.text);
    expect_event(copy, decoded);
    expect_same(copy->content_type, decoded->content_type);
    assert_ptr_not_equal(copy->data.ptr, ev->data.ptr);
    arena__free(&a);
}

typedef enum ph_err hand_over_fn(struct arena *a, const struct ph_event *ev,
                                 const struct event_limits *event_limits, struct ph_event **out,
                                 struct diag *diag);

/* What a handler in the same process gets is what one elsewhere would have decoded. */
static void hand_over(hand_over_fn *way, const struct ph_event *ev, const struct ph_event *decoded)
{
    struct arena a;
    struct ph_event *got;
    struct diag diag = {""};

    arena__init(&a, NULL, 0, 1u << 20);
    if (way(&a, ev, &limits, &got, &diag) != PH_OK)
        fail_msg("%s", diag.text);
    expect_event(got, decoded);
    if (ev->kind == PH_EVENT_USER)
        assert_int_equal(got->data.ptr == ev->data.ptr, way == event__lend);
    expect_same(got->source, decoded->source);
    expect_same(got->content_type, decoded->content_type);
    expect_same(got->data, decoded->data);
    for (size_t i = 0; i < decoded->http->count; i++) {
        const struct http_header *h = &decoded->http->items[i];
        const char *value = ph_event_http_header(got, h->name.ptr);

        if (!is_of_the_way(h->name))
            assert_str(http__get(decoded->http, h->name), value);
    }
    assert_null(ph_event_http_header(got, "ce-signature"));
    assert_null(ph_event_http_header(got, "X-Nothing"));
    keep(got, decoded);
    keep(decoded, decoded);
    arena__free(&a);
}

static void round_trip(struct fixture *f, const struct ph_event *ev)
{
    f->diag.text[0] = '\0';
    if (event__encode(&f->arena, ev, STR("sha256=00"), &f->req, &f->diag) != PH_OK ||
        decode(f) != PH_OK)
        fail_msg("%s", f->diag.text);
    expect_event(f->ev, ev);
    assert_str(http__get(&f->req.headers, STR("ce-signature")), "sha256=00");
    hand_over(event__hand_over, ev, f->ev);
    hand_over(event__lend, ev, f->ev);
}

static void every_kind_survives_the_round_trip(void **state)
{
    static const struct {
        enum ph_event_kind kind;
        const char *name;
    } rows[] = {
        {PH_EVENT_CONNECT, "connect"},
        {PH_EVENT_CONNECTED, "connected"},
        {PH_EVENT_DISCONNECTED, "disconnected"},
        {PH_EVENT_USER, "message"},
        {PH_EVENT_JOINED, "joined"},
        {PH_EVENT_LEFT, "left"},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct ph_event ev = minimal(rows[i].kind, rows[i].name);

        if (ev.kind == PH_EVENT_JOINED || ev.kind == PH_EVENT_LEFT)
            ev.group = STR("\"a\" \xc3\xa4/%");
        if (ev.kind == PH_EVENT_USER)
            ev.data = STR("{}");
        round_trip(*state, &ev);
        ev.user_id = STR("\xe5\xbc\xa0\xe4\xb8\x89 \"x\"");
        ev.subprotocol = STR("custom");
        ev.time = STR("2026-11-20T12:00:00Z");
        ev.origin = STR("a.example");
        ev.state = STR("");
        round_trip(*state, &ev);
        ev.state = STR("eyJhIjoxfQ==");
        round_trip(*state, &ev);
    }
}

static void every_data_type_survives_the_round_trip(void **state)
{
    static const struct str data[] = {
        [PH_DATA_TEXT] = {"a\0\xc3\xa4", 4},
        [PH_DATA_JSON] = {" [1 , 1.0e+2]\n", 14},
        [PH_DATA_BINARY] = {"\0\xff\r\n", 4},
        [PH_DATA_PROTOBUF] = {"\x0a\x00", 2},
    };
    static const struct metadata_entry metadata[] = {{{"k", 1}, {"1", 1}}, {{"other", 5}, {"", 0}}};

    for (size_t i = 0; i < sizeof(data) / sizeof(*data); i++) {
        struct ph_event ev = minimal(PH_EVENT_USER, "notify");

        ev.type = (enum ph_data_type)i;
        ev.data = data[i];
        ev.metadata = (struct metadata){metadata, 2};
        round_trip(*state, &ev);
    }
}

static void connect_survives_the_round_trip_with_all_it_can_hold(void **state)
{
    static const struct str two[] = {{"1", 1}, {"", 0}}, odd[] = {{"\"\\\n\t\x01\xc3\xa4", 7}};
    static const struct event_field fields[] = {
        {{"a", 1}, two, 2}, {{"", 0}, NULL, 0}, {{"q\"", 2}, odd, 1}};
    static const struct event_certificate certificates[] = {{{"ab", 2}, {"pem\n", 4}},
                                                            {{"cd", 2}, {"", 0}}};
    struct ph_event ev = minimal(PH_EVENT_CONNECT, "connect");

    ev.claims = (struct event_fields){fields, 3};
    ev.query = (struct event_fields){fields, 1};
    ev.headers = (struct event_fields){fields, 2};
    ev.subprotocols = two;
    ev.subprotocol_count = 2;
    ev.certificates = certificates;
    ev.certificate_count = 2;
    round_trip(*state, &ev);
}

static void reasons_survive_the_round_trip(void **state)
{
    struct ph_event ev = minimal(PH_EVENT_DISCONNECTED, "disconnected");

    ev.reason = STR("");
    round_trip(*state, &ev);
    ev.reason = STR("closed\r\n\"x\"");
    round_trip(*state, &ev);
}

static struct ph_event of_mqtt(enum ph_event_kind kind, const char *name)
{
    static struct http_header properties[] = {
        {{"Two", 3}, {"1", 1}}, {{"other", 5}, {"", 0}}, {{"Two", 3}, {"x y", 3}}};
    struct ph_event ev = minimal(kind, name);

    ev.subprotocol = STR("mqtt");
    ev.physical_id = STR("phys-7");
    ev.mqtt_properties = (struct http_headers){.items = properties, .count = 3, .cap = 3};
    return ev;
}

static void mqtt_events_survive_the_round_trip(void **state)
{
    const struct event_mqtt connects[] = {
        {.version = PH_MQTT_5,
         .clean_start = true,
         .username = STR("bob \xc3\xa4"),
         .password = {"p\0\xff", 3}},
        {.version = PH_MQTT_3_1_1, .username = STR("")},
    };
    const struct event_mqtt packet = {.initiated_by_client = true, .has_packet = true, .code = 141};
    const struct event_mqtt no_packet = {.has_packet = false};
    struct ph_event ev = of_mqtt(PH_EVENT_CONNECT, "connect");

    for (size_t i = 0; i < 2; i++) {
        ev.mqtt = &connects[i];
        round_trip(*state, &ev);
    }
    ev = of_mqtt(PH_EVENT_DISCONNECTED, "disconnected");
    ev.session_id = STR("sess-9");
    ev.mqtt = &packet;
    round_trip(*state, &ev);
    ev.mqtt_properties.count = 0;
    ev.mqtt = &no_packet;
    round_trip(*state, &ev);
    ev = of_mqtt(PH_EVENT_USER, "alarm");
    ev.session_id = STR("sess-9");
    ev.type = PH_DATA_BINARY;
    ev.data = STR("\xff\xfe");
    round_trip(*state, &ev);
    assert_str(ev.content_type, NULL);
    ev.content_type = STR("image/x-custom; q=1");
    round_trip(*state, &ev);
    ev.content_type = STR("application/JSON; charset=utf-8");
    ev.type = PH_DATA_JSON;
    ev.data = STR("[1]");
    round_trip(*state, &ev);
}

static void mqtt_source_names_the_physical_connection(void **state)
{
    struct ph_event ev = of_mqtt(PH_EVENT_USER, "alarm");
    struct fixture *f = *state;

    ev.data = STR("1");
    round_trip(f, &ev);
    assert_str(http__get(&f->req.headers, STR("ce-source")), "/hubs/chat/client/conn1/phys-7");
    assert_str(http__get_last(&f->req.headers, STR("mqtt-Two")), "x y");
    assert_int_equal(http__count(&f->req.headers, STR("mqtt-Two")), 2);
}

/* The type of other clients' data is one of four (section 2.1). */
static void only_mqtt_clients_send_any_content_type(void **state)
{
    struct ph_event ev = minimal(PH_EVENT_USER, "alarm");
    struct fixture *f = *state;

    ev.data = STR("1");
    ev.content_type = STR("image/png");
    assert_int_equal(event__encode(&f->arena, &ev, STR_NONE, &f->req, &f->diag), PH_ERR_ARGUMENT);
    assert_int_equal(event__hand_over(&f->arena, &ev, &limits, &f->ev, &f->diag), PH_ERR_ARGUMENT);
}

static void mqtt_properties_that_no_header_holds_are_not_encoded(void **state)
{
    static struct http_header rows[] = {{{"a b", 3}, {"1", 1}},
                                        {{"", 0}, {"1", 1}},
                                        {{"a", 1}, {"\xc3\xa4", 2}},
                                        {{"a", 1}, {" x", 2}},
                                        {{"a", 1}, {"x\r\ny", 4}}};
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct ph_event ev = of_mqtt(PH_EVENT_USER, "alarm");

        ev.data = STR("1");
        ev.mqtt_properties = (struct http_headers){.items = &rows[i], .count = 1, .cap = 1};
        assert_int_equal(event__encode(&f->arena, &ev, STR_NONE, &f->req, &f->diag),
                         PH_ERR_ARGUMENT);
        assert_int_equal(event__hand_over(&f->arena, &ev, &limits, &f->ev, &f->diag),
                         PH_ERR_ARGUMENT);
    }
}

static void mqtt_connect_is_read_whole(void **state)
{
    const struct ph_event *ev = decode_vector(*state, "ok-mqtt-connect.http");
    const char *password;
    size_t len;

    assert_true(ph_event_is_mqtt(ev));
    assert_int_equal(ph_event_mqtt_version(ev), PH_MQTT_5);
    assert_true(ph_event_mqtt_clean_start(ev));
    assert_string_equal(ph_event_connection_id(ev), "device-1");
    assert_string_equal(ph_event_physical_connection_id(ev), "phys-7");
    assert_null(ph_event_session_id(ev));
    assert_string_equal(ph_event_offered_subprotocol(ev, 0), "mqtt");
    assert_string_equal(ph_event_mqtt_username(ev), "bob");
    password = ph_event_mqtt_password(ev, &len);
    assert_int_equal(len, 5);
    assert_memory_equal(password, "pa\0ss", 5);
    assert_int_equal(ph_event_field_count(ev, PH_FIELD_MQTT_PROPERTIES), 3);
    assert_string_equal(ph_event_field_name(ev, PH_FIELD_MQTT_PROPERTIES, 2), "a");
    assert_string_equal(ph_event_field(ev, PH_FIELD_MQTT_PROPERTIES, "a", 0), "1");
    assert_string_equal(ph_event_field(ev, PH_FIELD_MQTT_PROPERTIES, "a", 1), "2");
    assert_null(ph_event_field(ev, PH_FIELD_MQTT_PROPERTIES, "a", 2));
    assert_null(ph_event_field(ev, PH_FIELD_MQTT_PROPERTIES, "A", 0));
    assert_string_equal(ph_event_field(ev, PH_FIELD_MQTT_PROPERTIES, "b", 0), "\xe5\xbc\xa0");

    ev = decode_vector(*state, "ok-mqtt-connect-311.http");
    assert_int_equal(ph_event_mqtt_version(ev), PH_MQTT_3_1_1);
    assert_false(ph_event_mqtt_clean_start(ev));
    assert_null(ph_event_mqtt_username(ev));
    assert_null(ph_event_mqtt_password(ev, &len));
    assert_int_equal(len, 0);
    assert_int_equal(ph_event_field_count(ev, PH_FIELD_MQTT_PROPERTIES), 0);
}

static void mqtt_end_is_read_whole(void **state)
{
    const struct ph_event *ev = decode_vector(*state, "ok-mqtt-disconnected.http");

    assert_true(ph_event_is_mqtt(ev));
    assert_string_equal(ph_event_session_id(ev), "sess-9");
    assert_true(ph_event_mqtt_initiated_by_client(ev));
    assert_int_equal(ph_event_mqtt_disconnect_code(ev), PH_MQTT_5_DISCONNECT_WITH_WILL);
    assert_string_equal(ph_event_field(ev, PH_FIELD_MQTT_PROPERTIES, "x", 0), "y");
    ev = decode_vector(*state, "ok-mqtt-disconnected-null.http");
    assert_string_equal(ph_event_reason(ev), "gone");
    assert_false(ph_event_mqtt_initiated_by_client(ev));
    assert_int_equal(ph_event_mqtt_disconnect_code(ev), -1);
}

static void mqtt_user_events_have_any_type_and_properties(void **state)
{
    const struct ph_event *ev = decode_vector(*state, "ok-mqtt-user.http");
    size_t len;

    assert_int_equal(ph_event_data_type(ev), PH_DATA_BINARY);
    assert_string_equal(ph_event_content_type(ev), "image/x-custom; q=1");
    assert_memory_equal(ph_event_data(ev, &len), "\x01\x02raw", 5);
    assert_int_equal(len, 5);
    assert_int_equal(ph_event_field_count(ev, PH_FIELD_MQTT_PROPERTIES), 3);
    assert_string_equal(ph_event_field(ev, PH_FIELD_MQTT_PROPERTIES, "room", 0), "7");
    assert_string_equal(ph_event_field(ev, PH_FIELD_MQTT_PROPERTIES, "tag", 1), "b");
    assert_int_equal(ph_event_mqtt_version(ev), PH_MQTT_UNKNOWN);
    assert_int_equal(ph_event_mqtt_disconnect_code(ev), -1);
    ev = decode_vector(*state, "ok-mqtt-user-no-type.http");
    assert_int_equal(ph_event_data_type(ev), PH_DATA_BINARY);
    assert_null(ph_event_content_type(ev));
    ev = decode_vector(*state, "ok-mqtt-user-json.http");
    assert_int_equal(ph_event_data_type(ev), PH_DATA_JSON);
    ev = decode_vector(*state, "ok-text.http");
    assert_false(ph_event_is_mqtt(ev));
    assert_string_equal(ph_event_content_type(ev), http__get(ev->http, STR("Content-Type")).ptr);
    assert_int_equal(ph_event_field_count(ev, PH_FIELD_MQTT_PROPERTIES), 0);
}

static void encoder_writes_what_the_service_writes(void **state)
{
    struct ph_event ev = minimal(PH_EVENT_USER, "notify");
    struct fixture *f = *state;

    ev.type = PH_DATA_TEXT;
    ev.data = STR("hi");
    round_trip(f, &ev);
    assert_str(http__get(&f->req.headers, STR("ce-type")), "azure.webpubsub.user.notify");
    assert_str(http__get(&f->req.headers, STR("ce-specversion")), "1.0");
    assert_str(http__get(&f->req.headers, STR("ce-awpsversion")), "1.0");
    assert_str(http__get(&f->req.headers, STR("ce-source")), "/hubs/chat/client/conn1");
    assert_str(http__get(&f->req.headers, STR("Content-Type")), "text/plain");
    ev = minimal(PH_EVENT_CONNECTED, "connected");
    round_trip(f, &ev);
    assert_str(http__get(&f->req.headers, STR("ce-type")), "azure.webpubsub.sys.connected");
    assert_str(f->req.body, "{}");
    ev = minimal(PH_EVENT_DISCONNECTED, "disconnected");
    round_trip(f, &ev);
    assert_str(f->req.body, "{\"reason\":null}");
    ev = minimal(PH_EVENT_CONNECT, "connect");
    round_trip(f, &ev);
    assert_str(f->req.body, "{\"claims\":{},\"query\":{},\"headers\":{},\"subprotocols\":[],"
                            "\"clientCertificates\":[]}");
}

static void what_a_header_cannot_hold_is_not_encoded(void **state)
{
    static const struct {
        size_t offset;
        struct str value;
        const char *reason;
    } rows[] = {
        {offsetof(struct ph_event, user_id), {"a\r\nce-hub: x", 12}, "control character"},
        {offsetof(struct ph_event, user_id), {" bob", 4}, "white space"},
        {offsetof(struct ph_event, user_id), {"bob\t", 4}, "control character"},
        {offsetof(struct ph_event, hub), {"\xc3\xa4", 2}, "ASCII"},
        {offsetof(struct ph_event, name), {"\xc3\xa4", 2}, "ASCII"},
        {offsetof(struct ph_event, state), {"a\0b", 3}, "control character"},
        {offsetof(struct ph_event, origin), {"a\nb", 3}, "control character"},
        {offsetof(struct ph_event, hub), {"", 0}, "missing"},
        {offsetof(struct ph_event, connection_id), {NULL, 0}, "missing"},
        {offsetof(struct ph_event, id), {NULL, 0}, "missing"},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct ph_event ev = minimal(PH_EVENT_CONNECTED, "connected");

        *(struct str *)((char *)&ev + rows[i].offset) = rows[i].value;
        assert_int_equal(event__encode(&f->arena, &ev, STR("s"), &f->req, &f->diag),
                         PH_ERR_ARGUMENT);
        if (!strstr(f->diag.text, rows[i].reason))
            fail_msg("row %zu: %s", i, f->diag.text);
    }
}

/* What is the same for many events is looked at once; all else each time. */
static void attributes_that_are_plain_are_not_checked_again(void **state)
{
    static const struct str users[] = {{"bob", 3}, {"b\xc3\xb6rn", 5}, {" bob", 4}, {"bob\t", 4}};
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(users) / sizeof(*users); i++) {
        struct ph_event ev = minimal(PH_EVENT_USER, "message");
        enum ph_err expected = i < 2 ? PH_OK : PH_ERR_ARGUMENT;

        ev.data = STR("1");
        ev.user_id = users[i];
        ev.plain = event__plain(&(struct ph_event){.user_id = users[i]});
        assert_int_equal(ev.plain != 0, i == 0);
        assert_int_equal(event__lend(&f->arena, &ev, &limits, &f->ev, &f->diag), expected);
        ev.name = STR("a b\n");
        assert_int_equal(event__lend(&f->arena, &ev, &limits, &f->ev, &f->diag), PH_ERR_ARGUMENT);
    }
    assert_int_equal(event__plain(&(struct ph_event){.kind = PH_EVENT_USER}), 0);
}

static void media_types_without_case_and_parameters(void **state)
{
    enum ph_data_type type;

    (void)state;
    assert_true(event__data_type(STR("TEXT/Plain ;charset=utf-8"), &type));
    assert_int_equal(type, PH_DATA_TEXT);
    assert_true(event__data_type(STR(" application/x-protobuf"), &type));
    assert_int_equal(type, PH_DATA_PROTOBUF);
    assert_false(event__data_type(STR("text/plainx"), &type));
    assert_false(event__data_type(STR("text"), &type));
    assert_false(event__data_type(STR(""), &type));
    assert_false(event__data_type(STR_NONE, &type));
}

/* Whatever the memory that is left, decoding ends with an event or with a clean refusal. */
static void memory_may_run_out_anywhere(void **state)
{
    struct fixture *f = *state;
    bool decoded = false;

    read_vector(f, "ok-connect.http");
    for (size_t max = 0; !decoded; max += 64) {
        struct arena a;
        enum ph_err err;

        arena__init(&a, NULL, 0, max);
        err = event__decode(&a, &f->req, &limits, &f->ev, &f->diag);
        decoded = err == PH_OK;
        if (!decoded) {
            assert_int_equal(err, PH_ERR_MEMORY);
            assert_null(f->ev);
        }
        arena__free(&a);
        assert_true(max < 1 << 20);
    }
}

/* In a file and back: all that decodes, MQTT clients' too. */
static void recorded_events_are_the_same(void **state)
{
    static const char *const names[] = {"ok-connect.http",
                                        "ok-disconnected.http",
                                        "ok-joined.http",
                                        "ok-left.http",
                                        "ok-text.http",
                                        "ok-binary.http",
                                        "ok-metadata.http",
                                        "ok-user-utf8.http",
                                        "ok-mqtt-connect.http",
                                        "ok-mqtt-user.http",
                                        "ok-mqtt-disconnected.http",
                                        "ok-mqtt-user-no-type.http",
                                        "ok-mqtt-user-json.http"};
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        const struct ph_event *ev = decode_vector(f, names[i]);
        struct ph_event again;
        struct record record;

        record__begin(&record);
        recorded__write(&record, ev);
        assert_true(record__end(&record));
        if (recorded__read(&f->arena, buf__view(&record.text), &limits, &again, &f->diag) != PH_OK)
            fail_msg("%s: %s", names[i], f->diag.text);
        expect_event(&again, ev);
        if (ev->kind == PH_EVENT_USER && ph_event_is_mqtt(ev))
            expect_same(again.content_type, ev->content_type);
        record__free(&record);
    }
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

/* event-handler sections 2.1 and 3.8 */
static void charset_is_named_or_not(void **state)
{
    static const struct {
        enum ph_data_type type;
        const char *without, *with;
    } rows[] = {
        {PH_DATA_TEXT, "text/plain", "text/plain; charset=utf-8"},
        {PH_DATA_JSON, "application/json", "application/json; charset=utf-8"},
        {PH_DATA_BINARY, "application/octet-stream", "application/octet-stream"},
        {PH_DATA_PROTOBUF, "application/x-protobuf", "application/x-protobuf"},
    };
    struct fixture *f = *state;
    struct ph_event ev = minimal(PH_EVENT_USER, "message");

    ev.data = STR("1");
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        ev.type = rows[i].type;
        ev.charset = false;
        round_trip(f, &ev);
        assert_str(http__get(&f->req.headers, STR("Content-Type")), rows[i].without);
        ev.charset = true;
        round_trip(f, &ev);
        assert_str(http__get(&f->req.headers, STR("Content-Type")), rows[i].with);
    }
    ev = minimal(PH_EVENT_CONNECTED, "connected");
    ev.charset = true;
    round_trip(f, &ev);
    assert_str(http__get(&f->req.headers, STR("Content-Type")), "application/json; charset=utf-8");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(vectors_decode_or_are_refused_for_the_right_reason),
        TEST(connect_body_is_read_whole),
        TEST(certificates_that_cannot_be_read_fail_no_event),
        TEST(absent_and_empty_are_told_apart),
        TEST(reason_is_text_or_null),
        TEST(data_is_untouched_and_has_a_nul_behind_it),
        TEST(metadata_and_origins),
        TEST(nul_in_a_header_does_not_shorten_an_attribute),
        TEST(json_depth_is_limited),
        TEST(values_of_a_connect_body_are_limited_those_of_data_are_not),
        TEST(joined_and_left_name_the_group),
        TEST(charset_is_named_or_not),
        TEST(every_kind_survives_the_round_trip),
        TEST(every_data_type_survives_the_round_trip),
        TEST(connect_survives_the_round_trip_with_all_it_can_hold),
        TEST(reasons_survive_the_round_trip),
        TEST(encoder_writes_what_the_service_writes),
        TEST(what_a_header_cannot_hold_is_not_encoded),
        TEST(attributes_that_are_plain_are_not_checked_again),
        TEST(media_types_without_case_and_parameters),
        TEST(memory_may_run_out_anywhere),
        TEST(recorded_events_are_the_same),
        TEST(mqtt_connect_is_read_whole),
        TEST(mqtt_end_is_read_whole),
        TEST(mqtt_user_events_have_any_type_and_properties),
        TEST(mqtt_events_survive_the_round_trip),
        TEST(mqtt_source_names_the_physical_connection),
        TEST(mqtt_properties_that_no_header_holds_are_not_encoded),
        TEST(only_mqtt_clients_send_any_content_type),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
