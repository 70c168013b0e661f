#include "event/event.h"

#define SCHEME STR("sha256=")
#define DIGEST_HEX_LEN (2 * MAC_SIZE)

bool event__sign(struct buf *out, struct str connection_id, struct mac_key *const *keys,
                 size_t key_count)
{
    static const char hex[] = "0123456789abcdef";

    for (size_t i = 0; i < key_count; i++) {
        uint8_t mac[MAC_SIZE];
        char digits[DIGEST_HEX_LEN];

        if (!mac__sign(keys[i], connection_id, mac))
            return false;
        for (size_t b = 0; b < MAC_SIZE; b++) {
            digits[2 * b] = hex[mac[b] >> 4];
            digits[2 * b + 1] = hex[mac[b] & 15];
        }
        if (i > 0)
            buf__byte(out, ',');
        buf__str(out, SCHEME);
        buf__append(out, digits, sizeof(digits));
    }
    return !out->failed;
}

static bool read_entry(struct str entry, uint8_t out[MAC_SIZE])
{
    struct str digits;
    int all = 0;

    entry = str__trim(entry);
    if (!str__starts_with_nocase(entry, SCHEME))
        return false;
    digits = str__n(entry.ptr + SCHEME.len, entry.len - SCHEME.len);
    if (digits.len != DIGEST_HEX_LEN)
        return false;
    for (size_t i = 0; i < MAC_SIZE; i++) {
        int high = str__hex_digit(digits.ptr[2 * i]), low = str__hex_digit(digits.ptr[2 * i + 1]);

        all |= high | low; /* negative as soon as one is */
        out[i] = (uint8_t)(high * 16 + low);
    }
    return all >= 0;
}

/* Looks at every entry even after a match, so that the time tells nothing about which
 * entry or how much of it matched. */
static bool any_entry_equals(const struct http_headers *headers, const uint8_t mac[MAC_SIZE])
{
    bool found = false;

    for (size_t i = 0; i < headers->count; i++) {
        struct str rest = headers->items[i].value, entry;

        if (!str__eq_nocase(headers->items[i].name, STR("ce-signature")))
            continue;
        while (str__split(&rest, ',', &entry)) {
            uint8_t candidate[MAC_SIZE];

            if (read_entry(entry, candidate))
                found |= mac__equal(candidate, mac, MAC_SIZE);
        }
    }
    return found;
}

enum ph_err event__check_signature(const struct http_headers *headers, struct str connection_id,
                                   struct mac_key *const *keys, size_t key_count)
{
    bool found = false, signed_all = true;

    if (!connection_id.ptr)
        return PH_ERR_AUTH;
    for (size_t i = 0; i < key_count; i++) {
        uint8_t mac[MAC_SIZE];

        if (mac__sign(keys[i], connection_id, mac))
            found |= any_entry_equals(headers, mac);
        else
            signed_all = false;
    }
    if (found)
        return PH_OK;
    return signed_all ? PH_ERR_AUTH : PH_ERR_MEMORY;
}
