#include "test/why.h"

struct diag *test_why__diag(void)
{
    static _Thread_local struct diag diag;

    return &diag;
}

enum ph_err test_why__fail(enum ph_err err, const char **why)
{
    if (why && err)
        *why = err == PH_ERR_MEMORY ? ph_strerror(err) : test_why__diag()->text;
    return err;
}
