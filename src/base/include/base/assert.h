/*
 * Bugs stop the process, in release builds too: a payment system that goes on after a broken
 * invariant makes money appear. Conditions have no side effects, and never depend on what a peer
 * or a user sent (that is base/err.h).
 */
#ifndef BASE_ASSERT_H
#define BASE_ASSERT_H

#include <assert.h> /* static_assert */

/* Prints to standard error and aborts. */
__attribute__((noreturn, cold)) void assert_fail(
    const char *file, int line, const char *function, const char *condition);

#define ASSERT(condition)                                                                          \
    do {                                                                                           \
        if (__builtin_expect(!(condition), 0)) {                                                   \
            assert_fail(__FILE__, __LINE__, __func__, #condition);                                 \
        }                                                                                          \
    } while (0)

/* A place that no input can reach. */
#define UNREACHABLE() assert_fail(__FILE__, __LINE__, __func__, "unreachable")

#endif
