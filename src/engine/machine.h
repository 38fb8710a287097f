/*
 * The ledger as a machine: core and store together, executing one request after the other on the
 * caller's thread. The engine (ledger_engine.c) runs it on a loop and answers when its changes
 * are durable; `ledger replay` runs it by hand with a clock of its own.
 *
 * MACHINE-1  A request that is refused for want of room or by the store changes nothing.
 * MACHINE-2  What a batch changed is handed to the store before the next request is executed, so
 *            that look-ups of the past see it.
 * MACHINE-3  The clock never goes back, and moves by at least 1 + n for a batch of n events.
 */
#ifndef ENGINE_MACHINE_H
#define ENGINE_MACHINE_H

#include "port/ledger.h"
#include "store/store.h"

/* How a pulse's time and its expiries are counted, as documented for replay. */
#define ENGINE_EXPIRY_MAX 8189u

/* Tells the time that a commit would like to have; NULL in struct engine_machine: no time of its
 * own, the clock only moves by what the events need. */
typedef uint64_t (*engine_machine_time)(void *context, uint64_t ledger_clock);

struct engine_machine {
    struct store *store;
    struct ledger *ledger;
    engine_machine_time time;
    void *time_context;
    struct os_executor *executor;          /* of the tickets */
    const struct port_ledger_guard *guard; /* NULL: everything here is its own */
    bool uncommitted; /* batches were handed to the store since the last ticket */

    struct ledger_delta delta; /* of one batch, with its pulse */
    u128 *ids;                 /* 2 * LEDGER_BATCH_MAX */
    struct ledger_past *pasts; /* as many */
    uint64_t *timestamps;      /* LEDGER_BATCH_MAX, of imported accounts */
    bool *taken;               /* as many */
    struct engine_machine_pairs *pairs;
    struct store_error error; /* of the last failure of the store */
};

/* Opens the store and loads the core from it. On failure the error says why, and there is nothing
 * to close. */
MUST_USE err_t engine_machine_open(
    struct engine_machine *machine,
    struct store *store,
    const struct ledger_limits *limits,
    struct store_error *error);
/* Closes the store, too. */
void engine_machine_close(struct engine_machine *machine);

/* Executes one request: one commit on the ledger's clock, with its pulse if one is due. Sets the
 * request's out_count. ERR_BUSY, ERR_FULL, ERR_DISK_FULL, ERR_RANGE (the end of time, or more than
 * LEDGER_BATCH_MAX) and failures of reading: nothing was done. ERR_OUTCOME_UNKNOWN: the store
 * failed; the machine must be closed. */
MUST_USE err_t
engine_machine_execute(struct engine_machine *machine, struct port_ledger_request *request);

/* Does the store still hold the ledger? ERR_CLOSED, with the reason in machine->error: the machine
 * must be closed. */
MUST_USE err_t engine_machine_check(struct engine_machine *machine);

/* Moves the clock to `clock` (or leaves it if that is not later), and expires what is due then. */
MUST_USE err_t engine_machine_tick(struct engine_machine *machine, uint64_t clock);

/* Ends the group: the ticket is told when everything so far is durable. Errors as of
 * store_ops.commit. */
MUST_USE err_t engine_machine_commit(struct engine_machine *machine, struct store_ticket *ticket);

/* --- machine_pairs.c --- */

struct engine_machine_pairs;

MUST_USE err_t engine_machine_pairs_create(struct engine_machine_pairs **ret_pairs);
void engine_machine_pairs_destroy(struct engine_machine_pairs **pairs);
/* Before the batch is applied: both accounts as they stand. */
void engine_machine_pairs_before(
    struct engine_machine *machine, const struct port_ledger_request *request);
/* After it: the batch's events are the first `event_count` of the delta. */
void engine_machine_pairs_after(
    struct engine_machine *machine,
    const struct port_ledger_request *request,
    uint32_t event_count);

/* --- machine_adopt.c --- */

/* PORT_LEDGER_ADOPT, as engine_machine_execute; ERR_UNSUPPORTED by a store that cannot. */
MUST_USE err_t
engine_machine_adopt(struct engine_machine *machine, struct port_ledger_request *request);
/* Watches for expiry what is the ledger's own by the guard now. */
void engine_machine_settle(struct engine_machine *machine);
/* What the guard says, and ERR_MOVED for the end of a pending that is another ledger's. */
MUST_USE err_t
engine_machine_admit(struct engine_machine *machine, struct port_ledger_request *request);
/* Does the guard hide it? */
bool engine_machine_shows(
    const struct engine_machine *machine,
    const struct port_ledger_request *request,
    u128 account_id);
/* Hands the delta to the store (MACHINE-2). */
MUST_USE err_t engine_machine_hand_over(struct engine_machine *machine);

/* --- machine_query.c --- */

/* Look-ups and queries. ERR_IO and ERR_CORRUPT of the store. */
MUST_USE err_t
engine_machine_read(struct engine_machine *machine, struct port_ledger_request *request);

#endif
