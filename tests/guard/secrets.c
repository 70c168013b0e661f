/* What is done with secrets, in variants that differ in what they hold alone. A name is the
 * work, "=" and the variant: all variants of a work take the same instructions, also those of
 * libraries, or whoever measures the time learns something (scripts/guard compares them). */
#include "event/event.h"
#include "guard.h"

#include <stdlib.h>

#define CONNECTION "0f9c97a2f0bf4706afe87a14e0797b11"
#define KEYS 2
#define SCHEME_LEN (sizeof("sha256=") - 1)
#define ENTRY_LEN (SCHEME_LEN + 2 * MAC_SIZE)

/* The line of a request: by each key an entry, of which some digits are changed. */
struct variant {
    bool changed[KEYS];
    size_t from, to; /* digits of the changed entries */
    bool swapped;    /* the second key's comes first */
    bool fits;
};

struct check {
    const struct variant *variant;
    struct mac_key *keys[KEYS];
    struct http_header header;
    struct http_headers headers;
    char line[KEYS * (ENTRY_LEN + 1)];
};

/* Some digit that is another. */
static char other(char digit)
{
    return digit == '0' ? '1' : '0';
}

static void write_line(struct check *c, const struct variant *v)
{
    struct buf signature;

    buf__init(&signature, sizeof(c->line));
    MUST(event__sign(&signature, STR(CONNECTION), c->keys, KEYS));
    MUST(signature.len == sizeof(c->line) - 1);
    for (size_t k = 0; k < KEYS; k++) {
        char *entry = signature.data + k * (ENTRY_LEN + 1);

        for (size_t i = v->from; v->changed[k] && i < v->to; i++)
            entry[SCHEME_LEN + i] = other(entry[SCHEME_LEN + i]);
        memcpy(c->line + (v->swapped ? KEYS - 1 - k : k) * (ENTRY_LEN + 1), entry, ENTRY_LEN);
    }
    c->line[ENTRY_LEN] = ',';
    buf__free(&signature);
}

/* In one place for all variants: how memory lies must not tell them apart. */
static struct check the_check;

static void *prepare(const void *what)
{
    struct check *c = &the_check;

    *c = (struct check){.variant = what};
    c->keys[0] = mac__key_new(STR("7aab239577fd4f24bc919802fb629f5f"));
    c->keys[1] = mac__key_new(STR("a5f2815d0d0c4b00bd27e832432f91ab"));
    MUST(c->keys[0] && c->keys[1]);
    write_line(c, what);
    c->header = (struct http_header){STR("ce-signature"), str__n(c->line, sizeof(c->line) - 1)};
    c->headers = (struct http_headers){.items = &c->header, .count = 1, .cap = 1};
    return c;
}

static void is_signed(void *world)
{
    const struct check *c = world;

    MUST(event__is_signed(&c->headers, STR(CONNECTION), c->keys, KEYS) == c->variant->fits);
}

static void drop(void *world)
{
    struct check *c = world;

    for (size_t k = 0; k < KEYS; k++)
        mac__key_free(c->keys[k]);
}

#define LAST (2 * MAC_SIZE - 1)

static const struct variant by_both_keys = {.fits = true};
static const struct variant by_both_keys_swapped = {.swapped = true, .fits = true};
static const struct variant by_the_first_key = {{false, true}, 0, 1, false, true};
static const struct variant by_the_second_key = {{true, false}, 0, 1, false, true};
static const struct variant wrong_in_the_first_digit = {{true, true}, 0, 1, false, false};
static const struct variant wrong_in_the_last_digit = {{true, true}, LAST, LAST + 1, false, false};
static const struct variant wrong_everywhere = {{true, true}, 0, LAST + 1, false, false};

#define SIGNATURE(variant)                                                                         \
    {                                                                                              \
        "signature=" #variant, 20, &(variant), prepare, is_signed, drop                            \
    }

const struct scenario guard_secrets[] = {
    SIGNATURE(by_both_keys),
    SIGNATURE(by_both_keys_swapped),
    SIGNATURE(by_the_first_key),
    SIGNATURE(by_the_second_key),
    SIGNATURE(wrong_in_the_first_digit),
    SIGNATURE(wrong_in_the_last_digit),
    SIGNATURE(wrong_everywhere),
    {.name = NULL},
};
