/* echo: accepts every connection and answers each user event with its own data.
 *
 *     pubhookd --plugin echo.so --access-key KEY
 *
 * Configuration: none (besides `hub`, which every plugin has). */
#include <pubhook/plugin.h>

static struct ph_reply *on_connect(const struct ph_event *ev, void *state)
{
    (void)ev, (void)state;
    return ph_reply_accept();
}

static struct ph_reply *on_event(const struct ph_event *ev, void *state)
{
    size_t len;
    const void *data = ph_event_data(ev, &len);

    (void)state;
    return ph_reply_data(ph_event_data_type(ev), data, len);
}

static const struct ph_plugin_handler handlers[] = {
    {PH_EVENT_CONNECT, NULL, on_connect},
    {PH_EVENT_USER, "*", on_event},
    {0, NULL, NULL},
};

/* There is nothing to configure. */
static const struct ph_plugin_option options[] = {{.name = NULL}};

static enum ph_err open_echo(struct ph_plugin_config *config, void **state)
{
    (void)state;
    ph_plugin_config_never_blocks(config);
    return PH_OK;
}

static const struct ph_plugin plugin = {
    PH_PLUGIN_HEAD, "echo", PH_VERSION, open_echo, NULL, handlers, options,
};

PH_PLUGIN(plugin)
