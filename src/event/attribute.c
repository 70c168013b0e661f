#include "event/attribute.h"

const struct attribute attributes[ATTRIBUTE_COUNT] = {
    {{"ce-hub", 6}, offsetof(struct ph_event, hub), true, false},
    {{"ce-connectionId", 15}, offsetof(struct ph_event, connection_id), true, false},
    {{"ce-eventName", 12}, offsetof(struct ph_event, name), true, false},
    {{"ce-id", 5}, offsetof(struct ph_event, id), true, false},
    {{"ce-time", 7}, offsetof(struct ph_event, time), false, false},
    {{"ce-source", 9}, offsetof(struct ph_event, source), false, false},
    {{"ce-userId", 9}, offsetof(struct ph_event, user_id), false, true},
    {{"ce-subprotocol", 14}, offsetof(struct ph_event, subprotocol), false, false},
    {{"ce-connectionState", 18}, offsetof(struct ph_event, state), false, false},
};

static const struct {
    struct str name;
    enum ph_event_kind kind;
} system_events[] = {
    {{"connect", 7}, PH_EVENT_CONNECT},
    {{"connected", 9}, PH_EVENT_CONNECTED},
    {{"disconnected", 12}, PH_EVENT_DISCONNECTED},
};

#define SYSTEM_EVENT_COUNT (sizeof(system_events) / sizeof(*system_events))

struct str event__system_name(enum ph_event_kind kind)
{
    for (size_t i = 0; i < SYSTEM_EVENT_COUNT; i++) {
        if (system_events[i].kind == kind)
            return system_events[i].name;
    }
    return STR_NONE;
}

bool event__system_kind(struct str name, enum ph_event_kind *out)
{
    for (size_t i = 0; i < SYSTEM_EVENT_COUNT; i++) {
        if (str__eq(system_events[i].name, name)) {
            *out = system_events[i].kind;
            return true;
        }
    }
    return false;
}

bool event__has_control(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];

        if (c < 0x20 || c == 0x7f)
            return true;
    }
    return false;
}

static const struct str content_types[] = {
    [PH_DATA_TEXT] = {"text/plain", 10},
    [PH_DATA_JSON] = {"application/json", 16},
    [PH_DATA_BINARY] = {"application/octet-stream", 24},
    [PH_DATA_PROTOBUF] = {"application/x-protobuf", 22},
};

struct str event__content_type(enum ph_data_type type)
{
    return content_types[type];
}

bool event__data_type(struct str content_type, enum ph_data_type *out)
{
    struct str media = http__media_type(content_type);

    for (size_t i = 0; media.ptr && i < sizeof(content_types) / sizeof(*content_types); i++) {
        if (str__eq_nocase(media, content_types[i])) {
            *out = (enum ph_data_type)i;
            return true;
        }
    }
    return false;
}
