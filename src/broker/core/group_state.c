#include "broker/core/group_state.h"

#include "broker/core/farewell.h"
#include "broker/core/state.h"

#include <stdlib.h>

#define FIRST_SIZE 4

struct group_state {
    atomic_uint refs;
    struct group_state_item item;
    struct metadata_entry entries[]; /* and the texts behind them */
};

/* A state in a room. */
struct kept {
    struct group_state *state;
    uint32_t place; /* in the room's order */
};

/* GROUP_STATE_FRAME_ITEMS states that follow each other in the room's order, as they go out:
 * encoded when somebody subscribes, and kept until one of them changes. Subscribing again and
 * again hence costs no more than the queue's places, and a change no more than its page. */
struct page {
    struct frame *frames[FORMAT_COUNT];
};

/* The states and the subscribers of one group, on one shard. */
struct state_room {
    struct map states;    /* struct kept by connection id, of all shards */
    struct kept **order;  /* all of them; the last takes the place of one that goes */
    struct page *pages;   /* of `order` */
    uint32_t size;        /* of `order` */
    struct link watchers; /* struct presence, of this shard's subscribers */
    uint32_t presences;   /* of this shard's sessions */
    size_t name_len;
    char name[];
};

/* A session's part in a room: it has a state there, or has subscribed, or is about to. */
struct presence {
    struct presence *next; /* of the same session */
    struct link watching;  /* on room->watchers, or alone */
    struct session *session;
    struct state_room *room;
    bool has_state;
};

struct own_states {
    struct presence *first;
    uint32_t count;
    int64_t updated_ms; /* of the newest change */
};

/* --- A change -------------------------------------------------------------------- */

static struct group_state *new_state(const struct group_state_item *draft)
{
    size_t entries = draft->state.count * sizeof(*draft->state.items);
    struct group_state *g = malloc(sizeof(*g) + entries + metadata__bytes(&draft->state) +
                                   draft->connection_id.len + draft->user_id.len);
    char *at;

    if (!g)
        return NULL;
    atomic_init(&g->refs, 1);
    g->item = *draft;
    at = (char *)g->entries + entries;
    g->item.connection_id = str__place(&at, draft->connection_id);
    g->item.user_id = str__place(&at, draft->user_id);
    for (size_t i = 0; i < draft->state.count; i++)
        g->entries[i] = (struct metadata_entry){str__place(&at, draft->state.items[i].name),
                                                str__place(&at, draft->state.items[i].value)};
    g->item.state.items = g->entries;
    return g;
}

struct group_state *group_state__ref(struct group_state *g)
{
    atomic_fetch_add_explicit(&g->refs, 1, memory_order_relaxed);
    return g;
}

void group_state__unref(struct group_state *g)
{
    if (g && atomic_fetch_sub_explicit(&g->refs, 1, memory_order_acq_rel) == 1)
        free(g);
}

size_t group_state__size(const struct group_state *g)
{
    return sizeof(*g) + g->item.state.count * sizeof(*g->entries) + metadata__bytes(&g->item.state);
}

/* --- Rooms ----------------------------------------------------------------------- */

static struct str state_key(const void *state)
{
    return ((const struct kept *)state)->state->item.connection_id;
}

struct str state_room__key(const void *room)
{
    const struct state_room *r = room;

    return str__n(r->name, r->name_len);
}

static struct state_room *room_get(struct core *core, struct hub *hub, struct str name)
{
    struct state_room *room = map__get(&hub->state_rooms, name);

    if (room)
        return room;
    room = calloc(1, sizeof(*room) + name.len);
    if (!room)
        return NULL;
    map__init(&room->states, state_key, &core->config.seed);
    list__init(&room->watchers);
    room->name_len = name.len;
    memcpy(room->name, name.ptr, name.len);
    if (!map__add(&hub->state_rooms, room)) {
        free(room);
        return NULL;
    }
    return room;
}

static uint32_t page_count(uint32_t states)
{
    return (states + GROUP_STATE_FRAME_ITEMS - 1) / GROUP_STATE_FRAME_ITEMS;
}

static void clear_page(struct page *page)
{
    for (size_t i = 0; i < FORMAT_COUNT; i++) {
        frame__unref(page->frames[i]);
        page->frames[i] = NULL;
    }
}

void state_room__free(struct state_room *room)
{
    for (uint32_t i = 0; i < room->states.count; i++) {
        group_state__unref(room->order[i]->state);
        free(room->order[i]);
    }
    for (uint32_t i = 0; i < page_count(room->size); i++)
        clear_page(&room->pages[i]);
    map__free(&room->states);
    free(room->order);
    free(room->pages);
    free(room);
}

/* Frees a room that nobody has anything to do with. */
static void room_release(struct hub *hub, struct state_room *room)
{
    if (room->presences > 0 || room->states.count > 0)
        return;
    map__remove(&hub->state_rooms, state_room__key(room));
    state_room__free(room);
}

/* --- A session's part in rooms ------------------------------------------------------ */

/* A session has few: they are limited. */
static struct presence *find(const struct session *s, struct str group)
{
    struct presence *p = s->states ? s->states->first : NULL;

    while (p && !str__eq(state_room__key(p->room), group))
        p = p->next;
    return p;
}

static struct presence *enter(struct session *s, struct str group)
{
    struct presence *p = find(s, group);
    struct state_room *room;

    if (p)
        return p;
    if (!s->states && !(s->states = calloc(1, sizeof(*s->states))))
        return NULL;
    room = room_get(s->core, s->hub, group);
    p = room ? malloc(sizeof(*p)) : NULL;
    if (!p) {
        if (room)
            room_release(s->hub, room);
        return NULL;
    }
    *p = (struct presence){.next = s->states->first, .session = s, .room = room};
    list__init(&p->watching);
    s->states->first = p;
    s->states->count++;
    room->presences++;
    return p;
}

/* Forgets a part that is neither state nor subscription any more. */
static void settle(struct session *s, struct presence *p)
{
    struct presence **at = &s->states->first;

    if (p->has_state || !list__empty(&p->watching))
        return;
    while (*at != p)
        at = &(*at)->next;
    *at = p->next;
    s->states->count--;
    p->room->presences--;
    room_release(s->hub, p->room);
    free(p);
}

void own_states__free(struct own_states *own)
{
    struct presence *p;

    while (own && (p = own->first)) {
        own->first = p->next;
        free(p);
    }
    free(own);
}

static bool has_room_for(const struct session *s, struct str group)
{
    return !s->states || s->states->count < s->core->config.limits.states_per_connection ||
           find(s, group);
}

/* --- Telling ---------------------------------------------------------------------- */

static void tell(struct state_room *room, const struct group_state_item *item)
{
    struct frame *frames[FORMAT_COUNT] = {NULL};

    for (struct link *l = room->watchers.next; l != &room->watchers; l = l->next) {
        struct session *s = LIST_ITEM(l, struct presence, watching)->session;
        struct frame **f = &frames[s->format->index];

        if (!*f)
            *f = s->format->group_state(false, state_room__key(room), item, 1);
        if (*f)
            session__deliver(s, *f);
        else
            session__end(s, &farewell_memory); /* better than a gap that nobody sees */
    }
    for (size_t i = 0; i < FORMAT_COUNT; i++)
        frame__unref(frames[i]);
}

static int by_connection(const void *a, const void *b)
{
    struct str x = ((const struct group_state_item *)a)->connection_id;
    struct str y = ((const struct group_state_item *)b)->connection_id;
    int order = memcmp(x.ptr, y.ptr, x.len < y.len ? x.len : y.len);

    return order != 0 ? order : (x.len > y.len) - (x.len < y.len);
}

static struct frame *encode_page(const struct state_room *room, uint32_t page,
                                 const struct format *format)
{
    struct group_state_item items[GROUP_STATE_FRAME_ITEMS];
    uint32_t first = page * GROUP_STATE_FRAME_ITEMS, count = 0;

    while (count < GROUP_STATE_FRAME_ITEMS && first + count < room->states.count) {
        items[count] = room->order[first + count]->state->item;
        count++;
    }
    qsort(items, count, sizeof(*items), by_connection);
    return format->group_state(page == 0, state_room__key(room), items, count);
}

static void tell_page(struct session *s, struct state_room *room, uint32_t page)
{
    struct frame **f = &room->pages[page].frames[s->format->index];

    if (!*f)
        *f = encode_page(room, page, s->format);
    if (*f)
        session__deliver(s, *f);
    else
        session__end(s, &farewell_memory);
}

void group_state__tell_all(struct session *s, struct str group)
{
    struct state_room *room = find(s, group)->room;
    uint32_t pages = page_count(room->states.count);

    if (pages == 0)
        session__deliver_new(s, encode_page(room, 0, s->format));
    for (uint32_t i = 0; i < pages && !s->ended; i++)
        tell_page(s, room, i);
}

/* --- Changes ----------------------------------------------------------------------- */

static bool is_member(const struct session *s, struct str group)
{
    const struct group *g = map__get(&s->hub->groups, group);

    return g && memberships__find(&s->groups, g) != MEMBERSHIP_NONE;
}

/* Keys differ, so more than this many take too many bytes; all but one of them have one. */
static bool is_too_large(const struct metadata *state)
{
    return state->count > GROUP_STATE_MAX_BYTES + 1 ||
           metadata__bytes(state) > GROUP_STATE_MAX_BYTES;
}

static bool is_full(const struct session *s, struct str group)
{
    const struct state_room *room = map__get(&s->hub->state_rooms, group);

    return room && room->states.count >= s->core->config.limits.states_per_group &&
           !map__get(&room->states, session__id(s));
}

static const struct ack_error too_many = {
    "BadRequest", STR("The connection has states or subscriptions in too many groups.")};

const struct ack_error *group_state__refusal(const struct session *s, const struct command *cmd)
{
    static const struct ack_error no_member = {"Forbidden", STR("Not a member of group.")};
    static const struct ack_error too_large = {
        "BadRequest", STR("State payload exceeds maximum size 512 bytes.")};
    static const struct ack_error full = {"BadRequest",
                                          STR("Too many connections have a state in this group.")};

    if (!is_member(s, cmd->group))
        return &no_member;
    if (!cmd->has_state)
        return NULL;
    if (is_too_large(&cmd->state))
        return &too_large;
    if (!has_room_for(s, cmd->group))
        return &too_many;
    return is_full(s, cmd->group) ? &full : NULL;
}

/* Later than the connection's last change, even if the clock was set back: clients ignore
 * what is older than what they have. */
static int64_t next_time(struct session *s)
{
    const struct core_config *config = &s->core->config;
    int64_t now = config->ops->unix_ms(config->ctx);
    int64_t *last = &s->states->updated_ms;

    return *last = now > *last ? now : *last + 1;
}

struct group_state *group_state__draft(struct session *s, const struct command *cmd)
{
    struct presence *p = enter(s, cmd->group);
    struct group_state *g;

    if (!p)
        return NULL;
    g = new_state(&(struct group_state_item){.connection_id = session__id(s),
                                             .user_id = session__user(s),
                                             .has_state = cmd->has_state,
                                             .state = cmd->has_state ? cmd->state
                                                                     : (struct metadata){NULL, 0},
                                             .updated_ms = next_time(s)});
    if (!g)
        settle(s, p);
    return g;
}

static void forget_page(struct state_room *room, uint32_t place)
{
    clear_page(&room->pages[place / GROUP_STATE_FRAME_ITEMS]);
}

static bool make_place(struct state_room *room)
{
    uint32_t had = page_count(room->size), size = room->size ? room->size * 2 : FIRST_SIZE;
    struct kept **order;
    struct page *pages;

    if (room->states.count < room->size)
        return true;
    order = realloc(room->order, size * sizeof(struct kept *));
    if (!order)
        return false;
    room->order = order;
    pages = realloc(room->pages, page_count(size) * sizeof(*pages));
    if (!pages)
        return false;
    memset(pages + had, 0, (page_count(size) - had) * sizeof(*pages));
    room->pages = pages;
    room->size = size;
    return true;
}

static bool add_state(struct state_room *room, struct group_state *g)
{
    uint32_t place = room->states.count;
    struct kept *k = make_place(room) ? malloc(sizeof(*k)) : NULL;

    if (!k)
        return false;
    *k = (struct kept){g, place};
    if (!map__add(&room->states, k)) {
        free(k);
        return false;
    }
    group_state__ref(g);
    room->order[place] = k;
    forget_page(room, place);
    return true;
}

static void remove_state(struct state_room *room, struct kept *k)
{
    uint32_t last;

    map__remove(&room->states, state_key(k));
    last = room->states.count;
    forget_page(room, k->place);
    forget_page(room, last);
    room->order[k->place] = room->order[last];
    room->order[k->place]->place = k->place;
    group_state__unref(k->state);
    free(k);
}

/* Its key is equal text, so the map does not notice. */
static void replace_state(struct state_room *room, struct kept *k, struct group_state *g)
{
    group_state__unref(k->state);
    k->state = group_state__ref(g);
    forget_page(room, k->place);
}

static void keep(struct core *core, struct state_room *room, struct group_state *g)
{
    struct kept *k = map__get(&room->states, g->item.connection_id);

    if (k && g->item.has_state)
        replace_state(room, k, g);
    else if (k)
        remove_state(room, k);
    else if (g->item.has_state && !add_state(room, g))
        log__error(core->config.log, LOG_NONE,
                   "out of memory: who subscribes to the states of a group will miss one");
}

void group_state__apply(struct core *core, const struct hub_command *cmd)
{
    struct group_state *g = cmd->state;
    bool sets = g->item.has_state;
    struct hub *hub = sets ? hub__get(core, cmd->hub) : map__get(&core->hubs, cmd->hub);
    struct state_room *room = NULL;

    core__enter(core);
    if (hub)
        room = sets ? room_get(core, hub, cmd->name) : map__get(&hub->state_rooms, cmd->name);
    if (room) {
        keep(core, room, g);
        tell(room, &g->item);
        room_release(hub, room);
    } else if (sets) {
        log__error(core->config.log, LOG_NONE, "out of memory: the state of a connection is lost");
    }
    if (hub)
        hub__release(core, hub);
    core__leave(core); /* with a session that was told and ended, its hub may go */
}

static void announce(struct session *s, struct state_room *room, struct group_state *g)
{
    struct core *core = s->core;
    const struct hub_command cmd = {.op = HUB_SET_GROUP_STATE,
                                    .scope = SCOPE_GROUP,
                                    .hub = session__hub(s),
                                    .name = state_room__key(room),
                                    .state = g};

    group_state__apply(core, &cmd);
    core->config.ops->publish(core->config.ctx, &cmd);
}

void group_state__change(struct session *s, struct str group, struct group_state *g)
{
    struct presence *p = find(s, group);

    if (!s->ended && (g->item.has_state || p->has_state)) {
        p->has_state = g->item.has_state;
        announce(s, p->room, g);
    }
    group_state__unref(g);
    settle(s, p);
}

static void clear(struct session *s, struct presence *p)
{
    struct group_state *g = new_state(&(struct group_state_item){
        .connection_id = session__id(s), .user_id = session__user(s), .updated_ms = next_time(s)});

    p->has_state = false;
    if (g)
        announce(s, p->room, g);
    else
        log__error(s->core->config.log, LOG_FIELDS("hub", s->hub->name, "connection", s->id),
                   "out of memory: subscribers will not learn that its state of a group is gone");
    group_state__unref(g);
}

void group_state__left(struct session *s, struct str group)
{
    struct presence *p = find(s, group);

    if (!p || !p->has_state)
        return;
    clear(s, p);
    settle(s, p);
}

void group_state__end(struct session *s)
{
    struct presence *p;

    while (s->states && (p = s->states->first)) {
        list__remove(&p->watching);
        if (p->has_state)
            clear(s, p);
        settle(s, p);
    }
    own_states__free(s->states);
    s->states = NULL;
}

/* --- Subscriptions ------------------------------------------------------------------ */

const struct ack_error *group_state__subscribe_refusal(const struct session *s, struct str group)
{
    return has_room_for(s, group) ? NULL : &too_many;
}

bool group_state__subscribe(struct session *s, struct str group)
{
    struct presence *p = enter(s, group);

    if (!p)
        return false;
    list__remove(&p->watching);
    list__append(&p->room->watchers, &p->watching);
    return true;
}

void group_state__unsubscribe(struct session *s, struct str group)
{
    struct presence *p = find(s, group);

    if (!p)
        return;
    list__remove(&p->watching);
    settle(s, p);
}
