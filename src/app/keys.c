#include "app/keys.h"
#include "base/connection_string.h"
#include "base/url.h"

#include <stdlib.h>

struct ph_keys *ph_keys_new(void)
{
    return calloc(1, sizeof(struct ph_keys));
}

void ph_keys_free(struct ph_keys *keys)
{
    if (!keys)
        return;
    for (size_t i = 0; i < keys->count; i++) {
        free(keys->entries[i].origin);
        mac__key_free(keys->entries[i].key);
    }
    free(keys->entries);
    free(keys);
}

static struct key_entry *grow(struct ph_keys *keys)
{
    struct key_entry *entries = realloc(keys->entries, (keys->count + 1) * sizeof(*entries));

    if (!entries)
        return NULL;
    keys->entries = entries;
    return &entries[keys->count];
}

/* A URL would never equal what a service sends; its port is of no matter. */
static bool is_host(struct str origin)
{
    return origin.len > 0 && !memchr(origin.ptr, '/', origin.len) && !str__eq(origin, STR("*"));
}

enum ph_err keys__add(struct ph_keys *keys, struct str origin, struct str key)
{
    struct str host = origin.ptr ? url__host_only(origin) : STR_NONE;
    struct key_entry *entry;

    if (key.len == 0 || (origin.ptr && (!is_host(origin) || host.len == 0)))
        return PH_ERR_ARGUMENT;
    if (keys->count == KEYS_MAX)
        return PH_ERR_LIMIT;
    entry = grow(keys);
    if (!entry)
        return PH_ERR_MEMORY;
    entry->origin = str__dup(host);
    entry->key = host.ptr && !entry->origin ? NULL : mac__key_new(key);
    if (!entry->key) {
        free(entry->origin);
        return PH_ERR_MEMORY;
    }
    keys->count++;
    return PH_OK;
}

enum ph_err keys__add_all(struct ph_keys *keys, const struct ph_keys *from)
{
    enum ph_err err = PH_OK;

    for (size_t i = 0; i < from->count && err == PH_OK; i++)
        err =
            keys__add(keys, str__of(from->entries[i].origin), mac__key_text(from->entries[i].key));
    return err;
}

enum ph_err ph_keys_add(struct ph_keys *keys, const char *origin, const char *key)
{
    return keys__add(keys, str__of(origin), str__of(key));
}

/* --- A text with a key in each line ------------------------------------------ */

static enum ph_err wrong(struct ph_keys *keys, unsigned line, enum ph_err err, const char *why)
{
    return diag__set(&keys->why, err, "line %u: %s", line, why);
}

static enum ph_err add_key(struct ph_keys *keys, struct str host, struct str key, unsigned line)
{
    enum ph_err err = keys__add(keys, host, key);

    if (err == PH_ERR_ARGUMENT)
        return wrong(keys, line, PH_ERR_SYNTAX,
                     "expected a host name such as contoso.webpubsub.azure.com for the key");
    return err == PH_OK ? err : wrong(keys, line, err, ph_strerror(err));
}

static enum ph_err add_connection_string(struct ph_keys *keys, struct str text, unsigned line)
{
    struct connection_string parsed;
    struct diag diag;

    if (connection_string__parse(text, &parsed, &diag) != PH_OK)
        return wrong(keys, line, PH_ERR_SYNTAX, diag.text);
    return add_key(keys, parsed.host, parsed.access_key, line);
}

static size_t first_blank(struct str s)
{
    size_t at = 0;

    while (at < s.len && s.ptr[at] != ' ' && s.ptr[at] != '\t')
        at++;
    return at;
}

static enum ph_err add_line(struct ph_keys *keys, struct str text, unsigned line)
{
    size_t blank = first_blank(text);
    struct str key = str__trim(str__n(text.ptr + blank, text.len - blank));

    if (str__has_control(key) || first_blank(key) < key.len)
        return wrong(keys, line, PH_ERR_SYNTAX, "expected KEY, HOST KEY or a connection string");
    return key.len > 0 ? add_key(keys, str__n(text.ptr, blank), key, line)
                       : add_key(keys, STR_NONE, text, line);
}

static enum ph_err read_line(struct ph_keys *keys, struct str text, unsigned line)
{
    if (text.len > 0 && text.ptr[text.len - 1] == '\r')
        text.len--;
    text = str__trim(text);
    if (text.len == 0 || text.ptr[0] == '#')
        return PH_OK;
    if (str__has_control(text) && !memchr(text.ptr, '\t', text.len))
        return wrong(keys, line, PH_ERR_SYNTAX, "it holds a control character");
    return str__starts_with_nocase(text, STR("Endpoint=")) ? add_connection_string(keys, text, line)
                                                           : add_line(keys, text, line);
}

static enum ph_err read_lines(struct ph_keys *keys, struct str text)
{
    size_t before = keys->count;
    enum ph_err err = PH_OK;
    unsigned number = 0;
    struct str line;

    if (text.len > KEYS_MAX_TEXT)
        return diag__set(&keys->why, PH_ERR_LIMIT, "more than %u bytes", KEYS_MAX_TEXT);
    while (err == PH_OK && str__split(&text, '\n', &line))
        err = read_line(keys, line, ++number);
    if (err == PH_OK && keys->count == before)
        err = diag__set(&keys->why, PH_ERR_NOT_FOUND, "there is no key in it");
    return err;
}

enum ph_err ph_keys_read(struct ph_keys *keys, const char *text, size_t len, const char **why)
{
    enum ph_err err = read_lines(keys, str__n(text, len));

    if (why)
        *why = err == PH_OK ? "" : keys->why.text;
    return err;
}
