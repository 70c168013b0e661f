/* Messages that are not delivered in time are dropped (client-and-rest section 5.3). */
#include "core_kit.h"
#include "unit.h"

#include <stdio.h>

#define SEND_ROLE "webpubsub.sendToGroup"

static struct transport *connect(struct kit *kit, const char *id, const struct format *format)
{
    return kit__connect(
        kit, &(struct client){.id = id, .format = format, .role = SEND_ROLE, .group = "g"});
}

/* As a REST call or another shard gives it. */
static void send_until(struct kit *kit, const char *text, int64_t expires_ms)
{
    struct message *m = message__new(&(struct message){.from = MESSAGE_FROM_GROUP,
                                                       .type = PH_DATA_TEXT,
                                                       .group = STR("g"),
                                                       .data = str__of(text),
                                                       .expires_ms = expires_ms});

    kit__apply(kit, (struct hub_command){
                        .op = HUB_SEND, .scope = SCOPE_GROUP, .name = STR("g"), .message = m});
    message__unref(m);
}

/* Which of the texts came, such as "1 3", in order. */
static void assert_texts(struct transport *t, const char *want)
{
    const char *at = kit__read(t);
    char got[256] = "";
    char *end = got;

    while ((at = strstr(at, "\"data\":\""))) {
        at += strlen("\"data\":\"");
        end += sprintf(end, "%s%.*s", end > got ? " " : "", (int)strcspn(at, "\""), at);
    }
    assert_string_equal(got, want);
}

static void a_slow_client_misses_what_has_expired(void **state)
{
    struct kit *kit = *state;
    struct transport *slow = connect(kit, "a", &format_json), *quick = connect(kit, "b", NULL);

    slow->stuck = true;
    send_until(kit, "1", 3000);
    send_until(kit, "2", 0);
    send_until(kit, "3", 2000);
    send_until(kit, "4", 2001);
    assert_texts(quick, "1 2 3 4");
    kit->now_ms = 2000;
    kit__resume(slow);
    assert_texts(slow, "1 2 4");
    kit->now_ms = 99000;
    assert_texts(slow, "");
}

static void a_detached_client_misses_what_has_expired(void **state)
{
    struct kit *kit = *state;
    struct transport *t = connect(kit, "a", &format_json_reliable);
    struct session *s = t->session;

    send_until(kit, "seen", 4000);
    kit__read(t); /* written, and not acknowledged */
    session__detach(s, kit->now_ms, STR("gone"));
    send_until(kit, "early", 3000);
    send_until(kit, "late", 5000);
    send_until(kit, "ever", 0);
    kit->now_ms = 4000;
    t = kit__reattach(kit, s, "token");
    assert_non_null(strstr(kit__read(t), "\"sequenceId\":3"));
    session__detach(s, kit->now_ms, STR("gone"));
    kit->now_ms = 5000;
    t = kit__reattach(kit, s, "token");
    assert_texts(t, "ever");
    kit__says(t, "{\"type\":\"sequenceAck\",\"sequenceId\":4}");
    session__detach(s, kit->now_ms, STR("gone"));
    t = kit__reattach(kit, s, "token");
    assert_texts(t, "");
}

/* A queue that is full of what nobody needs any more is not full. */
static void what_has_expired_takes_no_room(void **state)
{
    struct core_limits limits = CORE_LIMITS_DEFAULT;
    struct transport *t;
    struct session *s;
    struct kit kit;

    (void)state;
    limits.unacked.messages = 3;
    kit__init(&kit, &limits);
    t = connect(&kit, "a", &format_json_reliable);
    s = t->session;
    session__detach(s, 0, STR("gone"));
    for (int i = 0; i < 3; i++)
        send_until(&kit, "old", 100);
    kit.now_ms = 100;
    send_until(&kit, "new", 0);
    assert_int_equal(core__session_count(kit.core), 1);
    t = kit__reattach(&kit, s, "token");
    assert_texts(t, "new");
    kit__free(&kit);
}

static void a_client_gives_its_message_a_time(void **state)
{
    struct kit *kit = *state;
    struct transport *a = connect(kit, "a", NULL), *b = connect(kit, "b", &format_json_reliable);
    struct session *s = b->session;

    session__detach(s, kit->now_ms, STR("gone"));
    kit__says(a,
              "{\"type\":\"sendToGroup\",\"group\":\"g\",\"dataType\":\"text\",\"data\":\"short\","
              "\"ttlSeconds\":1}");
    kit__says(a,
              "{\"type\":\"sendToGroup\",\"group\":\"g\",\"dataType\":\"text\",\"data\":\"long\","
              "\"ttlSeconds\":2}");
    kit__says(a,
              "{\"type\":\"sendToGroup\",\"group\":\"g\",\"dataType\":\"text\",\"data\":\"ever\","
              "\"ttlSeconds\":0}");
    assert_texts(a, "short long ever");
    kit->now_ms += 1000;
    assert_texts(kit__reattach(kit, s, "token"), "long ever");
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, kit__set_up, kit__tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_slow_client_misses_what_has_expired),
        CASE(a_detached_client_misses_what_has_expired),
        cmocka_unit_test(what_has_expired_takes_no_room),
        CASE(a_client_gives_its_message_a_time),
    };

    return cmocka_run_group_tests_name("expiry", tests, NULL, NULL);
}
