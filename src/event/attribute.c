#include "event/attribute.h"

#include "event/mqtt.h"

const struct attribute attributes[ATTRIBUTE_COUNT] = {
    [ATTRIBUTE_HUB] = {{"ce-hub", 6}, offsetof(struct ph_event, hub), true, false},
    [ATTRIBUTE_CONNECTION_ID] = {{"ce-connectionId", 15},
                                 offsetof(struct ph_event, connection_id),
                                 true,
                                 false},
    [ATTRIBUTE_NAME] = {{"ce-eventName", 12}, offsetof(struct ph_event, name), true, false},
    [ATTRIBUTE_ID] = {{"ce-id", 5}, offsetof(struct ph_event, id), true, false},
    [ATTRIBUTE_TIME] = {{"ce-time", 7}, offsetof(struct ph_event, time), false, false},
    [ATTRIBUTE_SOURCE] = {{"ce-source", 9}, offsetof(struct ph_event, source), false, false},
    [ATTRIBUTE_USER_ID] = {{"ce-userId", 9}, offsetof(struct ph_event, user_id), false, true},
    [ATTRIBUTE_SUBPROTOCOL] = {{"ce-subprotocol", 14},
                               offsetof(struct ph_event, subprotocol),
                               false,
                               false},
    [ATTRIBUTE_STATE] = {{"ce-connectionState", 18},
                         offsetof(struct ph_event, state),
                         false,
                         false},
    [ATTRIBUTE_PHYSICAL_ID] = {{"ce-physicalConnectionId", 23},
                               offsetof(struct ph_event, physical_id),
                               false,
                               false},
    [ATTRIBUTE_SESSION_ID] = {{"ce-sessionId", 12},
                              offsetof(struct ph_event, session_id),
                              false,
                              false},
};

#define PREFIX "azure.webpubsub."

/* By kind. User events have names of their own. */
static const struct event_type types[] = {
    [PH_EVENT_CONNECT] = {{PREFIX "sys.", 20}, {"connect", 7}},
    [PH_EVENT_CONNECTED] = {{PREFIX "sys.", 20}, {"connected", 9}},
    [PH_EVENT_USER] = {{PREFIX "user.", 21}, {NULL, 0}},
    [PH_EVENT_DISCONNECTED] = {{PREFIX "sys.", 20}, {"disconnected", 12}},
    [PH_EVENT_JOINED] = {{PREFIX "gp.", 19}, {"joined", 6}},
    [PH_EVENT_LEFT] = {{PREFIX "gp.", 19}, {"left", 4}},
};

struct event_type event__type(enum ph_event_kind kind, struct str user_event_name)
{
    struct event_type type = types[kind];

    if (!type.name.ptr)
        type.name = user_event_name;
    return type;
}

bool event__read_type(struct str type, enum ph_event_kind *kind, struct str *name)
{
    for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++) {
        if (!str__starts_with(type, types[i].prefix) || type.len == types[i].prefix.len)
            continue;
        *kind = (enum ph_event_kind)i;
        *name = str__n(type.ptr + types[i].prefix.len, type.len - types[i].prefix.len);
        if (!types[i].name.ptr || str__eq(types[i].name, *name))
            return true;
    }
    return false;
}

struct str event__default_source(struct arena *a, const struct ph_event *ev)
{
    static const struct str before = STR("/hubs/"), between = STR("/client/");
    const struct str slash = ev->physical_id.ptr ? STR("/") : STR("");
    size_t len = before.len + ev->hub.len + between.len + ev->connection_id.len + slash.len +
                 ev->physical_id.len;
    char *text = arena__alloc(a, len + 1), *at = text;

    if (!text)
        return STR_NONE;
    str__place(&at, before);
    str__place(&at, ev->hub);
    str__place(&at, between);
    str__place(&at, ev->connection_id);
    str__place(&at, slash);
    str__place(&at, ev->physical_id);
    *at = '\0';
    return str__n(text, len);
}

/* White space at the ends would be lost on the way: user " bob" would become "bob". */
enum ph_err event__check_value(struct str header, struct str value, bool unicode, struct diag *diag)
{
    const char *wrong = NULL;

    if (str__is_plain_value(value))
        return PH_OK;
    if (str__has_control(value))
        wrong = "holds a control character";
    else if (!unicode && !str__is_ascii(value))
        wrong = "holds characters outside ASCII";
    else if (str__trim(value).len != value.len)
        wrong = "starts or ends with white space";
    if (!wrong)
        return PH_OK;
    return diag__set(diag, PH_ERR_ARGUMENT, "%.*s %s and so cannot be sent to an event handler",
                     STR_FMT(header), wrong);
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

/* Documents print a charset, the emulator sends one with text (section 2.1). */
struct str event__sent_content_type(const struct ph_event *ev)
{
    static const struct str with_charset[] = {
        [PH_DATA_TEXT] = {"text/plain; charset=utf-8", 25},
        [PH_DATA_JSON] = {"application/json; charset=utf-8", 31},
        [PH_DATA_BINARY] = {NULL, 0},
        [PH_DATA_PROTOBUF] = {NULL, 0},
    };
    enum ph_data_type type = ev->kind == PH_EVENT_USER ? ev->type : PH_DATA_JSON;

    if (ev->content_type.ptr)
        return ev->content_type;
    return ev->charset && with_charset[type].ptr ? with_charset[type] : event__content_type(type);
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

enum ph_err event__check_content_type(const struct ph_event *ev, struct diag *diag)
{
    enum ph_data_type type;
    bool says_the_same = event__data_type(ev->content_type, &type) && type == ev->type;

    if (!says_the_same && (ev->kind != PH_EVENT_USER || !mqtt__is_client(ev)))
        return diag__set(diag, PH_ERR_ARGUMENT,
                         "Content-Type \"%.*s\": only user events of MQTT clients have one of "
                         "their own",
                         STR_FMT(ev->content_type));
    return event__check_value(STR("Content-Type"), ev->content_type, false, diag);
}
