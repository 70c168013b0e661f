#include "app/keys.h"
#include "base/url.h"
#include "event/event.h"

#include <stdatomic.h>
#include <stdlib.h>

#define ORIGIN STR("WebHook-Request-Origin")

/* The keys of one host, one behind the other in the ring. */
struct group {
    char *host; /* NULL: the general keys */
    size_t first, count;
};

struct keyring {
    atomic_uint refs;
    size_t key_count, group_count;
    struct mac_key **keys;
    struct group *groups; /* the general keys come first, also when there are none */
};

/* --- Making one --------------------------------------------------------------- */

static struct group *group_of(const struct keyring *ring, struct str host)
{
    for (size_t i = 1; i < ring->group_count; i++) {
        if (event__same_host(host, str__of(ring->groups[i].host)))
            return &ring->groups[i];
    }
    return NULL;
}

static bool add_group(struct keyring *ring, const char *host)
{
    struct group *g = &ring->groups[ring->group_count];

    if (group_of(ring, str__of(host)))
        return true;
    *g = (struct group){.host = strdup(host)};
    ring->group_count += g->host != NULL;
    return g->host;
}

static bool is_of(const struct key_entry *entry, const struct group *g)
{
    if (!entry->origin || !g->host)
        return !entry->origin && !g->host;
    return event__same_host(str__of(entry->origin), str__of(g->host));
}

static bool add_keys(struct keyring *ring, struct group *g, const struct ph_keys *list)
{
    for (size_t i = 0; i < list->count; i++) {
        struct mac_key *key;

        if (!is_of(&list->entries[i], g))
            continue;
        key = mac__key_new(mac__key_text(list->entries[i].key));
        if (!key)
            return false;
        ring->keys[ring->key_count++] = key;
        g->count++;
    }
    return true;
}

static bool fill(struct keyring *ring, const struct ph_keys *const *lists, size_t count)
{
    bool done = true;

    ring->groups[ring->group_count++] = (struct group){.host = NULL};
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < lists[i]->count && done; k++) {
            if (lists[i]->entries[k].origin)
                done = add_group(ring, lists[i]->entries[k].origin);
        }
    }
    for (size_t g = 0; g < ring->group_count && done; g++) {
        ring->groups[g].first = ring->key_count;
        for (size_t i = 0; i < count && done; i++)
            done = add_keys(ring, &ring->groups[g], lists[i]);
    }
    return done;
}

const struct keyring *keyring__new(const struct ph_keys *const *lists, size_t count)
{
    struct keyring *ring = calloc(1, sizeof(*ring));
    size_t keys = 0;

    if (!ring)
        return NULL;
    atomic_init(&ring->refs, 1);
    for (size_t i = 0; i < count; i++)
        keys += lists[i]->count;
    ring->keys = calloc(keys + 1, sizeof(struct mac_key *));
    ring->groups = calloc(keys + 1, sizeof(*ring->groups));
    if (ring->keys && ring->groups && fill(ring, lists, count))
        return ring;
    keyring__unref(ring);
    return NULL;
}

/* The count is the only thing in a ring that changes. */
static atomic_uint *count_of(const struct keyring *ring)
{
    return &((struct keyring *)(uintptr_t)ring)->refs;
}

const struct keyring *keyring__ref(const struct keyring *ring)
{
    atomic_fetch_add_explicit(count_of(ring), 1, memory_order_relaxed);
    return ring;
}

void keyring__unref(const struct keyring *ring)
{
    if (!ring || atomic_fetch_sub_explicit(count_of(ring), 1, memory_order_acq_rel) > 1)
        return;
    for (size_t i = 0; i < ring->key_count; i++)
        mac__key_free(ring->keys[i]);
    for (size_t i = 0; i < ring->group_count; i++)
        free(ring->groups[i].host);
    free(ring->keys);
    free(ring->groups);
    free((struct keyring *)(uintptr_t)ring);
}

size_t keyring__count(const struct keyring *ring)
{
    return ring->key_count;
}

const struct str *keyring__allowed(const struct keyring *ring, struct arena *a,
                                   const struct str *allowed, size_t *count)
{
    struct str *out;
    size_t n = *count;

    if (n == 0 || ring->group_count == 1)
        return allowed;
    out = arena__alloc(a, (n + ring->group_count) * sizeof(*out));
    if (!out)
        return allowed; /* fewer are allowed */
    memcpy(out, allowed, n * sizeof(*out));
    for (size_t i = 1; i < ring->group_count; i++) {
        struct str host = str__of(ring->groups[i].host);

        out[n] = str__n(arena__strdup(a, host), host.len);
        n += out[n].ptr != NULL;
    }
    *count = n;
    return out;
}

/* --- Checking ------------------------------------------------------------------ */

/* What is said to come from several hosts, in one line or more. False: from too many. */
static bool collect_hosts(const struct http_headers *headers, struct str out[KEYS_MAX_HOSTS],
                          size_t *count)
{
    *count = 0;
    for (size_t i = 0; i < headers->count; i++) {
        struct str rest = headers->items[i].value, host;

        if (!str__eq_nocase(headers->items[i].name, ORIGIN))
            continue;
        while (str__split(&rest, ',', &host)) {
            if (*count == KEYS_MAX_HOSTS)
                return false;
            out[(*count)++] = str__trim(host);
        }
    }
    return true;
}

static enum ph_err explain(const struct http_headers *headers, struct str id, const struct group *g,
                           struct diag *diag)
{
    const char *whose = g->host ? " of " : "", *host = g->host ? g->host : "";

    if (!http__get(headers, STR("ce-signature")).ptr)
        return diag__set(diag, PH_ERR_AUTH,
                         "header ce-signature is missing, expected one because an access key is "
                         "set");
    if (!id.ptr)
        return diag__set(diag, PH_ERR_AUTH,
                         "header ce-connectionId is missing, which is what the signature covers");
    return diag__set(diag, PH_ERR_AUTH,
                     "ce-signature fits none of the %zu access keys%s%s; compare them with the "
                     "keys of the service",
                     g->count, whose, host);
}

static enum ph_err check_group(const struct keyring *ring, const struct group *g,
                               const struct http_headers *headers, struct diag *diag)
{
    struct str id = http__get(headers, STR("ce-connectionId"));

    if (g->count == 0)
        return diag__set(diag, PH_ERR_NOT_FOUND,
                         "there is no access key for WebHook-Request-Origin \"%.*s\", and no "
                         "general one",
                         STR_FMT(http__get(headers, ORIGIN)));
    if (event__is_signed(headers, id, ring->keys + g->first, g->count))
        return PH_OK;
    return explain(headers, id, g, diag);
}

/* Each host that has keys of its own must be satisfied. */
static enum ph_err check_hosts(const struct keyring *ring, const struct http_headers *headers,
                               struct diag *diag)
{
    const struct group *g, *checked = NULL;
    struct str hosts[KEYS_MAX_HOSTS];
    enum ph_err err = PH_OK;
    size_t count;

    if (!collect_hosts(headers, hosts, &count))
        return diag__set(diag, PH_ERR_AUTH, "WebHook-Request-Origin names more than %d hosts",
                         KEYS_MAX_HOSTS);
    for (size_t i = 0; i < count && err == PH_OK; i++) {
        g = group_of(ring, url__host_only(hosts[i]));
        if (!g || g == checked)
            continue;
        checked = g;
        err = check_group(ring, g, headers, diag);
    }
    return err == PH_OK && !checked ? check_group(ring, &ring->groups[0], headers, diag) : err;
}

enum ph_err keyring__check(const struct keyring *ring, const struct http_headers *headers,
                           struct diag *diag)
{
    return ring->group_count == 1 ? check_group(ring, &ring->groups[0], headers, diag)
                                  : check_hosts(ring, headers, diag);
}
