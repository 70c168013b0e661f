/* The broker of pubhook/test.h, in a shared object of its own: what it is made of comes twice
 * where an application is made by libpubhook, and neither may see the other's. */
#ifndef TEST_CORE_H
#define TEST_CORE_H

#include "base/diag.h"
#include "pubhook/test.h"

struct test_core;

/* As ph_test_broker_start; each handler has a URL or a plugin. NULL: `err` and `diag` say why. */
PH_API struct test_core *ph_test__core_start(const struct ph_test_broker_options *options,
                                             enum ph_err *err, struct diag *diag);
/* HOST:PORT. */
PH_API const char *ph_test__core_host(const struct test_core *core);
PH_API void ph_test__core_stop(struct test_core *core);

#endif
