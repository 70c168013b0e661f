/* Reads the answer of the service: a first line "OPERATION STATUS" (OPERATION: a number of enum
 * ph_service_operation), then an HTTP message as text (tests/http_text.h). The continuation of a
 * page is asked for again. */
#include "http_text.h"
#include "service/result.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool condition)
{
    if (!condition)
        abort();
}

/* What came as a link is a request to the endpoint all the same, or none. */
static void check_continuation(const char *continuation)
{
    static const struct connection_string service = {.host = STR("a"), .path = STR("")};
    static const char start[] = "http://a/api/hubs/h/groups/g/connections?";
    const struct ph_service_request next = {.operation = PH_SERVICE_LIST_CONNECTIONS_IN_GROUP,
                                            .group = "g",
                                            .continuation = continuation};
    struct outgoing out;
    struct diag diag;
    struct arena a;

    arena__init(&a, NULL, 0, 64 << 20);
    if (operation__write(&a, &next, &service, STR("h"), &out, &diag) == PH_OK)
        check(strncmp(out.url, start, sizeof(start) - 1) == 0 && !strpbrk(out.url, " \r\n#"));
    arena__free(&a);
}

static void check_result(const struct ph_service_result *r, const struct operation *o)
{
    bool success = r->err == PH_OK;

    check(success == !*ph_service_result_why(r));
    check(!success || r->status == o->success || (o->asks && r->status == 404));
    check((r->answer >= 0) == (success && o->asks));
    check(success || (!r->connection_count && !r->token && !r->continuation));
    for (size_t i = 0; i < ph_service_result_count(r); i++)
        check(ph_service_result_connection(r, i, NULL) != NULL);
    for (size_t i = 0; i < r->detail_count; i++)
        check(ph_service_result_detail(r, i, NULL) != NULL);
    if (r->continuation)
        check_continuation(r->continuation);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = str__n(data, size), line, number;
    struct http_response answer = {.status = 0};
    const struct operation *o;
    struct ph_service_result *r;
    uint64_t operation = 0, status = 0;
    struct arena a;

    if (!str__split(&text, '\n', &line) || !str__split(&line, ' ', &number) ||
        !str__to_u64(number, &operation) || !str__to_u64(line, &status) || status > 999 ||
        operation > 99 || !(o = operation__find((enum ph_service_operation)operation)))
        return 0;
    answer.status = (int)status;
    arena__init(&a, NULL, 0, 64 << 20);
    r = result__new((enum ph_service_operation)operation);
    check(r != NULL);
    if (http_text__parse(&a, text.ptr ? text : STR(""), &answer.headers, &answer.body)) {
        result__read(r, o, &answer);
        check_result(r, o);
    }
    ph_service_result_free(r);
    arena__free(&a);
    return 0;
}
