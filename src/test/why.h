/* The sentence that goes with a failure of a public function. */
#ifndef TEST_WHY_H
#define TEST_WHY_H

#include "base/diag.h"

/* Where this thread's last failure is explained. */
struct diag *test_why__diag(void);
/* Hands the explanation out and the error back. */
enum ph_err test_why__fail(enum ph_err err, const char **why);

#endif
