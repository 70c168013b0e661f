#include "protobuf_text.h"

#include "unit.h"

#define MAX_BYTES (8u << 20)

struct reader {
    const char *at, *end;
};

static char peek(const struct reader *r)
{
    return r->at < r->end ? *r->at : '\0';
}

static bool take(struct reader *r, char c)
{
    if (peek(r) != c)
        return false;
    r->at++;
    return true;
}

static uint64_t take_number(struct reader *r)
{
    const char *start = r->at;
    uint64_t value;

    while (peek(r) >= '0' && peek(r) <= '9')
        r->at++;
    if (!str__to_u64(str__n(start, (size_t)(r->at - start)), &value))
        fail_msg("a number was expected at \"%.*s\"", (int)(r->end - start), start);
    return value;
}

static char take_hex(struct reader *r)
{
    int high, low;

    assert_true(r->end - r->at >= 2);
    high = str__hex_digit(r->at[0]);
    low = str__hex_digit(r->at[1]);
    assert_true(high >= 0 && low >= 0);
    r->at += 2;
    return (char)(high << 4 | low);
}

static void take_string(struct reader *r, struct buf *out)
{
    while (!take(r, '"')) {
        assert_true(r->at < r->end);
        if (!take(r, '\\'))
            buf__byte(out, *r->at++);
        else if (take(r, 'x'))
            buf__byte(out, take_hex(r));
        else
            buf__byte(out, *r->at++);
    }
}

static void take_hex_bytes(struct reader *r, struct buf *out)
{
    while (str__hex_digit(peek(r)) >= 0)
        buf__byte(out, take_hex(r));
}

void protobuf_text__varint(struct buf *out, uint64_t value)
{
    while (value >= 0x80) {
        buf__byte(out, (char)(0x80 | (value & 0x7f)));
        value >>= 7;
    }
    buf__byte(out, (char)value);
}

static void write_tag(struct buf *out, uint64_t field, unsigned wire_type)
{
    protobuf_text__varint(out, field << 3 | wire_type);
}

static void write_bytes(struct buf *out, uint64_t field, struct buf *bytes)
{
    write_tag(out, field, 2);
    protobuf_text__varint(out, bytes->len);
    buf__str(out, buf__view(bytes));
}

static void write_fields(struct reader *r, struct buf *out);

static void write_field(struct reader *r, struct buf *out)
{
    uint64_t field = take_number(r);
    struct buf inner;

    buf__init(&inner, MAX_BYTES);
    if (take(r, '{')) {
        write_fields(r, &inner);
        assert_true(take(r, '}'));
        write_bytes(out, field, &inner);
    } else if (take(r, '#')) {
        take_hex_bytes(r, &inner);
        write_tag(out, field, inner.len == 4 ? 5 : 1);
        buf__str(out, buf__view(&inner));
    } else {
        assert_true(take(r, ':'));
        if (take(r, '"')) {
            take_string(r, &inner);
            write_bytes(out, field, &inner);
        } else {
            write_tag(out, field, 0);
            protobuf_text__varint(out, take_number(r));
        }
    }
    buf__free(&inner);
}

static void write_fields(struct reader *r, struct buf *out)
{
    while (r->at < r->end && peek(r) != '}') {
        if (take(r, ' '))
            continue;
        if (take(r, 'x'))
            take_hex_bytes(r, out);
        else
            write_field(r, out);
    }
}

void protobuf_text__write(struct buf *out, struct str text)
{
    struct reader r = {text.ptr, text.ptr + text.len};

    write_fields(&r, out);
    assert_true(r.at == r.end);
}
