#include "broker/wire/any.h"

#include "base/utf8.h"

enum { TYPE_URL = 1, VALUE = 2 };
enum wire_type { VARINT = 0, FIXED64 = 1, LENGTH = 2, FIXED32 = 5 };

static bool take_varint(struct str *rest, uint64_t *out)
{
    *out = 0;
    for (unsigned shift = 0; rest->len > 0 && shift < 64; shift += 7) {
        unsigned char c = (unsigned char)*rest->ptr;

        *rest = str__n(rest->ptr + 1, rest->len - 1);
        *out |= (uint64_t)(c & 0x7f) << shift;
        if (c < 0x80)
            return true;
    }
    return false;
}

static bool take(struct str *rest, uint64_t len, struct str *out)
{
    if (len > rest->len)
        return false;
    *out = str__n(rest->ptr, (size_t)len);
    *rest = str__n(rest->ptr + len, rest->len - (size_t)len);
    return true;
}

/* Groups, which proto3 no longer has, are none of Any's fields either. */
static bool take_value(struct str *rest, unsigned wire_type, struct str *out)
{
    uint64_t number;

    switch (wire_type) {
    case VARINT:
        *out = STR_NONE;
        return take_varint(rest, &number);
    case FIXED64:
        return take(rest, 8, out);
    case LENGTH:
        return take_varint(rest, &number) && take(rest, number, out);
    case FIXED32:
        return take(rest, 4, out);
    default:
        return false;
    }
}

bool any__valid(struct str bytes)
{
    while (bytes.len > 0) {
        struct str value;
        uint64_t tag, field;

        if (!take_varint(&bytes, &tag) || tag > UINT32_MAX || (field = tag >> 3) == 0 ||
            !take_value(&bytes, tag & 7, &value))
            return false;
        if ((field == TYPE_URL || field == VALUE) && (tag & 7) != LENGTH)
            return false;
        if (field == TYPE_URL && !utf8__valid(value))
            return false;
    }
    return true;
}
