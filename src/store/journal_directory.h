/*
 * Where in the journal a time is: one entry for each stretch of frames of JOURNAL_STRETCH bytes
 * or one larger frame, in order. When there are too many, neighbours are joined and stretches are
 * twice as long from then on, so that memory is bounded and a look-up by time reads a longer
 * stretch. Transfers have rising timestamps in the order of the journal, and so have expiries, but
 * not both together: an imported transfer may be older than an expiry that came before it. Hence
 * two ranges.
 */
#ifndef STORE_JOURNAL_DIRECTORY_H
#define STORE_JOURNAL_DIRECTORY_H

#include "journal_format.h"

/* Bytes of a stretch at first. */
#define JOURNAL_STRETCH 65536u
/* Stretches before they are joined: 12 MiB of memory. One is left for each segment at least. */
#define JOURNAL_STRETCHES_MAX (UINT64_C(1) << 18)
/* No stretch is longer than the largest segment. */
#define JOURNAL_STRETCH_MAX (UINT64_C(1) << 32)

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
    uint64_t limit;         /* joins when there are so many; set before the first frame */
    uint64_t length;        /* bytes of a stretch; a power of two times JOURNAL_STRETCH */
    uint64_t transfer_last; /* the newest timestamp of each kind */
    uint64_t expiry_last;
    bool pinned; /* what is there keeps its place: nothing is joined */
    bool fresh;  /* the next frame begins a stretch */
};

void journal_directory_init(struct journal_directory *directory, uint64_t limit);

void journal_directory_release(struct journal_directory *directory);
/* Forgets every stretch. */
void journal_directory_clear(struct journal_directory *directory);
/* Appends what a snapshot kept. ERR_CORRUPT if it cannot follow the stretches before it. */
MUST_USE err_t
journal_directory_add(struct journal_directory *directory, const struct journal_stretch *stretch);
/* The number of the first stretch whose transfers end at `timestamp` or later; `count` if there is
 * none. */
uint64_t journal_directory_find(const struct journal_directory *directory, uint64_t timestamp);
/* A frame begins at `position`. */
MUST_USE err_t
journal_directory_frame(struct journal_directory *directory, journal_position_t position);
/* The frame that began last now ends there. */
void journal_directory_extend(struct journal_directory *directory, journal_position_t end);
/* An event of the frame that began last. */
void journal_directory_event(struct journal_directory *directory, uint64_t timestamp, bool expiry);

#endif
