/* What the program has set, checked, and what it left out. */
#include "client/address.h"
#include "client/client.h"

#define MAX_TEXTS (256u << 10)

static uint32_t or_default(uint32_t value, uint32_t otherwise)
{
    return value > 0 ? value : otherwise;
}

static struct ph_client_retry retry_or_default(struct ph_client_retry r, uint32_t retries,
                                               enum ph_client_backoff backoff)
{
    if (r.backoff == PH_CLIENT_BACKOFF_DEFAULT)
        r.backoff = backoff;
    r.delay_ms = or_default(r.delay_ms, 1000);
    r.max_delay_ms = or_default(r.max_delay_ms, 30000);
    r.retries = r.retries == PH_CLIENT_NEVER ? 0 : or_default(r.retries, retries);
    return r;
}

/* A copy of *text, which points to it then. */
static void own(struct ph_client *c, size_t *at, const char **text)
{
    size_t len;

    if (!*text)
        return;
    len = strlen(*text) + 1;
    memcpy(c->texts.data + *at, *text, len);
    *text = c->texts.data + *at;
    *at += len;
}

static bool own_texts(struct ph_client *c)
{
    struct ph_client_options *o = &c->options;
    const char **const texts[] = {&o->url, &o->ca_file, &o->proxy};
    size_t len = 1, at = 0;

    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
        len += *texts[i] ? strlen(*texts[i]) + 1 : 0;
    buf__init(&c->texts, MAX_TEXTS);
    if (!buf__reserve(&c->texts, len))
        return false;
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
        own(c, &at, texts[i]);
    return true;
}

bool client__take_options(struct ph_client *c)
{
    static const struct str subprotocols[] = {
        [PH_CLIENT_RELIABLE] = STR("json.reliable.webpubsub.azure.v1"),
        [PH_CLIENT_JSON] = STR("json.webpubsub.azure.v1"),
        [PH_CLIENT_RAW] = STR_NONE,
    };
    struct ph_client_options *o = &c->options;

    if (!own_texts(c))
        return false;
    o->max_message = o->max_message ? o->max_message : 8u << 20;
    o->max_send = o->max_send ? o->max_send : 1u << 20;
    o->max_queue = o->max_queue ? o->max_queue : 16u << 20;
    o->max_pending = or_default(o->max_pending, 1000);
    o->ack_timeout_ms = or_default(o->ack_timeout_ms, 30000);
    c->dialog_settings = (struct dialog_settings){
        .protocol = o->protocol,
        .url = str__of(o->need_url ? NULL : o->url),
        .reconnects = !o->no_reconnect,
        .rejoins = !o->no_rejoin,
        .reconnect = retry_or_default(o->reconnect, UINT32_MAX, PH_CLIENT_BACKOFF_EXPONENTIAL),
        .resend = retry_or_default(o->resend, 3, PH_CLIENT_BACKOFF_FIXED),
        .keep_alive_ms = or_default(o->keep_alive_ms, 20000),
        .keep_alive_timeout_ms = or_default(o->keep_alive_timeout_ms, 120000),
        .connect_timeout_ms = or_default(o->connect_timeout_ms, 30000),
        .recovery_ms = or_default(o->recovery_ms, 30000),
        .max_incoming = o->group_stream ? or_default(o->max_incoming, 256) : 0,
    };
    c->channel_settings = (struct channel_settings){
        .subprotocol = subprotocols[o->protocol],
        .ca_file = o->ca_file,
        .proxy = o->proxy,
        .insecure = o->insecure,
        .max_message = (uint32_t)o->max_message,
        .max_out = 2 * o->max_queue + (1u << 20),
    };
    return true;
}

enum ph_err client__check_url(const char *url, const char **why)
{
    struct address address;

    if (!address__parse(str__of(url), &address))
        return client__fail(
            why, PH_ERR_SYNTAX,
            "the URL must begin with ws://, wss://, http:// or https:// and a host");
    address__free(&address);
    return PH_OK;
}

enum ph_err client__check_options(const struct ph_client_options *o, const char **why)
{
    if (!o || (!o->url && !o->need_url))
        return client__fail(why, PH_ERR_ARGUMENT, "a client needs `url` or `need_url`");
    if ((unsigned)o->protocol > PH_CLIENT_RAW)
        return client__fail(why, PH_ERR_ARGUMENT,
                            "`protocol` is none of enum ph_client_subprotocol");
    if (o->max_pending > 1000)
        return client__fail(why, PH_ERR_ARGUMENT, "`max_pending` must be at most 1000");
    if (o->max_incoming > 1000)
        return client__fail(why, PH_ERR_ARGUMENT, "`max_incoming` must be at most 1000");
    if (o->max_message > INT32_MAX || o->max_queue > INT32_MAX || o->max_send > INT32_MAX)
        return client__fail(why, PH_ERR_ARGUMENT, "a size must be less than 2 GiB");
    return o->need_url ? PH_OK : client__check_url(o->url, why);
}
