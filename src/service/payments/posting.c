/*
 * Postings: which accounts each business step moves money between. docs/accounting.md shows the
 * same as T-accounts; the two must agree.
 *
 *   payment         payer -> merchant                   gross
 *                   merchant -> fee revenue             fee
 *                   merchant -> destination wallet      gross, if the intent has one
 *   hold            payer => merchant                   pending transfer of the authorized amount
 *   increment       voids the hold, and holds the larger amount instead
 *   capture         posts the hold, up to its amount; then the fee as above
 *   void            voids the hold
 *   refund          merchant pending or available -> payer
 *   refund failure  payer -> the account that the refund came from
 *
 * Of a split payment these are the card's part; the wallet's is added to the same chain
 * (posting_split.c).
 *
 * The payer is card clearing, and the merchant's account the pending one; or the payer is a wallet,
 * whose money is here already, and the merchant's account the available one.
 *
 * All transfers of a step are one linked chain: all of them or none. Doing a step again answers
 * `exists` on its first transfer, which is as good as `created`.
 *
 * Where wallets are apart from their merchants (BOOKS-4), a chain with a wallet's account in it is
 * on two shards, and costs a transaction of both. What cannot be one, or need not, is two steps:
 *
 *   payment, capture by a wallet      the gross; then the fee, on the merchant's shard
 *   a split's payment, capture, void  the wallet's part, as its hold cannot end where the card's
 *                                     does; then the card's part and the fee, on the merchant's
 *
 * Nothing refuses a second step, as the merchant's accounts have no limits. In between the attempt
 * is open, and whoever takes it up does both again.
 */
#include "posting.h"

#include "base/assert.h"
#include "base/hash.h"
#include "base/list.h"
#include "base/map.h"
#include "os/fault.h"

#include <stdlib.h>
#include <string.h>

#define KNOWN_ACCOUNTS_MAX (1u << 20)

struct known_entry {
    struct map_link link;
    u128 merchant_account;
};

struct payments_known_accounts {
    struct map map;
};

int64_t
payments_fee(const struct payments *payments, int64_t api_amount, const struct currency *currency)
{
    const struct payments_settings *settings = &payments->parts.settings;
    struct money share;
    struct money amount = {.amount = api_amount, .currency = currency};
    err_t error = money_share(amount, (int32_t)settings->fee_basis_points, &share);
    ASSERT(error == ERR_OK);
    int64_t fee = share.amount + settings->fee_fixed;
    /* Currencies whose API unit is finer than the smallest coin need a fee in whole coins. */
    struct money coins;
    if (money_from_api(fee, currency, &coins) != ERR_OK) {
        fee -= fee % 100;
    }
    return fee < api_amount ? fee : api_amount;
}

void
payments_ledger_submit(
    struct payments_flow *flow, void (*done)(struct port_ledger_request *request))
{
    flow->ledger.reply_to = resource_op_executor(flow->op);
    flow->ledger.done = done;
    flow->ledger.trace = resource_op_trace(flow->op);
    flow->payments->parts.ledger->submit(flow->payments->parts.ledger, &flow->ledger);
}

/* ------------------------------------------------------------------ accounts exist beforehand */

static struct known_entry *
known_find(const struct payments *payments, u128 id)
{
    if (payments->known == NULL) {
        return NULL;
    }
    struct map_link *link = map_find(&payments->known->map, hash_u128(id));
    for (; link != NULL; link = map_next(link)) {
        struct known_entry *entry = CONTAINER_OF(link, struct known_entry, link);
        if (entry->merchant_account == id) {
            return entry;
        }
    }
    return NULL;
}

/* Failing to remember only costs a repeated creation. */
static void
known_remember(struct payments *payments, u128 id)
{
    if (payments->known == NULL) {
        payments->known = calloc(1, sizeof(*payments->known));
        if (payments->known == NULL) {
            return;
        }
        map_init(&payments->known->map, KNOWN_ACCOUNTS_MAX);
    }
    struct known_entry *entry = calloc(1, sizeof(*entry));
    if (entry == NULL) {
        return;
    }
    entry->merchant_account = id;
    if (map_insert(&payments->known->map, hash_u128(id), &entry->link) != ERR_OK) {
        free(entry);
    }
}

static void
known_free(void *context, struct map_link *link)
{
    (void)context;
    free(CONTAINER_OF(link, struct known_entry, link));
}

void
payments_known_accounts_destroy(struct payments *payments)
{
    if (payments->known != NULL) {
        map_each(&payments->known->map, known_free, NULL);
        map_release(&payments->known->map);
        free(payments->known);
        payments->known = NULL;
    }
}

u128
payments_merchant_account(
    const struct payments *payments,
    const struct resource_caller *caller,
    enum books_account account,
    const struct currency *currency)
{
    u128 id =
        books_account_id_by(payments->memo, account, caller->merchant_id, currency, caller->live);
    return books_account_place(id, payments->parts.ledger, caller->merchant_id);
}

u128
payments_books_account(const struct payments_flow *flow, enum books_account account)
{
    return payments_merchant_account(
        flow->payments, resource_op_caller(flow->op), account, payments_flow_currency(flow));
}

u128
payments_wallet_account(const struct payments_flow *flow, struct span wallet)
{
    char owner[ID_TEXT_SIZE] = "";
    ASSERT(wallet.size < sizeof(owner));
    memcpy(owner, wallet.data, wallet.size);
    const struct resource_caller *caller = resource_op_caller(flow->op);
    const struct port_ledger *ledger = flow->payments->parts.ledger;
    u128 id = books_account_id_by(
        flow->payments->memo, BOOKS_WALLET, owner, payments_flow_currency(flow), caller->live);
    return books_account_place(
        id, ledger, books_wallet_slot_owner(ledger, caller->merchant_id, owner));
}

static u128
payer_account(const struct payments_flow *flow)
{
    if (!payments_by_wallet(flow)) {
        return payments_books_account(flow, BOOKS_CARD_CLEARING);
    }
    return payments_wallet_account(
        flow, flow->method != NULL ? flow->method->wallet : flow->charge->wallet);
}

static u128
merchant_account(const struct payments_flow *flow)
{
    return payments_books_account(
        flow, payments_by_wallet(flow) ? BOOKS_MERCHANT_AVAILABLE : BOOKS_MERCHANT_PENDING);
}

static void submit_transfers(struct payments_flow *flow);

static void
accounts_done(struct port_ledger_request *request)
{
    struct payments_flow *flow = CONTAINER_OF(request, struct payments_flow, ledger);
    if (request->error != ERR_OK) {
        flow->posted_step(flow, PAYMENTS_POSTING_UNKNOWN);
        return;
    }
    for (uint32_t i = 0; i < request->count; i++) {
        uint32_t status = flow->results[i].status;
        if (status != LEDGER_ACCOUNT_created && status != LEDGER_ACCOUNT_exists) {
            flow->posted_step(flow, PAYMENTS_POSTING_REFUSED);
            return;
        }
    }
    known_remember(flow->payments, payments_books_account(flow, BOOKS_MERCHANT_PENDING));
    submit_transfers(flow);
}

static void
create_accounts(struct payments_flow *flow)
{
    static const enum books_account roles[PAYMENTS_ACCOUNTS_MAX] = {
        BOOKS_CARD_CLEARING,
        BOOKS_FEE_REVENUE,
        BOOKS_SUSPENSE,
        BOOKS_MERCHANT_PENDING,
        BOOKS_MERCHANT_AVAILABLE,
    };
    const struct resource_caller *caller = resource_op_caller(flow->op);
    uint32_t ledger = books_ledger_number(payments_flow_currency(flow), caller->live);
    memset(flow->accounts, 0, sizeof(flow->accounts));
    for (uint32_t i = 0; i < PAYMENTS_ACCOUNTS_MAX; i++) {
        struct ledger_account *account = &flow->accounts[i];
        account->id = payments_books_account(flow, roles[i]);
        account->ledger = ledger;
        account->code = (uint16_t)roles[i];
        account->flags = LEDGER_ACCOUNT_HISTORY;
        if (roles[i] >= BOOKS_MERCHANT_PENDING) {
            account->user_data_64 = caller->scope;
        }
    }
    flow->ledger.operation = PORT_LEDGER_CREATE_ACCOUNTS;
    flow->ledger.count = PAYMENTS_ACCOUNTS_MAX;
    flow->ledger.in.accounts = flow->accounts;
    flow->ledger.out.results = flow->results;
    flow->ledger.pairs = NULL;
    payments_ledger_submit(flow, accounts_done);
}

/* -------------------------------------------------------------------------------- transfers */

static enum payments_posting
posting_of(const struct payments_flow *flow)
{
    for (uint32_t i = 0; i < flow->transfer_count; i++) {
        if (flow->results[i].status == LEDGER_TRANSFER_exists) {
            return PAYMENTS_POSTED;
        }
    }
    for (uint32_t i = 0; i < flow->transfer_count; i++) {
        if (flow->results[i].status != LEDGER_TRANSFER_created) {
            return PAYMENTS_POSTING_REFUSED;
        }
    }
    return PAYMENTS_POSTED;
}

static void
transfers_done(struct port_ledger_request *request)
{
    struct payments_flow *flow = CONTAINER_OF(request, struct payments_flow, ledger);
    flow->posted_step(
        flow,
        request->error != ERR_OK ? PAYMENTS_POSTING_UNKNOWN
        : flow->judge != NULL    ? flow->judge(flow)
                                 : posting_of(flow));
}

static void
submit_transfers(struct payments_flow *flow)
{
    ASSERT(flow->transfer_count > 0);
    for (uint32_t i = 0; i + 1 < flow->transfer_count && flow->judge == NULL; i++) {
        flow->transfers[i].flags |= LEDGER_TRANSFER_LINKED;
    }
    flow->ledger.operation = PORT_LEDGER_CREATE_TRANSFERS;
    flow->ledger.count = flow->transfer_count;
    flow->ledger.in.transfers = flow->transfers;
    flow->ledger.out.results = flow->results;
    flow->ledger.pairs = flow->pairs;
    payments_ledger_submit(flow, transfers_done);
}

struct ledger_transfer *
payments_transfer_add(struct payments_flow *flow, u128 base, const char *step, uint16_t code)
{
    ASSERT(flow->transfer_count < PAYMENTS_TRANSFERS_MAX);
    const struct resource_caller *caller = resource_op_caller(flow->op);
    struct ledger_transfer *transfer = &flow->transfers[flow->transfer_count];
    flow->transfer_count++;
    memset(transfer, 0, sizeof(*transfer));
    transfer->id = resource_derived_id(base, step);
    transfer->ledger = books_ledger_number(payments_flow_currency(flow), caller->live);
    transfer->code = code;
    transfer->user_data_64 = caller->scope;
    /* An accountant finds the payment from the transfer, and back. */
    transfer->user_data_128 = base;
    return transfer;
}

/* The public API's amount as ledger units. Whoever stored the amount had it checked. */
u128
payments_ledger_amount(const struct payments_flow *flow, int64_t api_amount)
{
    struct money money;
    err_t error = money_from_api(api_amount, payments_flow_currency(flow), &money);
    ASSERT(error == ERR_OK);
    ASSERT(money.amount >= 0);
    return (u128)money.amount;
}

void
payments_add_fee(struct payments_flow *flow)
{
    int64_t fee = flow->intent->attempt.fee;
    if (fee == 0) {
        return;
    }
    struct ledger_transfer *transfer =
        payments_transfer_add(flow, flow->attempt_id, "fee", BOOKS_FEE);
    transfer->debit_account_id = merchant_account(flow);
    transfer->credit_account_id = payments_books_account(flow, BOOKS_FEE_REVENUE);
    transfer->amount = payments_ledger_amount(flow, fee);
}

/* `number`: the charge's. */
static void
add_destination(struct payments_flow *flow, u128 number)
{
    if (flow->intent->transfer_destination.size == 0 || flow->in_suspense) {
        return;
    }
    struct ledger_transfer *transfer =
        payments_transfer_add(flow, flow->attempt_id, "destination", BOOKS_TOP_UP);
    transfer->debit_account_id = merchant_account(flow);
    transfer->credit_account_id = payments_wallet_account(flow, flow->intent->transfer_destination);
    transfer->amount = payments_ledger_amount(flow, flow->intent->attempt.amount);
    transfer->user_data_128 = number;
}

void
payments_posting_begin(struct payments_flow *flow)
{
    flow->transfer_count = 0;
    flow->judge = NULL;
}

void
payments_posting_submit(struct payments_flow *flow, payments_posted_step step)
{
    flow->posted_step = step;
    if (known_find(flow->payments, payments_books_account(flow, BOOKS_MERCHANT_PENDING)) != NULL) {
        submit_transfers(flow);
    } else {
        create_accounts(flow);
    }
}

void
payments_posting_submit_each(
    struct payments_flow *flow,
    enum payments_posting (*judge)(const struct payments_flow *flow),
    payments_posted_step step)
{
    flow->judge = judge;
    payments_posting_submit(flow, step);
}

/* The first step is there, so it is done, whatever becomes of the second: nothing refuses it for
 * good. */
static void
crossed_rest_posted(struct payments_flow *flow, enum payments_posting posting)
{
    flow->crossed_step(
        flow, posting == PAYMENTS_POSTED ? PAYMENTS_POSTED : PAYMENTS_POSTING_UNKNOWN);
}

static void
crossed_posted(struct payments_flow *flow, enum payments_posting posting)
{
    if (posting != PAYMENTS_POSTED) {
        flow->crossed_step(flow, posting);
        return;
    }
    payments_posting_begin(flow);
    flow->crossed_rest(flow);
    if (flow->transfer_count == 0) {
        flow->crossed_step(flow, posting);
        return;
    }
    if (payments_by_wallet(flow)) {
        FAULT_POINT("apart-before-fee");
    } else {
        FAULT_POINT("apart-before-card");
    }
    payments_posting_submit(flow, crossed_rest_posted);
}

/* What was added is the first of two steps, `rest` adds the other one's. */
static void
submit_in_two(
    struct payments_flow *flow, void (*rest)(struct payments_flow *flow), payments_posted_step step)
{
    flow->crossed_step = step;
    flow->crossed_rest = rest;
    payments_posting_submit(flow, crossed_posted);
}

static bool
is_apart(const struct payments_flow *flow)
{
    return flow->payments->parts.ledger->wallets_apart;
}

static void
add_gross(struct payments_flow *flow)
{
    struct ledger_transfer *gross =
        payments_transfer_add(flow, flow->attempt_id, "payment", BOOKS_PAYMENT);
    gross->debit_account_id = payer_account(flow);
    gross->credit_account_id = merchant_account(flow);
    gross->amount = payments_ledger_amount(flow, payments_split_rest(flow));
}

static void
add_card_payment(struct payments_flow *flow)
{
    add_gross(flow);
    payments_add_fee(flow);
}

void
payments_post_payment(struct payments_flow *flow, payments_posted_step step)
{
    payments_posting_begin(flow);
    if (is_apart(flow) && payments_is_split(flow->intent)) {
        payments_add_split_payment(flow);
        submit_in_two(flow, add_card_payment, step);
        return;
    }
    add_gross(flow);
    bool ends_in_wallet = flow->intent->transfer_destination.size != 0;
    if (is_apart(flow) && payments_by_wallet(flow) && !ends_in_wallet) {
        submit_in_two(flow, payments_add_fee, step);
        return;
    }
    payments_add_split_payment(flow);
    payments_add_fee(flow);
    add_destination(flow, flow->attempt_id);
    payments_posting_submit(flow, step);
}

/* The hold's id derives from the authorization, which the charge remembers; that of a larger one
 * that took its place is remembered itself. */
static u128
hold_id(const struct payments_flow *flow)
{
    if (flow->charge != NULL && flow->charge->hold.size != 0) {
        return payments_unhex(flow->charge->hold);
    }
    u128 authorization = flow->charge != NULL && flow->charge->authorization.size != 0
                             ? payments_unhex(flow->charge->authorization)
                             : resource_derived_id(flow->attempt_id, "authorize");
    return resource_derived_id(authorization, "hold");
}

/* What ends a hold names the accounts of it too: a ledger of several shards finds it by them. */
static void
end_hold(const struct payments_flow *flow, struct ledger_transfer *end, uint16_t flag)
{
    end->flags = flag;
    end->pending_id = hold_id(flow);
    end->debit_account_id = payer_account(flow);
    end->credit_account_id = merchant_account(flow);
}

void
payments_post_hold(struct payments_flow *flow, payments_posted_step step)
{
    payments_posting_begin(flow);
    struct ledger_transfer *hold = payments_transfer_add(
        flow, resource_derived_id(flow->attempt_id, "authorize"), "hold", BOOKS_HOLD);
    hold->flags = LEDGER_TRANSFER_PENDING;
    hold->debit_account_id = payer_account(flow);
    hold->credit_account_id = merchant_account(flow);
    hold->amount = payments_ledger_amount(flow, payments_split_rest(flow));
    payments_posting_submit(flow, step);
}

void
payments_post_increment(struct payments_flow *flow, payments_posted_step step)
{
    payments_posting_begin(flow);
    struct ledger_transfer *old =
        payments_transfer_add(flow, flow->attempt_id, "increment void", BOOKS_OF_PENDING);
    end_hold(flow, old, LEDGER_TRANSFER_VOID_PENDING);
    struct ledger_transfer *hold =
        payments_transfer_add(flow, flow->attempt_id, "hold", BOOKS_HOLD);
    hold->flags = LEDGER_TRANSFER_PENDING;
    hold->debit_account_id = payments_books_account(flow, BOOKS_CARD_CLEARING);
    hold->credit_account_id = payments_books_account(flow, BOOKS_MERCHANT_PENDING);
    hold->amount = payments_ledger_amount(flow, flow->intent->attempt.amount);
    payments_posting_submit(flow, step);
}

const char *
payments_capture_step(const struct payments_flow *flow)
{
    return flow->in_suspense ? "capture again" : "capture";
}

static void
add_capture(struct payments_flow *flow)
{
    struct ledger_transfer *capture = payments_transfer_add(
        flow, flow->attempt_id, payments_capture_step(flow), BOOKS_OF_PENDING);
    end_hold(flow, capture, LEDGER_TRANSFER_POST_PENDING);
    capture->amount = payments_ledger_amount(flow, payments_split_rest_captured(flow));
    if (payments_by_wallet(flow)) {
        capture->user_data_128 = payments_charge_number(flow->charge);
    }
}

static void
add_card_capture(struct payments_flow *flow)
{
    add_capture(flow);
    payments_add_fee(flow);
}

/* Does the wallet's part end what is held in the wallet's own slot? */
static bool
ends_apart(const struct payments_flow *flow)
{
    return is_apart(flow) && flow->charge->split_wallet.size != 0 && !flow->in_suspense;
}

void
payments_post_capture(struct payments_flow *flow, payments_posted_step step)
{
    payments_posting_begin(flow);
    if (ends_apart(flow)) {
        payments_add_split_capture(flow);
        submit_in_two(flow, add_card_capture, step);
        return;
    }
    add_capture(flow);
    if (is_apart(flow) && payments_by_wallet(flow)) {
        submit_in_two(flow, payments_add_fee, step);
        return;
    }
    payments_add_split_capture(flow);
    payments_add_fee(flow);
    add_destination(flow, payments_charge_number(flow->charge));
    payments_posting_submit(flow, step);
}

void
payments_add_hold_void(struct payments_flow *flow, u128 base, const char *step)
{
    struct ledger_transfer *undo = payments_transfer_add(flow, base, step, BOOKS_OF_PENDING);
    end_hold(flow, undo, LEDGER_TRANSFER_VOID_PENDING);
}

static void
add_void(struct payments_flow *flow)
{
    payments_add_hold_void(flow, flow->attempt_id, "void");
}

void
payments_post_void(struct payments_flow *flow, payments_posted_step step)
{
    payments_posting_begin(flow);
    if (ends_apart(flow)) {
        payments_add_split_void(flow);
        submit_in_two(flow, add_void, step);
        return;
    }
    add_void(flow);
    payments_add_split_void(flow);
    payments_posting_submit(flow, step);
}

void
payments_post_split_void(struct payments_flow *flow, payments_posted_step step)
{
    payments_posting_begin(flow);
    payments_add_split_void(flow);
    if (flow->transfer_count == 0) {
        step(flow, PAYMENTS_POSTED);
        return;
    }
    payments_posting_submit(flow, step);
}

static enum books_account
refund_source(const struct payments_refund *refund)
{
    return refund->from_available ? BOOKS_MERCHANT_AVAILABLE : BOOKS_MERCHANT_PENDING;
}

void
payments_post_refund(struct payments_flow *flow, payments_posted_step step)
{
    payments_posting_begin(flow);
    int64_t amount = payments_split_rest_refunded(flow->refund);
    if (amount != 0) {
        struct ledger_transfer *refund = payments_transfer_add(
            flow, flow->attempt_id, flow->in_suspense ? "refund again" : "refund", BOOKS_REFUND);
        refund->debit_account_id = payments_books_account(flow, refund_source(flow->refund));
        refund->credit_account_id = payer_account(flow);
        refund->amount = payments_ledger_amount(flow, amount);
    }
    payments_add_split_refund(flow);
    payments_posting_submit(flow, step);
}

void
payments_post_refund_failure(struct payments_flow *flow, payments_posted_step step)
{
    payments_posting_begin(flow);
    struct ledger_transfer *back =
        payments_transfer_add(flow, flow->attempt_id, "refund failure", BOOKS_REFUND_FAILURE);
    back->debit_account_id = payer_account(flow);
    back->credit_account_id = payments_books_account(flow, refund_source(flow->refund));
    back->amount = payments_ledger_amount(flow, payments_split_rest_refunded(flow->refund));
    payments_posting_submit(flow, step);
}
