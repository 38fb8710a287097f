/*
 * Transfers between wallets.
 *
 *   wallets_transfer_create   documents: transfer pending, both wallets' limits counted  (1)
 *   send                      books: wallet -> wallet                                    (2)
 *   sent                      documents: succeeded, or failed and the limits given back  (3)
 */
#include "flow.h"

#include "base/assert.h"
#include "os/fault.h"

#include <stdio.h>

static void
answer_transfer(struct wallets_flow *flow)
{
    resource_answer_object(flow->op, &wallets_transfer_type, flow->transfer);
}

/* ------------------------------------------------------------------------------ (3) the end --- */

static void
answer_unknown(struct wallets_flow *flow)
{
    struct wallets_transfer *transfer = flow->transfer;
    transfer->due = wallets_attempt_again(flow, &transfer->attempt);
    err_t error = resource_save(flow->op, &wallets_transfer_type, transfer);
    if (error != ERR_OK) {
        resource_internal(flow->op, error, "wallet transfer");
        return;
    }
    answer_transfer(flow);
}

static err_t
save_end(struct wallets_flow *flow, const char *event)
{
    struct wallets_transfer *transfer = flow->transfer;
    transfer->due = 0;
    wallets_attempt_close(&transfer->attempt);
    TRY(resource_save(flow->op, &wallets_transfer_type, transfer));
    return resource_emit(flow->op, event, &wallets_transfer_type, transfer, SPAN_EMPTY);
}

static void
succeeded(struct wallets_flow *flow)
{
    flow->transfer->status = SPAN("succeeded");
    err_t error = save_end(flow, "wallet_transfer.succeeded");
    if (error != ERR_OK) {
        resource_internal(flow->op, error, "wallet transfer");
        return;
    }
    answer_transfer(flow);
}

/* Why the books refused it, for people. */
static struct span
failure_message(struct wallets_flow *flow, enum wallets_posting posting)
{
    const struct wallets_transfer *transfer = flow->transfer;
    if (posting == WALLETS_POSTING_SHORT) {
        char amount[MONEY_TEXT_SIZE];
        money_format(wallets_available(flow, transfer->currency), amount);
        return arena_format(
            resource_op_arena(flow->op),
            "Wallet %.*s has %s available.",
            SPAN_PRINTF(transfer->from),
            amount);
    }
    return posting == WALLETS_POSTING_CLOSED ? SPAN("One of the wallets is closed.")
                                             : SPAN("The ledger refused the transfer.");
}

static err_t
save_failed(struct wallets_flow *flow, enum wallets_posting posting)
{
    struct wallets_transfer *transfer = flow->transfer;
    struct money amount = wallets_money(transfer->amount, transfer->currency);
    transfer->status = SPAN("failed");
    transfer->failure_code = posting == WALLETS_POSTING_SHORT    ? SPAN("wallet_insufficient_funds")
                             : posting == WALLETS_POSTING_CLOSED ? SPAN("wallet_closed")
                                                                 : SPAN("processing_error");
    transfer->failure_message = failure_message(flow, posting);
    TRY(wallets_release_both(
        flow->op, transfer->from, transfer->to, amount, transfer->attempt.began));
    return save_end(flow, "wallet_transfer.failed");
}

static void
failed(struct wallets_flow *flow, enum wallets_posting posting)
{
    err_t error = save_failed(flow, posting);
    if (error != ERR_OK) {
        resource_internal(flow->op, error, "wallet transfer");
        return;
    }
    struct resource_error refusal = {
        .status = 400,
        .type = "invalid_request_error",
        .code = arena_cstr(resource_op_arena(flow->op), flow->transfer->failure_code),
        .param = SPAN("amount"),
        .message = flow->transfer->failure_message,
        .executed = true,
    };
    resource_fail(flow->op, &refusal);
}

static void
sent(struct wallets_flow *flow, enum wallets_posting posting)
{
    FAULT_POINT("wallet-transfer-before-finish");
    switch (posting) {
    case WALLETS_POSTED:
        succeeded(flow);
        return;
    case WALLETS_POSTING_UNKNOWN:
        answer_unknown(flow);
        return;
    case WALLETS_POSTING_SHORT:
    case WALLETS_POSTING_CLOSED:
    case WALLETS_POSTING_NOT_HELD:
    case WALLETS_POSTING_REFUSED:
        failed(flow, posting);
        return;
    }
    UNREACHABLE();
}

/* ------------------------------------------------------------------------------ (2) the books -
 */

static void
send_money(struct resource_op *op)
{
    struct wallets_flow *flow = wallets_flow_of(op);
    const struct wallets_transfer *transfer = flow->transfer;
    FAULT_POINT("wallet-transfer-before-post");
    u128 number = wallets_number(&wallets_transfer_type, transfer->header.id);
    struct ledger_transfer *movement =
        wallets_movement(flow, number, "send", BOOKS_WALLET_TRANSFER, transfer->currency);
    movement->debit_account_id = wallets_account(flow, transfer->from, transfer->currency);
    movement->credit_account_id = wallets_account(flow, transfer->to, transfer->currency);
    movement->amount = (u128)wallets_money(transfer->amount, transfer->currency).amount;
    wallets_post(flow, sent);
}

void
wallets_transfer_resume(struct wallets_flow *flow)
{
    wallets_attempt_resume(flow, &flow->transfer->attempt);
    send_money(flow->op);
}

/* -------------------------------------------------------------------------- (1) the beginning -
 */

void
wallets_transfer_begin(
    struct wallets_flow *flow, struct wallets_wallet *from, struct wallets_wallet *to)
{
    struct wallets_transfer *transfer = flow->transfer;
    struct money amount = wallets_money(transfer->amount, transfer->currency);
    transfer->from = from->header.id;
    transfer->to = to->header.id;
    transfer->status = SPAN("pending");
    if (!wallets_reserve_both(flow, from, to, amount)) {
        return;
    }
    wallets_attempt_open(flow, &transfer->attempt, "send");
    transfer->due = wallets_attempt_lease(flow);
    err_t error = resource_save(flow->op, &wallets_transfer_type, transfer);
    if (error != ERR_OK) {
        resource_internal(flow->op, error, "wallet transfer");
        return;
    }
    resource_after_commit(flow->op, send_money);
}

static void
create_locked(struct resource_op *op)
{
    struct wallets_flow *flow = wallets_flow_of(op);
    struct wallets_transfer *transfer = flow->transfer;
    struct wallets_wallet *from = wallets_wallet_named(op, "from", transfer->currency);
    struct wallets_wallet *to =
        from == NULL ? NULL : wallets_wallet_named(op, "to", transfer->currency);
    if (to == NULL) {
        return;
    }
    if (span_equal(from->header.id, to->header.id)) {
        resource_invalid(
            op, "wallet_transfer_to_itself", "to", "A wallet cannot send money to itself.");
        return;
    }
    wallets_transfer_begin(flow, from, to);
}

struct wallets_transfer *
wallets_transfer_new(struct wallets_flow *flow)
{
    struct wallets_transfer *transfer = resource_new(flow->op, &wallets_transfer_type);
    if (transfer == NULL) {
        resource_internal(flow->op, ERR_FULL, "request memory");
    }
    flow->transfer = transfer;
    return transfer;
}

void
wallets_transfer_create(struct resource_op *op)
{
    struct span currency = SPAN_EMPTY;
    struct wallets_flow *flow = wallets_flow_create(op);
    struct wallets_transfer *transfer = flow == NULL ? NULL : wallets_transfer_new(flow);
    if (transfer == NULL) {
        return;
    }
    (void)resource_text(op, "currency", &currency);
    (void)resource_text(op, "description", &transfer->description);
    transfer->currency = span_from_cstr(wallets_currency(currency)->api_code);
    if (wallets_amount(op, "amount", transfer->currency, &transfer->amount) &&
        resource_metadata(op, SPAN_EMPTY, &transfer->metadata) == ERR_OK) {
        /* Against the sweeper. */
        resource_lock(op, transfer->header.id, create_locked);
    }
}

/* ---------------------------------------------------------------------------- other routes --- */

void
wallets_transfer_retrieve(struct resource_op *op)
{
    resource_answer_retrieve(op, &wallets_transfer_type, resource_op_capture(op, 0));
}

static void
update_locked(struct resource_op *op)
{
    void *found;
    struct span id = resource_op_capture(op, 0);
    err_t error = resource_load(op, &wallets_transfer_type, id, &found);
    if (error == ERR_NOT_FOUND) {
        resource_missing(op, "wallet_transfer", "id", id);
        return;
    }
    struct wallets_transfer *transfer = found;
    if (error == ERR_OK) {
        (void)resource_text(op, "description", &transfer->description);
        if (resource_metadata(op, transfer->metadata, &transfer->metadata) != ERR_OK) {
            return;
        }
        error = resource_save(op, &wallets_transfer_type, transfer);
    }
    if (error == ERR_OK) {
        error = resource_emit(
            op, "wallet_transfer.updated", &wallets_transfer_type, transfer, SPAN_EMPTY);
    }
    if (error != ERR_OK) {
        resource_internal(op, error, "wallet transfer");
        return;
    }
    resource_answer_object(op, &wallets_transfer_type, transfer);
}

void
wallets_transfer_update(struct resource_op *op)
{
    resource_lock(op, resource_op_capture(op, 0), update_locked);
}

void
wallets_transfer_list(struct resource_op *op)
{
    static const struct resource_list_filter filters[] = {
        {"wallet", RESOURCE_EITHER(WALLETS_TRANSFER_FROM, WALLETS_TRANSFER_TO)},
    };
    resource_answer_list(op, &wallets_transfer_type, "/v1/wallet_transfers", filters, 1);
}
