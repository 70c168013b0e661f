/**
 * The usual form of connection state: a JSON object in base64, shared with the official
 * middlewares of other languages. A state that is absent, or is not of this form, reads as an
 * empty object.
 *
 *     struct ph_state *state = ph_state_from_event(ev);
 *     ph_state_set_int(state, "seen", ph_state_get_int(state, "seen", 0) + 1);
 *     ph_reply_set_state_from(reply, state);
 *     ph_state_free(state);
 *
 * What is set in a copy of the event's state is merged with it: keys that are not touched stay,
 * and the reply replaces the connection's state by the whole. ph_state_clear is real: the reply
 * says that there are no keys any more. (Leaving the state out of a reply keeps it; there is no
 * other way to keep it than that.) Keys keep their order; one that is set again keeps its place.
 *
 * State of any other form is opaque: ph_event_state reads it, ph_reply_set_state sets it, and
 * "" empties it.
 *
 * Threads: one thread at a time for one state.
 */
#ifndef PUBHOOK_STATE_H
#define PUBHOOK_STATE_H

#include <pubhook/reply.h>

#ifdef __cplusplus
extern "C" {
#endif

struct ph_state;

/**
 * A copy of the event's state that can be read and changed.
 *
 * @return owned by the caller, freed with ph_state_free; NULL when memory is out
 */
PH_API struct ph_state *ph_state_from_event(const struct ph_event *ev);
PH_API void ph_state_free(struct ph_state *state);

/** Text of a string member, or the JSON text of another value; NULL when absent. Valid until the
 *  key is changed. */
PH_API const char *ph_state_get(const struct ph_state *state, const char *key);
/** A member that is a whole number and fits (1.0 is whole); else `fallback`. */
PH_API int64_t ph_state_get_int(const struct ph_state *state, const char *key, int64_t fallback);
/** A member that is a number; else `fallback`. */
PH_API double ph_state_get_double(const struct ph_state *state, const char *key, double fallback);
/** 1 for true, 0 for false, else `fallback`. */
PH_API int ph_state_get_bool(const struct ph_state *state, const char *key, int fallback);
/** JSON text of a member of any type, with a NUL behind its `*len` bytes (ph_json_parse reads it);
 *  NULL when absent. Valid until the key is changed. */
PH_API const char *ph_state_get_json(const struct ph_state *state, const char *key, size_t *len);

/** Number of keys. */
PH_API size_t ph_state_count(const struct ph_state *state);
/** The key at `at`; NULL past the end. Valid until keys are set or removed. */
PH_API const char *ph_state_key(const struct ph_state *state, size_t at);

/** PH_ERR_MEMORY, or PH_ERR_ARGUMENT when key or value is not UTF-8. NULL removes the key. */
PH_API enum ph_err ph_state_set(struct ph_state *state, const char *key, const char *value);
PH_API enum ph_err ph_state_set_int(struct ph_state *state, const char *key, int64_t value);
/** PH_ERR_ARGUMENT also when the number is infinite or none. */
PH_API enum ph_err ph_state_set_double(struct ph_state *state, const char *key, double value);
/** true unless `value` is 0. */
PH_API enum ph_err ph_state_set_bool(struct ph_state *state, const char *key, int value);
/** Any JSON value, `len` bytes. PH_ERR_SYNTAX: it is not one; PH_ERR_LIMIT: deeper than 64 levels.
 */
PH_API enum ph_err ph_state_set_json(struct ph_state *state, const char *key, const char *json,
                                     size_t len);
/** Removes a key; it need not be there. */
PH_API void ph_state_remove(struct ph_state *state, const char *key);
/** Removes all keys. */
PH_API void ph_state_clear(struct ph_state *state);

/** Puts the state into a reply. The reply fails when one of the calls above was out of memory, or
 *  the state has more than PH_STATE_MAX bytes in base64 (three quarters of that as JSON). */
PH_API void ph_reply_set_state_from(struct ph_reply *reply, const struct ph_state *state);

#ifdef __cplusplus
}
#endif
#endif
