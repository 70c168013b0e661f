/* Decodes a webhook event from an HTTP message as text (tests/http_text.h). What is
 * decoded is read through every accessor, and must survive being encoded and decoded. */
#include "event/event.h"
#include "http_text.h"
#include "pubhook/event.h"
#include "pubhook/json.h"
#include "pubhook/mqtt.h"
#include "pubhook/state.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct event_limits limits = {.json_depth = 64};
static volatile size_t sink; /* so that reading is not optimised away */

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                        \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

static size_t length(const char *text)
{
    return text ? strlen(text) : 0;
}

static size_t read_fields(const struct ph_event *ev, enum ph_field field)
{
    size_t sum = 0;

    for (size_t i = 0; i < ph_event_field_count(ev, field); i++) {
        const char *name = ph_event_field_name(ev, field, i);

        CHECK(name);
        sum += length(ph_event_field(ev, field, name, 0));
    }
    return sum;
}

static size_t read_all(const struct ph_event *ev)
{
    size_t sum = 0, len;
    const char *data = ph_event_data(ev, &len);

    CHECK(ph_event_hub(ev) && ph_event_connection_id(ev) && ph_event_name(ev) && ph_event_id(ev));
    CHECK(data && data[len] == '\0');
    sum += length(ph_event_user_id(ev)) + length(ph_event_subprotocol(ev));
    CHECK(!ph_event_group(ev) == (ev->kind != PH_EVENT_JOINED && ev->kind != PH_EVENT_LEFT));
    CHECK(ph_event_content_type(ev) || ph_event_is_mqtt(ev));
    sum += length(ph_event_content_type(ev)) + length(ph_event_session_id(ev));
    sum += length(ph_event_physical_connection_id(ev)) + length(ph_event_mqtt_username(ev));
    data = ph_event_mqtt_password(ev, &len);
    CHECK(!data || data[len] == '\0');
    CHECK(ph_event_mqtt_disconnect_code(ev) >= -1 && ph_event_mqtt_disconnect_code(ev) <= 255);
    sum += length(ph_event_state(ev)) + length(ph_event_reason(ev)) + length(ph_event_origin(ev));
    for (int field = PH_FIELD_CLAIMS; field <= PH_FIELD_MQTT_PROPERTIES; field++)
        sum += read_fields(ev, (enum ph_field)field);
    for (size_t i = 0; ph_event_offered_subprotocol(ev, i); i++)
        sum += length(ph_event_offered_subprotocol(ev, i));
    for (size_t i = 0; i < ph_event_certificate_count(ev); i++) {
        sum += length(ph_event_certificate_pem(ev, i));
        for (int fact = PH_CERTIFICATE_SUBJECT; fact <= PH_CERTIFICATE_SHA256; fact++)
            sum += length(ph_event_certificate_fact(ev, i, (enum ph_certificate_fact)fact));
    }
    CHECK(ph_event_data_type(ev) == PH_DATA_JSON || !ph_event_json(ev));
    sum += ph_json_count(ph_event_json(ev));
    return sum;
}

static void read_state(const struct ph_event *ev)
{
    struct ph_state *state = ph_state_from_event(ev);
    struct ph_reply *reply = ph_reply_ok();

    ph_state_set_int(state, "n", ph_state_get_int(state, "n", 0));
    ph_reply_set_state_from(reply, state);
    ph_reply_free(reply);
    ph_state_free(state);
}

static void round_trip(struct arena *a, const struct ph_event *ev)
{
    struct http_request req = {.method = STR("POST")};
    struct ph_event *again;

    if (event__encode(a, ev, STR("sha256=00"), &req, NULL) != PH_OK)
        return; /* the encoder is stricter: ASCII, no white space at the ends */
    CHECK(event__decode(a, &req, &limits, &again, NULL) == PH_OK);
    CHECK(again->kind == ev->kind && again->type == ev->type);
    CHECK(str__eq(again->connection_id, ev->connection_id));
    CHECK(str__eq(again->user_id, ev->user_id));
    CHECK(str__eq(again->reason, ev->reason));
    CHECK(str__eq(again->group, ev->group));
    CHECK(again->claims.count == ev->claims.count);
    CHECK(str__eq(again->session_id, ev->session_id));
    CHECK(!again->mqtt == !ev->mqtt);
    CHECK(again->mqtt_properties.count == ev->mqtt_properties.count);
    CHECK(!ev->mqtt || str__eq(again->mqtt->password, ev->mqtt->password));
    CHECK(ev->kind != PH_EVENT_USER || str__eq(again->data, ev->data));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct http_request req = {.method = STR("POST")};
    struct ph_event *ev;
    struct diag diag;
    struct arena a;

    arena__init(&a, NULL, 0, 64 << 20);
    if (http_text__parse(&a, str__n(data, size), &req.headers, &req.body) &&
        event__decode(&a, &req, &limits, &ev, &diag) == PH_OK) {
        sink = read_all(ev);
        read_state(ev);
        round_trip(&a, ev);
    }
    arena__free(&a);
    return 0;
}
