#include "machine_testing.h"

#include "base/list.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void
ticket_told(struct os_task *task)
{
    struct store_ticket *ticket = CONTAINER_OF(task, struct store_ticket, task);
    struct t_ledger *t = CONTAINER_OF(ticket, struct t_ledger, ticket);
    t->tickets_told++;
}

static void
notice_told(void *context, const char *text)
{
    struct t_ledger *t = context;
    t->notices++;
    (void)snprintf(t->notice, sizeof(t->notice), "%s", text);
}

void
t_ledger_init(struct t_ledger *t, uint64_t seed, struct os_disk *disk)
{
    memset(t, 0, sizeof(*t));
    t->disk = disk;
    t->executor.post = os_post_now;
    t->ticket.task.run = ticket_told;
    t->snapshot_interval = seed % 3 == 0 ? 0 : 1 + seed % 7 * 8192;
    /* All of them, none, or some. */
    const uint32_t orders = (1u << STORE_ORDER_COUNT) - 1;
    t->orders = seed % 4 == 0 ? 0 : seed % 4 == 1 ? (uint32_t)(seed / 4) & orders : orders;
    const char *database = getenv("TEST_POSTGRES");
    if (database == NULL) {
        (void)snprintf(t->url, sizeof(t->url), "journal:%s", T_FOLDER);
    } else {
        /* Both ways of writing: small and large transactions. */
        (void)snprintf(
            t->url,
            sizeof(t->url),
            "%s&schema=t_%llu&account_index=%s&copy_above=%d",
            database,
            (unsigned long long)seed,
            seed % 2 == 0 ? "on" : "off",
            seed % 3 == 0 ? 0 : 4);
    }
    t->model = ledger_model_create(ENGINE_EXPIRY_MAX, LEDGER_MODEL_CORRECT);
    ledger_random_init(&t->random, seed);
}

void
t_ledger_release(struct t_ledger *t)
{
    ledger_model_destroy(&t->model);
}

struct store_status
t_ledger_status(struct t_ledger *t)
{
    struct store_status status = {0};
    if (t->machine.store->ops->status != NULL) {
        t->machine.store->ops->status(t->machine.store, &status);
    }
    return status;
}

err_t
t_ledger_open(struct t_ledger *t)
{
    struct store_settings settings = store_settings_default();
    settings.segment_size = T_SEGMENT_SIZE;
    settings.transfer_count_max = 100000;
    /* Small enough for runs, and merges of merges. */
    settings.index_table_entries = T_TABLE_ENTRIES;
    settings.snapshot_interval = t->snapshot_interval;
    settings.stretch_count_max = 3;
    settings.orders = t->orders;
    settings.notice = notice_told;
    settings.notice_context = t;
    struct ledger_limits limits = {
        .account_count_max = T_ACCOUNTS_MAX, .pending_count_max = T_PENDINGS_MAX};
    struct store *store = NULL;
    memset(&t->machine, 0, sizeof(t->machine));
    t->error = store_open(t->url, t->disk, &settings, &store, &t->store_error);
    if (t->error == ERR_OK) {
        t->error = engine_machine_open(&t->machine, store, &limits, &t->store_error);
    }
    if (t->error == ERR_OK) {
        t->machine.executor = &t->executor;
        t->snapshots_loaded += t_ledger_status(t).loaded_snapshot != 0;
    }
    return t->error;
}

bool
t_ledger_catch_up(struct t_ledger *t)
{
    uint64_t clock = ledger_model_clock(t->model);
    if (ledger_clock(t->machine.ledger) > clock) {
        return false;
    }
    ledger_set_clock(t->machine.ledger, clock);
    return true;
}

void
t_ledger_close(struct t_ledger *t)
{
    engine_machine_close(&t->machine);
}

__attribute__((format(printf, 3, 4))) static bool
same(struct t_ledger *t, bool equal, const char *format, ...)
{
    if (equal || t->difference[0] != '\0') {
        return equal;
    }
    va_list arguments;
    va_start(arguments, format);
    /* The analyzer forgets va_start when it inlines a variadic function. */
    // NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized)
    (void)vsnprintf(t->difference, sizeof(t->difference), format, arguments);
    va_end(arguments);
    return equal;
}

/* --- one operation --- */

static bool
make_durable(struct t_ledger *t)
{
    if (!t->machine.uncommitted) {
        return true;
    }
    uint32_t told = t->tickets_told;
    t->error = engine_machine_commit(&t->machine, &t->ticket);
    if (t->error == ERR_OK) {
        if (!same(t, t->tickets_told == told + 1, "the ticket was not told")) {
            return false;
        }
        t->error = t->ticket.error.code;
    }
    return same(t, t->error == ERR_OK, "commit: %s", t->ticket.error.message);
}

static bool
do_tick(struct t_ledger *t, int64_t ns)
{
    uint64_t step = ns >= 0 ? (uint64_t)ns : LEDGER_TIMESTAMP_MAX - (uint64_t)-ns;
    uint64_t clock = ledger_clock(t->machine.ledger);
    uint64_t left = LEDGER_TIMESTAMP_MAX - clock;
    ledger_model_tick(t->model, ns);
    t->error = engine_machine_tick(&t->machine, clock + (step < left ? step : left));
    return same(t, t->error == ERR_OK, "tick: %s", err_text(t->error));
}

static bool
do_look_up(struct t_ledger *t)
{
    u128 id = 1;
    struct ledger_account out;
    struct port_ledger_request request = {
        .operation = PORT_LEDGER_LOOKUP_ACCOUNTS,
        .count = 1,
        .in.ids = &id,
        .out.accounts = &out,
    };
    ledger_model_commit(t->model);
    t->error = engine_machine_execute(&t->machine, &request);
    return same(t, t->error == ERR_OK, "look-up: %s", err_text(t->error));
}

static bool
compare_results(
    struct t_ledger *t, const struct ledger_result *got, const struct ledger_result *want)
{
    for (uint32_t i = 0; i < t->operation.count; i++) {
        if (!same(
                t,
                memcmp(&got[i], &want[i], sizeof(got[i])) == 0,
                "result %u: status %u at %llu, model %u at %llu",
                i,
                got[i].status,
                (unsigned long long)got[i].timestamp,
                want[i].status,
                (unsigned long long)want[i].timestamp)) {
            return false;
        }
    }
    return true;
}

/* The pair of the last event of each account must be what the account is now. */
static bool
compare_pairs(struct t_ledger *t, const struct port_ledger_pair *pairs)
{
    const struct ledger_transfer *batch = t->operation.transfers;
    for (uint32_t i = t->operation.count; i-- > 0;) {
        const struct ledger_account *sides[2] = {&pairs[i].debit, &pairs[i].credit};
        for (int side = 0; side < 2; side++) {
            if (i + 1 != t->operation.count) {
                continue;
            }
            const struct ledger_account *account = ledger_model_account(t->model, sides[side]->id);
            if (sides[side]->id == 0) {
                continue;
            }
            if (!same(
                    t,
                    account != NULL && memcmp(account, sides[side], sizeof(*account)) == 0,
                    "pair %u",
                    i)) {
                return false;
            }
        }
    }
    (void)batch;
    return true;
}

static bool
do_create(struct t_ledger *t)
{
    struct ledger_result got[LEDGER_RANDOM_BATCH_MAX] = {{0}};
    struct ledger_result want[LEDGER_RANDOM_BATCH_MAX] = {{0}};
    struct port_ledger_pair pairs[LEDGER_RANDOM_BATCH_MAX];
    struct port_ledger_request request = {.count = t->operation.count, .out.results = got};
    bool accounts = t->operation.kind == LEDGER_RANDOM_ACCOUNTS;
    if (accounts) {
        request.operation = PORT_LEDGER_CREATE_ACCOUNTS;
        request.in.accounts = t->operation.accounts;
    } else {
        request.operation = PORT_LEDGER_CREATE_TRANSFERS;
        request.in.transfers = t->operation.transfers;
        request.pairs = pairs;
    }
    uint32_t events = ledger_model_event_count(t->model);
    t->error = engine_machine_execute(&t->machine, &request);
    if (t->error == ERR_FULL) {
        t->error = ERR_OK;
        t->applied = false;
        return true;
    }
    if (accounts) {
        ledger_model_create_accounts(t->model, t->operation.accounts, request.count, want);
    } else {
        ledger_model_create_transfers(t->model, t->operation.transfers, request.count, want);
    }
    if (!same(t, t->error == ERR_OK, "create: %s", err_text(t->error)) ||
        !compare_results(t, got, want)) {
        return false;
    }
    /* A pulse behind the batch has moved on from what the pairs show. */
    uint32_t made = ledger_model_event_count(t->model) - events;
    for (uint32_t i = 0; i < made; i++) {
        uint32_t at = ledger_model_event_count(t->model) - 1 - i;
        if (ledger_model_event_at(t->model, at)->kind == LEDGER_EVENT_TWO_PHASE_EXPIRED) {
            return true;
        }
    }
    return accounts || compare_pairs(t, pairs);
}

bool
t_ledger_step(struct t_ledger *t)
{
    ledger_random_next(&t->random, t->model, &t->operation);
    t->applied = true;
    for (uint32_t i = 0; t->operation.kind == LEDGER_RANDOM_TRANSFERS && i < t->operation.count &&
                         t->seen_count < T_SEEN_MAX;
         i++) {
        t->seen[t->seen_count++] = t->operation.transfers[i].id;
    }
    bool ok = false;
    switch (t->operation.kind) {
    case LEDGER_RANDOM_TICK:
        ok = do_tick(t, t->operation.tick_ns);
        break;
    case LEDGER_RANDOM_COMMIT:
        ok = do_look_up(t);
        break;
    case LEDGER_RANDOM_ACCOUNTS:
    case LEDGER_RANDOM_TRANSFERS:
        ok = do_create(t);
        break;
    }
    if (!ok || !make_durable(t)) {
        return false;
    }
    return same(
        t,
        ledger_clock(t->machine.ledger) == ledger_model_clock(t->model),
        "clock %llu, model %llu",
        (unsigned long long)ledger_clock(t->machine.ledger),
        (unsigned long long)ledger_model_clock(t->model));
}

/* --- queries --- */

static struct ledger_model_filter
model_filter(const struct port_ledger_filter *filter)
{
    return (struct ledger_model_filter){
        .account_id = filter->account_id,
        .debits = filter->debits,
        .credits = filter->credits,
        .reversed = filter->reversed,
        .user_data_128 = filter->user_data_128,
        .user_data_64 = filter->user_data_64,
        .user_data_32 = filter->user_data_32,
        .ledger = filter->ledger,
        .code = filter->code,
        .timestamp_min = filter->timestamp_min,
        .timestamp_max = filter->timestamp_max,
        .limit = filter->limit,
    };
}

/* Executes a query, without counting it as a commit of the ledger. */
static bool
query(
    struct t_ledger *t,
    enum port_ledger_operation operation,
    const struct port_ledger_filter *filter,
    void *out,
    uint32_t *ret_count)
{
    struct port_ledger_request request = {.operation = operation, .in.filter = filter};
    request.out.transfers = out;
    err_t error = engine_machine_read(&t->machine, &request);
    *ret_count = request.out_count;
    return same(t, error == ERR_OK, "query: %s", t->machine.error.message);
}

static bool
compare_transfers(
    struct t_ledger *t, enum port_ledger_operation operation, struct port_ledger_filter *filter)
{
    size_t room = filter->limit + 1;
    struct ledger_transfer *got = calloc(room, sizeof(*got));
    struct ledger_transfer *want = calloc(room, sizeof(*want));
    struct ledger_model_filter wanted = model_filter(filter);
    uint32_t count = 0;
    uint32_t expected = operation == PORT_LEDGER_QUERY_TRANSFERS
                            ? ledger_model_query_transfers(t->model, &wanted, want)
                            : ledger_model_get_account_transfers(t->model, &wanted, want);
    bool ok = query(t, operation, filter, got, &count) &&
              same(
                  t,
                  count == expected,
                  "query %d: %u found, model %u",
                  (int)operation,
                  count,
                  expected) &&
              same(t, memcmp(got, want, count * sizeof(*got)) == 0, "query %d", (int)operation);
    free(got);
    free(want);
    return ok;
}

static bool
compare_balances(struct t_ledger *t, struct port_ledger_filter *filter)
{
    size_t room = filter->limit + 1;
    struct port_ledger_balance *got = calloc(room, sizeof(*got));
    struct ledger_model_balance *want = calloc(room, sizeof(*want));
    struct ledger_model_filter wanted = model_filter(filter);
    uint32_t count = 0;
    uint32_t expected = ledger_model_get_account_balances(t->model, &wanted, want);
    bool ok = query(t, PORT_LEDGER_GET_ACCOUNT_BALANCES, filter, got, &count) &&
              same(t, count == expected, "balances: %u found, model %u", count, expected);
    for (uint32_t i = 0; ok && i < count; i++) {
        ok = same(
            t,
            got[i].timestamp == want[i].timestamp &&
                memcmp(&got[i].balances, &want[i].balances, sizeof(got[i].balances)) == 0,
            "balances %u",
            i);
    }
    free(got);
    free(want);
    return ok;
}

static bool
compare_accounts(struct t_ledger *t, struct port_ledger_filter *filter)
{
    size_t room = filter->limit + 1;
    struct ledger_account *got = calloc(room, sizeof(*got));
    struct ledger_account *want = calloc(room, sizeof(*want));
    struct ledger_model_filter wanted = model_filter(filter);
    uint32_t count = 0;
    uint32_t expected = ledger_model_query_accounts(t->model, &wanted, want);
    bool ok = query(t, PORT_LEDGER_QUERY_ACCOUNTS, filter, got, &count) &&
              same(t, count == expected, "accounts: %u found, model %u", count, expected) &&
              same(t, memcmp(got, want, count * sizeof(*got)) == 0, "accounts");
    free(got);
    free(want);
    return ok;
}

static bool
compare_changes(struct t_ledger *t, struct port_ledger_filter *filter)
{
    size_t room = filter->limit + 1;
    struct port_ledger_change *got = calloc(room, sizeof(*got));
    struct ledger_model_event *want = calloc(room, sizeof(*want));
    struct ledger_model_filter wanted = model_filter(filter);
    uint32_t count = 0;
    uint32_t expected = ledger_model_get_change_events(t->model, &wanted, want);
    bool ok = query(t, PORT_LEDGER_GET_CHANGE_EVENTS, filter, got, &count) &&
              same(t, count == expected, "changes: %u found, model %u", count, expected);
    for (uint32_t i = 0; ok && i < count; i++) {
        ok = same(
            t,
            got[i].event.kind == want[i].kind && got[i].event.timestamp == want[i].timestamp &&
                memcmp(&got[i].event.transfer, &want[i].transfer, 128) == 0 &&
                memcmp(&got[i].debit, &want[i].debit, 128) == 0 &&
                memcmp(&got[i].credit, &want[i].credit, 128) == 0,
            "change %u: kind %u at %llu, model %u at %llu",
            i,
            got[i].event.kind,
            (unsigned long long)got[i].event.timestamp,
            want[i].kind,
            (unsigned long long)want[i].timestamp);
    }
    free(got);
    free(want);
    return ok;
}

static bool
compare_one(
    struct t_ledger *t, enum port_ledger_operation operation, struct port_ledger_filter *filter)
{
    switch (operation) {
    case PORT_LEDGER_GET_ACCOUNT_TRANSFERS:
    case PORT_LEDGER_QUERY_TRANSFERS:
        return compare_transfers(t, operation, filter);
    case PORT_LEDGER_GET_ACCOUNT_BALANCES:
        return compare_balances(t, filter);
    case PORT_LEDGER_QUERY_ACCOUNTS:
        return compare_accounts(t, filter);
    case PORT_LEDGER_GET_CHANGE_EVENTS:
        return compare_changes(t, filter);
    case PORT_LEDGER_CREATE_ACCOUNTS:
    case PORT_LEDGER_CREATE_TRANSFERS:
    case PORT_LEDGER_LOOKUP_ACCOUNTS:
    case PORT_LEDGER_LOOKUP_TRANSFERS:
    case PORT_LEDGER_LOOKUP_CONSISTENT:
    case PORT_LEDGER_QUERY_IN_TRANSIT:
    case PORT_LEDGER_ADOPT:
    case PORT_LEDGER_GET_FAILED_IDS:
    case PORT_LEDGER_SHARD:
    case PORT_LEDGER_SETTLE:
        break;
    }
    return false;
}

/* A timestamp near one that is there. */
static uint64_t
random_time(struct t_ledger *t)
{
    uint32_t count = ledger_model_event_count(t->model);
    if (count == 0 || ledger_random_below(&t->random, 2) == 0) {
        return 0;
    }
    uint32_t at = (uint32_t)ledger_random_below(&t->random, count);
    return ledger_model_event_at(t->model, at)->timestamp - 1 + ledger_random_below(&t->random, 3);
}

bool
t_ledger_compare_query(struct t_ledger *t)
{
    struct ledger_random *random = &t->random;
    struct port_ledger_filter filter = {
        .debits = ledger_random_below(random, 3) != 0,
        .credits = ledger_random_below(random, 3) != 0,
        .reversed = ledger_random_below(random, 2) != 0,
        .timestamp_min = random_time(t),
        .timestamp_max = random_time(t),
        .limit = (uint32_t)ledger_random_below(random, 12),
    };
    uint32_t accounts = ledger_model_account_count(t->model);
    if (accounts > 0 && ledger_random_below(random, 10) != 0) {
        uint32_t at = (uint32_t)ledger_random_below(random, accounts);
        filter.account_id = ledger_model_account_at(t->model, at)->id;
    }
    uint32_t transfers = ledger_model_transfer_count(t->model);
    if (transfers > 0) {
        const struct ledger_transfer *transfer =
            ledger_model_transfer_at(t->model, (uint32_t)ledger_random_below(random, transfers));
        filter.code = ledger_random_below(random, 4) == 0 ? transfer->code : 0;
        filter.user_data_64 = ledger_random_below(random, 4) == 0 ? transfer->user_data_64 : 0;
        filter.user_data_32 = ledger_random_below(random, 6) == 0 ? transfer->user_data_32 : 0;
        filter.user_data_128 = ledger_random_below(random, 6) == 0 ? transfer->user_data_128 : 0;
    }
    enum port_ledger_operation operation =
        PORT_LEDGER_GET_ACCOUNT_TRANSFERS + (unsigned)ledger_random_below(random, 5);
    if (operation == PORT_LEDGER_QUERY_TRANSFERS || operation == PORT_LEDGER_QUERY_ACCOUNTS) {
        filter.ledger = (uint32_t)ledger_random_below(random, 3);
    }
    return compare_one(t, operation, &filter);
}

/* --- everything --- */

static bool
compare_pasts(struct t_ledger *t)
{
    uint32_t count = ledger_model_transfer_count(t->model);
    for (uint32_t i = 0; i < count; i++) {
        const struct ledger_transfer *transfer = ledger_model_transfer_at(t->model, i);
        struct ledger_past past;
        struct store_error error = {0};
        err_t code =
            t->machine.store->ops->look_up(t->machine.store, &transfer->id, 1, &past, &error);
        if (!same(t, code == ERR_OK, "look-up: %s", error.message) ||
            !same(
                t,
                past.kind == LEDGER_PAST_TRANSFER &&
                    past.fate == ledger_model_fate(t->model, transfer->id) &&
                    memcmp(&past.transfer, transfer, sizeof(*transfer)) == 0,
                "past of transfer %u",
                i)) {
            return false;
        }
    }
    return true;
}

static bool
compare_failed(struct t_ledger *t)
{
    for (uint32_t i = 0; i < t->seen_count; i++) {
        struct ledger_past past;
        struct store_error error = {0};
        err_t code =
            t->machine.store->ops->look_up(t->machine.store, &t->seen[i], 1, &past, &error);
        bool failed = past.kind == LEDGER_PAST_FAILED;
        if (!same(t, code == ERR_OK, "look-up: %s", error.message) ||
            !same(t, failed == ledger_model_failed(t->model, t->seen[i]), "failed id %u", i)) {
            return false;
        }
    }
    return true;
}

bool
t_ledger_compare_all(struct t_ledger *t)
{
    struct port_ledger_filter filter = {.limit = T_TRANSFERS_MAX, .debits = true, .credits = true};
    uint32_t count = ledger_model_account_count(t->model);
    for (uint32_t i = 0; i < count; i++) {
        filter.account_id = ledger_model_account_at(t->model, i)->id;
        if (!compare_one(t, PORT_LEDGER_GET_ACCOUNT_TRANSFERS, &filter) ||
            !compare_one(t, PORT_LEDGER_GET_ACCOUNT_BALANCES, &filter)) {
            return false;
        }
    }
    return same(
               t,
               ledger_account_count(t->machine.ledger) == count,
               "%u accounts, model %u",
               ledger_account_count(t->machine.ledger),
               count) &&
           same(t, ledger_validate(t->machine.ledger) == ERR_OK, "validation") &&
           compare_one(t, PORT_LEDGER_QUERY_ACCOUNTS, &filter) &&
           compare_one(t, PORT_LEDGER_QUERY_TRANSFERS, &filter) &&
           compare_one(t, PORT_LEDGER_GET_CHANGE_EVENTS, &filter) && compare_pasts(t) &&
           compare_failed(t);
}
