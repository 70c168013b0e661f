/* --text, --json, --file and --data-type: the data that a verb sends. */
#ifndef BIN_CONTENT_H
#define BIN_CONTENT_H

#include "bin/cli.h"
#include "event/event.h"

#define CONTENT_MAX (16u << 20)

struct content {
    const char *text, *json, *file; /* one at the most */
    enum ph_data_type type;         /* of --data-type */
    bool typed;
    struct buf bytes; /* of the file */
};

/* Rows of a table of options; the setters are the verb's own, over those below. */
#define CONTENT_OPTIONS(text_fn, json_fn, file_fn, type_fn)                                        \
    {"text", "TEXT", "data: this text", text_fn},                                                  \
        {"json", "JSON", "data: this JSON value", json_fn},                                        \
        {"file", "FILE", "data: the bytes of a file; - is standard input", file_fn},               \
    {                                                                                              \
        "data-type", "TYPE",                                                                       \
            "what the file holds: text, json, binary or protobuf (default:\n"                      \
            "by its name: .txt is text, .json JSON, any other binary)",                            \
            type_fn                                                                                \
    }

enum ph_err content__set_text(struct content *c, const char *value, struct diag *diag);
enum ph_err content__set_json(struct content *c, const char *value, struct diag *diag);
enum ph_err content__set_file(struct content *c, const char *value, struct diag *diag);
enum ph_err content__set_type(struct content *c, const char *value, struct diag *diag);

bool content__given(const struct content *c);
/* The data, read and checked. PH_ERR_SYNTAX: not what its type says; PH_ERR_ARGUMENT: cannot be
 * read. It lives until content__free. */
enum ph_err content__load(struct content *c, struct str *data, enum ph_data_type *type,
                          struct diag *diag);
void content__free(struct content *c);

#endif
