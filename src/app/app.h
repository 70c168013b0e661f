/* Inside of pubhook/app.h, for the code that serves: the request and response types. */
#ifndef APP_APP_H
#define APP_APP_H

#include "base/http.h"
#include "base/list.h"
#include "base/log.h"
#include "pubhook/app.h"

struct counts;
struct ph_deferred;
struct registry;

/* What the handlers are asked, until they have answered (app/call.h). */
struct app_call {
    struct ph_app *app;
    struct registry *handlers; /* a reference: they stay until the call has ended */
    const struct ph_event *ev;
    ph_served_fn *done;
    void *arg;
    struct handler_counts *counts; /* of the handler that answers; NULL: none was asked */
    int64_t asked_us;
    bool late;                    /* its deadline passed */
    bool gone;                    /* nobody waited for its answer when it ended */
    struct app_call *behind;      /* in line for a worker, under a lock of app/workers.c */
    bool stands_in_line;          /* there */
    struct ph_deferred *deferred; /* what it waits for, under a lock of app/defer.c */
    bool withdrawn;               /* nobody waits for the answer; under the same lock */
    struct repeats *repeats;      /* where its repetitions find it; NULL: nowhere */
    struct entry *entry;          /* there, while it is handled */
    struct link waits;            /* for the one of which it is a repetition */
};

/* A request with the memory of its header list. */
struct ph_request {
    struct arena arena; /* first bytes are the tail of the request's own allocation */
    struct http_request http;
};

/* A response, and with it all memory that answering takes: the decoded event lives here
 * too. Names and values of headers have a NUL behind them. */
struct ph_response {
    struct arena arena; /* first bytes are the tail of the response's own allocation */
    struct http_response http;
    struct app_call call;
};

/* As ph_request_new, but empty, for servers that already hold the parts: strings are not
 * copied and must live until the request is freed or reset. Behind each value is a NUL. */
struct ph_request *app__request_new(void);
bool app__request_add_borrowed(struct ph_request *req, struct str name, struct str value);

/* Empties one for the next request on its connection; what is larger than usual is freed. */
void app__request_reset(struct ph_request *req);
void app__response_reset(struct ph_response *res);

/* Judges a request by its head alone, before the body is read: 0, or the status of
 * `res`, complete (http__check, Content-Length over the limit: 413, wrong path: 404,
 * wrong method: 405). */
int app__check_head(struct ph_app *app, const struct ph_request *req, struct ph_response *res);
/* ph_app_serve_async for a request that app__check_head let pass, of a server that started
 * after ph_app_check, with a body within PH_LIMIT_BODY and a NUL behind it: judges none of
 * that again. True: the response is complete, and `done` is not going to be called. False: it
 * will be called once, on any thread, perhaps before this returns, and must not block. */
bool app__serve_checked(struct ph_app *app, const struct ph_request *req, struct ph_response *res,
                        ph_served_fn *done, void *arg);
/* Waits in place instead. */
void app__serve_waiting(struct ph_app *app, const struct ph_request *req, struct ph_response *res);
/* Nobody waits for this response any more. True: it is the caller's again, `done` is not going
 * to be called. False: `done` has been or will be called, soon but for a handler that runs. */
bool app__withdraw(struct ph_response *res);
/* A plain-text response for what the server itself refuses; `why`, copied, is logged too. */
void app__refuse(struct ph_app *app, const struct ph_request *req, struct ph_response *res,
                 int status, const char *why);

/* For events that come from the same process. First a copy of the event, which lives in the
 * response, and has no texts of its own if the sender's event `stays` until app__dispatch has
 * returned; then, on any thread, the handlers, and what they decide as a response, as with
 * app__serve_checked. */
enum ph_err app__hand_over(const struct ph_app *app, const struct ph_event *ev, bool stays,
                           struct ph_response *res, struct ph_event **out, struct diag *diag);
bool app__dispatch(struct ph_app *app, struct ph_event *ev, struct ph_response *res,
                   ph_served_fn *done, void *arg);

/* A reference to the handlers of now. Any thread. */
/* Adds what is counted in `app`, see counts__sum. */
bool app__sum_counts(struct ph_app *app, struct counts *to, const char *hub);
/* Where a handler is counted, as long as the application lives. NULL: memory is out. */
struct handler_counts *app__counts(struct ph_app *app, const char *name, enum ph_event_kind kind,
                                   const char *hub, const char *pattern);
struct registry *app__handlers(struct ph_app *app);
/* The handlers of `fresh` take the place of those of `owner`, or come behind all others.
 * Events may be served meanwhile; those under way end with the handlers that they began with.
 * One thread at a time. PH_ERR_MEMORY. */
enum ph_err app__exchange(struct ph_app *app, const void *owner, const struct registry *fresh);
/* Do none of the handlers of now ever block? Then a loop may call them. Any thread. */
bool app__never_blocks(const struct ph_app *app);

struct ph_log *app__log(const struct ph_app *app);
struct str app__path(const struct ph_app *app);

#endif
