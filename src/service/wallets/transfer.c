/*
 * Transfers between wallets, and what is paid in at a bank: a transfer from no wallet.
 *
 *   wallets_transfer_create   documents: transfer pending, both wallets' limits counted  (1)
 *   send_money                books: wallet or bank clearing -> wallet                   (2)
 *   sent                      documents: succeeded, or failed and the limits given back  (3)
 */
#include "flow.h"

#include "base/assert.h"
#include "os/fault.h"
#include "resource/pages.h"

/* The transfer, or the request that it pays. */
static void
answer_transfer(struct wallets_flow *flow)
{
    if (flow->request != NULL) {
        resource_answer_object(flow->op, &wallets_request_type, flow->request);
        return;
    }
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
    TRY(resource_emit(flow->op, event, &wallets_transfer_type, transfer, SPAN_EMPTY));
    return flow->request == NULL ? ERR_OK : wallets_request_settle(flow);
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

static err_t
save_failed(struct wallets_flow *flow, enum wallets_posting posting)
{
    struct wallets_transfer *transfer = flow->transfer;
    struct money amount = wallets_money(transfer->amount, transfer->currency);
    transfer->status = SPAN("failed");
    transfer->failure_code = wallets_refusal_code(posting);
    transfer->failure_message =
        wallets_refusal_text(flow, posting, transfer->from, transfer->currency);
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
    wallets_answer_refused(
        flow, flow->transfer->failure_code, "amount", flow->transfer->failure_message);
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
    u128 number = resource_number(&wallets_transfer_type, transfer->header.id);
    bool deposit = transfer->from.size == 0;
    struct ledger_transfer *movement = wallets_movement(
        flow, number, "send", deposit ? BOOKS_DEPOSIT : BOOKS_WALLET_TRANSFER, transfer->currency);
    movement->debit_account_id =
        deposit
            ? wallets_account_beside(flow, BOOKS_BANK_CLEARING, transfer->to, transfer->currency)
            : wallets_account(flow, transfer->from, transfer->currency);
    movement->credit_account_id = wallets_account(flow, transfer->to, transfer->currency);
    movement->amount = (u128)wallets_money(transfer->amount, transfer->currency).amount;
    wallets_post(flow, sent);
}

void
wallets_transfer_resume(struct wallets_flow *flow)
{
    if (flow->transfer->request.size != 0) {
        void *found;
        err_t error =
            resource_load(flow->op, &wallets_request_type, flow->transfer->request, &found);
        if (error != ERR_OK) {
            resource_internal(flow->op, error, "wallet request");
            return;
        }
        flow->request = found;
    }
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
    transfer->from = from == NULL ? SPAN_EMPTY : from->header.id;
    transfer->to = to->header.id;
    transfer->status = SPAN("pending");
    if (!wallets_reserve_both(flow, from, to, amount)) {
        return;
    }
    wallets_attempt_open(flow, &transfer->attempt, "send");
    transfer->due = wallets_attempt_lease(flow);
    err_t error = resource_save(flow->op, &wallets_transfer_type, transfer);
    if (error == ERR_OK && flow->request != NULL) {
        flow->request->transfer = transfer->header.id;
        error = resource_save(flow->op, &wallets_request_type, flow->request);
    }
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

/* A new transfer as the parameters say; `step` runs under its lock, which is against the sweeper.
 */
static void
fill_and_lock(struct resource_op *op, resource_step step)
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
        resource_lock(op, transfer->header.id, step);
    }
}

void
wallets_transfer_create(struct resource_op *op)
{
    fill_and_lock(op, create_locked);
}

static void
fund_locked(struct resource_op *op)
{
    struct wallets_flow *flow = wallets_flow_of(op);
    struct wallets_wallet *wallet = wallets_wallet_of_path(op);
    if (wallet != NULL) {
        wallets_transfer_begin(flow, NULL, wallet);
    }
}

/* In test mode: the simulated bank reports that somebody paid in. */
void
wallets_wallet_fund(struct resource_op *op)
{
    if (resource_op_caller(op)->live) {
        resource_invalid(op, NULL, NULL, "Test helpers are there in test mode only.");
        return;
    }
    fill_and_lock(op, fund_locked);
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
    struct wallets_transfer *transfer =
        resource_require(op, &wallets_transfer_type, "id", resource_op_capture(op, 0));
    if (transfer == NULL) {
        return;
    }
    (void)resource_text(op, "description", &transfer->description);
    if (resource_metadata(op, transfer->metadata, &transfer->metadata) != ERR_OK) {
        return;
    }
    resource_answer_saved(
        op, &wallets_transfer_type, transfer, "wallet transfer", "wallet_transfer.updated");
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
