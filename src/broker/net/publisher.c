#include "broker/net/publisher.h"

#include <nats/nats.h>
#include <pthread.h>
#include <stdlib.h>

#define LIBRARY_MS 2000 /* for the library to end its threads */

/* A broker has a few endpoints: an array that is searched. It only grows, and a link
 * stays where it is. */
struct publisher {
    struct ph_log *log;
    pthread_rwlock_t lock;
    struct nats_link **links;
    size_t count;
};

struct publisher *publisher__new(struct ph_log *log)
{
    struct publisher *p = calloc(1, sizeof(*p));

    if (!p)
        return NULL;
    p->log = log;
    pthread_rwlock_init(&p->lock, NULL);
    return p;
}

static struct nats_link *find(const struct publisher *p, struct str endpoint)
{
    for (size_t i = 0; i < p->count; i++) {
        if (str__eq(nats_link__endpoint(p->links[i]), endpoint))
            return p->links[i];
    }
    return NULL;
}

static void add(struct publisher *p, struct str endpoint)
{
    struct nats_link **links = realloc(p->links, (p->count + 1) * sizeof(*links));
    struct nats_link *link = NULL;

    if (links) {
        p->links = links;
        link = nats_link__new(endpoint, p->log);
    }
    if (link)
        p->links[p->count++] = link;
    else
        log__error(p->log, LOG_NONE, "an event listener does not work: out of memory or threads");
}

void publisher__prepare(struct publisher *p, const struct settings *settings)
{
    pthread_rwlock_wrlock(&p->lock);
    for (size_t i = 0; i < settings->hub_count; i++) {
        const struct hub_settings *hub = &settings->hubs[i];

        for (size_t j = 0; j < hub->listener_count; j++) {
            if (!find(p, hub->listeners[j].endpoint))
                add(p, hub->listeners[j].endpoint);
        }
    }
    pthread_rwlock_unlock(&p->lock);
}

void publisher__publish(struct publisher *p, const struct upstream_note *note)
{
    struct nats_link *link;

    pthread_rwlock_rdlock(&p->lock);
    link = find(p, note->listener->endpoint);
    pthread_rwlock_unlock(&p->lock);
    if (link)
        nats_link__publish(link, note);
}

struct nats_link_counts publisher__count(struct publisher *p)
{
    struct nats_link_counts sum = {0, 0, 0};

    pthread_rwlock_rdlock(&p->lock);
    for (size_t i = 0; i < p->count; i++)
        nats_link__count(p->links[i], &sum);
    pthread_rwlock_unlock(&p->lock);
    return sum;
}

unsigned publisher__drain_seconds(struct publisher *p)
{
    unsigned seconds;

    pthread_rwlock_rdlock(&p->lock);
    seconds = p->count > 0 ? PUBLISHER_DRAIN_SECONDS + LIBRARY_MS / 1000 : 0;
    pthread_rwlock_unlock(&p->lock);
    return seconds;
}

void publisher__free(struct publisher *p)
{
    if (!p)
        return;
    for (size_t i = 0; i < p->count; i++)
        nats_link__finish(p->links[i], PUBLISHER_DRAIN_SECONDS);
    for (size_t i = 0; i < p->count; i++)
        nats_link__join(p->links[i]);
    if (p->count > 0 && nats_CloseAndWait(LIBRARY_MS) != NATS_OK)
        return; /* its threads still have the links */
    for (size_t i = 0; i < p->count; i++)
        nats_link__free(p->links[i]);
    pthread_rwlock_destroy(&p->lock);
    free(p->links);
    free(p);
}
