/* What events and replies of MQTT clients have beside the others: codes, the `mqtt` object of
 * bodies, user properties (event-handler sections 2.3, 2.4, 3.1, 3.2 and 3.5). */
#ifndef EVENT_MQTT_H
#define EVENT_MQTT_H

#include "event/event.h"

#define MQTT_HEADER_PREFIX STR("mqtt-")

/* Every event of an MQTT client names its physical connection (section 2.1). */
static inline bool mqtt__is_client(const struct ph_event *ev)
{
    return ev->physical_id.ptr || ev->mqtt || str__eq(ev->subprotocol, STR("mqtt"));
}

/* --- Codes of a failed CONNACK and HTTP status (section 3.2) ------------------- */

/* 0: that version has no such code. */
int mqtt__status(enum ph_mqtt_version version, int code);
/* For a status that comes without a code. */
int mqtt__code(enum ph_mqtt_version version, int status);

/* --- Bodies --------------------------------------------------------------------- */

/* Reads the `mqtt` object of a connect or disconnected body into ev. */
enum ph_err mqtt__read(struct arena *a, const struct json *object, struct ph_event *ev,
                       struct diag *diag);
/* Appends the value of `mqtt`; ev->mqtt is not NULL. */
void mqtt__write(struct buf *out, const struct ph_event *ev);

/* [{"name", "value"}, ...]; NULL and null are none. */
enum ph_err mqtt__read_properties(struct arena *a, const struct json *list,
                                  struct http_headers *out, struct diag *diag);
void mqtt__write_properties(struct buf *out, const struct http_headers *properties);

/* --- Headers: properties of user events and of the answers to them ---------------- */

/* Values are views of the headers; names get a NUL. False when memory is out. */
bool mqtt__from_headers(struct arena *a, const struct http_headers *headers,
                        struct http_headers *out);
/* PH_ERR_ARGUMENT when one cannot travel so. */
enum ph_err mqtt__to_headers(struct arena *a, const struct http_headers *properties,
                             struct http_headers *headers, struct diag *diag);
/* NULL, or why a property cannot travel as a header. */
const char *mqtt__header_problem(const struct http_header *property);

#endif
