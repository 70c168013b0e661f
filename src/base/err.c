#include "pubhook/err.h"

const char *ph_strerror(enum ph_err err)
{
    switch (err) {
#define PH_ERR_ROW(name, value, text)                                                              \
    case name:                                                                                     \
        return text;
        PH_ERR_TABLE(PH_ERR_ROW)
#undef PH_ERR_ROW
    }
    return "unknown error";
}
