/**
 * Error codes. One enum for the whole library, in bands of a hundred: the
 * caller's mistakes, the peer's mistakes, the machine's failures.
 */
#ifndef PUBHOOK_ERR_H
#define PUBHOOK_ERR_H

#include <pubhook/export.h>

#ifdef __cplusplus
extern "C" {
#endif

/* name, value, text; the one place where errors are listed */
#define PH_ERR_TABLE(ROW)                                                                          \
    ROW(PH_OK, 0, "success")                                                                       \
    /* the caller's */                                                                             \
    ROW(PH_ERR_ARGUMENT, 100, "an argument is missing or out of range")                            \
    ROW(PH_ERR_STATE, 101, "not allowed in this state")                                            \
    ROW(PH_ERR_CONFIG, 102, "the configuration is incomplete or wrong")                            \
    ROW(PH_ERR_PLUGIN, 103, "the plugin cannot be used")                                           \
    /* the peer's */                                                                               \
    ROW(PH_ERR_SYNTAX, 200, "malformed input")                                                     \
    ROW(PH_ERR_LIMIT, 201, "a limit was passed")                                                   \
    ROW(PH_ERR_AUTH, 202, "not authenticated")                                                     \
    ROW(PH_ERR_FORBIDDEN, 203, "not permitted")                                                    \
    ROW(PH_ERR_UNSUPPORTED, 204, "not supported")                                                  \
    ROW(PH_ERR_NOT_FOUND, 205, "not found")                                                        \
    ROW(PH_ERR_TIMEOUT, 206, "it took too long")                                                   \
    ROW(PH_ERR_GONE, 207, "whoever asked has gone")                                                \
    ROW(PH_ERR_CLOSED, 208, "the connection has ended")                                            \
    ROW(PH_ERR_REFUSED, 209, "the peer has refused")                                               \
    ROW(PH_ERR_CANCELLED, 210, "cancelled")                                                        \
    /* the machine's */                                                                            \
    ROW(PH_ERR_MEMORY, 300, "out of memory")                                                       \
    ROW(PH_ERR_SYSTEM, 301, "a system call failed")                                                \
    ROW(PH_ERR_INTERNAL, 302, "internal error")

enum ph_err {
#define PH_ERR_ROW(name, value, text) name = value,
    PH_ERR_TABLE(PH_ERR_ROW)
#undef PH_ERR_ROW
};

/**
 * A short text for an error code, for example "out of memory".
 *
 * @param err  any code; an unknown one gives "unknown error"
 * @return     a constant string, never NULL
 * Threads: any.
 */
PH_API const char *ph_strerror(enum ph_err err);

#ifdef __cplusplus
}
#endif
#endif
