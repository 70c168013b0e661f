/** Marks what the shared library exports; everything else is hidden. */
#ifndef PUBHOOK_EXPORT_H
#define PUBHOOK_EXPORT_H

#if defined(__GNUC__)
#define PH_API __attribute__((visibility("default")))
#else
#define PH_API
#endif

#endif
