/* Walking a group's connections, page by page. */
#include "pubhook/service.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct ph_service_list {
    struct ph_service *service;
    struct ph_service_result *page;   /* read now; NULL before the first */
    struct ph_service_result *failed; /* when the next one was asked for; NULL: it came */
    size_t at;
    struct ph_service_request request;
    char group[];
};

struct ph_service_list *ph_service_list_new(struct ph_service *service, const char *group,
                                            unsigned top)
{
    size_t size = strlen(group ? group : "") + 1;
    struct ph_service_list *list = calloc(1, sizeof(*list) + size);

    if (!list)
        return NULL;
    memcpy(list->group, group ? group : "", size);
    list->service = service;
    list->request = (struct ph_service_request){
        .operation = PH_SERVICE_LIST_CONNECTIONS_IN_GROUP, .group = list->group, .top = top};
    return list;
}

void ph_service_list_free(struct ph_service_list *list)
{
    if (!list)
        return;
    ph_service_result_free(list->page);
    ph_service_result_free(list->failed);
    free(list);
}

/* The request's continuation lives in the page before, which therefore stays when the next one
 * does not come: it is asked for again. */
static enum ph_err turn_page(struct ph_service_list *list)
{
    struct ph_service_result *page;
    enum ph_err err = ph_service_call(list->service, &list->request, &page);

    ph_service_result_free(list->failed);
    list->failed = err ? page : NULL;
    if (err)
        return err;
    ph_service_result_free(list->page);
    list->page = page;
    list->at = 0;
    list->request.continuation = ph_service_result_continuation(page);
    return PH_OK;
}

static bool is_read(const struct ph_service_list *list)
{
    return list->page && list->at == ph_service_result_count(list->page);
}

enum ph_err ph_service_list_next(struct ph_service_list *list, const char **connection_id,
                                 const char **user_id)
{
    enum ph_err err = PH_OK;

    *connection_id = NULL;
    if (!list->page)
        err = turn_page(list);
    /* A page may be empty although others follow. */
    while (!err && is_read(list) && list->request.continuation)
        err = turn_page(list);
    if (!err)
        *connection_id = ph_service_result_connection(list->page, list->at, user_id);
    list->at += *connection_id != NULL;
    return err;
}

const struct ph_service_result *ph_service_list_result(const struct ph_service_list *list)
{
    return list->failed ? list->failed : list->page;
}
