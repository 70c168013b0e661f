/* Threads for handlers that block, and the line of calls that wait for one of them
 * (ph_app_set_workers). */
#ifndef APP_WORKERS_H
#define APP_WORKERS_H

#include "app/call.h"

struct workers;

/* A call's turn has come: asks its handlers, and reports unless they defer. */
typedef void work_fn(struct app_call *call);

/* NULL: memory or threads are out. */
struct workers *workers__new(unsigned threads, size_t queue, work_fn *work);
/* Joins the threads, which work off the line before. NULL is fine. */
void workers__free(struct workers *w);

/* False: the line is full. */
bool workers__give(struct workers *w, struct app_call *call);
/* True: it stood in line, and does not any more. */
bool workers__take_back(struct workers *w, struct app_call *call);

unsigned workers__threads(const struct workers *w);
size_t workers__queue(const struct workers *w);

#endif
