/* Where the broker's settings come from: the command line and the configuration file that
 * it names, which can be read again while the broker runs. */
#include "bin/broker_settings.h"

#include "bin/cli.h"
#include "broker/config/changes.h"

#include <stdlib.h>
#include <unistd.h>

#define MAX_CONFIG_FILE (4u << 20)

/* What the options of one reading of the command line write to. */
struct reading {
    struct settings_source *source;
    struct settings *settings;
};

static enum ph_err read_config(void *reading, const char *value, struct diag *diag)
{
    struct reading *r = reading;
    struct settings_source *source = r->source;
    enum ph_err err;

    if (source->path)
        return diag__set(diag, PH_ERR_ARGUMENT, "there can be one configuration file only");
    source->path = value;
    file__stamp(value, &source->stamp);
    err = file__read(value, &source->text, diag);
    return err ? err : settings__parse_file(r->settings, value, buf__view(&source->text), diag);
}

static struct settings *of(void *reading)
{
    return ((struct reading *)reading)->settings;
}

static enum ph_err set_listen(void *reading, const char *value, struct diag *diag)
{
    return settings__set_listen(of(reading), value, diag);
}

static enum ph_err add_key(void *reading, const char *value, struct diag *diag)
{
    return settings__add_key(of(reading), value, diag);
}

static enum ph_err add_event_handler(void *reading, const char *value, struct diag *diag)
{
    return settings__add_event_handler(of(reading), value, diag);
}

static enum ph_err add_plugin(void *reading, const char *value, struct diag *diag)
{
    return settings__add_plugin(of(reading), value, diag);
}

static enum ph_err set_watch(void *reading, const char *value, struct diag *diag)
{
    struct reading *r = reading;

    (void)value, (void)diag;
    r->source->watch = true;
    return PH_OK;
}

static enum ph_err set_threads(void *reading, const char *value, struct diag *diag)
{
    return settings__set_threads(of(reading), value, diag);
}

static enum ph_err set_log_level(void *reading, const char *value, struct diag *diag)
{
    return settings__set_log_level(of(reading), value, diag);
}

static enum ph_err set_log_format(void *reading, const char *value, struct diag *diag)
{
    return settings__set_log_format(of(reading), value, diag);
}

static enum ph_err ignore(void *reading, const char *value, struct diag *diag)
{
    (void)reading, (void)value, (void)diag;
    return PH_OK;
}

static const struct cli_option options[] = {
    {"listen", "HOST:PORT",
     "accept clients and REST calls there (default " SETTINGS_DEFAULT_LISTEN ");\n"
     "port 0 takes a free one",
     set_listen},
    {"access-key", "KEY",
     "key that signs tokens and events; a second one is the secondary\n"
     "key (default: the key of Microsoft's emulator, on loopback only)",
     add_key},
    {"config", "FILE", "JSON with settings and hubs; the command line overrides it", read_config},
    {"event-handler", "HUB=URL",
     "send all events of HUB to URL, which may hold {hub} and {event};\n"
     "may be repeated",
     add_event_handler},
    {"handler", "HUB=PLUGIN.so",
     "run this plugin inside the broker for all events of HUB;\n"
     "PLUGIN.so?key=value&... configures it; may be repeated",
     add_plugin},
    {"watch", NULL,
     "load plugins again when their files change, and on SIGHUP, without\n"
     "dropping an event",
     set_watch},
    {"threads", "N", "event loops (default: one per CPU)", set_threads},
    {"log-level", "LEVEL", "error, warn, info (default) or debug", set_log_level},
    {"log-format", "FORMAT", "text (default) or json", set_log_format},
};
#define OPTION_COUNT (sizeof(options) / sizeof(*options))

static const struct cli cli = {
    .program = "pubhook-broker",
    .synopsis = "[OPTION]...",
    .about = "Serves WebSocket clients and the data-plane REST API of Web PubSub, and sends what\n"
             "clients do to event handlers.",
    .more =
        "Prints \"ready\" with its address and a connection string to standard output once it\n"
        "accepts connections, and logs to standard error. SIGTERM and SIGINT end it; SIGHUP, and\n"
        "a change of the file of --config, read that file again, with --watch plugins too.\n"
        "What this file may hold, and all limits, are in pubhook-broker(1).",
    .options = options,
    .option_count = OPTION_COUNT,
};

/* The options that `chosen` says alone; the file comes before the command line wherever
 * it stands in it, so the line is read more than once. */
static enum cli_result read_line(struct settings_source *source, struct settings *s, bool files,
                                 struct diag *quiet)
{
    struct cli_option chosen[OPTION_COUNT];
    struct reading reading = {source, s};
    struct cli pass = cli;

    for (size_t i = 0; i < OPTION_COUNT; i++) {
        chosen[i] = options[i];
        if ((options[i].set == read_config) != files)
            chosen[i].set = ignore;
    }
    pass.options = chosen;
    pass.quiet = quiet;
    return cli__parse(&pass, source->argc, source->argv, &reading, NULL);
}

static unsigned cpu_count(void)
{
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);

    return cpus > 0 ? (unsigned)cpus : 1;
}

void settings_source__init(struct settings_source *source, int argc, char **argv)
{
    *source = (struct settings_source){.argc = argc, .argv = argv};
    buf__init(&source->text, MAX_CONFIG_FILE);
    buf__init(&source->read, MAX_CONFIG_FILE);
}

void settings_source__free(struct settings_source *source)
{
    buf__free(&source->text);
    buf__free(&source->read);
}

bool settings_source__can_reread(const struct settings_source *source)
{
    return source->path && strcmp(source->path, "-") != 0;
}

enum cli_result settings_source__read(struct settings_source *source, struct settings *s)
{
    enum cli_result result = read_line(source, s, true, NULL);
    struct diag diag = {""};

    if (result == CLI_RUN)
        result = read_line(source, s, false, NULL);
    if (result == CLI_RUN && settings__finish(s, cpu_count(), &diag))
        result = cli__wrong(&cli, "%s", diag.text);
    return result;
}

static enum ph_err reread(struct settings_source *source, struct settings *s,
                          const struct settings *running, struct diag *diag)
{
    enum ph_err err;

    file__stamp(source->path, &source->stamp);
    buf__reset(&source->read);
    err = file__read(source->path, &source->read, diag);
    if (!err)
        err = settings__parse_file(s, source->path, buf__view(&source->read), diag);
    if (!err && read_line(source, s, false, diag) != CLI_RUN)
        err = PH_ERR_CONFIG;
    if (err)
        return err;
    settings__keep_fixed(s, running);
    return settings__finish(s, cpu_count(), diag);
}

struct settings *settings_source__reread(struct settings_source *source,
                                         const struct settings *running, struct buf *changes,
                                         struct diag *diag)
{
    struct settings *s = settings__new();

    if (!s) {
        diag__set(diag, PH_ERR_MEMORY, "out of memory");
        return NULL;
    }
    if (reread(source, s, running, diag) != PH_OK) {
        settings__unref(s);
        return NULL;
    }
    settings__changes(buf__view(&source->text), buf__view(&source->read), changes);
    return s;
}

void settings_source__accept(struct settings_source *source)
{
    struct buf before = source->text;

    source->text = source->read;
    source->read = before;
}
