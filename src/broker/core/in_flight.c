#include "broker/core/in_flight.h"

#include "broker/core/invocation.h"
#include "broker/core/state.h"

#include <stdlib.h>

#define FIRST_SIZE 2

uint64_t in_flight__add(struct session *s, uint64_t ack_id, struct invocation *invocation)
{
    if (s->in_flight_count == s->in_flight_size) {
        uint32_t size = s->in_flight_size ? s->in_flight_size * 2 : FIRST_SIZE;
        struct in_flight *items = realloc(s->in_flight, size * sizeof(*items));

        if (!items)
            return 0;
        s->in_flight = items;
        s->in_flight_size = size;
    }
    s->in_flight[s->in_flight_count++] = (struct in_flight){++s->last_ticket, ack_id, invocation};
    return s->last_ticket;
}

static void release(struct session *s)
{
    free(s->in_flight);
    s->in_flight = NULL;
    s->in_flight_count = s->in_flight_size = 0;
}

bool in_flight__take(struct session *s, uint64_t ticket, struct in_flight *out)
{
    uint32_t i = 0;

    while (i < s->in_flight_count && s->in_flight[i].ticket != ticket)
        i++;
    if (i == s->in_flight_count)
        return false;
    *out = s->in_flight[i];
    s->in_flight[i] = s->in_flight[--s->in_flight_count];
    if (s->in_flight_count == 0 && s->in_flight_size > FIRST_SIZE)
        release(s);
    return true;
}

bool in_flight__has_ack_id(const struct session *s, uint64_t ack_id)
{
    for (uint32_t i = 0; i < s->in_flight_count; i++) {
        if (!s->in_flight[i].invocation && s->in_flight[i].ack_id == ack_id)
            return true;
    }
    return false;
}

void in_flight__free_all(struct session *s)
{
    for (uint32_t i = 0; i < s->in_flight_count; i++)
        invocation__free(s->in_flight[i].invocation);
    release(s);
}
