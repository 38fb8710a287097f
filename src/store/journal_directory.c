#include "journal_directory.h"

#include <stdlib.h>

void
journal_directory_release(struct journal_directory *directory)
{
    free(directory->stretches);
    *directory = (struct journal_directory){0};
}

static struct journal_stretch *
newest(struct journal_directory *directory)
{
    ASSERT(directory->count > 0);
    return &directory->stretches[directory->count - 1];
}

err_t
journal_directory_frame(struct journal_directory *directory, journal_position_t position)
{
    if (directory->count > 0) {
        struct journal_stretch *stretch = newest(directory);
        ASSERT(position >= stretch->end);
        if (position == stretch->end && position - stretch->start < JOURNAL_STRETCH) {
            return ERR_OK;
        }
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
    directory->stretches[directory->count++] =
        (struct journal_stretch){.start = position, .end = position};
    return ERR_OK;
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
    ASSERT(timestamp >= range->last);
    if (range->first == 0) {
        range->first = timestamp;
    }
    range->last = timestamp;
}
