/**
 * Runs an application: over HTTP, over FastCGI behind a web server, or as CGI.
 */
#ifndef PUBHOOK_SERVE_H
#define PUBHOOK_SERVE_H

#include <pubhook/app.h>

#ifdef __cplusplus
extern "C" {
#endif

struct ph_server;

/**
 * Starts an HTTP listener on threads of its own and returns.
 *
 * @param listen   "HOST:PORT"; port 0 takes a free one. Or a socket that others have opened:
 *                 "systemd:" for the one that systemd has handed over (sd_listen_fds(3)),
 *                 "systemd:NAME" where it is one of several, "fd:N" for an inherited descriptor
 * @param threads  worker threads; 0 for one per CPU
 * @param out      the running server, owned by the caller, who ends it with ph_server_free
 * @param why      gets a sentence on failure, valid until the next call on this
 *                 thread; may be NULL
 * PH_ERR_CONFIG: ph_app_check. PH_ERR_ARGUMENT: not HOST:PORT. PH_ERR_SYSTEM: cannot listen.
 * Threads: any. The application must outlive the server.
 */
PH_API enum ph_err ph_serve_http(struct ph_app *app, const char *listen, unsigned threads,
                                 struct ph_server **out, const char **why);

/**
 * The same for FastCGI.
 *
 * @param socket   path of a UNIX socket ("/run/pubhook.sock"), "HOST:PORT", or a socket that
 *                 others have opened, as above
 * @param threads  accepting threads; however few there are, connections that a web
 *                 server keeps open never starve its other connections
 * @param out      the running server, owned by the caller, who ends it with ph_server_free
 */
PH_API enum ph_err ph_serve_fastcgi(struct ph_app *app, const char *socket, unsigned threads,
                                    struct ph_server **out, const char **why);

/** True when the program was started as a CGI program (GATEWAY_INTERFACE is set). */
PH_API int ph_is_cgi(void);
/** Answers the one request of a CGI program from its environment and standard input. */
PH_API enum ph_err ph_serve_cgi(struct ph_app *app, const char **why);

/** Where it listens: "http://127.0.0.1:8090/eventhandler", "fastcgi:/run/pubhook.sock". */
PH_API const char *ph_server_address(const struct ph_server *server);
/** Blocks until ph_server_stop is called. */
PH_API void ph_server_wait(struct ph_server *server);
/** Ends ph_server_wait. Threads: any; may be called from a signal handler. */
PH_API void ph_server_stop(struct ph_server *server);
/**
 * Stops listening, answers the requests that are under way, joins all threads, frees.
 *
 * Events whose replies are deferred (pubhook/defer.h) get their answers for PH_LIMIT_REQUEST_MS
 * from now on; those that have none then fail with 503, and their tokens say PH_ERR_GONE.
 * Handlers that run are waited for.
 */
PH_API void ph_server_free(struct ph_server *server);

#ifdef __cplusplus
}
#endif
#endif
