/* Response headers that a handler adds. */
#include "event/mqtt.h"
#include "event/reply.h"

#define MAX_NAME 256

/* Who says what instead. A name that ends in '-' stands for all that begin so. */
static const struct {
    struct str name;
    const char *why;
} owned[] = {
#define HTTP "this header belongs to HTTP; the server writes it"
    {{"Connection", 10}, HTTP},
    {{"Content-Encoding", 16}, HTTP},
    {{"Content-Length", 14}, HTTP},
    {{"Date", 4}, HTTP},
    {{"Keep-Alive", 10}, HTTP},
    {{"Proxy-Connection", 16}, HTTP},
    {{"Status", 6}, "the header Status is how a CGI program tells its status"},
    {{"TE", 2}, HTTP},
    {{"Trailer", 7}, HTTP},
    {{"Transfer-Encoding", 17}, HTTP},
    {{"Upgrade", 7}, HTTP},
#undef HTTP
    {{"Content-Type", 12},
     "the header Content-Type follows from the reply's data type; for MQTT clients there is "
     "ph_reply_set_content_type()"},
    {{"ce-", 3}, "headers ce-* belong to the service; ph_reply_set_state() sets the state"},
    {{"WebHook-", 8}, "headers WebHook-* belong to the validation, which needs no handler"},
    {{"x-webpubsub-metadata-", 21}, "ph_reply_set_metadata() sets metadata"},
    {{"mqtt-", 5}, "ph_reply_add_mqtt_property() adds MQTT properties"},
};

static bool is_owned(struct str name, struct str by)
{
    return by.ptr[by.len - 1] == '-' ? str__starts_with_nocase(name, by) : str__eq_nocase(name, by);
}

static const char *name_problem(struct str name)
{
    if (!http__is_token(name) || name.len > MAX_NAME)
        return "the name of a header must hold 1 to 256 of the characters that HTTP allows there";
    for (size_t i = 0; i < sizeof(owned) / sizeof(*owned); i++) {
        if (is_owned(name, owned[i].name))
            return owned[i].why;
    }
    return NULL;
}

void reply__add_pair(struct ph_reply *reply, struct reply_pairs *pairs, struct str name,
                     struct str value)
{
    if (pairs->list.count == REPLY_MAX_PAIRS ||
        name.len + value.len > REPLY_MAX_PAIR_BYTES - pairs->bytes) {
        reply__fail(reply, "a reply has at most 64 headers and 64 MQTT properties, and 16384 "
                           "bytes of each");
        return;
    }
    pairs->bytes += name.len + value.len;
    name = reply__copy(reply, name);
    value = reply__copy(reply, value);
    if (!reply->failed && !http__add(&reply->arena, &pairs->list, name, value))
        reply__fail(reply, "out of memory");
}

void ph_reply_add_header(struct ph_reply *reply, const char *name, const char *value)
{
    struct str n = str__of(name), v = str__of(value);
    const char *problem;

    if (!reply)
        return;
    problem = name ? name_problem(n) : "the name of a header is NULL";
    if (reply->kind == REPLY_PASS || reply->kind == REPLY_DEFERRED)
        problem = "a reply that passes or is deferred has no headers";
    else if (!problem && !value)
        problem = "the value of a header is NULL";
    else if (!problem && !str__is_plain_value(v))
        problem = "the value of a header must be printable ASCII without white space at its ends";
    if (problem)
        reply__fail(reply, problem);
    else
        reply__add_pair(reply, &reply->headers, n, v);
}
