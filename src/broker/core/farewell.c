#include "broker/core/farewell.h"

#include "broker/core/state.h"

/* The client and the event handler are told the same sentence. */
#define FAREWELL(code, sentence, category)                                                         \
    {                                                                                              \
        (code), STR(sentence), STR(sentence), STR(category), STR(sentence), NULL                   \
    }

const struct close_reason farewell_slow =
    FAREWELL(1008, "The outbound message queue is full.", "SlowClient");
const struct close_reason farewell_unacked =
    FAREWELL(1008, "The reliable message buffer is full.", "UnackedClient");
const struct close_reason farewell_memory =
    FAREWELL(1011, "Internal server error", "ServiceTransientError");
const struct close_reason farewell_expired =
    FAREWELL(1008, "The connection recovery timeout expired.", "Normal");
const struct close_reason farewell_raw_publish =
    FAREWELL(1008, "The connection is not authorized for raw sendToGroup mode.", "Unauthorized");
const struct close_reason farewell_event_failed =
    FAREWELL(1011, "Internal server error", "SendEventFailed");
const struct close_reason farewell_no_handler =
    FAREWELL(1011, "Internal server error", "EventHandlerNotFound");

/* What an operator can do about it. A category without a row is business as usual. */
static const struct {
    struct str category;
    const char *advice;
} advices[] = {
    {STR("SlowClient"), "it reads more slowly than messages arrive: send it less, let it read "
                        "in another thread than the one that works, or raise "
                        "limits.queueMessages and limits.queueBytes"},
    {STR("UnackedClient"), "it does not acknowledge messages in time: use an SDK that sends "
                           "sequenceAck, or a subprotocol that is not reliable, or raise "
                           "limits.unackedMessages and limits.unackedBytes"},
    {STR("Throttled"), "let it send less in a second, or raise limits.framesPerSecond"},
    {STR("Unauthorized"), "give its access token the role webpubsub.sendToGroup.GROUP"},
    {STR("SendEventFailed"),
     "this closes raw clients, and those of a PubSub subprotocol only where "
     "hubs.HUB.compatibility says so"},
    {STR("EventHandlerNotFound"), "or let the client use a PubSub subprotocol, such as "
                                  "json.webpubsub.azure.v1"},
    {STR("PingTimeout"), "its network or its machine is gone; if it only needs longer, raise "
                         "hubs.HUB.webSocketKeepAliveIntervalInSeconds"},
    {STR("ServiceTransientError"), "the broker has no memory left: limit the number of clients "
                                   "or give it more"},
};

static const char *advice_for(struct str category)
{
    for (size_t i = 0; i < sizeof(advices) / sizeof(advices[0]); i++) {
        if (str__eq(advices[i].category, category))
            return advices[i].advice;
    }
    return NULL;
}

struct str farewell__reason(const struct close_reason *why)
{
    return why->upstream.len > 0 ? why->upstream : STR("The connection ended.");
}

void farewell__log(struct ph_log *log, const struct session *s, const struct close_reason *why)
{
    const char *advice = advice_for(why->category);
    struct str reason = why->detail ? str__of(why->detail) : farewell__reason(why);
    const char *lead = why->detail ? "; " : ". To change it: ";

    if (reason.len > 0 && reason.ptr[reason.len - 1] == '.')
        lead++; /* some are sentences, as the protocol has them */

    log__write(
        log, advice ? PH_LOG_WARN : PH_LOG_INFO,
        LOG_FIELDS("hub", s->hub->name, "connection", s->id, "user", s->user ? s->user->id : NULL),
        "closed (%.*s): %.*s%s%s", STR_FMT(why->category), STR_FMT(reason), advice ? lead : "",
        advice ? advice : "");
}

void farewell__log_detached(struct ph_log *log, const struct session *s, struct str reason)
{
    log__info(
        log,
        LOG_FIELDS("hub", s->hub->name, "connection", s->id, "user", s->user ? s->user->id : NULL),
        "lost its socket, and may come back within %lld s (limits.recoverySeconds): %.*s",
        (long long)s->core->config.limits.recovery_ms / 1000, STR_FMT(reason));
}
