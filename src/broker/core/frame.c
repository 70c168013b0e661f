#include "base/asan.h"
#include "base/prefetch.h"
#include "broker/core/message.h"

#include <stdlib.h>

/* Answers and acks come in numbers and live for a turn, so the thread keeps the memory of small
 * ones for the next: malloc would merge and split it. By its size, in steps. */
#define STEP 64
#define SIZES 4
#define OVERHEAD sizeof(size_t) /* of malloc: a step less that fills its chunks */
#if ASAN_WATCHES
#define SPARE_MAX 0 /* that each of them is seen */
#else
#define SPARE_MAX 1024 /* of each size */
#endif

struct spare {
    struct spare *next;
};

static _Thread_local struct {
    struct spare *first;
    unsigned count;
} spares[SIZES];

static size_t size_class(uint32_t len)
{
    return (sizeof(struct frame) + len + OVERHEAD - 1) / STEP;
}

static void *get(uint32_t len)
{
    const size_t size = size_class(len);
    struct spare *spare = size < SIZES ? spares[size].first : NULL;

    if (!spare)
        return malloc(size < SIZES ? (size + 1) * STEP - OVERHEAD : sizeof(struct frame) + len);
    spares[size].first = spare->next;
    spares[size].count--;
    prefetch__bytes(spare->next, (size + 1) * STEP);
    return spare;
}

static void put(void *memory, uint32_t len)
{
    const size_t size = size_class(len);
    struct spare *spare = memory;

    if (size >= SIZES || spares[size].count == SPARE_MAX) {
        free(memory);
        return;
    }
    spare->next = spares[size].first;
    spares[size].first = spare;
    spares[size].count++;
}

struct frame *frame__new(uint32_t len)
{
    struct frame *f = get(len);

    if (f)
        *f = (struct frame){.refs = 1, .len = len};
    return f;
}

void frame__unref(struct frame *f)
{
    if (f && --f->refs == 0)
        put(f, f->len);
}

void frame__free_spare(void)
{
    for (size_t size = 0; size < SIZES; size++) {
        struct spare *spare = spares[size].first, *next;

        for (; spare; spare = next) {
            next = spare->next;
            free(spare);
        }
        spares[size].first = NULL;
        spares[size].count = 0;
    }
}
