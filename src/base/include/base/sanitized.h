/* Is this a build with a sanitizer, which makes everything several times as slow? */
#ifndef BASE_SANITIZED_H
#define BASE_SANITIZED_H

/* gcc tells of it by the first, clang by the second. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#    define SANITIZED 1
#elif defined(__has_feature)
#    if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#        define SANITIZED 1
#    endif
#endif
#ifndef SANITIZED
#    define SANITIZED 0
#endif

#endif
