/*
 * The books: which accounts each step moves money between. docs/accounting.md shows the same as
 * T-accounts; the two must agree.
 *
 *   transfer     wallet -> wallet
 *   hold         wallet => wallet           pending, with the ledger's own timeout
 *   capture      posts the hold, up to its amount, and so releases the rest
 *   release      voids the hold
 *   withdrawal   wallet => bank clearing    pending until the bank has paid, then posted; voided
 *                                           if it does not
 *   return       bank clearing -> wallet    the bank sent it back later
 *   closing      wallet => suspense         nothing, pending: closes the account
 *
 * `user_data_128` of each is the number inside the id of the document that it is for.
 */
#include "flow.h"

#include "base/assert.h"
#include "base/list.h"

#include <string.h>

u128
wallets_account_beside(
    const struct wallets_flow *flow,
    enum books_account account,
    struct span wallet,
    struct span currency)
{
    char text[ID_TEXT_SIZE];
    ASSERT(wallet.size != 0);
    ASSERT(wallet.size < sizeof(text));
    memset(text, 0, sizeof(text));
    memcpy(text, wallet.data, wallet.size);
    const struct resource_caller *caller = resource_op_caller(flow->op);
    const struct port_ledger *ledger = flow->wallets->parts.ledger;
    u128 id = books_account_id(account, text, wallets_currency(currency), caller->live);
    return books_account_place(
        id, ledger, books_wallet_slot_owner(ledger, caller->merchant_id, text));
}

u128
wallets_account(const struct wallets_flow *flow, struct span wallet, struct span currency)
{
    return wallets_account_beside(flow, BOOKS_WALLET, wallet, currency);
}

static uint32_t
ledger_of(const struct wallets_flow *flow, struct span currency)
{
    return books_ledger_number(wallets_currency(currency), resource_op_caller(flow->op)->live);
}

static void
submit(struct wallets_flow *flow, void (*done)(struct port_ledger_request *request))
{
    flow->ledger.reply_to = resource_op_executor(flow->op);
    flow->ledger.done = done;
    flow->ledger.trace = resource_op_trace(flow->op);
    flow->wallets->parts.ledger->submit(flow->wallets->parts.ledger, &flow->ledger);
}

/* ------------------------------------------------------------------------------- accounts --- */

static void
accounts_done(struct port_ledger_request *request)
{
    struct wallets_flow *flow = CONTAINER_OF(request, struct wallets_flow, ledger);
    enum wallets_posting posting = WALLETS_POSTED;
    if (request->error != ERR_OK) {
        posting = WALLETS_POSTING_UNKNOWN;
    }
    for (uint32_t i = 0; i < request->count && posting == WALLETS_POSTED; i++) {
        uint32_t status = flow->results[i].status;
        if (status != LEDGER_ACCOUNT_created && status != LEDGER_ACCOUNT_exists) {
            posting = WALLETS_POSTING_REFUSED;
        }
    }
    flow->posted_step(flow, posting);
}

void
wallets_post_accounts(struct wallets_flow *flow, wallets_posted_step step)
{
    static const enum books_account roles[WALLETS_ACCOUNTS_MAX] = {
        BOOKS_CARD_CLEARING,
        BOOKS_FEE_REVENUE,
        BOOKS_SUSPENSE,
        BOOKS_BANK_CLEARING,
        BOOKS_WALLET,
    };
    const struct wallets_wallet *wallet = flow->wallet;
    memset(flow->accounts, 0, sizeof(flow->accounts));
    /* The first two are for payments, which make them where the merchant is. */
    uint32_t first = flow->wallets->parts.ledger->wallets_apart ? 2 : 0;
    for (uint32_t i = first; i < WALLETS_ACCOUNTS_MAX; i++) {
        struct ledger_account *account = &flow->accounts[i - first];
        account->id = wallets_account_beside(flow, roles[i], wallet->header.id, wallet->currency);
        account->ledger = ledger_of(flow, wallet->currency);
        account->code = (uint16_t)roles[i];
        account->flags = LEDGER_ACCOUNT_HISTORY;
        if (roles[i] == BOOKS_WALLET) {
            account->flags |= LEDGER_ACCOUNT_DEBITS_MUST_NOT_EXCEED_CREDITS;
            account->user_data_64 = wallet->header.scope;
            account->user_data_128 = resource_number(&wallets_wallet_type, wallet->header.id);
        }
    }
    flow->posted_step = step;
    flow->ledger.operation = PORT_LEDGER_CREATE_ACCOUNTS;
    flow->ledger.count = WALLETS_ACCOUNTS_MAX - first;
    flow->ledger.in.accounts = flow->accounts;
    flow->ledger.out.results = flow->results;
    flow->ledger.pairs = NULL;
    submit(flow, accounts_done);
}

/* ------------------------------------------------------------------------------ movements --- */

/* Of a try that was refused and forgotten by a crash the reason is gone; the books tell which it
 * can have been. */
static enum wallets_posting
refused_before(const struct wallets_flow *flow)
{
    bool closed = ((flow->pair.debit.flags | flow->pair.credit.flags) & LEDGER_ACCOUNT_CLOSED) != 0;
    return closed ? WALLETS_POSTING_CLOSED : WALLETS_POSTING_SHORT;
}

static enum wallets_posting
posting_of(const struct wallets_flow *flow)
{
    switch (flow->results[0].status) {
    case LEDGER_TRANSFER_created:
    case LEDGER_TRANSFER_exists:
        return WALLETS_POSTED;
    case LEDGER_TRANSFER_exceeds_credits:
        return WALLETS_POSTING_SHORT;
    case LEDGER_TRANSFER_debit_account_already_closed:
    case LEDGER_TRANSFER_credit_account_already_closed:
        return WALLETS_POSTING_CLOSED;
    case LEDGER_TRANSFER_id_already_failed:
        return refused_before(flow);
    case LEDGER_TRANSFER_pending_transfer_already_posted:
    case LEDGER_TRANSFER_pending_transfer_already_voided:
    case LEDGER_TRANSFER_pending_transfer_expired:
        return WALLETS_POSTING_NOT_HELD;
    default: /* a number from outside, not one of our enums */
        return WALLETS_POSTING_REFUSED;
    }
}

static void
movement_done(struct port_ledger_request *request)
{
    struct wallets_flow *flow = CONTAINER_OF(request, struct wallets_flow, ledger);
    flow->posted_step(flow, request->error != ERR_OK ? WALLETS_POSTING_UNKNOWN : posting_of(flow));
}

struct ledger_transfer *
wallets_movement(
    struct wallets_flow *flow,
    u128 base,
    const char *step,
    enum books_transfer code,
    struct span currency)
{
    struct ledger_transfer *movement = &flow->movement;
    memset(movement, 0, sizeof(*movement));
    movement->id = resource_derived_id(base, step);
    movement->user_data_128 = base;
    movement->user_data_64 = resource_op_caller(flow->op)->scope;
    movement->ledger = ledger_of(flow, currency);
    movement->code = (uint16_t)code;
    return movement;
}

void
wallets_post(struct wallets_flow *flow, wallets_posted_step step)
{
    memset(&flow->pair, 0, sizeof(flow->pair));
    flow->posted_step = step;
    flow->ledger.operation = PORT_LEDGER_CREATE_TRANSFERS;
    flow->ledger.count = 1;
    flow->ledger.in.transfers = &flow->movement;
    flow->ledger.out.results = flow->results;
    flow->ledger.pairs = &flow->pair;
    submit(flow, movement_done);
}

/* After a refusal: what the debit account had, less what is held. */
static struct money
available(const struct wallets_flow *flow, struct span currency)
{
    const struct ledger_account *account = &flow->pair.debit;
    u128 drawn = account->debits_posted + account->debits_pending;
    /* The account is one that cannot be overdrawn. */
    ASSERT(account->credits_posted >= drawn);
    return (struct money){
        .amount = (int64_t)(account->credits_posted - drawn),
        .currency = wallets_currency(currency),
    };
}

struct span
wallets_refusal_code(enum wallets_posting posting)
{
    return posting == WALLETS_POSTING_SHORT    ? SPAN("wallet_insufficient_funds")
           : posting == WALLETS_POSTING_CLOSED ? SPAN("wallet_closed")
                                               : SPAN("processing_error");
}

struct span
wallets_refusal_text(
    const struct wallets_flow *flow,
    enum wallets_posting posting,
    struct span from,
    struct span currency)
{
    if (posting == WALLETS_POSTING_SHORT) {
        char amount[MONEY_TEXT_SIZE];
        money_format(available(flow, currency), amount);
        return arena_format(
            resource_op_arena(flow->op),
            "Wallet %.*s has %s available.",
            SPAN_PRINTF(from),
            amount);
    }
    return posting == WALLETS_POSTING_CLOSED ? SPAN("The wallet is closed.")
                                             : SPAN("The ledger refused to move the money.");
}

void
wallets_answer_refused(
    struct wallets_flow *flow, struct span code, const char *param, struct span message)
{
    struct resource_error refusal = {
        .status = 400,
        .type = "invalid_request_error",
        .code = arena_cstr(resource_op_arena(flow->op), code),
        .param = span_from_cstr(param),
        .message = message,
        .executed = true,
    };
    resource_fail(flow->op, &refusal);
}

/* ------------------------------------------------------------------------------- balances --- */

static void
show(struct wallets_wallet *wallet, const struct ledger_account *account)
{
    const struct currency *currency = wallets_currency(wallet->currency);
    struct money posted = {.currency = currency};
    struct money held = {.amount = (int64_t)account->debits_pending, .currency = currency};
    struct money incoming = {.amount = (int64_t)account->credits_pending, .currency = currency};
    posted.amount = (int64_t)(account->credits_posted - account->debits_posted);
    wallet->posted = money_to_api(posted);
    wallet->held = money_to_api(held);
    wallet->incoming = money_to_api(incoming);
    wallet->balance_known = true;
}

static void
balances_done(struct port_ledger_request *request)
{
    struct wallets_flow *flow = CONTAINER_OF(request, struct wallets_flow, ledger);
    if (request->error != ERR_OK) {
        resource_internal(flow->op, request->error, "ledger");
        return;
    }
    /* What is not there is left out, in the order of the request. */
    uint32_t next = 0;
    for (uint32_t i = 0; i < flow->shown_count && next < request->out_count; i++) {
        if (flow->found[next].id == flow->ids[i]) {
            show(flow->shown[i], &flow->found[next]);
            next++;
        }
    }
    flow->step(flow);
}

void
wallets_read_balances(
    struct wallets_flow *flow, struct wallets_wallet **wallets, uint32_t count, wallets_step step)
{
    struct arena *arena = resource_op_arena(flow->op);
    if (count == 0) {
        step(flow);
        return;
    }
    flow->ids = ARENA_ARRAY(arena, u128, count);
    flow->found = ARENA_ARRAY(arena, struct ledger_account, count);
    if (flow->ids == NULL || flow->found == NULL) {
        resource_internal(flow->op, ERR_FULL, "request memory");
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        flow->ids[i] = wallets_account(flow, wallets[i]->header.id, wallets[i]->currency);
    }
    flow->shown = wallets;
    flow->shown_count = count;
    flow->step = step;
    flow->ledger.operation = PORT_LEDGER_LOOKUP_ACCOUNTS;
    flow->ledger.count = count;
    flow->ledger.in.ids = flow->ids;
    flow->ledger.out.accounts = flow->found;
    flow->ledger.pairs = NULL;
    submit(flow, balances_done);
}
