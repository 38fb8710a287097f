/*
 * Withdrawals to a bank account.
 *
 *   wallets_withdrawal_create   documents: attempt "hold", the wallet's limit counted     (1)
 *   place                       books: wallet => bank clearing, pending                   (2)
 *   placed                      documents: attempt "pay"; the client is answered: pending (3)
 *   ask_bank                    bank: pay, repeated under its id until it is final        (4)
 *   bank_answered               books: posted when the bank has paid, else voided         (5)
 *   paid, not_paid              documents: paid and watched for a while, or failed        (6)
 *   watch                       bank: report; what it sends back goes into the wallet     (7)
 *
 * A wallet that was closed meanwhile takes nothing back: that money goes to the suspense account,
 * until a person says whose wallet it goes to:
 *
 *   wallets_withdrawal_give     documents: to whom                                        (8)
 *   give                        books: suspense => wallet; each try has an id             (9)
 *   given                       documents: given                                         (10)
 *
 * A crash between (8) and (10) leaves it open; giving it to the same wallet again repeats the
 * movement, which is in the books once. A refusal of the ledger ends the try.
 */
#include "flow.h"

#include "base/assert.h"
#include "base/list.h"
#include "os/fault.h"
#include "resource/bank_account.h"
#include "resource/pages.h"

/* `event`: what merchants are told of it, or NULL. */
static void
save_and_answer(struct wallets_flow *flow, const char *event)
{
    resource_answer_saved(
        flow->op, &wallets_withdrawal_type, flow->withdrawal, "wallet withdrawal", event);
}

static void
answer_unknown(struct wallets_flow *flow)
{
    flow->withdrawal->due = wallets_attempt_again(flow, &flow->withdrawal->attempt);
    save_and_answer(flow, NULL);
}

static u128
number_of(const struct wallets_flow *flow)
{
    return resource_number(&wallets_withdrawal_type, flow->withdrawal->header.id);
}

static struct ledger_transfer *
movement(struct wallets_flow *flow, const char *step, enum books_transfer code)
{
    return wallets_movement(flow, number_of(flow), step, code, flow->withdrawal->currency);
}

static struct money
amount_of(const struct wallets_flow *flow)
{
    return wallets_money(flow->withdrawal->amount, flow->withdrawal->currency);
}

static err_t
release_limit(struct wallets_flow *flow)
{
    const struct wallets_withdrawal *withdrawal = flow->withdrawal;
    return wallets_release_both(
        flow->op, withdrawal->wallet, SPAN_EMPTY, amount_of(flow), withdrawal->reserved_at);
}

/* ----------------------------------------------------------------- (7) what comes back later -- */

static int64_t
next_look(struct wallets_flow *flow, bool kept)
{
    return resource_bank_next_look(
        (int64_t)resource_now_s(flow->op),
        flow->withdrawal->paid_at,
        flow->wallets->parts.settings.return_window_s,
        kept);
}

static void
look_again(struct wallets_flow *flow, bool kept)
{
    flow->withdrawal->due = next_look(flow, kept);
    save_and_answer(flow, NULL);
}

static void
save_returned(struct wallets_flow *flow)
{
    struct wallets_withdrawal *withdrawal = flow->withdrawal;
    withdrawal->status = SPAN("returned");
    withdrawal->failure_code = span_from_cstr(flow->rail.answer.error_code);
    withdrawal->failure_message =
        withdrawal->in_suspense
            ? SPAN("The bank sent the money back, and the wallet was closed: it is in suspense.")
            : SPAN("The bank sent the money back.");
    withdrawal->due = 0;
    withdrawal->open_since = withdrawal->in_suspense ? (int64_t)resource_now_s(flow->op) : 0;
    err_t error = release_limit(flow);
    if (error != ERR_OK) {
        resource_internal(flow->op, error, "wallet limits");
        return;
    }
    save_and_answer(flow, "wallet_withdrawal.returned");
}

static void give_back(struct wallets_flow *flow);

static void
given_back(struct wallets_flow *flow, enum wallets_posting posting)
{
    FAULT_POINT("wallet-withdrawal-before-returned");
    if (posting == WALLETS_POSTED) {
        save_returned(flow);
    } else if (posting == WALLETS_POSTING_CLOSED && !flow->withdrawal->in_suspense) {
        flow->withdrawal->in_suspense = true;
        give_back(flow);
    } else {
        look_again(flow, false);
    }
}

static void
give_back(struct wallets_flow *flow)
{
    const struct wallets_withdrawal *withdrawal = flow->withdrawal;
    struct span currency = withdrawal->currency;
    struct ledger_transfer *back = movement(
        flow, withdrawal->in_suspense ? "return to suspense" : "return", BOOKS_WITHDRAWAL_RETURN);
    back->debit_account_id =
        wallets_account_beside(flow, BOOKS_BANK_CLEARING, withdrawal->wallet, currency);
    back->credit_account_id =
        withdrawal->in_suspense
            ? wallets_account_beside(flow, BOOKS_SUSPENSE, withdrawal->wallet, currency)
            : wallets_account(flow, withdrawal->wallet, currency);
    back->amount = (u128)amount_of(flow).amount;
    wallets_post(flow, given_back);
}

static void
reported(struct wallets_flow *flow)
{
    FAULT_POINT("wallet-withdrawal-before-return");
    switch (resource_bank_word_of(&flow->rail)) {
    case RESOURCE_BANK_NOT_PAID:
        give_back(flow);
        return;
    case RESOURCE_BANK_PAID:
    case RESOURCE_BANK_UNHEARD: /* it has forgotten it: that will be no other answer next time */
        look_again(flow, true);
        return;
    case RESOURCE_BANK_UNDECIDED:
        look_again(flow, false);
        return;
    }
    UNREACHABLE();
}

/* ------------------------------------------------------------------------ (6), (5) the books -- */

static void
paid(struct wallets_flow *flow, enum wallets_posting posting)
{
    FAULT_POINT("wallet-withdrawal-before-paid");
    struct wallets_withdrawal *withdrawal = flow->withdrawal;
    if (posting != WALLETS_POSTED) {
        /* The bank has paid: books that refuse it are asked again until they take it. */
        answer_unknown(flow);
        return;
    }
    wallets_attempt_close(&withdrawal->attempt);
    withdrawal->status = SPAN("paid");
    withdrawal->paid_at = (int64_t)resource_now_s(flow->op);
    withdrawal->due = next_look(flow, true);
    save_and_answer(flow, "wallet_withdrawal.paid");
}

static void
save_failed(struct wallets_flow *flow, struct span code, struct span message)
{
    struct wallets_withdrawal *withdrawal = flow->withdrawal;
    wallets_attempt_close(&withdrawal->attempt);
    withdrawal->status = SPAN("failed");
    withdrawal->failure_code = code;
    withdrawal->failure_message = message;
    withdrawal->due = 0;
}

static void
not_paid(struct wallets_flow *flow, enum wallets_posting posting)
{
    FAULT_POINT("wallet-withdrawal-before-failed");
    if (posting == WALLETS_POSTING_NOT_HELD) {
        /* An earlier run, which was cut off, saw it paid and posted it; now it has come back. */
        paid(flow, WALLETS_POSTED);
        return;
    }
    if (posting != WALLETS_POSTED) {
        answer_unknown(flow);
        return;
    }
    err_t error = release_limit(flow);
    if (error != ERR_OK) {
        resource_internal(flow->op, error, "wallet limits");
        return;
    }
    save_failed(
        flow,
        span_from_cstr(flow->rail.answer.error_code),
        SPAN("The bank did not pay the money out; it is in the wallet again."));
    save_and_answer(flow, "wallet_withdrawal.failed");
}

static void
end_pending(struct wallets_flow *flow, const char *step, uint16_t flag, wallets_posted_step next)
{
    struct ledger_transfer *end = movement(flow, step, BOOKS_WITHDRAWAL);
    end->flags = flag;
    end->pending_id = resource_derived_id(number_of(flow), "hold");
    end->debit_account_id =
        wallets_account(flow, flow->withdrawal->wallet, flow->withdrawal->currency);
    end->credit_account_id = wallets_account_beside(
        flow, BOOKS_BANK_CLEARING, flow->withdrawal->wallet, flow->withdrawal->currency);
    end->amount = flag == LEDGER_TRANSFER_POST_PENDING ? (u128)amount_of(flow).amount : 0;
    wallets_post(flow, next);
}

static void
bank_answered(struct wallets_flow *flow)
{
    FAULT_POINT("wallet-withdrawal-before-end");
    switch (resource_bank_word_of(&flow->rail)) {
    case RESOURCE_BANK_PAID:
        end_pending(flow, "paid", LEDGER_TRANSFER_POST_PENDING, paid);
        return;
    case RESOURCE_BANK_NOT_PAID:
        end_pending(flow, "not paid", LEDGER_TRANSFER_VOID_PENDING, not_paid);
        return;
    case RESOURCE_BANK_UNHEARD:
    case RESOURCE_BANK_UNDECIDED:
        answer_unknown(flow);
        return;
    }
    UNREACHABLE();
}

/* ---------------------------------------------------------------------------- (4) the bank --- */

static void
rail_done(struct port_rail_request *request)
{
    struct wallets_flow *flow = CONTAINER_OF(request, struct wallets_flow, rail);
    flow->step(flow);
}

static void
call_bank(struct wallets_flow *flow, enum port_rail_operation operation, wallets_step step)
{
    const struct wallets_parts *parts = &flow->wallets->parts;
    const struct resource_bank_order order = {
        .id = resource_derived_id(number_of(flow), "pay"),
        .number = flow->withdrawal->account_number,
        .amount = amount_of(flow),
        .statement_descriptor = flow->withdrawal->statement_descriptor,
        .timeout_ms = parts->settings.rail_timeout_ms,
    };
    flow->step = step;
    resource_bank_ask(flow->op, parts->bank_rail, &order, operation, &flow->rail, rail_done);
}

/* ---------------------------------------------------------------------------- (3) the hold --- */

static void
refused(struct wallets_flow *flow, enum wallets_posting posting)
{
    struct wallets_withdrawal *withdrawal = flow->withdrawal;
    save_failed(
        flow,
        wallets_refusal_code(posting),
        wallets_refusal_text(flow, posting, withdrawal->wallet, withdrawal->currency));
    err_t error = release_limit(flow);
    if (error == ERR_OK) {
        error = resource_save(flow->op, &wallets_withdrawal_type, withdrawal);
    }
    if (error == ERR_OK) {
        error = resource_emit(
            flow->op, "wallet_withdrawal.failed", &wallets_withdrawal_type, withdrawal, SPAN_EMPTY);
    }
    if (error != ERR_OK) {
        resource_internal(flow->op, error, "wallet withdrawal");
        return;
    }
    wallets_answer_refused(flow, withdrawal->failure_code, "amount", withdrawal->failure_message);
}

static void
placed(struct wallets_flow *flow, enum wallets_posting posting)
{
    FAULT_POINT("wallet-withdrawal-before-finish");
    struct wallets_attempt *attempt = &flow->withdrawal->attempt;
    if (posting == WALLETS_POSTING_UNKNOWN) {
        answer_unknown(flow);
        return;
    }
    if (posting != WALLETS_POSTED) {
        refused(flow, posting);
        return;
    }
    attempt->kind = SPAN("pay");
    attempt->key = SPAN_EMPTY;
    attempt->tries = 0;
    flow->withdrawal->due = (int64_t)resource_now_s(flow->op);
    save_and_answer(flow, "wallet_withdrawal.created");
}

static void
place(struct resource_op *op)
{
    struct wallets_flow *flow = wallets_flow_of(op);
    const struct wallets_withdrawal *withdrawal = flow->withdrawal;
    FAULT_POINT("wallet-withdrawal-before-post");
    struct ledger_transfer *pending = movement(flow, "hold", BOOKS_WITHDRAWAL);
    pending->flags = LEDGER_TRANSFER_PENDING;
    pending->debit_account_id = wallets_account(flow, withdrawal->wallet, withdrawal->currency);
    pending->credit_account_id =
        wallets_account_beside(flow, BOOKS_BANK_CLEARING, withdrawal->wallet, withdrawal->currency);
    pending->amount = (u128)amount_of(flow).amount;
    wallets_post(flow, placed);
}

void
wallets_withdrawal_drive(struct wallets_flow *flow)
{
    struct wallets_withdrawal *withdrawal = flow->withdrawal;
    if (!wallets_attempt_is_open(&withdrawal->attempt)) {
        call_bank(flow, PORT_RAIL_REPORT, reported);
        return;
    }
    wallets_attempt_resume(flow, &withdrawal->attempt);
    if (span_equal_cstr(withdrawal->attempt.kind, "hold")) {
        place(flow->op);
        return;
    }
    FAULT_POINT("wallet-withdrawal-before-pay");
    call_bank(flow, PORT_RAIL_PAY, bank_answered);
}

/* ----------------------------------------------------------------------- (1) the beginning --- */

static bool
read_account(struct resource_op *op, struct wallets_withdrawal *withdrawal)
{
    struct resource_bank_account account;
    if (!resource_bank_account_read(op, "bank_account", &account)) {
        return false;
    }
    withdrawal->account_number = account.number;
    withdrawal->routing_number = account.routing_number;
    withdrawal->country = account.country;
    withdrawal->account_holder_name = account.holder_name;
    (void)resource_text(op, "statement_descriptor", &withdrawal->statement_descriptor);
    (void)resource_text(op, "description", &withdrawal->description);
    return true;
}

static void
create_locked(struct resource_op *op)
{
    struct wallets_flow *flow = wallets_flow_of(op);
    struct wallets_withdrawal *withdrawal = flow->withdrawal;
    if (!wallets_reserve_both(flow, flow->wallet, NULL, amount_of(flow))) {
        return;
    }
    wallets_attempt_open(flow, &withdrawal->attempt, "hold");
    withdrawal->reserved_at = withdrawal->attempt.began;
    withdrawal->due = wallets_attempt_lease(flow);
    resource_save_then(op, &wallets_withdrawal_type, withdrawal, "wallet withdrawal", place);
}

void
wallets_withdrawal_create(struct resource_op *op)
{
    struct wallets_flow *flow = wallets_flow_create(op);
    if (flow == NULL) {
        return;
    }
    flow->wallet = wallets_wallet_of_path(op);
    if (flow->wallet == NULL) {
        return;
    }
    struct wallets_withdrawal *withdrawal = resource_new(op, &wallets_withdrawal_type);
    if (withdrawal == NULL) {
        resource_internal(op, ERR_FULL, "request memory");
        return;
    }
    flow->withdrawal = withdrawal;
    withdrawal->wallet = flow->wallet->header.id;
    withdrawal->currency = flow->wallet->currency;
    withdrawal->status = SPAN("pending");
    if (read_account(op, withdrawal) &&
        wallets_amount(op, "amount", withdrawal->currency, &withdrawal->amount) &&
        resource_metadata(op, SPAN_EMPTY, &withdrawal->metadata) == ERR_OK) {
        /* Against the sweeper. */
        resource_lock(op, withdrawal->header.id, create_locked);
    }
}

/* --------------------------------------------------------------------- (8) out of suspense --- */

static void
answer_not_given(struct wallets_flow *flow, enum wallets_posting posting)
{
    struct wallets_withdrawal *withdrawal = flow->withdrawal;
    withdrawal->give_tries++; /* the refused id is burned */
    withdrawal->given_to = SPAN_EMPTY;
    err_t error = resource_save(flow->op, &wallets_withdrawal_type, withdrawal);
    if (error != ERR_OK) {
        resource_internal(flow->op, error, "wallet withdrawal");
        return;
    }
    wallets_answer_refused(
        flow,
        wallets_refusal_code(posting),
        "wallet",
        wallets_refusal_text(flow, posting, withdrawal->wallet, withdrawal->currency));
}

static void
given(struct wallets_flow *flow, enum wallets_posting posting)
{
    FAULT_POINT("wallet-withdrawal-before-given");
    if (posting == WALLETS_POSTING_UNKNOWN) {
        resource_internal(flow->op, ERR_OUTCOME_UNKNOWN, "ledger");
        return;
    }
    if (posting != WALLETS_POSTED) {
        answer_not_given(flow, posting);
        return;
    }
    flow->withdrawal->open_since = 0;
    flow->withdrawal->failure_message = SPAN(
        "The bank sent the money back, and the wallet was closed: it was given to another one.");
    save_and_answer(flow, "wallet_withdrawal.updated");
}

static void
give(struct resource_op *op)
{
    struct wallets_flow *flow = wallets_flow_of(op);
    const struct wallets_withdrawal *withdrawal = flow->withdrawal;
    char step[WALLETS_STEP_SIZE];
    wallets_give_step(withdrawal, step);
    struct ledger_transfer *out = movement(flow, step, BOOKS_WITHDRAWAL_RETURN);
    out->debit_account_id =
        wallets_account_beside(flow, BOOKS_SUSPENSE, withdrawal->wallet, withdrawal->currency);
    out->credit_account_id = wallets_account(flow, withdrawal->given_to, withdrawal->currency);
    out->amount = (u128)amount_of(flow).amount;
    wallets_post(flow, given);
}

static bool
may_be_given(struct wallets_flow *flow, const struct wallets_wallet *wallet)
{
    const struct wallets_withdrawal *withdrawal = flow->withdrawal;
    if (!wallets_withdrawal_is_in_suspense(withdrawal)) {
        resource_invalid(
            flow->op,
            "wallet_withdrawal_unexpected_state",
            NULL,
            "Only what the bank sent back to a wallet that was closed is given to another one, and "
            "once.");
        return false;
    }
    if (withdrawal->given_to.size != 0 && !span_equal(withdrawal->given_to, wallet->header.id)) {
        resource_invalid(
            flow->op,
            "wallet_withdrawal_unexpected_state",
            "wallet",
            "It was being given to %.*s, and the end of that is not known: repeat that first.",
            SPAN_PRINTF(withdrawal->given_to));
        return false;
    }
    return true;
}

static void
give_locked(struct resource_op *op)
{
    struct wallets_flow *flow = wallets_flow_create(op);
    if (flow == NULL) {
        return;
    }
    struct wallets_withdrawal *withdrawal =
        resource_require(op, &wallets_withdrawal_type, "id", resource_op_capture(op, 0));
    if (withdrawal == NULL) {
        return;
    }
    flow->withdrawal = withdrawal;
    const struct wallets_wallet *wallet = wallets_wallet_named(op, "wallet", withdrawal->currency);
    if (wallet == NULL || !may_be_given(flow, wallet)) {
        return;
    }
    withdrawal->given_to = wallet->header.id;
    if (withdrawal->open_since == 0) { /* it came back before that was noted */
        withdrawal->open_since = (int64_t)resource_now_s(op);
    }
    resource_save_then(op, &wallets_withdrawal_type, withdrawal, "wallet withdrawal", give);
}

void
wallets_withdrawal_give(struct resource_op *op)
{
    resource_lock(op, resource_op_capture(op, 0), give_locked);
}

/* ---------------------------------------------------------------------------- other routes --- */

void
wallets_withdrawal_retrieve(struct resource_op *op)
{
    resource_answer_retrieve(op, &wallets_withdrawal_type, resource_op_capture(op, 0));
}

static void
update_locked(struct resource_op *op)
{
    struct wallets_flow *flow = wallets_flow_create(op);
    if (flow == NULL) {
        return;
    }
    flow->withdrawal =
        resource_require(op, &wallets_withdrawal_type, "id", resource_op_capture(op, 0));
    if (flow->withdrawal == NULL) {
        return;
    }
    (void)resource_text(op, "description", &flow->withdrawal->description);
    if (resource_metadata(op, flow->withdrawal->metadata, &flow->withdrawal->metadata) == ERR_OK) {
        save_and_answer(flow, "wallet_withdrawal.updated");
    }
}

void
wallets_withdrawal_update(struct resource_op *op)
{
    resource_lock(op, resource_op_capture(op, 0), update_locked);
}

void
wallets_withdrawal_list(struct resource_op *op)
{
    static const struct resource_list_filter filters[] = {
        {"wallet", WALLETS_WITHDRAWAL_WALLET},
        {"status", WALLETS_WITHDRAWAL_STATUS},
    };
    resource_answer_list(op, &wallets_withdrawal_type, "/v1/wallet_withdrawals", filters, 2);
}

void
wallets_withdrawal_list_of_wallet(struct resource_op *op)
{
    struct span wallet = resource_op_capture(op, 0);
    if (wallets_wallet_of_path(op) == NULL) {
        return;
    }
    const struct document_filter only = {
        .column = WALLETS_WITHDRAWAL_WALLET,
        .value = {.text = wallet},
    };
    struct span url =
        arena_format(resource_op_arena(op), "/v1/wallets/%.*s/withdrawals", SPAN_PRINTF(wallet));
    resource_answer_list_of(op, &wallets_withdrawal_type, url, &only);
}
