/**
 * Event handlers in a shared object, run by pubhookd or by the broker itself.
 *
 *     #include <pubhook/plugin.h>
 *
 *     static struct ph_reply *on_message(const struct ph_event *ev, void *self)
 *     {
 *         return ph_reply_text("hello", 5);
 *     }
 *
 *     static const struct ph_plugin_handler handlers[] = {
 *         {PH_EVENT_USER, "message", on_message},
 *         {0, NULL, NULL},
 *     };
 *     static const struct ph_plugin plugin = {
 *         PH_PLUGIN_HEAD, "hello", "1.0", NULL, NULL, handlers, NULL,
 *     };
 *     PH_PLUGIN(plugin)
 *
 * A plugin is not linked with libpubhook: the host hands it a table of functions,
 * and the macros below make the ordinary names (ph_event_hub, ph_reply_text, ...)
 * go through that table. Tables only ever grow at their end.
 */
#ifndef PUBHOOK_PLUGIN_H
#define PUBHOOK_PLUGIN_H

#include <pubhook/app.h>
#include <pubhook/defer.h>
#include <pubhook/event.h>
#include <pubhook/json.h>
#include <pubhook/log.h>
#include <pubhook/mqtt.h>
#include <pubhook/reply.h>
#include <pubhook/service.h>
#include <pubhook/state.h>
#include <pubhook/version.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct ph_plugin_config;

/* Functions that the host offers: result, name, parameters. Append only; raise
 * PH_ABI_MINOR with each addition. */
#define PH_HOST_FUNCTIONS(ROW)                                                                     \
    ROW(enum ph_event_kind, event_kind, (const struct ph_event *))                                 \
    ROW(const char *, event_hub, (const struct ph_event *))                                        \
    ROW(const char *, event_connection_id, (const struct ph_event *))                              \
    ROW(const char *, event_name, (const struct ph_event *))                                       \
    ROW(const char *, event_user_id, (const struct ph_event *))                                    \
    ROW(const char *, event_subprotocol, (const struct ph_event *))                                \
    ROW(const char *, event_id, (const struct ph_event *))                                         \
    ROW(const char *, event_time, (const struct ph_event *))                                       \
    ROW(const char *, event_source, (const struct ph_event *))                                     \
    ROW(const char *, event_origin, (const struct ph_event *))                                     \
    ROW(const char *, event_state, (const struct ph_event *))                                      \
    ROW(const char *, event_reason, (const struct ph_event *))                                     \
    ROW(enum ph_data_type, event_data_type, (const struct ph_event *))                             \
    ROW(const void *, event_data, (const struct ph_event *, size_t *))                             \
    ROW(const char *, event_field, (const struct ph_event *, enum ph_field, const char *, size_t)) \
    ROW(size_t, event_field_count, (const struct ph_event *, enum ph_field))                       \
    ROW(const char *, event_field_name, (const struct ph_event *, enum ph_field, size_t))          \
    ROW(const char *, event_offered_subprotocol, (const struct ph_event *, size_t))                \
    ROW(size_t, event_certificate_count, (const struct ph_event *))                                \
    ROW(const char *, event_certificate_thumbprint, (const struct ph_event *, size_t))             \
    ROW(const char *, event_certificate_pem, (const struct ph_event *, size_t))                    \
    ROW(const char *, event_http_header, (const struct ph_event *, const char *))                  \
    ROW(struct ph_reply *, reply_accept, (void))                                                   \
    ROW(void, reply_set_user_id, (struct ph_reply *, const char *))                                \
    ROW(void, reply_add_group, (struct ph_reply *, const char *))                                  \
    ROW(void, reply_add_role, (struct ph_reply *, const char *))                                   \
    ROW(void, reply_clear_roles, (struct ph_reply *))                                              \
    ROW(void, reply_set_subprotocol, (struct ph_reply *, const char *))                            \
    ROW(struct ph_reply *, reply_reject, (int, const char *))                                      \
    ROW(struct ph_reply *, reply_ok, (void))                                                       \
    ROW(struct ph_reply *, reply_pass, (void))                                                     \
    ROW(struct ph_reply *, reply_text, (const char *, size_t))                                     \
    ROW(struct ph_reply *, reply_json, (const char *, size_t))                                     \
    ROW(struct ph_reply *, reply_binary, (const void *, size_t))                                   \
    ROW(struct ph_reply *, reply_protobuf, (const void *, size_t))                                 \
    ROW(struct ph_reply *, reply_data, (enum ph_data_type, const void *, size_t))                  \
    ROW(void, reply_set_state, (struct ph_reply *, const char *))                                  \
    ROW(void, reply_free, (struct ph_reply *))                                                     \
    ROW(struct ph_state *, state_from_event, (const struct ph_event *))                            \
    ROW(void, state_free, (struct ph_state *))                                                     \
    ROW(const char *, state_get, (const struct ph_state *, const char *))                          \
    ROW(int64_t, state_get_int, (const struct ph_state *, const char *, int64_t))                  \
    ROW(enum ph_err, state_set, (struct ph_state *, const char *, const char *))                   \
    ROW(enum ph_err, state_set_int, (struct ph_state *, const char *, int64_t))                    \
    ROW(void, state_clear, (struct ph_state *))                                                    \
    ROW(void, reply_set_state_from, (struct ph_reply *, const struct ph_state *))                  \
    ROW(const char *, strerror, (enum ph_err))                                                     \
    ROW(const char *, version, (void))                                                             \
    ROW(const char *, plugin_config_get, (const struct ph_plugin_config *, const char *))          \
    ROW(enum ph_err, plugin_config_fail, (struct ph_plugin_config *, const char *))                \
    ROW(struct ph_log *, plugin_config_log, (const struct ph_plugin_config *))                     \
    ROW(void, log_write, (struct ph_log *, enum ph_log_level, const char *))                       \
    ROW(void, reply_set_metadata, (struct ph_reply *, const char *, const char *))                 \
    ROW(const char *, event_group, (const struct ph_event *))                                      \
    ROW(void, plugin_config_never_blocks, (struct ph_plugin_config *))                             \
    ROW(struct ph_reply *, reply_defer,                                                            \
        (const struct ph_event *, unsigned, struct ph_deferred **))                                \
    ROW(const struct ph_event *, deferred_event, (const struct ph_deferred *))                     \
    ROW(enum ph_err, deferred_answer, (struct ph_deferred *, struct ph_reply *))                   \
    ROW(enum ph_err, deferred_at_deadline, (struct ph_deferred *, struct ph_reply *))              \
    ROW(enum ph_err, deferred_on_cancel,                                                           \
        (struct ph_deferred *, ph_deferred_notice_fn *, void *, void (*)(void *)))                 \
    ROW(struct ph_deferred *, deferred_ref, (struct ph_deferred *))                                \
    ROW(void, deferred_unref, (struct ph_deferred *))                                              \
    ROW(const char *, event_content_type, (const struct ph_event *))                               \
    ROW(void, reply_add_header, (struct ph_reply *, const char *, const char *))                   \
    ROW(int, event_is_mqtt, (const struct ph_event *))                                             \
    ROW(const char *, event_physical_connection_id, (const struct ph_event *))                     \
    ROW(const char *, event_session_id, (const struct ph_event *))                                 \
    ROW(enum ph_mqtt_version, event_mqtt_version, (const struct ph_event *))                       \
    ROW(int, event_mqtt_clean_start, (const struct ph_event *))                                    \
    ROW(const char *, event_mqtt_username, (const struct ph_event *))                              \
    ROW(const void *, event_mqtt_password, (const struct ph_event *, size_t *))                    \
    ROW(int, event_mqtt_initiated_by_client, (const struct ph_event *))                            \
    ROW(int, event_mqtt_disconnect_code, (const struct ph_event *))                                \
    ROW(struct ph_reply *, reply_reject_mqtt, (int, const char *))                                 \
    ROW(void, reply_add_mqtt_property, (struct ph_reply *, const char *, const char *))            \
    ROW(void, reply_set_content_type, (struct ph_reply *, const char *))                           \
    ROW(const char *, event_certificate_fact,                                                      \
        (const struct ph_event *, size_t, enum ph_certificate_fact))                               \
    ROW(enum ph_err, event_certificate_validity,                                                   \
        (const struct ph_event *, size_t, int64_t *, int64_t *))                                   \
    ROW(const struct ph_json *, event_json, (const struct ph_event *))                             \
    ROW(enum ph_err, json_parse, (const char *, size_t, struct ph_json_doc **, const char **))     \
    ROW(const struct ph_json *, json_root, (const struct ph_json_doc *))                           \
    ROW(void, json_free, (struct ph_json_doc *))                                                   \
    ROW(const struct ph_json *, json_at, (const struct ph_json *, const char *))                   \
    ROW(enum ph_json_type, json_type, (const struct ph_json *))                                    \
    ROW(size_t, json_count, (const struct ph_json *))                                              \
    ROW(const struct ph_json *, json_first, (const struct ph_json *))                              \
    ROW(const struct ph_json *, json_next, (const struct ph_json *))                               \
    ROW(const char *, json_name, (const struct ph_json *, size_t *))                               \
    ROW(const char *, json_string, (const struct ph_json *, const char *, size_t *))               \
    ROW(int, json_is, (const struct ph_json *, const char *, const char *))                        \
    ROW(enum ph_err, json_copy, (const struct ph_json *, const char *, char *, size_t))            \
    ROW(int64_t, json_int, (const struct ph_json *, const char *, int64_t))                        \
    ROW(double, json_double, (const struct ph_json *, const char *, double))                       \
    ROW(int, json_bool, (const struct ph_json *, const char *, int))                               \
    ROW(const char *, json_raw, (const struct ph_json *, const char *, size_t *))                  \
    ROW(struct ph_json_writer *, json_writer_new, (void))                                          \
    ROW(void, json_writer_free, (struct ph_json_writer *))                                         \
    ROW(void, json_put_object, (struct ph_json_writer *))                                          \
    ROW(void, json_put_array, (struct ph_json_writer *))                                           \
    ROW(void, json_put_end, (struct ph_json_writer *))                                             \
    ROW(void, json_put_key, (struct ph_json_writer *, const char *))                               \
    ROW(void, json_put_text, (struct ph_json_writer *, const char *))                              \
    ROW(void, json_put_string, (struct ph_json_writer *, const char *, size_t))                    \
    ROW(void, json_put_int, (struct ph_json_writer *, int64_t))                                    \
    ROW(void, json_put_double, (struct ph_json_writer *, double))                                  \
    ROW(void, json_put_bool, (struct ph_json_writer *, int))                                       \
    ROW(void, json_put_null, (struct ph_json_writer *))                                            \
    ROW(void, json_put_raw, (struct ph_json_writer *, const char *, size_t))                       \
    ROW(void, json_put_value, (struct ph_json_writer *, const struct ph_json *))                   \
    ROW(const char *, json_writer_text, (const struct ph_json_writer *, size_t *, const char **))  \
    ROW(struct ph_reply *, reply_json_from, (struct ph_json_writer *))                             \
    ROW(double, state_get_double, (const struct ph_state *, const char *, double))                 \
    ROW(int, state_get_bool, (const struct ph_state *, const char *, int))                         \
    ROW(const char *, state_get_json, (const struct ph_state *, const char *, size_t *))           \
    ROW(size_t, state_count, (const struct ph_state *))                                            \
    ROW(const char *, state_key, (const struct ph_state *, size_t))                                \
    ROW(enum ph_err, state_set_double, (struct ph_state *, const char *, double))                  \
    ROW(enum ph_err, state_set_bool, (struct ph_state *, const char *, int))                       \
    ROW(enum ph_err, state_set_json, (struct ph_state *, const char *, const char *, size_t))      \
    ROW(void, state_remove, (struct ph_state *, const char *))                                     \
    ROW(struct ph_service *, event_service, (const struct ph_event *))                             \
    ROW(enum ph_err, service_new,                                                                  \
        (const char *, const char *, const struct ph_service_options *, struct ph_service **,      \
         const char **))                                                                           \
    ROW(enum ph_err, service_for_hub, (struct ph_service *, const char *, struct ph_service **))   \
    ROW(enum ph_err, service_set_connection_string,                                                \
        (struct ph_service *, const char *, const char **))                                        \
    ROW(void, service_free, (struct ph_service *))                                                 \
    ROW(const char *, service_hub, (const struct ph_service *))                                    \
    ROW(enum ph_err, service_call,                                                                 \
        (struct ph_service *, const struct ph_service_request *, struct ph_service_result **))     \
    ROW(enum ph_err, service_start,                                                                \
        (struct ph_service *, const struct ph_service_request *, ph_service_done_fn *, void *,     \
         uint64_t *))                                                                              \
    ROW(enum ph_err, service_post, (struct ph_service *, const struct ph_service_request *))       \
    ROW(enum ph_err, service_cancel, (struct ph_service *, uint64_t))                              \
    ROW(int, service_fd, (struct ph_service *))                                                    \
    ROW(enum ph_err, service_process, (struct ph_service *))                                       \
    ROW(size_t, service_pending, (struct ph_service *))                                            \
    ROW(enum ph_err, service_flush, (struct ph_service *, unsigned))                               \
    ROW(void, service_result_free, (struct ph_service_result *))                                   \
    ROW(enum ph_err, service_result_error, (const struct ph_service_result *))                     \
    ROW(const char *, service_result_why, (const struct ph_service_result *))                      \
    ROW(int, service_result_status, (const struct ph_service_result *))                            \
    ROW(const char *, service_result_code, (const struct ph_service_result *))                     \
    ROW(const char *, service_result_message, (const struct ph_service_result *))                  \
    ROW(const char *, service_result_target, (const struct ph_service_result *))                   \
    ROW(const char *, service_result_detail,                                                       \
        (const struct ph_service_result *, size_t, const char **))                                 \
    ROW(const char *, service_result_request_id, (const struct ph_service_result *))               \
    ROW(enum ph_service_operation, service_result_operation, (const struct ph_service_result *))   \
    ROW(unsigned, service_result_tries, (const struct ph_service_result *))                        \
    ROW(int, service_result_answer, (const struct ph_service_result *))                            \
    ROW(size_t, service_result_count, (const struct ph_service_result *))                          \
    ROW(const char *, service_result_connection,                                                   \
        (const struct ph_service_result *, size_t, const char **))                                 \
    ROW(const char *, service_result_continuation, (const struct ph_service_result *))             \
    ROW(const char *, service_result_token, (const struct ph_service_result *))                    \
    ROW(enum ph_err, service_send_to_all,                                                          \
        (struct ph_service *, enum ph_data_type, const void *, size_t,                             \
         struct ph_service_result **))                                                             \
    ROW(enum ph_err, service_send_to_group,                                                        \
        (struct ph_service *, const char *, enum ph_data_type, const void *, size_t,               \
         struct ph_service_result **))                                                             \
    ROW(enum ph_err, service_send_to_user,                                                         \
        (struct ph_service *, const char *, enum ph_data_type, const void *, size_t,               \
         struct ph_service_result **))                                                             \
    ROW(enum ph_err, service_send_to_connection,                                                   \
        (struct ph_service *, const char *, enum ph_data_type, const void *, size_t,               \
         struct ph_service_result **))                                                             \
    ROW(enum ph_err, service_close_all,                                                            \
        (struct ph_service *, const char *, struct ph_service_result **))                          \
    ROW(enum ph_err, service_close_group,                                                          \
        (struct ph_service *, const char *, const char *, struct ph_service_result **))            \
    ROW(enum ph_err, service_close_user,                                                           \
        (struct ph_service *, const char *, const char *, struct ph_service_result **))            \
    ROW(enum ph_err, service_close_connection,                                                     \
        (struct ph_service *, const char *, const char *, struct ph_service_result **))            \
    ROW(enum ph_err, service_connection_exists,                                                    \
        (struct ph_service *, const char *, int *, struct ph_service_result **))                   \
    ROW(enum ph_err, service_group_exists,                                                         \
        (struct ph_service *, const char *, int *, struct ph_service_result **))                   \
    ROW(enum ph_err, service_user_exists,                                                          \
        (struct ph_service *, const char *, int *, struct ph_service_result **))                   \
    ROW(enum ph_err, service_add_connection_to_group,                                              \
        (struct ph_service *, const char *, const char *, struct ph_service_result **))            \
    ROW(enum ph_err, service_remove_connection_from_group,                                         \
        (struct ph_service *, const char *, const char *, struct ph_service_result **))            \
    ROW(enum ph_err, service_remove_connection_from_all_groups,                                    \
        (struct ph_service *, const char *, struct ph_service_result **))                          \
    ROW(enum ph_err, service_add_user_to_group,                                                    \
        (struct ph_service *, const char *, const char *, struct ph_service_result **))            \
    ROW(enum ph_err, service_remove_user_from_group,                                               \
        (struct ph_service *, const char *, const char *, struct ph_service_result **))            \
    ROW(enum ph_err, service_remove_user_from_all_groups,                                          \
        (struct ph_service *, const char *, struct ph_service_result **))                          \
    ROW(enum ph_err, service_add_connections_to_groups,                                            \
        (struct ph_service *, const char *const *, const char *, struct ph_service_result **))     \
    ROW(enum ph_err, service_remove_connections_from_groups,                                       \
        (struct ph_service *, const char *const *, const char *, struct ph_service_result **))     \
    ROW(enum ph_err, service_grant_permission,                                                     \
        (struct ph_service *, const char *, enum ph_service_permission, const char *,              \
         struct ph_service_result **))                                                             \
    ROW(enum ph_err, service_revoke_permission,                                                    \
        (struct ph_service *, const char *, enum ph_service_permission, const char *,              \
         struct ph_service_result **))                                                             \
    ROW(enum ph_err, service_check_permission,                                                     \
        (struct ph_service *, const char *, enum ph_service_permission, const char *, int *,       \
         struct ph_service_result **))                                                             \
    ROW(enum ph_err, service_health, (struct ph_service *, struct ph_service_result **))           \
    ROW(enum ph_err, service_client_token,                                                         \
        (struct ph_service *, const struct ph_token_options *, char **,                            \
         struct ph_service_result **))                                                             \
    ROW(enum ph_err, service_client_url,                                                           \
        (struct ph_service *, const struct ph_token_options *, char **,                            \
         struct ph_service_result **))                                                             \
    ROW(struct ph_service_list *, service_list_new, (struct ph_service *, const char *, unsigned)) \
    ROW(void, service_list_free, (struct ph_service_list *))                                       \
    ROW(enum ph_err, service_list_next, (struct ph_service_list *, const char **, const char **))  \
    ROW(const struct ph_service_result *, service_list_result, (const struct ph_service_list *))   \
    ROW(void, token_free, (char *))                                                                \
    ROW(int64_t, plugin_config_int, (const struct ph_plugin_config *, const char *))               \
    ROW(int, plugin_config_bool, (const struct ph_plugin_config *, const char *))                  \
    ROW(int, plugin_config_choice, (const struct ph_plugin_config *, const char *))                \
    ROW(int, plugin_config_is_given, (const struct ph_plugin_config *, const char *))

/** What the host hands to the plugin. */
struct ph_host {
    uint32_t abi_major;
    uint32_t abi_minor;
    size_t size; /* of this structure, as the host was compiled */
#define PH_HOST_ROW(result, name, params) result(*name) params;
    PH_HOST_FUNCTIONS(PH_HOST_ROW)
#undef PH_HOST_ROW
};

/** One handler of a plugin; the array ends with a NULL `fn`. */
struct ph_plugin_handler {
    enum ph_event_kind kind;
    const char *pattern; /* event names for PH_EVENT_USER (see ph_app_on_event); else NULL */
    ph_handler_fn *fn;   /* gets the plugin's state as its argument */
};

/** What a value in a plugin's configuration must be. */
enum ph_option_type {
    PH_OPTION_TEXT,    /* with bounds: of its bytes */
    PH_OPTION_INTEGER, /* a whole number; with bounds: of the number */
    PH_OPTION_BOOLEAN, /* true or false, yes or no, on or off, 1 or 0 */
    PH_OPTION_CHOICE,  /* one of the words in `choices` */
    PH_OPTION_FILE,    /* the path of a file that can be read */
    PH_OPTION_DURATION /* 500ms, 30s, 5m, 2h, 1d; with bounds: of the milliseconds */
};

/**
 * One key of a plugin's configuration; the array ends with a NULL `name`. The host refuses
 * keys that are not in the table, values that are none of their type and required keys that
 * are missing, before `open` is called; and shows the table to whoever asks (pubhookd --describe).
 */
struct ph_plugin_option {
    const char *name; /* letters, digits, '-', '_', '.'; not "hub", which is the host's */
    enum ph_option_type type;
    const char *help;    /* a line for people; may be NULL */
    const char *preset;  /* the value when the key is not given; NULL: none */
    int required;        /* the key must be given */
    int64_t least, most; /* bounds; both 0: none */
    const char *choices; /* "red|green|blue" for PH_OPTION_CHOICE */
    int secret;          /* its value is never shown */
};

/** What the plugin hands back: a constant. */
struct ph_plugin {
    uint32_t abi_major;
    uint32_t abi_minor;
    size_t size;
    const char *name;
    const char *version;
    /**
     * Called once per use of the plugin, before any handler; may be NULL.
     * Reads the configuration, sets *state. On failure it returns an error, after
     * it said why with ph_plugin_config_fail; `close` is then not called.
     */
    enum ph_err (*open)(struct ph_plugin_config *config, void **state);
    /**
     * Called once at the end with the state, when no handler runs any more; may be NULL. The
     * plugin's own threads have ended when it returns, and with them all tokens of deferred
     * events (pubhook/defer.h) and calls of a service that end in a function of the plugin
     * (ph_service_cancel): its code may be gone afterwards. Where plugins are loaded again
     * (--watch), the next build is open before this is called.
     */
    void (*close)(void *state);
    const struct ph_plugin_handler *handlers;
    /** What the configuration may hold; NULL: what `open` asks for, as text. Since interface 1.4;
     *  the table of an older plugin ends before it. */
    const struct ph_plugin_option *options;
};

#define PH_PLUGIN_HEAD PH_ABI_MAJOR, PH_ABI_MINOR, sizeof(struct ph_plugin)

/** Name of the one function that a plugin exports. */
#define PH_PLUGIN_ENTRY "ph_plugin_entry"
typedef const struct ph_plugin *ph_plugin_entry_fn(const struct ph_host *host);
/** What PH_PLUGIN defines, and the host calls; declared here, so that C++ does not decorate the
 *  name. The host's table and the constant that it returns outlive the plugin's use. */
PH_API const struct ph_plugin *ph_plugin_entry(const struct ph_host *host);

/**
 * Value of a key from the plugin's configuration ("FILE.so?key=value&..."): its default, or
 * NULL, if it was not given. Only while `open` runs, which also goes for the functions below;
 * copy what you keep. The key `hub` is the host's: it names the hub that the handlers are for.
 * A plugin that has a table of options may only ask for those, and for each as what it is; if
 * it asks for another, it is not loaded.
 */
const char *ph_plugin_config_get(const struct ph_plugin_config *config, const char *key);
/** The value of a PH_OPTION_INTEGER, or of a PH_OPTION_DURATION in milliseconds; 0 without a
 *  value. */
int64_t ph_plugin_config_int(const struct ph_plugin_config *config, const char *key);
/** The value of a PH_OPTION_BOOLEAN: 1 or 0; 0 without a value. */
int ph_plugin_config_bool(const struct ph_plugin_config *config, const char *key);
/** The value of a PH_OPTION_CHOICE: its place among the choices, from 0; -1 without a value. */
int ph_plugin_config_choice(const struct ph_plugin_config *config, const char *key);
/** 1 when the key was given, whatever its default. */
int ph_plugin_config_is_given(const struct ph_plugin_config *config, const char *key);
/** Records why `open` fails and returns PH_ERR_CONFIG. */
enum ph_err ph_plugin_config_fail(struct ph_plugin_config *config, const char *why);
/** The host's log, for ph_log_write; may be NULL, outlives the plugin's state. */
struct ph_log *ph_plugin_config_log(const struct ph_plugin_config *config);
/**
 * Declares, while `open` runs, that no handler of this plugin ever waits: not for a file,
 * the network, another program or a lock that somebody holds for long, and not for a long
 * computation. pubhook-broker then calls the handlers on the threads of its event loops
 * instead of worker threads, which saves each event the way to another thread and back.
 *
 * There is one loop for each of the broker's threads (--threads), so handlers are called by
 * several threads at once all the same. While a handler runs, nothing else happens on its
 * loop: no other client of it is read, written or let in. It must return within microseconds;
 * the log tells, once, of a plugin with a handler that took more than 10 ms. pubhookd calls
 * handlers on the threads that it has, whatever they declare.
 */
void ph_plugin_config_never_blocks(struct ph_plugin_config *config);

#ifndef PH_PLUGIN_HOST_SIDE

/* Set by the entry function. Hidden, so that each plugin has its own. */
extern const struct ph_host *ph_plugin_host __attribute__((visibility("hidden")));

/** Exports the plugin. Once, in one file of the plugin, at file scope. */
#define PH_PLUGIN(plugin_table)                                                                    \
    const struct ph_host *ph_plugin_host;                                                          \
    const struct ph_plugin *ph_plugin_entry(const struct ph_host *host)                            \
    {                                                                                              \
        if (host->abi_major == PH_ABI_MAJOR)                                                       \
            ph_plugin_host = host;                                                                 \
        return &(plugin_table);                                                                    \
    }

#define ph_event_kind(...) (ph_plugin_host->event_kind(__VA_ARGS__))
#define ph_event_hub(...) (ph_plugin_host->event_hub(__VA_ARGS__))
#define ph_event_connection_id(...) (ph_plugin_host->event_connection_id(__VA_ARGS__))
#define ph_event_name(...) (ph_plugin_host->event_name(__VA_ARGS__))
#define ph_event_user_id(...) (ph_plugin_host->event_user_id(__VA_ARGS__))
#define ph_event_subprotocol(...) (ph_plugin_host->event_subprotocol(__VA_ARGS__))
#define ph_event_id(...) (ph_plugin_host->event_id(__VA_ARGS__))
#define ph_event_time(...) (ph_plugin_host->event_time(__VA_ARGS__))
#define ph_event_source(...) (ph_plugin_host->event_source(__VA_ARGS__))
#define ph_event_origin(...) (ph_plugin_host->event_origin(__VA_ARGS__))
#define ph_event_state(...) (ph_plugin_host->event_state(__VA_ARGS__))
#define ph_event_reason(...) (ph_plugin_host->event_reason(__VA_ARGS__))
#define ph_event_group(...) (ph_plugin_host->event_group(__VA_ARGS__))
#define ph_event_data_type(...) (ph_plugin_host->event_data_type(__VA_ARGS__))
#define ph_event_data(...) (ph_plugin_host->event_data(__VA_ARGS__))
#define ph_event_field(...) (ph_plugin_host->event_field(__VA_ARGS__))
#define ph_event_field_count(...) (ph_plugin_host->event_field_count(__VA_ARGS__))
#define ph_event_field_name(...) (ph_plugin_host->event_field_name(__VA_ARGS__))
#define ph_event_offered_subprotocol(...) (ph_plugin_host->event_offered_subprotocol(__VA_ARGS__))
#define ph_event_certificate_count(...) (ph_plugin_host->event_certificate_count(__VA_ARGS__))
#define ph_event_certificate_thumbprint(...)                                                       \
    (ph_plugin_host->event_certificate_thumbprint(__VA_ARGS__))
#define ph_event_certificate_pem(...) (ph_plugin_host->event_certificate_pem(__VA_ARGS__))
#define ph_event_http_header(...) (ph_plugin_host->event_http_header(__VA_ARGS__))
#define ph_reply_accept() (ph_plugin_host->reply_accept())
#define ph_reply_set_user_id(...) (ph_plugin_host->reply_set_user_id(__VA_ARGS__))
#define ph_reply_add_group(...) (ph_plugin_host->reply_add_group(__VA_ARGS__))
#define ph_reply_add_role(...) (ph_plugin_host->reply_add_role(__VA_ARGS__))
#define ph_reply_clear_roles(...) (ph_plugin_host->reply_clear_roles(__VA_ARGS__))
#define ph_reply_set_subprotocol(...) (ph_plugin_host->reply_set_subprotocol(__VA_ARGS__))
#define ph_reply_reject(...) (ph_plugin_host->reply_reject(__VA_ARGS__))
#define ph_reply_ok() (ph_plugin_host->reply_ok())
#define ph_reply_pass() (ph_plugin_host->reply_pass())
#define ph_reply_text(...) (ph_plugin_host->reply_text(__VA_ARGS__))
#define ph_reply_json(...) (ph_plugin_host->reply_json(__VA_ARGS__))
#define ph_reply_binary(...) (ph_plugin_host->reply_binary(__VA_ARGS__))
#define ph_reply_protobuf(...) (ph_plugin_host->reply_protobuf(__VA_ARGS__))
#define ph_reply_data(...) (ph_plugin_host->reply_data(__VA_ARGS__))
#define ph_reply_set_state(...) (ph_plugin_host->reply_set_state(__VA_ARGS__))
#define ph_reply_set_metadata(...) (ph_plugin_host->reply_set_metadata(__VA_ARGS__))
#define ph_reply_free(...) (ph_plugin_host->reply_free(__VA_ARGS__))
#define ph_state_from_event(...) (ph_plugin_host->state_from_event(__VA_ARGS__))
#define ph_state_free(...) (ph_plugin_host->state_free(__VA_ARGS__))
#define ph_state_get(...) (ph_plugin_host->state_get(__VA_ARGS__))
#define ph_state_get_int(...) (ph_plugin_host->state_get_int(__VA_ARGS__))
#define ph_state_set(...) (ph_plugin_host->state_set(__VA_ARGS__))
#define ph_state_set_int(...) (ph_plugin_host->state_set_int(__VA_ARGS__))
#define ph_state_clear(...) (ph_plugin_host->state_clear(__VA_ARGS__))
#define ph_reply_set_state_from(...) (ph_plugin_host->reply_set_state_from(__VA_ARGS__))
#define ph_strerror(...) (ph_plugin_host->strerror(__VA_ARGS__))
#define ph_version() (ph_plugin_host->version())
#define ph_event_content_type(...) (ph_plugin_host->event_content_type(__VA_ARGS__))
#define ph_reply_add_header(...) (ph_plugin_host->reply_add_header(__VA_ARGS__))
#define ph_event_is_mqtt(...) (ph_plugin_host->event_is_mqtt(__VA_ARGS__))
#define ph_event_physical_connection_id(...)                                                       \
    (ph_plugin_host->event_physical_connection_id(__VA_ARGS__))
#define ph_event_session_id(...) (ph_plugin_host->event_session_id(__VA_ARGS__))
#define ph_event_mqtt_version(...) (ph_plugin_host->event_mqtt_version(__VA_ARGS__))
#define ph_event_mqtt_clean_start(...) (ph_plugin_host->event_mqtt_clean_start(__VA_ARGS__))
#define ph_event_mqtt_username(...) (ph_plugin_host->event_mqtt_username(__VA_ARGS__))
#define ph_event_mqtt_password(...) (ph_plugin_host->event_mqtt_password(__VA_ARGS__))
#define ph_event_mqtt_initiated_by_client(...)                                                     \
    (ph_plugin_host->event_mqtt_initiated_by_client(__VA_ARGS__))
#define ph_event_mqtt_disconnect_code(...) (ph_plugin_host->event_mqtt_disconnect_code(__VA_ARGS__))
#define ph_reply_reject_mqtt(...) (ph_plugin_host->reply_reject_mqtt(__VA_ARGS__))
#define ph_reply_add_mqtt_property(...) (ph_plugin_host->reply_add_mqtt_property(__VA_ARGS__))
#define ph_reply_set_content_type(...) (ph_plugin_host->reply_set_content_type(__VA_ARGS__))
#define ph_event_certificate_fact(...) (ph_plugin_host->event_certificate_fact(__VA_ARGS__))
#define ph_event_certificate_validity(...) (ph_plugin_host->event_certificate_validity(__VA_ARGS__))
#define ph_event_json(...) (ph_plugin_host->event_json(__VA_ARGS__))
#define ph_json_parse(...) (ph_plugin_host->json_parse(__VA_ARGS__))
#define ph_json_root(...) (ph_plugin_host->json_root(__VA_ARGS__))
#define ph_json_free(...) (ph_plugin_host->json_free(__VA_ARGS__))
#define ph_json_at(...) (ph_plugin_host->json_at(__VA_ARGS__))
#define ph_json_type(...) (ph_plugin_host->json_type(__VA_ARGS__))
#define ph_json_count(...) (ph_plugin_host->json_count(__VA_ARGS__))
#define ph_json_first(...) (ph_plugin_host->json_first(__VA_ARGS__))
#define ph_json_next(...) (ph_plugin_host->json_next(__VA_ARGS__))
#define ph_json_name(...) (ph_plugin_host->json_name(__VA_ARGS__))
#define ph_json_string(...) (ph_plugin_host->json_string(__VA_ARGS__))
#define ph_json_is(...) (ph_plugin_host->json_is(__VA_ARGS__))
#define ph_json_copy(...) (ph_plugin_host->json_copy(__VA_ARGS__))
#define ph_json_int(...) (ph_plugin_host->json_int(__VA_ARGS__))
#define ph_json_double(...) (ph_plugin_host->json_double(__VA_ARGS__))
#define ph_json_bool(...) (ph_plugin_host->json_bool(__VA_ARGS__))
#define ph_json_raw(...) (ph_plugin_host->json_raw(__VA_ARGS__))
#define ph_json_writer_new() (ph_plugin_host->json_writer_new())
#define ph_json_writer_free(...) (ph_plugin_host->json_writer_free(__VA_ARGS__))
#define ph_json_put_object(...) (ph_plugin_host->json_put_object(__VA_ARGS__))
#define ph_json_put_array(...) (ph_plugin_host->json_put_array(__VA_ARGS__))
#define ph_json_put_end(...) (ph_plugin_host->json_put_end(__VA_ARGS__))
#define ph_json_put_key(...) (ph_plugin_host->json_put_key(__VA_ARGS__))
#define ph_json_put_text(...) (ph_plugin_host->json_put_text(__VA_ARGS__))
#define ph_json_put_string(...) (ph_plugin_host->json_put_string(__VA_ARGS__))
#define ph_json_put_int(...) (ph_plugin_host->json_put_int(__VA_ARGS__))
#define ph_json_put_double(...) (ph_plugin_host->json_put_double(__VA_ARGS__))
#define ph_json_put_bool(...) (ph_plugin_host->json_put_bool(__VA_ARGS__))
#define ph_json_put_null(...) (ph_plugin_host->json_put_null(__VA_ARGS__))
#define ph_json_put_raw(...) (ph_plugin_host->json_put_raw(__VA_ARGS__))
#define ph_json_put_value(...) (ph_plugin_host->json_put_value(__VA_ARGS__))
#define ph_json_writer_text(...) (ph_plugin_host->json_writer_text(__VA_ARGS__))
#define ph_reply_json_from(...) (ph_plugin_host->reply_json_from(__VA_ARGS__))
#define ph_state_get_double(...) (ph_plugin_host->state_get_double(__VA_ARGS__))
#define ph_state_get_bool(...) (ph_plugin_host->state_get_bool(__VA_ARGS__))
#define ph_state_get_json(...) (ph_plugin_host->state_get_json(__VA_ARGS__))
#define ph_state_count(...) (ph_plugin_host->state_count(__VA_ARGS__))
#define ph_state_key(...) (ph_plugin_host->state_key(__VA_ARGS__))
#define ph_state_set_double(...) (ph_plugin_host->state_set_double(__VA_ARGS__))
#define ph_state_set_bool(...) (ph_plugin_host->state_set_bool(__VA_ARGS__))
#define ph_state_set_json(...) (ph_plugin_host->state_set_json(__VA_ARGS__))
#define ph_state_remove(...) (ph_plugin_host->state_remove(__VA_ARGS__))
#define ph_plugin_config_get(...) (ph_plugin_host->plugin_config_get(__VA_ARGS__))
#define ph_plugin_config_int(...) (ph_plugin_host->plugin_config_int(__VA_ARGS__))
#define ph_plugin_config_bool(...) (ph_plugin_host->plugin_config_bool(__VA_ARGS__))
#define ph_plugin_config_choice(...) (ph_plugin_host->plugin_config_choice(__VA_ARGS__))
#define ph_plugin_config_is_given(...) (ph_plugin_host->plugin_config_is_given(__VA_ARGS__))
#define ph_plugin_config_fail(...) (ph_plugin_host->plugin_config_fail(__VA_ARGS__))
#define ph_plugin_config_log(...) (ph_plugin_host->plugin_config_log(__VA_ARGS__))
#define ph_plugin_config_never_blocks(...) (ph_plugin_host->plugin_config_never_blocks(__VA_ARGS__))
#define ph_log_write(...) (ph_plugin_host->log_write(__VA_ARGS__))
#define ph_reply_defer(...) (ph_plugin_host->reply_defer(__VA_ARGS__))
#define ph_deferred_event(...) (ph_plugin_host->deferred_event(__VA_ARGS__))
#define ph_deferred_answer(...) (ph_plugin_host->deferred_answer(__VA_ARGS__))
#define ph_deferred_at_deadline(...) (ph_plugin_host->deferred_at_deadline(__VA_ARGS__))
#define ph_deferred_on_cancel(...) (ph_plugin_host->deferred_on_cancel(__VA_ARGS__))
#define ph_deferred_ref(...) (ph_plugin_host->deferred_ref(__VA_ARGS__))
#define ph_deferred_unref(...) (ph_plugin_host->deferred_unref(__VA_ARGS__))
#define ph_event_service(...) (ph_plugin_host->event_service(__VA_ARGS__))
#define ph_service_new(...) (ph_plugin_host->service_new(__VA_ARGS__))
#define ph_service_for_hub(...) (ph_plugin_host->service_for_hub(__VA_ARGS__))
#define ph_service_set_connection_string(...)                                                      \
    (ph_plugin_host->service_set_connection_string(__VA_ARGS__))
#define ph_service_free(...) (ph_plugin_host->service_free(__VA_ARGS__))
#define ph_service_hub(...) (ph_plugin_host->service_hub(__VA_ARGS__))
#define ph_service_call(...) (ph_plugin_host->service_call(__VA_ARGS__))
#define ph_service_start(...) (ph_plugin_host->service_start(__VA_ARGS__))
#define ph_service_post(...) (ph_plugin_host->service_post(__VA_ARGS__))
#define ph_service_cancel(...) (ph_plugin_host->service_cancel(__VA_ARGS__))
#define ph_service_fd(...) (ph_plugin_host->service_fd(__VA_ARGS__))
#define ph_service_process(...) (ph_plugin_host->service_process(__VA_ARGS__))
#define ph_service_pending(...) (ph_plugin_host->service_pending(__VA_ARGS__))
#define ph_service_flush(...) (ph_plugin_host->service_flush(__VA_ARGS__))
#define ph_service_result_free(...) (ph_plugin_host->service_result_free(__VA_ARGS__))
#define ph_service_result_error(...) (ph_plugin_host->service_result_error(__VA_ARGS__))
#define ph_service_result_why(...) (ph_plugin_host->service_result_why(__VA_ARGS__))
#define ph_service_result_status(...) (ph_plugin_host->service_result_status(__VA_ARGS__))
#define ph_service_result_code(...) (ph_plugin_host->service_result_code(__VA_ARGS__))
#define ph_service_result_message(...) (ph_plugin_host->service_result_message(__VA_ARGS__))
#define ph_service_result_target(...) (ph_plugin_host->service_result_target(__VA_ARGS__))
#define ph_service_result_detail(...) (ph_plugin_host->service_result_detail(__VA_ARGS__))
#define ph_service_result_request_id(...) (ph_plugin_host->service_result_request_id(__VA_ARGS__))
#define ph_service_result_operation(...) (ph_plugin_host->service_result_operation(__VA_ARGS__))
#define ph_service_result_tries(...) (ph_plugin_host->service_result_tries(__VA_ARGS__))
#define ph_service_result_answer(...) (ph_plugin_host->service_result_answer(__VA_ARGS__))
#define ph_service_result_count(...) (ph_plugin_host->service_result_count(__VA_ARGS__))
#define ph_service_result_connection(...) (ph_plugin_host->service_result_connection(__VA_ARGS__))
#define ph_service_result_continuation(...)                                                        \
    (ph_plugin_host->service_result_continuation(__VA_ARGS__))
#define ph_service_result_token(...) (ph_plugin_host->service_result_token(__VA_ARGS__))
#define ph_service_send_to_all(...) (ph_plugin_host->service_send_to_all(__VA_ARGS__))
#define ph_service_send_to_group(...) (ph_plugin_host->service_send_to_group(__VA_ARGS__))
#define ph_service_send_to_user(...) (ph_plugin_host->service_send_to_user(__VA_ARGS__))
#define ph_service_send_to_connection(...) (ph_plugin_host->service_send_to_connection(__VA_ARGS__))
#define ph_service_close_all(...) (ph_plugin_host->service_close_all(__VA_ARGS__))
#define ph_service_close_group(...) (ph_plugin_host->service_close_group(__VA_ARGS__))
#define ph_service_close_user(...) (ph_plugin_host->service_close_user(__VA_ARGS__))
#define ph_service_close_connection(...) (ph_plugin_host->service_close_connection(__VA_ARGS__))
#define ph_service_connection_exists(...) (ph_plugin_host->service_connection_exists(__VA_ARGS__))
#define ph_service_group_exists(...) (ph_plugin_host->service_group_exists(__VA_ARGS__))
#define ph_service_user_exists(...) (ph_plugin_host->service_user_exists(__VA_ARGS__))
#define ph_service_add_connection_to_group(...)                                                    \
    (ph_plugin_host->service_add_connection_to_group(__VA_ARGS__))
#define ph_service_remove_connection_from_group(...)                                               \
    (ph_plugin_host->service_remove_connection_from_group(__VA_ARGS__))
#define ph_service_remove_connection_from_all_groups(...)                                          \
    (ph_plugin_host->service_remove_connection_from_all_groups(__VA_ARGS__))
#define ph_service_add_user_to_group(...) (ph_plugin_host->service_add_user_to_group(__VA_ARGS__))
#define ph_service_remove_user_from_group(...)                                                     \
    (ph_plugin_host->service_remove_user_from_group(__VA_ARGS__))
#define ph_service_remove_user_from_all_groups(...)                                                \
    (ph_plugin_host->service_remove_user_from_all_groups(__VA_ARGS__))
#define ph_service_add_connections_to_groups(...)                                                  \
    (ph_plugin_host->service_add_connections_to_groups(__VA_ARGS__))
#define ph_service_remove_connections_from_groups(...)                                             \
    (ph_plugin_host->service_remove_connections_from_groups(__VA_ARGS__))
#define ph_service_grant_permission(...) (ph_plugin_host->service_grant_permission(__VA_ARGS__))
#define ph_service_revoke_permission(...) (ph_plugin_host->service_revoke_permission(__VA_ARGS__))
#define ph_service_check_permission(...) (ph_plugin_host->service_check_permission(__VA_ARGS__))
#define ph_service_health(...) (ph_plugin_host->service_health(__VA_ARGS__))
#define ph_service_client_token(...) (ph_plugin_host->service_client_token(__VA_ARGS__))
#define ph_service_client_url(...) (ph_plugin_host->service_client_url(__VA_ARGS__))
#define ph_service_list_new(...) (ph_plugin_host->service_list_new(__VA_ARGS__))
#define ph_service_list_free(...) (ph_plugin_host->service_list_free(__VA_ARGS__))
#define ph_service_list_next(...) (ph_plugin_host->service_list_next(__VA_ARGS__))
#define ph_service_list_result(...) (ph_plugin_host->service_list_result(__VA_ARGS__))
#define ph_token_free(...) (ph_plugin_host->token_free(__VA_ARGS__))

#endif /* PH_PLUGIN_HOST_SIDE */

#ifdef __cplusplus
}
#endif
#endif
