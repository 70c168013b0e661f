/**
 * JSON for handlers: values of an event's data by path, and a writer for replies.
 *
 *     const struct ph_json *data = ph_event_json(ev);
 *     int64_t id = ph_json_int(data, "/items/0/id", -1);
 *
 *     struct ph_json_writer *out = ph_json_writer_new();
 *     ph_json_put_object(out);
 *     ph_json_put_key(out, "seen");
 *     ph_json_put_int(out, id);
 *     ph_json_put_end(out);
 *     return ph_reply_json_from(out);
 *
 * Paths are JSON Pointers (RFC 6901): "/user/name", "/items/0/id", "" for the value itself. They
 * reach every key: one with a dot as it is, one with a slash or a tilde by "~1" and "~0". Of a
 * key that comes twice the last one counts.
 *
 * A text is parsed once and asked as often as you like. Strings without escapes, and numbers, are
 * not copied: they are bytes of the text, of a length that comes with them and without a NUL
 * behind them. Every function takes NULL for a value that is not there, so steps need no checks.
 *
 * Limits: 512 levels (an event's data has its own, PH_LIMIT_JSON_DEPTH), 100,000 values, 16 MiB.
 *
 * Threads: values may be read by any number of threads; a writer by one at a time.
 */
#ifndef PUBHOOK_JSON_H
#define PUBHOOK_JSON_H

#include <pubhook/reply.h>

#ifdef __cplusplus
extern "C" {
#endif

struct ph_json;        /* a value, which belongs to what it was parsed from */
struct ph_json_doc;    /* a text that was parsed */
struct ph_json_writer; /* a text that is being written */

enum ph_json_type {
    PH_JSON_ABSENT, /* there is no such value */
    PH_JSON_NULL,
    PH_JSON_BOOL,
    PH_JSON_NUMBER,
    PH_JSON_STRING,
    PH_JSON_ARRAY,
    PH_JSON_OBJECT
};

/* --- Texts -------------------------------------------------------------------------- */

/** The data of a user event, or the body of another, as a value that lives as long as the event.
 *  It is parsed when it is first asked for. NULL when it is not JSON (ph_event_data_type), has
 *  too many values, or memory is out. */
PH_API const struct ph_json *ph_event_json(const struct ph_event *ev);

/**
 * Parse any text.
 *
 * @param text  UTF-8, `len` bytes; it is not copied and must live until ph_json_free
 * @param doc   gets what is to be freed with ph_json_free, or NULL
 * @param why   gets a sentence when it fails, a constant; may be NULL
 * PH_ERR_SYNTAX: not JSON, or not UTF-8; PH_ERR_LIMIT: too deep, too large or too many values;
 * PH_ERR_ARGUMENT: `text` or `doc` is NULL; PH_ERR_MEMORY.
 */
PH_API enum ph_err ph_json_parse(const char *text, size_t len, struct ph_json_doc **doc,
                                 const char **why);
/** The whole text's value, valid until ph_json_free. */
PH_API const struct ph_json *ph_json_root(const struct ph_json_doc *doc);
/** NULL is fine. */
PH_API void ph_json_free(struct ph_json_doc *doc);

/* --- Values ------------------------------------------------------------------------- */

/** The value at a path from `value`, or NULL; it lives as long as `value` does. */
PH_API const struct ph_json *ph_json_at(const struct ph_json *value, const char *path);
PH_API enum ph_json_type ph_json_type(const struct ph_json *value);
/** Number of items of an array or members of an object; 0 for others. */
PH_API size_t ph_json_count(const struct ph_json *value);

/** The first item or member, then the next one; NULL past the end. They live as long as the value
 *  that they are in. */
PH_API const struct ph_json *ph_json_first(const struct ph_json *value);
PH_API const struct ph_json *ph_json_next(const struct ph_json *value);
/** Key of a member of an object, `*len` bytes; NULL for other values. */
PH_API const char *ph_json_name(const struct ph_json *value, size_t *len);

/** The string at a path, escapes decoded, `*len` bytes; NULL when there is none. */
PH_API const char *ph_json_string(const struct ph_json *value, const char *path, size_t *len);
/** 1 when there is a string at the path and it is this one; else 0. */
PH_API int ph_json_is(const struct ph_json *value, const char *path, const char *text);
/**
 * Copies the string at a path, with a NUL behind it. On failure the buffer holds "".
 *
 * PH_ERR_NOT_FOUND: no string there; PH_ERR_LIMIT: it has `size` bytes or more; PH_ERR_SYNTAX: it
 * holds a NUL itself; PH_ERR_ARGUMENT: `buffer` is NULL or `size` 0.
 */
PH_API enum ph_err ph_json_copy(const struct ph_json *value, const char *path, char *buffer,
                                size_t size);
/** The number at a path when it is whole and fits (1.0 and 1e3 are whole), else `fallback`. */
PH_API int64_t ph_json_int(const struct ph_json *value, const char *path, int64_t fallback);
/** The number at a path when a double can hold it, else `fallback`. */
PH_API double ph_json_double(const struct ph_json *value, const char *path, double fallback);
/** 1 for true, 0 for false, else `fallback`. */
PH_API int ph_json_bool(const struct ph_json *value, const char *path, int fallback);
/** The text of the value at a path as it was written, `*len` bytes; NULL when there is none. */
PH_API const char *ph_json_raw(const struct ph_json *value, const char *path, size_t *len);

/* --- Writer ------------------------------------------------------------------------- */

/**
 * An empty text. What is put wrongly (a value in an object without a key, an end too many, a text
 * that is not UTF-8, an infinite number, too much) and memory that is out are remembered, and
 * reported by ph_json_writer_text and ph_reply_json_from: broken JSON is never sent.
 *
 * @return  owned by the caller, freed with ph_json_writer_free or ph_reply_json_from; NULL when
 *          memory is out, which all functions below take
 */
PH_API struct ph_json_writer *ph_json_writer_new(void);
PH_API void ph_json_writer_free(struct ph_json_writer *writer);

/** Open an object or an array, which lasts until ph_json_put_end. */
PH_API void ph_json_put_object(struct ph_json_writer *writer);
PH_API void ph_json_put_array(struct ph_json_writer *writer);
PH_API void ph_json_put_end(struct ph_json_writer *writer);
/** The key of the next value, in an object. (That no key comes twice is up to you.) */
PH_API void ph_json_put_key(struct ph_json_writer *writer, const char *key);

/** A string: UTF-8; NULL puts null. */
PH_API void ph_json_put_text(struct ph_json_writer *writer, const char *text);
/** A string of `len` bytes. */
PH_API void ph_json_put_string(struct ph_json_writer *writer, const char *text, size_t len);
PH_API void ph_json_put_int(struct ph_json_writer *writer, int64_t value);
/** The shortest number that reads as the same double. */
PH_API void ph_json_put_double(struct ph_json_writer *writer, double value);
/** true unless `value` is 0. */
PH_API void ph_json_put_bool(struct ph_json_writer *writer, int value);
PH_API void ph_json_put_null(struct ph_json_writer *writer);
/** One value that is JSON already, `len` bytes; it is checked, and put as it is. */
PH_API void ph_json_put_raw(struct ph_json_writer *writer, const char *json, size_t len);
/** A value that was read, as it was written; NULL puts null. */
PH_API void ph_json_put_value(struct ph_json_writer *writer, const struct ph_json *value);

/**
 * The text, with a NUL behind it, valid until the writer is changed or freed.
 *
 * @param len  gets the number of bytes; may be NULL
 * @param why  gets a sentence when NULL is returned, a constant; may be NULL
 * @return     NULL when something was put wrongly, or is still open
 */
PH_API const char *ph_json_writer_text(const struct ph_json_writer *writer, size_t *len,
                                       const char **why);

/** Answer a user event with what was written, and free the writer. When that is wrong, the reply
 *  becomes status 500, and the log says why; NULL when memory is out. */
PH_API struct ph_reply *ph_reply_json_from(struct ph_json_writer *writer);

#ifdef __cplusplus
}
#endif
#endif
