/* What an operator can set: the command line and the configuration file
 * (with the names that the hub settings of the service have) end up here. Plain data,
 * read-only once the broker runs, shared by all shards.
 *
 * A reload makes new settings and leaves the old ones as they are: each shard, and each
 * event that waits for its handler, holds a reference to those that it works by. */
#ifndef BROKER_CONFIG_SETTINGS_H
#define BROKER_CONFIG_SETTINGS_H

#include "base/arena.h"
#include "base/diag.h"
#include "base/mac.h"
#include "broker/config/limits.h"
#include "pubhook/log.h"

#include <stdatomic.h>

/* event-handler section 5; the emulator's key, so that connection strings are
 * interchangeable. Refused off loopback. */
#define SETTINGS_DEFAULT_KEY "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789ABCDEFGH"
#define SETTINGS_MIN_KEY_LEN 32
#define SETTINGS_MAX_KEYS 2 /* primary, secondary */
#define SETTINGS_DEFAULT_LISTEN "127.0.0.1:8080"
#define SETTINGS_MAX_THREADS 256
#define SETTINGS_MAX_FILE (1u << 20) /* bytes of a configuration file */
#define SETTINGS_MAX_HUBS 1000
#define SETTINGS_MAX_HANDLERS 100 /* of one hub */
#define SETTINGS_MAX_URL 2048     /* bytes of a URL template */
#define SETTINGS_MAX_ENDPOINTS 32 /* publicEndpoints */
#define SETTINGS_MIN_KEEP_ALIVE 1 /* seconds */
#define SETTINGS_MAX_KEEP_ALIVE 120
#define SETTINGS_DEFAULT_KEEP_ALIVE 20

#define SETTINGS_MAX_LISTENERS 10 /* of one hub */
#define SETTINGS_MAX_SERVERS 16   /* of one listener */
#define SETTINGS_DEFAULT_SUBJECT "pubhook.{hub}.{event}"
#define SETTINGS_MAX_GROUP_FILTERS 100
#define SETTINGS_MAX_COMMAND 32 /* words of a command line */
#define SETTINGS_MAX_TOKEN_SECONDS 86400
#define SETTINGS_DEFAULT_TOKEN_SECONDS 300
#define SETTINGS_MAX_REQUESTS 1024 /* at a time, of one shard to one event handler */
#define SETTINGS_DEFAULT_REQUESTS 128
#define SETTINGS_MAX_QUEUED_EVENTS 1000000 /* of one shard for one event handler */
#define SETTINGS_DEFAULT_QUEUED_EVENTS 65536
#define SETTINGS_MAX_BREAKER_FAILURES 10000
#define SETTINGS_DEFAULT_BREAKER_FAILURES 10
#define SETTINGS_MAX_BREAKER_SECONDS 3600
#define SETTINGS_DEFAULT_BREAKER_SECONDS 10

enum { SYSTEM_EVENT_CONNECT = 1, SYSTEM_EVENT_CONNECTED = 2, SYSTEM_EVENT_DISCONNECTED = 4 };
enum { PRESENCE_EVENT_JOINED = 1, PRESENCE_EVENT_LEFT = 2 };

/* Where the bearer token that events carry comes from. The service has None and
 * ManagedIdentity, which nothing outside of it can have. */
enum token_origin { TOKEN_NONE, TOKEN_FILE, TOKEN_COMMAND };

struct handler_auth {
    enum token_origin origin;
    struct str file;           /* TOKEN_FILE */
    const struct str *command; /* TOKEN_COMMAND: the program and its arguments, no shell */
    size_t command_count;
    unsigned refresh_seconds; /* TOKEN_COMMAND */
    struct str key;           /* equal for those who can share a token */
};

/* One row of a hub's eventHandlers; the first row that matches an event gets it. */
struct event_handler {
    struct str url_template;         /* with {hub} and {event}; absent for an in-process plugin */
    struct str plugin;               /* FILE.so[?key=value&...] of --handler; absent for a URL */
    struct str user_event_pattern;   /* patterns in a comma list; absent: no user events */
    unsigned system_events;          /* SYSTEM_EVENT_* */
    unsigned presence_events;        /* PRESENCE_EVENT_* */
    const struct str *group_filters; /* patterns of groups with presence events; none: all */
    size_t group_filter_count;
    struct handler_auth auth;
    struct str ca_file;        /* trusted besides the system's; absent: the system's alone */
    unsigned max_requests;     /* at a time, of each shard; 0: the default */
    unsigned max_queued;       /* events of each shard that wait; 0: the default */
    unsigned breaker_failures; /* in a row, until events fail at once */
    unsigned breaker_seconds;  /* longest wait before the handler is tried again */
    bool breaker_off;
    struct str identity; /* hub and target: what is known of a handler is kept under it */
    void *app;           /* struct ph_app of the plugin, set when it is loaded */
};

/* One row of a hub's eventListeners; all rows that match an event hear of it. */
struct event_listener {
    struct str endpoint;           /* nats:// URLs in a comma list */
    struct str subject;            /* with {hub} and {event} */
    struct str user_event_pattern; /* as that of a handler; absent: no user events */
    unsigned system_events;        /* SYSTEM_EVENT_CONNECTED, SYSTEM_EVENT_DISCONNECTED */
};

/* Where primary sources disagree on what the service does (event-handler section 3.8).
 * All zero: as documented, and as the official emulator does. */
struct hub_compatibility {
    bool close_on_failed_ack_event; /* a failed user event with ackId closes the client */
    bool close_on_failed_event;     /* ... without */
    bool invocation_failed;      /* the ack's error is InvocationFailed, not InternalServerError */
    bool normal_raw_close;       /* a raw client is closed with 1000, not 1011 */
    bool forward_connect_body;   /* the client sees the text of a refusing connect handler */
    bool token_in_connect_query; /* the connect event shows access_token */
    bool short_source;           /* ce-source of custom events is /client/{connectionId} */
    bool charset;                /* Content-Type of text and JSON has a charset */
    bool user_id_required;       /* a client without user id is refused */
};

struct hub_settings {
    struct str name; /* lower case */
    bool anonymous_allowed;
    unsigned keep_alive_seconds; /* 1 to 120, default 20 */
    struct hub_compatibility compatibility;
    struct event_handler *handlers;
    size_t handler_count;
    struct event_listener *listeners;
    size_t listener_count;
};

/* A URL under which a proxy makes the broker known (client-and-rest section 5.6). */
struct public_endpoint {
    struct str url; /* as written, without a slash behind */
    bool secure;
    struct str host;
    uint16_t port;   /* 0: the default one */
    struct str path; /* which the proxy takes off; mostly empty */
};

/* Services that call with a token of Microsoft Entra. Fixed when the broker starts. */
struct entra_settings {
    struct str audience; /* absent: no such tokens */
    struct str issuer;
    struct str jwks_file, jwks_url; /* one of them; neither with allow_unvalidated */
    bool allow_unvalidated;         /* signature and issuer are not looked at; on loopback only */
};

struct settings {
    struct arena arena; /* holds every string and array below */
    atomic_uint refs;   /* 0: made by settings__init, and freed by its owner alone */
    struct str host;
    uint16_t port;
    struct mac_key *keys[SETTINGS_MAX_KEYS];
    size_t key_count;
    bool keys_of_file; /* a key from the command line replaces those of the file */
    unsigned threads;  /* 0 until settings__finish when nobody said */
    bool metrics;      /* GET /metrics answers */
    bool metrics_set;
    enum ph_log_level log_level;
    enum ph_log_format log_format;
    struct str ca_file; /* of handlers that have none of their own */
    struct limits limits;
    struct hub_settings *hubs;
    size_t hub_count;
    struct public_endpoint *endpoints;
    size_t endpoint_count;
    struct entra_settings entra;
};

/* Defaults. False when memory is out. */
bool settings__init(struct settings *s);
void settings__free(struct settings *s);

/* Defaults that live as long as somebody has a reference; the caller has the first. NULL:
 * memory is out. */
struct settings *settings__new(void);
/* Any thread. They do nothing to settings that are not counted, and to NULL. */
const struct settings *settings__ref(const struct settings *s);
void settings__unref(const struct settings *s);

/* Reads a configuration file's text; before the command line is applied, which
 * overrides it. PH_ERR_CONFIG with "FILE:LINE: ..." in `diag`: unknown key, bad value,
 * not JSON. */
enum ph_err settings__parse_file(struct settings *s, const char *file_name, struct str text,
                                 struct diag *diag);

/* One setting from the command line; PH_ERR_ARGUMENT says what would be right. */
enum ph_err settings__set_listen(struct settings *s, const char *value, struct diag *diag);
/* The first is the primary key, the second the secondary. */
enum ph_err settings__add_key(struct settings *s, const char *value, struct diag *diag);
/* HUB=URL; all system and user events, after the handlers of the file. */
enum ph_err settings__add_event_handler(struct settings *s, const char *value, struct diag *diag);
/* HUB=PLUGIN.so[?key=value&...]; likewise. */
enum ph_err settings__add_plugin(struct settings *s, const char *value, struct diag *diag);
enum ph_err settings__set_threads(struct settings *s, const char *value, struct diag *diag);
enum ph_err settings__set_log_level(struct settings *s, const char *value, struct diag *diag);
enum ph_err settings__set_log_format(struct settings *s, const char *value, struct diag *diag);

/* What can only be checked when all is known: fills in the default key, refuses it and
 * unvalidated tokens off loopback (PH_ERR_CONFIG), settles the number of threads: one for each of
 * `cpus` unless set. */
enum ph_err settings__finish(struct settings *s, unsigned cpus, struct diag *diag);

/* Before settings__finish, for settings that take the place of others in a broker that
 * runs: what cannot change there stays as it is. `running` must outlive `s`. */
void settings__keep_fixed(struct settings *s, const struct settings *running);

/* Settings of a hub (compared without case), or the defaults for one that has none. Never NULL. */
const struct hub_settings *settings__hub(const struct settings *s, struct str hub);

#endif
