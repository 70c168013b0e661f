#include "broker/config/limits.h"

#define LIMITS_ROW(member, name, preset, least, most)                                              \
    {STR(name), offsetof(struct limits, member), least, most},

static const struct limit_row rows[] = {LIMITS_TABLE(LIMITS_ROW)};

const struct limit_row *limits__rows(size_t *count)
{
    *count = sizeof(rows) / sizeof(rows[0]);
    return rows;
}

void limits__set(struct limits *limits, const struct limit_row *row, uint32_t value)
{
    memcpy((char *)limits + row->offset, &value, sizeof(value));
}
