/* trigger: fires events at a handler, signed as the service would. */
#include "base/clock.h"
#include "bin/handshake.h"
#include "bin/load.h"
#include "bin/pubhook.h"
#include "bin/show.h"
#include "bin/tally.h"
#include "bin/trigger_event.h"
#include "event/mqtt.h"

#include <stdlib.h>
#include <unistd.h>

#define MAX_KEYS 8
#define MAX_REPEAT 10000000u
#define MAX_RATE 1000000u
#define MAX_TIMEOUT 3600u
#define DEFAULT_TIMEOUT 100 /* event-handler section 3.6 */
#define SIGNATURE_MAX 4096

struct settings {
    struct common common;
    struct event_options event;
    struct values keys;
    bool is_unsigned, validate;
    const char *recorded, *bearer, *ca_file;
    unsigned repeat, rate, connections, timeout_s;
    /* made of them */
    const char *url;
    struct events events;
    struct mac_key *mac_keys[MAX_KEYS];
    size_t mac_key_count;
    struct tally tally;
    const char *problem; /* that no request could be made */
    struct diag diag;
};

/* --- options ----------------------------------------------------------------------------- */

VERB_STRING(set_hub, event.hub)
VERB_STRING(set_user, event.user)
VERB_STRING(set_connection, event.connection)
VERB_STRING(set_state, event.state)
VERB_STRING(set_id, event.id)
VERB_STRING(set_origin, event.origin)
VERB_STRING(set_reason, event.reason)
VERB_STRING(set_group, event.group)
VERB_STRING(set_recorded, recorded)
VERB_STRING(set_bearer, bearer)
VERB_STRING(set_ca_file, ca_file)
VERB_FLAG(set_user_event, event.user_event)
VERB_FLAG(set_unsigned, is_unsigned)
VERB_FLAG(set_validate, validate)
VERB_ADD(set_text, event.content, content__set_text)
VERB_ADD(set_data_json, event.content, content__set_json)
VERB_ADD(set_file, event.content, content__set_file)
VERB_ADD(set_data_type, event.content, content__set_type)
VERB_ADD(add_subprotocol, event.subprotocols, values__add)
VERB_ADD(add_claim, event.claims, values__add_pair)
VERB_ADD(add_query, event.query, values__add_pair)
VERB_ADD(add_header, event.headers, values__add_pair)
VERB_ADD(add_metadata, event.metadata, values__add_pair)
VERB_ADD(add_key, keys, values__add)
VERB_NUMBER(set_repeat, repeat, 1, MAX_REPEAT)
VERB_NUMBER(set_rate, rate, 1, MAX_RATE)
VERB_NUMBER(set_connections, connections, 1, LOAD_MAX_CONNECTIONS)
VERB_NUMBER(set_timeout, timeout_s, 1, MAX_TIMEOUT)

VERB_STRING(set_mqtt_username, event.mqtt_username)
VERB_STRING(set_mqtt_password, event.mqtt_password)
VERB_STRING(set_content_type, event.content_type)
VERB_ADD(add_mqtt_property, event.mqtt_properties, values__add_pair)

static enum ph_err set_mqtt(void *settings, const char *value, struct diag *diag)
{
    static const char *const names[] = {"3.1.1", "5", NULL};
    struct settings *s = settings;
    unsigned at = 0;
    enum ph_err err = cli__choice(value, names, &at, diag);

    s->event.mqtt = at == 1 ? PH_MQTT_5 : PH_MQTT_3_1_1;
    return err;
}

static enum ph_err set_mqtt_code(void *settings, const char *value, struct diag *diag)
{
    struct settings *s = settings;

    s->event.has_mqtt_code = true;
    return cli__number(value, 0, 255, &s->event.mqtt_code, diag);
}

static const struct cli_option options[] = {
    {"hub", "HUB", "the hub that the event is of", set_hub},
    {"connection", "ID", "connection id (default: a new one); {n} in it is the event's number",
     set_connection},
    {"user", "ID", "user id (default: anonymous); {n} in it is the event's number", set_user},
    CONTENT_OPTIONS(set_text, set_data_json, set_file, set_data_type),
    {"metadata", "NAME=VALUE", "metadata of the message; may be repeated", add_metadata},
    {"claim", "NAME=VALUE", "connect: a claim of the client's token; may be repeated", add_claim},
    {"query", "NAME=VALUE", "connect: a parameter of its URL; may be repeated", add_query},
    {"header", "NAME=VALUE", "connect: a header of its request; may be repeated", add_header},
    {"subprotocol", "NAME",
     "the connection's subprotocol; for connect those that the client\n"
     "offers, may be repeated",
     add_subprotocol},
    {"reason", "TEXT", "disconnected: why", set_reason},
    {"group", "NAME", "joined, left: the group", set_group},
    {"state", "TEXT", "the connection state that the handler has set before", set_state},
    {"id", "N", "id of the event (default: as the service counts)", set_id},
    {"origin", "HOST",
     "host of the service (default: the endpoint's in the connection\n"
     "string, else localhost)",
     set_origin},
    {"mqtt", "VERSION", "the client speaks MQTT: 3.1.1 or 5", set_mqtt},
    {"mqtt-username", "NAME", "with --mqtt, connect: of the CONNECT packet", set_mqtt_username},
    {"mqtt-password", "TEXT", "with --mqtt, connect: of the CONNECT packet", set_mqtt_password},
    {"mqtt-property", "NAME=VALUE", "with --mqtt: a user property; may be repeated",
     add_mqtt_property},
    {"mqtt-code", "N",
     "with --mqtt, disconnected: reason code of the client's\n"
     "DISCONNECT packet (default: there was none)",
     set_mqtt_code},
    {"content-type", "TYPE", "with --mqtt: any content type of the data", set_content_type},
    {"user-event", NULL, "EVENT is a user event though it is called, say, connected",
     set_user_event},
    {"recorded", "FILE",
     "the events of a file (pubhook listen --record), - for standard\n"
     "input; other options replace what it says",
     set_recorded},
    {"access-key", "KEY",
     "sign with KEY, besides that of the connection string; may be\n"
     "repeated",
     add_key},
    {"unsigned", NULL, "do not sign: a handler with a key must refuse it", set_unsigned},
    {"bearer", "TOKEN", "Authorization: Bearer TOKEN, as with managed identities", set_bearer},
    {"validate", NULL, "ask for the handler's consent first, as the service does", set_validate},
    {"repeat", "N", "fire N times and print a summary", set_repeat},
    {"rate", "R", "with --repeat: so many a second (default: one after the other)", set_rate},
    {"connections", "N", "with --repeat: so many at a time (default 1)", set_connections},
    {"timeout", "SECONDS", "how long an answer may take (default 100)", set_timeout},
    {"ca-file", "FILE", "certificates of issuers that are trusted besides the system's",
     set_ca_file},
    OPTION_CONNECTION_STRING,
    OPTION_OUTPUT,
};

/* --- making a request ---------------------------------------------------------------------- */

/* With the event's number for each {n}. Absent: no memory. */
static struct str numbered(struct arena *a, struct str text, uint64_t number)
{
    static const struct str mark = {"{n}", 3};
    struct buf out;
    char *copy;

    if (!text.ptr || !memmem(text.ptr, text.len, mark.ptr, mark.len))
        return text;
    buf__init(&out, 65536);
    while (text.len > 0) {
        bool at_mark = str__starts_with(text, mark);
        size_t taken = at_mark ? mark.len : 1;

        if (at_mark)
            buf__u64(&out, number);
        else
            buf__byte(&out, text.ptr[0]);
        text = str__n(text.ptr + taken, text.len - taken);
    }
    copy = out.failed ? NULL : arena__strdup(a, buf__view(&out));
    text = str__n(copy, out.len);
    buf__free(&out);
    return text;
}

/* Events of one connection have ids of their own, or a handler would take them for retries. */
static struct str id_of(struct arena *a, const struct ph_event *ev, uint64_t round)
{
    uint64_t id;

    if (round == 0 || !str__to_u64(ev->id, &id))
        return ev->id;
    return str__of(arena__printf(a, "%llu", (unsigned long long)(id + round)));
}

static void complete(const struct settings *s, struct arena *a, uint64_t number,
                     struct ph_event *ev)
{
    uint64_t round = number / s->events.count;
    struct str connection = numbered(a, ev->connection_id, number);
    char *time = arena__alloc(a, CLOCK_RFC3339_SIZE);

    if (str__eq(connection, ev->connection_id))
        ev->id = id_of(a, ev, round);
    ev->connection_id = connection;
    ev->user_id = numbered(a, ev->user_id, number);
    if (time && !ev->time.ptr) {
        clock__rfc3339(time, clock__unix_ms(), 0);
        ev->time = str__of(time);
    }
}

/* Absent when nothing signs. */
static enum ph_err sign(const struct settings *s, struct arena *a, const struct ph_event *ev,
                        struct str *out)
{
    struct buf text;
    bool ok;

    *out = STR_NONE;
    if (s->is_unsigned || s->mac_key_count == 0)
        return PH_OK;
    buf__init(&text, SIGNATURE_MAX);
    ok = event__sign(&text, ev->connection_id, s->mac_keys, s->mac_key_count);
    *out = str__n(ok ? arena__strdup(a, buf__view(&text)) : NULL, text.len);
    buf__free(&text);
    return out->ptr ? PH_OK : PH_ERR_MEMORY;
}

static struct ph_event event_of(const struct settings *s, struct arena *a, uint64_t number)
{
    struct ph_event ev = s->events.items[number % s->events.count];

    complete(s, a, number, &ev);
    return ev;
}

static bool make(void *arg, struct arena *a, struct load_call *call)
{
    struct settings *s = arg;
    struct ph_event ev = event_of(s, a, call->number);
    struct http_request *req = arena__zalloc(a, sizeof(*req));
    struct str signature;
    enum ph_err err;

    if (ferror(stdout)) /* nobody reads any more */
        return false;
    err = req ? sign(s, a, &ev, &signature) : PH_ERR_MEMORY;
    diag__set(&s->diag, err, "%s", ph_strerror(err));
    if (err == PH_OK)
        err = event__encode(a, &ev, signature, req, &s->diag);
    if (err != PH_OK) {
        s->problem = s->diag.text;
        return false;
    }
    req->method = STR("POST");
    call->request = (struct call_request){
        .url = event__url(a, str__of(s->url), ev.hub, ev.name),
        .http = req,
        .bearer = str__of(s->bearer),
        .ca_file = str__of(s->ca_file),
    };
    return call->request.url.ptr;
}

/* --- what came back ----------------------------------------------------------------------------
 */

struct judgement {
    struct answer answer;
    const char *problem; /* with a 2xx answer that breaks the contract */
    struct diag diag;
};

static void judge(struct arena *a, const struct ph_event *ev, const struct http_response *res,
                  struct judgement *out)
{
    enum ph_err err = mqtt__is_client(ev)
                          ? response__decode_mqtt(a, ev, res, &out->answer, &out->diag)
                          : response__decode(a, ev->kind, res, &out->answer, &out->diag);

    out->problem = err ? out->diag.text : NULL;
}

static void show(const struct ph_event *ev, const struct load_call *call, const struct judgement *j)
{
    enum paint paint = j->answer.success ? PAINT_GOOD : PAINT_BAD;
    struct buf meaning;

    show__request(stdout, call->request.url.ptr, call->request.http);
    show__response(stdout, call->response);
    buf__init(&meaning, 65536);
    show__meaning(&meaning, ev, &j->answer, j->problem);
    fputs(paint__code(stdout, paint), stdout);
    show__text(stdout, buf__view(&meaning));
    printf("%s (%.1f ms)\n", paint__code(stdout, PAINT_END), (double)call->microseconds / 1000);
    buf__free(&meaning);
    fflush(stdout);
}

static void record_request(struct record *r, const struct load_call *call)
{
    record__open(r, "request", '{');
    record__text(r, "url", call->request.url);
    show__record_headers(r, &call->request.http->headers);
    record__text(r, "body", call->request.http->body);
    record__close(r, '}');
}

static void record_meaning(struct record *r, const struct ph_event *ev, const struct judgement *j)
{
    struct buf text;

    buf__init(&text, 65536);
    show__meaning(&text, ev, &j->answer, j->problem);
    record__text(r, "meaning", buf__view(&text));
    buf__free(&text);
    record__open(r, "answer", '{');
    show__record_answer(r, ev, &j->answer);
    record__close(r, '}');
}

/* `j` NULL: there was no answer. */
static void print_record(const struct settings *s, const struct ph_event *ev,
                         const struct load_call *call, const struct judgement *j)
{
    struct record r;

    record__begin(&r);
    record__bool(&r, "success", j && j->answer.success);
    record_request(&r, call);
    if (j) {
        record__open(&r, "response", '{');
        show__record_response(&r, call->response);
        record__close(&r, '}');
        record_meaning(&r, ev, j);
    } else {
        record__text(&r, "error", str__of(call->why));
    }
    record__decimal(&r, "milliseconds", (double)call->microseconds / 1000);
    common__print(&s->common, &r);
}

static bool is_load(const struct settings *s)
{
    return s->repeat > 0;
}

static void print(const struct settings *s, const struct ph_event *ev, const struct load_call *call,
                  const struct judgement *j)
{
    if (is_load(s))
        return;
    if (s->common.json)
        print_record(s, ev, call, j);
    else if (j)
        show(ev, call, j);
    else
        show__request(stdout, call->request.url.ptr, call->request.http);
}

static void done(void *arg, const struct load_call *call)
{
    struct settings *s = arg;
    struct ph_event ev;
    struct judgement j;
    struct arena arena;

    arena__init(&arena, NULL, 0, 64u << 20);
    ev = event_of(s, &arena, call->number);
    if (call->response) {
        judge(&arena, &ev, call->response, &j);
        tally__answer(&s->tally, call->response->status, j.answer.success, call->microseconds);
    } else {
        tally__no_answer(&s->tally, call->why);
    }
    print(s, &ev, call, call->response ? &j : NULL);
    arena__free(&arena);
}

/* --- all of them
 * ----------------------------------------------------------------------------------- */

static uint64_t total(const struct settings *s)
{
    return (uint64_t)s->events.count * (s->repeat ? s->repeat : 1);
}

static void tick(void *arg)
{
    const struct settings *s = arg;

    tally__progress(&s->tally, total(s), stderr);
}

static void summarize(struct settings *s)
{
    struct record r;

    if (isatty(STDERR_FILENO))
        fputs("\r\x1b[K", stderr);
    if (!s->common.json) {
        tally__show(&s->tally, stdout);
        return;
    }
    record__begin(&r);
    tally__record(&s->tally, &r);
    common__print(&s->common, &r);
}

static int conclude(struct settings *s, enum ph_err err)
{
    if (s->problem)
        return common__fail(&s->common, "%s", s->problem);
    if (err)
        return common__fail(&s->common, "%s", ph_strerror(err));
    if (is_load(s))
        summarize(s);
    if (s->tally.unanswered > 0)
        return common__fail(&s->common, "no answer from %s: %s", s->url, s->tally.why);
    return s->tally.failed > 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int fire(struct settings *s)
{
    const struct load load = {
        .count = total(s),
        .rate = s->rate,
        .connections = s->connections ? s->connections : 1,
        .timeout_s = s->timeout_s ? s->timeout_s : DEFAULT_TIMEOUT,
        .make = make,
        .done = done,
        .tick = is_load(s) && isatty(STDERR_FILENO) ? tick : NULL,
        .arg = s,
    };
    int status;

    if (!tally__init(&s->tally, load.count))
        return common__fail(&s->common, "%s", ph_strerror(PH_ERR_MEMORY));
    status = conclude(s, load__run(&load));
    tally__free(&s->tally);
    return status;
}

static int ask_consent(struct settings *s)
{
    static const struct call_limits limits = {200, 65536, 1u << 20};
    const struct ph_event *ev = &s->events.items[0];
    const struct handshake_problem *problem;
    struct call call;
    struct handshake h = {
        .call = &call,
        .url = event__url(&s->events.arena, str__of(s->url), ev->hub, STR("validate")),
        .origin = ev->origin,
        .ca_file = str__of(s->ca_file),
        .once = true};
    struct diag detail;

    if (!h.url.ptr || !call__init(&call, &limits))
        return common__fail(&s->common, "%s", ph_strerror(PH_ERR_MEMORY));
    problem = handshake__run(&h, &detail);
    call__free(&call);
    return problem ? common__fail(&s->common, "%.*s is not valid: %s; %s", STR_FMT(h.url),
                                  problem->what, problem->remedy)
                   : EXIT_SUCCESS;
}

/* --- before the first ---------------------------------------------------------------------------
 */

static bool add_mac_key(struct settings *s, struct str key)
{
    struct mac_key *made = mac__key_new(key);

    if (made)
        s->mac_keys[s->mac_key_count++] = made;
    return made;
}

/* The connection string is needed for its key alone. */
static int take_keys(struct settings *s)
{
    struct connection_string service;
    const char *text = common__connection_string(&s->common);
    int status = text ? common__service(&s->common, &service) : EXIT_SUCCESS;
    bool ok = true;

    if (status)
        return status;
    if (s->keys.count >= MAX_KEYS)
        return common__wrong(&s->common, "--access-key: more than %d keys", MAX_KEYS - 1);
    if (text)
        ok = add_mac_key(s, service.access_key);
    for (size_t i = 0; ok && i < s->keys.count; i++)
        ok = add_mac_key(s, str__of(s->keys.items[i]));
    if (!ok)
        return common__fail(&s->common, "%s", ph_strerror(PH_ERR_MEMORY));
    if (s->mac_key_count == 0 && !s->is_unsigned)
        return common__wrong(&s->common,
                             "with which key is it signed? Expected --connection-string or "
                             "WebPubSubConnectionString, --access-key KEY, or --unsigned");
    return EXIT_SUCCESS;
}

/* Where the events would come from. */
static void set_origins(struct settings *s)
{
    const char *text = common__connection_string(&s->common);
    struct connection_string service;
    struct str origin = STR("localhost");

    if (text && connection_string__parse(str__of(text), &service, NULL) == PH_OK)
        origin = service.host;
    for (size_t i = 0; i < s->events.count; i++) {
        if (!s->events.items[i].origin.ptr)
            s->events.items[i].origin = origin;
    }
}

static int take_operands(struct settings *s)
{
    char **operands = s->common.operands;
    int expected = s->recorded ? 1 : 2;

    if (s->common.operand_count > expected)
        return common__wrong(&s->common,
                             "--recorded FILE has the event, unexpected argument "
                             "\"%s\"",
                             operands[1]);
    if (s->common.operand_count < expected)
        return common__wrong(&s->common, "URL is missing: pubhook trigger EVENT URL --hub HUB");
    s->url = operands[expected - 1];
    s->event.name = s->recorded ? NULL : operands[0];
    if (!str__starts_with_nocase(str__of(s->url), STR("http://")) &&
        !str__starts_with_nocase(str__of(s->url), STR("https://")))
        return common__wrong(&s->common, "\"%s\" is no URL, expected http://... or https://...",
                             s->url);
    if ((s->rate || s->connections) && !s->repeat)
        return common__wrong(&s->common, "--rate and --connections go with --repeat N");
    return EXIT_SUCCESS;
}

static int make_events(struct settings *s)
{
    enum ph_err err = events__make(&s->events, &s->event, s->recorded, &s->diag);

    if (err == PH_ERR_MEMORY || err == PH_ERR_SYSTEM)
        return common__fail(&s->common, "%s", s->diag.text);
    return err ? common__wrong(&s->common, "%s", s->diag.text) : EXIT_SUCCESS;
}

static int trigger(struct settings *s)
{
    int status = take_keys(s);

    if (!status)
        status = make_events(s);
    if (!status)
        set_origins(s);
    if (!status && s->validate)
        status = ask_consent(s);
    return status ? status : fire(s);
}

static int run(void *settings)
{
    struct settings *s = settings;
    int status = take_operands(s);

    if (status)
        return status;
    curl_global_init(CURL_GLOBAL_DEFAULT);
    status = trigger(s);
    events__free(&s->events);
    content__free(&s->event.content);
    for (size_t i = 0; i < s->mac_key_count; i++)
        mac__key_free(s->mac_keys[i]);
    curl_global_cleanup();
    return status;
}

const struct verb verb_trigger = {
    .name = "trigger",
    .operands = "[EVENT] URL",
    .summary = "fire an event at an event handler and show what it answers",
    .about =
        "EVENT is connect, connected, disconnected, joined, left, or the name of a user event.\n"
        "{event} and {hub} in the URL stand for it and for its hub, as in the settings of the\n"
        "service. Exits with status 1 when the handler's answer is a failure.",
    .examples =
        "  pubhook trigger connect http://localhost:8090/eventhandler --hub chat --user alice\n"
        "  pubhook trigger message http://localhost:8090/eventhandler --hub chat --text hello\n"
        "  pubhook trigger --recorded events.jsonl http://localhost:8090/eventhandler\n"
        "  pubhook trigger message URL --hub chat --text hi --repeat 10000 --connections 8",
    PUBHOOK_OPTIONS(options),
    .settings_size = sizeof(struct settings),
    .run = run,
};
