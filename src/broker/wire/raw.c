/* Clients without a predefined subprotocol (client-and-rest section 2.8): each
 * message is the user event `message`, and what they get is data alone. A raw client in
 * sendToGroup mode is the session's affair. */
#include "broker/wire/formats.h"
#include "broker/wire/payload.h"

static enum ph_err decode(struct arena *a, bool binary, struct str data, struct command *out,
                          struct diag *diag)
{
    (void)a;
    (void)diag;
    *out = (struct command){
        .kind = COMMAND_EVENT,
        .type = binary ? PH_DATA_BINARY : PH_DATA_TEXT,
        .event = STR("message"),
        .data = data,
    };
    return PH_OK;
}

static struct frame *encode_message(const struct message *m)
{
    bool text = m->type == PH_DATA_TEXT || m->type == PH_DATA_JSON;

    return payload__frame(text ? WS_OP_TEXT : WS_OP_BINARY, m->data);
}

const struct format format_raw = {
    .index = 0,
    .accepts_text = true,
    .accepts_binary = true,
    .decode = decode,
    .message = encode_message,
};
