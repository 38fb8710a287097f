#include "ledger_model_internal.h"

#include "base/assert.h"

#include <string.h>

#define BIT(flags, name) (((flags)&LEDGER_##name) != 0)

/* The rules and effects by number; a name is noted when its place is first passed. */
#define MUTATIONS_MAX 200
static const char *mutation_names[MUTATIONS_MAX];

static bool
rule_holds(const struct ledger_model *model, int number, const char *name)
{
    mutation_names[number] = name;
    return model->mutation != number;
}

/* If `condition`, the answer is `status`. */
#define REFUSE(condition, prefix, status)                                                          \
    do {                                                                                           \
        if (rule_holds(model, __COUNTER__, #prefix ": " #status) && (condition)) {                 \
            return LEDGER_##prefix##_##status;                                                     \
        }                                                                                          \
    } while (0)
#define REFUSE_ACCOUNT(condition, status)  REFUSE(condition, ACCOUNT, status)
#define REFUSE_TRANSFER(condition, status) REFUSE(condition, TRANSFER, status)
/* A rule that cannot be left out, since what follows could not go on; its mutation answers a
 * number that is no status. */
#define REQUIRE(condition, status)                                                                 \
    do {                                                                                           \
        bool holds_ = rule_holds(model, __COUNTER__, "TRANSFER: " #status);                        \
        if (!(condition)) {                                                                        \
            return holds_ ? LEDGER_TRANSFER_##status : 999;                                        \
        }                                                                                          \
    } while (0)
/* Something that is done; its mutation does not do it. */
#define EFFECT(name) rule_holds(model, __COUNTER__, "effect: " name)

/* --- time --- */

/* When a pending transfer with a timeout expires. */
static uint64_t
due_at(const struct ledger_transfer *transfer)
{
    return transfer->timestamp + (uint64_t)transfer->timeout * 1000000000u;
}

/* Of the pending transfers due at the clock, the first by (expiry time, timestamp); NULL if none
 * is due. */
static struct stored *
first_due(const struct ledger_model *model)
{
    struct stored *first = NULL;
    for (uint32_t i = 0; i < model->now.transfer_count; i++) {
        struct stored *one = &model->now.transfers[i];
        if (one->fate != LEDGER_FATE_PENDING || one->transfer.timeout == 0 ||
            due_at(&one->transfer) > model->clock) {
            continue;
        }
        if (first == NULL || due_at(&one->transfer) < due_at(&first->transfer) ||
            (due_at(&one->transfer) == due_at(&first->transfer) &&
             one->transfer.timestamp < first->transfer.timestamp)) {
            first = one;
        }
    }
    return first;
}

/* Keeps the feed in order of timestamp: an import may be older than an expiry before it. Of one
 * time the transfer comes first. */
static void
add_event(
    struct ledger_model *model,
    enum ledger_event_kind kind,
    uint64_t timestamp,
    const struct ledger_transfer *transfer)
{
    struct state *now = &model->now;
    now->events = ledger_model_grown(now->events, now->event_count, sizeof(*now->events));
    uint32_t at = now->event_count++;
    while (at > 0 && (now->events[at - 1].timestamp > timestamp ||
                      (now->events[at - 1].timestamp == timestamp &&
                       now->events[at - 1].kind == LEDGER_EVENT_TWO_PHASE_EXPIRED))) {
        now->events[at] = now->events[at - 1];
        at--;
    }
    now->events[at] = (struct ledger_model_event){
        .kind = kind,
        .timestamp = timestamp,
        .transfer = *transfer,
        .debit = *ledger_model_find_account(model, transfer->debit_account_id),
        .credit = *ledger_model_find_account(model, transfer->credit_account_id),
    };
}

static void
set_closed(struct ledger_account *account, bool closed)
{
    unsigned flags = account->flags & ~(unsigned)LEDGER_ACCOUNT_CLOSED;
    account->flags = (uint16_t)(closed ? flags | LEDGER_ACCOUNT_CLOSED : flags);
}

/* What voiding and expiry have in common. */
static void
release(struct ledger_model *model, const struct ledger_transfer *pending)
{
    struct ledger_account *debit = ledger_model_find_account(model, pending->debit_account_id);
    struct ledger_account *credit = ledger_model_find_account(model, pending->credit_account_id);
    if (EFFECT("release debits_pending")) {
        debit->debits_pending -= pending->amount;
    }
    if (EFFECT("release credits_pending")) {
        credit->credits_pending -= pending->amount;
    }
    if (BIT(pending->flags, TRANSFER_CLOSING_DEBIT) && EFFECT("re-open debit")) {
        set_closed(debit, false);
    }
    if (BIT(pending->flags, TRANSFER_CLOSING_CREDIT) && EFFECT("re-open credit")) {
        set_closed(credit, false);
    }
}

static void
pulse(struct ledger_model *model)
{
    struct stored **due = model->due;
    uint32_t count = 0;
    model->clock += 1 + LEDGER_MODEL_PULSE_NS;
    ASSERT(model->clock <= LEDGER_TIMESTAMP_MAX);
    while (count < model->expiry_max) {
        struct stored *one = first_due(model);
        if (one == NULL) {
            break;
        }
        one->fate = LEDGER_FATE_EXPIRED;
        due[count++] = one;
    }
    for (uint32_t i = 0; i < count; i++) {
        release(model, &due[i]->transfer);
        add_event(
            model, LEDGER_EVENT_TWO_PHASE_EXPIRED, model->clock - count + i + 1, &due[i]->transfer);
    }
}

void
ledger_model_tick(struct ledger_model *model, int64_t ns)
{
    uint64_t step = ns >= 0 ? (uint64_t)ns : LEDGER_TIMESTAMP_MAX - (uint64_t)-ns;
    uint64_t left = LEDGER_TIMESTAMP_MAX - model->clock;
    model->clock += step < left ? step : left;
    if (first_due(model) != NULL) {
        pulse(model);
    }
}

/* Begins a commit; says whether a pulse follows it. */
static bool
advance(struct ledger_model *model, uint32_t event_count)
{
    model->clock += 1 + event_count;
    ASSERT(model->clock <= LEDGER_TIMESTAMP_MAX);
    return first_due(model) != NULL;
}

void
ledger_model_commit(struct ledger_model *model)
{
    if (advance(model, 0)) {
        pulse(model);
    }
}

/* --- accounts --- */

static uint32_t
account_exists(
    struct ledger_model *model, const struct ledger_account *a, const struct ledger_account *old)
{
    REFUSE_ACCOUNT(a->flags != old->flags, exists_with_different_flags);
    REFUSE_ACCOUNT(a->user_data_128 != old->user_data_128, exists_with_different_user_data_128);
    REFUSE_ACCOUNT(a->user_data_64 != old->user_data_64, exists_with_different_user_data_64);
    REFUSE_ACCOUNT(a->user_data_32 != old->user_data_32, exists_with_different_user_data_32);
    REFUSE_ACCOUNT(a->ledger != old->ledger, exists_with_different_ledger);
    REFUSE_ACCOUNT(a->code != old->code, exists_with_different_code);
    return LEDGER_ACCOUNT_exists;
}

static uint32_t
create_account(struct ledger_model *model, const struct ledger_account *a, uint64_t timestamp)
{
    REFUSE_ACCOUNT(a->reserved != 0, reserved_field);
    REFUSE_ACCOUNT(a->flags >= 64, reserved_flag);
    REFUSE_ACCOUNT(a->id == 0, id_must_not_be_zero);
    REFUSE_ACCOUNT(a->id == U128_MAX, id_must_not_be_int_max);
    const struct ledger_account *old = ledger_model_find_account(model, a->id);
    if (old != NULL) {
        return account_exists(model, a, old);
    }
    REFUSE_ACCOUNT(
        BIT(a->flags, ACCOUNT_DEBITS_MUST_NOT_EXCEED_CREDITS) &&
            BIT(a->flags, ACCOUNT_CREDITS_MUST_NOT_EXCEED_DEBITS),
        flags_are_mutually_exclusive);
    REFUSE_ACCOUNT(a->debits_pending != 0, debits_pending_must_be_zero);
    REFUSE_ACCOUNT(a->debits_posted != 0, debits_posted_must_be_zero);
    REFUSE_ACCOUNT(a->credits_pending != 0, credits_pending_must_be_zero);
    REFUSE_ACCOUNT(a->credits_posted != 0, credits_posted_must_be_zero);
    REFUSE_ACCOUNT(a->ledger == 0, ledger_must_not_be_zero);
    REFUSE_ACCOUNT(a->code == 0, code_must_not_be_zero);
    if (BIT(a->flags, ACCOUNT_IMPORTED)) {
        REFUSE_ACCOUNT(
            timestamp <= ledger_model_last_account_timestamp(model),
            imported_event_timestamp_must_not_regress);
        REFUSE_ACCOUNT(
            ledger_model_transfer_has_timestamp(model, timestamp),
            imported_event_timestamp_must_not_regress);
    }
    struct state *now = &model->now;
    now->accounts = ledger_model_grown(now->accounts, now->account_count, sizeof(*now->accounts));
    now->accounts[now->account_count] = *a;
    now->accounts[now->account_count].timestamp = timestamp;
    now->account_count++;
    return LEDGER_ACCOUNT_created;
}

/* --- transfers --- */

static bool
is_post(const struct ledger_transfer *t)
{
    return BIT(t->flags, TRANSFER_POST_PENDING);
}

static bool
is_void(const struct ledger_transfer *t)
{
    return BIT(t->flags, TRANSFER_VOID_PENDING);
}

/* The amount that a post or void asks for. */
static u128
asked_amount(const struct ledger_transfer *t, const struct ledger_transfer *pending)
{
    if (is_post(t) && t->amount == U128_MAX) {
        return pending->amount;
    }
    if (is_void(t) && t->amount == 0) {
        return pending->amount;
    }
    return t->amount;
}

static uint32_t
transfer_exists(
    struct ledger_model *model, const struct ledger_transfer *t, const struct ledger_transfer *old)
{
    bool second = is_post(t) || is_void(t);
    REFUSE_TRANSFER(t->flags != old->flags, exists_with_different_flags);
    if (is_post(t) != is_post(old) || is_void(t) != is_void(old)) {
        return 998; /* only the mutation of the line above comes here */
    }
    REFUSE_TRANSFER(t->pending_id != old->pending_id, exists_with_different_pending_id);
    REFUSE_TRANSFER(t->timeout != old->timeout, exists_with_different_timeout);
    /* What the request means: zero fields of a post or void come from the pending one. */
    struct ledger_transfer meant = *t;
    if (second) {
        const struct ledger_transfer *pending =
            &ledger_model_find_transfer(model, old->pending_id)->transfer;
        meant.debit_account_id = t->debit_account_id ? t->debit_account_id : old->debit_account_id;
        meant.credit_account_id =
            t->credit_account_id ? t->credit_account_id : old->credit_account_id;
        meant.amount = asked_amount(t, pending);
        meant.user_data_128 = t->user_data_128 ? t->user_data_128 : pending->user_data_128;
        meant.user_data_64 = t->user_data_64 ? t->user_data_64 : pending->user_data_64;
        meant.user_data_32 = t->user_data_32 ? t->user_data_32 : pending->user_data_32;
        meant.ledger = t->ledger ? t->ledger : old->ledger;
        meant.code = t->code ? t->code : old->code;
    }
    bool balancing =
        BIT(t->flags, TRANSFER_BALANCING_DEBIT) || BIT(t->flags, TRANSFER_BALANCING_CREDIT);
    REFUSE_TRANSFER(
        meant.debit_account_id != old->debit_account_id, exists_with_different_debit_account_id);
    REFUSE_TRANSFER(
        meant.credit_account_id != old->credit_account_id, exists_with_different_credit_account_id);
    REFUSE_TRANSFER(meant.amount < old->amount, exists_with_different_amount);
    REFUSE_TRANSFER(meant.amount > old->amount && !balancing, exists_with_different_amount);
    REFUSE_TRANSFER(meant.user_data_128 != old->user_data_128, exists_with_different_user_data_128);
    REFUSE_TRANSFER(meant.user_data_64 != old->user_data_64, exists_with_different_user_data_64);
    REFUSE_TRANSFER(meant.user_data_32 != old->user_data_32, exists_with_different_user_data_32);
    REFUSE_TRANSFER(meant.ledger != old->ledger, exists_with_different_ledger);
    REFUSE_TRANSFER(meant.code != old->code, exists_with_different_code);
    return LEDGER_TRANSFER_exists;
}

static void
store(struct ledger_model *model, const struct ledger_transfer *transfer, enum ledger_fate fate)
{
    struct state *now = &model->now;
    now->transfers =
        ledger_model_grown(now->transfers, now->transfer_count, sizeof(*now->transfers));
    now->transfers[now->transfer_count++] = (struct stored){*transfer, fate};
}

static uint32_t
regresses(struct ledger_model *model, const struct ledger_transfer *t)
{
    if (BIT(t->flags, TRANSFER_IMPORTED)) {
        REFUSE_TRANSFER(
            t->timestamp <= ledger_model_last_transfer_timestamp(model),
            imported_event_timestamp_must_not_regress);
        REFUSE_TRANSFER(
            ledger_model_account_has_timestamp(model, t->timestamp),
            imported_event_timestamp_must_not_regress);
    }
    return LEDGER_TRANSFER_created;
}

static uint32_t
finish_checks(
    struct ledger_model *model,
    const struct ledger_transfer *t,
    const struct stored *found,
    uint64_t timestamp)
{
    const struct ledger_transfer *p = &found->transfer;
    REFUSE_TRANSFER(
        t->debit_account_id != 0 && t->debit_account_id != p->debit_account_id,
        pending_transfer_has_different_debit_account_id);
    REFUSE_TRANSFER(
        t->credit_account_id != 0 && t->credit_account_id != p->credit_account_id,
        pending_transfer_has_different_credit_account_id);
    REFUSE_TRANSFER(
        t->ledger != 0 && t->ledger != p->ledger, pending_transfer_has_different_ledger);
    REFUSE_TRANSFER(t->code != 0 && t->code != p->code, pending_transfer_has_different_code);
    REFUSE_TRANSFER(asked_amount(t, p) > p->amount, exceeds_pending_transfer_amount);
    REFUSE_TRANSFER(
        is_void(t) && asked_amount(t, p) < p->amount, pending_transfer_has_different_amount);
    REFUSE_TRANSFER(found->fate == LEDGER_FATE_POSTED, pending_transfer_already_posted);
    REFUSE_TRANSFER(found->fate == LEDGER_FATE_VOIDED, pending_transfer_already_voided);
    REFUSE_TRANSFER(found->fate == LEDGER_FATE_EXPIRED, pending_transfer_expired);
    REFUSE_TRANSFER(p->timeout != 0 && due_at(p) <= timestamp, pending_transfer_expired);
    uint32_t status = regresses(model, t);
    if (status != LEDGER_TRANSFER_created) {
        return status;
    }
    const struct ledger_account *debit = ledger_model_find_account(model, p->debit_account_id);
    const struct ledger_account *credit = ledger_model_find_account(model, p->credit_account_id);
    REFUSE_TRANSFER(BIT(debit->flags, ACCOUNT_CLOSED) && !is_void(t), debit_account_already_closed);
    REFUSE_TRANSFER(
        BIT(credit->flags, ACCOUNT_CLOSED) && !is_void(t), credit_account_already_closed);
    return LEDGER_TRANSFER_created;
}

static uint32_t
create_post_or_void(struct ledger_model *model, const struct ledger_transfer *t, uint64_t timestamp)
{
    REFUSE_TRANSFER(is_post(t) && is_void(t), flags_are_mutually_exclusive);
    REFUSE_TRANSFER(BIT(t->flags, TRANSFER_PENDING), flags_are_mutually_exclusive);
    REFUSE_TRANSFER(BIT(t->flags, TRANSFER_BALANCING_DEBIT), flags_are_mutually_exclusive);
    REFUSE_TRANSFER(BIT(t->flags, TRANSFER_BALANCING_CREDIT), flags_are_mutually_exclusive);
    REFUSE_TRANSFER(BIT(t->flags, TRANSFER_CLOSING_DEBIT), flags_are_mutually_exclusive);
    REFUSE_TRANSFER(BIT(t->flags, TRANSFER_CLOSING_CREDIT), flags_are_mutually_exclusive);
    REFUSE_TRANSFER(t->pending_id == 0, pending_id_must_not_be_zero);
    REFUSE_TRANSFER(t->pending_id == U128_MAX, pending_id_must_not_be_int_max);
    REFUSE_TRANSFER(t->pending_id == t->id, pending_id_must_be_different);
    REFUSE_TRANSFER(t->timeout != 0, timeout_reserved_for_pending_transfer);
    struct stored *found = ledger_model_find_transfer(model, t->pending_id);
    REQUIRE(found != NULL, pending_transfer_not_found);
    REQUIRE(BIT(found->transfer.flags, TRANSFER_PENDING), pending_transfer_not_pending);
    uint32_t status = finish_checks(model, t, found, timestamp);
    if (status != LEDGER_TRANSFER_created) {
        return status;
    }

    struct ledger_transfer pending = found->transfer;
    struct ledger_transfer stored = *t;
    stored.timestamp = timestamp;
    stored.debit_account_id = pending.debit_account_id;
    stored.credit_account_id = pending.credit_account_id;
    stored.ledger = pending.ledger;
    stored.code = pending.code;
    stored.amount = asked_amount(t, &pending);
    stored.user_data_128 = t->user_data_128 ? t->user_data_128 : pending.user_data_128;
    stored.user_data_64 = t->user_data_64 ? t->user_data_64 : pending.user_data_64;
    stored.user_data_32 = t->user_data_32 ? t->user_data_32 : pending.user_data_32;

    struct ledger_account *debit = ledger_model_find_account(model, pending.debit_account_id);
    struct ledger_account *credit = ledger_model_find_account(model, pending.credit_account_id);
    if (is_post(t)) {
        debit->debits_pending -= pending.amount;
        credit->credits_pending -= pending.amount;
        if (EFFECT("post to debits_posted")) {
            debit->debits_posted += stored.amount;
        }
        if (EFFECT("post to credits_posted")) {
            credit->credits_posted += stored.amount;
        }
    } else {
        release(model, &pending);
    }
    found->fate = is_post(t) ? LEDGER_FATE_POSTED : LEDGER_FATE_VOIDED;
    store(model, &stored, LEDGER_FATE_NONE);
    add_event(
        model,
        is_post(t) ? LEDGER_EVENT_TWO_PHASE_POSTED : LEDGER_EVENT_TWO_PHASE_VOIDED,
        timestamp,
        &stored);
    return LEDGER_TRANSFER_created;
}

/* Does a + b + c exceed u128? */
static bool
exceeds_u128(u128 a, u128 b, u128 c)
{
    return a > U128_MAX - b || a + b > U128_MAX - c;
}

static u128
smaller(u128 a, u128 b)
{
    return a < b ? a : b;
}

/* What a side may still take before it exceeds the other; 0 if it does already. */
static u128
room(u128 other_posted, u128 posted, u128 pending)
{
    return other_posted > posted + pending ? other_posted - posted - pending : 0;
}

static uint32_t
plain_field_checks(struct ledger_model *model, const struct ledger_transfer *t)
{
    bool pending = BIT(t->flags, TRANSFER_PENDING);
    REFUSE_TRANSFER(t->debit_account_id == 0, debit_account_id_must_not_be_zero);
    REFUSE_TRANSFER(t->debit_account_id == U128_MAX, debit_account_id_must_not_be_int_max);
    REFUSE_TRANSFER(t->credit_account_id == 0, credit_account_id_must_not_be_zero);
    REFUSE_TRANSFER(t->credit_account_id == U128_MAX, credit_account_id_must_not_be_int_max);
    REFUSE_TRANSFER(t->debit_account_id == t->credit_account_id, accounts_must_be_different);
    REFUSE_TRANSFER(t->pending_id != 0, pending_id_must_be_zero);
    REFUSE_TRANSFER(t->timeout != 0 && !pending, timeout_reserved_for_pending_transfer);
    REFUSE_TRANSFER(
        BIT(t->flags, TRANSFER_CLOSING_DEBIT) && !pending, closing_transfer_must_be_pending);
    REFUSE_TRANSFER(
        BIT(t->flags, TRANSFER_CLOSING_CREDIT) && !pending, closing_transfer_must_be_pending);
    REFUSE_TRANSFER(t->ledger == 0, ledger_must_not_be_zero);
    REFUSE_TRANSFER(t->code == 0, code_must_not_be_zero);
    return LEDGER_TRANSFER_created;
}

static uint32_t
plain_account_checks(
    struct ledger_model *model,
    const struct ledger_transfer *t,
    const struct ledger_account *debit,
    const struct ledger_account *credit)
{
    REFUSE_TRANSFER(debit->ledger != credit->ledger, accounts_must_have_the_same_ledger);
    REFUSE_TRANSFER(t->ledger != debit->ledger, transfer_must_have_the_same_ledger_as_accounts);
    uint32_t status = regresses(model, t);
    if (status != LEDGER_TRANSFER_created) {
        return status;
    }
    if (BIT(t->flags, TRANSFER_IMPORTED)) {
        REFUSE_TRANSFER(
            t->timestamp <= debit->timestamp, imported_event_timestamp_must_postdate_debit_account);
        REFUSE_TRANSFER(
            t->timestamp <= credit->timestamp,
            imported_event_timestamp_must_postdate_credit_account);
        REFUSE_TRANSFER(t->timeout != 0, imported_event_timeout_must_be_zero);
    }
    REFUSE_TRANSFER(BIT(debit->flags, ACCOUNT_CLOSED), debit_account_already_closed);
    REFUSE_TRANSFER(BIT(credit->flags, ACCOUNT_CLOSED), credit_account_already_closed);
    return LEDGER_TRANSFER_created;
}

static uint32_t
plain_amount_checks(
    struct ledger_model *model,
    const struct ledger_transfer *t, /* with the final amount and timestamp */
    const struct ledger_account *debit,
    const struct ledger_account *credit)
{
    bool pending = BIT(t->flags, TRANSFER_PENDING);
    u128 amount = t->amount;
    REFUSE_TRANSFER(
        pending && exceeds_u128(amount, debit->debits_pending, 0), overflows_debits_pending);
    REFUSE_TRANSFER(
        pending && exceeds_u128(amount, credit->credits_pending, 0), overflows_credits_pending);
    REFUSE_TRANSFER(exceeds_u128(amount, debit->debits_posted, 0), overflows_debits_posted);
    REFUSE_TRANSFER(exceeds_u128(amount, credit->credits_posted, 0), overflows_credits_posted);
    REFUSE_TRANSFER(
        exceeds_u128(amount, debit->debits_pending, debit->debits_posted), overflows_debits);
    REFUSE_TRANSFER(
        exceeds_u128(amount, credit->credits_pending, credit->credits_posted), overflows_credits);
    REFUSE_TRANSFER(due_at(t) > LEDGER_TIMESTAMP_MAX, overflows_timeout);
    REFUSE_TRANSFER(
        BIT(debit->flags, ACCOUNT_DEBITS_MUST_NOT_EXCEED_CREDITS) &&
            debit->debits_pending + debit->debits_posted + amount > debit->credits_posted,
        exceeds_credits);
    REFUSE_TRANSFER(
        BIT(credit->flags, ACCOUNT_CREDITS_MUST_NOT_EXCEED_DEBITS) &&
            credit->credits_pending + credit->credits_posted + amount > credit->debits_posted,
        exceeds_debits);
    return LEDGER_TRANSFER_created;
}

static void
plain_effects(struct ledger_model *model, const struct ledger_transfer *t)
{
    struct ledger_account *debit = ledger_model_find_account(model, t->debit_account_id);
    struct ledger_account *credit = ledger_model_find_account(model, t->credit_account_id);
    bool pending = BIT(t->flags, TRANSFER_PENDING);
    if (pending) {
        debit->debits_pending += t->amount;
        credit->credits_pending += t->amount;
    } else {
        debit->debits_posted += t->amount;
        credit->credits_posted += t->amount;
    }
    if (BIT(t->flags, TRANSFER_CLOSING_DEBIT) && EFFECT("close debit")) {
        set_closed(debit, true);
    }
    if (BIT(t->flags, TRANSFER_CLOSING_CREDIT) && EFFECT("close credit")) {
        set_closed(credit, true);
    }
    store(model, t, pending ? LEDGER_FATE_PENDING : LEDGER_FATE_NONE);
    add_event(
        model,
        pending ? LEDGER_EVENT_TWO_PHASE_PENDING : LEDGER_EVENT_SINGLE_PHASE,
        t->timestamp,
        t);
}

static uint32_t
create_plain(struct ledger_model *model, const struct ledger_transfer *t, uint64_t timestamp)
{
    uint32_t status = plain_field_checks(model, t);
    if (status != LEDGER_TRANSFER_created) {
        return status;
    }
    const struct ledger_account *debit = ledger_model_find_account(model, t->debit_account_id);
    const struct ledger_account *credit = ledger_model_find_account(model, t->credit_account_id);
    REQUIRE(debit != NULL, debit_account_not_found);
    REQUIRE(credit != NULL, credit_account_not_found);
    status = plain_account_checks(model, t, debit, credit);
    if (status != LEDGER_TRANSFER_created) {
        return status;
    }
    struct ledger_transfer stored = *t;
    stored.timestamp = timestamp;
    if (BIT(t->flags, TRANSFER_BALANCING_DEBIT) && EFFECT("balance debit")) {
        stored.amount = smaller(
            stored.amount,
            room(debit->credits_posted, debit->debits_posted, debit->debits_pending));
    }
    if (BIT(t->flags, TRANSFER_BALANCING_CREDIT) && EFFECT("balance credit")) {
        stored.amount = smaller(
            stored.amount,
            room(credit->debits_posted, credit->credits_posted, credit->credits_pending));
    }
    status = plain_amount_checks(model, &stored, debit, credit);
    if (status == LEDGER_TRANSFER_created) {
        plain_effects(model, &stored);
    }
    return status;
}

static uint32_t
create_transfer(struct ledger_model *model, const struct ledger_transfer *t, uint64_t timestamp)
{
    REFUSE_TRANSFER(t->flags >= 512, reserved_flag);
    REFUSE_TRANSFER(t->id == 0, id_must_not_be_zero);
    REFUSE_TRANSFER(t->id == U128_MAX, id_must_not_be_int_max);
    const struct stored *old = ledger_model_find_transfer(model, t->id);
    if (old != NULL) {
        return transfer_exists(model, t, &old->transfer);
    }
    REFUSE_TRANSFER(ledger_model_failed(model, t->id), id_already_failed);
    if (is_post(t) || is_void(t)) {
        return create_post_or_void(model, t, timestamp);
    }
    return create_plain(model, t, timestamp);
}

static bool
transient(uint32_t status)
{
    static const char *const names[] = {
        "debit_account_not_found",
        "credit_account_not_found",
        "pending_transfer_not_found",
        "debit_account_already_closed",
        "credit_account_already_closed",
        "exceeds_credits",
        "exceeds_debits",
    };
    const char *name = ledger_transfer_status_name(status);
    for (size_t i = 0; name != NULL && i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(name, names[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* --- batches --- */

/* A batch of either kind; the statuses that both have differ in number only for imports. */
struct batch {
    const struct ledger_account *accounts; /* one of these is NULL */
    const struct ledger_transfer *transfers;
    uint32_t count;
    struct ledger_result *results;
    uint64_t clock;
    bool imported;
};

static bool
batch_linked(const struct batch *batch, uint32_t i)
{
    return batch->accounts != NULL ? BIT(batch->accounts[i].flags, ACCOUNT_LINKED)
                                   : BIT(batch->transfers[i].flags, TRANSFER_LINKED);
}

static bool
batch_imported(const struct batch *batch, uint32_t i)
{
    return batch->accounts != NULL ? BIT(batch->accounts[i].flags, ACCOUNT_IMPORTED)
                                   : BIT(batch->transfers[i].flags, TRANSFER_IMPORTED);
}

static uint64_t
batch_timestamp(const struct batch *batch, uint32_t i)
{
    return batch->accounts != NULL ? batch->accounts[i].timestamp : batch->transfers[i].timestamp;
}

/* The statuses of time, for accounts; transfers have other numbers for the imported ones. */
static uint32_t
check_time(struct ledger_model *model, const struct batch *batch, uint32_t i)
{
    uint64_t timestamp = batch_timestamp(batch, i);
    REFUSE_ACCOUNT(batch->imported && !batch_imported(batch, i), imported_event_expected);
    REFUSE_ACCOUNT(!batch->imported && batch_imported(batch, i), imported_event_not_expected);
    if (!batch_imported(batch, i)) {
        REFUSE_ACCOUNT(timestamp != 0, timestamp_must_be_zero);
        return LEDGER_ACCOUNT_created;
    }
    REFUSE_ACCOUNT(timestamp == 0, imported_event_timestamp_out_of_range);
    REFUSE_ACCOUNT(timestamp > LEDGER_TIMESTAMP_MAX, imported_event_timestamp_out_of_range);
    REFUSE_ACCOUNT(timestamp >= batch->clock, imported_event_timestamp_must_not_advance);
    return LEDGER_ACCOUNT_created;
}

static uint32_t
as_transfer_status(uint32_t status)
{
    switch (status) {
    case LEDGER_ACCOUNT_imported_event_expected:
        return LEDGER_TRANSFER_imported_event_expected;
    case LEDGER_ACCOUNT_imported_event_not_expected:
        return LEDGER_TRANSFER_imported_event_not_expected;
    case LEDGER_ACCOUNT_imported_event_timestamp_out_of_range:
        return LEDGER_TRANSFER_imported_event_timestamp_out_of_range;
    case LEDGER_ACCOUNT_imported_event_timestamp_must_not_advance:
        return LEDGER_TRANSFER_imported_event_timestamp_must_not_advance;
    default:
        return status;
    }
}

static uint32_t
decide(struct ledger_model *model, const struct batch *batch, uint32_t i, uint64_t own)
{
    uint32_t status = check_time(model, batch, i);
    if (status != LEDGER_ACCOUNT_created) {
        return batch->accounts != NULL ? status : as_transfer_status(status);
    }
    uint64_t timestamp = batch_imported(batch, i) ? batch_timestamp(batch, i) : own;
    return batch->accounts != NULL ? create_account(model, &batch->accounts[i], timestamp)
                                   : create_transfer(model, &batch->transfers[i], timestamp);
}

static uint64_t
answer_timestamp(
    const struct ledger_model *model, const struct batch *batch, uint32_t i, uint32_t status)
{
    uint64_t own = batch->clock - batch->count + i + 1;
    bool account = batch->accounts != NULL;
    if (status == LEDGER_ACCOUNT_created || status == LEDGER_ACCOUNT_linked_event_failed) {
        return batch_imported(batch, i) ? batch_timestamp(batch, i) : own;
    }
    if (account && status == LEDGER_ACCOUNT_exists) {
        return ledger_model_find_account(model, batch->accounts[i].id)->timestamp;
    }
    if (!account && status == LEDGER_TRANSFER_exists) {
        return ledger_model_find_transfer(model, batch->transfers[i].id)->transfer.timestamp;
    }
    return own;
}

static void
remember_failed(struct ledger_model *model, u128 id)
{
    struct state *now = &model->now;
    now->failed = ledger_model_grown(now->failed, now->failed_count, sizeof(*now->failed));
    now->failed[now->failed_count++] = id;
}

/* One chain, or one event by itself: events first ... end - 1, `open` if the batch ended in it. */
static void
run_chain(
    struct ledger_model *model, const struct batch *batch, uint32_t first, uint32_t end, bool open)
{
    struct state before = ledger_model_state_copy(&model->now);
    bool failed = false;
    for (uint32_t i = first; i < end; i++) {
        uint32_t status;
        if (open && i == end - 1) {
            status = LEDGER_ACCOUNT_linked_event_chain_open;
        } else if (failed) {
            status = LEDGER_ACCOUNT_linked_event_failed;
        } else {
            status = decide(model, batch, i, batch->clock - batch->count + i + 1);
        }
        batch->results[i] = (struct ledger_result){
            .timestamp = answer_timestamp(model, batch, i, status),
            .status = status,
        };
        if (status == LEDGER_ACCOUNT_created || failed) {
            continue;
        }
        failed = true;
        ledger_model_state_free(&model->now);
        model->now = ledger_model_state_copy(&before);
        for (uint32_t j = first; j < i; j++) {
            batch->results[j].status = LEDGER_ACCOUNT_linked_event_failed;
        }
        if (batch->transfers != NULL && transient(status) && EFFECT("remember a failed id")) {
            remember_failed(model, batch->transfers[i].id);
        }
    }
    ledger_model_state_free(&before);
}

static void
run_batch(struct ledger_model *model, struct batch *batch)
{
    ASSERT(batch->count <= MAX_EVENTS);
    bool pulse_follows = advance(model, batch->count);
    batch->clock = model->clock;
    batch->imported = batch->count > 0 && batch_imported(batch, 0);
    for (uint32_t first = 0; first < batch->count;) {
        uint32_t last = first;
        while (last < batch->count - 1 && batch_linked(batch, last)) {
            last++;
        }
        run_chain(model, batch, first, last + 1, batch_linked(batch, last));
        first = last + 1;
    }
    if (pulse_follows) {
        pulse(model);
    }
}

void
ledger_model_create_accounts(
    struct ledger_model *model,
    const struct ledger_account *batch,
    uint32_t count,
    struct ledger_result *results)
{
    run_batch(model, &(struct batch){.accounts = batch, .count = count, .results = results});
}

void
ledger_model_create_transfers(
    struct ledger_model *model,
    const struct ledger_transfer *batch,
    uint32_t count,
    struct ledger_result *results)
{
    run_batch(model, &(struct batch){.transfers = batch, .count = count, .results = results});
}

/* --- reading --- */

int
ledger_model_mutation_count(void)
{
    static_assert(__COUNTER__ < MUTATIONS_MAX, "room for the names");
    return __COUNTER__ - 1;
}

const char *
ledger_model_mutation_name(int mutation)
{
    const char *name = mutation_names[mutation];
    return name != NULL ? name : "a rule that no test has passed yet";
}
