/* A group's connections in pages (client-and-rest section 5.2, operation 21). A page goes on
 * behind the connection id where the last one ended, so connections that come and go between
 * two pages neither move others out of sight nor show them twice. Inside of rest. */
#ifndef BROKER_REST_PAGE_H
#define BROKER_REST_PAGE_H

#include "broker/rest/judge.h"

#define PAGE_MAX_SIZE 200
#define PAGE_MAX_TOP INT32_MAX
#define PAGE_MAX_TOKEN 2048

/* Query parameters. The token is opaque; it is good for the hub and group that it was made
 * for, as long as the access key is the same. */
int page__read_size(struct judge *j, struct str value);
int page__read_top(struct judge *j, struct str value);
int page__read_token(struct judge *j, struct str value);
/* When all parameters are read: how many connections are asked for, and what the link to
 * the next page begins with. */
int page__prepare(struct judge *j);
/* The answer: connections, and a link if there are more of them. */
void page__answer(struct arena *a, struct rest_call *call, const struct hub_result *result);

#endif
