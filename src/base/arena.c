#include "base/arena.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#define BLOCK_SIZE 4096
#define ALIGNMENT _Alignof(max_align_t)

struct arena_block {
    struct arena_block *next;
    _Alignas(max_align_t) char data[];
};

static void use_first(struct arena *a)
{
    uintptr_t start = ((uintptr_t)a->first + ALIGNMENT - 1) & ~(uintptr_t)(ALIGNMENT - 1);

    a->at = a->end = NULL;
    if (!a->first) /* adding even 0 to it is undefined */
        return;
    a->end = (char *)a->first + a->first_size;
    a->at = start < (uintptr_t)a->end ? (char *)start : a->end;
}

void arena__init(struct arena *a, void *first, size_t first_size, size_t max)
{
    *a = (struct arena){.first = first, .first_size = first ? first_size : 0, .max = max};
    use_first(a);
}

void arena__free(struct arena *a)
{
    arena__reset(a);
}

static void free_blocks(struct arena *a, const struct arena_block *until)
{
    while (a->blocks != until) {
        struct arena_block *next = a->blocks->next;

        free(a->blocks);
        a->blocks = next;
    }
}

void arena__reset(struct arena *a)
{
    free_blocks(a, NULL);
    a->used = 0;
    use_first(a);
}

void arena__rewind(struct arena *a, const struct arena *before)
{
    free_blocks(a, before->blocks);
    *a = *before;
}

static bool add_block(struct arena *a, size_t size)
{
    size_t bytes = size > BLOCK_SIZE / 4 ? size : BLOCK_SIZE;
    struct arena_block *block;

    if (bytes > a->max - a->used)
        bytes = size;
    if (bytes > a->max - a->used || bytes > SIZE_MAX - sizeof(*block))
        return false;
    block = malloc(sizeof(*block) + bytes);
    if (!block)
        return false;
    block->next = a->blocks;
    a->blocks = block;
    a->used += bytes;
    a->at = block->data;
    a->end = block->data + bytes;
    return true;
}

void *arena__alloc_block(struct arena *a, size_t size)
{
    return add_block(a, ((size ? size : 1) + ALIGNMENT - 1) & ~(ALIGNMENT - 1))
               ? arena__alloc(a, size)
               : NULL;
}

char *arena__dup(struct arena *a, const void *data, size_t len)
{
    char *copy = len < SIZE_MAX ? arena__alloc(a, len + 1) : NULL;

    if (!copy)
        return NULL;
    if (len > 0)
        memcpy(copy, data, len);
    copy[len] = '\0';
    return copy;
}

char *arena__strdup(struct arena *a, struct str s)
{
    return arena__dup(a, s.ptr, s.len);
}

char *arena__printf(struct arena *a, const char *fmt, ...)
{
    va_list args;
    int need;
    char *text;

    va_start(args, fmt);
    need = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    if (need < 0)
        return NULL;
    text = arena__alloc(a, (size_t)need + 1);
    if (!text)
        return NULL;
    va_start(args, fmt);
    vsnprintf(text, (size_t)need + 1, fmt, args);
    va_end(args);
    return text;
}
