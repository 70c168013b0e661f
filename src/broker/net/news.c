#include "broker/net/news.h"

#include <pthread.h>
#include <stdlib.h>

struct item {
    bool value;
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

/* Without memory it stays news. */
static void remember(struct news *n, struct str of, bool value)
{
    struct item *item = n->items.count < NEWS_MAX ? malloc(sizeof(*item) + of.len) : NULL;

    if (!item)
        return;
    item->value = value;
    item->len = of.len;
    memcpy(item->name, of.ptr, of.len);
    if (!map__add(&n->items, item))
        free(item);
}

bool news__is(struct news *n, struct str of, bool value)
{
    struct item *item;
    bool news = true;

    pthread_mutex_lock(&n->lock);
    item = map__get(&n->items, of);
    if (item) {
        news = item->value != value;
        item->value = value;
    } else {
        remember(n, of, value);
    }
    pthread_mutex_unlock(&n->lock);
    return news;
}
