/* Filters: whatever a caller writes is refused with a place that exists, or is true or false
 * for every connection; parentheses do not change it, and `not` turns it around. */
#include "base/utf8.h"
#include "broker/filter/filter.h"
#include "broker/filter/text.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

static bool in_group(const void *ctx, struct str group)
{
    return str__eq(*(const struct str *)ctx, group);
}

static unsigned ask_all(const struct filter *f)
{
    static const struct str group = {"group1", 6};
    static const struct filter_subject people[] = {
        {{"c1", 2}, {"user1", 5}, {"json.webpubsub.azure.v1", 23}, 1, in_group, &group},
        {{"c2", 2}, {NULL, 0}, {NULL, 0}, 0, in_group, &group},
        {{"c3", 2}, {" \xc3\x9c\xf0\x9f\x98\x80 ", 8}, {NULL, 0}, 1, in_group, &group},
    };
    unsigned results = 0;

    for (size_t i = 0; i < sizeof(people) / sizeof(*people); i++) {
        uint64_t work = 0;

        results |= (unsigned)filter__match(f, &people[i], &work) << i;
        must(work > 0);
    }
    return results;
}

/* The same filter with something around it; at its limits it may be too much. */
static void check_wrapped(struct str text, const char *head, unsigned want)
{
    size_t len = text.len + strlen(head) + 1;
    char *room = malloc(len + 1);
    struct filter *f;
    enum ph_err err;

    must(room);
    snprintf(room, len + 1, "%s%.*s)", head, STR_FMT(text));
    err = filter__compile(str__n(room, len), &f, NULL);
    must(err == PH_ERR_LIMIT || (err == PH_OK && ask_all(f) == want));
    filter__unref(f);
    free(room);
}

static void check_refusal(struct str text, const struct diag *diag)
{
    static const char phrase[] = " at position ";
    struct str said = str__of(diag->text);
    const char *place = NULL;

    must(utf8__valid(said));
    must(str__starts_with(said, STR("Invalid syntax")));
    must(text__ends_with(said, STR(". (Parameter 'filter')")));
    if (!utf8__valid(text) || memchr(text.ptr, 'p', text.len))
        return; /* the phrase may be the filter's own */
    place = strstr(diag->text, phrase);
    must(!place || strtoull(place + sizeof(phrase) - 1, NULL, 10) <= text__length(text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = str__n(size > 0 ? (const char *)data : "", size);
    struct diag diag = {""};
    struct filter *f;
    enum ph_err err = filter__compile(text, &f, &diag);

    if (err != PH_OK) {
        must(!f);
        check_refusal(text, &diag);
        return 0;
    }
    if (!memchr(text.ptr, '\0', text.len)) {
        check_wrapped(text, "(", ask_all(f));
        check_wrapped(text, "not (", ~ask_all(f) & 7);
    }
    ask_all(f);
    filter__unref(f);
    return 0;
}
