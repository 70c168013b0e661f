#include "broker/rest/judge.h"

#include "base/names.h"
#include "base/utf8.h"
#include "broker/filter/filter.h"

int judge__refuse(struct judge *j, int status, const char *code, const char *target)
{
    answer__error(j->arena, &j->call->response, status, code, target, j->diag->text);
    return status;
}

int judge__bad_request(struct judge *j, const char *target, const char *message)
{
    diag__set(j->diag, PH_ERR_SYNTAX, "%s", message);
    return judge__refuse(j, 400, ANSWER_BAD_REQUEST, target);
}

int judge__no_memory(struct judge *j)
{
    diag__set(j->diag, PH_ERR_MEMORY, "no memory for the request; try again");
    rest__unavailable(j->arena, &j->call->response, j->diag->text);
    return 503;
}

/* Section 5.3 leaves the status open; 413 says what to change, and no SDK retries it. */
int judge__too_large(struct judge *j)
{
    diag__set(j->diag, PH_ERR_LIMIT, "The request body is larger than %zu bytes.",
              j->world->max_body);
    return judge__refuse(j, 413, "Error.PayloadTooLarge", "Request");
}

bool judge__is_group(const struct judge *j, struct str name)
{
    return names__valid_group(name) &&
           !utf8__longer(name, j->world->settings->limits.group_characters);
}

int judge__unsupported_type(struct judge *j)
{
    return judge__refuse(j, 415, "Error.UnsupportedMediaType", "Content-Type");
}

/* Judged whoever is connected (client-and-rest section 5.4). */
int judge__filter(struct judge *j, struct str text)
{
    enum ph_err err;

    if (text.len == 0)
        return 0;
    if (text.len > j->world->settings->limits.filter_bytes) {
        diag__set(j->diag, PH_ERR_LIMIT, "The filter is larger than %u bytes.",
                  j->world->settings->limits.filter_bytes);
        return judge__refuse(j, 400, ANSWER_BAD_REQUEST, "Request");
    }
    err = filter__compile(text, &j->call->command.filter, j->diag);
    if (err == PH_ERR_MEMORY)
        return judge__no_memory(j);
    return err == PH_OK ? 0 : judge__refuse(j, 400, ANSWER_BAD_REQUEST, "Request");
}
