#include "base/hex.h"
#include "event/event.h"

#define SCHEME STR("sha256=")
#define DIGEST_HEX_LEN (2 * MAC_SIZE)

bool event__sign(struct buf *out, struct str connection_id, struct mac_key *const *keys,
                 size_t key_count)
{
    for (size_t i = 0; i < key_count; i++) {
        uint8_t mac[MAC_SIZE];
        char digits[DIGEST_HEX_LEN];

        mac__sign(keys[i], connection_id, mac);
        hex__put(digits, mac, sizeof(mac));
        if (i > 0)
            buf__byte(out, ',');
        buf__str(out, SCHEME);
        buf__append(out, digits, sizeof(digits));
    }
    return !out->failed;
}

/* Whether these are the digits that we wrote, letters in either case; in a time that is always
 * the same. Only letters have the bit that is shifted to where their cases differ. */
static bool same_digits(const char *theirs, const char ours[DIGEST_HEX_LEN])
{
    uint64_t differing = 0;

    for (size_t i = 0; i < DIGEST_HEX_LEN; i += sizeof(uint64_t)) {
        uint64_t got = word__at(theirs + i), want = word__at(ours + i);

        differing |= (got ^ want) & ~((want & WORD_ONES * 0x40) >> 1);
    }
    return differing == 0;
}

static bool is_signature(struct str entry, const char digits[DIGEST_HEX_LEN])
{
    entry = str__trim(entry);
    return entry.len == SCHEME.len + DIGEST_HEX_LEN && str__starts_with_nocase(entry, SCHEME) &&
           same_digits(entry.ptr + SCHEME.len, digits);
}

/* Looks at every entry even after a match, so that the time tells nothing about which
 * entry or how much of it matched. */
static bool any_entry_equals(const struct http_headers *headers, const char digits[DIGEST_HEX_LEN])
{
    bool found = false;

    for (size_t i = 0; i < headers->count; i++) {
        struct str rest = headers->items[i].value, entry;

        if (!str__eq_nocase(headers->items[i].name, STR("ce-signature")))
            continue;
        while (str__split(&rest, ',', &entry))
            found |= is_signature(entry, digits);
    }
    return found;
}

bool event__is_signed(const struct http_headers *headers, struct str connection_id,
                      struct mac_key *const *keys, size_t key_count)
{
    bool found = false;

    if (!connection_id.ptr)
        return false;
    for (size_t i = 0; i < key_count; i++) {
        uint8_t mac[MAC_SIZE];
        char digits[DIGEST_HEX_LEN];

        mac__sign(keys[i], connection_id, mac);
        hex__put(digits, mac, sizeof(mac));
        found |= any_entry_equals(headers, digits);
    }
    return found;
}
