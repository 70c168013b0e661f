/* One request on its way through the handlers, which may answer it at once or later, on
 * another thread. It is part of the response that it ends in. */
#ifndef APP_CALL_H
#define APP_CALL_H

#include "app/app.h"
#include "event/event.h"

/* Completes the response with what a handler decided, and consumes that; on NULL the
 * handler has failed. */
void app__complete(struct app_call *call, struct ph_reply *reply);
/* Completes the response with a failure that is nobody's reply; the text is logged. */
void app__fail(struct app_call *call, int status, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Asks the handlers on this thread, and reports unless they defer. */
void app__work(struct app_call *call);
/* The response is complete, and whoever waits for it is told. */
void app__done(struct app_call *call);

#endif
