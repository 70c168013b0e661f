/* One WebSocket at a time, in a loop. libcurl looks the name up, goes through proxies and
 * does TLS (CURLOPT_CONNECT_ONLY); the bytes that follow are ours. Nothing blocks. */
#ifndef CLIENT_CHANNEL_H
#define CLIENT_CHANNEL_H

#include "base/str.h"
#include "loop/loop.h"
#include "pubhook/err.h"
#include "ws/ws.h"

struct channel;

/* Called out of loop__process. All functions of the channel but its end may be called from
 * them. */
struct channel_ops {
    void (*opened)(void *ctx);
    void (*frame)(void *ctx, bool binary, struct str frame);
    void (*alive)(void *ctx); /* something else came */
    /* It is gone, and channel__open may be called. `code` is WS_CLOSE_ABNORMAL unless a
     * close frame came; `err` is not PH_OK when it did not end in order. */
    void (*closed)(void *ctx, uint16_t code, enum ph_err err, struct str why);
    void (*drained)(void *ctx); /* channel__has_room, after it had none */
};

struct channel_settings {
    struct str subprotocol; /* absent: none */
    const char *ca_file, *proxy;
    bool insecure;
    uint32_t max_message;
    size_t max_out; /* bytes that may wait to be written */
};

/* Settings and ops outlive the channel. NULL: out of memory, or curl refuses to work. */
struct channel *channel__new(struct loop *loop, const struct channel_settings *settings,
                             const struct channel_ops *ops, void *ctx);
void channel__free(struct channel *ch);

/* Connects; whether it works, also when the URL is no good, comes by ops. */
void channel__open(struct channel *ch, struct str url);
/* Ends it in order: ops->closed follows, in two seconds at the latest. */
void channel__close(struct channel *ch);
/* Ends it at once, without a word to anybody. */
void channel__drop(struct channel *ch);
/* Appends a frame to what is written next. False: out of memory, or the limit. */
bool channel__write(struct channel *ch, enum ws_opcode opcode, struct str payload);
bool channel__has_room(const struct channel *ch);
/* Writes what can be written. */
void channel__flush(struct channel *ch);

#endif
