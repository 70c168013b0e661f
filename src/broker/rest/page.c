#include "broker/rest/page.h"

#include "base/base64.h"
#include "base/json.h"
#include "base/url.h"
#include "broker/core/listing.h"
#include "broker/rest/origin.h"

#define MAX_URL 16384          /* a group name has 1024 characters, each up to 12 bytes as sent */
#define MAX_ANSWER (32u << 20) /* PAGE_MAX_SIZE user ids, as long as a connect handler likes */
#define PURPOSE "group connections" /* keys sign other things, too, but not with a NUL inside */

/* --- Tokens ---------------------------------------------------------------- */

/* The signature of a place in a list, in front of the place. */
static bool sign(const struct mac_key *key, const struct rest_call *call, struct str after,
                 uint8_t out[MAC_SIZE])
{
    struct buf text;
    bool done;

    buf__init(&text, MAX_URL);
    buf__append(&text, PURPOSE, sizeof(PURPOSE));
    buf__str(&text, call->command.hub);
    buf__byte(&text, '\0');
    buf__str(&text, call->command.name);
    buf__byte(&text, '\0');
    buf__str(&text, after);
    done = !text.failed;
    if (done)
        mac__sign(key, buf__view(&text), out);
    buf__free(&text);
    return done;
}

static bool is_signed(struct judge *j, struct str token, struct str *after)
{
    const struct settings *settings = j->world->settings;
    uint8_t want[MAC_SIZE];

    if (token.len <= MAC_SIZE)
        return false;
    *after = str__n(token.ptr + MAC_SIZE, token.len - MAC_SIZE);
    for (size_t i = 0; i < settings->key_count; i++) {
        if (sign(settings->keys[i], j->call, *after, want) && mac__equal(want, token.ptr, MAC_SIZE))
            return true;
    }
    return false;
}

/* --- Parameters ------------------------------------------------------------ */

int page__read_size(struct judge *j, struct str value)
{
    uint64_t size;

    if (!str__to_u64(value, &size) || size < 1 || size > PAGE_MAX_SIZE)
        return judge__bad_request(j, "Request",
                                  "maxpagesize must be a whole number from 1 to 200.");
    j->call->page.size = (uint32_t)size;
    return 0;
}

int page__read_top(struct judge *j, struct str value)
{
    uint64_t top;

    if (!str__to_u64(value, &top) || top < 1 || top > PAGE_MAX_TOP)
        return judge__bad_request(j, "Request", "top must be a whole number from 1 to 2147483647.");
    j->call->page.top = (uint32_t)top;
    return 0;
}

int page__read_token(struct judge *j, struct str value)
{
    struct str token = value.len > PAGE_MAX_TOKEN ? STR_NONE : base64__decode_url(j->arena, value);

    if (token.ptr && is_signed(j, token, &j->call->command.after))
        return 0;
    return judge__bad_request(j, "Request",
                              "Invalid continuationToken: expected the one of the last page's "
                              "nextLink, for the same hub and group.");
}

int page__prepare(struct judge *j)
{
    struct rest_page *page = &j->call->page;
    struct buf link;
    char *copy;

    if (j->call->route->op != HUB_LIST || j->call->route->work != ROUTE_COMMAND)
        return 0;
    page->settings = settings__ref(j->world->settings);
    if (page->size == 0)
        page->size = PAGE_MAX_SIZE;
    page->link_size = page->size;
    if (page->top > 0 && page->top < page->size)
        page->size = page->top;
    j->call->command.limit = page->size + 1; /* one more tells that there is a next page */
    buf__init(&link, MAX_URL);
    origin__write(&link, j->world, &j->req->headers);
    url__encode_rest(&link, j->req->path); /* as sent, so every name comes back as it was */
    copy = link.failed ? NULL : arena__strdup(j->arena, buf__view(&link));
    page->link = str__n(copy, copy ? link.len : 0);
    buf__free(&link);
    return copy ? 0 : judge__no_memory(j);
}

/* --- The answer ------------------------------------------------------------ */

static void write_next_link(struct buf *out, const struct rest_call *call, struct str after)
{
    const struct rest_page *page = &call->page;
    uint8_t mac[MAC_SIZE];
    struct buf token, link;

    buf__init(&token, PAGE_MAX_TOKEN);
    buf__init(&link, MAX_URL);
    out->failed |= !sign(page->settings->keys[0], call, after, mac);
    buf__append(&token, mac, sizeof(mac));
    buf__str(&token, after);
    buf__str(&link, page->link);
    buf__str(&link, STR("?api-version=" ANSWER_NEWEST_VERSION));
    buf__printf(&link, "&maxpagesize=%u", page->link_size);
    if (page->top > 0)
        buf__printf(&link, "&top=%u", page->top - page->size);
    buf__str(&link, STR("&continuationToken="));
    base64__encode_url(&link, token.data, token.len);
    json__quote(out, buf__view(&link));
    out->failed |= token.failed || link.failed;
    buf__free(&token);
    buf__free(&link);
}

static void write_connections(struct buf *out, const struct listing *l, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            buf__byte(out, ',');
        buf__str(out, STR("{\"connectionId\":"));
        json__quote(out, l->items[i]->connection_id);
        buf__str(out, STR(",\"userId\":"));
        if (l->items[i]->user_id.ptr)
            json__quote(out, l->items[i]->user_id);
        else
            buf__str(out, STR("null"));
        buf__byte(out, '}');
    }
}

/* `top` is reached, or all of them are shown: no link. */
static void write_page(struct buf *out, const struct rest_call *call, const struct listing *l)
{
    const struct rest_page *page = &call->page;
    size_t count = l ? l->count : 0;
    bool more = count > page->size && page->top != page->size;

    if (count > page->size)
        count = page->size;
    buf__str(out, STR("{\"value\":["));
    write_connections(out, l, count);
    buf__str(out, STR("],\"nextLink\":"));
    if (more)
        write_next_link(out, call, l->items[count - 1]->connection_id);
    else
        buf__str(out, STR("null"));
    buf__byte(out, '}');
}

void page__answer(struct arena *a, struct rest_call *call, const struct hub_result *result)
{
    struct buf out;
    char *copy = NULL;

    buf__init(&out, MAX_ANSWER);
    if (!result->failed)
        write_page(&out, call, result->listing);
    arena__init(&call->body, NULL, 0, MAX_ANSWER + 4096);
    if (!result->failed && !out.failed)
        copy = arena__strdup(&call->body, buf__view(&out));
    if (copy) {
        answer__status(a, &call->response, call->route->success);
        call->response.body = str__n(copy, out.len);
        http__add(a, &call->response.headers, STR("Content-Type"), STR("application/json"));
    } else {
        call->refusal = "no memory for the list; ask for smaller pages";
        rest__unavailable(a, &call->response, call->refusal);
    }
    buf__free(&out);
}
