/* Webhook events for tests: encoded by the broker's side, served by an application. */
#ifndef TESTS_UNIT_WEBHOOK_H
#define TESTS_UNIT_WEBHOOK_H

#include "app/app.h"
#include "event/event.h"

#define WEBHOOK_KEY "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789ABCDEFGH"
#define WEBHOOK_CONNECTION "conn1"
/* Vector 7 of event-handler section 4. */
#define WEBHOOK_SIGNATURE "sha256=8de7281e588e23b0a30a7180ffa240257b8176e983004c240c9f3f7a7233c993"

/* An event of hub "chat" with the attributes that every event has. */
struct ph_event webhook__event(enum ph_event_kind kind, const char *name);
struct ph_event webhook__user_event(const char *name, enum ph_data_type type, const char *data);

/* POSTs the encoded and signed event to an application; the caller frees the response. */
struct ph_response *webhook__post(struct ph_app *app, const struct ph_event *ev);

/* A request built by hand: header lines "Name: value", NULL at the end. */
struct ph_request *webhook__request(const char *method, const char *target,
                                    const char *const *lines);
struct ph_response *webhook__serve(struct ph_app *app, const struct ph_request *req);

/* Value of the only header of that name, NULL when there is none; fails when there are several. */
const char *webhook__header(const struct ph_response *res, const char *name);

/* Collects what an application logs, in place of standard error. */
struct webhook_log {
    struct ph_log *log;
    char text[8192];
    size_t len;
};
void webhook__log_open(struct webhook_log *log);
void webhook__log_close(struct webhook_log *log);

#endif
