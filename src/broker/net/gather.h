/* The bytes of one write: frames of a session's queue, with the private parts that a
 * sequenced frame has in front (its WebSocket header) and behind (its sequence id). No I/O.
 *
 * A piece costs the kernel more than the bytes of a small frame, so these are copied next to
 * each other. Where many clients wait for the same frames, that is done once for all. */
#ifndef BROKER_NET_GATHER_H
#define BROKER_NET_GATHER_H

#include "broker/core/session.h"

#include <sys/uio.h>

#define GATHER_FRAMES 64 /* two pieces each stay far below IOV_MAX (1024) */
#define GATHER_COPY 1024 /* a frame up to this length is copied */
#define GATHER_ROOM (GATHER_FRAMES * 512)

/* Behind a sequenced frame, in the copies. */
struct gather_tail {
    uint64_t sequence_id;
    uint32_t at, len;
};

struct gather {
    struct iovec pieces[2 * GATHER_FRAMES + 1];
    size_t count;
    size_t frames;
    uint32_t sizes[GATHER_FRAMES];
    /* private */
    bool common;                       /* whole, and so of use to every session with these */
    struct frame *from[GATHER_FRAMES]; /* frames, held, so that no new one is taken for them */
    size_t held;
    bool numbered; /* some are sequenced: these have tails */
    struct gather_tail tails[GATHER_FRAMES];
    size_t total;
    size_t used, given; /* of the copies; in pieces */
    char copies[GATHER_ROOM];
};

/* A zeroed gather is empty. Lays out `count` items (GATHER_FRAMES at the most), without the
 * first `skip` bytes of the first one, which are written already. Returns the number of bytes. */
size_t gather__build(struct gather *g, const struct format *format, const struct out_item *items,
                     size_t count, uint32_t skip);
/* `taken` bytes went out, `skip` included: returns how many frames are complete, and in
 * *rest the bytes written of the next one. */
size_t gather__done(const struct gather *g, size_t taken, uint32_t *rest);
/* Lets go of the frames. */
void gather__clear(struct gather *g);

#endif
