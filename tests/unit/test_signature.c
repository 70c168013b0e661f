/* ce-signature: the vectors of event-handler section 4, and what must not pass. */
#include "event/event.h"
#include "unit.h"

#include <stdio.h>

#define CONNECTION "0f9c97a2f0bf4706afe87a14e0797b11"
#define EMULATOR_KEY "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789ABCDEFGH"
#define KEY_1 "7aab239577fd4f24bc919802fb629f5f"
#define KEY_2 "a5f2815d0d0c4b00bd27e832432f91ab"
#define SIGNATURE_1 "sha256=7767effcb3946f3e1de039df4b986ef02c110b1469d02c0a06f41b3b727ab561"
#define SIGNATURE_2 "sha256=d4aefb65547a00a9881fa8ac8bd03d0faf77af9da5205d45c6e57cbda4377760"

static const struct {
    const char *key, *connection, *signature;
} vectors[] = {
    {KEY_1, CONNECTION, SIGNATURE_1},
    {KEY_2, CONNECTION, SIGNATURE_2},
    {"test-access-key", "connectionId",
     "sha256=e6f4c4743d52abcab6a0c47c66eab32d72b5f81ea3b3389a66fdae400fe7b067"},
    {EMULATOR_KEY, "conn1",
     "sha256=8de7281e588e23b0a30a7180ffa240257b8176e983004c240c9f3f7a7233c993"},
    {EMULATOR_KEY, CONNECTION,
     "sha256=8805d739a12d46f22bcb15382a8c1c2bf38ae8f04566017bd613d5ef47cafe2c"},
    {EMULATOR_KEY, "\xd0\xba\xd0\xbb\xd0\xb8\xd0\xb5\xd0\xbd\xd1\x82-1",
     "sha256=6ff530779642c9f005a538245a8518b46c118c11a05af3cbac016721e15652c4"},
};

#define VECTOR_COUNT (sizeof(vectors) / sizeof(*vectors))

/* Checks up to two ce-signature lines against up to two keys. */
static bool check(const char *line1, const char *line2, const char *connection, const char *key1,
                  const char *key2)
{
    struct http_header items[] = {
        {STR("ce-signature"), str__of(line1)},
        {STR("host"), STR("localhost")},
        {STR("CE-Signature"), str__of(line2)},
    };
    struct http_headers headers = {
        .items = line1 ? items : items + 1, .count = line1 ? 3 : 2, .cap = 3};
    struct mac_key *keys[] = {key1 ? mac__key_new(str__of(key1)) : NULL,
                              key2 ? mac__key_new(str__of(key2)) : NULL};
    bool fits;

    if (!line2)
        headers.count--;
    fits = event__is_signed(&headers, str__of(connection), keys, (key1 != NULL) + (key2 != NULL));
    mac__key_free(keys[0]);
    mac__key_free(keys[1]);
    return fits;
}

static void vectors_are_accepted_in_lower_and_upper_case(void **state)
{
    (void)state;
    for (size_t i = 0; i < VECTOR_COUNT; i++) {
        char upper[80];

        snprintf(upper, sizeof(upper), "%s", vectors[i].signature);
        for (char *c = upper + strlen("sha256="); *c; c++) {
            if (*c >= 'a' && *c <= 'f')
                *c = (char)(*c - 'a' + 'A');
        }
        assert_true(check(vectors[i].signature, NULL, vectors[i].connection, vectors[i].key, NULL));
        assert_true(check(upper, NULL, vectors[i].connection, vectors[i].key, NULL));
    }
}

static void signing_makes_the_vectors(void **state)
{
    (void)state;
    for (size_t i = 0; i < VECTOR_COUNT; i++) {
        struct mac_key *key = mac__key_new(str__of(vectors[i].key));
        struct buf out;

        buf__init(&out, 1024);
        assert_true(event__sign(&out, str__of(vectors[i].connection), &key, 1));
        assert_str(buf__view(&out), vectors[i].signature);
        buf__free(&out);
        mac__key_free(key);
    }
}

static void two_keys_sign_one_entry_each(void **state)
{
    struct mac_key *keys[] = {mac__key_new(STR(KEY_1)), mac__key_new(STR(KEY_2))};
    struct buf out;

    (void)state;
    buf__init(&out, 1024);
    assert_true(event__sign(&out, STR(CONNECTION), keys, 2));
    assert_str(buf__view(&out), SIGNATURE_1 "," SIGNATURE_2);
    buf__free(&out);
    mac__key_free(keys[0]);
    mac__key_free(keys[1]);
}

static void any_entry_of_any_line_may_match_any_key(void **state)
{
    static const char *const lists[] = {
        "sha256=something," SIGNATURE_1,
        "sha256=something, " SIGNATURE_1,
        SIGNATURE_1 ", sha256=something",
        SIGNATURE_1 ",sha256=something",
        SIGNATURE_2 "," SIGNATURE_1,
        "," SIGNATURE_1 ",,",
        "\t" SIGNATURE_1 " , sha256=\xff",
        "SHA256=7767effcb3946f3e1de039df4b986ef02c110b1469d02c0a"
        "06f41b3b727ab561",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(lists) / sizeof(*lists); i++)
        assert_true(check(lists[i], NULL, CONNECTION, KEY_1, NULL));
    assert_true(check("sha256=something", SIGNATURE_1, CONNECTION, KEY_1, NULL));
    assert_true(check(SIGNATURE_1, "sha256=something", CONNECTION, KEY_1, NULL));
    assert_true(check(SIGNATURE_2, NULL, CONNECTION, KEY_1, KEY_2));
    assert_true(check(SIGNATURE_1, NULL, CONNECTION, KEY_2, KEY_1));
}

static void what_is_not_signed_by_a_key_is_refused(void **state)
{
    (void)state;
    assert_false(check(SIGNATURE_1, NULL, CONNECTION, "ccc", NULL));
    assert_false(check(SIGNATURE_1, NULL, "another connection", KEY_1, NULL));
    assert_false(check(SIGNATURE_1, NULL, CONNECTION, NULL, NULL));
    assert_false(check(SIGNATURE_1, NULL, NULL, KEY_1, NULL));
    assert_false(check(NULL, NULL, CONNECTION, KEY_1, NULL));
    assert_false(check("", NULL, CONNECTION, KEY_1, NULL));
    assert_false(check("sha256=", NULL, CONNECTION, KEY_1, NULL));
    assert_false(check(SIGNATURE_1 "0", NULL, CONNECTION, KEY_1, NULL));
    assert_false(check(SIGNATURE_1 " " SIGNATURE_1, NULL, CONNECTION, KEY_1, NULL));
    assert_false(check(strchr(SIGNATURE_1, '=') + 1, NULL, CONNECTION, KEY_1, NULL));
    assert_false(check("sha512=7767effcb3946f3e1de039df4b986ef02c110b1469d02c0a06f41b3b727ab561",
                       NULL, CONNECTION, KEY_1, NULL));
}

static void every_truncation_and_every_changed_character_is_refused(void **state)
{
    char text[] = SIGNATURE_1;
    size_t len = strlen(text);

    (void)state;
    for (size_t i = 0; i < len; i++) {
        char kept = text[i];

        text[i] = '\0';
        assert_false(check(text, NULL, CONNECTION, KEY_1, NULL));
        text[i] = i < strlen("sha256=") ? 'x' : kept == '0' ? '1' : '0';
        assert_false(check(text, NULL, CONNECTION, KEY_1, NULL));
        text[i] = kept;
    }
    assert_true(check(text, NULL, CONNECTION, KEY_1, NULL));
}

static void what_is_no_digit_is_refused_anywhere(void **state)
{
    static const char digits[] = "0123456789abcdefABCDEF";
    char text[] = SIGNATURE_1;
    char *found = strstr(text, "ef");

    (void)state;
    for (size_t i = strlen("sha256="); i < strlen(SIGNATURE_1); i++) {
        for (int c = 1; c < 256; c++) {
            char kept = text[i];

            text[i] = (char)c;
            if (!strchr(digits, c))
                assert_false(check(text, NULL, CONNECTION, KEY_1, NULL));
            text[i] = kept;
        }
    }
    memcpy(found, "fg", 2); /* 0xf0 and -1, where -1 is no digit, would be 0xef as well */
    assert_false(check(text, NULL, CONNECTION, KEY_1, NULL));
}

/* Vector 6: the key is the text as it stands, whatever encoding it looks like. */
static void decoded_keys_give_other_signatures(void **state)
{
    static const char from_hex[] = "\x7a\xab\x23\x95\x77\xfd\x4f\x24"
                                   "\xbc\x91\x98\x02\xfb\x62\x9f\x5f";
    static const char want[] = "sha256=d95a0253";
    struct mac_key *key = mac__key_new(str__n(from_hex, sizeof(from_hex) - 1));
    struct buf out;

    (void)state;
    buf__init(&out, 1024);
    assert_true(event__sign(&out, STR(CONNECTION), &key, 1));
    assert_true(str__starts_with(buf__view(&out), str__of(want)));
    assert_false(check(buf__view(&out).ptr, NULL, CONNECTION, KEY_1, NULL));
    buf__free(&out);
    mac__key_free(key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors_are_accepted_in_lower_and_upper_case),
        cmocka_unit_test(signing_makes_the_vectors),
        cmocka_unit_test(two_keys_sign_one_entry_each),
        cmocka_unit_test(any_entry_of_any_line_may_match_any_key),
        cmocka_unit_test(what_is_not_signed_by_a_key_is_refused),
        cmocka_unit_test(every_truncation_and_every_changed_character_is_refused),
        cmocka_unit_test(what_is_no_digit_is_refused_anywhere),
        cmocka_unit_test(decoded_keys_give_other_signatures),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
