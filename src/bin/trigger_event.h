/* The events that `pubhook trigger` sends: from its options, or from a recorded file. */
#ifndef BIN_TRIGGER_EVENT_H
#define BIN_TRIGGER_EVENT_H

#include "bin/content.h"
#include "bin/pubhook.h"

/* What the options say of an event; NULL or empty: nothing. */
struct event_options {
    const char *name; /* NULL: the recorded ones alone */
    bool user_event;  /* also when the name is that of a system event */
    const char *hub, *connection, *user, *state, *id, *origin, *reason, *group;
    struct values subprotocols, claims, query, headers, metadata;
    struct content content;
    /* of an MQTT client */
    enum ph_mqtt_version mqtt; /* PH_MQTT_UNKNOWN: it is none */
    const char *mqtt_username, *mqtt_password, *content_type;
    struct values mqtt_properties;
    unsigned mqtt_code;
    bool has_mqtt_code;
};

/* Events and the memory that they are made of. */
struct events {
    struct arena arena;
    struct buf text; /* of the file */
    struct ph_event *items;
    size_t count;
};

/* Makes the event that the options say; or reads those of the file, one JSON object a line,
 * of which options replace what they say. PH_ERR_ARGUMENT: the options do not go together.
 * events__free is needed in any case. */
enum ph_err events__make(struct events *e, struct event_options *options, const char *file,
                         struct diag *diag);
void events__free(struct events *e);

#endif
