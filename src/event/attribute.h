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

#define ATTRIBUTE_COUNT 9
extern const struct attribute attributes[ATTRIBUTE_COUNT];

static inline struct str *attribute__of(struct ph_event *ev, const struct attribute *attribute)
{
    return (struct str *)((char *)ev + attribute->offset);
}

/* What ce-type is made of: azure.webpubsub.sys.connect, azure.webpubsub.user.message. */
#define TYPE_SYSTEM STR("azure.webpubsub.sys.")
#define TYPE_USER STR("azure.webpubsub.user.")
/* Group presence, new in 2026 and not handled (section 2.2). */
#define TYPE_GROUP STR("azure.webpubsub.gp.")

/* Name of a system event, absent for user events; and back. */
struct str event__system_name(enum ph_event_kind kind);
bool event__system_kind(struct str name, enum ph_event_kind *out);

/* Characters that would end a header line, or the C string that a handler sees. */
bool event__has_control(struct str s);

#endif
