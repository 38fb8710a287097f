/*
 * Where in the journal a time is: one entry for each stretch of frames of JOURNAL_STRETCH bytes
 * or one larger frame, in order. Transfers have rising timestamps in the order of the journal, and
 * so have expiries, but not both together: an imported transfer may be older than an expiry that
 * came before it. Hence two ranges.
 */
#ifndef STORE_JOURNAL_DIRECTORY_H
#define STORE_JOURNAL_DIRECTORY_H

#include "journal_format.h"

#define JOURNAL_STRETCH 65536u

/* What a stretch holds of one kind; first is 0 if it holds none. */
struct journal_range {
    uint64_t first;
    uint64_t last;
};

struct journal_stretch {
    journal_position_t start; /* of its first frame */
    journal_position_t end;   /* behind its last frame, as far as it is known */
    struct journal_range transfers;
    struct journal_range expiries;
};

struct journal_directory {
    struct journal_stretch *stretches;
    uint64_t count;
    uint64_t capacity;
};

void journal_directory_release(struct journal_directory *directory);
/* A frame begins at `position`. */
MUST_USE err_t
journal_directory_frame(struct journal_directory *directory, journal_position_t position);
/* The frame that began last now ends there. */
void journal_directory_extend(struct journal_directory *directory, journal_position_t end);
/* An event of the frame that began last. */
void journal_directory_event(struct journal_directory *directory, uint64_t timestamp, bool expiry);

#endif
