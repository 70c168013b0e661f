#include "broker/net/relay.h"

#include "broker/core/connection_id.h"
#include "broker/core/group_state.h"
#include "broker/core/listing.h"
#include "broker/filter/filter.h"

#include <stdlib.h>

/* A call that waits for other shards; lives on the caller's shard. */
struct call {
    unsigned waiting;
    struct hub_result sum;
    relay_done_fn *done;
    void *arg;
};

/* A command on its way to another shard and, when somebody waits, back with the result. */
struct parcel {
    struct letter letter;
    struct shard *from, *to;
    struct call *call; /* NULL: nobody waits */
    struct hub_result result;
    struct hub_command command; /* its strings are in `text` */
    struct str *lists;          /* what `groups` and `excluded` of the command point to */
    char text[];
};

static void parcel_free(struct parcel *p)
{
    hub_result__free(&p->result);
    message__unref(p->command.message);
    filter__unref(p->command.filter);
    group_state__unref(p->command.state);
    free(p->lists);
    free(p);
}

/* What a parcel counts for at least: a small message to a large group takes long, too. */
#define MIN_SIZE (16u << 10)

/* What is published is delivered before it is more than a turn's worth for the receiver. */
#define BAG_SIZE (CORE_BURST * MIN_SIZE)

/* The strings of a command that a copy must hold, besides those in lists. */
#define STRING_COUNT 5

static void strings_of(struct hub_command *cmd, struct str *out[STRING_COUNT])
{
    out[0] = &cmd->hub;
    out[1] = &cmd->name;
    out[2] = &cmd->reason;
    out[3] = &cmd->target;
    out[4] = &cmd->after;
}

static size_t list_size(const struct str *items, size_t count)
{
    size_t size = 0;

    for (size_t i = 0; i < count; i++)
        size += items[i].len;
    return size;
}

static size_t text_size(const struct hub_command *cmd)
{
    return cmd->hub.len + cmd->name.len + cmd->reason.len + cmd->target.len + cmd->after.len +
           list_size(cmd->excluded, cmd->excluded_count) + list_size(cmd->groups, cmd->group_count);
}

static void copy_list(struct str *to, const struct str *from, size_t count, char **at)
{
    for (size_t i = 0; i < count; i++)
        to[i] = str__place(at, from[i]);
}

static bool copy_lists(struct parcel *p, char **at)
{
    struct hub_command *cmd = &p->command;
    size_t count = cmd->excluded_count + cmd->group_count;

    if (count == 0)
        return true;
    p->lists = malloc(count * sizeof(*p->lists));
    if (!p->lists)
        return false;
    copy_list(p->lists, cmd->excluded, cmd->excluded_count, at);
    copy_list(p->lists + cmd->excluded_count, cmd->groups, cmd->group_count, at);
    cmd->excluded = p->lists;
    cmd->groups = p->lists + cmd->excluded_count;
    return true;
}

/* The message counts in each, for the last one holds on to it alone. */
static size_t parcel_size(const struct hub_command *cmd)
{
    size_t size = sizeof(struct parcel) + text_size(cmd) +
                  (cmd->message ? cmd->message->data.len : 0) +
                  (cmd->state ? group_state__size(cmd->state) : 0);

    return size < MIN_SIZE ? MIN_SIZE : size;
}

static struct parcel *parcel_new(const struct hub_command *cmd)
{
    struct parcel *p = malloc(sizeof(*p) + text_size(cmd));
    struct str *strings[STRING_COUNT];
    char *at;

    if (!p)
        return NULL;
    *p = (struct parcel){.command = *cmd};
    strings_of(&p->command, strings);
    at = p->text;
    for (unsigned i = 0; i < STRING_COUNT; i++)
        *strings[i] = str__place(&at, *strings[i]);
    if (!copy_lists(p, &at)) {
        free(p);
        return NULL;
    }
    if (cmd->message)
        message__ref(cmd->message);
    if (cmd->filter)
        filter__ref(cmd->filter);
    if (cmd->state)
        group_state__ref(cmd->state);
    return p;
}

/* --- On the way --------------------------------------------------------------- */

static void add_result(struct hub_result *sum, struct hub_result *result)
{
    bool listed = sum->listing || result->listing;

    sum->matched += result->matched;
    sum->conflict |= result->conflict;
    sum->listing = listing__merge(sum->listing, result->listing);
    sum->failed |= result->failed || (listed && !sum->listing);
    result->listing = NULL;
}

static void settle(struct call *call, struct hub_result *result)
{
    add_result(&call->sum, result);
    if (--call->waiting > 0)
        return;
    call->done(call->arg, &call->sum);
    hub_result__free(&call->sum);
    free(call);
}

/* The broker has stopped; all threads have ended. */
static void drop_parcel(struct parcel *p)
{
    if (p->call && --p->call->waiting == 0) {
        hub_result__free(&p->call->sum);
        free(p->call);
    }
    parcel_free(p);
}

static void open_result(struct letter *letter, void *reader)
{
    struct parcel *p = (struct parcel *)letter;

    if (reader) {
        settle(p->call, &p->result);
        parcel_free(p);
    } else {
        drop_parcel(p);
    }
}

static void send_back(struct parcel *p)
{
    if (!p->call) {
        drop_parcel(p);
        return;
    }
    p->letter.open = open_result;
    relay__post(p->to, p->from, &p->letter);
}

static void on_walked(void *arg, struct hub_result *result)
{
    struct parcel *p = arg;

    if (!result) {
        drop_parcel(p);
        return;
    }
    p->result = *result;
    send_back(p);
}

/* One that would hold up the loop goes on beside it. Better late than never: without memory
 * for that it is done at once. */
static void apply_parcel(struct shard *s, struct parcel *p)
{
    if (core__takes_long(s->core, &p->command) && core__start(s->core, &p->command, on_walked, p))
        return;
    core__apply(s->core, &p->command, &p->result);
    send_back(p);
}

static void open_command(struct letter *letter, void *reader)
{
    struct parcel *p = (struct parcel *)letter;
    struct shard *s = reader;

    if (s)
        apply_parcel(s, p);
    else
        drop_parcel(p);
}

/* --- Who is concerned ------------------------------------------------------------ */

/* The shards from *first to *last (excluded) are concerned, maybe this one among them. */
static void concerned(const struct shard *s, const struct hub_command *cmd, size_t *first,
                      size_t *last)
{
    uint16_t node;
    uint8_t owner;

    *first = 0;
    *last = s->broker->shard_count;
    if (cmd->scope != SCOPE_CONNECTION)
        return;
    if (!connection_id__owner(cmd->name, &node, &owner) || node != 0 || owner >= *last) {
        *last = 0; /* no id of ours, so nobody has it */
        return;
    }
    *first = owner;
    *last = owner + 1u;
}

/* For one of the shards, in front of *out; false when memory is out. */
static bool pack_one(struct shard *from, struct shard *to, const struct hub_command *cmd,
                     struct call *call, struct letter **out)
{
    struct parcel *p = parcel_new(cmd);

    if (!p)
        return false;
    p->letter = (struct letter){.next = *out, .size = parcel_size(cmd), .open = open_command};
    p->from = from;
    p->to = to;
    p->call = call;
    *out = &p->letter;
    if (call)
        call->waiting++;
    return true;
}

/* Parcels for all other shards concerned, linked; false when memory is out. */
static bool pack(struct shard *s, const struct hub_command *cmd, struct call *call,
                 struct letter **out)
{
    size_t first, last;

    *out = NULL;
    concerned(s, cmd, &first, &last);
    for (size_t i = first; i < last; i++) {
        if (i != s->index && !pack_one(s, s->broker->shards[i], cmd, call, out))
            return false;
    }
    return true;
}

static void drop(struct letter *letters)
{
    while (letters) {
        struct letter *next = letters->next;

        parcel_free((struct parcel *)letters);
        letters = next;
    }
}

bool relay__congested(const struct shard *s)
{
    const struct broker *b = s->broker;

    for (size_t i = 0; i < b->shard_count; i++) {
        if (i != s->index && mailbox__waiting(&b->shards[i]->mailbox) > b->limits.mailbox_bytes)
            return true;
    }
    return false;
}

bool relay__open(struct shard *s)
{
    s->bags = calloc(s->broker->shard_count, sizeof(*s->bags));
    return s->bags;
}

void relay__close(struct shard *s)
{
    for (size_t i = 0; s->bags && i < s->broker->shard_count; i++)
        drop(s->bags[i].first);
    free(s->bags);
    s->bags = NULL;
    s->published = false;
}

void relay__deliver(struct shard *s)
{
    if (!s->published)
        return;
    s->published = false;
    for (size_t i = 0; i < s->broker->shard_count; i++)
        mailbox__post_all(&s->broker->shards[i]->mailbox, &s->bags[i]);
    if (relay__congested(s))
        poller__pause(&s->transports.poller, true); /* until the shard finds room again */
}

void relay__post(struct shard *from, struct shard *to, struct letter *letter)
{
    relay__deliver(from);
    shard__post(to, letter);
}

/* True when a bag is full. */
static bool put_in_bags(struct shard *s, struct letter *letters)
{
    bool full = false;

    while (letters) {
        struct letter *next = letters->next;
        struct postbag *bag = &s->bags[((struct parcel *)letters)->to->index];

        postbag__add(bag, letters);
        full = full || bag->size >= BAG_SIZE;
        letters = next;
    }
    s->published = true;
    return full;
}

static void post_all(struct shard *s, struct letter *letters)
{
    while (letters) {
        struct letter *next = letters->next;

        relay__post(s, ((struct parcel *)letters)->to, letters);
        letters = next;
    }
}

void relay__publish(struct shard *s, const struct hub_command *cmd)
{
    struct letter *letters;

    if (s->broker->shard_count == 1 || !s->bags)
        return;
    if (pack(s, cmd, NULL, &letters)) {
        if (put_in_bags(s, letters))
            relay__deliver(s);
        return;
    }
    drop(letters);
    log__error(s->broker->log, LOG_NONE,
               "out of memory: a message did not reach the clients on other threads");
}

static bool is_concerned(const struct shard *s, const struct hub_command *cmd)
{
    size_t first, last;

    concerned(s, cmd, &first, &last);
    return s->index >= first && s->index < last;
}

/* This shard's own part goes through its mailbox, too, behind what other shards have sent
 * before: what a caller does after a client had its ack comes after it everywhere. */
enum relay_outcome relay__call(struct shard *s, const struct hub_command *cmd,
                               struct hub_result *result, relay_done_fn *done, void *arg)
{
    bool here = is_concerned(s, cmd);
    struct letter *letters = NULL;
    struct call *call;

    *result = (struct hub_result){0};
    if (s->broker->shard_count == 1 && !(here && core__takes_long(s->core, cmd))) {
        if (here)
            core__apply(s->core, cmd, result);
        return RELAY_DONE;
    }
    call = calloc(1, sizeof(*call));
    if (!call || !pack(s, cmd, call, &letters) || (here && !pack_one(s, s, cmd, call, &letters))) {
        drop(letters);
        free(call);
        return RELAY_FAILED;
    }
    if (!letters) {
        free(call);
        return RELAY_DONE;
    }
    call->done = done;
    call->arg = arg;
    post_all(s, letters);
    return RELAY_WAIT;
}
