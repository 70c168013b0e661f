/* The broker's configuration file: taken, or refused with a place and a reason. */
#include "base/names.h"
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
    return 0;
}
