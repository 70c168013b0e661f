/* From the text of a filter to its tree; nothing is said about types yet. */
#ifndef BROKER_FILTER_PARSE_H
#define BROKER_FILTER_PARSE_H

#include "broker/filter/node.h"

/* `f` is new; its literals have room for the text. On failure its parts are still its own. */
enum ph_err parse__filter(struct filter *f, struct str text, struct diag *diag);

#endif
