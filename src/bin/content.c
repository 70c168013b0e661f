#include "bin/content.h"

#include "base/file.h"
#include "base/utf8.h"

#define JSON_DEPTH 512

static enum ph_err set(struct content *c, const char **place, const char *value, struct diag *diag)
{
    if (content__given(c))
        return diag__set(diag, PH_ERR_ARGUMENT, "--text, --json and --file exclude each other");
    *place = value;
    return PH_OK;
}

enum ph_err content__set_text(struct content *c, const char *value, struct diag *diag)
{
    return set(c, &c->text, value, diag);
}

enum ph_err content__set_json(struct content *c, const char *value, struct diag *diag)
{
    return set(c, &c->json, value, diag);
}

enum ph_err content__set_file(struct content *c, const char *value, struct diag *diag)
{
    return set(c, &c->file, value, diag);
}

enum ph_err content__set_type(struct content *c, const char *value, struct diag *diag)
{
    c->typed = true;
    if (event__data_type_named(str__of(value), &c->type))
        return PH_OK;
    return diag__set(diag, PH_ERR_ARGUMENT, "\"%s\" is none of text, json, binary, protobuf",
                     value);
}

bool content__given(const struct content *c)
{
    return c->text || c->json || c->file;
}

static bool ends_in(const char *name, const char *suffix)
{
    size_t len = strlen(name), suffix_len = strlen(suffix);

    return len > suffix_len && strcmp(name + len - suffix_len, suffix) == 0;
}

static enum ph_data_type type_of(const struct content *c)
{
    if (!c->file)
        return c->json ? PH_DATA_JSON : PH_DATA_TEXT;
    if (c->typed)
        return c->type;
    if (ends_in(c->file, ".json"))
        return PH_DATA_JSON;
    return ends_in(c->file, ".txt") ? PH_DATA_TEXT : PH_DATA_BINARY;
}

static enum ph_err check(struct str data, enum ph_data_type type, struct diag *diag)
{
    struct diag detail = {""};
    enum ph_err err;

    if (type == PH_DATA_TEXT && !utf8__valid(data))
        return diag__set(diag, PH_ERR_SYNTAX,
                         "the text is not UTF-8; --data-type binary sends any bytes");
    if (type != PH_DATA_JSON)
        return PH_OK;
    err = json__check(data, JSON_DEPTH, &detail);
    return err ? diag__set(diag, err, "the data is not JSON: %s", detail.text) : PH_OK;
}

enum ph_err content__load(struct content *c, struct str *data, enum ph_data_type *type,
                          struct diag *diag)
{
    *type = type_of(c);
    *data = str__of(c->json ? c->json : c->text ? c->text : "");
    if (c->typed && !c->file)
        return diag__set(diag, PH_ERR_ARGUMENT, "--data-type goes with --file");
    if (c->file) {
        enum ph_err err;

        buf__init(&c->bytes, CONTENT_MAX);
        err = file__read(c->file, &c->bytes, diag);
        if (err)
            return err;
        *data = buf__view(&c->bytes);
    }
    return check(*data, *type, diag);
}

void content__free(struct content *c)
{
    buf__free(&c->bytes);
}
