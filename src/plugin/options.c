#include "plugin/options.h"

#include "base/str.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define HUB "hub" /* the host's own key */
#define WORD_SIZE 160
#define HELP_COLUMN 24

/* --- Types ---------------------------------------------------------------------------- */

/* False: the text is none of this type. */
typedef bool read_fn(const struct ph_plugin_option *o, const char *text, int64_t *out);
/* What would be one, in words. */
typedef void expect_fn(const struct ph_plugin_option *o, char *out, size_t size);

static bool has_bounds(const struct ph_plugin_option *o)
{
    return o->least != 0 || o->most != 0;
}

static bool is_within(const struct ph_plugin_option *o, int64_t n)
{
    return !has_bounds(o) || (n >= o->least && n <= o->most);
}

/* No blanks, no plus sign, no octal numbers: whole numbers as everybody writes them. */
static bool read_number(const char *text, char **end, int64_t *out)
{
    const char *digits = text + (*text == '-');

    if (*digits < '0' || *digits > '9')
        return false;
    errno = 0;
    *out = strtoll(text, end, 10);
    return errno == 0;
}

static bool read_text(const struct ph_plugin_option *o, const char *text, int64_t *out)
{
    *out = (int64_t)strlen(text);
    return is_within(o, *out);
}

static void expect_text(const struct ph_plugin_option *o, char *out, size_t size)
{
    if (has_bounds(o))
        snprintf(out, size, "a text of %lld to %lld bytes", (long long)o->least,
                 (long long)o->most);
    else
        snprintf(out, size, "a text");
}

static bool read_integer(const struct ph_plugin_option *o, const char *text, int64_t *out)
{
    char *end;

    return read_number(text, &end, out) && *end == '\0' && is_within(o, *out);
}

static void expect_integer(const struct ph_plugin_option *o, char *out, size_t size)
{
    if (has_bounds(o))
        snprintf(out, size, "a whole number from %lld to %lld", (long long)o->least,
                 (long long)o->most);
    else
        snprintf(out, size, "a whole number");
}

/* Where `word` stands in a list such as "a|b|c"; -1: it does not. */
static int64_t place_in(const char *list, const char *word)
{
    struct str rest = str__of(list), part;
    int64_t at = 0;

    for (; str__split(&rest, '|', &part); at++) {
        if (str__eq(part, str__of(word)))
            return at;
    }
    return -1;
}

/* In pairs, so that the place tells which it is. */
#define BOOLEANS "false|true|no|yes|off|on|0|1"

static bool read_boolean(const struct ph_plugin_option *o, const char *text, int64_t *out)
{
    int64_t at = place_in(BOOLEANS, text);

    (void)o;
    *out = at & 1;
    return at >= 0;
}

static void expect_boolean(const struct ph_plugin_option *o, char *out, size_t size)
{
    (void)o;
    snprintf(out, size, "true or false");
}

static bool read_choice(const struct ph_plugin_option *o, const char *text, int64_t *out)
{
    *out = place_in(o->choices, text);
    return *out >= 0;
}

static void expect_choice(const struct ph_plugin_option *o, char *out, size_t size)
{
    size_t len = (size_t)snprintf(out, size, "one of ");

    for (const char *c = o->choices; *c && len + 3 < size; c++) {
        out[len++] = *c == '|' ? ',' : *c;
        if (*c == '|')
            out[len++] = ' ';
    }
    out[len] = '\0';
}

static bool read_file(const struct ph_plugin_option *o, const char *text, int64_t *out)
{
    struct stat st;

    (void)o;
    *out = 0;
    return stat(text, &st) == 0 && !S_ISDIR(st.st_mode) && access(text, R_OK) == 0;
}

static void expect_file(const struct ph_plugin_option *o, char *out, size_t size)
{
    (void)o;
    snprintf(out, size, "the path of a file that can be read");
}

static bool read_duration(const struct ph_plugin_option *o, const char *text, int64_t *out)
{
    static const struct {
        const char *unit;
        int64_t ms;
    } units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}};
    char *end;
    int64_t n;

    if (!read_number(text, &end, &n) || n < 0)
        return false;
    for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++) {
        if (strcmp(end, units[i].unit) != 0)
            continue;
        if (n > INT64_MAX / units[i].ms)
            return false;
        *out = n * units[i].ms;
        return is_within(o, *out);
    }
    return false;
}

static void expect_duration(const struct ph_plugin_option *o, char *out, size_t size)
{
    if (has_bounds(o))
        snprintf(out, size, "a time such as 500ms, 30s or 5m, from %lld to %lld ms",
                 (long long)o->least, (long long)o->most);
    else
        snprintf(out, size, "a time such as 500ms, 30s or 5m");
}

static const struct {
    const char *word; /* for its value, in descriptions */
    read_fn *read;
    expect_fn *expect;
} types[] = {
    [PH_OPTION_TEXT] = {"TEXT", read_text, expect_text},
    [PH_OPTION_INTEGER] = {"N", read_integer, expect_integer},
    [PH_OPTION_BOOLEAN] = {"YES-OR-NO", read_boolean, expect_boolean},
    [PH_OPTION_CHOICE] = {"WORD", read_choice, expect_choice},
    [PH_OPTION_FILE] = {"FILE", read_file, expect_file},
    [PH_OPTION_DURATION] = {"TIME", read_duration, expect_duration},
};

#define TYPE_COUNT (sizeof(types) / sizeof(*types))

/* --- The table ------------------------------------------------------------------------- */

static bool is_name(const char *name)
{
    size_t len = strlen(name);

    return len > 0 && len <= OPTIONS_MAX_NAME && strcmp(name, HUB) != 0 &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") == len;
}

/* A default may be a file that is made later. */
static bool has_good_preset(const struct ph_plugin_option *o)
{
    int64_t number;

    return !o->preset || o->type == PH_OPTION_FILE || types[o->type].read(o, o->preset, &number);
}

static const char *mistake_in(const struct ph_plugin_option *table,
                              const struct ph_plugin_option *o)
{
    if (!is_name(o->name))
        return "its name is \"hub\", or not made of letters, digits, '-', '_' and '.'";
    if (options__find(table, o->name) != o)
        return "another one has this name";
    if ((unsigned)o->type >= TYPE_COUNT)
        return "its type is none of enum ph_option_type";
    if (o->type == PH_OPTION_CHOICE && (!o->choices || !*o->choices))
        return "it has no choices";
    if (o->type == PH_OPTION_CHOICE && place_in(o->choices, "") >= 0)
        return "one of its choices is empty";
    if (o->least > o->most)
        return "its least value is larger than its most";
    if (o->required && o->preset)
        return "it is required and has a default";
    return has_good_preset(o) ? NULL : "its default is no value that it may have";
}

enum ph_err options__check(const struct ph_plugin_option *table, const char *file,
                           struct diag *diag)
{
    size_t n = 0;

    for (const struct ph_plugin_option *o = table; o && o->name; o++) {
        const char *mistake;

        if (n++ == OPTIONS_MAX)
            return diag__set(diag, PH_ERR_PLUGIN,
                             "%s: more than %d options; does the array end with one whose name is "
                             "NULL?",
                             file, OPTIONS_MAX);
        mistake = mistake_in(table, o);
        if (mistake)
            return diag__set(diag, PH_ERR_PLUGIN, "%s: option %zu, \"%.64s\": %s", file, n, o->name,
                             mistake);
    }
    return PH_OK;
}

const struct ph_plugin_option *options__find(const struct ph_plugin_option *table, const char *name)
{
    for (const struct ph_plugin_option *o = table; o && o->name; o++) {
        if (strcmp(o->name, name) == 0)
            return o;
    }
    return NULL;
}

enum ph_err options__read(const struct ph_plugin_option *option, const char *text,
                          struct option_value *out, const char *file, struct diag *diag)
{
    char expected[WORD_SIZE];

    out->text = text;
    if (types[option->type].read(option, text, &out->number))
        return PH_OK;
    types[option->type].expect(option, expected, sizeof(expected));
    if (option->secret)
        return diag__set(diag, PH_ERR_PLUGIN, "%s: the key \"%s\" is wrong, expected %s", file,
                         option->name, expected);
    return diag__set(diag, PH_ERR_PLUGIN, "%s: the key \"%s\" is \"%.80s\", expected %s", file,
                     option->name, text, expected);
}

enum ph_err options__missing(const struct ph_plugin_option *option, const char *file,
                             struct diag *diag)
{
    char expected[WORD_SIZE];

    types[option->type].expect(option, expected, sizeof(expected));
    return diag__set(diag, PH_ERR_PLUGIN, "%s: the key \"%s\" is missing, expected %s%s%s", file,
                     option->name, expected, option->help ? ": " : "",
                     option->help ? option->help : "");
}

void options__names(const struct ph_plugin_option *table, char *out, size_t size)
{
    size_t used = 0;

    *out = '\0';
    for (const struct ph_plugin_option *o = table; o && o->name && used < size; o++)
        used += (size_t)snprintf(out + used, size - used, ", %s", o->name);
}

/* --- For people -------------------------------------------------------------------------- */

/* What there is to say besides the help. */
static void describe_value(const struct ph_plugin_option *o, struct buf *out)
{
    char expected[WORD_SIZE];

    types[o->type].expect(o, expected, sizeof(expected));
    buf__printf(out, "%*s%s", HELP_COLUMN, "", expected);
    if (o->required)
        buf__str(out, STR("; required"));
    if (o->preset)
        buf__printf(out, "; default: %s", o->secret ? "(secret)" : o->preset);
    buf__byte(out, '\n');
}

static void describe_one(const struct ph_plugin_option *o, struct buf *out)
{
    size_t start = out->len, width;

    buf__printf(out, "  %s=%s", o->name, types[o->type].word);
    width = out->len - start;
    if (width >= HELP_COLUMN) {
        buf__byte(out, '\n');
        width = 0;
    }
    buf__printf(out, "%*s%s\n", (int)(HELP_COLUMN - width), "", o->help ? o->help : "");
    if (o->type != PH_OPTION_TEXT || has_bounds(o) || o->required || o->preset)
        describe_value(o, out);
}

void options__describe(const struct ph_plugin_option *table, struct buf *out)
{
    for (const struct ph_plugin_option *o = table; o && o->name; o++)
        describe_one(o, out);
}
