/**
 * Replies that come later. A handler defers an event and returns at once; any thread
 * answers it through a token, once:
 *
 *     static struct ph_reply *on_order(const struct ph_event *ev, void *shop)
 *     {
 *         struct ph_deferred *token;
 *         struct ph_reply *reply = ph_reply_defer(ev, 5000, &token);
 *
 *         if (token)
 *             queue_order(shop, token);
 *         return reply;
 *     }
 *
 *     // on another thread, when the order is through:
 *     ph_deferred_answer(token, ph_reply_text("done", 4));
 *     ph_deferred_unref(token);
 *
 * An event that waits holds no thread: thousands may wait at once, PH_LIMIT_PENDING of them
 * in an application. Over HTTP and FastCGI each holds the connection it came by; CGI and
 * ph_app_serve wait in place.
 *
 * An event ends in one way of these, whatever comes first:
 *   - it is answered;
 *   - its deadline passes: status 504, or the reply of ph_deferred_at_deadline;
 *   - the last reference to its token is given up: the handler failed, status 500 at once;
 *   - who asked has gone, or the server is shut down (status 503).
 * The service tries an event again that got a status of 5xx (event-handler section 3.6), so
 * one that takes too long may be handled twice; ph_reply_reject(4xx) is final.
 *
 * Threads: any, for all functions here. A token and its event may be used after the server
 * and the application are gone.
 */
#ifndef PUBHOOK_DEFER_H
#define PUBHOOK_DEFER_H

#include <pubhook/event.h>
#include <pubhook/reply.h>

#ifdef __cplusplus
extern "C" {
#endif

struct ph_deferred;

/**
 * Defers the event that a handler was called with.
 *
 * @param ev           the event that this handler was called with
 * @param deadline_ms  milliseconds from now until the event fails; 0 for PH_LIMIT_REQUEST_MS.
 *                     The service itself gives up after 100 s.
 * @param token        gets the token, to be given up with ph_deferred_unref; NULL when the
 *                     event cannot be deferred: PH_LIMIT_PENDING others wait (status 503, and
 *                     the log says so), or memory is out (500)
 * @return             what the handler must return now, in any case
 *
 * A handler that returns something else after all frees this with ph_reply_free; the token
 * then belongs to no event (PH_ERR_STATE).
 */
PH_API struct ph_reply *ph_reply_defer(const struct ph_event *ev, unsigned deadline_ms,
                                       struct ph_deferred **token);

/** The event: a copy that stays as it is until the last reference to the token is given up. */
PH_API const struct ph_event *ph_deferred_event(const struct ph_deferred *token);

/**
 * Answers, also before the handler has returned. The reply is made and judged as if the
 * handler had returned it, and is consumed in every case.
 *
 * @param reply  any but ph_reply_pass() and ph_reply_defer(); NULL: the handler failed (500)
 * PH_ERR_ARGUMENT: the reply passes or defers; the event still waits.
 * PH_ERR_STATE: it was answered before. PH_ERR_TIMEOUT: its deadline has passed.
 * PH_ERR_GONE: who asked has gone, or the server was shut down.
 */
PH_API enum ph_err ph_deferred_answer(struct ph_deferred *token, struct ph_reply *reply);

/**
 * Sets what is answered when the deadline passes, in place of status 504. Consumes the reply,
 * which is one that ph_deferred_answer takes; the last one given counts.
 * PH_ERR_ARGUMENT, and the errors of ph_deferred_answer: too late.
 */
PH_API enum ph_err ph_deferred_at_deadline(struct ph_deferred *token, struct ph_reply *reply);

/**
 * What to do when nobody waits for the answer any more.
 *
 * @param why  PH_ERR_TIMEOUT: the deadline has passed. PH_ERR_GONE: who asked has gone (over
 *             HTTP and FastCGI: closed the connection, or its sending half), or the server is
 *             shut down.
 */
typedef void ph_deferred_notice_fn(struct ph_deferred *token, enum ph_err why, void *arg);

/**
 * Asks to be told, so that work for an answer that nobody wants can end. `notice` is called
 * once at most, on a thread of the server or of the application, never from inside a call of
 * this header, and not when the event was answered or given up. It must not block; it may
 * call all functions of this header.
 *
 * @param arg      handed to `notice`, which may run while another thread holds the token
 * @param free_fn  called with `arg` when the token is freed (no notice runs then), also when
 *                 this fails; may be NULL
 * PH_ERR_STATE: answered, or asked already. PH_ERR_TIMEOUT, PH_ERR_GONE: it has ended so,
 * and `notice` will not be called.
 */
PH_API enum ph_err ph_deferred_on_cancel(struct ph_deferred *token, ph_deferred_notice_fn *notice,
                                         void *arg, void (*free_fn)(void *arg));

/** One more reference, for one more holder. Returns the token. */
PH_API struct ph_deferred *ph_deferred_ref(struct ph_deferred *token);
/** Gives a reference up; an event whose last one goes before its answer fails at once, with
 *  status 500 and a line in the log. NULL is fine. */
PH_API void ph_deferred_unref(struct ph_deferred *token);

#ifdef __cplusplus
}
#endif
#endif
