/* :generateToken (client-and-rest section 5.2 row 25; official-emulator section 2.3). Inside of
 * rest. */
#ifndef BROKER_REST_TOKEN_H
#define BROKER_REST_TOKEN_H

#include "broker/rest/judge.h"

/* Answers with a client's token, signed with the primary key. */
int token__answer(struct judge *j);

#endif
