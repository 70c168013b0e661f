/* The broker's configuration file: taken, or refused with a place and a reason. */
#include "base/names.h"
#include "broker/config/changes.h"
#include "broker/config/settings.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_accepted(struct settings *s)
{
    struct diag diag;

    for (size_t i = 0; i < s->hub_count; i++) {
        const struct hub_settings *hub = &s->hubs[i];

        if (!names__valid_hub(hub->name) || settings__hub(s, hub->name) != hub)
            abort();
    }
    if (settings__finish(s, 1, &diag) == PH_OK && s->key_count == 0)
        abort();
}

/* What a reload tells: nothing for the same file, and never without an end. */
static void check_changes(struct str text, bool accepted)
{
    struct str half = str__n(text.ptr, text.len / 2);
    struct buf out;

    buf__init(&out, 1u << 20);
    settings__changes(text, text, &out);
    if (accepted && out.len > 0) /* others may have a key twice */
        abort();
    settings__changes(half, str__n(text.ptr + half.len, text.len - half.len), &out);
    settings__changes(STR("{\"hubs\": {\"chat\": {}}, \"listen\": \"a:1\"}"), text, &out);
    if (out.failed)
        abort();
    buf__free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct diag diag = {""};
    struct settings s;
    enum ph_err err;

    if (!settings__init(&s))
        abort();
    err = settings__parse_file(&s, "file", str__n(data, size), &diag);
    if (err == PH_OK)
        check_accepted(&s);
    else if (err != PH_ERR_CONFIG || !str__starts_with(str__of(diag.text), STR("file:")))
        abort();
    settings__free(&s);
    check_changes(str__n(data, size), err == PH_OK);
    return 0;
}
