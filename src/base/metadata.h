/* Message metadata: names and values that travel beside the data of a message, in client
 * frames, REST headers and webhooks alike (client-and-rest section 2.1). */
#ifndef BASE_METADATA_H
#define BASE_METADATA_H

#include "base/http.h"

#define METADATA_MAX_NAME 256
#define METADATA_MAX_VALUE 1024
#define METADATA_MAX_BYTES 8192 /* all names and values */

/* The HTTP header of an entry is this prefix and its name. */
#define METADATA_HEADER_PREFIX STR("x-webpubsub-metadata-")

struct metadata_entry {
    struct str name, value;
};

struct metadata {
    const struct metadata_entry *items;
    size_t count;
};

/* NULL when it keeps the rules: names are HTTP tokens, values ASCII without control
 * characters, no name twice, all within the limits. Else what is wrong, in words. */
const char *metadata__problem(const struct metadata *m);

/* Drops all but the last of each name, as written; the others keep their order. How many are
 * left; `count` is at most METADATA_MAX_BYTES. */
size_t metadata__keep_last(struct metadata_entry *items, size_t count);

/* All names and values. */
size_t metadata__bytes(const struct metadata *m);

/* What an event says goes on as it is. Of what is said to the service, in a REST call or an answer
 * to an event, what one line lists with commas counts like that many lines (official-emulator
 * section 2.2, event-handler section 3.4). */
enum metadata_values { METADATA_WHOLE, METADATA_LAST_OF_LIST };

/* The entries that come as HTTP headers, unchecked: names in lower case, as the service
 * writes them, and the value of the last line of a name. Names and values are copies in
 * the arena; a whole value has a NUL behind it, as names have. False when memory is out. */
bool metadata__from_headers(struct arena *a, const struct http_headers *headers,
                            enum metadata_values values, struct metadata *out);
/* Adds a header for each entry; its name is in lower case. White space around a value
 * is left out, since HTTP loses it anyway. False when memory is out. */
bool metadata__to_headers(struct arena *a, const struct metadata *m, struct http_headers *headers);

#endif
