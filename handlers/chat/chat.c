/* chat: a room called "lobby" for users with a name.
 *
 *     pubhookd --plugin 'chat.so?hub=chat' --access-key KEY
 *
 * - connect: a client without a user id is refused with 401; the others join the group
 *   "lobby" and may join and send to it (roles webpubsub.joinLeaveGroup.lobby and
 *   webpubsub.sendToGroup.lobby).
 * - message: answered with {"from":user,"text":text,"count":n}. The text is the data of
 *   the event: a text as it is, or a JSON value of one of the forms "text" and
 *   {"text":"text"}; for other JSON, its own source. Binary data is refused with 415.
 *   `count` is the number of this connection's messages so far; it travels in the
 *   connection state, so it survives a restart of the handler.
 * - connected: with a greeting, the lobby hears {"from":user,"text":greeting}.
 *
 * Configuration, besides `hub`: greeting=TEXT, which pubhookd sends to the service of
 * WebPubSubConnectionString, and pubhook-broker to itself. */
#include <pubhook/plugin.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT_KEY "count"
/* Longest text: what fits into a WebSocket frame of 1 MB. */
#define TEXT_MAX (1u << 20)
#define GREETING_MAX 1000

struct chat {
    char greeting[GREETING_MAX + 1]; /* empty: none */
};

static struct ph_reply *on_connect(const struct ph_event *ev, void *self)
{
    const char *user = ph_event_user_id(ev);
    struct ph_reply *reply;

    (void)self;
    if (!user || !*user)
        return ph_reply_reject(401, "this chat is for users with a name: ask for a token "
                                    "with a user id");
    reply = ph_reply_accept();
    ph_reply_add_group(reply, "lobby");
    ph_reply_add_role(reply, "webpubsub.joinLeaveGroup.lobby");
    ph_reply_add_role(reply, "webpubsub.sendToGroup.lobby");
    return reply;
}

/* Writes `s` as a JSON string; at most 6 bytes for each of its own and 2 quotes. */
static char *quote(char *out, const char *s, size_t len)
{
    *out++ = '"';
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)s[i];

        if (c < 0x20) {
            out += sprintf(out, "\\u%04x", c);
        } else {
            if (c == '"' || c == '\\')
                *out++ = '\\';
            *out++ = (char)c;
        }
    }
    *out++ = '"';
    return out;
}

static const char *skip_blank(const char *p)
{
    return p + strspn(p, " \t\r\n");
}

/* End of the JSON string that begins at `p`, behind its quote; NULL if there is none. */
static const char *string_end(const char *p)
{
    if (*p++ != '"')
        return NULL;
    for (; *p && *p != '"'; p++) {
        if (*p == '\\' && p[1])
            p++;
    }
    return *p ? p + 1 : NULL;
}

/* The JSON string literal of the message: the value itself, or member "text" when that is
 * the only one. NULL for other JSON. The framework has checked that it is JSON. */
static const char *text_literal(const char *json, size_t *len)
{
    const char *p = skip_blank(json), *end;
    int object = *p == '{';

    if (object) {
        p = skip_blank(p + 1);
        if (strncmp(p, "\"text\"", 6) != 0)
            return NULL;
        p = skip_blank(p + 6);
        if (*p != ':')
            return NULL;
        p = skip_blank(p + 1);
    }
    end = string_end(p);
    if (!end || (object && *skip_blank(end) != '}'))
        return NULL;
    *len = (size_t)(end - p);
    return p;
}

static char *put_text(char *out, const struct ph_event *ev, const char *data, size_t len)
{
    const char *literal = NULL;
    size_t n = 0;

    if (ph_event_data_type(ev) == PH_DATA_JSON)
        literal = text_literal(data, &n);
    if (!literal)
        return quote(out, data, len);
    memcpy(out, literal, n); /* a string literal already */
    return out + n;
}

static struct ph_reply *answer(const struct ph_event *ev, int64_t count)
{
    const char *user = ph_event_user_id(ev);
    size_t len, user_len = user ? strlen(user) : 0;
    const char *data = ph_event_data(ev, &len);
    char *json = malloc(6 * (len + user_len) + 80), *at = json;
    struct ph_reply *reply;

    if (!json)
        return NULL;
    at += sprintf(at, "{\"from\":");
    at = quote(at, user ? user : "", user_len);
    at += sprintf(at, ",\"text\":");
    at = put_text(at, ev, data, len);
    at += sprintf(at, ",\"count\":%lld}", (long long)count);
    reply = ph_reply_json(json, (size_t)(at - json));
    free(json);
    return reply;
}

static struct ph_reply *on_message(const struct ph_event *ev, void *self)
{
    enum ph_data_type type = ph_event_data_type(ev);
    struct ph_state *state;
    struct ph_reply *reply;
    int64_t count;
    size_t len;

    (void)self;
    if (type != PH_DATA_TEXT && type != PH_DATA_JSON)
        return ph_reply_reject(415, "this chat takes text or JSON");
    ph_event_data(ev, &len);
    if (len > TEXT_MAX)
        return ph_reply_reject(413, "the message is longer than 1 MiB");
    state = ph_state_from_event(ev);
    count = ph_state_get_int(state, COUNT_KEY, 0) + 1;
    reply = answer(ev, count);
    if (!state || ph_state_set_int(state, COUNT_KEY, count)) {
        ph_reply_free(reply);
        reply = NULL; /* a wrong count is worse than a retry */
    }
    ph_reply_set_state_from(reply, state);
    ph_state_free(state);
    return reply;
}

/* Nobody waits for it: the client is connected, whoever hears of it. */
static struct ph_reply *on_connected(const struct ph_event *ev, void *self)
{
    const struct chat *chat = self;
    const char *user = ph_event_user_id(ev);
    size_t user_len = user ? strlen(user) : 0, greeting_len = strlen(chat->greeting);
    char *json = *chat->greeting ? malloc(6 * (user_len + greeting_len) + 80) : NULL, *at = json;

    if (!json)
        return ph_reply_ok();
    at += sprintf(at, "{\"from\":");
    at = quote(at, user ? user : "", user_len);
    at += sprintf(at, ",\"text\":");
    at = quote(at, chat->greeting, greeting_len);
    *at++ = '}';
    ph_service_post(ph_event_service(ev),
                    &(struct ph_service_request){.operation = PH_SERVICE_SEND_TO_GROUP,
                                                 .group = "lobby",
                                                 .type = PH_DATA_JSON,
                                                 .data = json,
                                                 .len = (size_t)(at - json)});
    free(json);
    return ph_reply_ok();
}

static const struct ph_plugin_handler handlers[] = {
    {PH_EVENT_CONNECT, NULL, on_connect},
    {PH_EVENT_CONNECTED, NULL, on_connected},
    {PH_EVENT_USER, "message", on_message},
    {0, NULL, NULL},
};

static const struct ph_plugin_option options[] = {
    {.name = "greeting",
     .help = "what everybody is sent when a client has connected",
     .least = 0,
     .most = GREETING_MAX},
    {.name = NULL},
};

static enum ph_err open_chat(struct ph_plugin_config *config, void **state)
{
    const char *greeting = ph_plugin_config_get(config, "greeting");
    struct chat *chat = calloc(1, sizeof(*chat));

    if (!chat)
        return PH_ERR_MEMORY;
    if (greeting)
        strcpy(chat->greeting, greeting);
    *state = chat;
    ph_plugin_config_never_blocks(config);
    return PH_OK;
}

static void close_chat(void *state)
{
    free(state);
}

static const struct ph_plugin plugin = {
    PH_PLUGIN_HEAD, "chat", PH_VERSION, open_chat, close_chat, handlers, options,
};

PH_PLUGIN(plugin)
