/*
 * The wallets service: money that belongs to a merchant's customers, and what they do with it:
 * send, request, hold, withdraw. Each wallet's money is one account of the ledger, which lets
 * nobody draw what is not there; documents say whose it is, what it may do, and what moved why.
 *
 * Everything runs on the resource runtime's loop. The ledger is reached through its port, the bank
 * through a rail; other services reach wallets through port/wallet.h. README.md draws the flows and
 * numbers the invariants.
 */
#ifndef WALLETS_WALLETS_H
#define WALLETS_WALLETS_H

#include "port/ledger.h"
#include "port/rail.h"
#include "port/wallet.h"
#include "resource/object.h"

struct wallets;
struct trace_log;

struct wallets_settings {
    /* What a tier lets through: "basic.out=500/1000/5000 basic.in=... basic.jpy.out=...", whole
     * units of the currency (of US dollars, converted roughly, where no currency is named) for one
     * movement, a day and a month. The first tier named is that of new wallets. */
    const char *limits;
    int64_t return_window_s; /* how long a paid withdrawal is watched for coming back */
    int64_t lease_s;         /* how long a live worker may own an attempt */
    int64_t rail_timeout_ms; /* then the bank's answer is unknown, and is asked for */
    int64_t sweep_interval_ms;
    int64_t reconcile_interval_ms;
};

#define WALLETS_LIMITS_DEFAULT                                                                     \
    "basic.out=500/1000/5000 basic.in=1000/2000/10000 "                                            \
    "verified.out=5000/10000/50000 verified.in=10000/20000/100000 "                                \
    "business.out=100000/500000/5000000 business.in=200000/1000000/10000000"

struct wallets_settings wallets_settings_default(void);

struct wallets_parts {
    struct resource_runtime *runtime;
    struct os_loop *loop; /* the runtime's */
    struct os_clock *clock;
    struct port_ledger *ledger;
    struct port_rail *bank_rail;
    struct trace_log *log;
    /* Whom wallets belong to: looked up when one is made, and expanded. */
    const struct resource_type *customer_type;
    /* What statements name as the source of a payment's movement. NULL: nothing is named. */
    const struct resource_type *charge_type;
    const struct resource_type *refund_type;
    struct wallets_settings settings;
};

#define WALLETS_MESSAGE_SIZE 160

/* ERR_INVALID: the limits cannot be read, and `message` says where. */
MUST_USE err_t wallets_create(
    const struct wallets_parts *parts,
    struct wallets **ret_wallets,
    char message[WALLETS_MESSAGE_SIZE]);
/* After the loop has stopped and the runtime was destroyed, whose unfinished operations know the
 * routes. Accepts NULL; sets the pointer to NULL. */
void wallets_destroy(struct wallets **wallets);

/* Begins sweeping and comparing. The first sweep takes every unfinished attempt, because an
 * embedded store has no other process that could own one. On the loop, or before it runs. */
void wallets_start(struct wallets *wallets);

/* The routes, bound to this instance; valid as long as it. */
const struct resource_route *wallets_routes(const struct wallets *wallets, uint32_t *ret_count);

/* For services that move wallet money; valid as long as the instance. */
struct port_wallet *wallets_port(struct wallets *wallets);

/* The document kinds, for document_store_open. */
extern const struct document_kind *const wallets_kinds[];
extern const uint32_t wallets_kind_count;

/* A difference between documents and ledger stays counted until a run finds none. */
struct wallets_health {
    uint64_t attempts_open;      /* found by the last sweep */
    int64_t attempt_oldest_s;    /* age of the oldest of them */
    int64_t withdrawal_oldest_s; /* of the oldest withdrawal that the bank has not decided */
    uint64_t reconcile_runs;
    uint64_t differences;   /* found by the last complete comparison */
    uint64_t suspense_open; /* withdrawals that came back to closed wallets, and that nobody has
                             * given to another; 100 or more count as 100 */
};

/* Any thread. */
struct wallets_health wallets_health(const struct wallets *wallets);

#endif
