/*
 * A sweeper: finds documents that are due (open attempts whose worker is gone or whose outcome is
 * unknown, what has expired) and has each driven in an operation of its own, which locks it, so
 * that it never meets a live worker.
 *
 * The first sweep ignores leases: with an embedded store, whoever held them is dead. Among several
 * processes a lease holds until its time is over, by the database's clock; the object's lock, which
 * they share, keeps the sweeper from a worker that lives. One of them sweeps for all.
 *
 * Everything is the runtime's loop's.
 */
#ifndef RESOURCE_SWEEPER_H
#define RESOURCE_SWEEPER_H

#include "os/clock.h"
#include "resource/resource.h"

#include <stdatomic.h>

struct resource_sweeper;

/* What can be due. Constant. */
struct resource_sweep_kind {
    const struct resource_type *type;
    uint32_t due_column; /* an across_scopes integer: unix seconds; 0: never */
    bool hot_only;       /* finding needs no cold members */
    /* When the attempt began that is open in the document, unix seconds; 0: none is. NULL: these
     * documents have none. */
    int64_t (*began)(const void *document);
    /* Whether somebody outside has what the open attempt is about, and takes their time: its end is
     * not ours to hurry. NULL: nobody ever has. */
    bool (*waits)(const void *document);
    /* What is locked while it is driven. NULL: the document itself. */
    struct span (*lock_of)(const void *document);
    /* A new operation in the document's scope, with the sweeper's service, which has to lock `lock`
     * and to look whether the document is due yet. The texts live as long as it. */
    void (*drive)(
        struct resource_op *op,
        const struct resource_sweep_kind *kind,
        struct span id,
        struct span lock);
    const void *own; /* the owner's */
};

#define RESOURCE_SWEEP_KINDS_MAX 8

/* Borrowed as long as the sweeper lives. */
struct resource_sweeper_parts {
    struct resource_runtime *runtime;
    struct os_loop *loop; /* the runtime's */
    struct os_clock *clock;
    const char *work; /* for resource_leads */
    const struct resource_sweep_kind *kinds;
    uint32_t kind_count;
    void *service;       /* resource_op_service of the operations */
    int64_t interval_ms; /* between sweeps */
    uint64_t drive_ns;   /* a drive that does not end is not begun again before this */
    /* Before a sweep, or instead of it because another process leads. May be NULL. */
    void (*turn)(void *service, bool leads);
    /* What waits for a person: documents with a value in this column (RESOURCE_SWEPT). NULL: none
     * do. */
    const struct resource_type *waiting_type;
    uint32_t waiting_column;
    /* What the last sweep saw: attempts that are due and open, or were due and have not ended
     * since, the age of the oldest, and how many wait; all up to some DOCUMENT_LIST_MAX, since more
     * than one is alarm enough; zeros where another process leads, whose is newer. `waiting` is
     * NULL if waiting_type is. */
    _Atomic uint64_t *open;
    _Atomic int64_t *oldest_s;
    /* The age of the oldest attempt that waits outside, which is in none of the others. May be
     * NULL. */
    _Atomic int64_t *waits_s;
    _Atomic uint64_t *waiting;
};

/* The first sweep is due at once. ERR_MEMORY. */
MUST_USE err_t resource_sweeper_start(
    const struct resource_sweeper_parts *parts, struct resource_sweeper **ret_sweeper);
/* After the loop has stopped and the runtime was destroyed. Accepts NULL inside; sets NULL. */
void resource_sweeper_destroy(struct resource_sweeper **sweeper);

#endif
