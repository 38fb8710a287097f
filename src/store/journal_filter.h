/*
 * The filters of runs, in memory. A new id is looked for in the filter of every group of runs, and
 * nearly all of the cost is fetching one word of each from memory. So the filters of a level lie
 * side by side in a bank: word i of the first group, word i of the second one and so on. Groups of
 * one level are about equally large, so a hash finds its words of all of them in one or two lines
 * of the processor's cache.
 *
 *   bank    lane 0   lane 1   ...  lane 15
 *           word 0   word 0        word 0
 *           word 1   word 1        word 1
 *
 * A group whose filter has another size than the others of its level, or that finds no free lane,
 * or is of a high level, where groups are few and large, has a bank with one lane for itself.
 *
 * FILTER-1  A lane belongs to one group from journal_filter_take until journal_filter_give_back,
 *           and is not written any more once the group is in a set.
 *
 * Banks and taking are the index's thread's; views are read by the engine's.
 */
#ifndef STORE_JOURNAL_FILTER_H
#define STORE_JOURNAL_FILTER_H

#include "journal_run_format.h"

#include "base/prefetch.h"

/* Levels whose filters share a bank. The groups above are few, and a lane of them that is not used
 * would be much memory. */
#define JOURNAL_FILTER_LEVELS 2u
/* Groups of the level whose merge is under way stay until it is done, and others come meanwhile. */
#define JOURNAL_FILTER_LANES_YOUNG 16u
#define JOURNAL_FILTER_LANES_OLD   8u
#define JOURNAL_FILTER_LANES_MAX   16u

struct journal_filter_bank {
    uint64_t *words;     /* NULL: no lane is taken yet; aligned to a line of the cache */
    uint64_t word_count; /* of a lane */
    uint32_t lanes;
    uint32_t taken; /* bit = lane */
};

/* One group's filter. */
struct journal_filter {
    struct journal_filter_bank *bank; /* NULL: none was taken */
    struct journal_filter_bank own;   /* with one lane */
    uint32_t lane;
};

/* What look-ups read of a bank: the lanes of the groups of a set. */
struct journal_filter_view {
    const uint64_t *words;
    uint64_t word_count;
    uint32_t stride; /* lanes of the bank */
    uint32_t count;
    uint32_t fetched; /* words from the first lane to the last one of these */
    uint8_t lanes[JOURNAL_FILTER_LANES_MAX];
    uint8_t groups[JOURNAL_FILTER_LANES_MAX]; /* their numbers in the set */
};

/* A lane for a filter of `word_count` words, whose content the caller writes. `bank` is the
 * level's, NULL above JOURNAL_FILTER_LEVELS. ERR_MEMORY. */
MUST_USE err_t journal_filter_take(
    struct journal_filter *filter,
    struct journal_filter_bank *bank,
    uint32_t lanes,
    uint64_t word_count);
/* Nothing if none was taken. */
void journal_filter_give_back(struct journal_filter *filter);
/* Writes `count` words, the first of which is word `first` of the filter. */
void journal_filter_write(
    struct journal_filter *filter, uint64_t first, const uint64_t *words, uint64_t count);
/* When no lane is taken any more. */
void journal_filter_bank_release(struct journal_filter_bank *bank);

/* Adds the group number `group` of a set to the views of its filters; the new count of views, which
 * is at most that of the groups. Filters of one bank come together in a view. */
MUST_USE uint32_t journal_filter_view_add(
    struct journal_filter_view *views,
    uint32_t count,
    const struct journal_filter *filter,
    uint32_t group);

static inline const uint64_t *
journal_filter_view_word(const struct journal_filter_view *view, uint64_t hash)
{
    return view->words + journal_filter_word(hash, 0, view->word_count) * view->stride;
}

static inline void
journal_filter_prefetch(const struct journal_filter_view *view, uint64_t hash)
{
    const uint64_t *word = journal_filter_view_word(view, hash);
    prefetch_for_read(word);
    if (view->fetched > 8) {
        prefetch_for_read(word + 8);
    }
}

/* The groups that may have the hash: bit = number in the set. No other group has it. */
static inline uint64_t
journal_filter_groups(const struct journal_filter_view *view, uint64_t hash, uint64_t bits)
{
    const uint64_t *words = journal_filter_view_word(view, hash);
    uint64_t groups = 0;
    for (uint32_t i = 0; i < view->count; i++) {
        uint64_t may = (words[view->lanes[i]] & bits) == bits;
        groups |= may << view->groups[i];
    }
    return groups;
}

#endif
