#include "broker/core/message.h"

#include <stdlib.h>

/* Answers and acks come in numbers and live for a turn, so the thread keeps the memory of small
 * ones for the next: malloc would merge and split it. By its size, in steps. */
#define STEP 64
#define SIZES 4
#define OVERHEAD sizeof(size_t) /* of malloc: a step less that fills its chunks */
#ifdef __SANITIZE_ADDRESS__
#define SPARE_MAX 0 /* that each of them is seen */
#else
#define SPARE_MAX 512 /* of each size */
#endif

struct spare {
    struct spare *next;
};

static _Thread_local struct {
    struct spare *first;
    unsigned count;
} spares[SIZES];

static size_t class_of(uint32_t len)
{
    return (sizeof(struct frame) + len + OVERHEAD - 1) / STEP;
}

static void *get(uint32_t len)
{
    size_t class = class_of(len);
    struct spare *spare = class < SIZES ? spares[class].first : NULL;

    if (!spare)
        return malloc(class < SIZES ? (class + 1) * STEP - OVERHEAD : sizeof(struct frame) + len);
    spares[class].first = spare->next;
    spares[class].count--;
    return spare;
}

static void put(void *memory, uint32_t len)
{
    size_t class = class_of(len);
    struct spare *spare = memory;

    if (class >= SIZES || spares[class].count == SPARE_MAX) {
        free(memory);
        return;
    }
    spare->next = spares[class].first;
    spares[class].first = spare;
    spares[class].count++;
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
    for (size_t class = 0; class < SIZES; class ++) {
        struct spare *spare = spares[class].first, *next;

        for (; spare; spare = next) {
            next = spare->next;
            free(spare);
        }
        spares[class].first = NULL;
        spares[class].count = 0;
    }
}
