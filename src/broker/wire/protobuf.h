/* protobuf.webpubsub.azure.v1 and protobuf.reliable.webpubsub.azure.v1, the two
 * directions. The schema is webpubsub.proto. */
#ifndef BROKER_WIRE_PROTOBUF_H
#define BROKER_WIRE_PROTOBUF_H

#include "broker/core/format.h"

enum ph_err protobuf_decode__plain(struct arena *a, bool binary, struct str data,
                                   struct command *out, struct diag *diag);
enum ph_err protobuf_decode__reliable(struct arena *a, bool binary, struct str data,
                                      struct command *out, struct diag *diag);

/* False for data that says it is an Any but is none. */
bool protobuf_encode__carries(enum ph_data_type type, struct str data);
struct frame *protobuf_encode__message(const struct message *m);
struct frame *protobuf_encode__sequenced_message(const struct message *m);
struct frame *protobuf_encode__ack(uint64_t ack_id, const struct ack_error *error);
struct frame *protobuf_encode__pong(void);
struct frame *protobuf_encode__connected(const struct connected_info *info);
struct frame *protobuf_encode__disconnected(struct str reason);
struct frame *protobuf_encode__invoke_response(const struct invoke_response *response);
struct frame *protobuf_encode__stream_ack(struct str stream_id, uint64_t expected_sequence_id);
struct frame *protobuf_encode__stream_nack(const struct stream_nack *nack);
struct frame *protobuf_encode__stream_closed(struct str stream_id, const struct ack_error *error);
struct frame *protobuf_encode__group_state(bool snapshot, struct str group,
                                           const struct group_state_item *items, size_t count);
struct frame *protobuf_encode__sequenced_group_state(bool snapshot, struct str group,
                                                     const struct group_state_item *items,
                                                     size_t count);
void protobuf_encode__enclose(const struct frame *f, uint64_t sequence_id,
                              char head[FORMAT_MAX_HEAD], size_t *head_len,
                              char tail[FORMAT_MAX_TAIL], size_t *tail_len);

#endif
