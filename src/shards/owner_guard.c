/*
 * What of requests a state lets through to its ledger: by its own epoch, nothing of another shard's
 * accounts, nothing that is fenced (SHARDS-5, SHARDS-7); by the mover's, whatever reads, and what
 * arrives. It looks at the state alone.
 */
#include "owner_private.h"

#include "base/assert.h"

/* Nobody's, or ours and not fenced. */
static bool
may_have(const struct owner_state *state, u128 id)
{
    return id == 0 || id == U128_MAX || owner_is_open(state, id);
}

static bool
may_have_batch(const struct owner_state *state, const struct port_ledger_request *request)
{
    bool may = true;
    for (uint32_t i = 0; may && i < request->count; i++) {
        if (request->operation == PORT_LEDGER_CREATE_ACCOUNTS) {
            may = may_have(state, request->in.accounts[i].id);
        } else if (request->operation == PORT_LEDGER_CREATE_TRANSFERS) {
            may = may_have(state, request->in.transfers[i].debit_account_id) &&
                  may_have(state, request->in.transfers[i].credit_account_id);
        } else {
            may = may_have(state, request->in.ids[i]);
        }
    }
    return may;
}

/* Of an adoption: an account that arrives, or none of its own. */
static bool
arrives(const struct owner_state *state, u128 id)
{
    uint32_t slot = shard_slot_of_id(id);
    return ledger_is_stand_in(id) ||
           (state->arrivals[slot] != 0 && (state->marks[slot] & OWNER_OWN) == 0);
}

static bool
may_adopt(const struct owner_state *state, const struct port_ledger_request *request)
{
    bool may = true;
    for (uint32_t i = 0; may && i < request->count; i++) {
        const struct port_ledger_adoption *adoption = &request->in.adoptions[i];
        if (adoption->kind == PORT_LEDGER_ADOPT_ACCOUNT) {
            may = arrives(state, adoption->of.account.id);
        } else if (adoption->kind == PORT_LEDGER_ADOPT_EVENT) {
            may = arrives(state, adoption->of.event.debit_account_id) &&
                  arrives(state, adoption->of.event.credit_account_id);
        }
    }
    return may;
}

static bool
may_do(const struct owner_state *state, const struct port_ledger_request *request)
{
    switch (request->operation) {
    case PORT_LEDGER_CREATE_ACCOUNTS:
    case PORT_LEDGER_CREATE_TRANSFERS:
    case PORT_LEDGER_LOOKUP_ACCOUNTS:
    case PORT_LEDGER_LOOKUP_CONSISTENT:
        return may_have_batch(state, request);
    case PORT_LEDGER_GET_ACCOUNT_TRANSFERS:
    case PORT_LEDGER_GET_ACCOUNT_BALANCES:
        return may_have(state, request->in.filter->account_id);
    case PORT_LEDGER_LOOKUP_TRANSFERS:
    case PORT_LEDGER_QUERY_ACCOUNTS:
    case PORT_LEDGER_QUERY_TRANSFERS:
    case PORT_LEDGER_GET_CHANGE_EVENTS:
        return state->fence_epoch == 0; /* what is fenced would be missing */
    case PORT_LEDGER_QUERY_IN_TRANSIT:  /* whoever finishes the others must not wait for a move */
    case PORT_LEDGER_SETTLE:
        return true;
    case PORT_LEDGER_ADOPT:
    case PORT_LEDGER_GET_FAILED_IDS:
    case PORT_LEDGER_SHARD:
        return false;
    }
    UNREACHABLE();
}

static err_t
admit_mover(const struct owner_state *state, const struct port_ledger_request *request)
{
    switch (request->operation) {
    case PORT_LEDGER_CREATE_ACCOUNTS:
    case PORT_LEDGER_CREATE_TRANSFERS:
        return ERR_DENIED;
    case PORT_LEDGER_ADOPT:
        return may_adopt(state, request) ? ERR_OK : ERR_MOVED;
    case PORT_LEDGER_LOOKUP_ACCOUNTS:
    case PORT_LEDGER_LOOKUP_TRANSFERS:
    case PORT_LEDGER_GET_ACCOUNT_TRANSFERS:
    case PORT_LEDGER_GET_ACCOUNT_BALANCES:
    case PORT_LEDGER_QUERY_ACCOUNTS:
    case PORT_LEDGER_QUERY_TRANSFERS:
    case PORT_LEDGER_QUERY_IN_TRANSIT:
    case PORT_LEDGER_LOOKUP_CONSISTENT:
    case PORT_LEDGER_GET_CHANGE_EVENTS:
    case PORT_LEDGER_GET_FAILED_IDS:
    case PORT_LEDGER_SHARD:
    case PORT_LEDGER_SETTLE:
        return ERR_OK;
    }
    UNREACHABLE();
}

err_t
shards_owner_state_admit(const struct owner_state *state, const struct port_ledger_request *request)
{
    if (request->epoch == PORT_LEDGER_EPOCH_MOVER) {
        return admit_mover(state, request);
    }
    bool same = request->epoch == state->map.epoch || request->operation == PORT_LEDGER_SETTLE;
    return same && may_do(state, request) ? ERR_OK : ERR_MOVED;
}
