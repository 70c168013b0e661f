#include "bin/rest.h"

#include <stdio.h>
#include <stdlib.h>

#define MAX_TIMEOUT 3600u
#define REST_STRING(name, member)                                                                  \
    enum ph_err name(void *settings, const char *value, struct diag *diag)                         \
    {                                                                                              \
        struct rest *r = settings;                                                                 \
                                                                                                   \
        (void)diag;                                                                                \
        r->member = value;                                                                         \
        return PH_OK;                                                                              \
    }

REST_STRING(rest__set_endpoint, endpoint)
REST_STRING(rest__set_bearer, bearer)
REST_STRING(rest__set_ca_file, ca_file)
REST_STRING(rest__set_group, group)
REST_STRING(rest__set_user, user)
REST_STRING(rest__set_connection, connection)
REST_STRING(rest__set_filter, filter)
REST_STRING(rest__set_reason, reason)

enum ph_err rest__set_timeout(void *settings, const char *value, struct diag *diag)
{
    struct rest *r = settings;

    return cli__number(value, 1, MAX_TIMEOUT, &r->timeout_s, diag);
}

enum ph_err rest__add_excluded(void *settings, const char *value, struct diag *diag)
{
    struct rest *r = settings;

    return values__add(&r->excluded, value, diag);
}

static enum ph_err give_token(void *arg, void (*give)(void *to, const char *token), void *to)
{
    give(to, arg);
    return PH_OK;
}

static struct ph_service_options options_of(const struct rest *r)
{
    struct ph_service_options options = {
        .ca_file = r->ca_file,
        .timeout_ms = r->timeout_s * 1000,
        .user_agent = "pubhook-cli",
    };

    if (r->endpoint) {
        options.endpoint = r->endpoint;
        options.token = give_token;
        options.token_arg = (void *)(uintptr_t)r->bearer;
    }
    return options;
}

int rest__open(const struct rest *r, const char *hub, struct ph_service **out)
{
    const struct ph_service_options options = options_of(r);
    struct connection_string service;
    const char *why, *text = r->endpoint ? NULL : common__connection_string(&r->common);
    enum ph_err err;
    int status;

    if (!r->endpoint != !r->bearer)
        return common__wrong(&r->common, "--endpoint and --bearer go together");
    if (r->endpoint && r->common.connection_string)
        return common__wrong(&r->common, "--endpoint and --connection-string exclude each other");
    status = r->endpoint ? EXIT_SUCCESS : common__service(&r->common, &service);
    if (status)
        return status;
    err = ph_service_new(text, hub, &options, out, &why);
    if (err >= PH_ERR_MEMORY)
        return common__fail(&r->common, "%s", why);
    return err ? common__wrong(&r->common, "%s", why) : EXIT_SUCCESS;
}

/* --- what came of it ------------------------------------------------------------------------ */

static void record_failure(struct record *out, const struct ph_service_result *result)
{
    const char *code = ph_service_result_code(result);
    const char *message = ph_service_result_message(result);

    record__text(out, "why", str__of(ph_service_result_why(result)));
    if (code)
        record__text(out, "code", str__of(code));
    if (message)
        record__text(out, "message", str__of(message));
}

static int print_record(const struct rest *r, const struct ph_service_result *result,
                        const char *question)
{
    bool ok = ph_service_result_error(result) == PH_OK;
    struct record out;

    record__begin(&out);
    record__bool(&out, "ok", ok);
    if (question && ok)
        record__bool(&out, question, ph_service_result_answer(result) == 1);
    record__number(&out, "status", (uint64_t)ph_service_result_status(result));
    record__number(&out, "tries", ph_service_result_tries(result));
    record__text(&out, "requestId", str__of(ph_service_result_request_id(result)));
    if (!ok)
        record_failure(&out, result);
    return common__print(&r->common, &out);
}

int rest__failed(const struct rest *r, const struct ph_service_result *result)
{
    if (ph_service_result_error(result) == PH_ERR_ARGUMENT && ph_service_result_status(result) == 0)
        return common__wrong(&r->common, "%s", ph_service_result_why(result));
    if (r->common.json)
        print_record(r, result, NULL);
    return common__fail(&r->common, "%s", ph_service_result_why(result));
}

static int succeeded(const struct rest *r, const struct ph_service_result *result,
                     const char *question)
{
    bool yes = ph_service_result_answer(result) == 1;
    int status = EXIT_SUCCESS;

    if (r->common.json)
        status = print_record(r, result, question);
    else if (question)
        puts(yes ? "yes" : "no");
    return question && !yes ? EXIT_FAILURE : status;
}

int rest__run(const struct rest *r, const struct ph_service_request *request, const char *question)
{
    struct ph_service *service;
    struct ph_service_result *result;
    int status =
        rest__open(r, r->common.operand_count > 0 ? r->common.operands[0] : "hub", &service);

    if (status)
        return status;
    status = ph_service_call(service, request, &result) ? rest__failed(r, result)
                                                        : succeeded(r, result, question);
    ph_service_result_free(result);
    ph_service_free(service);
    return status;
}
