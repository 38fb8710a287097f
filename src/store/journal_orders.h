/*
 * The orders that a journal keeps besides time: for each closed segment and each order a part
 * (journal_order_format.h), made behind the writing. What belongs to whom:
 *
 *   the orders' thread   the build, the files while they are made
 *   the engine's thread  parts that are open, and which are known not to be there
 *   both                 the atomics
 *
 * A part's life, with the function on each arrow:
 *
 *   none --segment_make: written, synced, renamed--> made --journal_orders_part--> open
 *   open --block_read: a block is damaged--> removed; made again by the next start
 *   open --block_read: it cannot be read--> set aside: not asked until the next start, but kept
 *
 * Without a loop parts are made within journal_orders_closed.
 *
 * ORDER-4  A part gets its name when it is synced. What is there under a part's name is believed
 *          only if its checksums are right and it names the segment's last frame (ORDER-3).
 * ORDER-5  Parts are derived: what is missing or doubtful costs time, and never an answer. A query
 *          reads a segment without its part as if there were no orders.
 * ORDER-6  Segments that wait for their parts are at most JOURNAL_ORDERS_LAG more than the fewest
 *          there were since the start; then frames wait. Not if parts cannot be written.
 */
#ifndef STORE_JOURNAL_ORDERS_H
#define STORE_JOURNAL_ORDERS_H

#include "journal_order_build.h"

#include "os/loop.h"

#include <stdatomic.h>

/* Closed segments that wait for their parts; with more, frames wait. */
#define JOURNAL_ORDERS_LAG 4u
/* Files of parts that stay open. */
#define JOURNAL_ORDERS_FILES 64u

struct journal_order_part {
    struct journal_order_header header;
    struct journal_order_fence *fences;
};

struct journal_order_slot {
    struct journal_order_part *part; /* NULL: not opened */
    bool absent;                     /* known not to be there, or set aside */
};

struct journal_order_open_file {
    struct os_file *file;
    enum store_order kind;
    uint64_t segment;
};

struct journal_orders {
    struct os_disk *disk;
    const char *folder; /* the journal's */
    uint32_t kept;      /* a bit for each enum store_order; 0: nothing here does anything */
    struct os_loop *loop;
    struct os_executor *io; /* where held frames are posted */

    /* The engine's. */
    struct journal_order_slot *slots[STORE_ORDER_COUNT]; /* by segment */
    uint64_t slot_count;
    uint64_t told_failures; /* how many there were when nothing had failed that was not told */
    uint64_t tell_failures; /* the next is told when there were so many more; 0: none was told */
    struct journal_order_open_file files[JOURNAL_ORDERS_FILES];

    struct {
        const struct journal_order_part *part;
        uint64_t number;
        uint64_t entries[JOURNAL_ORDER_ENTRIES];
    } block; /* that was read last */

    /* The orders' thread's. */
    struct journal_order_build build;
    uint64_t next; /* segment */
    struct os_task task;

    /* Shared. */
    atomic_ullong closed; /* segments up to this one take no more frames and are durable */
    atomic_ullong made;   /* segments up to this one have the parts that they will have */
    atomic_ullong lag_max;
    atomic_int failure;     /* err_t: why parts were not made; 0 if they were */
    atomic_ullong failures; /* so often that was so */
    atomic_bool posted;
    atomic_bool closing;
    _Atomic(struct os_task *) held; /* a frame's, of the I/O thread */
};

/* --- on the engine's thread --- */

/* `kept`: a bit for each enum store_order. `folder` is borrowed. */
void journal_orders_init(
    struct journal_orders *orders, struct os_disk *disk, const char *folder, uint32_t kept);
/* After loading: makes the folder, and begins with what `closed` segments lack. `loop` NULL: at
 * once. What the disk answered to making the folder durable. */
MUST_USE err_t journal_orders_start(
    struct journal_orders *orders, struct os_loop *loop, struct os_executor *io, uint64_t closed);
/* Segments up to this one take no more frames and are durable. May be told again. */
void journal_orders_closed(struct journal_orders *orders, uint64_t segment);
/* Ends the work early; the loop is stopped afterwards. */
void journal_orders_stop(struct journal_orders *orders);
void journal_orders_release(struct journal_orders *orders);
/* Closed segments that wait for their parts. */
uint64_t journal_orders_waiting(const struct journal_orders *orders);
/* Is there something that an operator should read, which was not answered yet? The first failure to
 * make parts, the second, fourth and so on of a row, and with `*ret_code` ERR_OK the end of it. */
bool journal_orders_news(struct journal_orders *orders, err_t *ret_code);

/* --- journal_orders_part.c: asking, on the engine's thread --- */

/* The part, or NULL: the segment has to be read without it. Lives as long as the orders, if no
 * block of it turns out to be damaged. */
const struct journal_order_part *journal_orders_part(
    struct journal_orders *orders, enum store_order kind, uint64_t segment);
/* The entries with the key are those from `*ret_from` to before `*ret_to`. ERR_CORRUPT if a block
 * is damaged: the part is removed, and the error says so. If it cannot be read, the disk's error:
 * the part is set aside. Asked again, the query does without the part in both cases. */
MUST_USE err_t journal_orders_range(
    struct journal_orders *orders,
    const struct journal_order_part *part,
    uint32_t key,
    uint64_t *ret_from,
    uint64_t *ret_to,
    struct store_error *error);
/* The position of entry number `number`; the errors of range. */
MUST_USE err_t journal_orders_position(
    struct journal_orders *orders,
    const struct journal_order_part *part,
    uint64_t number,
    journal_position_t *ret_position,
    struct store_error *error);
/* Closes what is open, for journal_orders_release. */
void journal_orders_parts_release(struct journal_orders *orders);

/* --- on the I/O thread --- */

/* True: parts lag, the frame's task will be posted to the I/O thread again. */
bool journal_orders_hold(struct journal_orders *orders, struct os_task *task);

/* --- offline --- */

/* Makes every part that is there again and compares it with the file. ERR_CORRUPT, with the name;
 * parts whose segment is nowhere are passed over. */
MUST_USE err_t journal_orders_verify(
    struct os_disk *disk,
    const char *folder,
    const char *archive,
    uint64_t newest,
    uint64_t *ret_parts,
    struct store_error *error);

#endif
