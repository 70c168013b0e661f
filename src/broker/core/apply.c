/* Hub commands: an operation on each connection of a scope. */
#include "base/utf8.h"
#include "broker/core/farewell.h"
#include "broker/core/group_state.h"
#include "broker/core/listing.h"
#include "broker/core/walk.h"
#include "broker/filter/filter.h"

/* A REST caller's close reason is cut here, so that the log and the frame stay readable. */
#define REASON_MAX 1024
#define REASON_TEXT_MAX (REASON_MAX + 64) /* with what stands in front of it */
#define REASON_FIXED "Application server closed the connection."

/* --- Operations ------------------------------------------------------------ */

static struct frame *encode(const struct format *format, const struct message *m)
{
    struct frame *f = format->message(m);

    if (f)
        f->expires_ms = m->expires_ms;
    return f;
}

static void send_to(struct walk *w, struct session *s)
{
    struct frame **f = &w->frames[s->format->index];

    /* The end of a stream has no data, so a client that knows no streams gets nothing. */
    if (w->cmd->message->stream.end && !s->format->stream_closed)
        return;
    if (!*f)
        *f = encode(s->format, w->cmd->message);
    if (*f)
        session__deliver(s, *f);
    else
        session__end(s, &farewell_memory); /* better than a gap that nobody sees */
}

static void count_only(struct walk *w, struct session *s)
{
    (void)w;
    (void)s;
}

/* Of a command, the log names the first. A call for one connection is refused, and told of
 * by whoever answers it. */
static void join_too_many(struct walk *w, struct session *s)
{
    if (!w->result.conflict && w->cmd->scope != SCOPE_CONNECTION)
        log__warn(s->core->config.log, LOG_FIELDS("hub", s->hub->name, "connection", s->id),
                  "the connection, and maybe others, is not added to groups: it is in %zu of them; "
                  "limits.groupsPerConnection allows more",
                  (size_t)s->groups.count);
    w->result.conflict = true;
}

static void join(struct walk *w, struct session *s)
{
    for (size_t i = 0; i < w->cmd->group_count && !s->ended; i++) {
        switch (group__join(w->hub, s, w->cmd->groups[i])) {
        case PH_OK:
            break;
        case PH_ERR_LIMIT:
            join_too_many(w, s);
            break;
        default:
            session__end(s, &farewell_memory);
        }
    }
}

static void leave(struct walk *w, struct session *s)
{
    for (size_t i = 0; i < w->cmd->group_count; i++)
        group__leave(w->hub, s, w->cmd->groups[i]);
    if (w->cmd->group_count == 0)
        group__leave_all(w->hub, s);
}

static void close_it(struct walk *w, struct session *s)
{
    session__end(s, &w->close);
}

static void permit(struct walk *w, struct session *s, bool allow)
{
    const struct core_config *config = &s->core->config;

    switch (permissions__set(&s->permissions, w->cmd->action, w->cmd->target, allow,
                             &config->limits.permissions, &config->seed)) {
    case PH_OK:
        break;
    case PH_ERR_MEMORY:
        session__end(s, &farewell_memory); /* better than one who may do too much */
        break;
    default:
        w->result.conflict = true;
    }
}

static void grant(struct walk *w, struct session *s)
{
    permit(w, s, true);
}

static void revoke(struct walk *w, struct session *s)
{
    permit(w, s, false);
}

static void may(struct walk *w, struct session *s)
{
    if (!permissions__allow(&s->permissions, w->cmd->action, w->cmd->target))
        w->result.matched--;
}

static void list(struct walk *w, struct session *s)
{
    struct listing **l = &w->result.listing;

    if (w->cmd->after.ptr && listing__compare(session__id(s), w->cmd->after) <= 0)
        return;
    if (!*l)
        *l = listing__new(w->cmd->limit);
    if (!*l || !listing__offer(*l, session__id(s), session__user(s)))
        w->result.failed = true;
}

static void (*const operations[])(struct walk *, struct session *) = {
    [HUB_SEND] = send_to,  [HUB_EXISTS] = count_only, [HUB_JOIN] = join,
    [HUB_LEAVE] = leave,   [HUB_CLOSE] = close_it,    [HUB_GRANT] = grant,
    [HUB_REVOKE] = revoke, [HUB_MAY] = may,           [HUB_LIST] = list,
};

/* --- Filters --------------------------------------------------------------- */

static bool in_group(const void *ctx, struct str name)
{
    const struct session *s = ctx;
    const struct group *g = map__get(&s->hub->groups, name);

    return g && memberships__find(&s->groups, g) != MEMBERSHIP_NONE;
}

static bool passes(struct walk *w, const struct session *s)
{
    const struct filter_subject subject = {.connection_id = session__id(s),
                                           .user_id = session__user(s),
                                           .protocol = str__of(s->format->subprotocol),
                                           .group_count = s->groups.count,
                                           .in_group = in_group,
                                           .ctx = s};

    return filter__match(w->cmd->filter, &subject, &w->work);
}

void walk__visit(struct walk *w, struct session *s)
{
    if (s->ended || s->excluded || (w->cmd->filter && !passes(w, s)))
        return;
    w->result.matched++;
    w->work += walk__groups_work(w->hub, w->cmd, s->groups.count);
    operations[w->cmd->op](w, s);
}

/* --- Scopes ---------------------------------------------------------------- */

static void walk_hub(struct walk *w)
{
    struct session *s;

    for (uint32_t at = 0; (s = map__next(&w->hub->connections, &at));)
        walk__visit(w, s);
}

/* From the end, so that a member may leave while it is visited: whoever takes its place
 * was visited before. The group itself may go with its last member. */
static void walk_group(struct walk *w)
{
    struct group *g = map__get(&w->hub->groups, w->cmd->name);

    for (uint32_t i = g ? g->count : 0; i-- > 0;) {
        group__fetch_ahead(g, i);
        walk__visit(w, g->members[i].session);
    }
}

static void walk_user(struct walk *w)
{
    struct user *u = map__get(&w->hub->users, w->cmd->name);

    for (struct session *s = u ? u->first : NULL; s; s = s->user_next)
        walk__visit(w, s);
}

static void walk_connection(struct walk *w)
{
    struct session *s = map__get(&w->hub->connections, w->cmd->name);

    if (s)
        walk__visit(w, s);
}

static void (*const scopes[])(struct walk *) = {
    [SCOPE_HUB] = walk_hub,
    [SCOPE_GROUP] = walk_group,
    [SCOPE_USER] = walk_user,
    [SCOPE_CONNECTION] = walk_connection,
};

/* To know that there is one, the first one will do. */
static void look_for_one(struct walk *w)
{
    struct group *g = w->cmd->scope == SCOPE_GROUP ? map__get(&w->hub->groups, w->cmd->name) : NULL;
    struct user *u = w->cmd->scope == SCOPE_USER ? map__get(&w->hub->users, w->cmd->name) : NULL;

    for (uint32_t i = g ? g->count : 0; i-- > 0 && w->result.matched == 0;)
        walk__visit(w, g->members[i].session);
    for (struct session *s = u ? u->first : NULL; s && w->result.matched == 0; s = s->user_next)
        walk__visit(w, s);
}

/* --- The command ----------------------------------------------------------- */

/* A mark on each excluded session costs the others one look at memory that they need
 * anyway, however many are excluded. */
static void mark_excluded(struct walk *w, bool excluded)
{
    for (size_t i = 0; i < w->cmd->excluded_count; i++) {
        struct session *s = map__get(&w->hub->connections, w->cmd->excluded[i]);

        if (s)
            s->excluded = excluded;
    }
}

/* Closed by REST: code 1000, no text, and a frame that says who did it
 * (client-and-rest section 3; official-emulator section 2.7). */
static void word_close(struct walk *w)
{
    struct str reason = utf8__cut(w->cmd->reason, REASON_MAX);
    struct buf *text = &w->close_text;

    buf__str(text, STR(REASON_FIXED));
    if (reason.len > 0)
        buf__printf(text, " Reason: %.*s", STR_FMT(reason));
    w->close = (struct close_reason){
        .code = 1000,
        .text = STR(""),
        .message = text->failed ? STR(REASON_FIXED) : buf__view(text),
        .category = STR("ClosedByAppServer"),
        .upstream = text->failed ? STR(REASON_FIXED) : buf__view(text),
    };
}

void walk__begin(struct walk *w, struct hub *hub, const struct hub_command *cmd)
{
    *w = (struct walk){.cmd = cmd, .hub = hub};
    buf__init(&w->close_text, REASON_TEXT_MAX);
    if (cmd->op == HUB_CLOSE)
        word_close(w);
}

void walk__enter(struct walk *w)
{
    mark_excluded(w, true);
}

void walk__leave(struct walk *w)
{
    mark_excluded(w, false);
}

void walk__end(struct walk *w)
{
    for (size_t i = 0; i < FORMAT_COUNT; i++)
        frame__unref(w->frames[i]);
    buf__free(&w->close_text);
    if (w->result.listing)
        listing__sort(w->result.listing);
}

void hub_result__free(struct hub_result *result)
{
    listing__free(result->listing);
    result->listing = NULL;
}

void core__apply(struct core *core, const struct hub_command *cmd, struct hub_result *result)
{
    struct hub *hub = map__get(&core->hubs, cmd->hub);
    struct walk w;

    if (result)
        *result = (struct hub_result){0};
    if (cmd->op == HUB_SET_GROUP_STATE) { /* of one connection, which is rarely on this shard */
        group_state__apply(core, cmd);
        return;
    }
    if (!hub)
        return;
    walk__begin(&w, hub, cmd);
    core__enter(core);
    walk__enter(&w);
    if (cmd->op == HUB_EXISTS && (cmd->scope == SCOPE_GROUP || cmd->scope == SCOPE_USER))
        look_for_one(&w);
    else
        scopes[cmd->scope](&w);
    walk__leave(&w);
    core__leave(core);
    walk__end(&w);
    if (result)
        *result = w.result;
    else
        hub_result__free(&w.result);
}
