#include "machine.h"

#include "commit/records.h"
#include "os/large.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static err_t
delta_create(struct ledger_delta *delta)
{
    delta->account_capacity = LEDGER_BATCH_MAX;
    delta->event_capacity = LEDGER_BATCH_MAX + ENGINE_EXPIRY_MAX;
    delta->failed_capacity = LEDGER_BATCH_MAX;
    delta->accounts = calloc(delta->account_capacity, sizeof(*delta->accounts));
    delta->events = calloc(delta->event_capacity, sizeof(*delta->events));
    delta->failed_ids = calloc(delta->failed_capacity, sizeof(*delta->failed_ids));
    if (delta->accounts == NULL || delta->events == NULL || delta->failed_ids == NULL) {
        return ERR_MEMORY;
    }
    return ERR_OK;
}

static void
delta_clear(struct ledger_delta *delta)
{
    delta->account_count = 0;
    delta->event_count = 0;
    delta->failed_count = 0;
}

static err_t
tables_create(struct engine_machine *machine, const struct ledger_limits *limits)
{
    TRY(delta_create(&machine->delta));
    machine->ids = calloc(2 * LEDGER_BATCH_MAX, sizeof(*machine->ids));
    machine->pasts = calloc(2 * LEDGER_BATCH_MAX, sizeof(*machine->pasts));
    machine->timestamps = calloc(LEDGER_BATCH_MAX, sizeof(*machine->timestamps));
    machine->taken = calloc(LEDGER_BATCH_MAX, sizeof(*machine->taken));
    if (machine->ids == NULL || machine->pasts == NULL || machine->timestamps == NULL ||
        machine->taken == NULL) {
        return ERR_MEMORY;
    }
    TRY(engine_machine_pairs_create(&machine->pairs));
    struct ledger_limits own = *limits;
    own.expiry_batch_max = ENGINE_EXPIRY_MAX;
    own.on_memory = os_large_wish;
    own.listed_accounts = commit_account_id(COMMIT_ACCOUNT_IN_TRANSIT, 0, 0);
    return ledger_create(&own, &machine->ledger);
}

/* Tables that are too small for what was stored: that is no fault of the store, which only knows
 * that a record was refused. */
static void
explain_limits(
    const struct ledger *ledger, const struct ledger_limits *limits, struct store_error *error)
{
    bool accounts = ledger_account_count(ledger) == limits->account_count_max;
    if (accounts || ledger_pending_count(ledger) == limits->pending_count_max) {
        (void)snprintf(
            error->message,
            sizeof(error->message),
            "it has more %s than the limit allows, which is %" PRIu32 " (ledger-%s-max): raise it",
            accounts ? "accounts" : "live pending transfers",
            accounts ? limits->account_count_max : limits->pending_count_max,
            accounts ? "accounts" : "pendings");
    }
}

err_t
engine_machine_open(
    struct engine_machine *machine,
    struct store *store,
    const struct ledger_limits *limits,
    struct store_error *error)
{
    machine->store = store;
    err_t code = tables_create(machine, limits);
    if (code != ERR_OK) {
        *error = (struct store_error){.code = code};
        memcpy(error->message, "out of memory", sizeof("out of memory"));
    } else {
        code = store->ops->load(store, machine->ledger, error);
    }
    if (code == ERR_FULL) {
        explain_limits(machine->ledger, limits, error);
    }
    if (code != ERR_OK) {
        engine_machine_close(machine);
    }
    return code;
}

void
engine_machine_close(struct engine_machine *machine)
{
    if (machine->store != NULL) {
        machine->store->ops->close(machine->store);
        machine->store = NULL;
    }
    ledger_destroy(&machine->ledger);
    engine_machine_pairs_destroy(&machine->pairs);
    free(machine->ids);
    free(machine->pasts);
    free(machine->timestamps);
    free(machine->taken);
    free(machine->delta.accounts);
    free(machine->delta.events);
    free(machine->delta.failed_ids);
    machine->ids = NULL;
    machine->pasts = NULL;
    machine->timestamps = NULL;
    machine->taken = NULL;
    machine->delta = (struct ledger_delta){0};
    machine->uncommitted = false;
}

/* --- time --- */

/* The time of a commit with `count` events. ERR_RANGE at the end of time. */
static err_t
next_clock(const struct engine_machine *machine, uint64_t count, uint64_t *ret_clock)
{
    uint64_t clock = ledger_clock(machine->ledger);
    ASSERT(clock <= LEDGER_TIMESTAMP_MAX);
    if (count + 1 > LEDGER_TIMESTAMP_MAX - clock) {
        return ERR_RANGE;
    }
    uint64_t least = clock + 1 + count;
    uint64_t wanted = machine->time == NULL ? 0 : machine->time(machine->time_context, clock);
    *ret_clock = wanted > least && wanted <= LEDGER_TIMESTAMP_MAX ? wanted : least;
    return ERR_OK;
}

/* What a pulse can add to the delta. */
static uint32_t
pulse_events_max(const struct engine_machine *machine)
{
    uint32_t pendings = ledger_pending_count(machine->ledger);
    return pendings < ENGINE_EXPIRY_MAX ? pendings : ENGINE_EXPIRY_MAX;
}

/* Is a pulse due, and does time go on for long enough to do it? */
static bool
pulse_is_due(const struct engine_machine *machine)
{
    uint64_t left = LEDGER_TIMESTAMP_MAX - ledger_clock(machine->ledger);
    return ledger_pulse_due(machine->ledger) && left >= 1 + ENGINE_EXPIRY_MAX;
}

/* Expires what is due. What was decided before a batch is done after it, and moves the clock, even
 * if the batch itself finished what was due. */
static void
pulse(struct engine_machine *machine)
{
    uint64_t clock = ledger_clock(machine->ledger);
    const uint64_t duration = 1 + ENGINE_EXPIRY_MAX;
    if (duration > LEDGER_TIMESTAMP_MAX - clock) {
        return;
    }
    ledger_set_clock(machine->ledger, clock + duration);
    ledger_pulse(machine->ledger, &machine->delta);
}

/* --- changes --- */

/* MACHINE-2. */
err_t
engine_machine_hand_over(struct engine_machine *machine)
{
    struct ledger_delta *delta = &machine->delta;
    if (delta->account_count == 0 && delta->event_count == 0 && delta->failed_count == 0) {
        return ERR_OK;
    }
    delta->clock = ledger_clock(machine->ledger);
    err_t error = machine->store->ops->commit(machine->store, delta, machine->executor, NULL);
    delta_clear(delta);
    if (error != ERR_OK) {
        machine->error.code = error;
        return ERR_OUTCOME_UNKNOWN;
    }
    machine->uncommitted = true;
    return ERR_OK;
}

err_t
engine_machine_commit(struct engine_machine *machine, struct store_ticket *ticket)
{
    ASSERT(machine->delta.event_count == 0);
    machine->delta.clock = ledger_clock(machine->ledger);
    TRY(machine->store->ops->commit(machine->store, &machine->delta, machine->executor, ticket));
    machine->uncommitted = false;
    return ERR_OK;
}

err_t
engine_machine_tick(struct engine_machine *machine, uint64_t clock)
{
    TRY(machine->store->ops->admit(machine->store, pulse_events_max(machine), 0));
    delta_clear(&machine->delta);
    ledger_set_clock(machine->ledger, clock);
    if (pulse_is_due(machine)) {
        pulse(machine);
    }
    return engine_machine_hand_over(machine);
}

static uint32_t
count_pendings(const struct port_ledger_request *request)
{
    uint32_t pendings = 0;
    for (uint32_t i = 0; i < request->count; i++) {
        pendings += (request->in.transfers[i].flags & LEDGER_TRANSFER_PENDING) != 0;
    }
    return pendings;
}

static uint32_t
count_new_accounts(const struct ledger *ledger, const struct port_ledger_request *request)
{
    uint32_t accounts = 0;
    for (uint32_t i = 0; i < request->count; i++) {
        accounts += ledger_find_account(ledger, request->in.accounts[i].id) == NULL;
    }
    return accounts;
}

/* Room in the core. Repeats need none: whoever lost an answer must learn that it was done, also
 * where no more would fit. They are looked for only then. */
static err_t
reserve_accounts(struct engine_machine *machine, const struct port_ledger_request *request)
{
    struct ledger *ledger = machine->ledger;
    err_t code = ledger_reserve(ledger, request->count, 0);
    return code == ERR_FULL ? ledger_reserve(ledger, count_new_accounts(ledger, request), 0) : code;
}

/* The same. What became of an earlier transfer, and so whether this is a repeat, the past says. */
static err_t
reserve_pendings(struct engine_machine *machine, const struct port_ledger_request *request)
{
    struct ledger *ledger = machine->ledger;
    const struct ledger_transfer *batch = request->in.transfers;
    err_t code = ledger_reserve(ledger, 0, count_pendings(request));
    if (code == ERR_FULL) {
        uint32_t pendings =
            ledger_count_new_pendings(ledger, batch, request->count, machine->pasts);
        code = ledger_reserve(ledger, 0, pendings);
    }
    return code;
}

static err_t
create_accounts(struct engine_machine *machine, struct port_ledger_request *request)
{
    ledger_create_accounts(
        machine->ledger,
        request->in.accounts,
        request->count,
        request->out.results,
        &machine->delta);
    return ERR_OK;
}

static err_t
create_transfers(
    struct engine_machine *machine, struct port_ledger_request *request, uint32_t past_count)
{
    if (request->pairs != NULL) {
        engine_machine_pairs_before(machine, request);
    }
    ledger_create_transfers(
        machine->ledger,
        request->in.transfers,
        request->count,
        machine->pasts,
        past_count,
        request->out.results,
        &machine->delta);
    if (request->pairs != NULL) {
        engine_machine_pairs_after(machine, request, machine->delta.event_count);
    }
    return ERR_OK;
}

static bool
note_taken(void *context, const struct ledger_event *event)
{
    (void)event;
    *(bool *)context = true;
    return false;
}

/* Tells the core which timestamps of imported accounts are a transfer's already. */
static err_t
look_up_timestamps(struct engine_machine *machine, const struct port_ledger_request *request)
{
    uint32_t count = ledger_prepare_accounts(
        machine->ledger, request->in.accounts, request->count, machine->timestamps);
    for (uint32_t i = 0; i < count; i++) {
        uint64_t timestamp = machine->timestamps[i];
        struct store_query query = {
            .timestamp_min = timestamp, .timestamp_max = timestamp, .limit = 1};
        machine->taken[i] = false;
        if (timestamp != 0) {
            TRY(machine->store->ops->events(
                machine->store, &query, false, note_taken, &machine->taken[i], &machine->error));
        }
    }
    ledger_set_taken(machine->ledger, machine->taken, count);
    return ERR_OK;
}

/* Room for a batch and the pulse that comes with it. Both may be more than the store takes at once
 * (a frame fits one segment): then the batch goes alone, and the pulse waits for the next commit,
 * which the engine makes at once. */
static err_t
admit_batch(
    struct engine_machine *machine, uint32_t events, uint32_t accounts, bool *ret_pulse_fits)
{
    const struct store_ops *ops = machine->store->ops;
    err_t code = ops->admit(machine->store, events + pulse_events_max(machine), accounts);
    *ret_pulse_fits = code != ERR_FULL;
    return code == ERR_FULL ? ops->admit(machine->store, events, accounts) : code;
}

/* Room in the core and in the store, and the past: everything that can fail, before anything is
 * changed (MACHINE-1). */
static err_t
prepare(
    struct engine_machine *machine,
    const struct port_ledger_request *request,
    uint32_t *ret_pasts,
    bool *ret_pulse_fits)
{
    bool transfers = request->operation == PORT_LEDGER_CREATE_TRANSFERS;
    bool accounts = request->operation == PORT_LEDGER_CREATE_ACCOUNTS;
    uint32_t count = transfers || accounts ? request->count : 0;
    if (accounts) {
        TRY(reserve_accounts(machine, request));
    }
    TRY(admit_batch(machine, transfers ? count : 0, accounts ? count : 0, ret_pulse_fits));
    *ret_pasts = 0;
    if (accounts) {
        return look_up_timestamps(machine, request);
    }
    if (transfers) {
        *ret_pasts =
            ledger_prepare_transfers(machine->ledger, request->in.transfers, count, machine->ids);
        TRY(machine->store->ops->look_up(
            machine->store, machine->ids, *ret_pasts, machine->pasts, &machine->error));
        return reserve_pendings(machine, request);
    }
    return ERR_OK;
}

err_t
engine_machine_check(struct engine_machine *machine)
{
    const struct store_ops *ops = machine->store->ops;
    return ops->check == NULL ? ERR_OK : ops->check(machine->store, &machine->error);
}

/* SETTLE with a note, which is durable when it is answered. */
static err_t
execute_note(struct engine_machine *machine, const struct port_ledger_request *request)
{
    const struct store_ops *ops = machine->store->ops;
    if (ops->note_put == NULL) {
        return ERR_UNSUPPORTED;
    }
    if (request->in.note->size > STORE_NOTE_MAX) {
        return ERR_RANGE;
    }
    TRY(engine_machine_check(machine));
    TRY(ops->admit(machine->store, 0, 0));
    err_t error = ops->note_put(machine->store, *request->in.note);
    if (error != ERR_OK) {
        machine->error.code = error;
        return error == ERR_BUSY ? ERR_BUSY : ERR_OUTCOME_UNKNOWN;
    }
    machine->uncommitted = true;
    engine_machine_settle(machine);
    return ERR_OK;
}

/* Reads need no room, but the pulse that comes with them does. Where there is none, the reads go
 * on and the pulse waits. */
static err_t
execute_read(struct engine_machine *machine, struct port_ledger_request *request)
{
    uint64_t clock = 0;
    TRY(engine_machine_check(machine));
    TRY(next_clock(machine, 0, &clock));
    bool room = machine->store->ops->admit(machine->store, pulse_events_max(machine), 0) == ERR_OK;
    ledger_set_clock(machine->ledger, clock);
    bool due = room && pulse_is_due(machine);
    TRY(engine_machine_read(machine, request));
    if (due) {
        delta_clear(&machine->delta);
        pulse(machine);
        return engine_machine_hand_over(machine);
    }
    return ERR_OK;
}

err_t
engine_machine_execute(struct engine_machine *machine, struct port_ledger_request *request)
{
    request->out_count = 0;
    TRY(engine_machine_admit(machine, request));
    if (request->operation == PORT_LEDGER_ADOPT) {
        return engine_machine_adopt(machine, request);
    }
    if (request->operation == PORT_LEDGER_SETTLE && request->in.note != NULL) {
        return execute_note(machine, request);
    }
    if (request->operation != PORT_LEDGER_CREATE_ACCOUNTS &&
        request->operation != PORT_LEDGER_CREATE_TRANSFERS) {
        return execute_read(machine, request);
    }
    if (request->count > LEDGER_BATCH_MAX) {
        return ERR_RANGE;
    }
    uint32_t past_count = 0;
    uint64_t clock = 0;
    TRY(next_clock(machine, request->count, &clock));
    bool pulse_fits = false;
    TRY(prepare(machine, request, &past_count, &pulse_fits));
    delta_clear(&machine->delta);
    ledger_set_clock(machine->ledger, clock);
    bool due = pulse_fits && pulse_is_due(machine);
    if (request->operation == PORT_LEDGER_CREATE_ACCOUNTS) {
        TRY(create_accounts(machine, request));
    } else {
        TRY(create_transfers(machine, request, past_count));
    }
    request->out_count = request->count;
    if (due) {
        pulse(machine);
    }
    return engine_machine_hand_over(machine);
}
