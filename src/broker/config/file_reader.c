#include "broker/config/file_reader.h"

#include "base/buf.h"

#define MAX_NAMES 4096 /* bytes of all names of a table, in a text */

enum ph_err file_reader__at(struct file_reader *r, const struct json *node, enum ph_err err)
{
    struct diag why = *r->diag;

    if (err == PH_OK || r->placed)
        return err;
    r->placed = true;
    return diag__set(r->diag, err == PH_ERR_MEMORY ? err : PH_ERR_CONFIG, "%s:%u: %.*s",
                     r->file_name, json__line(r->text, node), (int)sizeof(why.text) - 1, why.text);
}

static enum ph_err unknown_key(struct file_reader *r, const struct file_table *table,
                               const struct json *member)
{
    struct buf names;
    enum ph_err err;

    buf__init(&names, MAX_NAMES);
    for (size_t i = 0; i < table->count; i++) {
        buf__str(&names, i ? STR(", ") : STR(""));
        buf__str(&names, table->keys[i].name);
    }
    err = diag__set(r->diag, PH_ERR_CONFIG, "unknown key \"%.*s\" in %s; it may have %.*s",
                    STR_FMT(member->key), table->what, STR_FMT(buf__view(&names)));
    buf__free(&names);
    return err;
}

/* There are no more of them than keys in the object's table. */
static bool came_before(const struct json *object, const struct json *member)
{
    const struct json *m = object->child;

    while (m != member && !str__eq(m->key, member->key))
        m = m->next;
    return m != member;
}

static enum ph_err read_member(struct file_reader *r, const struct file_table *table,
                               const struct json *object, const struct json *member, void *target)
{
    size_t i = 0;

    while (i < table->count && !str__eq(table->keys[i].name, member->key))
        i++;
    if (i == table->count)
        return unknown_key(r, table, member);
    if (came_before(object, member))
        return diag__set(r->diag, PH_ERR_CONFIG, "%.*s is set twice", STR_FMT(member->key));
    if (!(table->keys[i].types & TYPE(member->type)))
        return diag__set(r->diag, PH_ERR_CONFIG, "%.*s must be %s, got %s", STR_FMT(member->key),
                         table->keys[i].expected, json__type_name(member));
    return table->keys[i].read(r, member, target);
}

enum ph_err file_reader__object(struct file_reader *r, const struct file_table *table,
                                const struct json *object, void *target)
{
    enum ph_err err = PH_OK;

    if (object->type != JSON_OBJECT)
        return diag__set(r->diag, PH_ERR_CONFIG, "%s must be an object, got %s", table->what,
                         json__type_name(object));
    for (const struct json *m = object->child; m && err == PH_OK; m = m->next)
        err = file_reader__at(r, m, read_member(r, table, object, m, target));
    return err;
}

enum ph_err file_reader__strings(struct file_reader *r, const struct json *array, void *target,
                                 enum ph_err (*add)(struct file_reader *r, struct str value,
                                                    void *target))
{
    enum ph_err err = PH_OK;

    for (const struct json *item = array->child; item && err == PH_OK; item = item->next) {
        if (item->type == JSON_STRING)
            err = add(r, item->string, target);
        else
            err = diag__set(r->diag, PH_ERR_CONFIG, "%.*s must hold strings, got %s",
                            STR_FMT(array->key), json__type_name(item));
        err = file_reader__at(r, item, err);
    }
    return err;
}

/* Values that come again and again ------------------------------------------------- */

enum ph_err file_reader__number(struct file_reader *r, const struct json *value, uint64_t min,
                                uint64_t max, unsigned *out)
{
    uint64_t number;

    if (!json__to_u64(value, &number) || number < min || number > max)
        return diag__set(r->diag, PH_ERR_CONFIG,
                         "%.*s must be a whole number from %llu to %llu, got %.*s",
                         STR_FMT(value->key), (unsigned long long)min, (unsigned long long)max,
                         STR_FMT(value->string));
    *out = (unsigned)number;
    return PH_OK;
}

enum ph_err file_reader__either(struct file_reader *r, const struct json *value,
                                const char *first_word, const char *second_word, bool *second)
{
    *second = str__eq_nocase(value->string, str__of(second_word));
    if (*second || str__eq_nocase(value->string, str__of(first_word)))
        return PH_OK;
    return diag__set(r->diag, PH_ERR_CONFIG, "%.*s must be \"%s\" or \"%s\", got \"%.*s\"",
                     STR_FMT(value->key), first_word, second_word, STR_FMT(value->string));
}

enum ph_err file_reader__path(struct file_reader *r, const struct json *value, struct str *out)
{
    if (value->string.len == 0 || value->string.len > FILE_MAX_PATH ||
        memchr(value->string.ptr, '\0', value->string.len))
        return diag__set(r->diag, PH_ERR_CONFIG, "%.*s must be the path of a file",
                         STR_FMT(value->key));
    *out = value->string;
    return PH_OK;
}

enum ph_err file_reader__keep(struct file_reader *r, const struct json *value, struct str *to)
{
    char *copy = arena__strdup(&r->s->arena, value->string);

    if (value->string.len == 0)
        return diag__set(r->diag, PH_ERR_CONFIG, "%.*s must not be empty", STR_FMT(value->key));
    if (!copy)
        return diag__set(r->diag, PH_ERR_MEMORY, "out of memory");
    *to = str__n(copy, value->string.len);
    return PH_OK;
}
