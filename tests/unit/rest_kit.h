/* The REST API without its sockets: a test judges a request, and looks at the command or the
 * answer. */
#ifndef TESTS_UNIT_REST_KIT_H
#define TESTS_UNIT_REST_KIT_H

#include "unit.h"

#include "base/json.h"
#include "base/jwt.h"
#include "broker/rest/rest.h"

#include <stdio.h>

#define NOW 1800000000
#define MAX_BODY (1u << 20)
#define OWN "127.0.0.1:8080"
#define HOST "http://localhost:8080"
#define TEXT "Content-Type: text/plain\n"

#define SEND_TEXT "POST", "/api/hubs/chat/:send", TEXT

struct fixture {
    struct arena arena;
    struct settings settings;
    struct rest_call call;
    struct buf token;
    struct diag diag;
    struct rest_world world;
    struct entra *entra; /* of tests with tokens of Microsoft Entra */
};

/* For cmocka: *state is a fixture with the default key and limits. */
int kit__set_up(void **state);
int kit__tear_down(void **state);
/* An Authorization for this URL. */
struct str kit__bearer(struct fixture *f, const char *aud);
/* Judges a request and its body; returns the status, or 0 when there is a command. */
int kit__call(struct fixture *f, const char *method, const char *target, const char *headers,
              struct str body);
/* The command has been carried out. Returns the status. */
int kit__finish(struct fixture *f, size_t matched);
/* Of the answer. */
struct str kit__header(struct fixture *f, const char *name);
void kit__error_is(struct fixture *f, const char *code, const char *target);

#endif
