/*
 * Payouts that nobody asks for: on each day of the merchant's schedule, in each currency, what is
 * available then.
 *
 *   look        books: what is available                                                     (1)
 *   choose      documents: the next currency that has money and a bank account: the id of its
 *               payout, and where that goes                                                  (2)
 *   hold        books: as much as there is, as that payout's                                 (3)
 *   held        documents: the payout, and that its currency is done; and again from (1)     (4)
 *   day_over    documents: no currency is left: the next day of the schedule                 (5)
 *   put_off     documents: something could not be read, or the books did not answer: later,
 *               and later still each time, where it was                                     (5')
 *
 * From (4) on it is a payout as any other (payout.c). Between (2) and (4) nobody is shown it; a
 * change of the schedule does not take it back.
 */
#include "payout.h"
#include "payout_calendar.h"

#include "base/assert.h"
#include "base/list.h"
#include "os/fault.h"
#include "trace/log.h"

#include <string.h>

/* Whole coins of every currency. */
#define AMOUNT_HIGH INT64_C(999999999900)

struct run {
    struct payments_payout_flow flow; /* of the payout in hand */
    struct payments *payments;
    struct resource_op *op;
    struct payments_payout_schedule *schedule;
    struct span wanted;
    struct port_ledger_request request;
    u128 *ids; /* of what is available, by the currencies' places */
    struct ledger_account *accounts;
    uint32_t count;
};

static void look(struct resource_op *op);

/* ---------------------------------------------------------------------------- the document --- */

struct span
payments_payout_schedule_id(struct resource_op *op)
{
    char text[ID_TEXT_SIZE];
    u128 number = resource_derived_id(resource_op_caller(op)->scope, "payout schedule");
    size_t size = id_format(payments_payout_schedule_type.prefix, number, text);
    return arena_copy(resource_op_arena(op), span_of(text, size));
}

err_t
payments_payout_schedule_load(
    struct resource_op *op, struct payments_payout_schedule **ret_schedule)
{
    void *found;
    struct span id = payments_payout_schedule_id(op);
    if (id.size == 0) {
        return ERR_FULL;
    }
    err_t error = resource_load(op, &payments_payout_schedule_type, id, &found);
    if (error != ERR_NOT_FOUND) {
        if (error == ERR_OK) {
            *ret_schedule = found;
        }
        return error;
    }
    struct payments_payout_schedule *fresh = resource_new(op, &payments_payout_schedule_type);
    if (fresh == NULL) {
        return ERR_FULL;
    }
    fresh->header.id = id;
    fresh->interval = SPAN("manual");
    *ret_schedule = fresh;
    return ERR_OK;
}

static bool
is_manual(const struct payments_payout_schedule *schedule)
{
    return span_equal_cstr(schedule->interval, "manual");
}

static int64_t
next_day(struct resource_op *op, const struct payments_payout_schedule *schedule)
{
    const struct payments *payments = resource_op_service(op);
    if (is_manual(schedule)) {
        return 0;
    }
    const struct payments_calendar calendar = {
        .interval = span_equal_cstr(schedule->interval, "weekly")    ? PAYMENTS_CALENDAR_WEEKLY
                    : span_equal_cstr(schedule->interval, "monthly") ? PAYMENTS_CALENDAR_MONTHLY
                                                                     : PAYMENTS_CALENDAR_DAILY,
        .days = (uint32_t)schedule->days,
    };
    return payments_calendar_next(
        &calendar, (int64_t)resource_now_s(op), payments->parts.settings.payout_day_s);
}

void
payments_payout_schedule_arm(struct resource_op *op, struct payments_payout_schedule *schedule)
{
    if (schedule->payout.size == 0) {
        schedule->done = SPAN_EMPTY;
        schedule->missing = SPAN_EMPTY;
        schedule->attempt = (struct payments_attempt){.tries = 0};
        schedule->due = next_day(op, schedule);
    }
}

/* ------------------------------------------------------------------------------------ (5') --- */

/* What is under way stays as it is: it is asked for again, by the same id. */
static void
put_off(struct run *run, err_t why)
{
    struct payments_payout_schedule *schedule = run->schedule;
    struct payments_attempt *attempt = &schedule->attempt;
    if (attempt->tries == 0) {
        attempt->began = (int64_t)resource_now_s(run->op);
    }
    schedule->due = payments_attempt_again(run->op, attempt);
    TRACE_LOG(
        run->payments->parts.log,
        TRACE_WARNING,
        "payments",
        SPAN_EMPTY,
        "payouts of a schedule are put off",
        trace_cstr("merchant", resource_op_caller(run->op)->merchant_id),
        trace_cstr("error", err_name(why)),
        trace_i64("tries", attempt->tries),
        trace_i64("again", schedule->due));
    err_t error = resource_save(run->op, &payments_payout_schedule_type, schedule);
    if (error != ERR_OK) {
        resource_internal(run->op, error, "payout schedule");
        return;
    }
    resource_finish(run->op);
}

/* ------------------------------------------------------------------------------------- (5) --- */

static void
day_over(struct run *run, struct span missing)
{
    FAULT_POINT("payout-before-day-over");
    payments_payout_schedule_arm(run->op, run->schedule);
    run->schedule->missing = missing;
    err_t error = resource_save(run->op, &payments_payout_schedule_type, run->schedule);
    if (error != ERR_OK) {
        resource_internal(run->op, error, "payout schedule");
        return;
    }
    resource_finish(run->op);
}

/* -------------------------------------------------------------------------------- (4), (3) --- */

static void
forget_payout(struct payments_payout_schedule *schedule)
{
    schedule->done = schedule->currency;
    schedule->payout = SPAN_EMPTY;
    schedule->currency = SPAN_EMPTY;
    schedule->destination = SPAN_EMPTY;
    schedule->number = SPAN_EMPTY;
    schedule->amount = 0;
    schedule->attempt = (struct payments_attempt){.tries = 0};
}

static err_t
save_payout(struct run *run)
{
    struct payments_payout *payout = run->flow.payout;
    payout->arrival_date = payments_payout_arrival((int64_t)resource_now_s(run->op));
    TRY(payments_payout_line_of_hold(&run->flow));
    TRY(resource_save(run->op, &payments_payout_type, payout));
    return resource_emit(run->op, "payout.created", &payments_payout_type, payout, SPAN_EMPTY);
}

static void
held(struct payments_payout_flow *flow, enum payments_payout_posting posting)
{
    FAULT_POINT("payout-before-automatic");
    struct run *run = CONTAINER_OF(flow, struct run, flow);
    err_t error = ERR_OK;
    if (posting == PAYMENTS_PAYOUT_POSTED) {
        error = save_payout(run);
    } else if (posting != PAYMENTS_PAYOUT_TOO_MUCH) {
        put_off(run, ERR_OUTCOME_UNKNOWN);
        return;
    }
    if (error != ERR_OK) {
        resource_internal(run->op, error, "automatic payout");
        return;
    }
    forget_payout(run->schedule);
    resource_save_then(
        run->op, &payments_payout_schedule_type, run->schedule, "payout schedule", look);
}

static void
hold(struct resource_op *op)
{
    FAULT_POINT("payout-before-most");
    struct run *run = resource_op_state(op);
    const struct payments_payout_schedule *schedule = run->schedule;
    struct payments_payout *payout = resource_new(op, &payments_payout_type);
    if (payout == NULL) {
        resource_internal(op, ERR_FULL, "request memory");
        return;
    }
    payout->header.id = schedule->payout;
    payout->header.created = resource_created_of(&payments_payout_type, schedule->payout);
    payout->automatic = true;
    payout->amount = schedule->amount;
    payout->currency = schedule->currency;
    payout->status = SPAN("pending");
    payout->destination = schedule->destination;
    payout->number = schedule->number;
    payout->trace = resource_trace_parent(op);
    run->flow.payout = payout;
    payments_payout_post_most(&run->flow, held);
}

/* -------------------------------------------------------------------------------- (2), (1) --- */

/* What is available and banks can pay, in the API's units. */
static int64_t
available(const struct run *run, uint32_t place)
{
    for (uint32_t i = 0; i < run->request.out_count; i++) {
        const struct ledger_account *account = &run->accounts[i];
        if (account->id != run->ids[place]) {
            continue;
        }
        u128 out = account->debits_posted + account->debits_pending;
        if (account->credits_posted <= out) {
            return 0;
        }
        struct money have = {(int64_t)(account->credits_posted - out), currency_at(place)};
        struct money shown;
        int64_t amount = money_to_api(have);
        amount = amount < AMOUNT_HIGH ? amount : AMOUNT_HIGH;
        err_t error = money_from_api(amount, have.currency, &shown);
        ASSERT(error == ERR_OK);
        amount = shown.amount > have.amount ? amount - 1 : amount;
        return amount - amount % payments_payout_coin(have.currency);
    }
    return 0;
}

static void
begin(struct run *run, uint32_t place, const struct payments_bank_account *account)
{
    struct payments_payout_schedule *schedule = run->schedule;
    u128 number;
    schedule->payout = resource_new_id(run->op, payments_payout_type.prefix, &number);
    if (schedule->payout.size == 0) {
        resource_internal(run->op, ERR_FULL, "request memory");
        return;
    }
    schedule->currency = span_from_cstr(currency_at(place)->api_code);
    schedule->amount = available(run, place);
    schedule->destination = account->header.id;
    schedule->number = account->number;
    resource_save_then(run->op, &payments_payout_schedule_type, schedule, "payout schedule", hold);
}

/* Currencies are in the order of their codes. */
static bool
is_done(const struct run *run, const char *code)
{
    struct span done = run->schedule->done;
    return done.size != 0 && memcmp(code, done.data, done.size) <= 0;
}

/* What cannot be read of one currency holds up no other one. */
static void
choose(struct run *run)
{
    struct span missing = SPAN_EMPTY;
    err_t unread = ERR_OK;
    for (uint32_t i = 0; i < run->count; i++) {
        struct span code = span_from_cstr(currency_at(i)->api_code);
        struct payments_bank_account *account = NULL;
        if (available(run, i) == 0) {
            continue;
        }
        err_t error = payments_bank_account_default(run->op, code, &account);
        if (error == ERR_CORRUPT) {
            unread = error;
            continue;
        }
        if (error != ERR_OK) {
            put_off(run, error);
            return;
        }
        if (account == NULL) {
            missing = arena_format(
                resource_op_arena(run->op),
                "%.*s%s%.*s",
                SPAN_PRINTF(missing),
                missing.size == 0 ? "" : " ",
                SPAN_PRINTF(code));
        } else if (!account->errored && !is_done(run, code.data)) {
            begin(run, i, account);
            return;
        }
    }
    if (unread != ERR_OK) {
        put_off(run, unread);
        return;
    }
    day_over(run, missing);
}

static void
looked(struct port_ledger_request *request)
{
    struct run *run = CONTAINER_OF(request, struct run, request);
    if (request->error != ERR_OK) {
        put_off(run, request->error);
        return;
    }
    choose(run);
}

static void
look(struct resource_op *op)
{
    struct run *run = resource_op_state(op);
    const struct resource_caller *caller = resource_op_caller(op);
    struct port_ledger *ledger = run->payments->parts.ledger;
    if (is_manual(run->schedule)) {
        day_over(run, SPAN_EMPTY); /* it was changed amid a day */
        return;
    }
    for (uint32_t i = 0; i < run->count; i++) {
        run->ids[i] = payments_merchant_account(
            run->payments, caller, BOOKS_MERCHANT_AVAILABLE, currency_at(i));
    }
    run->request = (struct port_ledger_request){
        .operation = PORT_LEDGER_LOOKUP_ACCOUNTS,
        .count = run->count,
        .in.ids = run->ids,
        .out.accounts = run->accounts,
        .reply_to = resource_op_executor(op),
        .done = looked,
        .trace = resource_op_trace(op),
    };
    ledger->submit(ledger, &run->request);
}

/* ------------------------------------------------------------------------------- the sweeper -- */

static void
drive_locked(struct resource_op *op)
{
    struct run *run = resource_op_state(op);
    void *found;
    err_t error = resource_load(op, &payments_payout_schedule_type, run->wanted, &found);
    if (error != ERR_OK) {
        resource_internal(op, error, "payout schedule");
        return;
    }
    run->schedule = found;
    if (run->payments->parts.bank_rail == NULL || run->schedule->due == 0 ||
        run->schedule->due > (int64_t)resource_now_s(op)) {
        resource_finish(op); /* another process was here, or the merchant */
        return;
    }
    resource_trace_begin(op, "automatic payouts", SPAN_EMPTY);
    if (run->schedule->payout.size != 0) {
        hold(op);
    } else {
        look(op);
    }
}

void
payments_payout_schedule_drive(struct resource_op *op, struct span id)
{
    struct arena *arena = resource_op_arena(op);
    struct run *run = ARENA_NEW(arena, struct run);
    uint32_t count = (uint32_t)currency_count();
    if (run != NULL) {
        run->ids = ARENA_ARRAY(arena, u128, count);
        run->accounts = ARENA_ARRAY(arena, struct ledger_account, count);
    }
    if (run == NULL || run->ids == NULL || run->accounts == NULL) {
        resource_internal(op, ERR_FULL, "request memory");
        return;
    }
    run->payments = resource_op_service(op);
    run->op = op;
    run->wanted = id;
    run->count = count;
    run->flow.payments = run->payments;
    run->flow.op = op;
    resource_op_set_state(op, run);
    resource_lock(op, id, drive_locked);
}
