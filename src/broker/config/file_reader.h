/* Reads JSON objects of the configuration file by tables of their keys, and says by file and
 * line what is wrong with one. */
#ifndef BROKER_CONFIG_FILE_READER_H
#define BROKER_CONFIG_FILE_READER_H

#include "base/json.h"
#include "broker/config/settings.h"

struct file_reader {
    struct settings *s;
    const char *file_name;
    struct str text;
    struct diag *diag;
    bool placed; /* the diagnostic names file and line already */
};

#define FILE_MAX_PATH 4096 /* bytes of the name of a file */

#define TYPE(type) (1u << (type))

/* One key of an object. `target` is the thing that the object describes. */
struct file_key {
    struct str name;
    unsigned types; /* TYPE bits */
    const char *expected;
    enum ph_err (*read)(struct file_reader *r, const struct json *value, void *target);
};

struct file_table {
    const char *what; /* the object's name in texts */
    const struct file_key *keys;
    size_t count;
};

/* Puts "FILE:LINE: " before the diagnostic, unless it has a place, and makes it the file's
 * fault. */
enum ph_err file_reader__at(struct file_reader *r, const struct json *node, enum ph_err err);
/* Reads each member by its row in the table. */
enum ph_err file_reader__object(struct file_reader *r, const struct file_table *table,
                                const struct json *object, void *target);
/* For arrays of strings: gives each to `add`. */
enum ph_err file_reader__strings(struct file_reader *r, const struct json *array, void *target,
                                 enum ph_err (*add)(struct file_reader *r, struct str value,
                                                    void *target));

/* Values that come again and again. */
enum ph_err file_reader__number(struct file_reader *r, const struct json *value, uint64_t min,
                                uint64_t max, unsigned *out);
/* One of two words; *second says whether it is the second. */
enum ph_err file_reader__either(struct file_reader *r, const struct json *value,
                                const char *first_word, const char *second_word, bool *second);
/* The name of a file; *out lives as long as the text of the configuration. */
enum ph_err file_reader__path(struct file_reader *r, const struct json *value, struct str *out);
/* A string that is not empty, copied for the settings. */
enum ph_err file_reader__keep(struct file_reader *r, const struct json *value, struct str *to);

/* Parts of the file, as functions of their keys; `target` is the hub's settings where the
 * part belongs to a hub, else the settings. */
enum ph_err file__event_handlers(struct file_reader *r, const struct json *value, void *target);
enum ph_err file__event_listeners(struct file_reader *r, const struct json *value, void *target);
enum ph_err file__hubs(struct file_reader *r, const struct json *value, void *target);
enum ph_err file__entra(struct file_reader *r, const struct json *value, void *target);

#endif
