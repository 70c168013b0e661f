/* What the files of this folder share. */
#ifndef BROKER_UPSTREAM_STATE_H
#define BROKER_UPSTREAM_STATE_H

#include "base/deadlines.h"
#include "broker/upstream/queued_event.h"

struct upstream {
    struct upstream_config config;
    struct deadlines deadlines; /* of exchanges */
    struct deadlines gate_deadlines;
    struct map gates; /* of event handlers, by identity */
    struct {          /* the last that was looked for: most events are for the same handler */
        const struct event_handler *handler; /* in the settings; NULL: none */
        struct gate *gate;
    } recent;
    bool gates_unused;      /* of former settings; they go at the next tick */
    struct map validations; /* validation URL -> struct validation */
    struct upstream_peer *peers;
    struct spare_events spare_events;
    unsigned settings_count; /* how often the settings have changed */
    size_t pending;
};

#endif
