/* The broker's way to event handlers under a fake shell and a fake clock: each test
 * raises events, looks at what the shell was asked to send, and plays the handler. */
#ifndef TESTS_UNIT_UPSTREAM_KIT_H
#define TESTS_UNIT_UPSTREAM_KIT_H

#include "unit.h"

#include "broker/upstream/upstream.h"

#include <stdio.h>
#include <stdlib.h>

#define URL "http://h:80/eh/{event}?code=secret"
#define MAX_SENT 600

/* One request that the shell was asked to send, as copies. */
struct sent {
    struct exchange *x; /* NULL: answered or cancelled */
    char method[8];
    char url[256];
    char id[24], event[64], type[64], bearer[16], names[512], origin[32], source[96],
        content_type[64], guid[40], state[64], cookie[128], signature[160], user[64];
    char body[128], trace[64];
    bool has_state;
    void *app;
    int64_t timeout_ms;
};

struct told {
    int calls;
    int status; /* connect */
    bool success, no_handler;
    uint64_t ticket;
    bool answered; /* there was an answer */
    char data[64], user[64], why[1024];
};

struct fixture {
    struct settings settings;
    struct hub_settings hubs[2];
    struct event_handler handlers[3];
    struct upstream *up;
    struct metrics *metrics;
    struct ph_log *log;
    char logged[4096];
    struct sent sent[MAX_SENT];
    int sent_count, cancelled;
    bool send_fails;
    const char *token; /* of handlers that have one; NULL: none */
    int refused_tokens;
    unsigned guids;
    struct upstream_outage shared, *outage; /* NULL: none */
    struct told connect, event;
    struct upstream_peer *peer; /* what the callbacks below act on */
    bool disconnect_in_callback, event_in_callback;
    int64_t now;
};

/* For cmocka: *state is a fixture whose hub "chat" has a handler at URL, and whose hub "bare"
 * has none. */
int kit__set_up(void **state);
int kit__tear_down(void **state);
/* The clock is `now`; what is due is done. Returns the next deadline. */
int64_t kit__tick(struct fixture *f);
/* ... so many milliseconds later. */
int64_t kit__after(struct fixture *f, int64_t ms);
/* The handler: what it was sent, and what it says. */
struct sent *kit__last_sent(struct fixture *f);
void kit__report(struct fixture *f, struct sent *s, const struct exchange_result *result);
void kit__answer_with(struct fixture *f, struct sent *s, int status, const char *name,
                      const char *value, const char *body);
void kit__answer(struct fixture *f, struct sent *s, int status);
void kit__break_off(struct fixture *f, struct sent *s, bool transient);
/* To the validation. */
void kit__consent(struct fixture *f);
/* Nobody answers any of the four tries of what was sent last. */
void kit__nobody_answers(struct fixture *f);
/* The clients. */
struct upstream_peer *kit__connect_as(struct fixture *f, const char *hub, const char *id);
/* ... one that is connected, to a handler that has consented. */
struct upstream_peer *kit__established(struct fixture *f);
/* False: the event was not taken. */
bool kit__raise_event(struct fixture *f, struct upstream_peer *p, const char *name,
                      enum ph_data_type type, struct str data, uint64_t ticket);
bool kit__message(struct fixture *f, struct upstream_peer *p, const char *data);
/* What was counted, and told. */
unsigned kit__failures(const struct fixture *f, enum metric_failure kind);
unsigned kit__outcomes(const struct fixture *f, enum metric_event event,
                       enum metric_outcome outcome);
unsigned kit__count_in_log(const struct fixture *f, const char *text);

#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, kit__set_up, kit__tear_down)

#endif
