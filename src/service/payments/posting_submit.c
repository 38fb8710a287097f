/*
 * How the transfers of a step get into the ledger: the accounts exist beforehand, which is asked
 * for once in a process; then all transfers as one chain, each by itself, or as two steps.
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
/* After a request found no room on the ledger's disk, no new money is moved for so long. */
#define LEDGER_FULL_NS (10 * OS_NS_PER_S)

struct known_entry {
    struct map_link link;
    u128 merchant_account;
};

struct payments_known_accounts {
    struct map map;
};

void
payments_ledger_submit(
    struct payments_flow *flow, void (*done)(struct port_ledger_request *request))
{
    flow->ledger.reply_to = resource_op_executor(flow->op);
    flow->ledger.done = done;
    flow->ledger.trace = resource_op_trace(flow->op);
    flow->payments->parts.ledger->submit(flow->payments->parts.ledger, &flow->ledger);
}

static void
note_room(const struct payments_flow *flow)
{
    if (flow->ledger.error == ERR_DISK_FULL) {
        flow->payments->ledger_full_ns = resource_monotonic_ns(flow->op);
    } else if (flow->ledger.error == ERR_OK) {
        flow->payments->ledger_full_ns = 0;
    }
}

bool
payments_ledger_has_room(struct payments_flow *flow)
{
    uint64_t full_ns = flow->payments->ledger_full_ns;
    if (full_ns == 0 || resource_monotonic_ns(flow->op) - full_ns >= LEDGER_FULL_NS) {
        return true;
    }
    const struct resource_error error = {
        .status = 503,
        .type = "api_error",
        .message = SPAN("There is no room on the disk of the ledger, and nothing was changed. Try "
                        "again with the same idempotency key."),
    };
    resource_fail(flow->op, &error);
    return false;
}

/* ------------------------------------------------------------------------------- accounts --- */

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

static void submit_transfers(struct payments_flow *flow);

static void
accounts_done(struct port_ledger_request *request)
{
    struct payments_flow *flow = CONTAINER_OF(request, struct payments_flow, ledger);
    note_room(flow);
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
    note_room(flow);
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

/* -------------------------------------------------------------------------------- postings */

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

void
payments_posting_submit_in_two(
    struct payments_flow *flow, void (*rest)(struct payments_flow *flow), payments_posted_step step)
{
    flow->crossed_step = step;
    flow->crossed_rest = rest;
    payments_posting_submit(flow, crossed_posted);
}
