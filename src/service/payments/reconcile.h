/* The reconciler: reconcile.c goes through the charges, and runs all; reconcile_disputes.c compares
 * what was taken back of them; reconcile_lines.c goes through the refunds, the payouts, the
 * disputes and the balance transactions. */
#ifndef PAYMENTS_RECONCILE_H
#define PAYMENTS_RECONCILE_H

#include "flow.h"

#define PAYMENTS_RECONCILE_SLICE 50
#define PAYMENTS_SCOPES_MAX      4096

enum payments_reconcile_phase {
    PAYMENTS_RECONCILE_CHARGES,
    PAYMENTS_RECONCILE_REFUNDS,
    PAYMENTS_RECONCILE_PAYOUTS,
    PAYMENTS_RECONCILE_DISPUTES,
    PAYMENTS_RECONCILE_TRANSACTIONS,
    PAYMENTS_RECONCILE_PHASES,
};

/* Charges of which the rail says that disputes moved more than is known here, because their news
 * are still on the way, or never came. Of more than there is room for, those that were met first.
 */
#define PAYMENTS_UNHEARD_MAX 64

struct payments_unheard {
    char charge[ID_TEXT_SIZE]; /* empty: free */
    int64_t since;             /* when it was met, unix seconds */
};

struct payments_reconciler {
    struct payments *payments;
    struct payments_unheard unheard[PAYMENTS_UNHEARD_MAX];
    uint64_t scopes[PAYMENTS_SCOPES_MAX];
    uint32_t scope_count;
    uint32_t scope_index;
    enum payments_reconcile_phase phase;
    char cursor[ID_TEXT_SIZE]; /* the last document that was looked at */
    uint64_t differences;      /* of this run */

    /* The slice in hand as it began: what had no memory begins again, with one document. */
    struct {
        uint32_t limit;
        uint32_t scope_index;
        enum payments_reconcile_phase phase;
        char cursor[ID_TEXT_SIZE];
        uint64_t differences;
    } slice;
};

void payments_reconcile_difference(
    struct payments_reconciler *reconciler,
    struct span document,
    const char *what,
    int64_t documents,
    int64_t other);
/* The next slice of documents of the phase's type, which `collect` gets; behind the last one comes
 * the next phase. */
MUST_USE err_t payments_reconcile_read(
    struct payments_reconciler *reconciler,
    struct resource_op *op,
    const struct resource_type *type,
    bool (*collect)(void *context, void *document),
    void *context);
/* Ends the slice's operation. */
void payments_reconcile_end(
    struct payments_reconciler *reconciler, struct resource_op *op, err_t error);

/* Compares what disputes moved of a charge that is not being worked on with the rail's report. */
MUST_USE err_t payments_reconcile_taken(
    struct payments_reconciler *reconciler,
    struct resource_op *op,
    const struct payments_charge *charge,
    const struct port_rail_answer *answer);

/* A slice of refunds, of disputes or of balance transactions. */
void payments_reconcile_lines(struct resource_op *op);

#endif
