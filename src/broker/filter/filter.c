#include "broker/filter/filter.h"

#include "base/utf8.h"
#include "broker/filter/complaint.h"
#include "broker/filter/parse.h"

#include <stdlib.h>

static void free_filter(struct filter *f)
{
    free(f->nodes);
    free(f->literals);
    free(f);
}

static struct filter *allocate(size_t text_len)
{
    struct filter *f = calloc(1, sizeof(*f));

    if (!f)
        return NULL;
    atomic_init(&f->refs, 1);
    f->literals = malloc(text_len + 1); /* quotes off, they are never longer than the text */
    if (f->literals)
        return f;
    free(f);
    return NULL;
}

static enum ph_err build(struct filter *f, struct str text, struct diag *diag)
{
    enum ph_err err = parse__filter(f, text, diag);

    return err == PH_OK ? filter__check(f, text, diag) : err;
}

enum ph_err filter__compile(struct str text, struct filter **out, struct diag *diag)
{
    struct filter *f;
    enum ph_err err;

    *out = NULL;
    if (!utf8__valid(text))
        return diag__set(diag, PH_ERR_SYNTAX, "Invalid syntax: not UTF-8. (Parameter 'filter')");
    if (text.len > FILTER_MAX_BYTES)
        return complaint__limit(diag, text, FILTER_MAX_BYTES,
                                "The filter is longer than 32768 bytes");
    f = allocate(text.len);
    if (!f)
        return diag__set(diag, PH_ERR_MEMORY, "out of memory");
    err = build(f, text, diag);
    if (err == PH_OK)
        *out = f;
    else
        free_filter(f);
    return err;
}

struct filter *filter__ref(struct filter *f)
{
    atomic_fetch_add_explicit(&f->refs, 1, memory_order_relaxed);
    return f;
}

void filter__unref(struct filter *f)
{
    if (f && atomic_fetch_sub_explicit(&f->refs, 1, memory_order_acq_rel) == 1)
        free_filter(f);
}
