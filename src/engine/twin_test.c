/*
 * Two ledgers that adopt the same history do the same and tell the same, whatever keeps it: a
 * journal, and with TEST_POSTGRES (tools/with-postgres) tables. A third ledger makes the history;
 * its accounts come in two moves, so what they did with one another comes in halves, and they work
 * on in both ledgers, which are loaded again now and then. Before each move there are some that are
 * denied: what was copied of holds over two sets stays in both, until it is brought up to date.
 *
 * TAEL_TWIN_ROUNDS  how many seeds; TAEL_TWIN_SEED the first: a failure names the one to use
 */
#include "machine_testing.h"

#include "store/verify.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ROUNDS        6
#define LEDGER_NUMBER 7
#define SECOND_NS     UINT64_C(1000000000)
#define GUESTS        12u /* accounts of the source; number % SETS is the set that moves together */
#define SETS          3u
#define OWN           4u
#define OWN_ID        1000u
#define BATCH         6u
#define SPANS         5u
#define FEED_MAX      8190u
#define FAILED_MAX    2000u

enum {
    SOURCE,
    ONE,
    OTHER,
    LEDGERS,
};

struct t_twins {
    uint64_t seed;
    struct ledger_random random;
    struct os_sim_disk *disk;
    struct os_executor executor;
    struct engine_machine machines[LEDGERS];
    char urls[LEDGERS][512];
    struct port_ledger_guard guard;
    bool hides;
    bool commits;     /* some groups are several requests */
    uint32_t moved;   /* sets of guests that the twins have */
    u128 next_id;     /* of a transfer */
    uint64_t loads;   /* of the twins */
    uint64_t expired; /* events by which pendings ended, at the twins */
    uint64_t halves;  /* events that the twins have twice */
    uint64_t adopted;
    u128 spans[SPANS]; /* holds over two sets */
    uint64_t stale;    /* halves of such that were live at the twins */
    uint64_t twice;    /* of those, both halves at one time */
    uint64_t refused;  /* ends of such that the twins were asked for */
};

static struct port_ledger_change feeds[2][FEED_MAX];
static struct ledger_transfer found[2][FEED_MAX];
static struct port_ledger_adoption adoptions[PORT_LEDGER_ADOPTIONS_MAX];
static struct ledger_result results[2][LEDGER_BATCH_MAX];

static void
told(struct os_task *task)
{
    (void)task;
}

static uint64_t
below(struct t_twins *t, uint64_t limit)
{
    return ledger_random_below(&t->random, limit);
}

#define CHECK(t, condition)                                                                        \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fail_msg(                                                                              \
                "TAEL_TWIN_SEED=%llu, line %d: %s",                                                \
                (unsigned long long)(t)->seed,                                                     \
                __LINE__,                                                                          \
                #condition);                                                                       \
        }                                                                                          \
    } while (0)

/* Of the twins: what arrives is neither used nor expired. Some queries hide half of the accounts.
 */
static bool
t_has(void *context, u128 account_id)
{
    const struct t_twins *t = context;
    bool guest = account_id >= 1 && account_id <= GUESTS;
    return (!guest || (account_id - 1) % SETS < t->moved) && (!t->hides || account_id % 2 == 0);
}

static err_t
t_admit(void *context, struct port_ledger_request *request)
{
    (void)context;
    (void)request;
    return ERR_OK;
}

static void
t_open(struct t_twins *t, int which)
{
    struct store_settings settings = store_settings_default();
    settings.segment_size = 1u << 20;
    settings.snapshot_interval = 16384;
    settings.transfer_count_max = 100000;
    const struct ledger_limits limits = {.account_count_max = 1000, .pending_count_max = 1000};
    struct engine_machine *machine = &t->machines[which];
    struct store *store = NULL;
    struct store_error error = {0};
    memset(machine, 0, sizeof(*machine));
    err_t code = store_open(t->urls[which], os_sim_disk_ops(t->disk), &settings, &store, &error);
    if (code == ERR_OK) {
        code = engine_machine_open(machine, store, &limits, &error);
    }
    if (code != ERR_OK) {
        fail_msg("TAEL_TWIN_SEED=%llu: %s", (unsigned long long)t->seed, error.message);
    }
    machine->executor = &t->executor;
    if (which != SOURCE) {
        machine->guard = &t->guard;
        engine_machine_settle(machine);
    }
    CHECK(t, ledger_validate(machine->ledger) == ERR_OK);
}

static void
t_execute(struct t_twins *t, int which, struct port_ledger_request *request)
{
    struct store_ticket ticket = {.task.run = told};
    err_t code = engine_machine_execute(&t->machines[which], request);
    if (code != ERR_OK) {
        fail_msg("TAEL_TWIN_SEED=%llu: %s", (unsigned long long)t->seed, err_text(code));
    }
    if (t->machines[which].uncommitted && t->commits) {
        CHECK(t, engine_machine_commit(&t->machines[which], &ticket) == ERR_OK);
    }
}

/* The twins do the same, and say the same of it. */
static void
t_both(struct t_twins *t, struct port_ledger_request *request)
{
    for (int i = 0; i < 2; i++) {
        struct port_ledger_request own = *request;
        own.out.results = results[i];
        t_execute(t, ONE + i, &own);
        request->out_count = own.out_count;
    }
    CHECK(t, memcmp(results[0], results[1], request->count * sizeof(results[0][0])) == 0);
}

static void
t_do(struct t_twins *t, bool source, struct port_ledger_request *request)
{
    request->out.results = results[0];
    t->commits = below(t, 3) != 0;
    if (source) {
        t_execute(t, SOURCE, request);
    } else {
        t_both(t, request);
    }
}

/* ---- work ---- */

static void
t_accounts(struct t_twins *t, bool source)
{
    struct ledger_account accounts[GUESTS];
    uint32_t count = source ? GUESTS : OWN;
    for (uint32_t i = 0; i < count; i++) {
        accounts[i] = (struct ledger_account){
            .id = i + (source ? 1 : OWN_ID),
            .ledger = LEDGER_NUMBER,
            .code = 1,
            .flags = i % 4 == 1 ? LEDGER_ACCOUNT_DEBITS_MUST_NOT_EXCEED_CREDITS : 0,
        };
    }
    struct port_ledger_request request = {.operation = PORT_LEDGER_CREATE_ACCOUNTS, .count = count};
    request.in.accounts = accounts;
    t_do(t, source, &request);
}

/* Of the source: one that has not moved; of the twins: one that has, or their own. */
static u128
t_account(struct t_twins *t, bool source, uint32_t set)
{
    uint32_t member = (uint32_t)below(t, GUESTS / SETS);
    if (!source && (t->moved == 0 || set == SETS)) {
        return OWN_ID + member % OWN;
    }
    return (u128)1 + set + SETS * member;
}

static uint32_t
t_set(struct t_twins *t, bool source)
{
    return source ? t->moved + (uint32_t)below(t, SETS - t->moved)
                  : (below(t, 2) == 0 ? SETS : (uint32_t)below(t, t->moved == 0 ? 1 : t->moved));
}

/* A live pending transfer of the twins or the source, by chance; 0: none. */
static u128
t_pending(struct t_twins *t, bool source)
{
    const struct ledger *ledger = t->machines[source ? SOURCE : ONE].ledger;
    u128 ids[64];
    uint32_t count = 0;
    for (uint32_t i = 0; i < ledger_pending_slots(ledger) && count < 64; i++) {
        const struct ledger_transfer *pending = ledger_pending_at(ledger, i);
        if (pending != NULL && t_has(t, pending->debit_account_id) != source) {
            ids[count++] = pending->id;
        }
    }
    /* In an order that does not depend on where they are kept. */
    u128 least = 0;
    for (uint32_t i = 0; i < count; i++) {
        least = least == 0 || ids[i] < least ? ids[i] : least;
    }
    return least;
}

static void
t_work(struct t_twins *t, bool source)
{
    static struct ledger_transfer transfers[2 * BATCH];
    uint32_t count = 0;
    memset(transfers, 0, sizeof(transfers));
    for (uint64_t i = 1 + below(t, BATCH); i > 0; i--) {
        struct ledger_transfer *transfer = &transfers[count++];
        uint32_t set = t_set(t, source);
        uint32_t other = below(t, 3) == 0 ? t_set(t, source) : set;
        *transfer = (struct ledger_transfer){
            .id = ++t->next_id,
            .debit_account_id = t_account(t, source, set),
            .credit_account_id = t_account(t, source, other),
            .amount = 1 + below(t, 9),
            .ledger = LEDGER_NUMBER,
            .code = (uint16_t)(1 + below(t, 2)),
            .user_data_64 = below(t, 3),
        };
        if (below(t, 3) != 0) {
            continue;
        }
        transfer->flags = LEDGER_TRANSFER_PENDING;
        transfer->timeout = (uint32_t)below(t, 4);
        if (set != other) { /* no hold lives over two sets */
            transfers[count++] = (struct ledger_transfer){
                .id = ++t->next_id,
                .pending_id = transfer->id,
                .flags =
                    below(t, 2) == 0 ? LEDGER_TRANSFER_POST_PENDING : LEDGER_TRANSFER_VOID_PENDING,
                .amount = U128_MAX,
            };
            transfers[count - 1].amount =
                transfers[count - 1].flags == LEDGER_TRANSFER_POST_PENDING ? U128_MAX : 0;
        }
    }
    u128 pending = t_pending(t, source);
    if (pending != 0 && below(t, 2) == 0 && count < 2 * BATCH) {
        transfers[count++] = (struct ledger_transfer){
            .id = ++t->next_id, .pending_id = pending, .flags = LEDGER_TRANSFER_VOID_PENDING};
    }
    struct port_ledger_request request = {
        .operation = PORT_LEDGER_CREATE_TRANSFERS, .count = count};
    request.in.transfers = transfers;
    t_do(t, source, &request);
}

/* Time goes by, and what is due expires. */
static void
t_tick(struct t_twins *t, bool source)
{
    uint64_t step = SECOND_NS * (1 + below(t, 3)) / 2;
    for (int i = source ? SOURCE : ONE; i <= (source ? SOURCE : OTHER); i++) {
        struct engine_machine *machine = &t->machines[i];
        uint64_t clock = ledger_clock(t->machines[source ? SOURCE : ONE].ledger);
        clock = i == OTHER ? ledger_clock(machine->ledger) : clock;
        CHECK(t, engine_machine_tick(machine, clock + step) == ERR_OK);
    }
}

/* ---- comparing ---- */

static void
t_compare_feed(struct t_twins *t, const struct port_ledger_filter *filter)
{
    uint32_t counts[2];
    for (int i = 0; i < 2; i++) {
        struct port_ledger_request request = {.operation = PORT_LEDGER_GET_CHANGE_EVENTS};
        request.in.filter = filter;
        request.out.changes = feeds[i];
        t_execute(t, ONE + i, &request);
        counts[i] = request.out_count;
    }
    CHECK(t, counts[0] == counts[1]);
    for (uint32_t i = 0; i < counts[0]; i++) {
        /* Both are filled by assigning whole records, which have no padding. */
        // NOLINTNEXTLINE(bugprone-suspicious-memory-comparison,cert-exp42-c,cert-flp37-c)
        if (memcmp(&feeds[0][i], &feeds[1][i], sizeof(feeds[0][i])) != 0) {
            fail_msg(
                "TAEL_TWIN_SEED=%llu: event %u of %u: id %llu and %llu, time %llu and %llu, kind "
                "%u "
                "and %u",
                (unsigned long long)t->seed,
                i,
                counts[0],
                (unsigned long long)feeds[0][i].event.transfer.id,
                (unsigned long long)feeds[1][i].event.transfer.id,
                (unsigned long long)feeds[0][i].event.timestamp,
                (unsigned long long)feeds[1][i].event.timestamp,
                feeds[0][i].event.kind,
                feeds[1][i].event.kind);
        }
    }
}

static void
t_compare_transfers(struct t_twins *t, struct port_ledger_request request)
{
    uint32_t counts[2];
    for (int i = 0; i < 2; i++) {
        request.out.transfers = found[i];
        t_execute(t, ONE + i, &request);
        counts[i] = request.out_count;
    }
    CHECK(t, counts[0] == counts[1]);
    CHECK(t, memcmp(found[0], found[1], counts[0] * sizeof(found[0][0])) == 0);
}

/* Random ranges, filters, directions and limits; with a guard half of it is hidden. */
static void
t_compare_queries(struct t_twins *t)
{
    t->hides = below(t, 2) == 0;
    uint64_t clock = ledger_clock(t->machines[ONE].ledger);
    struct port_ledger_filter filter = {
        .account_id = 1 + below(t, GUESTS),
        .user_data_64 = below(t, 3),
        .code = (uint16_t)below(t, 3),
        .debits = true,
        .credits = below(t, 2) == 0,
        .reversed = below(t, 2) == 0,
        .timestamp_min = below(t, 2) == 0 ? 0 : 1 + below(t, clock),
        .timestamp_max = 0,
        .limit = (uint32_t)(1 + below(t, 40)),
    };
    filter.timestamp_max =
        below(t, 2) == 0 ? 0
                         : filter.timestamp_min + 1 + below(t, clock - filter.timestamp_min + 1);
    struct port_ledger_request request = {.operation = PORT_LEDGER_QUERY_TRANSFERS};
    request.in.filter = &filter;
    t_compare_transfers(t, request);
    t_compare_feed(t, &filter);
    request.operation = PORT_LEDGER_GET_ACCOUNT_TRANSFERS;
    t_compare_transfers(t, request);
    t->hides = false;
}

static void
t_compare_ids(struct t_twins *t)
{
    static u128 ids[FEED_MAX];
    uint32_t count = 0;
    for (u128 id = 1; id <= t->next_id && count < FEED_MAX; id++) {
        ids[count++] = id;
    }
    struct port_ledger_request request = {
        .operation = PORT_LEDGER_LOOKUP_TRANSFERS, .count = count};
    request.in.ids = ids;
    t_compare_transfers(t, request);
    struct ledger_past pasts[2];
    for (uint32_t i = 0; i < count; i++) {
        for (int j = 0; j < 2; j++) {
            struct store *store = t->machines[ONE + j].store;
            struct store_error error;
            CHECK(t, store->ops->look_up(store, &ids[i], 1, &pasts[j], &error) == ERR_OK);
        }
        CHECK(t, pasts[0].kind == pasts[1].kind);
        CHECK(t, pasts[0].fate == pasts[1].fate);
    }
}

/* In the order in which they came; where to go on is each store's own. */
static uint32_t
t_failed(struct t_twins *t, int which, uint32_t limit, struct port_ledger_failed_id *failed)
{
    struct port_ledger_filter filter = {.limit = limit};
    struct port_ledger_request request = {.operation = PORT_LEDGER_GET_FAILED_IDS};
    uint32_t count = 0;
    do {
        request.in.filter = &filter;
        request.out.failed = failed + count;
        t_execute(t, which, &request);
        count += request.out_count;
        CHECK(t, count + filter.limit <= FAILED_MAX);
        filter.timestamp_min = count == 0 ? 0 : failed[count - 1].next;
    } while (request.out_count > 0);
    return count;
}

/* All of it is durable. */
static void
t_commit(struct t_twins *t)
{
    for (int i = SOURCE; i <= OTHER; i++) {
        struct store_ticket ticket = {.task.run = told};
        if (t->machines[i].uncommitted) {
            CHECK(t, engine_machine_commit(&t->machines[i], &ticket) == ERR_OK);
        }
    }
}

static void
t_compare(struct t_twins *t)
{
    static struct port_ledger_failed_id failed[2][FAILED_MAX];
    const struct ledger *one = t->machines[ONE].ledger;
    const struct ledger *other = t->machines[OTHER].ledger;
    CHECK(t, ledger_account_count(one) == ledger_account_count(other));
    CHECK(t, ledger_pending_count(one) == ledger_pending_count(other));
    for (uint32_t i = 0; i < ledger_account_count(one); i++) {
        const struct ledger_account *account = ledger_account_at(one, i);
        CHECK(t, memcmp(account, ledger_account_at(other, i), sizeof(*account)) == 0);
        CHECK(t, ledger_account_by_time(one, i) == ledger_account_by_time(other, i));
    }
    const struct port_ledger_filter all = {.limit = FEED_MAX};
    t_compare_feed(t, &all);
    for (int i = 0; i < 4; i++) {
        t_compare_queries(t);
    }
    t_compare_ids(t);
    t_commit(t);
    uint32_t limit = (uint32_t)(1 + below(t, 20));
    uint32_t count = t_failed(t, ONE, limit, failed[0]);
    CHECK(t, count == t_failed(t, OTHER, limit, failed[1]));
    for (uint32_t i = 0; i < count; i++) {
        CHECK(t, failed[0][i].id == failed[1][i].id);
    }
}

/* What is noted is there at the next load, whether a batch was with it or not. */
static void
t_note(struct t_twins *t, int which, const char *text)
{
    struct span note = span_from_cstr(text);
    struct port_ledger_request request = {.operation = PORT_LEDGER_SETTLE};
    request.in.note = &note;
    if (t->machines[which].store->ops->note_put == NULL) {
        CHECK(t, engine_machine_execute(&t->machines[which], &request) == ERR_UNSUPPORTED);
        return;
    }
    CHECK(t, engine_machine_execute(&t->machines[which], &request) == ERR_OK);
    CHECK(t, t->machines[which].uncommitted);
}

static void
t_note_check(struct t_twins *t, int which, const char *text)
{
    struct store *store = t->machines[which].store;
    if (store->ops->note_get != NULL) {
        CHECK(t, span_equal(store->ops->note_get(store), span_from_cstr(text)));
    }
}

static void
t_restart(struct t_twins *t)
{
    char text[64];
    (void)snprintf(text, sizeof(text), "load %llu\n", (unsigned long long)t->loads);
    t_note(t, ONE, "it is replaced");
    t_note(t, OTHER, "it is replaced");
    t_note(t, ONE, text);
    t_note(t, OTHER, text);
    t_commit(t);
    for (int i = ONE; i <= OTHER; i++) {
        uint64_t clock = ledger_clock(t->machines[i].ledger);
        engine_machine_close(&t->machines[i]);
        t_open(t, i);
        t_note_check(t, i, text);
        /* Reads moved it, which is not kept. */
        CHECK(t, engine_machine_tick(&t->machines[i], clock) == ERR_OK);
    }
    t->loads++;
}

static void
t_live(struct t_twins *t, uint32_t steps, bool source)
{
    for (uint32_t i = 0; i < steps; i++) {
        if (below(t, 6) == 0) {
            t_tick(t, source);
        } else {
            t_work(t, source);
        }
        if (!source && below(t, 12) == 0) {
            t_restart(t);
        }
        if (!source && below(t, 5) == 0) {
            t_compare(t);
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
    t->commits = below(t, 3) != 0;
    t_both(t, &request);
    for (uint32_t i = 0; i < count; i++) {
        CHECK(t, results[0][i].status != PORT_LEDGER_ADOPTED_REFUSED);
        t->adopted += results[0][i].status == PORT_LEDGER_ADOPTED;
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
    static struct port_ledger_change changes[FEED_MAX];
    static struct port_ledger_failed_id failed[FAILED_MAX];
    uint32_t count = 0;
    for (uint32_t i = set; i < GUESTS; i += SETS) {
        t_adoption(&count, PORT_LEDGER_ADOPT_ACCOUNT)->of.account =
            *ledger_find_account(t->machines[SOURCE].ledger, i + 1);
    }
    uint32_t failed_count = t_failed(t, SOURCE, 50, failed);
    for (uint32_t i = 0; i < failed_count; i++) {
        t_adoption(&count, PORT_LEDGER_ADOPT_FAILED_ID)->of.failed_id = failed[i].id;
    }
    t_adopt(t, count);
    const struct port_ledger_filter all = {.limit = FEED_MAX};
    struct port_ledger_request request = {.operation = PORT_LEDGER_GET_CHANGE_EVENTS};
    request.in.filter = &all;
    request.out.changes = changes;
    t_execute(t, SOURCE, &request);
    uint32_t change_count = request.out_count;
    count = 0;
    for (uint32_t i = 0; i < change_count; i++) {
        t_move_event(&changes[i], set, &count);
        if (count > 0 && (i + 1 == change_count || below(t, 40) == 0)) {
            t_adopt(t, count);
            count = 0;
            t_live(t, (uint32_t)below(t, 3), false);
        }
    }
}

/* Holds over two of the source's sets, with which neither can move. */
static void
t_span(struct t_twins *t)
{
    struct ledger_transfer transfers[SPANS];
    for (uint32_t i = 0; i < SPANS; i++) {
        uint32_t set = t_set(t, true);
        uint32_t other = set;
        while (other == set) {
            other = t_set(t, true);
        }
        t->spans[i] = ++t->next_id;
        transfers[i] = (struct ledger_transfer){
            .id = t->spans[i],
            .debit_account_id = t_account(t, true, set),
            .credit_account_id = t_account(t, true, other),
            .amount = 1 + below(t, 9),
            .ledger = LEDGER_NUMBER,
            .code = 1,
            .flags = LEDGER_TRANSFER_PENDING,
            .timeout = (uint32_t)below(t, 3),
        };
    }
    struct port_ledger_request request = {
        .operation = PORT_LEDGER_CREATE_TRANSFERS, .count = SPANS};
    request.in.transfers = transfers;
    t_do(t, true, &request);
}

/* By their ids alone. */
static void
t_end_spans(struct t_twins *t, bool source)
{
    struct ledger_transfer transfers[SPANS];
    for (uint32_t i = 0; i < SPANS; i++) {
        bool post = below(t, 2) == 0;
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
    t_do(t, source, &request);
    for (uint32_t i = 0; i < SPANS && !source; i++) {
        CHECK(t, results[0][i].status != LEDGER_TRANSFER_created);
        t->refused += results[0][i].status == LEDGER_TRANSFER_pending_transfer_already_posted ||
                      results[0][i].status == LEDGER_TRANSFER_pending_transfer_already_voided;
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
    t_copy(t, t_set(t, true));
    t_live(t, 5, true);
    if (below(t, 2) == 0) {
        t_copy(t, t_set(t, true));
    }
    t_count_stale(t);
    t_live(t, 5, false);
    t_compare(t);
    if (below(t, 2) == 0) {
        t_restart(t);
    }
    t_end_spans(t, true);
    t_tick(t, true);
    t_copy(t, t_set(t, true));
    t_compare(t);
}

static void
t_count(struct t_twins *t)
{
    const struct port_ledger_filter all = {.limit = FEED_MAX};
    struct port_ledger_request request = {.operation = PORT_LEDGER_GET_CHANGE_EVENTS};
    request.in.filter = &all;
    request.out.changes = feeds[0];
    t_execute(t, ONE, &request);
    for (uint32_t i = 0; i < request.out_count; i++) {
        const struct ledger_event *event = &feeds[0][i].event;
        t->expired += event->kind == LEDGER_EVENT_TWO_PHASE_EXPIRED && event->adopted == 0;
        t->halves += i > 0 && event->adopted != 0 &&
                     feeds[0][i - 1].event.transfer.id == event->transfer.id &&
                     feeds[0][i - 1].event.kind == event->kind;
    }
}

static void
t_round(struct t_twins *t)
{
    t_accounts(t, true);
    t_accounts(t, false);
    t_live(t, 10, false);
    for (uint32_t set = 0; set < 2; set++) {
        t_live(t, 25, true);
        t_denied(t);
        t_copy(t, set);
        t_compare(t);
        t_live(t, 10, true);
        t_copy(t, set);
        t_compare(t);
        t->moved = set + 1;
        engine_machine_settle(&t->machines[ONE]);
        engine_machine_settle(&t->machines[OTHER]);
        t_end_spans(t, false);
        t_live(t, 25, false);
    }
    t_restart(t);
    t_compare(t);
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
        struct t_twins *t = calloc(1, sizeof(*t));
        assert_non_null(t);
        t->seed = seed;
        t->executor.post = os_post_now;
        t->guard = (struct port_ledger_guard){
            .admit = t_admit, .refuse = t_admit, .has = t_has, .context = t};
        ledger_random_init(&t->random, seed);
        const struct os_sim_disk_settings disk = {.seed = seed};
        assert_int_equal(os_sim_disk_create(&disk, &t->disk), ERR_OK);
        (void)snprintf(t->urls[SOURCE], sizeof(t->urls[0]), "journal:source");
        (void)snprintf(t->urls[ONE], sizeof(t->urls[0]), "journal:one");
        (void)snprintf(t->urls[OTHER], sizeof(t->urls[0]), "journal:other");
        if (database != NULL) {
            (void)snprintf(
                t->urls[OTHER],
                sizeof(t->urls[0]),
                "%s&schema=twin_%llu&account_index=%s&copy_above=%d",
                database,
                (unsigned long long)seed,
                seed % 2 == 0 ? "on" : "off",
                seed % 3 == 0 ? 0 : 4);
        }
        for (int i = SOURCE; i < LEDGERS; i++) {
            t_open(t, i);
        }
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
        for (int i = SOURCE; i < LEDGERS; i++) {
            engine_machine_close(&t->machines[i]);
        }
        os_sim_disk_destroy(&t->disk);
        free(t);
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
