/* Client certificates as X.509 facts: tests/vectors/certificates, whole, cut everywhere, and in
 * events. */
#include "base/x509.h"
#include "event/event.h"
#include "unit.h"

#include <pthread.h>
#include <stdio.h>

#define MAX_PEM 4096

static struct str read_pem(struct arena *a, const char *name)
{
    char path[1024];
    char *text = arena__alloc(a, MAX_PEM);
    FILE *file;

    snprintf(path, sizeof(path), "%s/certificates/%s", VECTORS_DIR, name);
    file = fopen(path, "rb");
    if (!file)
        fail_msg("cannot open %s", path);
    struct str pem = str__n(text, fread(text, 1, MAX_PEM - 1, file));
    fclose(file);
    text[pem.len] = '\0';
    return pem;
}

static void facts_are_what_openssl_prints(void **state)
{
    struct x509_facts f;
    struct arena a;

    (void)state;
    arena__init(&a, NULL, 0, 1 << 20);
    assert_true(x509__read(&a, read_pem(&a, "device.pem"), &f));
    assert_str(f.texts[X509_SUBJECT], "CN=Ger\xc3\xa4t 7,CN=outer,O=Example\\, \\\"Inc\\\",C=DE");
    assert_str(f.texts[X509_ISSUER], "O=Example\\, \\\"Inc\\\",C=DE");
    assert_str(f.texts[X509_COMMON_NAME], "Ger\xc3\xa4t 7");
    assert_str(f.texts[X509_SERIAL], "badcafe01");
    assert_str(f.texts[X509_NOT_BEFORE], "2026-11-20T12:00:00Z");
    assert_str(f.texts[X509_NOT_AFTER], "2030-01-02T03:04:05Z");
    assert_str(f.texts[X509_SHA1], "8cf2a7dfc055ef06a384eafa792c505b0c0792e4");
    assert_str(f.texts[X509_SHA256],
               "0003c6d7e16772d3a02af19ae1758a385372ceb1f31855d319dd186c28bce280");
    assert_true(f.not_before == 1795176000 && f.not_after == 1893553445);

    assert_true(x509__read(&a, read_pem(&a, "no-common-name.pem"), &f));
    assert_null(f.texts[X509_COMMON_NAME].ptr);
    assert_str(f.texts[X509_SERIAL], "1");
    assert_str(f.texts[X509_NOT_AFTER], "9999-12-31T23:59:59Z");
    assert_true(f.not_before == -315619200 && f.not_after == 253402300799);
    arena__free(&a);
}

/* "admin\0.evil" must not be shown to a handler as "admin". */
static void a_name_with_a_nul_is_none(void **state)
{
    struct x509_facts f;
    struct arena a;

    (void)state;
    arena__init(&a, NULL, 0, 1 << 20);
    assert_true(x509__read(&a, read_pem(&a, "nul.pem"), &f));
    assert_null(f.texts[X509_COMMON_NAME].ptr);
    assert_str(f.texts[X509_SUBJECT], "CN=admin\\00.evil");
    arena__free(&a);
}

static void what_is_no_certificate_has_no_facts(void **state)
{
    static const char *const texts[] = {
        "", "x", "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"};
    struct x509_facts f;
    struct arena a;
    struct str pem;

    (void)state;
    arena__init(&a, NULL, 0, 1 << 20);
    assert_false(x509__read(&a, STR_NONE, &f));
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
        assert_false(x509__read(&a, str__of(texts[i]), &f));
    pem = read_pem(&a, "device.pem");
    for (size_t len = 0; len + 2 < pem.len; len++) { /* the last dash and the line's end */
        struct str cut = str__n(arena__dup(&a, pem.ptr, len), len);

        assert_false(x509__read(&a, cut, &f) && len + 25 < pem.len);
    }
    for (size_t at = 28; at + 26 < pem.len; at++) { /* whatever it says, it does no harm */
        struct str flipped = str__n(arena__dup(&a, pem.ptr, pem.len), pem.len);

        ((char *)(uintptr_t)flipped.ptr)[at] ^= 1;
        x509__read(&a, flipped, &f);
    }
    arena__free(&a);
}

static void size_is_limited(void **state)
{
    const size_t limit = 64u << 10;
    struct x509_facts f;
    struct arena a;
    struct str pem;

    (void)state;
    arena__init(&a, NULL, 0, 1 << 20);
    pem = read_pem(&a, "device.pem");
    for (size_t len = limit - 1; len <= limit + 1; len++) {
        char *padded = arena__alloc(&a, len);

        memset(padded, '\n', len);
        memcpy(padded, pem.ptr, pem.len);
        assert_int_equal(x509__read(&a, str__n(padded, len), &f), len <= limit);
    }
    arena__free(&a);
}

/* An event with so many certificates: the first one is not readable, the rest are. */
static struct ph_event event_with(struct arena *a, struct event_certificate *certificates,
                                  size_t count)
{
    struct str pem = read_pem(a, "device.pem");

    certificates[0] = (struct event_certificate){STR("ab"), STR("no PEM")};
    for (size_t i = 1; i < count; i++)
        certificates[i] = (struct event_certificate){STR("cd"), pem};
    return (struct ph_event){.kind = PH_EVENT_CONNECT,
                             .arena = a,
                             .lock = PTHREAD_MUTEX_INITIALIZER,
                             .certificates = certificates,
                             .certificate_count = count};
}

static void events_give_facts_of_those_that_can_be_read(void **state)
{
    struct event_certificate certificates[18];
    int64_t before = 7, after = 7;
    struct ph_event ev;
    struct arena a;

    (void)state;
    arena__init(&a, NULL, 0, 1 << 20);
    ev = event_with(&a, certificates, 18);
    for (int fact = PH_CERTIFICATE_SUBJECT; fact <= PH_CERTIFICATE_SHA256; fact++) {
        const char *text = ph_event_certificate_fact(&ev, 1, (enum ph_certificate_fact)fact);

        assert_non_null(text);
        assert_ptr_equal(ph_event_certificate_fact(&ev, 1, (enum ph_certificate_fact)fact), text);
        assert_null(ph_event_certificate_fact(&ev, 0, (enum ph_certificate_fact)fact));
    }
    assert_null(ph_event_certificate_fact(&ev, 1, (enum ph_certificate_fact)99));
    assert_string_equal(ph_event_certificate_fact(&ev, 15, PH_CERTIFICATE_SERIAL), "badcafe01");
    assert_null(ph_event_certificate_fact(&ev, 16, PH_CERTIFICATE_SERIAL));
    assert_null(ph_event_certificate_fact(&ev, 18, PH_CERTIFICATE_SERIAL));
    assert_string_equal(ph_event_certificate_thumbprint(&ev, 17), "cd");
    assert_int_equal(ph_event_certificate_validity(&ev, 0, &before, &after), PH_ERR_NOT_FOUND);
    assert_true(before == 7 && after == 7);
    assert_int_equal(ph_event_certificate_validity(&ev, 1, &before, &after), PH_OK);
    assert_true(before == 1795176000 && after == 1893553445);
    assert_int_equal(ph_event_certificate_validity(&ev, 1, NULL, NULL), PH_OK);
    arena__free(&a);
}

static void *read_one(void *arg)
{
    for (size_t i = 0; i < 8; i++)
        assert_int_equal(!ph_event_certificate_fact(arg, i, PH_CERTIFICATE_SUBJECT), i == 0);
    return NULL;
}

static void threads_may_ask_at_once(void **state)
{
    struct event_certificate certificates[8];
    pthread_t threads[4];
    struct ph_event ev;
    struct arena a;

    (void)state;
    arena__init(&a, NULL, 0, 1 << 20);
    ev = event_with(&a, certificates, 8);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, read_one, &ev), 0);
    for (size_t i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    arena__free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(facts_are_what_openssl_prints),
        cmocka_unit_test(a_name_with_a_nul_is_none),
        cmocka_unit_test(what_is_no_certificate_has_no_facts),
        cmocka_unit_test(size_is_limited),
        cmocka_unit_test(events_give_facts_of_those_that_can_be_read),
        cmocka_unit_test(threads_may_ask_at_once),
    };

    return cmocka_run_group_tests_name("certificates", tests, NULL, NULL);
}
