/* What a service says to a client: any bytes are refused with a reason or understood, and
 * what was understood can be looked at, and its data sent on in a request, which must be
 * JSON. */
#include "base/json.h"
#include "client/frames.h"

#include <stdlib.h>

#define ARENA_MAX (32u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

static void look(struct str s)
{
    volatile char sum = 0;

    for (size_t i = 0; i < s.len; i++)
        sum = (char)(sum ^ s.ptr[i]);
}

static void look_at_all(const struct answer *a)
{
    const struct str all[] = {
        a->connection_id, a->user_id,       a->reconnection_token, a->reason,
        a->error.name,    a->error.message, a->error.user_code,    a->group,
        a->from_user_id,  a->data,          a->invocation_id,      a->stream_id,
    };

    for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
        look(all[i]);
    for (size_t i = 0; i < a->metadata.count; i++) {
        look(a->metadata.items[i].name);
        look(a->metadata.items[i].value);
    }
    must((a->kind != ANSWER_GROUP_MESSAGE && a->kind != ANSWER_SERVER_MESSAGE) || a->data.ptr);
}

static void send_on(const struct answer *a)
{
    const struct frame_request r = {
        .kind = a->group.ptr ? FRAME_SEND_TO_GROUP : FRAME_EVENT,
        .group = a->group,
        .event = STR("e"),
        .type = a->type,
        .data = a->data,
        .metadata = a->metadata,
    };
    struct buf b;

    buf__init(&b, ARENA_MAX);
    frames__encode(&b, &r);
    must(!b.failed && json__check(buf__view(&b), 70, NULL) == PH_OK);
    buf__free(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct answer answer;
    struct diag diag = {""};

    arena__init(&arena, NULL, 0, ARENA_MAX);
    if (frames__decode(&arena, str__n(data, size), &answer, &diag) != PH_OK) {
        must(diag.text[0] != '\0');
    } else {
        look_at_all(&answer);
        if (answer.has_data)
            send_on(&answer);
    }
    arena__free(&arena);
    return 0;
}
