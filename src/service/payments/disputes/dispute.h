/*
 * Disputes of card payments. A charge's money is taken back by the network, which tells of it
 * (dispute_feed.c); the merchant contests or accepts it (dispute.c); what moves, moves in the books
 * before a document says so (dispute_flow.c). README.md has the invariants, DISPUTE-1 and on.
 */
#ifndef PAYMENTS_DISPUTE_H
#define PAYMENTS_DISPUTE_H

#include "dispute_machine.h"
#include "flow.h"
#include "payments/stored.h"

/* Texts of `evidence`, with the most bytes of each. */
#define PAYMENTS_EVIDENCE_TEXTS(X)                                                                 \
    X(access_activity_log, 20000)                                                                  \
    X(billing_address, 5000)                                                                       \
    X(cancellation_policy_disclosure, 20000)                                                       \
    X(cancellation_rebuttal, 20000)                                                                \
    X(customer_email_address, 5000)                                                                \
    X(customer_name, 5000)                                                                         \
    X(customer_purchase_ip, 5000)                                                                  \
    X(duplicate_charge_explanation, 20000)                                                         \
    X(duplicate_charge_id, 5000)                                                                   \
    X(product_description, 20000)                                                                  \
    X(refund_policy_disclosure, 20000)                                                             \
    X(refund_refusal_explanation, 20000)                                                           \
    X(service_date, 5000)                                                                          \
    X(shipping_address, 5000)                                                                      \
    X(shipping_carrier, 5000)                                                                      \
    X(shipping_date, 5000)                                                                         \
    X(shipping_tracking_number, 5000)                                                              \
    X(uncategorized_text, 20000)
/* Those that would be files, of which there are none. */
#define PAYMENTS_EVIDENCE_FILES(X)                                                                 \
    X(cancellation_policy)                                                                         \
    X(customer_communication)                                                                      \
    X(customer_signature)                                                                          \
    X(duplicate_charge_documentation)                                                              \
    X(receipt)                                                                                     \
    X(refund_policy)                                                                               \
    X(service_documentation)                                                                       \
    X(shipping_documentation)                                                                      \
    X(uncategorized_file)
/* Bytes of all texts together. */
#define PAYMENTS_EVIDENCE_MAX 150000

enum payments_evidence {
#define X(name, maximum) PAYMENTS_EVIDENCE_##name,
    PAYMENTS_EVIDENCE_TEXTS(X)
#undef X
    PAYMENTS_EVIDENCE_COUNT
};

extern const char *const payments_evidence_names[PAYMENTS_EVIDENCE_COUNT];

struct payments_dispute {
    struct resource_header header;
    int64_t amount;
    struct span currency;
    struct span charge;
    struct span payment_intent;
    struct span status; /* dispute_machine.h */
    struct span reason;
    struct span network_code;
    struct span brand, scheme; /* of the card */
    struct span network;       /* its number of the dispute, 32 hex digits */
    struct span evidence[PAYMENTS_EVIDENCE_COUNT];
    struct span metadata; /* JSON object */
    int64_t submissions;
    int64_t due_by;
    int64_t respond_by; /* the same while it needs a response; 0: it does not */
    bool from_available;
    int64_t fee;             /* what the dispute costs, once the money was taken back */
    struct span withdrawal;  /* the balance transaction of that; empty: it was not, or not yet */
    struct span reinstation; /* that of the money that came again */
    /* What the network has decided and is not carried out yet: escalated won lost closed; empty. */
    struct span decided;
    int64_t decided_amount, decided_due_by; /* of escalated */
    int64_t due;
    struct payments_attempt attempt; /* withdraw reinstate; evidence accept */
};

enum {
    PAYMENTS_DISPUTE_CHARGE,
    PAYMENTS_DISPUTE_INTENT,
    PAYMENTS_DISPUTE_DUE,
    PAYMENTS_DISPUTE_RESPOND
};

/* Where the feed stands; one for all merchants. */
struct payments_feed_cursor {
    struct resource_header header;
    int64_t position;
    int64_t unplaced; /* notices of payments that nobody knows */
};

extern const struct resource_type payments_feed_cursor_type;
extern const struct document_kind payments_dispute_kind;
extern const struct document_kind payments_feed_cursor_kind;

/* The steps that its transfers' ids derive from, with the number in its id. */
#define PAYMENTS_DISPUTE_TAKEN    "dispute"
#define PAYMENTS_DISPUTE_FEE      "dispute fee"
#define PAYMENTS_DISPUTE_REVERSED "dispute reversal"

/* What it says of the books (stored.c): payments_stored_dispute. Frozen: documents and books are of
 * one moment, so that what is not under way has not moved. */
MUST_USE err_t payments_dispute_expect(
    const struct payments_dispute *dispute,
    bool frozen,
    struct books_expected expected[PAYMENTS_EXPECTED_MAX],
    uint32_t *ret_count);

/* --- dispute_document.c --- */

/* DISPUTE-1. */
u128 payments_dispute_number_of(const struct port_rail_notice *notice);
u128 payments_dispute_number(const struct payments_dispute *dispute);
enum payments_dispute_status payments_dispute_status_of(const struct payments_dispute *dispute);
/* Makes a move that is legal. */
void payments_dispute_goes(struct payments_dispute *dispute, enum payments_dispute_move move);
/* The texts that are there as a JSON object in the arena. */
struct span payments_evidence_text(struct resource_op *op, const struct payments_dispute *dispute);

/* What is taken back of the charge at this moment, in the public API's units. */
static inline int64_t
payments_charge_taken_back(const struct payments_charge *charge)
{
    return charge->disputed_amount - charge->reinstated_amount;
}

/* --- dispute_flow.c: all of them under the intent's lock, with intent, charge and dispute --- */

/* The dispute is new, or an inquiry grew: its money is to be withdrawn. The caller saves it and the
 * charge. False if answered. */
bool payments_dispute_withdraw_open(struct payments_flow *flow);
/* Behind that commit. */
void payments_dispute_withdraw(struct resource_op *op);
/* Carries out dispute->decided, which is legal; ends the operation in the end. */
void payments_dispute_decide(struct payments_flow *flow);
/* What the sweeper found: goes on with the open attempt, or with what was decided. */
void payments_dispute_resume(struct payments_flow *flow);
/* The attempt is over, and what was decided meanwhile is the sweeper's next (DISPUTE-4). */
void payments_dispute_attempt_close(struct payments_flow *flow);
/* Loads the dispute's charge. False if answered. */
bool payments_dispute_load_charge(struct payments_flow *flow, struct span charge);

/* --- dispute.c --- */

/* Goes on with handing in evidence, or with accepting. */
void payments_dispute_contest(struct payments_flow *flow);

/* --- dispute_feed.c --- */

void payments_feed_create(struct payments *payments);
void payments_feed_destroy(struct payments *payments);
/* At each turn of the sweeper: reads what is new, if this process is the one that does. */
void payments_feed_turn(struct payments *payments, bool leads);

/* --- handlers, named in routes_dispute.c --- */

void payments_dispute_retrieve(struct resource_op *op);
void payments_dispute_list(struct resource_op *op);
void payments_dispute_update(struct resource_op *op);
void payments_dispute_close(struct resource_op *op);

#endif
