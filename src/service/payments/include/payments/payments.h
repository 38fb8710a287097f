/*
 * Payments: intents, setups, payment methods, customers, charges, refunds, disputes, payouts,
 * checkout sessions, the balance and its transactions.
 *
 * The service is a set of routes on a resource runtime, plus two internal workers on the same
 * loop: the sweeper, which drives whatever is unfinished to its end, and the reconciler, which
 * compares documents, ledger and rail. README.md draws the flows and numbers the invariants.
 */
#ifndef PAYMENTS_PAYMENTS_H
#define PAYMENTS_PAYMENTS_H

#include "port/ledger.h"
#include "port/mobile.h"
#include "port/rail.h"
#include "port/vault.h"
#include "port/wallet.h"
#include "resource/object.h"

struct payments;
struct coordinator; /* coordinator/coordinator.h */
struct trace_log;

struct payments_settings {
    int64_t fee_basis_points;         /* of each captured amount */
    int64_t fee_fixed;                /* plus so many minor units, never more than the amount */
    int64_t dispute_fee;              /* US cents, or about as much in another currency */
    int64_t settlement_delay_s;       /* from capture until the money is available */
    int64_t authorization_hold_s;     /* an uncaptured intent is canceled after it */
    int64_t authentication_timeout_s; /* a challenge that nobody answered has failed after it */
    int64_t lease_s;                  /* how long a live worker may own an attempt */
    int64_t rail_timeout_ms;          /* then the outcome is unknown, and is asked for */
    int64_t sweep_interval_ms;
    int64_t reconcile_interval_ms;
    int64_t qr_lifetime_s;       /* of a code that an intent shows */
    int64_t payer_confirm_above; /* a payer's code pays so many US cents, or as much in another
                                  * currency, roughly; above, the payer is asked */
    int64_t payer_wait_s;        /* for the payer's word */
    int64_t payout_delay_s;      /* until the bank is asked: so long a payout can be canceled */
    int64_t payout_day_s;        /* how long a day of a payout schedule is */
    int64_t return_window_s;     /* how long a paid payout is watched for coming back */
};

/* How a merchant is shown to who scans a code (EMVCo MPM 4.7: 52, 58, 59, 60). */
struct payments_presentation {
    const char *name;     /* at most 25 characters */
    const char *city;     /* at most 15 */
    const char *country;  /* two capital letters */
    const char *category; /* four digits, ISO 18245 */
};

/* Whether codes can be written with it. */
bool payments_presentation_is_sound(const struct payments_presentation *shown);

struct payments_settings payments_settings_default(void);

struct payments_parts {
    struct resource_runtime *runtime;
    struct os_loop *loop; /* the runtime's */
    struct os_clock *clock;
    struct port_ledger *ledger;
    struct port_vault *vault;
    struct port_rail *card_rail;
    struct port_rail *bank_rail; /* NULL: nothing is paid out */
    u128 fingerprint_key;        /* of bank accounts' numbers; as old as the documents */
    struct port_wallet *wallets; /* NULL: there are none, and no request can name one */
    /* "https://pay.example.com", without a slash at the end: where browsers find the routes that
     * are public. Read when it is needed, so it may be filled in until requests come. */
    const char *public_url;
    struct port_mobile *mobile;      /* NULL: nobody has payer codes */
    struct coordinator *coordinator; /* NULL: no request can name participants */
    struct payments_presentation presentation;
    struct trace_log *log;
    struct payments_settings settings;
};

/* ERR_INVALID: the presentation cannot be written into a code. */
MUST_USE err_t payments_create(const struct payments_parts *parts, struct payments **ret_payments);
/* After the loop has stopped and the runtime was destroyed, whose unfinished operations know the
 * routes. Accepts NULL; sets the pointer to NULL. */
void payments_destroy(struct payments **payments);

/* Begins sweeping and reconciling. The first sweep takes every unfinished attempt, because an
 * embedded store has no other process that could own one. On the loop, or before it runs. */
void payments_start(struct payments *payments);

/* The routes, in tables, bound to this instance; valid as long as it. NULL: bound to nothing, for
 * those who describe them. */
#define PAYMENTS_ROUTE_TABLES 8
const struct resource_route *payments_routes(
    const struct payments *payments, uint32_t table, uint32_t *ret_count);

/* For services whose objects belong to a customer, or came of a payment: they load and expand them.
 * The number in a charge's or a refund's id is the `user_data_128` of the transfer that made it. */
extern const struct resource_type payments_customer_type;
extern const struct resource_type payments_charge_type;
extern const struct resource_type payments_refund_type;
extern const struct resource_type payments_dispute_type;

/* The document kinds, for document_store_open. */
extern const struct document_kind *const payments_kinds[];
extern const uint32_t payments_kind_count;

/* A difference between documents, ledger and rail stays counted until a run finds none. */
struct payments_health {
    uint64_t attempts_open;   /* found by the last sweep */
    int64_t attempt_oldest_s; /* age of the oldest of them */
    uint64_t reconcile_runs;
    uint64_t differences;        /* found by the last complete reconciliation */
    uint64_t suspense_open;      /* items that nobody has resolved; 100 or more count as 100 */
    uint64_t payouts_in_transit; /* as suspense_open; zeros where another process looks */
    int64_t payout_oldest_s;     /* since the bank was asked for the oldest of them */
    int64_t refund_oldest_s;     /* of the oldest that the network has and has not decided */
    uint64_t payouts_paid;       /* by this process, since it began */
    uint64_t payouts_failed;     /* likewise: refused by the bank, or sent back */
    uint64_t disputes_due_soon;  /* need a response within two days; counted as suspense_open */
    uint64_t disputes_unplaced;  /* notices of disputes of payments that nobody knows, ever */
    /* Payments that were declined without asking the issuer, by this process, since it began: by a
     * default list, by a rule of the merchant's, by the network as too risky. */
    uint64_t blocked_by_list;
    uint64_t blocked_by_rule;
    uint64_t blocked_by_network;
};

/* Any thread. */
struct payments_health payments_health(const struct payments *payments);

#endif
