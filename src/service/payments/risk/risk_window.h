/*
 * How much of something there was within the last hour, day and week: counts in buckets of five
 * minutes, an hour and a day. The oldest bucket is counted whole, so a sum is never less than what
 * there was in the window, and holds nothing older than one bucket more. Pure.
 */
#ifndef PAYMENTS_RISK_WINDOW_H
#define PAYMENTS_RISK_WINDOW_H

#include "base/arena.h"
#include "base/err.h"

enum payments_risk_window {
    PAYMENTS_RISK_HOUR,
    PAYMENTS_RISK_DAY,
    PAYMENTS_RISK_WEEK,
    PAYMENTS_RISK_WINDOWS,
};

#define PAYMENTS_RISK_BUCKETS_MAX 25
/* Of nothing that was counted so long ago a window knows. */
#define PAYMENTS_RISK_MEMORY_S (INT64_C(8) * 86400)

struct payments_risk_counts {
    int64_t newest[PAYMENTS_RISK_WINDOWS]; /* the number of the first bucket below */
    int64_t buckets[PAYMENTS_RISK_WINDOWS][PAYMENTS_RISK_BUCKETS_MAX]; /* newest first */
};

/* Of an empty text nothing was counted yet. ERR_CORRUPT. */
MUST_USE err_t payments_risk_counts_read(struct span text, struct payments_risk_counts *ret_counts);
/* In the arena; empty if that is full. */
struct span payments_risk_counts_write(
    const struct payments_risk_counts *counts, struct arena *arena);
/* `amount` >= 0 more, at `now_s`. A clock that went back counts into the newest bucket. */
void payments_risk_counts_add(struct payments_risk_counts *counts, int64_t now_s, int64_t amount);
int64_t payments_risk_counts_sum(
    const struct payments_risk_counts *counts, enum payments_risk_window window, int64_t now_s);

#endif
