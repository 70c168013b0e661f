#include "base/record.h"

#include "base/base64.h"
#include "base/json.h"
#include "base/utf8.h"

static void name_it(struct record *r, const char *name, const char *suffix)
{
    if (!r->first)
        buf__byte(&r->text, ',');
    r->first = false;
    if (!name)
        return;
    json__quote(&r->text, str__of(name));
    if (*suffix && r->text.len > 0) {
        r->text.len--;
        buf__printf(&r->text, "%s\"", suffix);
    }
    buf__byte(&r->text, ':');
}

void record__begin(struct record *r)
{
    buf__init(&r->text, RECORD_MAX);
    buf__byte(&r->text, '{');
    r->first = true;
}

void record__text(struct record *r, const char *name, struct str value)
{
    bool plain = utf8__valid(value);

    name_it(r, name, plain ? "" : "Base64");
    if (!value.ptr) {
        buf__str(&r->text, STR("null"));
    } else if (plain) {
        json__quote(&r->text, value);
    } else {
        buf__byte(&r->text, '"');
        base64__encode(&r->text, value.ptr, value.len);
        buf__byte(&r->text, '"');
    }
}

void record__bool(struct record *r, const char *name, bool value)
{
    record__raw(r, name, value ? STR("true") : STR("false"));
}

void record__number(struct record *r, const char *name, uint64_t value)
{
    name_it(r, name, "");
    buf__u64(&r->text, value);
}

void record__decimal(struct record *r, const char *name, double value)
{
    name_it(r, name, "");
    buf__printf(&r->text, "%.3f", value);
}

/* A line break outside strings is white space; inside them JSON has none. */
void record__raw(struct record *r, const char *name, struct str json)
{
    name_it(r, name, "");
    for (size_t i = 0; i < json.len; i++)
        buf__byte(&r->text, json.ptr[i] == '\n' || json.ptr[i] == '\r' ? ' ' : json.ptr[i]);
}

void record__open(struct record *r, const char *name, char bracket)
{
    name_it(r, name, "");
    buf__byte(&r->text, bracket);
    r->first = true;
}

void record__close(struct record *r, char bracket)
{
    buf__byte(&r->text, bracket);
    r->first = false;
}

bool record__end(struct record *r)
{
    buf__byte(&r->text, '}');
    return !r->text.failed;
}

void record__free(struct record *r)
{
    buf__free(&r->text);
}
