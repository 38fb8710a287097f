/*
 * The reconciler: goes through everything for ever, some at a time, and compares what the documents
 * say with the books, both ways. A difference is logged and counted until a complete run finds
 * none; it never changes anything by itself.
 *
 *   transfers, holds, withdrawals   what a document at rest says that moved is in the books, with
 *                                   its amount and currency; what it says that did not is not
 *   wallets                         each movement of an account that this service made has the
 *                                   document that explains it
 *
 * The books move before the document says so, and the document's attempt is open until then
 * (WALLETS-1): so a document at rest can be compared at any time.
 */
#include "flow.h"

#include "base/assert.h"
#include "base/list.h"
#include "trace/log.h"

#include <stdlib.h>
#include <string.h>

#define SLICE_MAX    50
#define EXPECTED_MAX (SLICE_MAX * WALLETS_EXPECTED_MAX)
#define SCOPES_MAX   4096

enum phase {
    TRANSFERS,
    HOLDS,
    WITHDRAWALS,
    WALLETS,
    PHASE_COUNT,
};

struct wallets_reconciler {
    struct wallets *wallets;
    uint64_t scopes[SCOPES_MAX];
    uint32_t scope_count;
    uint32_t scope_index;
    enum phase phase;
    char cursor[ID_TEXT_SIZE]; /* the last document that was looked at */
    bool alone;                /* the next one: with those behind it there was no memory */
    uint64_t history_before;   /* WALLETS: how far its history was read; 0: from the newest on */
    char wallet[ID_TEXT_SIZE]; /* WALLETS: whose history that is */
    uint64_t differences;      /* of this run */
};

/* What a document says of a transfer in the books. */
struct expected {
    struct span document;
    u128 id;
    int64_t amount; /* minor units; below zero: it must not be there */
    uint32_t ledger;
    uint32_t version; /* of the document */
};

struct slice {
    struct wallets_flow flow;
    struct wallets_reconciler *reconciler;
    const struct resource_type *type; /* of the documents */
    uint32_t count;                   /* of them that were read */
    struct expected expected[EXPECTED_MAX];
    uint32_t expected_count;
    u128 ids[EXPECTED_MAX];
    struct ledger_transfer found[EXPECTED_MAX];
    struct port_ledger_filter filter;
    u128 account;
};

static void
again_later(struct wallets *wallets)
{
    uint64_t now = os_monotonic_ns(wallets->parts.clock);
    os_timer_arm(
        wallets->parts.loop,
        &wallets->reconcile_timer,
        now + (uint64_t)wallets->parts.settings.reconcile_interval_ms * OS_NS_PER_MS);
}

static void
difference(struct slice *slice, struct span document, const char *what, int64_t says, int64_t books)
{
    slice->reconciler->differences++;
    TRACE_LOG(
        slice->reconciler->wallets->parts.log,
        TRACE_ERROR,
        "wallets",
        SPAN_EMPTY,
        "documents and books differ",
        trace_text("document", document),
        trace_cstr("difference", what),
        trace_i64("documents", says),
        trace_i64("books", books));
}

static void
set_text(char out[ID_TEXT_SIZE], struct span text)
{
    ASSERT(text.size < ID_TEXT_SIZE);
    memset(out, 0, ID_TEXT_SIZE);
    if (text.size != 0) {
        memcpy(out, text.data, text.size);
    }
}

static void
next_phase(struct wallets_reconciler *reconciler)
{
    set_text(reconciler->cursor, SPAN_EMPTY);
    reconciler->phase++;
    if (reconciler->phase == PHASE_COUNT) {
        reconciler->phase = TRANSFERS;
        reconciler->scope_index++;
    }
}

static void
end_slice(struct slice *slice, err_t error)
{
    struct wallets *wallets = slice->reconciler->wallets;
    if (error != ERR_OK) {
        resource_internal(slice->flow.op, error, "reconciler");
    } else {
        resource_finish(slice->flow.op);
    }
    again_later(wallets);
}

/* -------------------------------------------------------------------- documents, then books --- */

static void
expect(
    struct slice *slice,
    const struct resource_header *document,
    struct span currency,
    const struct books_expected *expected,
    uint32_t count)
{
    ASSERT(slice->expected_count + count <= EXPECTED_MAX);
    uint32_t ledger =
        books_ledger_number(wallets_currency(currency), resource_op_caller(slice->flow.op)->live);
    for (uint32_t i = 0; i < count; i++) {
        slice->ids[slice->expected_count] = expected[i].transfer;
        slice->expected[slice->expected_count++] = (struct expected){
            .document = document->id,
            .version = document->version,
            .id = expected[i].transfer,
            .amount = expected[i].amount,
            .ledger = ledger,
        };
    }
}

static bool
collect(void *context, void *document)
{
    struct slice *slice = context;
    const struct resource_header *header = document;
    struct books_expected expected[WALLETS_EXPECTED_MAX];
    slice->count++;
    set_text(slice->reconciler->cursor, header->id);
    switch (slice->reconciler->phase) {
    case TRANSFERS: {
        const struct wallets_transfer *transfer = document;
        uint32_t count = wallets_expect_transfer(transfer, expected);
        expect(slice, header, transfer->currency, expected, count);
        return true;
    }
    case HOLDS: {
        const struct wallets_hold *hold = document;
        uint32_t count = wallets_expect_hold(hold, expected);
        expect(slice, header, hold->currency, expected, count);
        return true;
    }
    case WITHDRAWALS: {
        const struct wallets_withdrawal *withdrawal = document;
        uint32_t count = wallets_expect_withdrawal(withdrawal, expected);
        expect(slice, header, withdrawal->currency, expected, count);
        return true;
    }
    case WALLETS:
    case PHASE_COUNT:
        break;
    }
    UNREACHABLE();
}

/* It is told, and the next ones are looked at. */
static void
skip_damaged(void *context, struct span id)
{
    struct slice *slice = context;
    slice->count++;
    set_text(slice->reconciler->cursor, id);
    difference(slice, id, "it cannot be read", 0, 0);
}

/* Somebody took it up after it was read, as who captures a hold: the next run sees how that ended.
 */
static bool
has_changed(struct slice *slice, const struct expected *expected)
{
    void *found;
    err_t error = resource_load(slice->flow.op, slice->type, expected->document, &found);
    return error != ERR_OK || ((const struct resource_header *)found)->version != expected->version;
}

static void
compare(struct slice *slice, const struct expected *expected)
{
    const struct ledger_transfer *found = NULL;
    for (uint32_t i = 0; i < slice->flow.ledger.out_count && found == NULL; i++) {
        found = slice->found[i].id == expected->id ? &slice->found[i] : NULL;
    }
    bool agrees = found == NULL ? expected->amount < 0
                                : found->ledger == expected->ledger &&
                                      found->amount == (u128)expected->amount;
    if (agrees || has_changed(slice, expected)) {
        return;
    }
    if (found == NULL) {
        difference(slice, expected->document, "not in the books", expected->amount, 0);
    } else if (expected->amount < 0) {
        difference(
            slice, expected->document, "in the books all the same", 0, (int64_t)found->amount);
    } else if (found->ledger != expected->ledger) {
        difference(
            slice,
            expected->document,
            "another currency in the books",
            (int64_t)expected->ledger,
            (int64_t)found->ledger);
    } else {
        difference(
            slice,
            expected->document,
            "other amount in the books",
            expected->amount,
            (int64_t)found->amount);
    }
}

static void
looked_up(struct port_ledger_request *request)
{
    struct wallets_flow *flow = CONTAINER_OF(request, struct wallets_flow, ledger);
    struct slice *slice = CONTAINER_OF(flow, struct slice, flow);
    for (uint32_t i = 0; i < slice->expected_count && request->error == ERR_OK; i++) {
        compare(slice, &slice->expected[i]);
    }
    end_slice(slice, request->error);
}

static void
submit(struct slice *slice, void (*done)(struct port_ledger_request *request))
{
    struct wallets_flow *flow = &slice->flow;
    flow->ledger.out.transfers = slice->found;
    flow->ledger.reply_to = resource_op_executor(flow->op);
    flow->ledger.done = done;
    flow->wallets->parts.ledger->submit(flow->wallets->parts.ledger, &flow->ledger);
}

static void
compare_documents(struct slice *slice, const struct resource_type *type)
{
    struct wallets_reconciler *reconciler = slice->reconciler;
    char above[ID_TEXT_SIZE];
    slice->type = type;
    memcpy(above, reconciler->cursor, sizeof(above));
    const struct document_query query = {
        .range_column = UINT32_MAX,
        .id_above = span_from_cstr(above),
        .oldest_first = true,
        .limit = reconciler->alone ? 1 : SLICE_MAX,
    };
    const struct resource_visitor visitor = {
        .each = collect, .damaged = skip_damaged, .context = slice};
    err_t error = resource_visit(slice->flow.op, type, &query, &visitor);
    if (error == ERR_OK && slice->count < query.limit) {
        next_phase(reconciler);
    }
    reconciler->alone = error == ERR_FULL && !reconciler->alone;
    if (error != ERR_OK || slice->expected_count == 0) {
        end_slice(slice, error);
        return;
    }
    slice->flow.ledger.operation = PORT_LEDGER_LOOKUP_TRANSFERS;
    slice->flow.ledger.count = slice->expected_count;
    slice->flow.ledger.in.ids = slice->ids;
    submit(slice, looked_up);
}

/* -------------------------------------------------------------------- books, then documents --- */

static const void *
explanation(
    struct slice *slice,
    const struct resource_type *type,
    const struct ledger_transfer *movement,
    err_t *ret_error)
{
    char id[ID_TEXT_SIZE];
    void *found = NULL;
    size_t size = id_format(type->prefix, movement->user_data_128, id);
    err_t error = resource_load(slice->flow.op, type, span_of(id, size), &found);
    if (error == ERR_NOT_FOUND) {
        difference(slice, span_of(id, size), "no document", 0, (int64_t)movement->amount);
    } else if (error != ERR_OK && error != ERR_CORRUPT) { /* that is told where it is read */
        *ret_error = error;
    }
    return error == ERR_OK ? found : NULL;
}

static void
unless(struct slice *slice, bool explained, const void *document, int64_t amount)
{
    if (!explained) {
        const struct resource_header *header = document;
        difference(slice, header->id, "moved, and the document does not say so", 0, amount);
    }
}

static err_t
explain(struct slice *slice, const struct ledger_transfer *movement)
{
    err_t error = ERR_OK;
    int64_t amount = (int64_t)movement->amount;
    if (movement->code == BOOKS_WALLET_TRANSFER || movement->code == BOOKS_DEPOSIT) {
        const struct wallets_transfer *transfer =
            explanation(slice, &wallets_transfer_type, movement, &error);
        if (transfer != NULL) {
            unless(
                slice,
                wallets_attempt_is_open(&transfer->attempt) ||
                    span_equal_cstr(transfer->status, "succeeded"),
                transfer,
                amount);
        }
    } else if (movement->code == BOOKS_WALLET_HOLD) {
        const struct wallets_hold *hold = explanation(slice, &wallets_hold_type, movement, &error);
        if (hold != NULL) {
            unless(
                slice,
                wallets_attempt_is_open(&hold->attempt) ||
                    span_equal_cstr(hold->status, "captured"),
                hold,
                amount);
        }
    } else if (movement->code == BOOKS_WITHDRAWAL || movement->code == BOOKS_WITHDRAWAL_RETURN) {
        const struct wallets_withdrawal *withdrawal =
            explanation(slice, &wallets_withdrawal_type, movement, &error);
        if (withdrawal != NULL) {
            unless(
                slice,
                wallets_attempt_is_open(&withdrawal->attempt) || withdrawal->paid_at != 0,
                withdrawal,
                amount);
        }
    }
    return error;
}

static void
history_read(struct port_ledger_request *request)
{
    struct wallets_flow *flow = CONTAINER_OF(request, struct wallets_flow, ledger);
    struct slice *slice = CONTAINER_OF(flow, struct slice, flow);
    struct wallets_reconciler *reconciler = slice->reconciler;
    const unsigned still = LEDGER_TRANSFER_PENDING | LEDGER_TRANSFER_VOID_PENDING;
    err_t error = request->error;
    for (uint32_t i = 0; i < request->out_count && error == ERR_OK; i++) {
        const struct ledger_transfer *movement = &slice->found[i];
        /* What went from wallet to wallet is looked at once. */
        bool ours = movement->debit_account_id == slice->account ||
                    movement->code == BOOKS_DEPOSIT || movement->code == BOOKS_WITHDRAWAL_RETURN;
        if (ours && (movement->flags & still) == 0) {
            error = explain(slice, movement);
        }
    }
    if (error == ERR_OK) {
        bool more = request->out_count == slice->filter.limit;
        reconciler->history_before = more ? slice->found[request->out_count - 1].timestamp : 0;
        if (!more) {
            memcpy(reconciler->cursor, reconciler->wallet, sizeof(reconciler->cursor));
        }
    }
    reconciler->alone = error == ERR_FULL && !reconciler->alone;
    end_slice(slice, error);
}

static bool
take_wallet(void *context, void *document)
{
    struct slice *slice = context;
    slice->flow.wallet = document;
    return false;
}

static void
compare_history(struct slice *slice)
{
    struct wallets_reconciler *reconciler = slice->reconciler;
    const struct document_query query = {
        .range_column = UINT32_MAX,
        .id_above = span_from_cstr(reconciler->cursor),
        .oldest_first = true,
        .limit = 1,
    };
    const struct resource_visitor visitor = {
        .each = take_wallet, .damaged = skip_damaged, .context = slice};
    err_t error = resource_visit(slice->flow.op, &wallets_wallet_type, &query, &visitor);
    const struct wallets_wallet *wallet = slice->flow.wallet;
    if (error != ERR_OK || wallet == NULL) {
        if (error == ERR_OK && slice->count == 0) {
            next_phase(reconciler);
        }
        end_slice(slice, error);
        return;
    }
    set_text(reconciler->wallet, wallet->header.id);
    slice->account = wallets_account(&slice->flow, wallet->header.id, wallet->currency);
    slice->filter = (struct port_ledger_filter){
        .account_id = slice->account,
        .debits = true,
        .credits = true,
        .reversed = true,
        .limit = reconciler->alone ? 1 : SLICE_MAX,
        .timestamp_max = reconciler->history_before == 0 ? 0 : reconciler->history_before - 1,
    };
    slice->flow.ledger.operation = PORT_LEDGER_GET_ACCOUNT_TRANSFERS;
    slice->flow.ledger.in.filter = &slice->filter;
    submit(slice, history_read);
}

/* ------------------------------------------------------------------------------------- runs --- */

static void
look_at_slice(struct resource_op *op)
{
    struct wallets *wallets = resource_op_service(op);
    struct slice *slice = ARENA_NEW(resource_op_arena(op), struct slice);
    if (slice == NULL) {
        resource_internal(op, ERR_FULL, "reconciler memory");
        again_later(wallets);
        return;
    }
    slice->reconciler = wallets->reconciler;
    slice->flow.wallets = wallets;
    slice->flow.op = op;
    switch (wallets->reconciler->phase) {
    case TRANSFERS:
        compare_documents(slice, &wallets_transfer_type);
        return;
    case HOLDS:
        compare_documents(slice, &wallets_hold_type);
        return;
    case WITHDRAWALS:
        compare_documents(slice, &wallets_withdrawal_type);
        return;
    case WALLETS:
        compare_history(slice);
        return;
    case PHASE_COUNT:
        break;
    }
    UNREACHABLE();
}

static void
add_scope(void *context, uint64_t scope)
{
    struct wallets_reconciler *reconciler = context;
    if (reconciler->scope_count < SCOPES_MAX) {
        reconciler->scopes[reconciler->scope_count++] = scope;
    }
}

static void
end_run(struct wallets_reconciler *reconciler)
{
    struct wallets *wallets = reconciler->wallets;
    if (reconciler->scope_count != 0) {
        atomic_store(&wallets->differences, reconciler->differences);
        atomic_fetch_add(&wallets->reconcile_runs, 1);
    }
    reconciler->scope_count = 0;
    reconciler->scope_index = 0;
    reconciler->differences = 0;
    /* Without the list nothing is compared now; the next tick tries again. */
    err_t error = resource_scope_each(wallets->parts.runtime, add_scope, reconciler);
    (void)error;
}

/* Who leads tells what it found; a run that another process took over has no end here. */
static void
stand_by(struct wallets *wallets)
{
    struct wallets_reconciler *reconciler = wallets->reconciler;
    atomic_store(&wallets->differences, 0);
    if (reconciler->scope_count != 0) {
        *reconciler = (struct wallets_reconciler){.wallets = wallets};
    }
}

static void
reconcile_fired(struct os_timer *timer)
{
    struct wallets *wallets = CONTAINER_OF(timer, struct wallets, reconcile_timer);
    struct wallets_reconciler *reconciler = wallets->reconciler;
    if (!resource_leads(wallets->parts.runtime, "reconciling wallets")) {
        stand_by(wallets);
        again_later(wallets);
        return;
    }
    if (reconciler->scope_index >= reconciler->scope_count) {
        end_run(reconciler);
        again_later(wallets);
        return;
    }
    err_t error = resource_start_internal(
        wallets->parts.runtime,
        reconciler->scopes[reconciler->scope_index],
        wallets,
        look_at_slice,
        NULL);
    if (error != ERR_OK) {
        again_later(wallets);
    }
}

void
wallets_reconciler_start(struct wallets *wallets)
{
    wallets->reconciler = calloc(1, sizeof(*wallets->reconciler));
    ASSERT(wallets->reconciler != NULL);
    wallets->reconciler->wallets = wallets;
    wallets->reconcile_timer.fire = reconcile_fired;
    again_later(wallets);
}

void
wallets_reconciler_destroy(struct wallets *wallets)
{
    free(wallets->reconciler);
    wallets->reconciler = NULL;
}
