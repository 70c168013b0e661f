/* Events whose reply is deferred (pubhook/defer.h): those of an application, and the thread
 * that keeps their deadlines. Tokens hold on to it, so it may outlive the application. */
#ifndef APP_DEFER_H
#define APP_DEFER_H

#include "app/call.h"
#include "pubhook/defer.h"

struct pending;

struct pending *pending__new(struct ph_app *app);
/* The application ends: what still waits fails, and all are done when this returns. NULL is
 * fine. */
void pending__close(struct pending *p);
/* The application, which stays until the unlock; NULL: it has ended. For a moment only. */
struct ph_app *pending__lock(struct pending *p);
void pending__unlock(struct pending *p);

/* A handler has returned a reply of REPLY_DEFERRED, which this consumes. True: the call waits
 * for its answer, and may even have got it: the caller must not touch it any more. False: it
 * was answered meanwhile, and *reply is what to complete it with. */
bool deferred__wait(struct app_call *call, struct ph_reply **reply);
/* Nobody waits for this call any more. True: it is the caller's again. False: somebody is
 * answering it just now and will say so, or a handler runs. */
bool deferred__withdraw(struct app_call *call);

#endif
