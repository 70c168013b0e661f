/* A circular doubly linked list through its items: O(1) removal from anywhere, and
 * nothing to allocate. An item that is on no list is linked to itself. */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct link {
    struct link *prev, *next;
};

#define LIST_ITEM(link, type, field) ((type *)(void *)((char *)(link)-offsetof(type, field)))

static inline void list__init(struct link *l)
{
    l->prev = l->next = l;
}

/* Of a list: has it no items? Of an item: is it on no list? */
static inline bool list__empty(const struct link *l)
{
    return l->next == l;
}

static inline void list__remove(struct link *l)
{
    l->prev->next = l->next;
    l->next->prev = l->prev;
    list__init(l);
}

/* `item` is on no list. */
static inline void list__append(struct link *list, struct link *item)
{
    item->prev = list->prev;
    item->next = list;
    list->prev->next = item;
    list->prev = item;
}

#endif
