#include "base/url.h"

#include "event/event.h"

#define URL_MAX 8192

struct str event__url(struct arena *a, struct str url_template, struct str hub, struct str event)
{
    struct str rest = url_template;
    struct buf out;
    struct str url = STR_NONE;
    char *copy;

    buf__init(&out, URL_MAX);
    while (rest.len > 0) {
        struct str parameter = STR_NONE, value = STR_NONE;

        if (str__starts_with_nocase(rest, STR("{hub}")))
            parameter = STR("{hub}"), value = hub;
        else if (str__starts_with_nocase(rest, STR("{event}")))
            parameter = STR("{event}"), value = event;
        if (parameter.ptr)
            url__encode(&out, value);
        else
            buf__byte(&out, rest.ptr[0]);
        rest.ptr += parameter.ptr ? parameter.len : 1;
        rest.len -= parameter.ptr ? parameter.len : 1;
    }
    copy = out.failed ? NULL : arena__strdup(a, buf__view(&out));
    if (copy)
        url = str__n(copy, out.len);
    buf__free(&out);
    return url;
}
