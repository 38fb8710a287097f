/* The three ledgers, what is asked of them, and the work that they do. */
#include "twin_testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void
told(struct os_task *task)
{
    (void)task;
}

uint64_t
t_twins_below(struct t_twins *t, uint64_t limit)
{
    return ledger_random_below(&t->random, limit);
}

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

void
t_twins_open(struct t_twins *t, int which)
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

void
t_twins_execute(struct t_twins *t, int which, struct port_ledger_request *request)
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

void
t_twins_both(struct t_twins *t, struct port_ledger_request *request)
{
    for (int i = 0; i < 2; i++) {
        struct port_ledger_request own = *request;
        own.out.results = t->results[i];
        t_twins_execute(t, ONE + i, &own);
        request->out_count = own.out_count;
    }
    CHECK(t, memcmp(t->results[0], t->results[1], request->count * sizeof(t->results[0][0])) == 0);
}

void
t_twins_do(struct t_twins *t, bool source, struct port_ledger_request *request)
{
    request->out.results = t->results[0];
    t->commits = t_twins_below(t, 3) != 0;
    if (source) {
        t_twins_execute(t, SOURCE, request);
    } else {
        t_twins_both(t, request);
    }
}

/* ---- work ---- */

void
t_twins_accounts(struct t_twins *t, bool source)
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
    t_twins_do(t, source, &request);
}

u128
t_twins_account(struct t_twins *t, bool source, uint32_t set)
{
    uint32_t member = (uint32_t)t_twins_below(t, GUESTS / SETS);
    if (!source && (t->moved == 0 || set == SETS)) {
        return OWN_ID + member % OWN;
    }
    return (u128)1 + set + SETS * member;
}

uint32_t
t_twins_set(struct t_twins *t, bool source)
{
    return source ? t->moved + (uint32_t)t_twins_below(t, SETS - t->moved)
                  : (t_twins_below(t, 2) == 0
                         ? SETS
                         : (uint32_t)t_twins_below(t, t->moved == 0 ? 1 : t->moved));
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

void
t_twins_work(struct t_twins *t, bool source)
{
    static struct ledger_transfer transfers[2 * BATCH];
    uint32_t count = 0;
    memset(transfers, 0, sizeof(transfers));
    for (uint64_t i = 1 + t_twins_below(t, BATCH); i > 0; i--) {
        struct ledger_transfer *transfer = &transfers[count++];
        uint32_t set = t_twins_set(t, source);
        uint32_t other = t_twins_below(t, 3) == 0 ? t_twins_set(t, source) : set;
        *transfer = (struct ledger_transfer){
            .id = ++t->next_id,
            .debit_account_id = t_twins_account(t, source, set),
            .credit_account_id = t_twins_account(t, source, other),
            .amount = 1 + t_twins_below(t, 9),
            .ledger = LEDGER_NUMBER,
            .code = (uint16_t)(1 + t_twins_below(t, 2)),
            .user_data_64 = t_twins_below(t, 3),
        };
        if (t_twins_below(t, 3) != 0) {
            continue;
        }
        transfer->flags = LEDGER_TRANSFER_PENDING;
        transfer->timeout = (uint32_t)t_twins_below(t, 4);
        if (set != other) { /* no hold lives over two sets */
            transfers[count++] = (struct ledger_transfer){
                .id = ++t->next_id,
                .pending_id = transfer->id,
                .flags = t_twins_below(t, 2) == 0 ? LEDGER_TRANSFER_POST_PENDING
                                                  : LEDGER_TRANSFER_VOID_PENDING,
                .amount = U128_MAX,
            };
            transfers[count - 1].amount =
                transfers[count - 1].flags == LEDGER_TRANSFER_POST_PENDING ? U128_MAX : 0;
        }
    }
    u128 pending = t_pending(t, source);
    if (pending != 0 && t_twins_below(t, 2) == 0 && count < 2 * BATCH) {
        transfers[count++] = (struct ledger_transfer){
            .id = ++t->next_id, .pending_id = pending, .flags = LEDGER_TRANSFER_VOID_PENDING};
    }
    struct port_ledger_request request = {
        .operation = PORT_LEDGER_CREATE_TRANSFERS, .count = count};
    request.in.transfers = transfers;
    t_twins_do(t, source, &request);
}

void
t_twins_tick(struct t_twins *t, bool source)
{
    uint64_t step = SECOND_NS * (1 + t_twins_below(t, 3)) / 2;
    for (int i = source ? SOURCE : ONE; i <= (source ? SOURCE : OTHER); i++) {
        struct engine_machine *machine = &t->machines[i];
        uint64_t clock = ledger_clock(t->machines[source ? SOURCE : ONE].ledger);
        clock = i == OTHER ? ledger_clock(machine->ledger) : clock;
        CHECK(t, engine_machine_tick(machine, clock + step) == ERR_OK);
    }
}

void
t_twins_commit(struct t_twins *t)
{
    for (int i = SOURCE; i <= OTHER; i++) {
        struct store_ticket ticket = {.task.run = told};
        if (t->machines[i].uncommitted) {
            CHECK(t, engine_machine_commit(&t->machines[i], &ticket) == ERR_OK);
        }
    }
}

/* ---- life time ---- */

struct t_twins *
t_twins_create(uint64_t seed, const char *database)
{
    struct t_twins *t = calloc(1, sizeof(*t));
    assert_non_null(t);
    t->seed = seed;
    t->executor.post = os_post_now;
    t->guard =
        (struct port_ledger_guard){.admit = t_admit, .refuse = t_admit, .has = t_has, .context = t};
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
        t_twins_open(t, i);
    }
    return t;
}

void
t_twins_destroy(struct t_twins *t)
{
    for (int i = SOURCE; i < LEDGERS; i++) {
        engine_machine_close(&t->machines[i]);
    }
    os_sim_disk_destroy(&t->disk);
    free(t);
}
