/*
 * Random operations on the core and on the model, compared after each: results, deltas, accounts,
 * pendings, the clock. A second core redoes every delta, as a restart would, and must end up the
 * same. Now and then the first core is replaced by one loaded from its accounts and pendings.
 *
 * TAEL_PROPERTY_ROUNDS  how many seeds (default ROUNDS)
 * TAEL_PROPERTY_SEED    the first seed; a failure names the seed to use
 */
#include "ledger_random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ROUNDS          400
#define STEPS           120
#define MUTATION_SEEDS  3000
#define ACCOUNTS_MAX    40
#define PENDINGS_MAX    60
#define TRANSFERS_MAX   8192
#define DIFFERENCE_SIZE 256

/* What a store would keep, fed by deltas only. */
struct history {
    struct ledger_past transfers[TRANSFERS_MAX];
    uint32_t transfer_count;
    u128 failed[TRANSFERS_MAX];
    uint32_t failed_count;
    uint32_t event_count;
};

struct pair {
    struct ledger *core;
    struct ledger *replica;
    struct ledger_model *model;
    struct ledger_limits limits;
    struct ledger_random random;
    struct ledger_random_operation operation;
    struct history history;
    struct ledger_account delta_accounts[LEDGER_RANDOM_BATCH_MAX];
    struct ledger_event delta_events[LEDGER_RANDOM_BATCH_MAX + PENDINGS_MAX];
    u128 delta_failed[LEDGER_RANDOM_BATCH_MAX];
    struct ledger_delta delta;
    u128 places[PENDINGS_MAX]; /* which pending transfer the deltas put where; 0: none */
    struct ledger_result results[LEDGER_RANDOM_BATCH_MAX];
    struct ledger_result expected[LEDGER_RANDOM_BATCH_MAX];
    char difference[DIFFERENCE_SIZE];
};

static unsigned account_statuses_seen[64];
static unsigned transfer_statuses_seen[128];

/* --- the shell that a core needs --- */

static struct ledger_past *
history_find(struct history *history, u128 id)
{
    for (uint32_t i = 0; i < history->transfer_count; i++) {
        if (history->transfers[i].id == id) {
            return &history->transfers[i];
        }
    }
    return NULL;
}

static void
history_look_up(struct history *history, const u128 *ids, uint32_t count, struct ledger_past *past)
{
    for (uint32_t i = 0; i < count; i++) {
        past[i] = (struct ledger_past){.id = ids[i]};
        const struct ledger_past *found = history_find(history, ids[i]);
        if (found != NULL) {
            past[i] = *found;
            continue;
        }
        for (uint32_t j = 0; j < history->failed_count; j++) {
            if (history->failed[j] == ids[i]) {
                past[i].kind = LEDGER_PAST_FAILED;
            }
        }
    }
}

static void
history_add(struct history *history, const struct ledger_event *event)
{
    history->event_count++;
    if (event->kind == LEDGER_EVENT_TWO_PHASE_EXPIRED) {
        history_find(history, event->transfer.id)->fate = LEDGER_FATE_EXPIRED;
        return;
    }
    if (event->kind == LEDGER_EVENT_TWO_PHASE_POSTED) {
        history_find(history, event->transfer.pending_id)->fate = LEDGER_FATE_POSTED;
    }
    if (event->kind == LEDGER_EVENT_TWO_PHASE_VOIDED) {
        history_find(history, event->transfer.pending_id)->fate = LEDGER_FATE_VOIDED;
    }
    history->transfers[history->transfer_count++] = (struct ledger_past){
        .id = event->transfer.id,
        .kind = LEDGER_PAST_TRANSFER,
        .fate =
            event->kind == LEDGER_EVENT_TWO_PHASE_PENDING ? LEDGER_FATE_PENDING : LEDGER_FATE_NONE,
        .transfer = event->transfer,
    };
}

static bool
advance(struct pair *pair, uint64_t ns)
{
    ledger_set_clock(pair->core, ledger_clock(pair->core) + ns);
    return ledger_pulse_due(pair->core);
}

static void
pulse(struct pair *pair)
{
    advance(pair, 1 + LEDGER_MODEL_PULSE_NS);
    ledger_pulse(pair->core, &pair->delta);
}

static void
run_accounts(struct pair *pair, const struct ledger_account *batch, uint32_t count)
{
    uint64_t timestamps[LEDGER_RANDOM_BATCH_MAX];
    bool taken[LEDGER_RANDOM_BATCH_MAX] = {false};
    uint32_t named = ledger_prepare_accounts(pair->core, batch, count, timestamps);
    for (uint32_t i = 0; i < named; i++) {
        for (uint32_t j = 0; j < pair->history.transfer_count; j++) {
            taken[i] |= pair->history.transfers[j].transfer.timestamp == timestamps[i];
        }
    }
    ledger_set_taken(pair->core, taken, named);
    bool due = advance(pair, 1 + count);
    ledger_create_accounts(pair->core, batch, count, pair->results, &pair->delta);
    if (due) {
        pulse(pair);
    }
}

static void
run_transfers(struct pair *pair, const struct ledger_transfer *batch, uint32_t count)
{
    u128 ids[2 * LEDGER_RANDOM_BATCH_MAX];
    struct ledger_past past[2 * LEDGER_RANDOM_BATCH_MAX];
    uint32_t named = ledger_prepare_transfers(pair->core, batch, count, ids);
    history_look_up(&pair->history, ids, named, past);
    bool due = advance(pair, 1 + count);
    ledger_create_transfers(pair->core, batch, count, past, named, pair->results, &pair->delta);
    if (due) {
        pulse(pair);
    }
}

static void
run_tick(struct pair *pair, int64_t ns)
{
    uint64_t step = ns >= 0 ? (uint64_t)ns : LEDGER_TIMESTAMP_MAX - (uint64_t)-ns;
    uint64_t left = LEDGER_TIMESTAMP_MAX - ledger_clock(pair->core);
    if (advance(pair, step < left ? step : left)) {
        pulse(pair);
    }
}

static uint32_t
pendings_asked(const struct ledger_random_operation *operation)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < operation->count; i++) {
        count += (operation->transfers[i].flags & LEDGER_TRANSFER_PENDING) != 0;
    }
    return count;
}

/* False if there is no room, and nothing was done. */
static bool
run_both(struct pair *pair)
{
    const struct ledger_random_operation *operation = &pair->operation;
    uint32_t count = operation->count;
    switch (operation->kind) {
    case LEDGER_RANDOM_TICK:
        run_tick(pair, operation->tick_ns);
        ledger_model_tick(pair->model, operation->tick_ns);
        return true;
    case LEDGER_RANDOM_COMMIT:
        if (advance(pair, 1)) {
            pulse(pair);
        }
        ledger_model_commit(pair->model);
        return true;
    case LEDGER_RANDOM_ACCOUNTS:
        if (ledger_reserve(pair->core, count, 0) != ERR_OK) {
            return false;
        }
        run_accounts(pair, operation->accounts, count);
        ledger_model_create_accounts(pair->model, operation->accounts, count, pair->expected);
        return true;
    case LEDGER_RANDOM_TRANSFERS:
        if (ledger_reserve(pair->core, 0, pendings_asked(operation)) != ERR_OK) {
            return false;
        }
        run_transfers(pair, operation->transfers, count);
        ledger_model_create_transfers(pair->model, operation->transfers, count, pair->expected);
        return true;
    }
    return false;
}

/* --- comparing --- */

/* Notes the first difference; false if there is one. */
static bool
same(struct pair *pair, bool equal, const char *what, uint64_t where)
{
    if (!equal && pair->difference[0] == '\0') {
        snprintf(
            pair->difference,
            sizeof(pair->difference),
            "%s at %llu",
            what,
            (unsigned long long)where);
    }
    return equal;
}

static void
compare_results(struct pair *pair)
{
    bool accounts = pair->operation.kind == LEDGER_RANDOM_ACCOUNTS;
    for (uint32_t i = 0; i < pair->operation.count; i++) {
        const struct ledger_result *got = &pair->results[i];
        const struct ledger_result *want = &pair->expected[i];
        const char *(*name)(uint32_t) =
            accounts ? ledger_account_status_name : ledger_transfer_status_name;
        if (got->status != want->status && pair->difference[0] == '\0') {
            const char *got_name = name(got->status);
            const char *want_name = name(want->status);
            snprintf(
                pair->difference,
                sizeof(pair->difference),
                "event %u: core %s, model %s",
                i,
                got_name != NULL ? got_name : "?",
                want_name != NULL ? want_name : "?");
        }
        same(pair, got->timestamp == want->timestamp, "result timestamp", i);
        same(pair, got->reserved == 0, "result padding", i);
        unsigned *seen = accounts ? account_statuses_seen : transfer_statuses_seen;
        seen[got->status == LEDGER_ACCOUNT_created ? 0 : got->status]++;
    }
}

static bool
equal_balances(const struct ledger_balances *balances, const struct ledger_account *account)
{
    return balances->debits_pending == account->debits_pending &&
           balances->debits_posted == account->debits_posted &&
           balances->credits_pending == account->credits_pending &&
           balances->credits_posted == account->credits_posted;
}

static bool
equal_event(const struct ledger_event *event, const struct ledger_model_event *expected)
{
    return event->kind == expected->kind && event->timestamp == expected->timestamp &&
           memcmp(&event->transfer, &expected->transfer, sizeof(event->transfer)) == 0 &&
           equal_balances(&event->debit, &expected->debit) &&
           equal_balances(&event->credit, &expected->credit) &&
           event->debit_flags == expected->debit.flags &&
           event->credit_flags == expected->credit.flags;
}

/* A pending transfer begins at a place that is nobody's, and ends there. */
static void
compare_place(struct pair *pair, const struct ledger_event *event, uint32_t number)
{
    if (event->kind == LEDGER_EVENT_SINGLE_PHASE) {
        same(pair, event->pending_place == 0, "no place of the event", number);
        return;
    }
    bool begins = event->kind == LEDGER_EVENT_TWO_PHASE_PENDING;
    bool expires = event->kind == LEDGER_EVENT_TWO_PHASE_EXPIRED;
    u128 id = begins || expires ? event->transfer.id : event->transfer.pending_id;
    bool possible = event->pending_place >= 1 && event->pending_place <= PENDINGS_MAX;
    if (!same(pair, possible, "place of the event", event->pending_place)) {
        return;
    }
    u128 *place = &pair->places[event->pending_place - 1];
    same(pair, *place == (begins ? 0 : id), "what is at the place of the event", number);
    *place = begins ? id : 0;
}

static void
compare_delta(struct pair *pair)
{
    const struct ledger_delta *delta = &pair->delta;
    for (uint32_t i = 0; i < delta->event_count; i++) {
        const struct ledger_event *event = &delta->events[i];
        bool found = false;
        for (uint32_t j = ledger_model_event_count(pair->model); j-- > 0 && !found;) {
            found = equal_event(event, ledger_model_event_at(pair->model, j));
        }
        same(pair, found, "event of the delta", i);
        same(
            pair,
            ledger_account_at(pair->core, event->debit_slot)->id ==
                    event->transfer.debit_account_id &&
                ledger_account_at(pair->core, event->credit_slot)->id ==
                    event->transfer.credit_account_id,
            "slots of the event",
            i);
        compare_place(pair, event, i);
    }
    for (uint32_t i = 0; i < delta->failed_count; i++) {
        same(pair, ledger_model_failed(pair->model, delta->failed_ids[i]), "failed id", i);
    }
    for (uint32_t i = 0; i < delta->account_count; i++) {
        struct ledger_balances zero = {0};
        same(pair, equal_balances(&zero, &delta->accounts[i]), "new account's balances", i);
    }
    same(pair, delta->clock == ledger_clock(pair->core), "clock of the delta", delta->clock);
}

static uint64_t
model_pulse_at(const struct ledger_model *model)
{
    uint64_t first = 0;
    for (uint32_t i = 0; i < ledger_model_transfer_count(model); i++) {
        const struct ledger_transfer *transfer = ledger_model_transfer_at(model, i);
        uint64_t at = transfer->timestamp + transfer->timeout * UINT64_C(1000000000);
        if (transfer->timeout != 0 &&
            ledger_model_fate(model, transfer->id) == LEDGER_FATE_PENDING &&
            (first == 0 || at < first)) {
            first = at;
        }
    }
    return first;
}

static void
compare_state(struct pair *pair, const struct ledger *core)
{
    const struct ledger_model *model = pair->model;
    uint32_t count = ledger_model_account_count(model);
    if (!same(pair, ledger_account_count(core) == count, "number of accounts", count)) {
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        const struct ledger_account *account = ledger_account_at(core, i);
        const struct ledger_account *expected = ledger_model_account_at(model, i);
        same(pair, memcmp(account, expected, sizeof(*account)) == 0, "account", i);
        same(pair, ledger_account_slot(core, expected->id) == i, "account's slot", i);
    }
    uint32_t live = 0;
    for (uint32_t i = 0; i < ledger_model_transfer_count(model); i++) {
        const struct ledger_transfer *transfer = ledger_model_transfer_at(model, i);
        const struct ledger_transfer *found = ledger_find_pending(core, transfer->id);
        bool pending = ledger_model_fate(model, transfer->id) == LEDGER_FATE_PENDING;
        live += pending;
        same(pair, (found != NULL) == pending, "live pending", i);
        same(
            pair,
            found == NULL || memcmp(found, transfer, sizeof(*found)) == 0,
            "pending transfer",
            i);
    }
    same(pair, ledger_pending_count(core) == live, "number of pendings", live);
    same(pair, ledger_pulse_at(core) == model_pulse_at(model), "next pulse", 0);
    same(pair, ledger_clock(core) == ledger_model_clock(model), "clock", ledger_clock(core));
    same(pair, ledger_validate(core) == ERR_OK, "validation", 0);
}

/* Everything that the deltas said, against everything that the model has. */
static void
compare_history(struct pair *pair)
{
    const struct ledger_model *model = pair->model;
    struct history *history = &pair->history;
    uint32_t count = ledger_model_transfer_count(model);
    same(pair, history->transfer_count == count, "number of transfers", count);
    same(pair, history->event_count == ledger_model_event_count(model), "number of events", 0);
    same(pair, history->failed_count == ledger_model_failed_count(model), "failed ids", 0);
    for (uint32_t i = 0; i < count && i < history->transfer_count; i++) {
        same(
            pair,
            history->transfers[i].fate == ledger_model_fate(model, history->transfers[i].id),
            "fate",
            i);
    }
}

/* --- a round --- */

static void
keep_delta(struct pair *pair)
{
    struct ledger_delta *delta = &pair->delta;
    for (uint32_t i = 0; i < delta->account_count; i++) {
        same(
            pair,
            ledger_load_account(pair->replica, &delta->accounts[i]) == ERR_OK,
            "redo of account",
            i);
    }
    for (uint32_t i = 0; i < delta->event_count; i++) {
        same(pair, ledger_redo(pair->replica, &delta->events[i]) == ERR_OK, "redo of event", i);
        history_add(&pair->history, &delta->events[i]);
    }
    for (uint32_t i = 0; i < delta->failed_count; i++) {
        pair->history.failed[pair->history.failed_count++] = delta->failed_ids[i];
    }
    ledger_load_clock(pair->replica, delta->clock, 0, 0);
    delta->account_count = 0;
    delta->event_count = 0;
    delta->failed_count = 0;
}

/* Replaces the core by one loaded from a snapshot: accounts, live pendings in any order, clock. */
static void
reload(struct pair *pair)
{
    struct ledger *fresh = NULL;
    assert_int_equal(ledger_create(&pair->limits, &fresh), ERR_OK);
    uint64_t newest = 0;
    for (uint32_t i = 0; i < ledger_account_count(pair->core); i++) {
        const struct ledger_account *account = ledger_account_at(pair->core, i);
        same(pair, ledger_load_account(fresh, account) == ERR_OK, "load of account", i);
        newest = account->timestamp;
    }
    uint64_t newest_transfer = 0;
    for (uint32_t i = pair->history.transfer_count; i-- > 0;) {
        const struct ledger_past *past = &pair->history.transfers[i];
        if (past->fate == LEDGER_FATE_PENDING) {
            same(pair, ledger_load_pending(fresh, &past->transfer) == ERR_OK, "load", i);
        }
        if (past->transfer.timestamp > newest_transfer) {
            newest_transfer = past->transfer.timestamp;
        }
    }
    ledger_load_clock(fresh, ledger_clock(pair->core), newest_transfer, newest);
    ledger_destroy(&pair->core);
    pair->core = fresh;
    for (uint32_t slot = 0; slot < PENDINGS_MAX; slot++) {
        const struct ledger_transfer *pending =
            slot < ledger_pending_slots(fresh) ? ledger_pending_at(fresh, slot) : NULL;
        pair->places[slot] = pending == NULL ? 0 : pending->id;
    }
}

static struct pair *
pair_create(uint64_t seed, int mutation)
{
    struct pair *pair = calloc(1, sizeof(*pair));
    assert_non_null(pair);
    ledger_random_init(&pair->random, seed);
    pair->limits = (struct ledger_limits){
        .account_count_max = ACCOUNTS_MAX,
        .pending_count_max = PENDINGS_MAX,
        .expiry_batch_max = seed % 2 == 0 ? LEDGER_MODEL_PULSE_NS : 2,
    };
    assert_int_equal(ledger_create(&pair->limits, &pair->core), ERR_OK);
    assert_int_equal(ledger_create(&pair->limits, &pair->replica), ERR_OK);
    pair->model = ledger_model_create(pair->limits.expiry_batch_max, mutation);
    pair->delta = (struct ledger_delta){
        .accounts = pair->delta_accounts,
        .account_capacity = LEDGER_RANDOM_BATCH_MAX,
        .events = pair->delta_events,
        .event_capacity = LEDGER_RANDOM_BATCH_MAX + PENDINGS_MAX,
        .failed_ids = pair->delta_failed,
        .failed_capacity = LEDGER_RANDOM_BATCH_MAX,
    };
    return pair;
}

static void
pair_destroy(struct pair *pair)
{
    ledger_destroy(&pair->core);
    ledger_destroy(&pair->replica);
    ledger_model_destroy(&pair->model);
    free(pair);
}

/* Runs one seed; true if core and model never differed, else says how in `difference`. */
static bool
round_agrees(uint64_t seed, int mutation, char difference[DIFFERENCE_SIZE])
{
    struct pair *pair = pair_create(seed, mutation);
    for (uint32_t step = 0; step < STEPS && pair->difference[0] == '\0'; step++) {
        ledger_random_next(&pair->random, pair->model, &pair->operation);
        pair->delta.clock = ledger_clock(pair->core);
        if (!run_both(pair)) {
            continue;
        }
        pair->delta.clock = ledger_clock(pair->core);
        compare_results(pair);
        compare_delta(pair);
        compare_state(pair, pair->core);
        keep_delta(pair);
        compare_state(pair, pair->replica);
        compare_history(pair);
        if (step % 40 == 39 && pair->difference[0] == '\0') {
            reload(pair);
        }
    }
    bool agrees = pair->difference[0] == '\0';
    memcpy(difference, pair->difference, DIFFERENCE_SIZE);
    pair_destroy(pair);
    return agrees;
}

static uint64_t
setting(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text != NULL ? strtoull(text, NULL, 10) : otherwise;
}

/* LEDGER-1, LEDGER-2, LEDGER-3, LEDGER-5, LEDGER-8, LEDGER-11: the core does what the model does,
 * and its state is sound after each step. */
static void
test_core_equals_model(void **state)
{
    (void)state;
    uint64_t first = setting("TAEL_PROPERTY_SEED", 1);
    uint64_t rounds = setting("TAEL_PROPERTY_ROUNDS", ROUNDS);
    for (uint64_t seed = first; seed < first + rounds; seed++) {
        char difference[DIFFERENCE_SIZE];
        if (!round_agrees(seed, LEDGER_MODEL_CORRECT, difference)) {
            print_error("TAEL_PROPERTY_SEED=%llu: %s\n", (unsigned long long)seed, difference);
            fail();
        }
    }
}

/* Each rule and effect of the model, left out, must be noticed: so the operations reach it, and
 * the comparison is one that can fail. */
static void
test_every_mutation_is_noticed(void **state)
{
    (void)state;
    int missed = 0;
    for (int mutation = 0; mutation < ledger_model_mutation_count(); mutation++) {
        bool noticed = false;
        for (uint64_t seed = 1; seed <= MUTATION_SEEDS && !noticed; seed++) {
            char difference[DIFFERENCE_SIZE];
            noticed = !round_agrees(seed, mutation, difference);
        }
        if (!noticed) {
            print_error("not noticed: %s\n", ledger_model_mutation_name(mutation));
            missed++;
        }
    }
    assert_int_equal(missed, 0);
}

/* Runs after the rounds: the operations reached every status. */
static void
test_every_status_was_seen(void **state)
{
    (void)state;
    int missed = 0;
#define SEEN_ACCOUNT(name, number, transient)                                                      \
    if (account_statuses_seen[LEDGER_ACCOUNT_##name == LEDGER_ACCOUNT_created ? 0 : (number)] ==   \
        0) {                                                                                       \
        print_error("account status never seen: %s\n", #name);                                     \
        missed++;                                                                                  \
    }
    LEDGER_ACCOUNT_STATUSES(SEEN_ACCOUNT)
#undef SEEN_ACCOUNT
#define SEEN_TRANSFER(name, number, transient)                                                     \
    if (transfer_statuses_seen                                                                     \
            [LEDGER_TRANSFER_##name == LEDGER_TRANSFER_created ? 0 : (number)] == 0) {             \
        print_error("transfer status never seen: %s\n", #name);                                    \
        missed++;                                                                                  \
    }
    LEDGER_TRANSFER_STATUSES(SEEN_TRANSFER)
#undef SEEN_TRANSFER
    assert_int_equal(missed, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_core_equals_model),
        cmocka_unit_test(test_every_status_was_seen),
        cmocka_unit_test(test_every_mutation_is_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
