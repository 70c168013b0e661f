/* json.webpubsub.azure.v1 and json.reliable.webpubsub.azure.v1, the two directions. */
#ifndef BROKER_WIRE_JSON_H
#define BROKER_WIRE_JSON_H

#include "broker/core/format.h"

/* Names of the data types on the wire, by enum ph_data_type. */
extern const struct str json_data_types[];
#define JSON_DATA_TYPES 4

enum ph_err json_decode__plain(struct arena *a, bool binary, struct str data, struct command *out,
                               struct diag *diag);
enum ph_err json_decode__reliable(struct arena *a, bool binary, struct str data,
                                  struct command *out, struct diag *diag);

struct frame *json_encode__message(const struct message *m);
struct frame *json_encode__sequenced_message(const struct message *m);
struct frame *json_encode__ack(uint64_t ack_id, const struct ack_error *error);
struct frame *json_encode__pong(void);
struct frame *json_encode__connected(const struct connected_info *info);
struct frame *json_encode__disconnected(struct str reason);
struct frame *json_encode__invoke_response(const struct invoke_response *response);
struct frame *json_encode__stream_ack(struct str stream_id, uint64_t expected_sequence_id);
struct frame *json_encode__stream_nack(const struct stream_nack *nack);
struct frame *json_encode__stream_closed(struct str stream_id, const struct ack_error *error);
struct frame *json_encode__group_state(bool snapshot, struct str group,
                                       const struct group_state_item *items, size_t count);
struct frame *json_encode__sequenced_group_state(bool snapshot, struct str group,
                                                 const struct group_state_item *items,
                                                 size_t count);
void json_encode__enclose(const struct frame *f, uint64_t sequence_id, char head[FORMAT_MAX_HEAD],
                          size_t *head_len, char tail[FORMAT_MAX_TAIL], size_t *tail_len);

#endif
