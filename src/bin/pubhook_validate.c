/* validate: does the handshake as the service would, and explains what is wrong. */
#include "base/url.h"
#include "bin/handshake.h"
#include "bin/pubhook.h"
#include "bin/show.h"

#include <stdlib.h>

struct settings {
    struct common common;
    const char *origin, *hub, *ca_file;
    bool once;
    struct record record;
};

static enum ph_err set_origin(void *settings, const char *value, struct diag *diag)
{
    struct settings *s = settings;

    s->origin = value;
    if (*value && !strstr(value, "//") && !str__has_control(str__of(value)))
        return PH_OK;
    return diag__set(diag, PH_ERR_ARGUMENT,
                     "\"%s\" is no host name, expected one such as contoso.webpubsub.azure.com",
                     value);
}

VERB_STRING(set_hub, hub)
VERB_STRING(set_ca_file, ca_file)
VERB_FLAG(set_once, once)

static const struct cli_option options[] = {
    {"origin", "HOST",
     "host name of the service, or a list with commas (default: the\n"
     "endpoint's in the connection string, else localhost)",
     set_origin},
    {"hub", "HUB", "stands for {hub} in the URL", set_hub},
    {"ca-file", "FILE", "certificates of issuers that are trusted besides the system's",
     set_ca_file},
    {"once", NULL, "do not try again after 408, 5xx and failed connections", set_once},
    OPTION_CONNECTION_STRING,
    OPTION_OUTPUT,
    OPTION_JSON,
};

/* --- what is seen ------------------------------------------------------------------------- */

static void show_origins(const struct http_response *res)
{
    for (size_t i = 0; i < res->headers.count; i++) {
        if (!str__eq_nocase(res->headers.items[i].name, STR("WebHook-Allowed-Origin")))
            continue;
        fputs(", WebHook-Allowed-Origin: ", stdout);
        show__text(stdout, res->headers.items[i].value);
    }
}

static void show_step(const char *method, const struct http_response *res, const char *why,
                      unsigned again_s)
{
    bool good = res && res->status / 100 == 2;

    printf("%-7s %s", method, paint__code(stdout, good ? PAINT_GOOD : PAINT_BAD));
    if (res)
        printf("%d %s", res->status, http__reason(res->status));
    else
        show__text(stdout, str__of(why));
    fputs(paint__code(stdout, PAINT_END), stdout);
    if (res)
        show_origins(res);
    if (again_s > 0)
        printf(" (again in %u s)", again_s);
    putchar('\n');
    fflush(stdout);
}

static void seen(void *arg, const char *method, const struct http_response *res, const char *why,
                 unsigned again_s)
{
    struct settings *s = arg;

    if (!s->common.json) {
        show_step(method, res, why, again_s);
        return;
    }
    record__open(&s->record, NULL, '{');
    record__text(&s->record, "method", str__of(method));
    if (res)
        show__record_response(&s->record, res);
    else
        record__text(&s->record, "error", str__of(why));
    record__close(&s->record, '}');
}

/* --- the verdict ------------------------------------------------------------------------------ */

static int conclude(struct settings *s, const struct handshake *h,
                    const struct handshake_problem *problem, const struct diag *detail)
{
    if (!problem) {
        printf("%svalid%s: %.*s may send events there\n", paint__code(stdout, PAINT_GOOD),
               paint__code(stdout, PAINT_END), STR_FMT(h->origin));
        return EXIT_SUCCESS;
    }
    return common__fail(&s->common, "%.*s is not valid: %s%s%s%s; %s", STR_FMT(h->url),
                        problem->what, *detail->text ? " (" : "", detail->text,
                        *detail->text ? ")" : "", problem->remedy);
}

static int conclude_record(struct settings *s, const struct handshake_problem *problem,
                           const struct diag *detail)
{
    struct record *r = &s->record;
    int status;

    record__close(r, ']');
    record__bool(r, "valid", !problem);
    if (problem) {
        record__text(r, "problem", str__of(problem->name));
        record__text(r, "message", str__of(problem->what));
        if (*detail->text)
            record__text(r, "detail", str__of(detail->text));
        record__text(r, "remedy", str__of(problem->remedy));
    }
    status = common__print(&s->common, r);
    return problem ? EXIT_FAILURE : status;
}

static void begin_record(struct settings *s, const struct handshake *h)
{
    record__begin(&s->record);
    record__text(&s->record, "url", h->url);
    record__text(&s->record, "origin", h->origin);
    record__open(&s->record, "steps", '[');
}

static int run_handshake(struct settings *s, struct handshake *h)
{
    const struct handshake_problem *problem;
    struct diag detail;

    if (s->common.json)
        begin_record(s, h);
    problem = handshake__run(h, &detail);
    return s->common.json ? conclude_record(s, problem, &detail) : conclude(s, h, problem, &detail);
}

/* --- what is asked -------------------------------------------------------------------------------
 */

static struct str origin_of(const struct settings *s)
{
    const char *text = common__connection_string(&s->common);
    struct connection_string service;

    if (s->origin)
        return str__of(s->origin);
    if (text && connection_string__parse(str__of(text), &service, NULL) == PH_OK)
        return service.host;
    return STR("localhost");
}

static int check_url(const struct settings *s, const char *url)
{
    struct str text = str__of(url);

    if (!str__starts_with_nocase(text, STR("http://")) &&
        !str__starts_with_nocase(text, STR("https://")))
        return common__wrong(&s->common, "\"%s\" is no URL, expected http://... or https://...",
                             url);
    if (!s->hub && strcasestr(url, "{hub}"))
        return common__wrong(&s->common, "the URL has {hub}: expected --hub HUB");
    return EXIT_SUCCESS;
}

static int validate(struct settings *s, struct arena *a)
{
    static const struct call_limits limits = {200, 65536, 1u << 20};
    struct call call;
    struct handshake h = {
        .call = &call,
        .url = event__url(a, str__of(s->common.operands[0]), str__of(s->hub), STR("validate")),
        .origin = origin_of(s),
        .ca_file = str__of(s->ca_file),
        .once = s->once,
        .seen = seen,
        .arg = s,
    };
    int status;

    if (!h.url.ptr || !call__init(&call, &limits))
        return common__fail(&s->common, "%s", ph_strerror(PH_ERR_MEMORY));
    status = run_handshake(s, &h);
    call__free(&call);
    return status;
}

static int run(void *settings)
{
    struct settings *s = settings;
    int status = check_url(s, s->common.operands[0]);
    struct arena arena;

    if (status)
        return status;
    curl_global_init(CURL_GLOBAL_DEFAULT);
    arena__init(&arena, NULL, 0, 1u << 20);
    status = validate(s, &arena);
    arena__free(&arena);
    curl_global_cleanup();
    return status;
}

const struct verb verb_validate = {
    .name = "validate",
    .operands = "URL",
    .summary = "ask an event handler for its consent, as the service does",
    .about =
        "Sends OPTIONS, and GET if the answer is 404, and says what is wrong with the answer\n"
        "and how to mend it. {event} in the URL stands for \"validate\" and {hub} for --hub, as\n"
        "in the settings of the service.",
    .examples = "  pubhook validate http://localhost:8090/eventhandler\n"
                "  pubhook validate https://app.example.com/hooks/{hub}/{event} --hub chat \\\n"
                "      --origin contoso.webpubsub.azure.com",
    PUBHOOK_OPTIONS(options),
    .settings_size = sizeof(struct settings),
    .run = run,
};
