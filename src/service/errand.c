#include "service/errand.h"

#include "base/clock.h"
#include "base/random.h"

#define MAX_MEMORY (SERVICE_MAX_BODY + (4u << 20))
#define MAX_ADDRESS (512u << 10)
#define MAX_TOKEN (1u << 20)

bool errand__init(struct errand *c, const struct errand_rules *rules, struct identity *identity,
                  struct str hub, const struct ph_service_request *request)
{
    int64_t timeout = request->timeout_ms ? request->timeout_ms : rules->timeout_ms;
    struct diag diag = {""};
    enum ph_err err;

    *c = (struct errand){.identity = identity,
                         .result = result__new(request->operation),
                         .deadline_ms = clock__mono_ms() + timeout};
    arena__init(&c->arena, NULL, 0, MAX_MEMORY);
    if (!c->result) {
        c->result = result__no_memory();
        return false;
    }
    err = operation__write(&c->arena, request, &identity->service, hub, &c->out, &diag);
    if (err) {
        result__fail(c->result, err, "%s", diag.text);
        return false;
    }
    c->repeatable = c->out.operation->repeatable || request->repeat;
    c->result->request_id = arena__strdup(&c->result->arena, str__of(c->out.request_id));
    if (c->result->request_id)
        return true;
    c->result->request_id = "";
    result__fail(c->result, PH_ERR_MEMORY, "out of memory");
    return false;
}

struct ph_service_result *errand__finish(struct errand *c)
{
    arena__free(&c->arena);
    identity__unref(c->identity);
    return c->result;
}

static enum ph_err prepare(struct errand *c, struct attempt *attempt, struct buf *address,
                           struct buf *token, struct diag *diag)
{
    struct str bearer = STR_NONE;
    enum ph_err err;

    identity__address(c->identity, c->out.url, c->out.path, address);
    if (!c->out.operation->anonymous) {
        err = identity__token(c->identity, c->out.url, clock__unix_ms() / 1000, token, diag);
        if (err)
            return err;
        bearer = buf__view(token);
    }
    if (address->failed || !attempt__set(attempt, &c->out, buf__view(address), bearer,
                                         !c->repeatable, c->deadline_ms - clock__mono_ms()))
        return diag__set(diag, PH_ERR_MEMORY, "out of memory");
    return PH_OK;
}

bool errand__prepare(struct errand *c, struct attempt *attempt)
{
    struct buf address, token;
    struct diag diag = {""};
    enum ph_err err;

    buf__init(&address, MAX_ADDRESS);
    buf__init(&token, MAX_TOKEN);
    err = prepare(c, attempt, &address, &token, &diag);
    if (err) {
        result__fail(c->result, err, "%s: %s", c->out.operation->name, diag.text);
        attempt__rest(attempt);
    } else {
        c->result->tries++;
    }
    if (token.data)
        explicit_bzero(token.data, token.len);
    buf__free(&token);
    buf__free(&address);
    return !err;
}

int64_t errand__judge(struct errand *c, const struct errand_rules *rules, struct attempt *attempt,
                      CURLcode code)
{
    struct try_result end = attempt__end(attempt, c->out.operation, code, c->result);
    uint32_t chance = 0;

    attempt__rest(attempt);
    random__bytes(&chance, sizeof(chance));
    return retry__pause(&rules->retry, c->repeatable, &end, c->result->tries,
                        c->deadline_ms - clock__mono_ms(), chance);
}
