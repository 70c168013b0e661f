/* Specifications of plugins: whatever stands behind the '?' is refused with the file's name, or
 * holds values of their types alone, and every key that is required. */
#include "plugin/config.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct ph_plugin_option options[] = {
    {.name = "text", .least = 1, .most = 8},
    {.name = "number", .type = PH_OPTION_INTEGER, .least = -3, .most = 300},
    {.name = "yes", .type = PH_OPTION_BOOLEAN, .preset = "true"},
    {.name = "colour", .type = PH_OPTION_CHOICE, .choices = "red|green|blue", .required = 1},
    {.name = "time", .type = PH_OPTION_DURATION, .preset = "1s", .most = INT64_MAX},
    {.name = NULL},
};

static void must(bool holds)
{
    if (!holds)
        abort();
}

static void check_values(const struct ph_plugin_config *c)
{
    const char *text = plugin_config__get(c, "text");
    int64_t number = plugin_config__int(c, "number");
    int colour = plugin_config__choice(c, "colour"), yes = plugin_config__bool(c, "yes");

    must(!text || (strlen(text) >= 1 && strlen(text) <= 8));
    must(number >= -3 && number <= 300);
    must(colour >= 0 && colour <= 2 && plugin_config__is_given(c, "colour"));
    must(yes == 0 || yes == 1);
    must(plugin_config__int(c, "time") >= 0);
}

/* As the loader does, around a plugin that asks for all it knows. */
static void load(const char *spec, const struct ph_plugin_option *table)
{
    struct ph_plugin_config c;
    struct diag diag = {""};
    enum ph_err err = plugin_config__parse(&c, spec, NULL, &diag);

    if (!err)
        err = plugin_config__read(&c, table, &diag);
    if (!err && table)
        check_values(&c);
    if (!err && !table)
        plugin_config__get(&c, "text");
    if (!err)
        err = plugin_config__check(&c, &diag);
    for (size_t i = 0; !err && plugin_config__hub(&c, i); i++)
        must(plugin_config__hub(&c, i)[0]);
    must(!err || diag.text[0]);
    plugin_config__free(&c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *spec = malloc(size + 1);

    must(spec);
    if (size > 0)
        memcpy(spec, data, size);
    spec[size] = '\0';
    load(spec, options);
    load(spec, NULL);
    free(spec);
    return 0;
}
