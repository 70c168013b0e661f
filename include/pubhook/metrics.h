/**
 * What an application counts, as text that Prometheus reads: for each handler the events by
 * their outcome, how long they took, and how many are under way; requests that got to no
 * handler, by why; validations, and events that came again.
 *
 * Names and labels (all counters begin at 0 with the application):
 *
 *     pubhook_handler_events_total{handler,hub,kind,event,outcome}
 *         outcome: answered, rejected (4xx), failed (5xx), late (a deferred reply that did not
 *         come in time), gone (nobody waits for it any more), passed (ph_reply_pass)
 *     pubhook_handler_duration_seconds{handler,hub,kind,event}    histogram
 *     pubhook_handler_events_in_flight{handler,hub,kind,event}    gauge
 *     pubhook_handler_events_deferred_total{handler,hub,kind,event}
 *     pubhook_events_unhandled_total
 *     pubhook_events_repeated_total
 *     pubhook_requests_refused_total{reason}
 *         reason: bad_signature, no_key, bad_token, unavailable, forbidden_origin, malformed,
 *         too_large, other
 *     pubhook_validations_total{result}                           allowed, refused
 *
 * `handler` is the name of the plugin, or what ph_app_name_handlers says; `hub` is "*" for any;
 * `kind` is connect, connected, disconnected, user, joined or left; `event` is the pattern
 * of user events, else as `kind`. Handlers with equal labels are counted as one, and those
 * beyond the first 1000 all together as "(others)". Nothing that comes from clients becomes a
 * label.
 */
#ifndef PUBHOOK_METRICS_H
#define PUBHOOK_METRICS_H

#include <pubhook/app.h>
#include <pubhook/serve.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Names the handlers that are registered from now on, for the label `handler`.
 *
 * @param name  copied; NULL for none, as in the beginning
 * PH_ERR_MEMORY. Threads: as for registering.
 */
PH_API enum ph_err ph_app_name_handlers(struct ph_app *app, const char *name);

/**
 * Writes all metrics, in the text format 0.0.4 (Content-Type "text/plain; version=0.0.4").
 *
 * @param text  gets the text, with a NUL behind it; the caller frees it with ph_metrics_free
 * @param len   its length in bytes
 * PH_ERR_MEMORY. Threads: any.
 */
PH_API enum ph_err ph_app_metrics(struct ph_app *app, char **text, size_t *len);
/** Frees a text. NULL is fine. */
PH_API void ph_metrics_free(char *text);

/**
 * Serves them over HTTP, at /metrics of an address of its own, apart from that of the events: who
 * may look at them is not who may send events. One thread answers, 64 connections at the most.
 * The server is one as those of pubhook/serve.h, and must be freed before the application.
 *
 * @param listen  as for ph_serve_http
 * @param server  gets the server, to be freed with ph_server_free
 * @param why     as for ph_serve_http
 * PH_ERR_CONFIG, PH_ERR_ARGUMENT, PH_ERR_SYSTEM, PH_ERR_MEMORY as for ph_serve_http.
 */
PH_API enum ph_err ph_serve_metrics(struct ph_app *app, const char *listen,
                                    struct ph_server **server, const char **why);

#ifdef __cplusplus
}
#endif
#endif
