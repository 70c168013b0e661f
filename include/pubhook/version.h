/** Versions. */
#ifndef PUBHOOK_VERSION_H
#define PUBHOOK_VERSION_H

#include <pubhook/export.h>

#define PH_VERSION "0.1.0"

/* Version of the contract between host and plugin (pubhook/plugin.h). A plugin is
 * refused unless the majors are the same; the minor grows when the host table does. */
#define PH_ABI_MAJOR 1
#define PH_ABI_MINOR 4

#ifdef __cplusplus
extern "C" {
#endif

/** Version of the library at run time, for example "0.1.0". */
PH_API const char *ph_version(void);

#ifdef __cplusplus
}
#endif
#endif
