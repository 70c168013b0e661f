#include "service/retry.h"

#include <stddef.h>

enum who { NOBODY, REPEATABLE, EVERYBODY };

static enum who may_after_status(int status)
{
    static const struct {
        int status;
        enum who who;
    } rows[] = {
        {429, EVERYBODY},  {503, EVERYBODY},  {408, REPEATABLE},
        {500, REPEATABLE}, {502, REPEATABLE}, {504, REPEATABLE},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        if (rows[i].status == status)
            return rows[i].who;
    }
    return NOBODY;
}

static enum who may_after(const struct try_result *result)
{
    switch (result->end) {
    case TRY_ANSWERED:
        return may_after_status(result->status);
    case TRY_NOT_SENT:
        return EVERYBODY;
    case TRY_UNKNOWN:
        return REPEATABLE;
    case TRY_FINAL:
        break;
    }
    return NOBODY;
}

/* Doubled each time, up to the longest; then some part between half of it and all, so that
 * clients that failed together do not come back together. */
static int64_t back_off(const struct retry_rules *rules, unsigned tries, uint32_t chance)
{
    int64_t pause = rules->pause_ms;

    while (--tries > 0 && pause < rules->pause_max_ms)
        pause *= 2;
    if (pause > rules->pause_max_ms)
        pause = rules->pause_max_ms;
    return pause - chance % (pause / 2 + 1);
}

int64_t retry__pause(const struct retry_rules *rules, bool repeatable,
                     const struct try_result *result, unsigned tries, int64_t left_ms,
                     uint32_t chance)
{
    enum who who = may_after(result);
    int64_t pause;

    if (who == NOBODY || (who == REPEATABLE && !repeatable) || tries > rules->retries)
        return -1;
    pause = result->retry_after_ms >= 0 ? result->retry_after_ms : back_off(rules, tries, chance);
    return pause < left_ms ? pause : -1;
}
