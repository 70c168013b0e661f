/* Facts of client certificates, read when a handler first asks. */
#include "base/x509.h"
#include "event/event.h"

/* A client has one; a chain has a few. Of more, nothing is read. */
#define MAX_CERTIFICATES 16

struct event_facts {
    enum { NOT_READ, READ, UNREADABLE } state;
    struct x509_facts facts;
};

/* Under the event's lock. */
static struct event_facts *facts_at(struct ph_event *ev, size_t at)
{
    if (at >= ev->certificate_count || at >= MAX_CERTIFICATES || !ev->arena)
        return NULL;
    if (!ev->certificate_facts)
        ev->certificate_facts =
            arena__zalloc(ev->arena, ev->certificate_count * sizeof(*ev->certificate_facts));
    return ev->certificate_facts ? &ev->certificate_facts[at] : NULL;
}

static const struct x509_facts *read_facts(const struct ph_event *ev, size_t at)
{
    struct ph_event *own = event__lock(ev);
    struct event_facts *f = facts_at(own, at);

    if (f && f->state == NOT_READ)
        f->state = x509__read(own->arena, own->certificates[at].pem, &f->facts) ? READ : UNREADABLE;
    event__unlock(own);
    return f && f->state == READ ? &f->facts : NULL;
}

const char *ph_event_certificate_fact(const struct ph_event *ev, size_t at,
                                      enum ph_certificate_fact fact)
{
    static const enum x509_text texts[] = {
        [PH_CERTIFICATE_SUBJECT] = X509_SUBJECT,
        [PH_CERTIFICATE_ISSUER] = X509_ISSUER,
        [PH_CERTIFICATE_COMMON_NAME] = X509_COMMON_NAME,
        [PH_CERTIFICATE_SERIAL] = X509_SERIAL,
        [PH_CERTIFICATE_NOT_BEFORE] = X509_NOT_BEFORE,
        [PH_CERTIFICATE_NOT_AFTER] = X509_NOT_AFTER,
        [PH_CERTIFICATE_SHA1] = X509_SHA1,
        [PH_CERTIFICATE_SHA256] = X509_SHA256,
    };
    const struct x509_facts *facts = read_facts(ev, at);

    if (!facts || (size_t)fact >= sizeof(texts) / sizeof(*texts))
        return NULL;
    return facts->texts[texts[fact]].ptr;
}

enum ph_err ph_event_certificate_validity(const struct ph_event *ev, size_t at, int64_t *not_before,
                                          int64_t *not_after)
{
    const struct x509_facts *facts = read_facts(ev, at);

    if (!facts)
        return PH_ERR_NOT_FOUND;
    if (not_before)
        *not_before = facts->not_before;
    if (not_after)
        *not_after = facts->not_after;
    return PH_OK;
}
