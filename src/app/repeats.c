#include "app/repeats.h"

#include "app/settings.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/map.h"
#include "base/random.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#define MAX_KEY (64u << 10)

/* A response that others get too. Immutable. */
struct given {
    atomic_uint refs;
    int status;
    size_t header_count, size;
    struct str body;
    struct http_header headers[]; /* and behind them all of the strings */
};

/* An event that is being handled, or was. */
struct entry {
    struct link age;      /* of those that were; the oldest is the first */
    struct link waiting;  /* calls; of those that are */
    struct given *answer; /* NULL: it is being handled */
    int64_t until_ms;
    size_t size;
    size_t key_len;
    char key[];
};

struct repeats {
    pthread_mutex_t lock;
    struct repeats_limits limits;
    struct map_seed seed;
    struct map entries;
    struct link oldest;
    size_t bytes;
};

/* --- Which events are the same ---------------------------------------------------------- */

/* The service numbers the events of a connection, and repeats the number with the event
 * (section 2.1). Ids of MQTT connections are the clients' own and come back, with
 * numbers that begin anew, so that whatever else tells them apart counts too. */
static const struct str told_apart_by[] = {
    {"x-ms-client-request-id", 22},
    {"ce-physicalConnectionId", 23},
    {"ce-sessionId", 12},
    {"ce-type", 7},
};

/* With its length, so that no two lists of parts look the same. */
static void put(struct buf *out, struct str part)
{
    buf__u64(out, part.len);
    buf__byte(out, part.ptr ? ':' : '-');
    buf__str(out, part);
}

/* False: too long, or memory is out. */
static bool write_key(const struct repeats *r, const struct ph_event *ev, struct buf *out)
{
    const struct str parts[] = {ev->origin, ev->hub, ev->connection_id, ev->id};

    for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++)
        put(out, parts[i]);
    for (size_t i = 0; ev->http && i < sizeof(told_apart_by) / sizeof(*told_apart_by); i++)
        put(out, http__get(ev->http, told_apart_by[i]));
    buf__u64(out, ev->data.len);
    buf__byte(out, '=');
    buf__u64(out, map__hash(&r->seed, ev->data));
    return !out->failed;
}

static struct str key_of(const void *item)
{
    const struct entry *e = item;

    return str__n(e->key, e->key_len);
}

/* --- Answers ------------------------------------------------------------------------------ */

static struct ph_response *response_of(struct app_call *call)
{
    return (struct ph_response *)(void *)((char *)call - offsetof(struct ph_response, call));
}

static void given_unref(struct given *a)
{
    if (a && atomic_fetch_sub(&a->refs, 1) == 1)
        free(a);
}

static size_t size_of(const struct http_response *http)
{
    size_t size = sizeof(struct given) + http->headers.count * sizeof(struct http_header);

    for (size_t i = 0; i < http->headers.count; i++)
        size += http->headers.items[i].name.len + http->headers.items[i].value.len;
    return size + http->body.len;
}

static struct given *copy_given(const struct http_response *http, size_t max)
{
    size_t size = size_of(http);
    struct given *a = size <= max ? malloc(size) : NULL;
    char *at;

    if (!a)
        return NULL;
    *a = (struct given){.status = http->status, .header_count = http->headers.count, .size = size};
    atomic_init(&a->refs, 1);
    at = (char *)&a->headers[a->header_count];
    for (size_t i = 0; i < a->header_count; i++) {
        a->headers[i].name = str__n(at, http->headers.items[i].name.len);
        memcpy(at, http->headers.items[i].name.ptr, a->headers[i].name.len);
        at += a->headers[i].name.len;
        a->headers[i].value = str__n(at, http->headers.items[i].value.len);
        memcpy(at, http->headers.items[i].value.ptr, a->headers[i].value.len);
        at += a->headers[i].value.len;
    }
    a->body = str__n(at, http->body.len);
    if (http->body.len > 0)
        memcpy(at, http->body.ptr, http->body.len);
    return a;
}

static bool copy_header(struct arena *a, struct http_headers *to, const struct http_header *h)
{
    const char *name = arena__strdup(a, h->name), *value = arena__strdup(a, h->value);

    return name && value &&
           http__add(a, to, str__n(name, h->name.len), str__n(value, h->value.len));
}

/* As a response of this call; without memory it is a 500, which is tried again. */
static void give(struct app_call *call, int status, const struct http_header *headers, size_t count,
                 struct str body)
{
    struct ph_response *res = response_of(call);
    const char *copy = arena__strdup(&res->arena, body);
    bool good = copy || body.len == 0;

    res->http = (struct http_response){.status = status};
    for (size_t i = 0; i < count && good; i++)
        good = copy_header(&res->arena, &res->http.headers, &headers[i]);
    if (good && body.len > 0)
        res->http.body = str__n(copy, body.len);
    if (!good)
        res->http = (struct http_response){.status = 500};
}

/* --- Entries, under the lock ---------------------------------------------------------------- */

static void forget(struct repeats *r, struct entry *e)
{
    map__remove(&r->entries, key_of(e));
    list__remove(&e->age);
    r->bytes -= e->size;
    given_unref(e->answer);
    free(e);
}

static struct entry *oldest(const struct repeats *r)
{
    return list__empty(&r->oldest) ? NULL : LIST_ITEM(r->oldest.next, struct entry, age);
}

static bool is_full(const struct repeats *r, size_t entries, size_t bytes)
{
    return r->entries.count + entries > r->limits.entries || r->bytes + bytes > r->limits.bytes;
}

/* What is over goes, and then the oldest, until there is room. False: those that are being
 * handled take all of it. */
static bool make_room(struct repeats *r, size_t entries, size_t bytes)
{
    int64_t now = clock__coarse_ms();
    struct entry *e;

    while ((e = oldest(r)) && (e->until_ms <= now || is_full(r, entries, bytes)))
        forget(r, e);
    return !is_full(r, entries, bytes);
}

static struct entry *add(struct repeats *r, struct str key)
{
    size_t size = sizeof(struct entry) + key.len;
    struct entry *e = make_room(r, 1, size) ? malloc(size) : NULL;

    if (!e)
        return NULL;
    *e = (struct entry){.size = size, .key_len = key.len};
    memcpy(e->key, key.ptr, key.len);
    list__init(&e->age);
    list__init(&e->waiting);
    if (!map__add(&r->entries, e)) {
        free(e);
        return NULL;
    }
    r->bytes += size;
    return e;
}

/* An answer, with a reference; or *waits: another is being handled, and ends this call too,
 * perhaps as soon as the lock is open; or it is to be handled, with an entry if there is room. */
static struct given *look(struct repeats *r, struct app_call *call, struct str key, bool *waits)
{
    struct entry *e = map__get(&r->entries, key);
    struct given *answer = NULL;

    *waits = false;
    if (e && e->answer && e->until_ms <= clock__coarse_ms()) {
        forget(r, e);
        e = NULL;
    }
    call->repeats = r;
    if (!e) {
        call->entry = add(r, key);
    } else if (e->answer) {
        answer = e->answer;
        atomic_fetch_add(&answer->refs, 1);
    } else {
        list__append(&e->waiting, &call->waits);
        *waits = true;
    }
    return answer;
}

/* --- Interface -------------------------------------------------------------------------------- */

enum repeat repeats__begin(struct repeats *r, struct app_call *call)
{
    struct given *answer = NULL;
    bool waits = false;
    struct buf key;

    if (!r)
        return REPEAT_NEW;
    list__init(&call->waits);
    buf__init(&key, MAX_KEY);
    if (write_key(r, call->ev, &key)) {
        pthread_mutex_lock(&r->lock);
        answer = look(r, call, buf__view(&key), &waits);
        pthread_mutex_unlock(&r->lock);
    }
    buf__free(&key);
    if (!answer)
        return waits ? REPEAT_WAITS : REPEAT_NEW;
    give(call, answer->status, answer->headers, answer->header_count, answer->body);
    given_unref(answer);
    return REPEAT_ANSWERED;
}

/* The service tries these again, which is to run again. */
static bool is_final(int status)
{
    return status < 500 && status != 408;
}

/* Under the lock. Its callers' list is taken over by `waiting`. */
static void settle(struct repeats *r, struct entry *e, struct given *answer, struct link *waiting)
{
    while (!list__empty(&e->waiting)) {
        struct link *first = e->waiting.next;

        list__remove(first);
        list__append(waiting, first);
    }
    e->answer = answer;
    if (!answer || !make_room(r, 0, answer->size)) {
        forget(r, e);
        return;
    }
    e->size += answer->size;
    r->bytes += answer->size;
    e->until_ms = clock__coarse_ms() + (int64_t)r->limits.seconds * 1000;
    list__append(&r->oldest, &e->age);
}

/* Under the lock, too: until then, it may be withdrawn. */
static struct app_call *take(struct link *waiting)
{
    struct app_call *first;

    if (list__empty(waiting))
        return NULL;
    first = LIST_ITEM(waiting->next, struct app_call, waits);
    list__remove(&first->waits);
    return first;
}

static void end(struct app_call *call, struct given *answer, const struct http_response *http)
{
    struct repeats *r = call->repeats;
    struct entry *e = call->entry;
    struct app_call *other;
    struct link waiting;

    list__init(&waiting);
    call->entry = NULL;
    pthread_mutex_lock(&r->lock);
    settle(r, e, answer, &waiting);
    while ((other = take(&waiting))) {
        pthread_mutex_unlock(&r->lock);
        give(other, http->status, http->headers.items, http->headers.count, http->body);
        other->done(response_of(other), other->arg);
        pthread_mutex_lock(&r->lock);
    }
    pthread_mutex_unlock(&r->lock);
}

void repeats__end(struct app_call *call)
{
    const struct http_response *http = &response_of(call)->http;

    if (call->entry)
        end(call, is_final(http->status) ? copy_given(http, call->repeats->limits.bytes) : NULL,
            http);
}

struct app_call *repeats__pass_on(struct app_call *call)
{
    struct repeats *r = call->repeats;
    struct entry *e = call->entry;
    struct app_call *next;

    if (!e)
        return NULL;
    call->entry = NULL;
    pthread_mutex_lock(&r->lock);
    next = take(&e->waiting);
    if (next)
        next->entry = e;
    else
        forget(r, e);
    pthread_mutex_unlock(&r->lock);
    return next;
}

bool repeats__withdraw(struct app_call *call)
{
    struct repeats *r = call->repeats;
    bool waited;

    if (!r)
        return false;
    pthread_mutex_lock(&r->lock);
    waited = !list__empty(&call->waits);
    if (waited)
        list__remove(&call->waits);
    pthread_mutex_unlock(&r->lock);
    return waited;
}

struct repeats *repeats__new(const struct repeats_limits *limits)
{
    struct repeats *r = calloc(1, sizeof(*r));

    if (!r)
        return NULL;
    if (!random__bytes(&r->seed, sizeof(r->seed)) || pthread_mutex_init(&r->lock, NULL) != 0) {
        free(r);
        return NULL;
    }
    r->limits = *limits;
    map__init(&r->entries, key_of, &r->seed);
    list__init(&r->oldest);
    return r;
}

void repeats__free(struct repeats *r)
{
    if (!r)
        return;
    while (oldest(r))
        forget(r, oldest(r));
    map__free(&r->entries);
    pthread_mutex_destroy(&r->lock);
    free(r);
}
