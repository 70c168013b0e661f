/* The client's half of WebSocket: its handshake, its frames as our own server reads them, and
 * a server's frames, which are not masked (RFC 6455 sections 4.1, 5.1 and 5.3). */
#include "base/random.h"
#include "unit.h"
#include "ws/ws_handshake.h"

#include <stdio.h>
#include <stdlib.h>

#define ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" /* section 1.3's own example */
#define OK "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
#define ACCEPTED "Sec-WebSocket-Accept: " ACCEPT "\r\n"
#define CHOSEN "Sec-WebSocket-Protocol: json.webpubsub.azure.v1\r\n"

static const struct ws_request request = {
    .host = STR("h:80"),
    .target = STR("/client/hubs/chat?x=1"),
    .subprotocol = STR("json.webpubsub.azure.v1"),
    .key = "dGhlIHNhbXBsZSBub25jZQ==",
};

static void test_request(void **state)
{
    struct ws_request plain = request;
    struct buf b;

    (void)state;
    ws_handshake__key(plain.key, (const uint8_t *)"the sample nonce");
    assert_string_equal(plain.key, request.key);
    buf__init(&b, 4096);
    ws_handshake__request(&b, &request);
    assert_str(buf__view(&b), "GET /client/hubs/chat?x=1 HTTP/1.1\r\nHost: h:80\r\n"
                              "Upgrade: websocket\r\nConnection: Upgrade\r\n"
                              "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                              "Sec-WebSocket-Version: 13\r\n"
                              "Sec-WebSocket-Protocol: json.webpubsub.azure.v1\r\n\r\n");
    buf__free(&b);
}

static const struct {
    const char *head;
    enum ph_err want;
} responses[] = {
    {OK ACCEPTED CHOSEN "\r\n", PH_OK},
    {"HTTP/1.1 101 \r\nupgrade: WebSocket\r\nConnection: keep-alive, upgrade\r\n" ACCEPTED CHOSEN
     "\r\n",
     PH_OK},
    {"HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: x\r\nConnection: Upgrade\r\n" ACCEPTED
         CHOSEN "\r\n",
     PH_OK},
    {OK ACCEPTED "\r\n", PH_ERR_SYNTAX}, /* no subprotocol */
    {OK ACCEPTED "Sec-WebSocket-Protocol: mqtt\r\n\r\n", PH_ERR_SYNTAX},
    {OK CHOSEN "\r\n", PH_ERR_SYNTAX}, /* no key */
    {OK "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOp=\r\n" CHOSEN "\r\n", PH_ERR_SYNTAX},
    {OK ACCEPTED CHOSEN "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n", PH_ERR_SYNTAX},
    {"HTTP/1.1 101 x\r\nConnection: Upgrade\r\n" ACCEPTED CHOSEN "\r\n", PH_ERR_SYNTAX},
    {"HTTP/1.1 101 x\r\nUpgrade: websocket\r\n" ACCEPTED CHOSEN "\r\n", PH_ERR_SYNTAX},
    {OK "no colon\r\n\r\n", PH_ERR_SYNTAX},
    {OK "bad name: x\r\n\r\n", PH_ERR_SYNTAX},
    {"HTTP/1.1 401 Unauthorized\r\n\r\n", PH_ERR_AUTH},
    {"HTTP/1.1 403 x\r\n\r\n", PH_ERR_FORBIDDEN},
    {"HTTP/1.1 404 x\r\n\r\n", PH_ERR_NOT_FOUND},
    {"HTTP/1.1 200 OK\r\n\r\n", PH_ERR_REFUSED},
    {"HTTP/1.1 503\r\n\r\n", PH_ERR_REFUSED},
    {"HTTP/1.0 101 x\r\n\r\n", PH_ERR_SYNTAX},
    {"HTTP/1.1 1010 x\r\n\r\n", PH_ERR_SYNTAX},
    {"HTTP/1.1 10\r\n\r\n", PH_ERR_SYNTAX},
    {"SSH-2.0\r\n\r\n", PH_ERR_SYNTAX},
    {"\r\n\r\n", PH_ERR_SYNTAX},
};

static void test_responses(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(responses) / sizeof(*responses); i++) {
        struct str head = str__of(responses[i].head);
        struct diag diag = {""};

        for (size_t cut = 0; cut < head.len; cut++)
            assert_int_equal(ws_handshake__head_len(str__n(head.ptr, cut)), 0);
        assert_int_equal(ws_handshake__head_len(head), head.len);
        if (ws_handshake__response(head, &request, &diag) != responses[i].want)
            fail_msg("%s gives: %s", responses[i].head, diag.text);
        assert_int_equal(diag.text[0] != '\0', responses[i].want != PH_OK);
    }
}

/* What a client writes, the server's decoder reads, wherever it is cut. */
static void test_masked_frames(void **state)
{
    static const size_t sizes[] = {0, 1, 7, 125, 126, 65535, 65536};

    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        size_t len = sizes[i], head;
        char *frame = malloc(WS_MAX_MASKED_HEADER + len), *at = frame;
        char *payload = malloc(len + 1);
        uint8_t key[WS_MASK_KEY_LEN];
        struct ws_event ev;
        struct ws ws;

        assert_non_null(frame);
        assert_non_null(payload);
        assert_true(random__bytes(key, sizeof(key)));
        for (size_t n = 0; n < len; n++)
            payload[n] = (char)n;
        head = ws__masked_header(frame, WS_OP_BINARY, len, key);
        memcpy(frame + head, payload, len);
        ws__mask(frame + head, len / 2, key, 0);
        ws__mask(frame + head + len / 2, len - len / 2, key, len / 2);
        ws__init(&ws, 0, 0);
        assert_int_equal(ws__next(&ws, &at, frame + head / 2, &ev), WS_NEED_MORE);
        assert_int_equal(ws__next(&ws, &at, frame + head + len, &ev), WS_MESSAGE);
        assert_true(ev.binary);
        assert_int_equal(ev.data.len, len);
        assert_memory_equal(ev.data.ptr, payload, len);
        ws__free(&ws);
        free(frame);
        free(payload);
    }
}

static enum ws_event_type read_as_client(struct str bytes, struct ws_event *ev, struct ws *ws)
{
    static char room[256];
    char *at = room;

    memcpy(room, bytes.ptr, bytes.len);
    ws__init_client(ws, 0, 0);
    return ws__next(ws, &at, room + bytes.len, ev);
}

static void test_frames_of_a_server(void **state)
{
    struct ws_event ev;
    struct ws ws;

    (void)state;
    assert_int_equal(read_as_client(STR("\x81\x02hi"), &ev, &ws), WS_MESSAGE);
    assert_str(ev.data, "hi");
    ws__free(&ws);
    assert_int_equal(read_as_client(STR("\x88\x05\x03\xf0"
                                        "bye"),
                                    &ev, &ws),
                     WS_CLOSE);
    assert_int_equal(ev.code, 1008);
    ws__free(&ws);
    assert_int_equal(read_as_client(STR("\x81\x7e\x00\x7e"), &ev, &ws), WS_NEED_MORE);
    ws__free(&ws);
    assert_int_equal(read_as_client(STR("\x81\x82\0\0\0\0hi"), &ev, &ws), WS_ERROR);
    assert_int_equal(ev.code, WS_CLOSE_PROTOCOL);
    ws__free(&ws);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_request),
        cmocka_unit_test(test_responses),
        cmocka_unit_test(test_masked_frames),
        cmocka_unit_test(test_frames_of_a_server),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
