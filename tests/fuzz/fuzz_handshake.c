/* The client handshake, from the lines of a request to its verdict. */
#include "broker/wire/handshake.h"
#include "request.h"

#include <stdlib.h>

#define NOW 1800000000 /* the tokens of the corpus are good until 2100 */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct settings *settings_of_all_runs(void)
{
    static struct settings settings;
    static struct hub_settings open = {.name = {"open", 4}, .anonymous_allowed = true};

    if (settings.key_count == 0) {
        settings.limits = LIMITS_DEFAULT;
        settings.keys[settings.key_count++] = mac__key_new(STR(SETTINGS_DEFAULT_KEY));
        settings.hubs = &open;
        settings.hub_count = 1;
    }
    return &settings;
}

/* What every layer behind the handshake relies on. */
static void check(const struct handshake *h, const struct diag *diag)
{
    if (h->status != 0) {
        if (h->status < 400 || !diag->text[0])
            abort();
        return;
    }
    if (h->hub.len == 0 || !h->format || !h->websocket_key.ptr)
        abort();
    if (!h->recovery && !h->claims && !str__eq(h->hub, STR("open")))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a;
    struct http_request req;
    struct handshake h;
    struct diag diag = {""};

    arena__init(&a, NULL, 0, 1 << 20);
    if (request__read(&a, str__n(data, size), &req) && handshake__is_client_path(req.path)) {
        handshake__read(&a, &req, settings_of_all_runs(), STR("127.0.0.1:8080"), NOW, &h, &diag);
        check(&h, &diag);
        if (h.status == 0 && h.offered_count > 0 &&
            handshake__choose(&h, h.offered[h.offered_count - 1], &diag) != PH_OK)
            abort();
    }
    arena__free(&a);
    return 0;
}
