/* The rules of what a client may ask, whatever subprotocol it asks in: a decoder reads
 * members and their types, and ends with these (client-and-rest sections 2.1 to 2.6). */
#ifndef BROKER_WIRE_CHECK_H
#define BROKER_WIRE_CHECK_H

#include "broker/core/format.h"

/* Bytes of the names that clients give their streams and invocations. */
#define CHECK_ID_MAX 256
/* Entries of a group state: one that is too large for the core is refused there by an ack (section
 * 2.6), one with more than these cannot be right. */
#define CHECK_STATE_MAX 1000

/* The frame's name in the JSON subprotocols, by which all error texts call it. */
struct str check__frame_name(enum command_kind kind);

/* Numbers that the command holds in fewer bits than they come in. */
enum ph_err check__ttl_seconds(struct command *cmd, uint64_t seconds, struct diag *diag);
enum ph_err check__idle_timeout_ms(struct command *cmd, uint64_t ms, struct diag *diag);

/* PH_OK, or PH_ERR_SYNTAX: a name, a value or a combination is not allowed. A message or
 * event of metadata alone gets an empty text as its data, and an invocation without data. */
enum ph_err check__command(struct command *cmd, struct diag *diag);

#endif
