/* Key sets of identity providers, and tokens signed with their keys. */
#include "base/base64.h"
#include "base/jwt.h"
#include "rsa_kit.h"
#include "unit.h"

#define NOW 1800000000
#define CLAIMS "{\"exp\":1800000060,\"sub\":\"app\"}"

static EVP_PKEY *key_a, *key_b;

struct fixture {
    struct arena arena;
    struct buf text, token;
    struct jwt_rules rules;
    const struct jwks *keys;
    struct diag diag;
};

static int make_keys(void **state)
{
    (void)state;
    key_a = rsa_kit__key(2048);
    key_b = rsa_kit__key(2048);
    return 0;
}

static int free_keys(void **state)
{
    (void)state;
    EVP_PKEY_free(key_a);
    EVP_PKEY_free(key_b);
    return 0;
}

static int setup(void **state)
{
    static struct fixture f;

    memset(&f, 0, sizeof(f));
    arena__init(&f.arena, NULL, 0, 1 << 20);
    buf__init(&f.text, 1 << 20);
    buf__init(&f.token, 1 << 20);
    f.rules.now = NOW;
    f.rules.skew = 300;
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    jwks__unref(f->keys);
    buf__free(&f->text);
    buf__free(&f->token);
    arena__free(&f->arena);
    return 0;
}

static void use_set(struct fixture *f)
{
    jwks__unref(f->keys);
    f->keys = jwks__parse(buf__view(&f->text), &f->diag);
    if (!f->keys)
        fail_msg("%s", f->diag.text);
    f->rules.public_keys = f->keys;
    buf__reset(&f->text);
}

static void two_keys(struct fixture *f)
{
    buf__str(&f->text, STR("{\"keys\":["));
    rsa_kit__jwk(&f->text, key_a, "a", "");
    buf__byte(&f->text, ',');
    rsa_kit__jwk(&f->text, key_b, "b", ",\"alg\":\"RS256\"");
    buf__str(&f->text, STR("]}"));
    use_set(f);
}

static enum ph_err verify(struct fixture *f)
{
    const struct json *claims;
    enum ph_err err =
        jwt__verify_rs256(&f->arena, buf__view(&f->token), &f->rules, &claims, &f->diag);

    assert_int_equal(err == PH_OK, claims != NULL);
    if (claims)
        assert_str(json__get_string(claims, STR("sub")), "app");
    return err;
}

static enum ph_err verify_new(struct fixture *f, EVP_PKEY *key, const char *kid, const char *header)
{
    buf__reset(&f->token);
    rsa_kit__token(&f->token, key, kid, header, CLAIMS);
    return verify(f);
}

static void the_named_key_must_have_signed(void **state)
{
    struct fixture *f = *state;

    two_keys(f);
    assert_int_equal(jwks__count(f->keys), 2);
    assert_int_equal(verify_new(f, key_a, "a", NULL), PH_OK);
    assert_int_equal(verify_new(f, key_b, "b", NULL), PH_OK);
    assert_int_equal(verify_new(f, key_a, "b", NULL), PH_ERR_AUTH);
    assert_int_equal(verify_new(f, key_a, "c", NULL), PH_ERR_NOT_FOUND);
    assert_int_equal(verify_new(f, key_a, NULL, NULL), PH_ERR_NOT_FOUND);
    rsa_kit__set(&f->text, key_a, "a");
    use_set(f);
    assert_int_equal(verify_new(f, key_a, NULL, NULL), PH_OK);
    assert_int_equal(verify_new(f, key_b, NULL, NULL), PH_ERR_AUTH);
    assert_int_equal(verify_new(f, key_b, "b", NULL), PH_ERR_NOT_FOUND);
    rsa_kit__set(&f->text, key_a, NULL);
    use_set(f);
    assert_int_equal(verify_new(f, key_a, "a", NULL), PH_ERR_NOT_FOUND);
    f->rules.public_keys = NULL;
    assert_int_equal(verify_new(f, key_a, "a", NULL), PH_ERR_NOT_FOUND);
}

/* Every byte of a token counts; of the last one, some bits stand for nothing. */
static void a_changed_token_is_refused(void **state)
{
    struct fixture *f = *state;

    two_keys(f);
    assert_int_equal(verify_new(f, key_a, "a", NULL), PH_OK);
    for (size_t i = 0; i < f->token.len - 1; i++) {
        char was = f->token.data[i];

        f->token.data[i] = was == '0' ? '1' : '0';
        assert_int_not_equal(verify(f), PH_OK);
        f->token.data[i] = was;
        arena__reset(&f->arena);
    }
    for (size_t len = f->token.len - 1; len > 0; len--) {
        f->token.len = len;
        assert_int_not_equal(verify(f), PH_OK);
        arena__reset(&f->arena);
    }
}

/* The token's header does not decide what kind of key its signature is checked with. */
static void algorithms_are_not_confused(void **state)
{
    static const char *const others[] = {
        "{\"alg\":\"none\",\"kid\":\"a\"}",
        "{\"alg\":\"HS256\",\"kid\":\"a\"}",
        "{\"alg\":\"rs256\",\"kid\":\"a\"}",
        "{\"alg\":\"RS512\",\"kid\":\"a\"}",
        "{\"alg\":\"PS256\",\"kid\":\"a\"}",
        "{\"alg\":[\"RS256\"],\"kid\":\"a\"}",
        "{\"kid\":\"a\"}",
        "{\"alg\":\"RS256\",\"kid\":\"a\",\"crit\":[\"x\"]}",
    };
    struct fixture *f = *state;
    const struct json *claims;
    struct mac_key *mac;

    for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++) {
        two_keys(f);
        assert_int_equal(verify_new(f, key_a, "a", others[i]), PH_ERR_AUTH);
    }
    /* The text of the key set, which everybody can read, as the secret of a MAC. */
    rsa_kit__set(&f->text, key_a, "a");
    mac = mac__key_new(buf__view(&f->text));
    use_set(f);
    buf__reset(&f->token);
    jwt__sign(&f->token, STR(CLAIMS), mac);
    assert_int_equal(verify(f), PH_ERR_AUTH);
    /* And a token of Entra is none of an access key. */
    f->rules.keys = &mac;
    f->rules.key_count = 1;
    buf__reset(&f->token);
    rsa_kit__token(&f->token, key_a, "a", NULL, CLAIMS);
    assert_int_equal(jwt__verify(&f->arena, buf__view(&f->token), &f->rules, &claims, &f->diag),
                     PH_ERR_AUTH);
    mac__key_free(mac);
}

static void times_have_five_minutes_of_grace(void **state)
{
    static const struct {
        const char *claims;
        enum ph_err err;
    } rows[] = {
        {"{\"sub\":\"app\",\"exp\":1799999701}", PH_OK},
        {"{\"sub\":\"app\",\"exp\":1799999700}", PH_ERR_AUTH},
        {"{\"sub\":\"app\",\"exp\":1800000001,\"nbf\":1800000300}", PH_OK},
        {"{\"sub\":\"app\",\"exp\":1800000001,\"nbf\":1800000301}", PH_ERR_AUTH},
        {"{\"sub\":\"app\",\"exp\":1800000001,\"nbf\":\"now\"}", PH_ERR_AUTH},
        {"{\"sub\":\"app\",\"exp\":\"1800000001\"}", PH_ERR_AUTH},
        {"{\"sub\":\"app\"}", PH_ERR_AUTH},
        {"[]", PH_ERR_SYNTAX},
        {"{", PH_ERR_SYNTAX},
    };
    struct fixture *f = *state;

    two_keys(f);
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        enum ph_err err;

        buf__reset(&f->token);
        rsa_kit__token(&f->token, key_a, "a", NULL, rows[i].claims);
        assert_int_equal(verify(f), rows[i].err);
        /* the same judgement without keys, for unvalidated tokens */
        err = jwt__check_times(&f->arena, buf__view(&f->token), &f->rules, &f->diag);
        assert_int_equal(err, rows[i].err);
    }
}

static void sets(void **state)
{
    static const struct {
        const char *text;
        const char *why; /* part of the reason; NULL: good */
    } rows[] = {
        {"", "not valid JSON"},
        {"[]", "array `keys`"},
        {"{}", "array `keys`"},
        {"{\"keys\":{}}", "array `keys`"},
        {"{\"keys\":[]}", "none of the 0 keys"},
        {"{\"keys\":[null,1,\"x\",[],{}]}", "none of the 5 keys"},
        {"{\"keys\":[{\"kty\":\"EC\"},{\"kty\":\"oct\",\"k\":\"AA\"}]}", "none of the 2 keys"},
        {"{\"keys\":[{\"kty\":\"RSA\",\"use\":\"enc\"}]}", "none of the 1 keys"},
        {"{\"keys\":[{\"kty\":\"RSA\",\"alg\":\"RS512\"}]}", "none of the 1 keys"},
        {"{\"keys\":[{\"kty\":\"RSA\",\"kid\":\"k\"}]}", "the key \"k\" has no n"},
        {"{\"keys\":[{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"}]}", "shorter than 2048"},
        {"{\"keys\":[{\"kty\":\"RSA\",\"n\":\"*\",\"e\":\"AQAB\"}]}", "has no n"},
        {"{\"keys\":[{\"kty\":\"RSA\",\"n\":\"\",\"e\":\"AQAB\"}]}", "has no n"},
        {"{\"keys\":[{\"kty\":\"RSA\",\"n\":[1],\"e\":1}]}", "has no n"},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        f->diag.text[0] = '\0';
        assert_null(jwks__parse(str__of(rows[i].text), &f->diag));
        if (!strstr(f->diag.text, rows[i].why))
            fail_msg("%s: %s", rows[i].text, f->diag.text);
    }
}

/* Builds a set around numbers of our choice. */
static bool accepts(struct fixture *f, size_t n_bytes, unsigned char n_last, const char *e)
{
    unsigned char n[JWKS_MAX_BITS / 8 + 2];
    struct jwks *set;

    memset(n, 0xff, sizeof(n));
    n[n_bytes - 1] = n_last;
    buf__reset(&f->text);
    buf__str(&f->text, STR("{\"keys\":[{\"kty\":\"RSA\",\"n\":\""));
    base64__encode_url(&f->text, n, n_bytes);
    buf__printf(&f->text, "\",\"e\":\"%s\"}]}", e);
    set = jwks__parse(buf__view(&f->text), &f->diag);
    jwks__unref(set);
    return set;
}

static void keys_are_neither_weak_nor_huge(void **state)
{
    struct fixture *f = *state;

    assert_false(accepts(f, 255, 0xff, "AQAB"));
    assert_true(accepts(f, 256, 0xff, "AQAB"));
    assert_true(accepts(f, 1024, 0xff, "AQAB"));
    assert_false(accepts(f, 1025, 0xff, "AQAB"));
    assert_false(accepts(f, 1026, 0xff, "AQAB"));
    assert_false(accepts(f, 256, 0xfe, "AQAB")); /* even */
    assert_false(accepts(f, 256, 0xff, "AQ"));   /* 1 */
    assert_false(accepts(f, 256, 0xff, "Ag"));   /* 2 */
    assert_true(accepts(f, 256, 0xff, "Aw"));    /* 3 */
    assert_true(accepts(f, 256, 0xff, "_________wE"));
    assert_false(accepts(f, 256, 0xff, "AQAAAAAAAAAB")); /* 65 bits */
}

static void sets_are_bounded(void **state)
{
    struct fixture *f = *state;
    struct jwks *set;

    for (int count = JWKS_MAX_KEYS - 1; count <= JWKS_MAX_KEYS + 1; count++) {
        buf__reset(&f->text);
        buf__str(&f->text, STR("{\"keys\":["));
        rsa_kit__jwk(&f->text, key_a, "0", "");
        for (int i = 1; i < count; i++) {
            buf__byte(&f->text, ',');
            rsa_kit__jwk(&f->text, key_a, "1", "");
        }
        buf__str(&f->text, STR("]}"));
        set = jwks__parse(buf__view(&f->text), &f->diag);
        assert_int_equal(set != NULL, count <= JWKS_MAX_KEYS);
        jwks__unref(set);
    }
    for (size_t len = JWKS_MAX_LEN - 1; len <= JWKS_MAX_LEN + 1; len++) {
        buf__reset(&f->text);
        rsa_kit__set(&f->text, key_a, "a");
        while (f->text.len < len)
            buf__byte(&f->text, ' ');
        set = jwks__parse(buf__view(&f->text), &f->diag);
        assert_int_equal(set != NULL, len <= JWKS_MAX_LEN);
        jwks__unref(set);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_named_key_must_have_signed, setup, teardown),
        cmocka_unit_test_setup_teardown(a_changed_token_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(algorithms_are_not_confused, setup, teardown),
        cmocka_unit_test_setup_teardown(times_have_five_minutes_of_grace, setup, teardown),
        cmocka_unit_test_setup_teardown(sets, setup, teardown),
        cmocka_unit_test_setup_teardown(keys_are_neither_weak_nor_huge, setup, teardown),
        cmocka_unit_test_setup_teardown(sets_are_bounded, setup, teardown),
    };

    return cmocka_run_group_tests(tests, make_keys, free_keys);
}
