#include "dialect.h"

#include <string.h>

const struct dialect *dialect__find(const char *name)
{
    static const struct dialect *const all[] = {
        &dialect__floor,
        &dialect__plain,
        &dialect__nchan,
        &dialect__json,
        &dialect__reliable,
        &dialect__protobuf,
        &dialect__protobuf_reliable,
        &dialect__raw,
        &dialect__nats,
        &dialect__mqtt,
        &dialect__socketio,
    };

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        if (strcmp(all[i]->name, name) == 0)
            return all[i];
    }
    return NULL;
}

const char *dialect__no_subprotocol(int index)
{
    (void)index;
    return NULL;
}

void dialect__wait(struct ws_conn *c)
{
    (void)c;
}

bool dialect__starts(const char *data, size_t len, const char *word)
{
    return len >= strlen(word) && memcmp(data, word, strlen(word)) == 0;
}
