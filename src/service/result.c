#include "service/result.h"

#include "base/json.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define RESULT_MAX_MEMORY (64u << 20)
#define JSON_LIMITS ((struct json_limits){.depth = 16, .nodes = 100000})
#define MAX_DETAILS 16
#define SHOWN 300 /* bytes of the service's own text in a sentence */

static struct ph_service_result no_memory = {
    .err = PH_ERR_MEMORY, .why = {"out of memory"}, .answer = -1, .request_id = ""};

struct ph_service_result *result__no_memory(void)
{
    return &no_memory;
}

struct ph_service_result *result__new(enum ph_service_operation operation)
{
    struct ph_service_result *r = calloc(1, sizeof(*r));

    if (!r)
        return NULL;
    arena__init(&r->arena, NULL, 0, RESULT_MAX_MEMORY);
    r->operation = operation;
    r->answer = -1;
    r->request_id = "";
    return r;
}

void ph_service_result_free(struct ph_service_result *r)
{
    if (!r || r == &no_memory)
        return;
    arena__free(&r->arena);
    free(r);
}

void result__fail(struct ph_service_result *r, enum ph_err err, const char *fmt, ...)
{
    va_list args;

    r->err = err;
    va_start(args, fmt);
    vsnprintf(r->why.text, sizeof(r->why.text), fmt, args);
    va_end(args);
}

/* --- Refusals ------------------------------------------------------------------------ */

static const char *copy(struct ph_service_result *r, struct str s)
{
    return s.len > 0 ? arena__strdup(&r->arena, s) : NULL;
}

static void read_details(struct ph_service_result *r, const struct json *details)
{
    struct result_detail *items = arena__zalloc(&r->arena, MAX_DETAILS * sizeof(*items));

    if (!items || !details || details->type != JSON_ARRAY)
        return;
    for (const struct json *d = details->child; d && r->detail_count < MAX_DETAILS; d = d->next) {
        struct str message = json__get_string(d, STR("message"));

        items[r->detail_count++] =
            (struct result_detail){copy(r, json__get_string(d, STR("code"))),
                                   message.ptr ? arena__strdup(&r->arena, message) : ""};
    }
    r->details = items;
}

/* The body is JSON only if the service itself has refused, and not something in front of it. */
static void read_refusal(struct ph_service_result *r, const struct http_response *answer)
{
    const struct json_limits limits = JSON_LIMITS;
    struct json *body = NULL;

    r->code = copy(r, http__get(&answer->headers, STR("x-ms-error-code")));
    if (answer->body.len == 0 ||
        json__parse(&r->arena, answer->body, &limits, &body, NULL) != PH_OK)
        return;
    if (!r->code)
        r->code = copy(r, json__get_string(body, STR("code")));
    r->message = copy(r, json__get_string(body, STR("message")));
    r->target = copy(r, json__get_string(body, STR("target")));
    read_details(r, json__get(body, STR("details")));
}

struct refusal {
    int status;
    enum ph_err err;
    const char *hint;
};

static const struct refusal refusals[] = {
    {401, PH_ERR_AUTH,
     "is the access key right, does the clock agree with the service's, and does the endpoint "
     "name the host as the service knows it?"},
    {403, PH_ERR_FORBIDDEN, "the caller may not do this"},
    {404, PH_ERR_NOT_FOUND, NULL},
    {405, PH_ERR_UNSUPPORTED, "does the endpoint lead to the service?"},
    {408, PH_ERR_SYSTEM, NULL},
    {409, PH_ERR_STATE, NULL},
    {413, PH_ERR_LIMIT, "the message is larger than the service takes"},
    {415, PH_ERR_UNSUPPORTED, NULL},
    {429, PH_ERR_LIMIT, "the service takes no more for now"},
    {431, PH_ERR_LIMIT, "the headers are too large: fewer metadata or excluded connections"},
    {501, PH_ERR_UNSUPPORTED, NULL},
};

/* By its class, if it is none of the above. */
static struct refusal refusal_of(int status)
{
    for (size_t i = 0; i < sizeof(refusals) / sizeof(*refusals); i++) {
        if (refusals[i].status == status)
            return refusals[i];
    }
    if (status >= 500)
        return (struct refusal){status, PH_ERR_SYSTEM, NULL};
    if (status >= 400)
        return (struct refusal){status, PH_ERR_SYNTAX, NULL};
    return (struct refusal){status, PH_ERR_UNSUPPORTED,
                            status >= 300 ? "redirects are not followed: does the endpoint lead to "
                                            "the service?"
                                          : "does the endpoint lead to the service?"};
}

static void refuse(struct ph_service_result *r, const struct operation *o)
{
    struct refusal refusal = refusal_of(r->status);
    const char *text = r->message ? r->message : refusal.hint;

    result__fail(r, refusal.err, "%s: the service answered %d%s%s%s%.*s", o->name, r->status,
                 r->code ? " " : "", r->code ? r->code : "", text ? ": " : "", SHOWN,
                 text ? text : "");
}

/* --- Successes ----------------------------------------------------------------------- */

static bool parse(struct ph_service_result *r, const struct operation *o,
                  const struct http_response *answer, struct json **out)
{
    const struct json_limits limits = JSON_LIMITS;
    struct diag diag = {""};
    enum ph_err err = json__parse(&r->arena, answer->body, &limits, out, &diag);

    if (err)
        result__fail(r, err == PH_ERR_MEMORY ? err : PH_ERR_SYNTAX,
                     "%s: the answer cannot be read: %s", o->name, diag.text);
    return !err;
}

/* The query of the link, which is all that may be taken from it: a token goes to the endpoint
 * alone, wherever the link leads. */
static const char *continuation_of(struct ph_service_result *r, struct str link)
{
    struct str query = link;

    str__split(&query, '?', &link);
    return copy(r, query);
}

static bool read_connection(const struct json *item, struct ph_service_result *r,
                            struct result_connection *out)
{
    struct str id = json__get_string(item, STR("connectionId"));
    struct str user = json__get_string(item, STR("userId"));

    out->id = id.ptr ? arena__strdup(&r->arena, id) : NULL;
    out->user_id = user.ptr ? arena__strdup(&r->arena, user) : NULL;
    return out->id && (out->user_id || !user.ptr);
}

static void read_page(struct ph_service_result *r, const struct operation *o,
                      const struct http_response *answer)
{
    struct result_connection *items;
    const struct json *value;
    struct json *body;
    size_t count = 0;

    if (!parse(r, o, answer, &body))
        return;
    value = json__get(body, STR("value"));
    if (value && value->type != JSON_ARRAY) {
        result__fail(r, PH_ERR_SYNTAX, "%s: the answer has no list of connections", o->name);
        return;
    }
    items = arena__alloc(&r->arena, (value ? value->count + 1 : 1) * sizeof(*items));
    for (const struct json *c = items && value ? value->child : NULL; c; c = c->next) {
        if (!read_connection(c, r, &items[count++])) {
            result__fail(r, PH_ERR_SYNTAX, "%s: the answer has a connection without id", o->name);
            return;
        }
    }
    if (!items) {
        result__fail(r, PH_ERR_MEMORY, "out of memory");
        return;
    }
    r->connections = items;
    r->connection_count = count;
    r->continuation = continuation_of(r, json__get_string(body, STR("nextLink")));
}

static void read_token(struct ph_service_result *r, const struct operation *o,
                       const struct http_response *answer)
{
    struct json *body;

    if (!parse(r, o, answer, &body))
        return;
    r->token = copy(r, json__get_string(body, STR("token")));
    if (!r->token)
        result__fail(r, PH_ERR_SYNTAX, "%s: the answer has no token", o->name);
}

void result__read(struct ph_service_result *r, const struct operation *o,
                  const struct http_response *answer)
{
    r->err = PH_OK;
    r->why.text[0] = '\0';
    r->status = answer->status;
    if (o->asks && (answer->status == o->success || answer->status == 404)) {
        r->answer = answer->status == o->success;
        return;
    }
    if (answer->status != o->success) {
        read_refusal(r, answer);
        refuse(r, o);
        return;
    }
    if (r->operation == PH_SERVICE_LIST_CONNECTIONS_IN_GROUP)
        read_page(r, o, answer);
    else if (r->operation == PH_SERVICE_GENERATE_TOKEN)
        read_token(r, o, answer);
}

/* --- Accessors ----------------------------------------------------------------------- */

enum ph_err ph_service_result_error(const struct ph_service_result *r)
{
    return r->err;
}

const char *ph_service_result_why(const struct ph_service_result *r)
{
    return r->why.text;
}

int ph_service_result_status(const struct ph_service_result *r)
{
    return r->status;
}

const char *ph_service_result_code(const struct ph_service_result *r)
{
    return r->code;
}

const char *ph_service_result_message(const struct ph_service_result *r)
{
    return r->message;
}

const char *ph_service_result_target(const struct ph_service_result *r)
{
    return r->target;
}

const char *ph_service_result_detail(const struct ph_service_result *r, size_t at,
                                     const char **code)
{
    bool is_there = at < r->detail_count;

    if (code)
        *code = is_there ? r->details[at].code : NULL;
    return is_there ? r->details[at].message : NULL;
}

const char *ph_service_result_request_id(const struct ph_service_result *r)
{
    return r->request_id;
}

enum ph_service_operation ph_service_result_operation(const struct ph_service_result *r)
{
    return r->operation;
}

unsigned ph_service_result_tries(const struct ph_service_result *r)
{
    return r->tries;
}

int ph_service_result_answer(const struct ph_service_result *r)
{
    return r->answer;
}

size_t ph_service_result_count(const struct ph_service_result *r)
{
    return r->connection_count;
}

const char *ph_service_result_connection(const struct ph_service_result *r, size_t at,
                                         const char **user_id)
{
    bool is_there = at < r->connection_count;

    if (user_id)
        *user_id = is_there ? r->connections[at].user_id : NULL;
    return is_there ? r->connections[at].id : NULL;
}

const char *ph_service_result_continuation(const struct ph_service_result *r)
{
    return r->continuation;
}

const char *ph_service_result_token(const struct ph_service_result *r)
{
    return r->token;
}
