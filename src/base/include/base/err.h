/*
 * The failures that are nobody's bug: the environment or the input.
 *
 * Tael keeps three kinds of failure apart (STYLE.md, "Failure"):
 *   - a bug stops the process (base/assert.h);
 *   - the environment or the input answers an err_t, which the caller must check;
 *   - a business outcome (a card declined, a transfer refused) is an enum of its own, returned as
 *     data. It is never an err_t.
 *
 * An err_t is zero for success. Its top byte is the category, which is what most callers act on.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include <stdint.h>

#define MUST_USE __attribute__((warn_unused_result))

enum err_category {
    ERR_CATEGORY_NONE = 0,
    ERR_CATEGORY_RETRYABLE = 1, /* the same call may succeed later */
    ERR_CATEGORY_INVALID = 2,   /* the input is wrong; the same input will always be */
    ERR_CATEGORY_DENIED = 3,    /* the caller may not do this */
    ERR_CATEGORY_CORRUPT = 4,   /* stored data is damaged */
    ERR_CATEGORY_EXHAUSTED = 5, /* a declared maximum was reached */
    ERR_CATEGORY_INTERNAL = 6,  /* the operating system failed us */
    ERR_CATEGORY_UNKNOWN = 7,   /* it may or may not have happened: ask by id */
};

/* name, category, number within the category, text for people */
#define ERR_TABLE(X)                                                                               \
    X(ERR_BUSY, ERR_CATEGORY_RETRYABLE, 1, "busy, try again later")                                \
    X(ERR_TIMEOUT, ERR_CATEGORY_RETRYABLE, 2, "the deadline passed")                               \
    X(ERR_CLOSED, ERR_CATEGORY_RETRYABLE, 3, "the other side closed the connection")               \
    X(ERR_STALE, ERR_CATEGORY_RETRYABLE, 4, "somebody else changed it first")                      \
    X(ERR_MOVED, ERR_CATEGORY_RETRYABLE, 5, "another shard has it by now, or will have it soon")   \
    X(ERR_ARCHIVED, ERR_CATEGORY_RETRYABLE, 6, "a part of history is needed that was archived")    \
    X(ERR_INVALID, ERR_CATEGORY_INVALID, 1, "malformed input")                                     \
    X(ERR_NOT_FOUND, ERR_CATEGORY_INVALID, 2, "not found")                                         \
    X(ERR_EXISTS, ERR_CATEGORY_INVALID, 3, "exists already")                                       \
    X(ERR_RANGE, ERR_CATEGORY_INVALID, 4, "out of range")                                          \
    X(ERR_INCOMPLETE, ERR_CATEGORY_INVALID, 5, "more input is needed")                             \
    X(ERR_UNSUPPORTED, ERR_CATEGORY_INVALID, 6, "not supported")                                   \
    X(ERR_CROSSES_SHARDS, ERR_CATEGORY_INVALID, 7, "what must happen together is on two shards")   \
    X(ERR_DENIED, ERR_CATEGORY_DENIED, 1, "not permitted")                                         \
    X(ERR_CORRUPT, ERR_CATEGORY_CORRUPT, 1, "stored data is damaged")                              \
    X(ERR_VERSION, ERR_CATEGORY_CORRUPT, 2, "written by an unknown version")                       \
    X(ERR_FULL, ERR_CATEGORY_EXHAUSTED, 1, "a declared maximum was reached")                       \
    X(ERR_MEMORY, ERR_CATEGORY_EXHAUSTED, 2, "out of memory")                                      \
    X(ERR_DISK_FULL, ERR_CATEGORY_EXHAUSTED, 3, "no space left on the disk")                       \
    X(ERR_IO, ERR_CATEGORY_INTERNAL, 1, "input/output failed")                                     \
    X(ERR_DATABASE, ERR_CATEGORY_INTERNAL, 2, "the database failed")                               \
    X(ERR_CRYPTO, ERR_CATEGORY_INTERNAL, 3, "a cryptographic operation failed")                    \
    X(ERR_LOCKED, ERR_CATEGORY_INTERNAL, 4, "in use by another process")                           \
    X(ERR_OUTCOME_UNKNOWN, ERR_CATEGORY_UNKNOWN, 1, "the outcome is not known")

enum {
#define ERR_ENUM(name, category, number, text) name = ((category) << 24) | (number),
    ERR_TABLE(ERR_ENUM)
#undef ERR_ENUM
};

typedef int32_t err_t;

#define ERR_OK ((err_t)0)

/* The category of a code, ERR_CATEGORY_NONE for success. */
enum err_category err_category(err_t code);

/* The table's text; "unknown error" for a code that is not in it. Static, never NULL. */
const char *err_text(err_t code);

/* The name of the constant, such as "ERR_BUSY". Static, never NULL. */
const char *err_name(err_t code);

/* What errno means to us: 0 is ERR_OK, EAGAIN, EINTR and EBUSY are ERR_BUSY, ENOSPC and EDQUOT
 * ERR_DISK_FULL, ENOENT ERR_NOT_FOUND, EEXIST ERR_EXISTS, EACCES and EPERM ERR_DENIED, ENOMEM
 * ERR_MEMORY, EMFILE and ENFILE ERR_FULL, ETIMEDOUT ERR_TIMEOUT, EPIPE and ECONNRESET ERR_CLOSED,
 * the rest ERR_IO. */
err_t err_from_errno(int error_number);

/* Pass a failure up. For functions that hold nothing; the others use one `out:` label. */
#define TRY(expression)                                                                            \
    do {                                                                                           \
        err_t try_result_ = (expression);                                                          \
        if (try_result_ != ERR_OK) {                                                               \
            return try_result_;                                                                    \
        }                                                                                          \
    } while (0)

#endif
