/*
 * Two passes over the journal. The first verifies the bytes and counts what there is, so that the
 * second has tables of the right size; the second redoes and recomputes.
 */
#include "engine/check.h"

#include "os/large.h"
#include "store/verify.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct check {
    const struct ledger_check_settings *settings;
    struct ledger_check_report *report;
    struct store_verify_visitor visitor;
    bool second_pass;

    /* The first pass. */
    uint64_t live;
    uint64_t live_max;

    /* The second pass. */
    struct ledger *ledger;
    struct ledger_balances *balances; /* by slot, from the transfers alone */
    uint64_t clock;
};

/* --- the first pass --- */

static err_t
count_account(void *context, const struct ledger_account *account)
{
    (void)account;
    ((struct check *)context)->report->accounts++;
    return ERR_OK;
}

static err_t
count_event(void *context, const struct ledger_event *event)
{
    struct check *check = context;
    switch ((enum ledger_event_kind)event->kind) {
    case LEDGER_EVENT_SINGLE_PHASE:
        break;
    case LEDGER_EVENT_TWO_PHASE_PENDING:
        check->live++;
        check->live_max = check->live > check->live_max ? check->live : check->live_max;
        break;
    case LEDGER_EVENT_TWO_PHASE_POSTED:
    case LEDGER_EVENT_TWO_PHASE_VOIDED:
    case LEDGER_EVENT_TWO_PHASE_EXPIRED:
        check->visitor.reason = "more pending transfers finished than began";
        if (check->live == 0) {
            return ERR_CORRUPT;
        }
        check->live--;
        break;
    }
    if (event->kind == LEDGER_EVENT_TWO_PHASE_EXPIRED) {
        check->report->expiries++;
    } else {
        check->report->transfers++;
    }
    return ERR_OK;
}

static err_t
count_failed(void *context, u128 id)
{
    (void)id;
    ((struct check *)context)->report->failed_ids++;
    return ERR_OK;
}

static err_t
check_clock(void *context, uint64_t clock)
{
    struct check *check = context;
    check->visitor.reason = "the clock goes back";
    if (clock < check->clock) {
        return ERR_CORRUPT;
    }
    check->clock = clock;
    return ERR_OK;
}

/* --- sums --- */

/* Where the ledger number is, or belongs. */
static uint32_t
sum_place(const struct ledger_check_report *report, uint32_t ledger)
{
    uint32_t low = 0;
    uint32_t high = report->sum_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (report->sums[middle].ledger < ledger) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static err_t
sum_of(struct ledger_check_report *report, uint32_t ledger, struct ledger_check_sum **ret_sum)
{
    uint32_t at = sum_place(report, ledger);
    if (at == report->sum_count || report->sums[at].ledger != ledger) {
        if (report->sum_count == LEDGER_CHECK_SUMS_MAX) {
            return ERR_FULL;
        }
        struct ledger_check_sum *grown =
            realloc(report->sums, ((size_t)report->sum_count + 1) * sizeof(*grown));
        if (grown == NULL) {
            return ERR_MEMORY;
        }
        report->sums = grown;
        memmove(&grown[at + 1], &grown[at], (report->sum_count - at) * sizeof(*grown));
        grown[at] = (struct ledger_check_sum){.ledger = ledger};
        report->sum_count++;
    }
    *ret_sum = &report->sums[at];
    return ERR_OK;
}

/* --- the second pass --- */

static err_t
redo_account(void *context, const struct ledger_account *account)
{
    struct check *check = context;
    check->visitor.reason = "account that is there already, or out of order";
    struct ledger_check_sum *sum = NULL;
    TRY(sum_of(check->report, account->ledger, &sum));
    sum->accounts++;
    return ledger_load_account(check->ledger, account);
}

/* What the event does, by its transfer and the pending one that it finishes. False if an amount
 * does not fit or is not there. */
static bool
recompute(
    struct ledger_balances *debit,
    struct ledger_balances *credit,
    const struct ledger_event *event,
    const struct ledger_transfer *pending)
{
    u128 amount = event->transfer.amount;
    u128 released = pending == NULL ? 0 : pending->amount;
    u128 posted = 0;
    u128 held = 0;
    switch ((enum ledger_event_kind)event->kind) {
    case LEDGER_EVENT_SINGLE_PHASE:
    case LEDGER_EVENT_TWO_PHASE_POSTED:
        posted = amount;
        break;
    case LEDGER_EVENT_TWO_PHASE_PENDING:
        held = amount;
        break;
    case LEDGER_EVENT_TWO_PHASE_VOIDED:
    case LEDGER_EVENT_TWO_PHASE_EXPIRED:
        break;
    }
    return !__builtin_sub_overflow(debit->debits_pending, released, &debit->debits_pending) &&
           !__builtin_sub_overflow(credit->credits_pending, released, &credit->credits_pending) &&
           !__builtin_add_overflow(debit->debits_pending, held, &debit->debits_pending) &&
           !__builtin_add_overflow(credit->credits_pending, held, &credit->credits_pending) &&
           !__builtin_add_overflow(debit->debits_posted, posted, &debit->debits_posted) &&
           !__builtin_add_overflow(credit->credits_posted, posted, &credit->credits_posted);
}

static bool
same_balances(const struct ledger_balances *a, const struct ledger_balances *b)
{
    return memcmp(a, b, sizeof(*a)) == 0;
}

static err_t
redo_event(void *context, const struct ledger_event *event)
{
    struct check *check = context;
    check->visitor.reason = "event of an account that is not there";
    if (event->debit_slot >= ledger_account_count(check->ledger) ||
        event->credit_slot >= ledger_account_count(check->ledger)) {
        return ERR_CORRUPT;
    }
    const struct ledger_transfer *pending = NULL;
    bool expired = event->kind == LEDGER_EVENT_TWO_PHASE_EXPIRED;
    if (expired || event->kind != LEDGER_EVENT_SINGLE_PHASE) {
        u128 id = expired ? event->transfer.id : event->transfer.pending_id;
        pending = ledger_find_pending_on(check->ledger, id, event->debit_slot, event->credit_slot);
    }
    struct ledger_balances *debit = &check->balances[event->debit_slot];
    struct ledger_balances *credit = &check->balances[event->credit_slot];
    check->visitor.reason = "recorded balances are not those that the transfers give";
    if (!recompute(debit, credit, event, pending) || !same_balances(debit, &event->debit) ||
        !same_balances(credit, &event->credit)) {
        return ERR_CORRUPT;
    }
    struct ledger_check_sum *sum = NULL;
    TRY(sum_of(check->report, event->transfer.ledger, &sum));
    sum->transfers += event->kind != LEDGER_EVENT_TWO_PHASE_EXPIRED;
    check->visitor.reason = "event does not follow from what was before it";
    return ledger_redo(check->ledger, event);
}

static err_t
redo_failed(void *context, u128 id)
{
    (void)context;
    (void)id;
    return ERR_OK;
}

/* --- at the end --- */

/* Modulo 2^128: sums over many accounts may not fit, but equal sums stay equal. */
static void
add_balances(struct ledger_balances *total, const struct ledger_balances *more)
{
    total->debits_pending += more->debits_pending;
    total->debits_posted += more->debits_posted;
    total->credits_pending += more->credits_pending;
    total->credits_posted += more->credits_posted;
}

static err_t
books_balance(struct check *check, struct store_error *error)
{
    struct ledger_check_report *report = check->report;
    for (uint32_t slot = 0; slot < ledger_account_count(check->ledger); slot++) {
        struct ledger_check_sum *sum = NULL;
        TRY(sum_of(report, ledger_account_at(check->ledger, slot)->ledger, &sum));
        add_balances(&sum->total, &check->balances[slot]);
    }
    for (uint32_t i = 0; i < report->sum_count; i++) {
        const struct ledger_balances *total = &report->sums[i].total;
        if (total->debits_posted != total->credits_posted ||
            total->debits_pending != total->credits_pending) {
            error->code = ERR_CORRUPT;
            snprintf(
                error->message,
                sizeof(error->message),
                "ledger %u: debits are not credits",
                report->sums[i].ledger);
            return ERR_CORRUPT;
        }
    }
    if (ledger_validate(check->ledger) != ERR_OK) {
        error->code = ERR_CORRUPT;
        snprintf(error->message, sizeof(error->message), "the ledger's state is not valid");
        return ERR_CORRUPT;
    }
    return ERR_OK;
}

static void
check_progress(void *context, uint64_t done, uint64_t total)
{
    struct check *check = context;
    if (check->settings->progress != NULL) {
        check->settings->progress(
            check->settings->context, check->second_pass ? total + done : done, 2 * total);
    }
}

static err_t
tables_create(struct check *check)
{
    if (check->report->accounts >= LEDGER_COUNT_MAX || check->live_max >= LEDGER_COUNT_MAX) {
        return ERR_FULL;
    }
    struct ledger_limits limits = {
        .account_count_max = (uint32_t)check->report->accounts + 1,
        .pending_count_max = (uint32_t)check->live_max + 1,
        .expiry_batch_max = 1,
        .on_memory = os_large_wish,
    };
    check->balances = calloc(limits.account_count_max, sizeof(*check->balances));
    if (check->balances == NULL) {
        return ERR_MEMORY;
    }
    return ledger_create(&limits, &check->ledger);
}

static err_t
passes(struct check *check, struct store_error *error)
{
    struct store_verify_report verified = {0};
    check->visitor = (struct store_verify_visitor){
        .archive = check->settings->archive,
        .account = count_account,
        .event = count_event,
        .failed = count_failed,
        .clock = check_clock,
        .progress = check_progress,
        .context = check,
        .noted = check->settings->noted,
    };
    TRY(store_verify(
        check->settings->url, check->settings->disk, &check->visitor, &verified, error));
    struct ledger_check_report *report = check->report;
    report->segments = verified.segments;
    report->frames = verified.frames;
    report->order_parts = verified.order_parts;
    report->bytes = verified.bytes;
    report->torn_bytes = verified.torn_bytes;
    report->head = verified.head;
    report->pendings = check->live;
    report->clock = check->clock;
    err_t code = tables_create(check);
    if (code != ERR_OK) {
        error->code = code;
        snprintf(error->message, sizeof(error->message), "%s", err_text(code));
        return code;
    }
    check->second_pass = true;
    check->clock = 0;
    check->visitor.account = redo_account;
    check->visitor.event = redo_event;
    check->visitor.failed = redo_failed;
    TRY(store_verify(
        check->settings->url, check->settings->disk, &check->visitor, &verified, error));
    return books_balance(check, error);
}

/* --- tables --- */

static err_t
note_sum(
    void *context,
    uint32_t ledger,
    uint32_t accounts,
    uint64_t transfers,
    const struct ledger_balances *total)
{
    struct check *check = context;
    struct ledger_check_sum *sum = NULL;
    TRY(sum_of(check->report, ledger, &sum));
    sum->accounts = accounts;
    sum->transfers = transfers;
    sum->total = *total;
    return ERR_OK;
}

/* The database does the sums; here is only told what it found. */
static err_t
check_tables(struct check *check, struct store_error *error)
{
    struct ledger_check_report *report = check->report;
    struct store_verify_tables_report verified;
    if (check->settings->noted != NULL) {
        error->code = ERR_UNSUPPORTED;
        snprintf(
            error->message,
            sizeof(error->message),
            "a ledger in PostgreSQL has no heads: the database's owner can rewrite it");
        return ERR_UNSUPPORTED;
    }
    check->second_pass = false;
    check->visitor = (struct store_verify_visitor){.progress = check_progress, .context = check};
    err_t code =
        store_verify_tables(check->settings->url, &check->visitor, note_sum, &verified, error);
    report->accounts = verified.accounts;
    report->transfers = verified.transfers;
    report->expiries = verified.expiries;
    report->failed_ids = verified.failed_ids;
    report->pendings = verified.pendings;
    report->clock = verified.clock;
    report->bytes = verified.bytes;
    report->tables = true;
    return code;
}

err_t
ledger_engine_check(
    const struct ledger_check_settings *settings,
    struct ledger_check_report *ret_report,
    struct store_error *error)
{
    *ret_report = (struct ledger_check_report){0};
    *error = (struct store_error){0};
    struct check check = {.settings = settings, .report = ret_report};
    err_t code =
        store_is_shared(settings->url) ? check_tables(&check, error) : passes(&check, error);
    ledger_destroy(&check.ledger);
    free(check.balances);
    return code;
}

void
ledger_engine_check_release(struct ledger_check_report *report)
{
    free(report->sums);
    *report = (struct ledger_check_report){0};
}
