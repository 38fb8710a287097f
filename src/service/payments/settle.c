/*
 * Settlement: what a payment earned is pending for some days, then available. Due balance
 * transactions of one scope are moved in one ledger batch, and then marked; the transfer ids
 * derive from the transactions, so doing it again moves nothing twice.
 *
 *   merchant pending -> merchant available   net of a payment
 *   merchant available -> merchant pending   a refund that was taken out of pending money
 */
#include "flow.h"

#include "base/assert.h"
#include "base/list.h"
#include "os/fault.h"

#include <stdlib.h>
#include <string.h>

struct settle {
    struct payments *payments;
    struct resource_op *op;
    struct port_ledger_request request;
    struct payments_balance_transaction *due[DOCUMENT_LIST_MAX];
    struct ledger_transfer transfers[DOCUMENT_LIST_MAX];
    struct ledger_result results[DOCUMENT_LIST_MAX];
    uint32_t count;
    uint64_t scope;
};

static void
fill_transfer(struct settle *settle, uint32_t index)
{
    const struct payments_balance_transaction *transaction = settle->due[index];
    const struct resource_caller *caller = resource_op_caller(settle->op);
    const struct currency *currency = currency_find(transaction->currency);
    ASSERT(currency != NULL);
    int64_t net = transaction->amount - transaction->fee;
    struct money money;
    err_t error = money_from_api(net < 0 ? -net : net, currency, &money);
    ASSERT(error == ERR_OK);
    u128 pending =
        payments_merchant_account(settle->payments, caller, BOOKS_MERCHANT_PENDING, currency);
    u128 available =
        payments_merchant_account(settle->payments, caller, BOOKS_MERCHANT_AVAILABLE, currency);
    u128 id = resource_number(&payments_balance_transaction_type, transaction->header.id);
    struct ledger_transfer *transfer = &settle->transfers[index];
    memset(transfer, 0, sizeof(*transfer));
    transfer->id = resource_derived_id(id, "settle");
    transfer->user_data_128 = id;
    transfer->user_data_64 = caller->scope;
    transfer->debit_account_id = net < 0 ? available : pending;
    transfer->credit_account_id = net < 0 ? pending : available;
    transfer->amount = (u128)money.amount;
    transfer->ledger = books_ledger_number(currency, caller->live);
    transfer->code = BOOKS_SETTLEMENT;
}

static void
settled(struct port_ledger_request *request)
{
    struct settle *settle = CONTAINER_OF(request, struct settle, request);
    err_t error = request->error;
    uint32_t moved = 0;
    FAULT_POINT("settle-before-marked");
    for (uint32_t i = 0; error == ERR_OK && i < settle->count; i++) {
        uint32_t status = settle->results[i].status;
        if (status != LEDGER_TRANSFER_created && status != LEDGER_TRANSFER_exists) {
            continue; /* stays due: the next sweep tries it again */
        }
        moved++;
        settle->due[i]->release_due = 0;
        error = resource_save(settle->op, &payments_balance_transaction_type, settle->due[i]);
    }
    if (error != ERR_OK) {
        resource_internal(settle->op, error, "settlement");
        return;
    }
    resource_finish(settle->op);
    if (moved == DOCUMENT_LIST_MAX) {
        payments_settle_sweep(settle->payments); /* there is more */
    }
}

static bool
collect(void *context, void *document)
{
    struct settle *settle = context;
    settle->due[settle->count++] = document;
    return settle->count < DOCUMENT_LIST_MAX;
}

static void
settle_scope(struct resource_op *op)
{
    struct payments *payments = resource_op_service(op);
    struct settle *settle = ARENA_NEW(resource_op_arena(op), struct settle);
    if (settle == NULL) {
        resource_internal(op, ERR_FULL, "settlement memory");
        return;
    }
    settle->payments = payments;
    settle->op = op;
    struct document_query query = {
        .range_column = PAYMENTS_BALANCE_TRANSACTION_RELEASE,
        .range_min = 1,
        .range_max = (int64_t)resource_now_s(op),
        .oldest_first = true,
        .limit = DOCUMENT_LIST_MAX,
    };
    err_t error =
        resource_find_sound(op, &payments_balance_transaction_type, &query, collect, settle);
    if (error != ERR_OK) {
        resource_internal(op, error, "settlement");
        return;
    }
    if (settle->count == 0) {
        resource_finish(op);
        return;
    }
    for (uint32_t i = 0; i < settle->count; i++) {
        fill_transfer(settle, i);
    }
    FAULT_POINT("settle-before-post");
    settle->request.operation = PORT_LEDGER_CREATE_TRANSFERS;
    settle->request.count = settle->count;
    settle->request.in.transfers = settle->transfers;
    settle->request.out.results = settle->results;
    settle->request.reply_to = resource_op_executor(op);
    settle->request.done = settled;
    payments->parts.ledger->submit(payments->parts.ledger, &settle->request);
}

static bool
find_scope(void *context, void *document)
{
    uint64_t *scope = context;
    *scope = ((struct payments_balance_transaction *)document)->header.scope;
    return false;
}

/* The oldest due transaction names the scope; its op settles a batch of it. */
static err_t
find_oldest(struct resource_op *op, uint32_t limit, uint64_t *ret_scope)
{
    *ret_scope = 0;
    struct document_query query = {
        .all_scopes = true,
        .range_column = PAYMENTS_BALANCE_TRANSACTION_RELEASE,
        .range_min = 1,
        .range_max = (int64_t)resource_now_s(op),
        .oldest_first = true,
        .limit = limit,
    };
    return resource_find_sound(
        op, &payments_balance_transaction_type, &query, find_scope, ret_scope);
}

static void
settle_oldest(struct resource_op *op)
{
    struct payments *payments = resource_op_service(op);
    uint64_t scope = 0;
    err_t error = find_oldest(op, 1, &scope);
    if (error == ERR_OK && scope == 0) {
        /* There is none, or it is damaged. */
        error = find_oldest(op, DOCUMENT_LIST_MAX, &scope);
    }
    resource_finish(op);
    if (error == ERR_OK && scope != 0) {
        /* Too much under way: the next sweep tries again. */
        error =
            resource_start_internal(payments->parts.runtime, scope, payments, settle_scope, NULL);
    }
    (void)error;
}

void
payments_settle_sweep(struct payments *payments)
{
    err_t error =
        resource_start_internal(payments->parts.runtime, 0, payments, settle_oldest, NULL);
    (void)error; /* as above */
}
