/* Web PubSub: members speak the subprotocol that the dialect is named after, the publisher
 * speaks JSON. Groups and roles come with the tokens; the user is `bench-` and the number of the
 * process, so that those of one can be sent to. */
#include "dialect.h"

#include <pubhook/pubhook.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum wire_type { VARINT = 0, LENGTH = 2 };

/* Fields of webpubsub.proto. */
#define FIELD(number, type) ((number) << 3 | (type))
#define DATA_MESSAGE FIELD(2, LENGTH)
#define SYSTEM_MESSAGE FIELD(3, LENGTH)
#define MESSAGE_DATA FIELD(3, LENGTH)
#define TEXT_DATA FIELD(1, LENGTH)
#define SEQUENCE_ID FIELD(4, VARINT)
#define SEQUENCE_ACK_MESSAGE FIELD(8, LENGTH)
#define ACK_SEQUENCE_ID FIELD(1, VARINT)

static char *make_target(const char *port, const char *const *roles, const char *const *groups)
{
    char connection_string[256], user[32], *url, *path;
    struct ph_token_options options = {.user_id = user, .roles = roles, .groups = groups};

    snprintf(user, sizeof(user), "bench-%d", (int)getpid());
    snprintf(connection_string, sizeof(connection_string),
             "Endpoint=http://127.0.0.1:%s;AccessKey=%s;Version=1.0;", port, DIALECT_KEY);
    if (ph_client_access_url(connection_string, "bench", &options, &url) != PH_OK)
        bench__die("no token");
    path = strdup(strstr(url + 5, "/client"));
    ph_token_free(url);
    if (!path)
        bench__die("out of memory");
    return path;
}

static const char *target(const char *port, int index)
{
    static const char *const roles[] = {"webpubsub.sendToGroup", NULL};
    static const char *const groups[] = {"g", NULL};
    static char *publisher, *member;

    if (!publisher) {
        publisher = make_target(port, roles, NULL);
        member = make_target(port, NULL, groups);
    }
    return index == DIALECT_PUBLISHER ? publisher : member;
}

/* The publisher's is of JSON. */
#define JSON "json.webpubsub.azure.v1"
#define OR_JSON(index, name) ((index) == DIALECT_PUBLISHER ? JSON : (name))

static const char *json(int index)
{
    return OR_JSON(index, JSON);
}

static const char *json_reliable(int index)
{
    return OR_JSON(index, "json.reliable.webpubsub.azure.v1");
}

static const char *protobuf(int index)
{
    return OR_JSON(index, "protobuf.webpubsub.azure.v1");
}

static const char *protobuf_reliable(int index)
{
    return OR_JSON(index, "protobuf.reliable.webpubsub.azure.v1");
}

static const char *raw(int index)
{
    return OR_JSON(index, NULL);
}

static const char *after(const char *data, size_t len, const char *key)
{
    const char *at = memmem(data, len, key, strlen(key));

    return at ? at + strlen(key) : NULL;
}

static size_t hear_json(struct ws_conn *c, const char *data, size_t len, struct hearing *h)
{
    const char *text = after(data, len, "\"data\":\""), *end;

    (void)c;
    if (text) {
        end = memchr(text, '"', (size_t)(data + len - text));
        *h = (struct hearing){HEARD_DELIVERY, text, end ? (size_t)(end - text) : 0};
    } else if (after(data, len, "\"event\":\"connected\"")) {
        h->what = HEARD_READY;
    }
    return len;
}

static void acknowledge_json(struct ws_conn *c, const char *data, size_t len)
{
    const char *id = after(data, len, "\"sequenceId\":");
    char ack[96];
    int n;

    if (!id)
        bench__die("a reliable message without sequenceId");
    n = snprintf(ack, sizeof(ack), "{\"type\":\"sequenceAck\",\"sequenceId\":%lld}", atoll(id));
    ws_client__send(c, ack, (size_t)n);
}

static uint64_t read_varint(const char **at, const char *end)
{
    uint64_t value = 0;

    for (int shift = 0; *at < end && shift < 64; shift += 7) {
        unsigned char byte = (unsigned char)*(*at)++;

        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return value;
    }
    bench__die("a protobuf message ends in the middle of a number");
}

/* Looks among the fields of a message for one: of a number its value, else its length and,
 * in `data` and `end`, where it lies. */
static bool find_field(const char **data, const char **end, unsigned field, uint64_t *value)
{
    const char *at = *data;

    while (at < *end) {
        unsigned tag = (unsigned char)*at++;

        *value = read_varint(&at, *end);
        if (tag == field) {
            if ((tag & 7) == LENGTH)
                *end = at + *value;
            *data = at;
            return true;
        }
        if ((tag & 7) == LENGTH)
            at += *value;
    }
    return false;
}

static size_t hear_protobuf(struct ws_conn *c, const char *data, size_t len, struct hearing *h)
{
    const char *at = data, *end = data + len;
    uint64_t n;

    if (c->index == DIALECT_PUBLISHER)
        return hear_json(c, data, len, h);
    if ((unsigned char)data[0] == SYSTEM_MESSAGE)
        h->what = HEARD_READY;
    else if (find_field(&at, &end, DATA_MESSAGE, &n) && find_field(&at, &end, MESSAGE_DATA, &n) &&
             find_field(&at, &end, TEXT_DATA, &n))
        *h = (struct hearing){HEARD_DELIVERY, at, (size_t)n};
    return len;
}

static void acknowledge_protobuf(struct ws_conn *c, const char *data, size_t len)
{
    const char *at = data, *end = data + len;
    char ack[16] = {SEQUENCE_ACK_MESSAGE, 0, ACK_SEQUENCE_ID};
    size_t n = 3;
    uint64_t id;

    if (!find_field(&at, &end, DATA_MESSAGE, &id) || !find_field(&at, &end, SEQUENCE_ID, &id))
        bench__die("a reliable message without a sequence id");
    for (; id >= 0x80; id >>= 7)
        ack[n++] = (char)(id | 0x80);
    ack[n++] = (char)id;
    ack[1] = (char)(n - 2);
    ws_client__send_binary(c, ack, n);
}

/* Nobody tells a raw client that it is connected; what the publisher is told does not matter. */
static size_t hear_raw(struct ws_conn *c, const char *data, size_t len, struct hearing *h)
{
    if (c->index != DIALECT_PUBLISHER)
        *h = (struct hearing){HEARD_DELIVERY, data, len};
    return len;
}

static void publish(struct ws_conn *c, const char *payload, size_t len)
{
    char text[DIALECT_MAX_FRAME];
    int n = snprintf(text, sizeof(text),
                     "{\"type\":\"sendToGroup\",\"group\":\"g\",\"dataType\":\"text\","
                     "\"data\":\"%.*s\"}",
                     (int)len, payload);

    ws_client__send(c, text, (size_t)n);
}

const struct dialect dialect__json = {
    .name = "json",
    .target = target,
    .subprotocol = json,
    .greet = dialect__wait,
    .hear = hear_json,
    .publish = publish,
};

const struct dialect dialect__reliable = {
    .name = "reliable",
    .target = target,
    .subprotocol = json_reliable,
    .greet = dialect__wait,
    .hear = hear_json,
    .publish = publish,
    .acknowledge = acknowledge_json,
};

const struct dialect dialect__protobuf = {
    .name = "protobuf",
    .target = target,
    .subprotocol = protobuf,
    .greet = dialect__wait,
    .hear = hear_protobuf,
    .publish = publish,
};

const struct dialect dialect__protobuf_reliable = {
    .name = "protobuf-reliable",
    .target = target,
    .subprotocol = protobuf_reliable,
    .greet = dialect__wait,
    .hear = hear_protobuf,
    .publish = publish,
    .acknowledge = acknowledge_protobuf,
};

const struct dialect dialect__raw = {
    .name = "raw",
    .target = target,
    .subprotocol = raw,
    .hear = hear_raw,
    .publish = publish,
};
