/**
 * Who may send events, beyond the plain list of keys in pubhook/app.h: keys for each
 * service host, where they come from, and changing them while events are served
 * (docs/protocol/event-handler.md section 4).
 *
 * The access keys of an application are those that it was given itself (ph_app_add_key,
 * ph_app_add_key_for, ph_app_use_connection_string, ph_app_replace_keys) and those of its
 * sources (files and functions). Each change makes a new set, which is put in the place of
 * the old one at once: an event is checked against one set from beginning to end, and none is
 * lost. Keys are wiped from memory when the last event that began with them is checked; what
 * a thread has derived from one goes when it has used eight others, or ends.
 *
 * Which keys an event may be signed with is decided by the hosts in WebHook-Request-Origin
 * (compared without case and port; the names of the loopback interface are equal):
 *   - A host with keys of its own is checked against those alone. Several such hosts in
 *     one list must all be satisfied, so that the key of one speaks for no other.
 *   - When none of the hosts has keys of its own, or none is named, the general keys count.
 *   - Where that leaves no key at all, the event is refused.
 */
#ifndef PUBHOOK_AUTH_H
#define PUBHOOK_AUTH_H

#include <pubhook/app.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Access keys, each general or for one host. Not for several threads at once. */
struct ph_keys;

/** @return no keys yet, or NULL when memory is out. */
PH_API struct ph_keys *ph_keys_new(void);
/** Wipes and frees them. NULL is fine. */
PH_API void ph_keys_free(struct ph_keys *keys);
/**
 * Adds a key; both strings are copied.
 *
 * @param origin  the host whose events it is for ("contoso.webpubsub.azure.com"); NULL: a
 *                general key
 * PH_ERR_ARGUMENT: the key is empty, or the origin empty, a URL or "*". PH_ERR_LIMIT: over
 * 1024 keys. PH_ERR_MEMORY.
 */
PH_API enum ph_err ph_keys_add(struct ph_keys *keys, const char *origin, const char *key);
/**
 * Adds the keys of a text with one key in each line, as key files have it:
 *
 *     # a comment; empty lines are left out too
 *     KEY                                      a general key
 *     HOST KEY                                 a key for a host, blanks between
 *     Endpoint=https://HOST;AccessKey=KEY;...  a connection string: a key for its host
 *
 * @param why  gets what is wrong and in which line, never a part of the text; valid as long
 *             as `keys`; may be NULL
 * PH_ERR_SYNTAX: a line is none of these. PH_ERR_NOT_FOUND: there is no key in it.
 * PH_ERR_LIMIT, PH_ERR_MEMORY. Keys of the lines before a wrong one stay.
 */
PH_API enum ph_err ph_keys_read(struct ph_keys *keys, const char *text, size_t len,
                                const char **why);

/**
 * Adds a key for the events of one host (see ph_keys_add). Threads: any, at any time.
 */
PH_API enum ph_err ph_app_add_key_for(struct ph_app *app, const char *origin, const char *key);
/**
 * Puts these keys in the place of those that the application was given itself; the ones of
 * its sources stay. `keys` remains the caller's. Threads: any, at any time.
 * PH_ERR_ARGUMENT: there is none among them; nothing is changed then. PH_ERR_MEMORY.
 */
PH_API enum ph_err ph_app_replace_keys(struct ph_app *app, const struct ph_keys *keys);

/**
 * Adds a file as a source of keys, and reads it. It must exist and hold a key. A later file
 * that cannot be read, or is wrong, changes nothing: the keys from before stay, and the log says
 * why.
 *
 * @param path  copied; at most 64 KiB are read
 * @param why   gets what is wrong, valid until the next such call; may be NULL
 * PH_ERR_SYSTEM: it cannot be read, PH_ERR_SYNTAX: it is wrong (ph_keys_read). PH_ERR_LIMIT: over
 * 64 sources. PH_ERR_MEMORY.
 */
PH_API enum ph_err ph_app_add_key_file(struct ph_app *app, const char *path, const char **why);
/**
 * A source of keys: adds its keys to `keys`. It may take its time, because no event waits for it.
 * With an error, or without a key, those that it gave before stay.
 */
typedef enum ph_err ph_keys_fn(struct ph_keys *keys, void *arg);
/**
 * Adds a function as a source of keys, and calls it once, before this call returns. It is called
 * again by ph_app_refresh_keys, and by the thread of ph_app_watch_keys; never by two threads at
 * once.
 *
 * @param free_fn  called with `arg` when the application is freed, also when this fails; may be
 *                 NULL
 * The function's own error; PH_ERR_NOT_FOUND: it gave no key. PH_ERR_ARGUMENT, PH_ERR_LIMIT,
 * PH_ERR_MEMORY.
 */
PH_API enum ph_err ph_app_add_key_source(struct ph_app *app, ph_keys_fn *fn, void *arg,
                                         void (*free_fn)(void *arg));
/**
 * Asks all sources again. Those that fail keep what they gave before.
 *
 * @param why  gets what is wrong with the first that failed, valid until the next such call;
 *             may be NULL
 * The error of the first source that failed. Threads: any.
 */
PH_API enum ph_err ph_app_refresh_keys(struct ph_app *app, const char **why);
/**
 * Starts a thread that looks after the sources: a file is read again when it has changed and then
 * been left alone for one interval, a function is called at each interval. It ends with
 * ph_app_free.
 *
 * @param seconds  1 to 86400
 * PH_ERR_ARGUMENT, PH_ERR_STATE: it runs already. PH_ERR_SYSTEM.
 */
PH_API enum ph_err ph_app_watch_keys(struct ph_app *app, unsigned seconds);
/**
 * Lets that thread ask all sources at once, those of ph_app_use_entra too. Without one, nothing
 * happens. May be called from a
 * signal handler.
 */
PH_API void ph_app_refresh_keys_soon(struct ph_app *app);

/* Defaults of struct ph_entra_options. */
#define PH_ENTRA_SKEW_SECONDS 300
#define PH_ENTRA_REFRESH_SECONDS 30
#define PH_ENTRA_MAX_AGE_SECONDS 86400
#define PH_ENTRA_WAIT_MS 1000

/**
 * What the bearer tokens of Microsoft Entra must be that a service with a managed identity
 * sends with its events (docs/protocol/event-handler.md section 2.1). Set it to zeros, then what
 * you need; it may grow at its end.
 */
struct ph_entra_options {
    /** The directory, by id or domain. It gives the issuers (of both versions of tokens) and the
     *  URL of the keys, where those are not set. */
    const char *tenant;
    const char *const *issuers;   /**< claim `iss`: one of these, ended by NULL */
    const char *const *audiences; /**< claim `aud`: one of these, ended by NULL; required */
    /** Where the public keys are (a JWK set): a file, or a URL that begins with https://, or
     *  with http:// on this machine. */
    const char *keys;
    unsigned skew_seconds;    /**< how far clocks may be apart for `exp` and `nbf`; 300 */
    unsigned refresh_seconds; /**< at least, between two readings of the keys; 30 */
    unsigned max_age_seconds; /**< how long keys are good while no reading succeeds; 86400 */
    unsigned wait_ms;         /**< how long an event waits for keys that are being read; 1000 */
};

/**
 * Accepts tokens of Microsoft Entra: signed with RS256 by one of the public keys, in their time,
 * from one of the issuers, for one of the audiences. Everything is copied. Set the log before.
 *
 * A thread of its own reads the keys: a file before this call returns, a URL from then on; again
 * after twelve hours, and when a token that is right in all else names a key that is not
 * known. Such an event waits for the reading, on its thread, for wait_ms at the most; 16 of
 * them at the most, and none once one has waited in vain for the same reading. While keys
 * cannot be read, such events are answered with 503, and once those that were read last are
 * older than max_age_seconds, all are.
 *
 * @param why  gets what is wrong, valid until the next such call; may be NULL
 * PH_ERR_ARGUMENT: an option is missing or wrong. PH_ERR_STATE: called before. PH_ERR_SYSTEM: the
 * file cannot be read or is no key set, or there is no thread. PH_ERR_MEMORY.
 * Threads: one, before events are served.
 */
PH_API enum ph_err ph_app_use_entra(struct ph_app *app, const struct ph_entra_options *options,
                                    const char **why);

/** What an event must bring along. */
enum ph_proof {
    PH_PROOF_CONFIGURED, /**< all for which something is configured: keys, tokens, or both */
    PH_PROOF_SIGNATURE,  /**< ce-signature by an access key; tokens are not looked at */
    PH_PROOF_TOKEN,      /**< a token; signatures are not looked at */
    PH_PROOF_BOTH,
    PH_PROOF_EITHER /**< one that is good; what else is there may be wrong */
};
/**
 * Says what an event must bring along; default PH_PROOF_CONFIGURED. Events without it are
 * answered with 401. The log says why, the answer does not.
 * PH_ERR_ARGUMENT: none of these. Threads: one, before events are served.
 */
PH_API enum ph_err ph_app_require(struct ph_app *app, enum ph_proof proof);

#ifdef __cplusplus
}
#endif
#endif
