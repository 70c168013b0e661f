/* One HTTP request to the broker: from its head to the response, or to the upgrade. */
#ifndef BROKER_NET_REQUEST_H
#define BROKER_NET_REQUEST_H

#include "broker/net/admission.h"
#include "broker/rest/rest.h"
#include "serve/head.h"

/* Parsed head and decoded parameters, without the body. A token full of short names, with the
 * connect event that they are for, takes half of it; what the connect handler gives has room
 * then. */
#define REQUEST_MEMORY (1u << 20)

struct endpoint;

enum request_stage {
    REQUEST_NEW,     /* the request line has come */
    REQUEST_HELD,    /* suspended until its head can be judged */
    REQUEST_BODY,    /* the head is accepted, the body is coming */
    REQUEST_WAITING, /* suspended until somebody answers */
    REQUEST_ANSWERED /* `response` is complete */
};

struct request {
    struct shard *shard;
    struct MHD_Connection *mhd;
    struct request *prev, *next; /* all of the front's */
    const char *raw_target;
    char *target; /* a copy from before libmicrohttpd decodes it in place */
    struct arena arena;
    struct http_request http;
    const struct endpoint *endpoint;
    enum request_stage stage;
    bool suspended;
    bool held;    /* it has waited for keys once */
    bool unread;  /* answered without reading the body: the connection ends */
    bool upgrade; /* the answer is a 101 */
    struct buf body;
    struct http_response response;
    struct rest_call rest;
    struct admission admission;
    char memory[4096]; /* first bytes of the arena */
};

/* NULL: out of memory. */
struct request *request__new(struct shard *s, struct MHD_Connection *mhd, const char *target);
void request__free(struct request *r);

/* The steps of libmicrohttpd's access handler. */
enum MHD_Result request__head(struct request *r, const char *method, const char *version);
enum MHD_Result request__judge(struct request *r);
enum MHD_Result request__body(struct request *r, const char *data, size_t len);
enum MHD_Result request__complete(struct request *r);

/* For whom shutdown does not wait. */
bool request__waits_for_others(const struct request *r);
/* A held request goes on; others are left as they are. */
void request__release(struct request *r);
/* Shutdown: whoever it waits for must not answer any more; 503 goes out instead. */
void request__give_up(struct request *r);

#endif
