/*
 * What a wallet may move: limits by tier, direction and currency, and how much of them is used.
 * Amounts are ISO minor units. Days and months are UTC's.
 *
 * Pure functions, any thread.
 */
#ifndef WALLETS_LIMITS_H
#define WALLETS_LIMITS_H

#include "base/money.h"
#include "port/wallet.h"

#define WALLETS_LIMIT_RULES_MAX 64
#define WALLETS_TIER_SIZE       24

/* As it was written: whole units, of `currency` or, without one, of US dollars. */
struct wallets_limit_rule {
    char tier[WALLETS_TIER_SIZE];
    const struct currency *currency; /* NULL: any */
    enum port_wallet_direction direction;
    int64_t transaction, day, month;
};

struct wallets_limits {
    struct wallets_limit_rule rules[WALLETS_LIMIT_RULES_MAX];
    uint32_t count;
};

/* What one wallet may move in one direction. */
struct wallets_limit {
    int64_t transaction, day, month;
};

/* What it has moved. A zeroed one has moved nothing. */
struct wallets_usage {
    int64_t day; /* days since 1970; of day_amount */
    int64_t day_amount;
    int64_t month; /* months since year 0; of month_amount */
    int64_t month_amount;
};

enum wallets_limit_kind {
    WALLETS_LIMIT_NONE, /* nothing is exceeded */
    WALLETS_LIMIT_TRANSACTION,
    WALLETS_LIMIT_DAY,
    WALLETS_LIMIT_MONTH,
};

/* ERR_INVALID: *ret_wrong is the word that cannot be read. Each tier must have both directions
 * without a currency. */
MUST_USE err_t
wallets_limits_parse(struct span text, struct wallets_limits *ret_limits, struct span *ret_wrong);
bool wallets_limits_has_tier(const struct wallets_limits *limits, struct span tier);
/* The limits of a tier; a tier that is not known any more has those of the first. */
struct wallets_limit wallets_limits_find(
    const struct wallets_limits *limits,
    struct span tier,
    enum port_wallet_direction direction,
    const struct currency *currency);

/* A day of the Gregorian calendar, UTC; month and day from 1. */
struct wallets_date {
    int64_t year, month, day;
};

struct wallets_date wallets_date_of(int64_t unix_s);
int64_t wallets_day_of(int64_t unix_s);
int64_t wallets_month_of(int64_t unix_s);

/* What was moved in the day and the month of `now_s`; a clock that went back stays in the later
 * one. */
struct wallets_usage wallets_usage_at(const struct wallets_usage *usage, int64_t now_s);
/* The first limit that `amount` more would exceed, with what is left of it. */
enum wallets_limit_kind wallets_limit_check(
    const struct wallets_limit *limit,
    const struct wallets_usage *usage,
    int64_t amount,
    int64_t now_s,
    int64_t *ret_left);
void wallets_usage_add(struct wallets_usage *usage, int64_t amount, int64_t now_s);
/* Takes back what was added at `then_s`, as far as its day and month still run. */
void wallets_usage_take(struct wallets_usage *usage, int64_t amount, int64_t then_s);

#endif
