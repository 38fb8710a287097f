/*
 * Making the parts of one closed segment: its frames are read once, for all orders that are wanted.
 * Needs nothing but the segment and the header of the one behind it, so any thread may do it.
 */
#ifndef STORE_JOURNAL_ORDER_BUILD_H
#define STORE_JOURNAL_ORDER_BUILD_H

#include "journal_order_format.h"
#include "journal_scan.h"

/* FOLDER/order/user-data-128-00000001.part */
#define JOURNAL_ORDER_PATH_SIZE (JOURNAL_PATH_SIZE + 48)

struct journal_order_list {
    uint64_t *entries;
    uint64_t count;
    uint64_t capacity;
};

struct journal_order_build {
    struct os_disk *disk;
    const char *folder;  /* the journal's */
    const char *archive; /* where a segment is that is not there; NULL: nowhere */
    uint32_t wanted;     /* a bit for each enum store_order */
    /* After journal_order_collect: of the segment, and its entries, sorted. */
    struct journal_order_header header;
    struct journal_order_list lists[STORE_ORDER_COUNT];
    char *frame; /* its own; grows to the largest frame */
    uint64_t frame_capacity;
};

void journal_order_path(
    const char *folder, enum store_order kind, uint64_t segment, char out[JOURNAL_ORDER_PATH_SIZE]);
/* What the segment behind `segment` says of it: identity, end and chain. The errors of reading it.
 */
MUST_USE err_t journal_order_identify(
    struct os_disk *disk,
    const char *folder,
    const char *archive,
    uint64_t segment,
    struct journal_order_header *ret_header);
/* Reads the segment, which is closed. ERR_NOT_FOUND if it, or the one behind it, is not there;
 * ERR_CORRUPT if a frame is damaged; ERR_MEMORY, ERR_IO. May be called again for another one. */
MUST_USE err_t journal_order_collect(struct journal_order_build *build, uint64_t segment);
/* The part's file, as journal_order_encode; after collect. */
char *journal_order_file(
    const struct journal_order_build *build, enum store_order kind, uint64_t *ret_size);
void journal_order_build_release(struct journal_order_build *build);

#endif
