#include "broker/net/news.h"

#include <pthread.h>
#include <stdlib.h>

struct item {
    bool said, value;
    struct upstream_outage outage;
    size_t len;
    char name[];
};

struct news {
    pthread_mutex_t lock;
    struct map items;
};

static struct str item_name(const void *item)
{
    const struct item *i = item;

    return str__n(i->name, i->len);
}

struct news *news__new(const struct map_seed *seed)
{
    struct news *n = calloc(1, sizeof(*n));

    if (!n)
        return NULL;
    pthread_mutex_init(&n->lock, NULL);
    map__init(&n->items, item_name, seed);
    return n;
}

void news__free(struct news *n)
{
    void *item;

    if (!n)
        return;
    for (uint32_t at = 0; (item = map__next(&n->items, &at));)
        free(item);
    map__free(&n->items);
    pthread_mutex_destroy(&n->lock);
    free(n);
}

static struct item *add(struct news *n, struct str of)
{
    struct item *item = n->items.count < NEWS_MAX ? calloc(1, sizeof(*item) + of.len) : NULL;

    if (!item)
        return NULL;
    item->len = of.len;
    memcpy(item->name, of.ptr, of.len);
    if (map__add(&n->items, item))
        return item;
    free(item);
    return NULL;
}

static struct item *item_of(struct news *n, struct str of)
{
    struct item *item = map__get(&n->items, of);

    return item ? item : add(n, of);
}

bool news__is(struct news *n, struct str of, bool value)
{
    struct item *item;
    bool news = true;

    pthread_mutex_lock(&n->lock);
    item = item_of(n, of);
    if (item) { /* without memory it stays news */
        news = !item->said || item->value != value;
        item->said = true;
        item->value = value;
    }
    pthread_mutex_unlock(&n->lock);
    return news;
}

struct upstream_outage *news__outage(struct news *n, struct str identity)
{
    struct item *item;

    pthread_mutex_lock(&n->lock);
    item = item_of(n, identity);
    pthread_mutex_unlock(&n->lock);
    return item ? &item->outage : NULL;
}

size_t news__outages(struct news *n)
{
    const struct item *item;
    size_t count = 0;

    pthread_mutex_lock(&n->lock);
    for (uint32_t at = 0; (item = map__next(&n->items, &at));)
        count += atomic_load(&item->outage.told);
    pthread_mutex_unlock(&n->lock);
    return count;
}
