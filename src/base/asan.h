/* Does the address sanitizer watch? Then memory is asked for piece by piece: it sees each. */
#ifndef BASE_ASAN_H
#define BASE_ASAN_H

#ifdef __SANITIZE_ADDRESS__ /* gcc */
#define ASAN_WATCHES 1
#elif defined(__has_feature) /* clang */
#define ASAN_WATCHES __has_feature(address_sanitizer)
#else
#define ASAN_WATCHES 0
#endif

#endif
