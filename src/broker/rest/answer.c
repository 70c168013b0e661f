#include "broker/rest/answer.h"

#include "base/json.h"

/* A message holds a name of the path at the most. The head that it came in has 32 KiB, of
 * which a character takes one byte and escaped two, or three and escaped six. */
#define MAX_BODY (80u << 10)

void answer__status(struct arena *a, struct http_response *response, int status)
{
    *response = (struct http_response){.status = status};
    http__add(a, &response->headers, STR("api-supported-versions"), STR(ANSWER_VERSIONS));
}

static struct str error_body(struct arena *a, const char *code, const char *target,
                             const char *message)
{
    struct buf b;
    const char *copy;
    size_t len;

    buf__init(&b, MAX_BODY);
    buf__str(&b, STR("{\"code\":"));
    json__quote(&b, str__of(code));
    buf__str(&b, STR(",\"message\":"));
    json__quote(&b, str__of(message));
    if (target) {
        buf__str(&b, STR(",\"target\":"));
        json__quote(&b, str__of(target));
    }
    buf__byte(&b, '}');
    copy = b.failed ? NULL : arena__strdup(a, buf__view(&b));
    len = b.len;
    buf__free(&b);
    return copy ? str__n(copy, len) : STR_NONE;
}

/* Without memory for headers or body the status still says what is wrong. */
void answer__error(struct arena *a, struct http_response *response, int status, const char *code,
                   const char *target, const char *message)
{
    answer__status(a, response, status);
    http__add(a, &response->headers, STR("x-ms-error-code"), str__of(code));
    response->body = error_body(a, code, target, message);
    if (response->body.ptr)
        http__add(a, &response->headers, STR("Content-Type"), STR("application/json"));
}
