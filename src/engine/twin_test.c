/*
 * Two ledgers that adopt the same history do the same and tell the same, whatever keeps it: a
 * journal, and with TEST_POSTGRES (tools/with-postgres) tables. A third ledger makes the history;
 * its accounts come in two moves, so what they did with one another comes in halves, and they work
 * on in both ledgers, which are loaded again now and then. Before each move there are some that are
 * denied: what was copied of holds over two sets stays in both, until it is brought up to date.
 *
 * TAEL_TWIN_ROUNDS  how many seeds; TAEL_TWIN_SEED the first: a failure names the one to use
 */
#include "twin_testing.h"

#include "store/verify.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROUNDS 6

static struct port_ledger_adoption adoptions[PORT_LEDGER_ADOPTIONS_MAX];

static void
t_live(struct t_twins *t, uint32_t steps, bool source)
{
    for (uint32_t i = 0; i < steps; i++) {
        if (t_twins_below(t, 6) == 0) {
            t_twins_tick(t, source);
        } else {
            t_twins_work(t, source);
        }
        if (!source && t_twins_below(t, 12) == 0) {
            t_twins_restart(t);
        }
        if (!source && t_twins_below(t, 5) == 0) {
            t_twins_compare(t);
        }
    }
}

/* ---- a move ---- */

static bool
t_moves(u128 account_id, uint32_t set)
{
    return account_id >= 1 && account_id <= GUESTS && (account_id - 1) % SETS == set;
}

static struct port_ledger_adoption *
t_adoption(uint32_t *count, enum port_ledger_adoption_kind kind)
{
    struct port_ledger_adoption *adoption = &adoptions[(*count)++];
    memset(adoption, 0, sizeof(*adoption));
    adoption->kind = kind;
    return adoption;
}

static void
t_adopt(struct t_twins *t, uint32_t count)
{
    struct port_ledger_request request = {.operation = PORT_LEDGER_ADOPT, .count = count};
    request.in.adoptions = adoptions;
    t->commits = t_twins_below(t, 3) != 0;
    t_twins_both(t, &request);
    for (uint32_t i = 0; i < count; i++) {
        CHECK(t, t->results[0][i].status != PORT_LEDGER_ADOPTED_REFUSED);
        t->adopted += t->results[0][i].status == PORT_LEDGER_ADOPTED;
    }
}

static void
t_move_event(const struct port_ledger_change *change, uint32_t set, uint32_t *count)
{
    const struct ledger_transfer *transfer = &change->event.transfer;
    bool debit = t_moves(transfer->debit_account_id, set);
    bool credit = t_moves(transfer->credit_account_id, set);
    if (!debit && !credit) {
        return;
    }
    struct port_ledger_adoption *adoption = t_adoption(count, PORT_LEDGER_ADOPT_EVENT);
    adoption->debit_stand_in =
        ledger_stand_in_id(LEDGER_NUMBER, (uint16_t)((transfer->credit_account_id - 1) % SETS + 1));
    adoption->credit_stand_in =
        ledger_stand_in_id(LEDGER_NUMBER, (uint16_t)((transfer->debit_account_id - 1) % SETS + 1));
    adoption->of.event = (struct ledger_adopted){
        .event = change->event,
        .debit_account_id = debit ? transfer->debit_account_id : adoption->debit_stand_in,
        .credit_account_id = credit ? transfer->credit_account_id : adoption->credit_stand_in,
    };
}

/* Accounts, failed ids and all events of the set, again from the start; in pieces, between which
 * the twins work. */
static void
t_copy(struct t_twins *t, uint32_t set)
{
    static struct port_ledger_change changes[T_TWINS_EVENTS_MAX];
    static struct port_ledger_failed_id failed[T_TWINS_FAILED_MAX];
    uint32_t count = 0;
    for (uint32_t i = set; i < GUESTS; i += SETS) {
        t_adoption(&count, PORT_LEDGER_ADOPT_ACCOUNT)->of.account =
            *ledger_find_account(t->machines[SOURCE].ledger, i + 1);
    }
    uint32_t failed_count = t_twins_failed(t, SOURCE, 50, failed);
    for (uint32_t i = 0; i < failed_count; i++) {
        t_adoption(&count, PORT_LEDGER_ADOPT_FAILED_ID)->of.failed_id = failed[i].id;
    }
    t_adopt(t, count);
    const struct port_ledger_filter all = {.limit = T_TWINS_EVENTS_MAX};
    struct port_ledger_request request = {.operation = PORT_LEDGER_GET_CHANGE_EVENTS};
    request.in.filter = &all;
    request.out.changes = changes;
    t_twins_execute(t, SOURCE, &request);
    uint32_t change_count = request.out_count;
    count = 0;
    for (uint32_t i = 0; i < change_count; i++) {
        t_move_event(&changes[i], set, &count);
        if (count > 0 && (i + 1 == change_count || t_twins_below(t, 40) == 0)) {
            t_adopt(t, count);
            count = 0;
            t_live(t, (uint32_t)t_twins_below(t, 3), false);
        }
    }
}

/* Holds over two of the source's sets, with which neither can move. */
static void
t_span(struct t_twins *t)
{
    struct ledger_transfer transfers[SPANS];
    for (uint32_t i = 0; i < SPANS; i++) {
        uint32_t set = t_twins_set(t, true);
        uint32_t other = set;
        while (other == set) {
            other = t_twins_set(t, true);
        }
        t->spans[i] = ++t->next_id;
        transfers[i] = (struct ledger_transfer){
            .id = t->spans[i],
            .debit_account_id = t_twins_account(t, true, set),
            .credit_account_id = t_twins_account(t, true, other),
            .amount = 1 + t_twins_below(t, 9),
            .ledger = LEDGER_NUMBER,
            .code = 1,
            .flags = LEDGER_TRANSFER_PENDING,
            .timeout = (uint32_t)t_twins_below(t, 3),
        };
    }
    struct port_ledger_request request = {
        .operation = PORT_LEDGER_CREATE_TRANSFERS, .count = SPANS};
    request.in.transfers = transfers;
    t_twins_do(t, true, &request);
}

/* By their ids alone. */
static void
t_end_spans(struct t_twins *t, bool source)
{
    struct ledger_transfer transfers[SPANS];
    for (uint32_t i = 0; i < SPANS; i++) {
        bool post = t_twins_below(t, 2) == 0;
        transfers[i] = (struct ledger_transfer){
            .id = ++t->next_id,
            .pending_id = t->spans[i],
            .amount = post ? U128_MAX : 0,
            .flags = post ? LEDGER_TRANSFER_POST_PENDING : LEDGER_TRANSFER_VOID_PENDING,
        };
    }
    struct port_ledger_request request = {
        .operation = PORT_LEDGER_CREATE_TRANSFERS, .count = SPANS};
    request.in.transfers = transfers;
    t_twins_do(t, source, &request);
    for (uint32_t i = 0; i < SPANS && !source; i++) {
        CHECK(t, t->results[0][i].status != LEDGER_TRANSFER_created);
        t->refused += t->results[0][i].status == LEDGER_TRANSFER_pending_transfer_already_posted ||
                      t->results[0][i].status == LEDGER_TRANSFER_pending_transfer_already_voided;
    }
}

static void
t_count_stale(struct t_twins *t)
{
    const struct ledger *ledger = t->machines[ONE].ledger;
    for (uint32_t span = 0; span < SPANS; span++) {
        uint64_t live = 0;
        for (uint32_t i = 0; i < ledger_pending_slots(ledger); i++) {
            const struct ledger_transfer *pending = ledger_pending_at(ledger, i);
            live += pending != NULL && pending->id == t->spans[span];
        }
        CHECK(t, ledger_find_pending(ledger, t->spans[span]) == NULL);
        t->stale += live;
        t->twice += live == 2;
    }
}

/* What moves are denied for is copied: of one set, or of two, or of one and then of another one
 * when it is over at the source. */
static void
t_denied(struct t_twins *t)
{
    t_span(t);
    t_copy(t, t_twins_set(t, true));
    t_live(t, 5, true);
    if (t_twins_below(t, 2) == 0) {
        t_copy(t, t_twins_set(t, true));
    }
    t_count_stale(t);
    t_live(t, 5, false);
    t_twins_compare(t);
    if (t_twins_below(t, 2) == 0) {
        t_twins_restart(t);
    }
    t_end_spans(t, true);
    t_twins_tick(t, true);
    t_copy(t, t_twins_set(t, true));
    t_twins_compare(t);
}

static void
t_count(struct t_twins *t)
{
    static struct port_ledger_change feed[T_TWINS_EVENTS_MAX];
    const struct port_ledger_filter all = {.limit = T_TWINS_EVENTS_MAX};
    struct port_ledger_request request = {.operation = PORT_LEDGER_GET_CHANGE_EVENTS};
    request.in.filter = &all;
    request.out.changes = feed;
    t_twins_execute(t, ONE, &request);
    for (uint32_t i = 0; i < request.out_count; i++) {
        const struct ledger_event *event = &feed[i].event;
        t->expired += event->kind == LEDGER_EVENT_TWO_PHASE_EXPIRED && event->adopted == 0;
        t->halves += i > 0 && event->adopted != 0 &&
                     feed[i - 1].event.transfer.id == event->transfer.id &&
                     feed[i - 1].event.kind == event->kind;
    }
}

static void
t_round(struct t_twins *t)
{
    t_twins_accounts(t, true);
    t_twins_accounts(t, false);
    t_live(t, 10, false);
    for (uint32_t set = 0; set < 2; set++) {
        t_live(t, 25, true);
        t_denied(t);
        t_copy(t, set);
        t_twins_compare(t);
        t_live(t, 10, true);
        t_copy(t, set);
        t_twins_compare(t);
        t->moved = set + 1;
        engine_machine_settle(&t->machines[ONE]);
        engine_machine_settle(&t->machines[OTHER]);
        t_end_spans(t, false);
        t_live(t, 25, false);
    }
    t_twins_restart(t);
    t_twins_compare(t);
    t_count(t);
}

static err_t
no_sum(
    void *context,
    uint32_t ledger_number,
    uint32_t account_count,
    uint64_t transfer_count,
    const struct ledger_balances *total)
{
    (void)context;
    (void)ledger_number;
    (void)account_count;
    (void)transfer_count;
    (void)total;
    return ERR_OK;
}

/* The tables by themselves, as `tael ledger check` asks for them. */
static void
t_verify(struct t_twins *t)
{
    const struct store_verify_visitor visitor = {0};
    struct store_verify_tables_report report;
    struct store_error error;
    if (store_verify_tables(t->urls[OTHER], &visitor, no_sum, &report, &error) != ERR_OK) {
        fail_msg("TAEL_TWIN_SEED=%llu: %s", (unsigned long long)t->seed, error.message);
    }
    CHECK(t, report.accounts == ledger_account_count(t->machines[OTHER].ledger));
    CHECK(t, report.pendings == ledger_pending_count(t->machines[OTHER].ledger));
}

static uint64_t
setting(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text != NULL ? strtoull(text, NULL, 10) : otherwise;
}

static void
twins_are_the_same(void **state)
{
    (void)state;
    uint64_t first = setting("TAEL_TWIN_SEED", 1);
    uint64_t rounds = setting("TAEL_TWIN_ROUNDS", ROUNDS);
    const char *database = getenv("TEST_POSTGRES");
    uint64_t sums[7] = {0};
    for (uint64_t seed = first; seed < first + rounds; seed++) {
        struct t_twins *t = t_twins_create(seed, database);
        t_round(t);
        if (database != NULL) {
            t_verify(t);
        }
        sums[0] += t->loads;
        sums[1] += t->adopted;
        sums[2] += t->expired;
        sums[3] += t->halves;
        sums[4] += t->stale;
        sums[5] += t->twice;
        sums[6] += t->refused;
        t_twins_destroy(t);
    }
    print_message(
        "%llu loads, %llu adopted, %llu expired, %llu in halves; of denied moves %llu halves, %llu "
        "times both, %llu ends refused\n",
        (unsigned long long)sums[0],
        (unsigned long long)sums[1],
        (unsigned long long)sums[2],
        (unsigned long long)sums[3],
        (unsigned long long)sums[4],
        (unsigned long long)sums[5],
        (unsigned long long)sums[6]);
    for (size_t i = 0; i < sizeof(sums) / sizeof(sums[0]); i++) {
        assert_true(rounds < ROUNDS || sums[i] > 0);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(twins_are_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
