/* The pieces of one gathered write: frames of a session's queue, with the private
 * pieces that a sequenced frame has in front (its WebSocket header) and behind (its
 * sequence id). No I/O. */
#ifndef BROKER_NET_GATHER_H
#define BROKER_NET_GATHER_H

#include "broker/core/session.h"

#include <sys/uio.h>

#define GATHER_FRAMES 64 /* three pieces each stay below IOV_MAX (1024) */

struct gather {
    struct iovec pieces[3 * GATHER_FRAMES];
    size_t count;
    size_t frames;
    uint32_t sizes[GATHER_FRAMES];
    struct {
        char head[FORMAT_MAX_HEAD];
        char tail[FORMAT_MAX_TAIL];
    } private[GATHER_FRAMES];
};

/* Lays out `count` items (GATHER_FRAMES at the most), without the first `skip` bytes of
 * the first one, which are written already. Returns the number of bytes. */
size_t gather__build(struct gather *g, const struct format *format, const struct out_item *items,
                     size_t count, uint32_t skip);
/* `taken` bytes went out, `skip` included: returns how many frames are complete, and in
 * *rest the bytes written of the next one. */
size_t gather__done(const struct gather *g, size_t taken, uint32_t *rest);

#endif
