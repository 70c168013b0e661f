#include "base/log.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/log_limit.h"
#include "base/utf8.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define MAX_MESSAGE 4096
#define MAX_VALUE 1024 /* bytes of a field's value, which a peer may have chosen */
#define MAX_FIELDS 8
#define CUT "..."
/* A byte becomes five at the most (\\x1f), and there is room for what stands around them. */
#define MAX_LINE (5 * (MAX_MESSAGE + MAX_FIELDS * MAX_VALUE) + 1024)

struct ph_log {
    atomic_int level; /* enum ph_log_level */
    enum ph_log_format format;
    int fd;
    void (*sink)(void *arg, enum ph_log_level level, const char *line, size_t len);
    void *arg;
    pthread_mutex_t lock; /* of `limits` */
    struct log_limits limits;
};

static const char *const level_names[] = {"error", "warn", "info", "debug"};

struct ph_log *ph_log_new(enum ph_log_level level, enum ph_log_format format)
{
    struct ph_log *log = calloc(1, sizeof(*log));

    if (!log)
        return NULL;
    log->level = (int)level;
    log->format = format;
    log->fd = STDERR_FILENO;
    pthread_mutex_init(&log->lock, NULL);
    return log;
}

void ph_log_set_sink(struct ph_log *log,
                     void (*sink)(void *arg, enum ph_log_level level, const char *line, size_t len),
                     void *arg)
{
    log->sink = sink;
    log->arg = arg;
}

enum ph_err ph_log_level_from_name(const char *name, enum ph_log_level *out)
{
    for (size_t i = 0; i < sizeof(level_names) / sizeof(*level_names); i++) {
        if (strcmp(name, level_names[i]) == 0) {
            *out = (enum ph_log_level)i;
            return PH_OK;
        }
    }
    return PH_ERR_ARGUMENT;
}

bool log__wants(const struct ph_log *log, enum ph_log_level level)
{
    return log && (int)level <= atomic_load_explicit(&log->level, memory_order_relaxed);
}

void log__set_level(struct ph_log *log, enum ph_log_level level)
{
    atomic_store_explicit(&log->level, (int)level, memory_order_relaxed);
}

/* One log line is one line and valid UTF-8, whatever a peer put into a value. */
static void put_clean(struct buf *out, struct str s)
{
    bool utf8 = utf8__valid(s);

    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];

        if (c < 0x20 || c == 0x7f || (!utf8 && c >= 0x80))
            buf__printf(out, "\\x%02x", c);
        else
            buf__byte(out, (char)c);
    }
}

static void put_json(struct buf *out, struct str s)
{
    struct buf clean;

    buf__init(&clean, MAX_LINE);
    put_clean(&clean, s);
    json__quote(out, buf__view(&clean));
    buf__free(&clean);
}

/* Quoted where it could be taken for more than one value: some come from peers. */
static void put_value(struct buf *out, struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] == ' ' || s.ptr[i] == '=' || s.ptr[i] == '"') {
            put_json(out, s);
            return;
        }
    }
    put_clean(out, s);
}

/* Cuts a long value between two characters: a line without its end would run into the next. */
static struct str shorten(const char *value, char room[MAX_VALUE + sizeof(CUT)])
{
    struct str s = str__of(value);
    size_t len;

    if (s.len <= MAX_VALUE)
        return s;
    len = utf8__cut(s, MAX_VALUE).len;
    memcpy(room, s.ptr, len);
    memcpy(room + len, CUT, sizeof(CUT));
    return str__of(room);
}

static void write_text(struct buf *out, const char *time, enum ph_log_level level,
                       const char *const *fields, struct str message)
{
    char room[MAX_VALUE + sizeof(CUT)];

    buf__printf(out, "%s %-5s ", time, level_names[level]);
    put_clean(out, message);
    for (; fields[0] && fields[1]; fields += 2) {
        buf__printf(out, " %s=", fields[0]);
        put_value(out, shorten(fields[1], room));
    }
}

static void write_json(struct buf *out, const char *time, enum ph_log_level level,
                       const char *const *fields, struct str message)
{
    char room[MAX_VALUE + sizeof(CUT)];

    buf__printf(out, "{\"time\":\"%s\",\"level\":\"%s\",\"message\":", time, level_names[level]);
    put_json(out, message);
    for (; fields[0] && fields[1]; fields += 2) {
        buf__byte(out, ',');
        put_json(out, str__of(fields[0]));
        buf__byte(out, ':');
        put_json(out, shorten(fields[1], room));
    }
    buf__byte(out, '}');
}

static void write_line(struct ph_log *log, enum ph_log_level level, const char *const *fields,
                       struct str message)
{
    char time[CLOCK_RFC3339_SIZE];
    struct buf line;

    clock__rfc3339(time, clock__unix_ms(), 1);
    buf__init(&line, MAX_LINE);
    (log->format == PH_LOG_JSON ? write_json : write_text)(&line, time, level, fields, message);
    buf__byte(&line, '\n');
    if (log->sink)
        log->sink(log->arg, level, buf__view(&line).ptr, line.len);
    else if (line.len > 0 && write(log->fd, line.data, line.len) < 0)
        (void)0; /* nowhere left to complain */
    buf__free(&line);
}

static void tell_left_out(struct ph_log *log, const struct log_kind *kind)
{
    char message[LOG_LIMIT_SAMPLE + 80];
    int len = snprintf(message, sizeof(message), "%u lines more like this were left out: %s",
                       kind->left_out, kind->sample);

    write_line(log, PH_LOG_WARN, LOG_NONE, str__n(message, (size_t)len));
}

/* Many clients at once, or one that tries all the time, must not fill a disk. */
static bool within_limits(struct ph_log *log, const char *fmt, struct str message)
{
    int64_t now = clock__mono_ms();
    struct log_kind over;
    bool take;

    pthread_mutex_lock(&log->lock);
    while (log_limit__over(&log->limits, now, &over))
        tell_left_out(log, &over);
    take = log_limit__take(&log->limits, log_limit__kind(fmt, message), message, now);
    pthread_mutex_unlock(&log->lock);
    return take;
}

void ph_log_free(struct ph_log *log)
{
    struct log_kind over;

    if (!log)
        return;
    while (log_limit__over(&log->limits, INT64_MAX, &over))
        tell_left_out(log, &over);
    pthread_mutex_destroy(&log->lock);
    free(log);
}

void log__write(struct ph_log *log, enum ph_log_level level, const char *const *fields,
                const char *fmt, ...)
{
    char text[MAX_MESSAGE];
    struct str message;
    va_list args;
    int len;

    if (!log__wants(log, level))
        return;
    va_start(args, fmt);
    len = vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    if (len < 0)
        return;
    message = str__n(text, (size_t)len < sizeof(text) ? (size_t)len : sizeof(text) - 1);
    if (level == PH_LOG_DEBUG || within_limits(log, fmt, message))
        write_line(log, level, fields, message);
}

/* What an application logs is its own business. */
void ph_log_write(struct ph_log *log, enum ph_log_level level, const char *message)
{
    struct str text = str__of(message);

    if (text.len >= MAX_MESSAGE)
        text.len = MAX_MESSAGE - 1;
    if (log__wants(log, level))
        write_line(log, level, LOG_NONE, text);
}
