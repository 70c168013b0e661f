/* The attributes of an event that travel as one header each (event-handler section
 * 2.1), as a table that decoder and encoder share. */
#ifndef EVENT_ATTRIBUTE_H
#define EVENT_ATTRIBUTE_H

#include "event/event.h"

struct attribute {
    struct str header;
    size_t offset; /* of its struct str in struct ph_event */
    bool required; /* must be there and not be empty */
    bool unicode;  /* raw UTF-8; everything else is ASCII when we send it */
};

enum {
    ATTRIBUTE_HUB,
    ATTRIBUTE_CONNECTION_ID,
    ATTRIBUTE_NAME,
    ATTRIBUTE_ID,
    ATTRIBUTE_TIME,
    ATTRIBUTE_SOURCE,
    ATTRIBUTE_USER_ID,
    ATTRIBUTE_SUBPROTOCOL,
    ATTRIBUTE_STATE,
    ATTRIBUTE_PHYSICAL_ID,
    ATTRIBUTE_SESSION_ID,
    ATTRIBUTE_COUNT
};
extern const struct attribute attributes[ATTRIBUTE_COUNT];

static inline struct str *attribute__of(struct ph_event *ev, const struct attribute *attribute)
{
    return (struct str *)((char *)ev + attribute->offset);
}

/* What ce-type is made of: azure.webpubsub.sys.connect, azure.webpubsub.gp.joined, or
 * azure.webpubsub.user.message (section 2.2). For a user event, `name` is its own. */
struct event_type {
    struct str prefix, name;
};

struct event_type event__type(enum ph_event_kind kind, struct str user_event_name);
/* The kind and the name that a ce-type says. False: none of these. */
bool event__read_type(struct str type, enum ph_event_kind *kind, struct str *name);

/* For events that name no source: the long form, which documents print for all events but
 * some (section 2.1). Absent when memory is out. */
struct str event__default_source(struct arena *a, const struct ph_event *ev);

/* Of an event that brings a content type of its own: may it? PH_ERR_ARGUMENT. */
enum ph_err event__check_content_type(const struct ph_event *ev, struct diag *diag);
/* What an event that is sent says its body is. */
struct str event__sent_content_type(const struct ph_event *ev);

/* Can it be sent as a header? PH_ERR_ARGUMENT. */
enum ph_err event__check_value(struct str header, struct str value, bool unicode,
                               struct diag *diag);
#endif
