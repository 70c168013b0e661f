#include "base/log_limit.h"

#define KIND_PREFIX 24 /* bytes of a line that make its kind */

/* FNV-1a: collisions only cost lines. */
static uint64_t mix(uint64_t hash, const void *data, size_t len)
{
    const unsigned char *at = data;

    for (size_t i = 0; i < len; i++)
        hash = (hash ^ at[i]) * 0x100000001b3u;
    return hash;
}

uint64_t log_limit__kind(const void *from, struct str line)
{
    uint64_t hash = mix(0xcbf29ce484222325u, &from, sizeof(from));

    return mix(hash, line.ptr, line.len < KIND_PREFIX ? line.len : KIND_PREFIX);
}

static struct log_kind *find(struct log_limits *l, uint64_t kind)
{
    struct log_kind *oldest = &l->kinds[0];

    for (size_t i = 0; i < LOG_LIMIT_KINDS; i++) {
        struct log_kind *k = &l->kinds[i];

        if (k->lines > 0 && k->kind == kind)
            return k;
        if (oldest->lines > 0 && (k->lines == 0 || k->since_ms < oldest->since_ms))
            oldest = k;
    }
    *oldest = (struct log_kind){.kind = kind};
    return oldest;
}

bool log_limit__take(struct log_limits *l, uint64_t kind, struct str line, int64_t now_ms)
{
    struct log_kind *k = find(l, kind);
    size_t len = line.len < LOG_LIMIT_SAMPLE - 1 ? line.len : LOG_LIMIT_SAMPLE - 1;

    if (k->lines == 0 || now_ms - k->since_ms >= LOG_LIMIT_MS)
        *k = (struct log_kind){.kind = kind, .since_ms = now_ms};
    k->lines++;
    if (k->lines <= LOG_LIMIT_LINES)
        return true;
    k->left_out++;
    memcpy(k->sample, line.ptr, len);
    k->sample[len] = '\0';
    return false;
}

bool log_limit__over(struct log_limits *l, int64_t now_ms, struct log_kind *out)
{
    for (size_t i = 0; i < LOG_LIMIT_KINDS; i++) {
        struct log_kind *k = &l->kinds[i];

        if (k->left_out == 0 || (now_ms != INT64_MAX && now_ms - k->since_ms < LOG_LIMIT_MS))
            continue;
        *out = *k;
        *k = (struct log_kind){0};
        return true;
    }
    return false;
}
