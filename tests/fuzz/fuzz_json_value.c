/* JSON of handlers (pubhook/json.h): a first line with a path, then a text. What is read is
 * written again and must be the same; views must lie in the text. */
#include "event/event.h"
#include "pubhook/json.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile size_t sink; /* so that reading is not optimised away */

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                        \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

static void put_scalar(struct ph_json_writer *w, const struct ph_json *value)
{
    size_t len;
    const char *text;

    switch (ph_json_type(value)) {
    case PH_JSON_STRING:
        text = ph_json_string(value, "", &len);
        CHECK(text);
        ph_json_put_string(w, text, len);
        break;
    case PH_JSON_BOOL:
        ph_json_put_bool(w, ph_json_bool(value, "", 7));
        break;
    default: /* of numbers the text counts */
        ph_json_put_value(w, value);
    }
}

static void put(struct ph_json_writer *w, const struct ph_json *value)
{
    enum ph_json_type type = ph_json_type(value);
    size_t count = 0, len;
    char key[512];

    if (type != PH_JSON_OBJECT && type != PH_JSON_ARRAY) {
        put_scalar(w, value);
        return;
    }
    if (type == PH_JSON_OBJECT)
        ph_json_put_object(w);
    else
        ph_json_put_array(w);
    for (const struct ph_json *v = ph_json_first(value); v; v = ph_json_next(v), count++) {
        const char *name = ph_json_name(v, &len);

        CHECK((name != NULL) == (type == PH_JSON_OBJECT));
        snprintf(key, sizeof(key), "%zu", count);
        if (name)
            ph_json_put_key(w, key); /* its own may hold a NUL */
        put(w, v);
    }
    CHECK(count == ph_json_count(value));
    ph_json_put_end(w);
}

static void write_again(const struct ph_json *root)
{
    struct ph_json_writer *w = ph_json_writer_new();
    struct ph_json_doc *doc;
    const char *text, *why;
    size_t len;

    put(w, root);
    text = ph_json_writer_text(w, &len, &why);
    CHECK(text && text[len] == '\0');
    CHECK(ph_json_parse(text, len, &doc, NULL) == PH_OK);
    CHECK(ph_json_type(ph_json_root(doc)) == ph_json_type(root));
    CHECK(ph_json_count(ph_json_root(doc)) == ph_json_count(root));
    ph_json_free(doc);
    ph_json_writer_free(w);
}

static void ask(const struct ph_json *root, const char *path, struct str text)
{
    const struct ph_json *value = ph_json_at(root, path);
    char small[16];
    size_t len;
    const char *raw = ph_json_raw(root, path, &len);

    CHECK((raw != NULL) == (value != NULL));
    CHECK(!raw || (raw >= text.ptr && raw + len <= text.ptr + text.len));
    ph_json_copy(root, path, small, sizeof(small));
    CHECK(memchr(small, '\0', sizeof(small)));
    sink = (size_t)ph_json_int(root, path, 1) + (size_t)(ph_json_double(root, path, 1) > 0) +
           (size_t)ph_json_bool(root, path, 1) + (size_t)ph_json_is(root, path, "a");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = str__n(data, size), line;
    struct ph_json_doc *doc;
    char path[256];

    if (!str__split(&text, '\n', &line) || line.len >= sizeof(path) || !text.ptr)
        return 0;
    memcpy(path, line.ptr, line.len);
    path[line.len] = '\0';
    if (ph_json_parse(text.ptr, text.len, &doc, NULL) != PH_OK)
        return 0;
    ask(ph_json_root(doc), path, text);
    write_again(ph_json_root(doc));
    ph_json_free(doc);
    return 0;
}
