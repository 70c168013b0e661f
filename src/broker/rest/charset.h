/* Text in other encodings, as UTF-8. Few encodings, done here: glibc's iconv would
 * load a module from disk by a name that the peer chooses. */
#ifndef BROKER_REST_CHARSET_H
#define BROKER_REST_CHARSET_H

#include "base/buf.h"
#include "pubhook/err.h"

enum charset { CHARSET_UTF8, CHARSET_ASCII, CHARSET_LATIN1, CHARSET_UTF16 };

#define CHARSET_NAMES "utf-8, us-ascii, iso-8859-1, utf-16, utf-16le or utf-16be"

/* How the bytes of a text are to be read. */
struct charset_reading {
    enum charset charset;
    bool big_endian;   /* UTF-16 */
    bool mark_decides; /* UTF-16 without le or be: a byte order mark overrules */
};

/* False for an encoding that is not known. Names compare without case. */
bool charset__find(struct str name, struct charset_reading *out);
/* The text as UTF-8: as it is where it is so already, else in `room`. PH_ERR_SYNTAX
 * when it is not in the encoding that it claims, PH_ERR_MEMORY. */
enum ph_err charset__to_utf8(const struct charset_reading *reading, struct str text,
                             struct buf *room, struct str *out);

#endif
