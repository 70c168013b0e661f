#include "memory_kit.h"

#include "unit.h"

#include <stdatomic.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);

static atomic_bool armed, failed;
static atomic_uint count, failing; /* the number of the one that fails, from 0 */

static bool fails_now(void)
{
    if (!atomic_load(&armed) || atomic_fetch_add(&count, 1) != atomic_load(&failing))
        return false;
    atomic_store(&failed, true);
    return true;
}

void *__wrap_malloc(size_t size)
{
    return fails_now() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t items, size_t size)
{
    return fails_now() ? NULL : __real_calloc(items, size);
}

void *__wrap_realloc(void *old, size_t size)
{
    return fails_now() ? NULL : __real_realloc(old, size);
}

bool memory_kit__failed(void)
{
    return atomic_load(&failed);
}

void memory_kit__disarm(void)
{
    atomic_store(&armed, false);
}

unsigned memory_kit__each_fails(void (*run)(void *ctx), void *ctx, unsigned least)
{
    unsigned k = 0;

    do {
        atomic_store(&failed, false);
        atomic_store(&count, 0);
        atomic_store(&failing, k++);
        atomic_store(&armed, true);
        run(ctx);
        memory_kit__disarm();
    } while (memory_kit__failed());
    print_message("%u allocations\n", k - 1);
    assert_true(k > least);
    return k - 1;
}
