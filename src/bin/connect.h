/* pubhook connect: what its files share.
 *
 *     pubhook_connect.c   options, input, running
 *     connect_commands.c  what is typed
 *     connect_show.c      what is printed */
#ifndef BIN_CONNECT_H
#define BIN_CONNECT_H

#include "bin/pubhook.h"
#include "pubhook/client.h"

struct settings {
    struct common common;
    const char *user, *ca_file;
    struct values roles, groups, joins;
    unsigned minutes;
    enum ph_client_subprotocol protocol;
    bool frames, stay;
    /* while it runs */
    struct ph_client *client;
    struct buf input;  /* what was read and is no line yet */
    bool prompts;      /* somebody types */
    bool end_of_input; /* also after quit */
    bool tried;        /* the first connection is there, or failed */
    bool stopping, stopped, failed;
    size_t waiting; /* commands without an answer */
    struct connect_stream *streams;
    size_t stream_count;
};

/* --- What is typed -------------------------------------------------------------------- */

/* Carries out a line; it is changed. */
void connect__take_line(struct settings *s, char *line);
/* As if it was typed. */
void connect__join(struct settings *s, const char *group);
/* Those that were not ended are aborted. */
void connect__free_streams(struct settings *s);

/* --- What is printed ------------------------------------------------------------------ */

/* A person who types sees the prompt again behind what came in between. */
void connect__prompt(const struct settings *s);
void connect__begin_line(const struct settings *s);
void connect__end_line(const struct settings *s);

/* Callbacks of the client. */
void connect__on_connected(struct ph_client *client, const char *connection_id, const char *user_id,
                           void *arg);
void connect__on_disconnected(struct ph_client *client, const char *connection_id,
                              const char *reason, void *arg);
void connect__on_message(struct ph_client *client, const struct ph_client_message *m, void *arg);
void connect__on_frame(struct ph_client *client, int outgoing, int binary, const char *frame,
                       size_t len, void *arg);

/* What came of a command. */
void connect__report(struct settings *s, const char *command,
                     const struct ph_client_result *result);
/* Of one that was not even accepted. */
void connect__refuse(struct settings *s, const char *command, enum ph_err err, const char *message);
/* A stream that is over before it was ended. */
void connect__report_stream(struct settings *s, const char *stream_id,
                            const struct ph_client_result *result);

#endif
