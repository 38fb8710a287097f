#include "risk_window.h"

#include "base/assert.h"
#include "base/buf.h"

#include <string.h>

/* One more bucket than fills the window: the newest is not over yet. */
static const struct {
    int64_t seconds;
    int64_t count;
} shapes[PAYMENTS_RISK_WINDOWS] = {
    [PAYMENTS_RISK_HOUR] = {300, 13},
    [PAYMENTS_RISK_DAY] = {3600, 25},
    [PAYMENTS_RISK_WEEK] = {86400, 8},
};

static int64_t
sum_of(int64_t a, int64_t b)
{
    int64_t sum;
    return __builtin_add_overflow(a, b, &sum) ? INT64_MAX : sum;
}

/* Moves the buckets so that `number` is the newest, if it is newer. */
static void
advance(struct payments_risk_counts *counts, uint32_t window, int64_t number)
{
    int64_t *buckets = counts->buckets[window];
    int64_t count = shapes[window].count;
    int64_t by = number - counts->newest[window];
    if (by <= 0) {
        return;
    }
    for (int64_t i = count - 1; i >= 0; i--) {
        buckets[i] = i >= by ? buckets[i - by] : 0;
    }
    counts->newest[window] = number;
}

void
payments_risk_counts_add(struct payments_risk_counts *counts, int64_t now_s, int64_t amount)
{
    ASSERT(now_s >= 0 && amount >= 0);
    for (uint32_t window = 0; window < PAYMENTS_RISK_WINDOWS; window++) {
        advance(counts, window, now_s / shapes[window].seconds);
        counts->buckets[window][0] = sum_of(counts->buckets[window][0], amount);
    }
}

int64_t
payments_risk_counts_sum(
    const struct payments_risk_counts *counts, enum payments_risk_window window, int64_t now_s)
{
    int64_t number = now_s / shapes[window].seconds;
    int64_t sum = 0;
    for (int64_t i = 0; i < shapes[window].count; i++) {
        if (counts->newest[window] - i > number - shapes[window].count) {
            sum = sum_of(sum, counts->buckets[window][i]);
        }
    }
    return sum;
}

/* "NEWEST,COUNT,COUNT...;" for each window, without the zeros at the end. */
struct span
payments_risk_counts_write(const struct payments_risk_counts *counts, struct arena *arena)
{
    enum {
        TEXT_SIZE = PAYMENTS_RISK_WINDOWS * (PAYMENTS_RISK_BUCKETS_MAX + 1) * 21
    };

    struct buf buf;
    void *memory = arena_alloc(arena, TEXT_SIZE);
    buf_init_fixed(&buf, memory, memory == NULL ? 0 : TEXT_SIZE);
    for (uint32_t window = 0; window < PAYMENTS_RISK_WINDOWS; window++) {
        int64_t count = shapes[window].count;
        while (count > 0 && counts->buckets[window][count - 1] == 0) {
            count--;
        }
        buf_append_i64(&buf, counts->newest[window]);
        for (int64_t i = 0; i < count; i++) {
            buf_append_byte(&buf, ',');
            buf_append_i64(&buf, counts->buckets[window][i]);
        }
        buf_append_byte(&buf, ';');
    }
    return buf_failed(&buf) ? SPAN_EMPTY : buf_span(&buf);
}

static bool
read_number(struct span *rest, int64_t *ret_number)
{
    return span_parse_i64(span_cut(rest, ','), ret_number) && *ret_number >= 0;
}

err_t
payments_risk_counts_read(struct span text, struct payments_risk_counts *ret_counts)
{
    memset(ret_counts, 0, sizeof(*ret_counts));
    if (text.size == 0) {
        return ERR_OK;
    }
    for (uint32_t window = 0; window < PAYMENTS_RISK_WINDOWS; window++) {
        struct span rest = span_cut(&text, ';');
        if (!read_number(&rest, &ret_counts->newest[window])) {
            return ERR_CORRUPT;
        }
        for (int64_t i = 0; rest.size > 0; i++) {
            if (i == shapes[window].count || !read_number(&rest, &ret_counts->buckets[window][i])) {
                return ERR_CORRUPT;
            }
        }
    }
    return text.size == 0 ? ERR_OK : ERR_CORRUPT;
}
