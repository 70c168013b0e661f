#include "broker/net/recovery.h"

#include "base/clock.h"
#include "base/names.h"
#include "broker/core/access.h"
#include "broker/core/connection_id.h"
#include "broker/net/relay.h"
#include "ws/ws.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define TOKEN_MAX (4u << 10)

/* A descriptor on its way to the shard of its session. */
struct recovery {
    struct letter letter;
    int fd;
    struct str hub, connection_id, early; /* in `text` */
    char text[];
};

static bool make_token(struct shard *s, struct session *session, struct buf *out)
{
    const struct format *format = session__format(session);

    buf__init(out, TOKEN_MAX);
    if (format->reliable)
        access__make_reconnection_token(out, session__id(session), format->subprotocol,
                                        s->settings->keys[0], clock__unix_ms() / 1000);
    return !out->failed;
}

bool recovery__attach(struct shard *s, struct session *session, int fd, struct str early)
{
    unsigned keep_alive = settings__hub(s->settings, session__hub(session))->keep_alive_seconds;
    struct transport *t = transport__new(&s->transports, fd, session, keep_alive);
    struct buf token;
    bool attached;

    if (!t)
        return false;
    attached = make_token(s, session, &token);
    if (attached) {
        session__attach(session, t, token.len > 0 ? buf__view(&token) : STR_NONE);
        transport__start(t, early);
    } else {
        transport__abort(t);
    }
    buf__free(&token);
    return attached;
}

/* For the log. */
static void name_both(struct str hub, struct str id, char hub_name[NAMES_HUB_MAX + 1],
                      char connection[CONNECTION_ID_LEN + 1])
{
    snprintf(hub_name, NAMES_HUB_MAX + 1, "%.*s", STR_FMT(hub));
    snprintf(connection, CONNECTION_ID_LEN + 1, "%.*s", STR_FMT(id));
}

static void refuse(struct shard *s, struct str hub, struct str id, int fd, const char *why)
{
    char connection[CONNECTION_ID_LEN + 1], hub_name[NAMES_HUB_MAX + 1];

    name_both(hub, id, hub_name, connection);
    log__info(s->broker->log, LOG_FIELDS("hub", hub_name, "connection", connection),
              "recovery refused with 1008, so that the client makes a new connection: %s", why);
    metrics__add(s->metrics, METRIC_RECOVERY_REFUSED, 1);
    transport__refuse(&s->transports, fd, WS_CLOSE_POLICY,
                      STR("The connection could not be recovered."));
}

/* The descriptor is closed already, and the client comes again. */
static void tell_lost(struct shard *s, struct str hub, struct str id)
{
    char connection[CONNECTION_ID_LEN + 1], hub_name[NAMES_HUB_MAX + 1];

    name_both(hub, id, hub_name, connection);
    log__error(s->broker->log, LOG_FIELDS("hub", hub_name, "connection", connection),
               "client lost at its recovery: out of memory or descriptors");
}

static void recover(struct shard *s, struct str hub, struct str id, int fd, struct str early)
{
    struct session *session = core__find(s->core, hub, id);

    if (!session || !session__format(session)->reliable)
        refuse(s, hub, id, fd, "there is no such connection, or its time for recovery is over");
    else if (recovery__attach(s, session, fd, early))
        metrics__add(s->metrics, METRIC_RECOVERED, 1);
    else
        tell_lost(s, hub, id);
}

static void open_recovery(struct letter *letter, void *reader)
{
    struct recovery *r = (struct recovery *)letter;

    if (reader)
        recover(reader, r->hub, r->connection_id, r->fd, r->early);
    else
        close(r->fd);
    free(r);
}

static void travel(struct shard *s, struct shard *to, struct str hub, struct str id, int fd,
                   struct str early)
{
    struct recovery *r = malloc(sizeof(*r) + hub.len + id.len + early.len);
    char *at;

    if (!r) {
        close(fd);
        tell_lost(to, hub, id);
        return;
    }
    at = r->text;
    r->letter.open = open_recovery;
    r->fd = fd;
    r->hub = str__place(&at, hub);
    r->connection_id = str__place(&at, id);
    r->early = str__place(&at, early);
    relay__post(s, to, &r->letter);
}

static bool token_ok(struct shard *s, struct str id, struct str token, struct diag *diag)
{
    const struct settings *settings = s->settings;
    const struct jwt_rules rules = {.keys = settings->keys,
                                    .key_count = settings->key_count,
                                    .now = clock__unix_ms() / 1000,
                                    .skew = ACCESS_SKEW_SECONDS};
    struct arena arena;
    bool ok;

    arena__init(&arena, NULL, 0, 4 * JWT_MAX_LEN);
    ok = access__check_reconnection_token(&arena, token, id, &rules, diag) == PH_OK;
    arena__free(&arena);
    return ok;
}

void recovery__begin(struct shard *s, struct str hub, struct str connection_id, struct str token,
                     int fd, struct str early)
{
    struct diag diag = {""};
    uint16_t node;
    uint8_t owner;

    if (!connection_id__owner(connection_id, &node, &owner) || node != 0 ||
        owner >= s->broker->shard_count)
        refuse(s, hub, connection_id, fd, "the connection id is none of this broker's");
    else if (!token_ok(s, connection_id, token, &diag))
        refuse(s, hub, connection_id, fd, diag.text);
    else if (owner == s->index)
        recover(s, hub, connection_id, fd, early);
    else
        travel(s, s->broker->shards[owner], hub, connection_id, fd, early);
}
