/**
 * The usual form of connection state: a JSON object in base64, shared with the
 * official middlewares of other languages. A state that is absent, or is not of
 * this form, reads as an empty object.
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
/** Integer member; `fallback` when absent or no integer. */
PH_API int64_t ph_state_get_int(const struct ph_state *state, const char *key, int64_t fallback);

/** PH_ERR_MEMORY, or PH_ERR_ARGUMENT when `value` is not UTF-8. NULL removes the key. */
PH_API enum ph_err ph_state_set(struct ph_state *state, const char *key, const char *value);
PH_API enum ph_err ph_state_set_int(struct ph_state *state, const char *key, int64_t value);
/** Removes all keys. */
PH_API void ph_state_clear(struct ph_state *state);

/** Puts the state into a reply. */
PH_API void ph_reply_set_state_from(struct ph_reply *reply, const struct ph_state *state);

#ifdef __cplusplus
}
#endif
#endif
