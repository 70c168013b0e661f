/* Decodes the answer of an event handler: a first line "KIND STATUS" (KIND: 0 connect,
 * 1 connected, 2 user, 3 disconnected; 10 more for a client of MQTT 5, 20 more for one of MQTT
 * 3.1.1), then an HTTP message as text (tests/http_text.h). */
#include "base/names.h"
#include "base/utf8.h"
#include "event/mqtt.h"
#include "http_text.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool condition)
{
    if (!condition)
        abort();
}

static void check_answer(const struct answer *answer, enum ph_err err)
{
    check(answer->success == (err == PH_OK && answer->status >= 200 && answer->status <= 299));
    check(answer->success || (!answer->state.ptr && !answer->group_count && !answer->has_data));
    check(str__is_plain_value(answer->state)); /* or no later event could carry it */
    check(str__trim(answer->user_id).len == answer->user_id.len);
    check(!answer->subprotocol.ptr || answer->subprotocol.len > 0);
    for (size_t i = 0; i < answer->group_count; i++)
        check(names__valid_group(answer->groups[i]));
    for (size_t i = 0; i < answer->role_count; i++)
        check(answer->roles[i].ptr != NULL);
    check(!metadata__problem(&answer->metadata));
    check(answer->has_data || answer->metadata.count == 0);
    if (answer->has_data && answer->type <= PH_DATA_JSON)
        check(utf8__valid(answer->data));
}

/* Whatever an answer says, a refused client gets a code that its version has. */
static void check_mqtt(const struct ph_event *ev, const struct answer *answer, enum ph_err err)
{
    check_answer(answer, err);
    if (err == PH_OK && ev->kind == PH_EVENT_CONNECT && !answer->success)
        check(mqtt__status(ev->mqtt->version, answer->mqtt_code) > 0);
    for (size_t i = 0; i < answer->mqtt_properties.count; i++)
        check(answer->mqtt_properties.items[i].name.ptr != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = str__n(data, size), line, kind;
    struct http_response res = {.status = 0};
    struct event_mqtt mqtt = {.version = PH_MQTT_5};
    struct ph_event ev = {.mqtt = &mqtt};
    struct answer answer;
    struct diag diag;
    uint64_t number = 0, status = 0;
    struct arena a;

    if (!str__split(&text, '\n', &line) || !str__split(&line, ' ', &kind) ||
        !str__to_u64(kind, &number) || number % 10 > PH_EVENT_LEFT || number > 30 ||
        !str__to_u64(line, &status) || status > 999)
        return 0;
    res.status = (int)status;
    arena__init(&a, NULL, 0, 64 << 20);
    ev.kind = (enum ph_event_kind)(number % 10);
    mqtt.version = number > 20 ? PH_MQTT_3_1_1 : PH_MQTT_5;
    if (!http_text__parse(&a, text.ptr ? text : STR(""), &res.headers, &res.body))
        ;
    else if (number < 10)
        check_answer(&answer, response__decode(&a, ev.kind, &res, &answer, &diag));
    else
        check_mqtt(&ev, &answer, response__decode_mqtt(&a, &ev, &res, &answer, &diag));
    arena__free(&a);
    return 0;
}
