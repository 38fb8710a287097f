/*
 * Rate and concurrency limits of this process: token buckets in a bounded table. Pure but for the
 * memory made at create: time is an argument.
 *
 * A bucket is kept as one number, the time at which it will be full again (the generic cell rate
 * algorithm, ITU-T I.371): `burst` requests at once, one more each `interval_ns`.
 *
 * LIMIT-1  In any span of t nanoseconds a subject gets at most burst + t / interval_ns requests.
 * LIMIT-2  A request that one rule refuses takes nothing from the others.
 * LIMIT-3  A subject with requests under way is never forgotten; of the others the one that rested
 *          longest is, when the table is full.
 */
#ifndef GATEWAY_LIMIT_H
#define GATEWAY_LIMIT_H

#include "base/err.h"
#include "base/span.h"

struct gateway_limit_table;

struct gateway_limit_rule {
    uint64_t interval_ns; /* between two tokens; 0: any rate */
    uint32_t burst;       /* at least 1 */
    uint32_t concurrent;  /* requests under way; 0: any number */
};

/* A rule of `rate` requests a second, rounded to a nanosecond (0.05 % at a million a second). */
struct gateway_limit_rule gateway_limit_rule_make(
    uint64_t rate, uint64_t burst, uint64_t concurrent);

static inline bool
gateway_limit_rule_is_empty(const struct gateway_limit_rule *rule)
{
    return rule->interval_ns == 0 && rule->concurrent == 0;
}

enum gateway_limit_reason {
    GATEWAY_LIMIT_NONE,
    GATEWAY_LIMIT_RATE,
    GATEWAY_LIMIT_CONCURRENT,
    GATEWAY_LIMIT_TABLE, /* every entry of the table has requests under way */
};

struct gateway_limit_check {
    uint64_t subject; /* a hash of who and of which rule */
    struct gateway_limit_rule rule;
};

struct gateway_limit_verdict {
    enum gateway_limit_reason reason; /* GATEWAY_LIMIT_NONE: it may go on */
    uint32_t check;                   /* which one refused */
    uint64_t retry_ns;                /* when it would pass; 0 for others than the rate */
};

/* `subjects_max` at least 1. */
MUST_USE err_t gateway_limit_create(uint32_t subjects_max, struct gateway_limit_table **ret_table);
void gateway_limit_destroy(struct gateway_limit_table **table);

/* Takes a token and a place of every check, or nothing. With `concurrency_only` rates are not
 * looked at: somebody else keeps them. At most 8 checks. */
void gateway_limit_take(
    struct gateway_limit_table *table,
    const struct gateway_limit_check *checks,
    uint32_t count,
    bool concurrency_only,
    uint64_t now_ns,
    struct gateway_limit_verdict *ret_verdict);
/* Takes the rates alone, for a request whose places were taken before. */
void gateway_limit_take_rates(
    struct gateway_limit_table *table,
    const struct gateway_limit_check *checks,
    uint32_t count,
    uint64_t now_ns,
    struct gateway_limit_verdict *ret_verdict);
/* Gives the places back: once for each take that passed. */
void gateway_limit_release(
    struct gateway_limit_table *table, const struct gateway_limit_check *checks, uint32_t count);

struct gateway_limit_counters {
    uint64_t subjects;  /* gauge */
    uint64_t forgotten; /* subjects that had to make room although their bucket was not full */
};

void gateway_limit_count(
    const struct gateway_limit_table *table, struct gateway_limit_counters *ret_counters);

#define GATEWAY_LIMIT_CHECKS_MAX 8

#endif
