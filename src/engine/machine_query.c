#include "machine.h"

#include <string.h>

/* --- by id --- */

static err_t
lookup_accounts(struct engine_machine *machine, struct port_ledger_request *request)
{
    for (uint32_t i = 0; i < request->count; i++) {
        const struct ledger_account *account =
            ledger_find_account(machine->ledger, request->in.ids[i]);
        if (account != NULL) {
            request->out.accounts[request->out_count++] = *account;
        }
    }
    return ERR_OK;
}

static err_t
lookup_transfers(struct engine_machine *machine, struct port_ledger_request *request)
{
    TRY(machine->store->ops->look_up(
        machine->store, request->in.ids, request->count, machine->pasts, &machine->error));
    for (uint32_t i = 0; i < request->count; i++) {
        const struct ledger_transfer *found = &machine->pasts[i].transfer;
        if (machine->pasts[i].kind == LEDGER_PAST_TRANSFER &&
            engine_machine_shows(machine, request, found->debit_account_id)) {
            request->out.transfers[request->out_count++] = machine->pasts[i].transfer;
        }
    }
    return ERR_OK;
}

/* --- filters --- */

static uint32_t
limit_of(const struct port_ledger_filter *filter)
{
    return filter->limit < LEDGER_BATCH_MAX ? filter->limit : LEDGER_BATCH_MAX;
}

/* Zero maximum: open. */
static bool
range_is_valid(const struct port_ledger_filter *filter)
{
    return filter->limit > 0 &&
           (filter->timestamp_max == 0 || filter->timestamp_min <= filter->timestamp_max);
}

static struct store_query
store_query_of(const struct port_ledger_filter *filter)
{
    return (struct store_query){
        .user_data_128 = filter->user_data_128,
        .user_data_64 = filter->user_data_64,
        .user_data_32 = filter->user_data_32,
        .ledger = filter->ledger,
        .code = filter->code,
        .reversed = filter->reversed,
        .timestamp_min = filter->timestamp_min,
        .timestamp_max = filter->timestamp_max,
        .limit = limit_of(filter),
    };
}

struct collect {
    struct engine_machine *machine;
    struct port_ledger_request *request;
    uint32_t account_slot;
};

static bool
collect_transfer(void *context, const struct ledger_event *event)
{
    struct port_ledger_request *request = ((struct collect *)context)->request;
    request->out.transfers[request->out_count++] = event->transfer;
    return true;
}

static bool
collect_balance(void *context, const struct ledger_event *event)
{
    struct collect *collect = context;
    struct port_ledger_request *request = collect->request;
    request->out.balances[request->out_count++] = (struct port_ledger_balance){
        .timestamp = event->timestamp,
        .balances = event->debit_slot == collect->account_slot ? event->debit : event->credit,
    };
    return true;
}

static void
account_after(
    const struct engine_machine *machine,
    uint32_t slot,
    const struct ledger_balances *balances,
    uint16_t flags,
    struct ledger_account *out)
{
    *out = *ledger_account_at(machine->ledger, slot);
    out->debits_pending = balances->debits_pending;
    out->debits_posted = balances->debits_posted;
    out->credits_pending = balances->credits_pending;
    out->credits_posted = balances->credits_posted;
    out->flags = flags;
}

static bool
collect_change(void *context, const struct ledger_event *event)
{
    struct collect *collect = context;
    struct port_ledger_request *request = collect->request;
    struct port_ledger_change *change = &request->out.changes[request->out_count++];
    change->event = *event;
    account_after(
        collect->machine, event->debit_slot, &event->debit, event->debit_flags, &change->debit);
    account_after(
        collect->machine, event->credit_slot, &event->credit, event->credit_flags, &change->credit);
    return true;
}

/* --- queries --- */

static err_t
account_events(struct engine_machine *machine, struct port_ledger_request *request)
{
    const struct port_ledger_filter *filter = request->in.filter;
    bool balances = request->operation == PORT_LEDGER_GET_ACCOUNT_BALANCES;
    if (!range_is_valid(filter) || (!filter->debits && !filter->credits)) {
        return ERR_OK;
    }
    /* 0 and the largest are no account's id, so they are not found. */
    uint32_t slot = ledger_account_slot(machine->ledger, filter->account_id);
    if (slot == UINT32_MAX) {
        return ERR_OK;
    }
    const struct ledger_account *account = ledger_account_at(machine->ledger, slot);
    if (balances && (account->flags & LEDGER_ACCOUNT_HISTORY) == 0) {
        return ERR_OK;
    }
    struct store_query query = store_query_of(filter);
    query.account_slot = slot;
    query.ledger = 0;
    query.sides =
        (filter->debits ? STORE_SIDE_DEBITS : 0u) | (filter->credits ? STORE_SIDE_CREDITS : 0u);
    struct collect collect = {.machine = machine, .request = request, .account_slot = slot};
    return machine->store->ops->account_events(
        machine->store,
        &query,
        balances ? collect_balance : collect_transfer,
        &collect,
        &machine->error);
}

/* Of the transfers that two ledgers have, since an account of each is in it, its payer's shows it.
 */
static bool
is_shown(void *context, const struct ledger_event *event)
{
    const struct collect *collect = context;
    return engine_machine_shows(
        collect->machine, collect->request, event->transfer.debit_account_id);
}

static err_t
all_events(struct engine_machine *machine, struct port_ledger_request *request)
{
    const struct port_ledger_filter *filter = request->in.filter;
    bool changes = request->operation == PORT_LEDGER_GET_CHANGE_EVENTS;
    if (!range_is_valid(filter)) {
        return ERR_OK;
    }
    struct store_query query = store_query_of(filter);
    if (changes) {
        query = (struct store_query){
            .timestamp_min = filter->timestamp_min,
            .timestamp_max = filter->timestamp_max,
            .limit = limit_of(filter),
        };
    }
    struct collect collect = {.machine = machine, .request = request};
    if (machine->guard != NULL) {
        query.wanted = is_shown;
        query.wanted_context = &collect;
    }
    return machine->store->ops->events(
        machine->store,
        &query,
        changes,
        changes ? collect_change : collect_transfer,
        &collect,
        &machine->error);
}

static bool
account_matches(const struct port_ledger_filter *filter, const struct ledger_account *account)
{
    return (filter->user_data_128 == 0 || filter->user_data_128 == account->user_data_128) &&
           (filter->user_data_64 == 0 || filter->user_data_64 == account->user_data_64) &&
           (filter->user_data_32 == 0 || filter->user_data_32 == account->user_data_32) &&
           (filter->ledger == 0 || filter->ledger == account->ledger) &&
           (filter->code == 0 || filter->code == account->code);
}

static err_t
query_accounts(struct engine_machine *machine, struct port_ledger_request *request)
{
    const struct port_ledger_filter *filter = request->in.filter;
    if (!range_is_valid(filter)) {
        return ERR_OK;
    }
    const uint32_t limit = limit_of(filter);
    uint32_t from = ledger_accounts_older(machine->ledger, filter->timestamp_min);
    uint32_t to = ledger_account_count(machine->ledger);
    if (filter->timestamp_max != 0 && filter->timestamp_max < UINT64_MAX) {
        to = ledger_accounts_older(machine->ledger, filter->timestamp_max + 1);
    }
    for (uint32_t i = from; i < to && request->out_count < limit; i++) {
        uint32_t rank = filter->reversed ? to - 1 - (i - from) : i;
        uint32_t slot = ledger_account_by_time(machine->ledger, rank);
        const struct ledger_account *account = ledger_account_at(machine->ledger, slot);
        if (account_matches(filter, account) &&
            engine_machine_shows(machine, request, account->id)) {
            request->out.accounts[request->out_count++] = *account;
        }
    }
    return ERR_OK;
}

static bool
collect_failed(void *context, u128 id, uint64_t next)
{
    struct port_ledger_request *request = context;
    request->out.failed[request->out_count++] =
        (struct port_ledger_failed_id){.id = id, .next = next};
    return request->out_count < limit_of(request->in.filter);
}

static err_t
failed_ids(struct engine_machine *machine, struct port_ledger_request *request)
{
    const struct port_ledger_filter *filter = request->in.filter;
    if (machine->store->ops->failed_ids == NULL) {
        return ERR_UNSUPPORTED;
    }
    if (filter->limit == 0) {
        return ERR_OK;
    }
    return machine->store->ops->failed_ids(
        machine->store, filter->timestamp_min, collect_failed, request, &machine->error);
}

/* Times as of the transfers, which are listed in their order. */
static err_t
query_in_transit(struct engine_machine *machine, struct port_ledger_request *request)
{
    const struct port_ledger_filter *filter = request->in.filter;
    if (!range_is_valid(filter)) {
        return ERR_OK;
    }
    const uint32_t limit = limit_of(filter);
    for (uint32_t at = ledger_listed_first(machine->ledger);
         at != LEDGER_LISTED_END && request->out_count < limit;
         at = ledger_listed_next(machine->ledger, at)) {
        const struct ledger_transfer *transfer = ledger_listed_at(machine->ledger, at);
        bool late = filter->timestamp_max != 0 && transfer->timestamp > filter->timestamp_max;
        if (late) {
            break;
        }
        if (transfer->timestamp >= filter->timestamp_min &&
            engine_machine_shows(machine, request, transfer->debit_account_id)) {
            request->out.transfers[request->out_count++] = *transfer;
        }
    }
    return ERR_OK;
}

err_t
engine_machine_read(struct engine_machine *machine, struct port_ledger_request *request)
{
    switch (request->operation) {
    case PORT_LEDGER_LOOKUP_ACCOUNTS:
    case PORT_LEDGER_LOOKUP_CONSISTENT:
    case PORT_LEDGER_LOOKUP_TRANSFERS:
        if (request->count > LEDGER_BATCH_MAX) {
            return ERR_RANGE;
        }
        return request->operation == PORT_LEDGER_LOOKUP_TRANSFERS
                   ? lookup_transfers(machine, request)
                   : lookup_accounts(machine, request);
    case PORT_LEDGER_GET_ACCOUNT_TRANSFERS:
    case PORT_LEDGER_GET_ACCOUNT_BALANCES:
        return account_events(machine, request);
    case PORT_LEDGER_QUERY_ACCOUNTS:
        return query_accounts(machine, request);
    case PORT_LEDGER_QUERY_TRANSFERS:
    case PORT_LEDGER_GET_CHANGE_EVENTS:
        return all_events(machine, request);
    case PORT_LEDGER_GET_FAILED_IDS:
        return failed_ids(machine, request);
    case PORT_LEDGER_SETTLE:
        engine_machine_settle(machine);
        return ERR_OK;
    case PORT_LEDGER_SHARD: /* there is no owner here */
        return ERR_UNSUPPORTED;
    case PORT_LEDGER_QUERY_IN_TRANSIT:
        return query_in_transit(machine, request);
    case PORT_LEDGER_CREATE_ACCOUNTS:
    case PORT_LEDGER_CREATE_TRANSFERS:
    case PORT_LEDGER_ADOPT:
        break;
    }
    UNREACHABLE();
}
