#include "journal_directory.h"

#include <stdlib.h>

void
journal_directory_init(struct journal_directory *directory, uint64_t limit)
{
    ASSERT(limit > 1);
    *directory = (struct journal_directory){.limit = limit, .length = JOURNAL_STRETCH};
}

void
journal_directory_release(struct journal_directory *directory)
{
    free(directory->stretches);
    *directory = (struct journal_directory){0};
}

void
journal_directory_clear(struct journal_directory *directory)
{
    directory->count = 0;
    directory->length = JOURNAL_STRETCH;
    directory->transfer_last = 0;
    directory->expiry_last = 0;
    directory->pinned = false;
    directory->fresh = false;
}

static struct journal_stretch *
newest(struct journal_directory *directory)
{
    ASSERT(directory->count > 0);
    return &directory->stretches[directory->count - 1];
}

static void
range_join(struct journal_range *range, const struct journal_range *later)
{
    if (later->first == 0) {
        return;
    }
    ASSERT(later->first >= range->last);
    range->first = range->first == 0 ? later->first : range->first;
    range->last = later->last;
}

/* Joins neighbours within a segment, where frames lie one behind the other. */
static void
stretches_join(struct journal_directory *directory)
{
    struct journal_stretch *stretches = directory->stretches;
    uint64_t last = 0;
    for (uint64_t i = 1; i < directory->count; i++) {
        bool adjacent = stretches[last].end == stretches[i].start;
        if (adjacent && stretches[i].end - stretches[last].start <= directory->length) {
            stretches[last].end = stretches[i].end;
            range_join(&stretches[last].transfers, &stretches[i].transfers);
            range_join(&stretches[last].expiries, &stretches[i].expiries);
        } else {
            stretches[++last] = stretches[i];
        }
    }
    directory->count = last + 1;
}

/* Fewer stretches, or else, with one for nearly each segment, a higher limit. */
static void
coarsen(struct journal_directory *directory)
{
    while (directory->count >= directory->limit) {
        if (directory->length == JOURNAL_STRETCH_MAX) {
            directory->limit *= 2;
            return;
        }
        directory->length *= 2;
        stretches_join(directory);
    }
}

static err_t
append(struct journal_directory *directory, const struct journal_stretch *stretch)
{
    if (directory->count >= directory->limit && !directory->pinned) {
        coarsen(directory);
    }
    if (directory->count == directory->capacity) {
        uint64_t capacity = directory->capacity == 0 ? 256 : directory->capacity * 2;
        struct journal_stretch *grown =
            realloc(directory->stretches, capacity * sizeof(*directory->stretches));
        if (grown == NULL) {
            return ERR_MEMORY;
        }
        directory->stretches = grown;
        directory->capacity = capacity;
    }
    directory->stretches[directory->count++] = *stretch;
    return ERR_OK;
}

static bool
range_is_sane(const struct journal_range *range, uint64_t last)
{
    if (range->first == 0) {
        return range->last == 0;
    }
    return range->first <= range->last && range->first >= last;
}

static void
last_note(uint64_t *last, const struct journal_range *range)
{
    *last = range->last > *last ? range->last : *last;
}

err_t
journal_directory_add(struct journal_directory *directory, const struct journal_stretch *stretch)
{
    journal_position_t end = directory->count == 0 ? 0 : newest(directory)->end;
    if (stretch->start >= stretch->end || stretch->start < end ||
        !range_is_sane(&stretch->transfers, directory->transfer_last) ||
        !range_is_sane(&stretch->expiries, directory->expiry_last)) {
        return ERR_CORRUPT;
    }
    last_note(&directory->transfer_last, &stretch->transfers);
    last_note(&directory->expiry_last, &stretch->expiries);
    return append(directory, stretch);
}

/* Transfers are in nearly every stretch, so the search may step over the ones without. */
uint64_t
journal_directory_find(const struct journal_directory *directory, uint64_t timestamp)
{
    uint64_t low = 0;
    uint64_t high = directory->count;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        uint64_t probe = middle;
        while (probe > low && directory->stretches[probe].transfers.first == 0) {
            probe--;
        }
        if (directory->stretches[probe].transfers.first == 0 ||
            directory->stretches[probe].transfers.last < timestamp) {
            low = middle + 1;
        } else {
            high = probe;
        }
    }
    return low;
}

err_t
journal_directory_frame(struct journal_directory *directory, journal_position_t position)
{
    if (directory->count > 0 && !directory->fresh) {
        struct journal_stretch *stretch = newest(directory);
        ASSERT(position >= stretch->end);
        if (position == stretch->end && position - stretch->start < directory->length) {
            return ERR_OK;
        }
    }
    directory->fresh = false;
    return append(directory, &(struct journal_stretch){.start = position, .end = position});
}

void
journal_directory_extend(struct journal_directory *directory, journal_position_t end)
{
    struct journal_stretch *stretch = newest(directory);
    ASSERT(end > stretch->start);
    stretch->end = end;
}

void
journal_directory_event(struct journal_directory *directory, uint64_t timestamp, bool expiry)
{
    struct journal_stretch *stretch = newest(directory);
    struct journal_range *range = expiry ? &stretch->expiries : &stretch->transfers;
    uint64_t *last = expiry ? &directory->expiry_last : &directory->transfer_last;
    ASSERT(timestamp >= *last);
    if (range->first == 0) {
        range->first = timestamp;
    }
    range->last = timestamp;
    *last = timestamp;
}
