#include "client/channel.h"

#include "base/clock.h"
#include "base/random.h"
#include "client/address.h"
#include "loop/loop_curl.h"
#include "ws/ws_handshake.h"

#include <stdlib.h>

#define CLOSE_MS 2000           /* for the peer's half of closing in order */
#define ENOUGH_OUT (256u << 10) /* then has_room is false */
#define READ_BYTES (64u << 10)
#define READS 16 /* in one turn */

enum channel_state { CLOSED, CONNECTING, HANDSHAKE, OPEN, CLOSING };

struct channel {
    struct loop *loop;
    const struct channel_settings *settings;
    const struct channel_ops *ops;
    void *ctx;
    enum channel_state state;
    unsigned life; /* counts sockets, to see whether somebody has dropped this one */
    struct loop_curl *curl;
    CURL *easy;
    struct loop_watch socket;
    struct loop_timer again; /* bytes may wait in TLS, which no descriptor tells */
    struct loop_timer giving_up;
    bool wants_out, was_full;
    struct address address;
    struct ws_request request;
    struct ws ws;
    struct buf head; /* of the response */
    struct buf out;
    size_t out_at; /* what is written of it */
    struct random_pool random;
    char curl_error[CURL_ERROR_SIZE];
    char in[READ_BYTES];
};

/* --- The end --------------------------------------------------------------------- */

void channel__drop(struct channel *ch)
{
    if (ch->state == CLOSED)
        return;
    ch->state = CLOSED;
    ch->life++;
    loop__unwatch(ch->loop, &ch->socket);
    loop__clear_timer(ch->loop, &ch->again);
    loop__clear_timer(ch->loop, &ch->giving_up);
    if (ch->easy) {
        loop_curl__remove(ch->curl, ch->easy);
        curl_easy_cleanup(ch->easy);
        ch->easy = NULL;
    }
    ws__free(&ch->ws);
    buf__free(&ch->head);
    buf__free(&ch->out);
    ch->out_at = 0;
    ch->wants_out = ch->was_full = false;
    address__free(&ch->address);
}

/* `why` may lie in what is dropped. */
static void end(struct channel *ch, uint16_t code, enum ph_err err, struct str why)
{
    char text[512];
    size_t len = why.len < sizeof(text) ? why.len : sizeof(text);

    if (len > 0)
        memcpy(text, why.ptr, len);
    channel__drop(ch);
    ch->ops->closed(ch->ctx, code, err, str__n(text, len));
}

static void end_broken(struct channel *ch, enum ph_err err, const char *why)
{
    end(ch, WS_CLOSE_ABNORMAL, err, str__of(why));
}

/* --- Writing --------------------------------------------------------------------- */

static size_t unwritten(const struct channel *ch)
{
    return ch->out.len - ch->out_at;
}

bool channel__has_room(const struct channel *ch)
{
    return unwritten(ch) < ENOUGH_OUT;
}

bool channel__write(struct channel *ch, enum ws_opcode opcode, struct str payload)
{
    uint8_t key[WS_MASK_KEY_LEN];
    char header[WS_MAX_MASKED_HEADER];
    size_t len;
    char *to;

    if (!random__take(&ch->random, key, sizeof(key)))
        return false;
    len = ws__masked_header(header, opcode, payload.len, key);
    buf__append(&ch->out, header, len);
    to = ch->out.failed ? NULL : buf__reserve(&ch->out, payload.len);
    if (!to)
        return false;
    if (payload.len > 0)
        memcpy(to, payload.ptr, payload.len);
    ws__mask(to, payload.len, key, 0);
    ch->out.len += payload.len;
    ch->was_full = ch->was_full || !channel__has_room(ch);
    return true;
}

static void want_out(struct channel *ch, bool wanted)
{
    if (ch->wants_out == wanted)
        return;
    ch->wants_out = wanted;
    loop__rewatch(ch->loop, &ch->socket, wanted ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

static void forget_written(struct channel *ch)
{
    size_t left = unwritten(ch);

    if (left == 0) {
        if (ch->out.cap > ENOUGH_OUT * 4)
            buf__free(&ch->out);
        else
            buf__reset(&ch->out);
        ch->out_at = 0;
    } else if (ch->out_at >= ENOUGH_OUT) {
        memmove(ch->out.data, ch->out.data + ch->out_at, left);
        ch->out.len = left;
        ch->out_at = 0;
    }
}

/* False: the socket is broken. What has come is still to be read, so that is told by
 * reading. */
static bool write_some(struct channel *ch)
{
    CURLcode code = CURLE_OK;
    size_t n;

    while (code == CURLE_OK && unwritten(ch) > 0) {
        n = 0;
        code = curl_easy_send(ch->easy, ch->out.data + ch->out_at, unwritten(ch), &n);
        ch->out_at += n;
    }
    return code == CURLE_OK || code == CURLE_AGAIN;
}

void channel__flush(struct channel *ch)
{
    if (ch->state < HANDSHAKE)
        return;
    if (!write_some(ch)) {
        want_out(ch, false);
        loop__set_timer(ch->loop, &ch->again, clock__mono_ms());
        return;
    }
    forget_written(ch);
    want_out(ch, unwritten(ch) > 0);
    if (ch->was_full && channel__has_room(ch)) {
        ch->was_full = false;
        if (ch->state == OPEN)
            ch->ops->drained(ch->ctx);
    }
}

/* --- Reading --------------------------------------------------------------------- */

static void answer_close(struct channel *ch, const struct ws_event *ev)
{
    char payload[WS_MAX_CONTROL];
    char reason[WS_MAX_CONTROL];
    struct str why = str__n(reason, ev->data.len);

    memcpy(reason, ev->data.ptr, ev->data.len);
    if (ch->state == OPEN &&
        channel__write(ch, WS_OP_CLOSE,
                       str__n(payload, ws__close_payload(payload, ev->code, STR("")))))
        write_some(ch);
    end(ch, ev->code, PH_OK, why);
}

static void refuse(struct channel *ch, const struct ws_event *ev)
{
    char payload[WS_MAX_CONTROL];
    enum ph_err err = ev->code == WS_CLOSE_TOO_BIG ? PH_ERR_LIMIT : PH_ERR_SYNTAX;

    if (channel__write(ch, WS_OP_CLOSE,
                       str__n(payload, ws__close_payload(payload, ev->code, ev->data))))
        write_some(ch);
    end(ch, WS_CLOSE_ABNORMAL, err, ev->data);
}

static void take_event(struct channel *ch, const struct ws_event *ev)
{
    switch (ev->type) {
    case WS_MESSAGE:
        ch->ops->frame(ch->ctx, ev->binary, ev->data);
        break;
    case WS_PING:
        if (!channel__write(ch, WS_OP_PONG, ev->data))
            end_broken(ch, PH_ERR_MEMORY, "out of memory");
        else
            ch->ops->alive(ch->ctx);
        break;
    case WS_PONG:
        ch->ops->alive(ch->ctx);
        break;
    case WS_CLOSE:
        answer_close(ch, ev);
        break;
    case WS_ERROR:
        refuse(ch, ev);
        break;
    case WS_NEED_MORE:
        break;
    }
}

static void take_frames(struct channel *ch, char *at, char *end_of)
{
    unsigned life = ch->life;
    struct ws_event ev;

    while (ch->life == life && ws__next(&ch->ws, &at, end_of, &ev) != WS_NEED_MORE)
        take_event(ch, &ev);
}

static void take_head(struct channel *ch, size_t n)
{
    size_t before = ch->head.len, head_len, used;
    unsigned life = ch->life;
    struct diag diag;
    enum ph_err err;

    buf__append(&ch->head, ch->in, n);
    if (ch->head.failed) {
        end_broken(ch, PH_ERR_MEMORY, "out of memory");
        return;
    }
    head_len = ws_handshake__head_len(buf__view(&ch->head));
    if (head_len > WS_MAX_RESPONSE_HEAD || (head_len == 0 && ch->head.len > WS_MAX_RESPONSE_HEAD)) {
        end_broken(ch, PH_ERR_LIMIT, "the server's answer to the handshake is too long");
        return;
    }
    if (head_len == 0)
        return;
    err = ws_handshake__response(str__n(ch->head.data, head_len), &ch->request, &diag);
    if (err != PH_OK) {
        end_broken(ch, err, diag.text);
        return;
    }
    used = head_len - before;
    buf__free(&ch->head);
    ch->state = OPEN;
    ch->ops->opened(ch->ctx);
    if (ch->life == life)
        take_frames(ch, ch->in + used, ch->in + n);
}

static void hung_up(struct channel *ch, CURLcode code)
{
    if (ch->state == CLOSING)
        end(ch, WS_CLOSE_NONE, PH_OK, STR(""));
    else
        end_broken(ch, PH_ERR_CLOSED,
                   code == CURLE_OK ? "the server closed the connection" : "the connection broke");
}

static void read_some(struct channel *ch)
{
    unsigned life = ch->life;

    for (int i = 0; i < READS; i++) {
        size_t n = 0;
        CURLcode code = curl_easy_recv(ch->easy, ch->in, sizeof(ch->in), &n);

        if (code == CURLE_AGAIN)
            return;
        if (code != CURLE_OK || n == 0) {
            hung_up(ch, code);
            return;
        }
        if (ch->state == HANDSHAKE)
            take_head(ch, n);
        else
            take_frames(ch, ch->in, ch->in + n);
        if (ch->life != life)
            return;
    }
    loop__set_timer(ch->loop, &ch->again, clock__mono_ms());
}

static void socket_ready(struct loop_watch *w, unsigned events)
{
    struct channel *ch = w->ctx;
    unsigned life = ch->life;

    if (events & ~(unsigned)EPOLLOUT)
        read_some(ch);
    if (ch->life == life)
        channel__flush(ch);
}

static void read_again(struct loop_timer *t)
{
    read_some(t->ctx);
}

/* --- Opening --------------------------------------------------------------------- */

static bool ask(struct channel *ch)
{
    uint8_t nonce[WS_NONCE_LEN];

    if (!random__bytes(nonce, sizeof(nonce)))
        return false;
    ch->request = (struct ws_request){
        .host = buf__view(&ch->address.host),
        .target = buf__view(&ch->address.target),
        .subprotocol = ch->settings->subprotocol,
    };
    ws_handshake__key(ch->request.key, nonce);
    ws_handshake__request(&ch->out, &ch->request);
    return !ch->out.failed;
}

static void connected(void *ctx, CURL *easy, CURLcode code)
{
    struct channel *ch = ctx;
    curl_socket_t fd = CURL_SOCKET_BAD;

    if (code != CURLE_OK) {
        end_broken(ch, PH_ERR_SYSTEM,
                   ch->curl_error[0] ? ch->curl_error : curl_easy_strerror(code));
        return;
    }
    curl_easy_getinfo(easy, CURLINFO_ACTIVESOCKET, &fd);
    ch->state = HANDSHAKE;
    if (fd == CURL_SOCKET_BAD || !loop__watch(ch->loop, &ch->socket, fd, EPOLLIN))
        end_broken(ch, PH_ERR_SYSTEM, "the connection's socket cannot be watched");
    else if (!ask(ch))
        end_broken(ch, PH_ERR_MEMORY, "out of memory");
    else
        channel__flush(ch);
}

/* curl never sees path and query, in which the token is. */
static bool set_options(struct channel *ch)
{
    const struct channel_settings *s = ch->settings;
    const curl_version_info_data *version = curl_version_info(CURLVERSION_NOW);
    CURL *c = ch->easy;
    CURLcode code = curl_easy_setopt(c, CURLOPT_URL, ch->address.server.data);

    curl_easy_setopt(c, CURLOPT_CONNECT_ONLY, 1L);
    curl_easy_setopt(c, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(c, CURLOPT_HTTPPROXYTUNNEL, 1L);
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(c, CURLOPT_FRESH_CONNECT, 1L);
    curl_easy_setopt(c, CURLOPT_ERRORBUFFER, ch->curl_error);
    /* Debian's libcurl looks into the system's folder of certificates besides. */
    if (!code)
        code = curl_easy_setopt(c, CURLOPT_CAINFO, s->ca_file ? s->ca_file : version->cainfo);
    if (!code && s->proxy)
        code = curl_easy_setopt(c, CURLOPT_PROXY, s->proxy);
    if (!code && s->insecure)
        code = curl_easy_setopt(c, CURLOPT_SSL_VERIFYPEER, 0L);
    if (!code && s->insecure)
        code = curl_easy_setopt(c, CURLOPT_SSL_VERIFYHOST, 0L);
    return code == CURLE_OK;
}

/* What cannot even begin ends in the next turn, as all else does; and closing in order ends
 * when the peer takes too long. */
static void give_up(struct loop_timer *t)
{
    struct channel *ch = t->ctx;

    if (ch->state == CLOSING)
        end(ch, WS_CLOSE_NONE, PH_OK, STR(""));
    else
        end_broken(ch, ch->address.server.data ? PH_ERR_MEMORY : PH_ERR_SYNTAX,
                   ch->address.server.data
                       ? "out of memory"
                       : "the URL must begin with ws://, wss://, http:// or https:// and a host");
}

void channel__open(struct channel *ch, struct str url)
{
    channel__drop(ch);
    ch->state = CONNECTING;
    ws__init_client(&ch->ws, ch->settings->max_message, UINT32_MAX);
    buf__init(&ch->head, WS_MAX_RESPONSE_HEAD + READ_BYTES);
    buf__init(&ch->out, ch->settings->max_out);
    ch->curl_error[0] = '\0';
    if (address__parse(url, &ch->address)) {
        ch->easy = curl_easy_init();
        if (ch->easy && set_options(ch) && loop_curl__add(ch->curl, ch->easy))
            return;
        if (ch->easy)
            curl_easy_cleanup(ch->easy);
        ch->easy = NULL;
    }
    loop__set_timer(ch->loop, &ch->giving_up, clock__mono_ms());
}

/* As the official client: without a code (client-and-rest section 3). */
void channel__close(struct channel *ch)
{
    bool open = ch->state == OPEN;

    ch->state = ch->state == CLOSED ? CLOSED : CLOSING;
    if (open && channel__write(ch, WS_OP_CLOSE, STR(""))) {
        loop__set_timer(ch->loop, &ch->giving_up, clock__mono_ms() + CLOSE_MS);
        channel__flush(ch);
    } else if (ch->state == CLOSING) {
        loop__set_timer(ch->loop, &ch->giving_up, clock__mono_ms());
    }
}

/* --- Begin and end ----------------------------------------------------------------- */

struct channel *channel__new(struct loop *loop, const struct channel_settings *settings,
                             const struct channel_ops *ops, void *ctx)
{
    struct channel *ch = calloc(1, sizeof(*ch));

    if (!ch)
        return NULL;
    ch->loop = loop;
    ch->settings = settings;
    ch->ops = ops;
    ch->ctx = ctx;
    ch->socket = (struct loop_watch){socket_ready, ch, -1};
    ch->again.ring = read_again;
    ch->again.ctx = ch;
    ch->giving_up.ring = give_up;
    ch->giving_up.ctx = ch;
    if (!loop__add_timer(loop, &ch->again))
        goto no_again;
    if (!loop__add_timer(loop, &ch->giving_up))
        goto no_giving_up;
    ch->curl = loop_curl__new(loop, connected, ch);
    if (ch->curl)
        return ch;
    loop__remove_timer(loop, &ch->giving_up);
no_giving_up:
    loop__remove_timer(loop, &ch->again);
no_again:
    free(ch);
    return NULL;
}

void channel__free(struct channel *ch)
{
    if (!ch)
        return;
    channel__drop(ch);
    loop_curl__free(ch->curl);
    loop__remove_timer(ch->loop, &ch->again);
    loop__remove_timer(ch->loop, &ch->giving_up);
    free(ch);
}
