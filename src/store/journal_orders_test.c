/*
 * Orders against a scan of everything: whatever is kept, was switched on or off since, is missing,
 * damaged or another history's, queries find what they found without (ORDER-5).
 */
#include "journal.h"

#include "store/verify.h"

#include "base/list.h"
#include "os/prng.h"
#include "os/sim.h"
#include "os/sim_disk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define FOLDER        "ledger"
#define SEGMENT_SMALL UINT64_C(65536)
/* Its parts have keys with more entries than are taken at a time. */
#define SEGMENT_LARGE UINT64_C(1048576)
#define SEGMENTS_MAX  64u
#define ACCOUNTS      12u
#define TRANSFERS_MAX 4000u
#define BATCH         24u
#define LIMIT_MAX     150u
#define ALL           ((1u << STORE_ORDER_COUNT) - 1)

struct t_world {
    struct os_sim_disk *sim;
    struct os_disk *disk;
    struct os_prng prng;
    uint64_t segment_size;
    struct store *store;
    struct ledger *ledger;
    struct os_executor executor;
    struct store_error error;
    struct ledger_event *events; /* all of them, in their order: the model */
    uint32_t count;
    uint64_t clock;
    struct store_status status; /* after the newest commit, as an engine asks for it */
    uint32_t notices;
    char notice[256]; /* the last one */
    uint64_t debits[ACCOUNTS];
    uint64_t credits[ACCOUNTS];
};

struct t_found {
    u128 ids[LIMIT_MAX];
    uint32_t count;
};

static uint32_t
t_below(struct t_world *t, uint32_t bound)
{
    return (uint32_t)os_prng_below(&t->prng, bound);
}

/* --- the store --- */

static void
t_commit(struct t_world *t, const struct ledger_delta *delta)
{
    struct store_ticket ticket = {.error.code = ERR_OK};
    ticket.task.run = NULL;
    assert_int_equal(
        t->store->ops->admit(t->store, delta->event_count, delta->account_count), ERR_OK);
    assert_int_equal(t->store->ops->commit(t->store, delta, &t->executor, &ticket), ERR_OK);
    assert_int_equal(ticket.error.code, ERR_OK);
    t->store->ops->status(t->store, &t->status);
}

static void
t_swallow(struct os_executor *executor, struct os_task *first, struct os_task *last)
{
    (void)executor;
    (void)first;
    (void)last;
}

static void
t_notice(void *context, const char *text)
{
    struct t_world *t = context;
    t->notices++;
    (void)snprintf(t->notice, sizeof(t->notice), "%s", text);
}

static void
t_open(struct t_world *t, uint32_t orders)
{
    struct store_settings settings = store_settings_default();
    struct ledger_limits limits = {
        .account_count_max = 64, .pending_count_max = 64, .expiry_batch_max = 1};
    settings.segment_size = t->segment_size;
    settings.snapshot_interval = 0;
    settings.orders = orders;
    settings.notice = t_notice;
    settings.notice_context = t;
    assert_int_equal(ledger_create(&limits, &t->ledger), ERR_OK);
    err_t code = store_open("journal:" FOLDER, t->disk, &settings, &t->store, &t->error);
    if (code == ERR_OK) {
        code = t->store->ops->load(t->store, t->ledger, &t->error);
    }
    if (code != ERR_OK) {
        fail_msg("%s", t->error.message);
    }
}

static void
t_close(struct t_world *t)
{
    t->store->ops->close(t->store);
    t->store = NULL;
    ledger_destroy(&t->ledger);
}

static void
t_create(struct t_world *t, uint64_t seed, uint32_t orders)
{
    *t = (struct t_world){.executor.post = t_swallow, .clock = 1000};
    t->segment_size = seed % 4 == 0 ? SEGMENT_LARGE : SEGMENT_SMALL;
    os_prng_seed(&t->prng, seed);
    t->events = calloc(TRANSFERS_MAX, sizeof(*t->events));
    assert_non_null(t->events);
    assert_int_equal(
        os_sim_disk_create(&(struct os_sim_disk_settings){.seed = seed, .faults = true}, &t->sim),
        ERR_OK);
    t->disk = os_sim_disk_ops(t->sim);
    t_open(t, orders);
    struct ledger_account accounts[ACCOUNTS];
    memset(accounts, 0, sizeof(accounts));
    for (uint32_t i = 0; i < ACCOUNTS; i++) {
        accounts[i].id = i + 1;
        accounts[i].ledger = 1 + i % 2;
        accounts[i].code = 1;
        accounts[i].timestamp = i + 1;
    }
    struct ledger_delta delta = {
        .accounts = accounts, .account_count = ACCOUNTS, .clock = ACCOUNTS};
    t_commit(t, &delta);
}

static void
t_destroy(struct t_world *t)
{
    if (t->store != NULL) {
        t_close(t);
    }
    os_sim_disk_destroy(&t->sim);
    free(t->events);
}

/* --- the load --- */

/* Two accounts of each ledger are in most transfers, the others now and then. */
static void
t_transfer(struct t_world *t, struct ledger_event *event)
{
    uint32_t ledger = t_below(t, 2);
    uint32_t debit = t_below(t, 3) != 0 ? 0 : t_below(t, ACCOUNTS / 2);
    uint32_t credit = debit;
    while (credit == debit) {
        credit = t_below(t, 3) != 0 ? 1 : t_below(t, ACCOUNTS / 2);
    }
    t->clock += 1 + t_below(t, 5);
    memset(event, 0, sizeof(*event));
    struct ledger_transfer *transfer = &event->transfer;
    event->debit_slot = debit * 2 + ledger;
    event->credit_slot = credit * 2 + ledger;
    transfer->id = t->count + 1;
    transfer->debit_account_id = event->debit_slot + 1;
    transfer->credit_account_id = event->credit_slot + 1;
    transfer->amount = 1;
    transfer->ledger = ledger + 1;
    transfer->code = (uint16_t)(t_below(t, 40) == 0 ? 7 : 1 + t_below(t, 3));
    transfer->user_data_128 = t_below(t, 3) == 0 ? (u128)(1 + t_below(t, 9)) << 90 : 0;
    transfer->user_data_64 = t_below(t, 2) == 0 ? UINT64_MAX - t_below(t, 50) : 0;
    transfer->user_data_32 = t_below(t, 4) == 0 ? UINT32_MAX - t_below(t, 2) : 0;
    transfer->timestamp = t->clock;
    event->timestamp = t->clock;
    event->kind = LEDGER_EVENT_SINGLE_PHASE;
    t->debits[event->debit_slot]++;
    t->credits[event->credit_slot]++;
    event->debit.debits_posted = t->debits[event->debit_slot];
    event->debit.credits_posted = t->credits[event->debit_slot];
    event->credit.debits_posted = t->debits[event->credit_slot];
    event->credit.credits_posted = t->credits[event->credit_slot];
}

static void
t_work(struct t_world *t, uint32_t transfers)
{
    for (uint32_t done = 0; done < transfers;) {
        uint32_t size = 1 + t_below(t, BATCH);
        assert_true(t->count + size <= TRANSFERS_MAX);
        struct ledger_event *first = &t->events[t->count];
        for (uint32_t i = 0; i < size; i++) {
            t_transfer(t, &t->events[t->count]);
            t->count++;
        }
        struct ledger_delta delta = {.events = first, .event_count = size, .clock = t->clock};
        t_commit(t, &delta);
        done += size;
    }
}

static uint64_t
t_segments(struct t_world *t)
{
    return CONTAINER_OF(t->store, struct journal, store)->segment;
}

/* --- asking --- */

static bool
t_find(void *context, const struct ledger_event *event)
{
    struct t_found *found = context;
    assert_true(found->count < LIMIT_MAX);
    found->ids[found->count++] = event->transfer.id;
    return true;
}

static bool
t_matches(const struct store_query *query, bool of_account, const struct ledger_event *event)
{
    const struct ledger_transfer *transfer = &event->transfer;
    bool debit = event->debit_slot == query->account_slot && (query->sides & STORE_SIDE_DEBITS);
    bool credit = event->credit_slot == query->account_slot && (query->sides & STORE_SIDE_CREDITS);
    return (!of_account || debit || credit) && event->timestamp >= query->timestamp_min &&
           (query->timestamp_max == 0 || event->timestamp <= query->timestamp_max) &&
           (query->code == 0 || transfer->code == query->code) &&
           (query->ledger == 0 || transfer->ledger == query->ledger) &&
           (query->user_data_128 == 0 || transfer->user_data_128 == query->user_data_128) &&
           (query->user_data_64 == 0 || transfer->user_data_64 == query->user_data_64) &&
           (query->user_data_32 == 0 || transfer->user_data_32 == query->user_data_32);
}

static void
t_expected(
    const struct t_world *t,
    const struct store_query *query,
    bool of_account,
    struct t_found *ret_found)
{
    ret_found->count = 0;
    for (uint32_t i = 0; i < t->count && ret_found->count < query->limit; i++) {
        const struct ledger_event *event = &t->events[query->reversed ? t->count - 1 - i : i];
        if (t_matches(query, of_account, event)) {
            ret_found->ids[ret_found->count++] = event->transfer.id;
        }
    }
}

static struct store_query
t_query(struct t_world *t)
{
    struct store_query query = {
        .account_slot = t_below(t, 3) == 0 ? t_below(t, ACCOUNTS) : t_below(t, 4),
        .sides = 1 + t_below(t, 3),
        .reversed = t_below(t, 2) == 0,
        .limit = 1 + t_below(t, t_below(t, 2) == 0 ? 5 : LIMIT_MAX - 1),
        .code = (uint16_t)(t_below(t, 2) == 0 ? 1 + t_below(t, 8) : 0),
        .ledger = t_below(t, 4) == 0 ? 1 + t_below(t, 3) : 0,
        .user_data_128 = t_below(t, 4) == 0 ? (u128)(1 + t_below(t, 10)) << 90 : 0,
        .user_data_64 = t_below(t, 4) == 0 ? UINT64_MAX - t_below(t, 60) : 0,
        .user_data_32 = t_below(t, 4) == 0 ? UINT32_MAX - t_below(t, 3) : 0,
    };
    if (t_below(t, 3) != 0) {
        query.timestamp_min = os_prng_below(&t->prng, t->clock + 3);
    }
    if (t_below(t, 3) != 0) {
        const uint64_t most = t_below(t, 2) == 0 ? 3000 : t->clock;
        query.timestamp_max = query.timestamp_min + 1 + os_prng_below(&t->prng, most);
    }
    return query;
}

/* One query, and what the model says to it. `damage`: it may meet a damaged part, and say so, once.
 */
static void
t_ask(struct t_world *t, bool damage)
{
    static struct t_found want;
    static struct t_found got;
    const struct store_query query = t_query(t);
    const bool of_account = t_below(t, 2) == 0;
    const struct store_ops *ops = t->store->ops;
    err_t code = ERR_CORRUPT;
    t_expected(t, &query, of_account, &want);
    /* A query may lead through as many parts as there are. */
    for (uint32_t i = 0; code != ERR_OK; i++) {
        got.count = 0;
        code = of_account ? ops->account_events(t->store, &query, t_find, &got, &t->error)
                          : ops->events(t->store, &query, false, t_find, &got, &t->error);
        if (code != ERR_OK && (!damage || i > 100)) {
            fail_msg("%s", t->error.message);
        }
        if (code != ERR_OK) {
            assert_non_null(strstr(t->error.message, "/order/"));
        }
    }
    assert_int_equal(got.count, want.count);
    assert_memory_equal(got.ids, want.ids, want.count * sizeof(u128));
}

static uint64_t
t_parts(struct t_world *t, const struct store_error **ret_error, err_t *ret_code)
{
    struct store_verify_visitor visitor = {0};
    struct store_verify_report report = {0};
    *ret_code = store_verify("journal:" FOLDER, t->disk, &visitor, &report, &t->error);
    *ret_error = &t->error;
    return report.order_parts;
}

static void
t_expect_parts(struct t_world *t, uint64_t parts)
{
    const struct store_error *error = NULL;
    err_t code = ERR_OK;
    uint64_t found = t_parts(t, &error, &code);
    if (code != ERR_OK) {
        fail_msg("%s", error->message);
    }
    assert_int_equal(found, parts);
}

/* --- the tests --- */

static void
answers_are_those_of_a_scan(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 12; seed++) {
        static struct t_world t;
        print_message("seed %llu\n", (unsigned long long)seed);
        t_create(&t, seed, seed % 3 == 0 ? ALL : (uint32_t)seed * 5 & ALL);
        for (uint32_t round = 0; round < 6; round++) {
            t_work(&t, 500);
            for (uint32_t i = 0; i < 150; i++) {
                t_ask(&t, false);
            }
            if (t_below(&t, 2) == 0) {
                t_close(&t);
                t_open(&t, t_below(&t, 2) == 0 ? ALL : t_below(&t, ALL + 1));
            }
        }
        assert_true(t_segments(&t) > (t.segment_size == SEGMENT_LARGE ? 1 : 10));
        t_close(&t);
        t_open(&t, ALL);
        const uint64_t closed = t_segments(&t) - 1;
        for (uint32_t i = 0; i < 150; i++) {
            t_ask(&t, false);
        }
        t_close(&t);
        t_expect_parts(&t, closed * STORE_ORDER_COUNT);
        t_destroy(&t);
    }
}

static uint64_t
t_size(struct t_world *t, const char *path)
{
    struct os_file *file = NULL;
    uint64_t size = 0;
    assert_int_equal(t->disk->ops->open(t->disk, path, OS_OPEN_READ, false, &file, NULL), ERR_OK);
    assert_int_equal(t->disk->ops->size(t->disk, file, &size), ERR_OK);
    t->disk->ops->close(t->disk, file);
    return size;
}

static void
t_copy(struct t_world *t, const char *from, const char *to)
{
    char *data = NULL;
    size_t size = 0;
    struct os_file *file = NULL;
    assert_int_equal(os_file_load(t->disk, from, 1 << 20, &data, &size), ERR_OK);
    assert_int_equal(t->disk->ops->remove(t->disk, to), ERR_OK);
    assert_int_equal(t->disk->ops->open(t->disk, to, OS_OPEN_CREATE, false, &file, NULL), ERR_OK);
    assert_int_equal(t->disk->ops->write(t->disk, file, data, size, 0), ERR_OK);
    t->disk->ops->close(t->disk, file);
    free(data);
}

/* One of: a flipped bit, a cut, no file, another segment's part, another order's. */
static void
t_damage(struct t_world *t, uint64_t closed)
{
    char path[JOURNAL_ORDER_PATH_SIZE];
    char other[JOURNAL_ORDER_PATH_SIZE];
    const enum store_order kind = (enum store_order)t_below(t, STORE_ORDER_COUNT);
    const enum store_order next = (enum store_order)((kind + 1) % STORE_ORDER_COUNT);
    const uint64_t segment = 1 + os_prng_below(&t->prng, closed);
    struct os_file *file = NULL;
    journal_order_path(FOLDER, kind, segment, path);
    const uint64_t at = os_prng_below(&t->prng, t_size(t, path));
    switch (t_below(t, 8)) {
    case 0:
        assert_int_equal(
            t->disk->ops->open(t->disk, path, OS_OPEN_WRITE, false, &file, NULL), ERR_OK);
        assert_int_equal(t->disk->ops->truncate(t->disk, file, at), ERR_OK);
        t->disk->ops->close(t->disk, file);
        return;
    case 1:
        journal_order_path(FOLDER, kind, segment == 1 ? 2 : segment - 1, other);
        t_copy(t, other, path);
        return;
    case 2:
        journal_order_path(FOLDER, next, segment, other);
        t_copy(t, other, path);
        return;
    default:
        assert_int_equal(os_sim_disk_flip(t->sim, path, at, t_below(t, 8)), ERR_OK);
        return;
    }
}

static void
damage_costs_no_answer(void **state)
{
    (void)state;
    static struct t_world t;
    t_create(&t, 77, ALL);
    t_work(&t, 3000);
    const uint64_t closed = t_segments(&t) - 1;
    for (uint32_t round = 0; round < 150; round++) {
        const struct store_error *error = NULL;
        err_t code = ERR_OK;
        t_close(&t);
        for (uint32_t i = 0; i < 1 + round % 5; i++) {
            t_damage(&t, closed);
        }
        (void)t_parts(&t, &error, &code);
        assert_int_equal(code, ERR_CORRUPT);
        assert_non_null(strstr(error->message, "/order/"));
        t_open(&t, ALL);
        for (uint32_t i = 0; i < 40; i++) {
            t_ask(&t, true);
        }
        /* What no query met is still there; whoever asks each part meets it. */
        struct journal *journal = CONTAINER_OF(t.store, struct journal, store);
        for (uint64_t part = 0; part < closed * STORE_ORDER_COUNT; part++) {
            const enum store_order kind = (enum store_order)(part % STORE_ORDER_COUNT);
            const struct journal_order_part *open =
                journal_orders_part(&journal->orders, kind, 1 + part / STORE_ORDER_COUNT);
            for (uint64_t i = 0; open != NULL && i < open->header.count;
                 i += JOURNAL_ORDER_ENTRIES) {
                journal_position_t position = 0;
                if (journal_orders_position(&journal->orders, open, i, &position, &t.error) !=
                    ERR_OK) {
                    open = NULL;
                }
            }
        }
        t_close(&t);
        t_open(&t, ALL);
        t_close(&t);
        t_expect_parts(&t, closed * STORE_ORDER_COUNT);
        t_open(&t, ALL);
    }
    t_destroy(&t);
}

/* ORDER-1, ORDER-4: no bit of a part can change without being found. */
static void
every_bit_is_checked(void **state)
{
    (void)state;
    static struct t_world t;
    t_create(&t, 5, 1u << STORE_ORDER_USER_DATA_32);
    t_work(&t, 700);
    t_close(&t);
    char path[JOURNAL_ORDER_PATH_SIZE];
    journal_order_path(FOLDER, STORE_ORDER_USER_DATA_32, 1, path);
    const uint64_t bits = t_size(&t, path) * 8;
    struct journal_orders orders;
    for (uint64_t bit = 0; bit < bits; bit += bit < 1024 ? 1 : 37) {
        assert_int_equal(os_sim_disk_flip(t.sim, path, bit / 8, (unsigned)(bit % 8)), ERR_OK);
        journal_orders_init(&orders, t.disk, FOLDER, 1u << STORE_ORDER_USER_DATA_32);
        atomic_store(&orders.made, 1);
        char *kept = NULL;
        size_t size = 0;
        assert_int_equal(os_file_load(t.disk, path, 1 << 20, &kept, &size), ERR_OK);
        const struct journal_order_part *part =
            journal_orders_part(&orders, STORE_ORDER_USER_DATA_32, 1);
        journal_position_t position = 0;
        if (part != NULL) {
            assert_int_equal(
                journal_orders_position(&orders, part, 0, &position, &t.error), ERR_CORRUPT);
        }
        journal_orders_release(&orders);
        /* It was removed: back, without the flip. */
        struct os_file *file = NULL;
        kept[bit / 8] = (char)(kept[bit / 8] ^ 1 << bit % 8);
        assert_int_equal(
            t.disk->ops->open(t.disk, path, OS_OPEN_CREATE, false, &file, NULL), ERR_OK);
        assert_int_equal(t.disk->ops->write(t.disk, file, kept, size, 0), ERR_OK);
        assert_int_equal(t.disk->ops->sync(t.disk, file), ERR_OK);
        t.disk->ops->close(t.disk, file);
        free(kept);
    }
    t_destroy(&t);
}

struct t_files {
    char *data[SEGMENTS_MAX];
    size_t sizes[SEGMENTS_MAX];
};

/* Puts the journal's segments back to what they were; what else is there stays. */
static void
t_put_back(struct t_world *t, struct t_files *files)
{
    for (uint64_t segment = 1; segment < SEGMENTS_MAX; segment++) {
        char path[JOURNAL_PATH_SIZE];
        struct os_file *file = NULL;
        assert_true(journal_segment_path(FOLDER, segment, path));
        err_t code = t->disk->ops->remove(t->disk, path);
        assert_true(code == ERR_OK || code == ERR_NOT_FOUND);
        if (files->data[segment] == NULL) {
            continue;
        }
        assert_int_equal(
            t->disk->ops->open(t->disk, path, OS_OPEN_CREATE, false, &file, NULL), ERR_OK);
        assert_int_equal(
            t->disk->ops->write(t->disk, file, files->data[segment], files->sizes[segment], 0),
            ERR_OK);
        t->disk->ops->close(t->disk, file);
        free(files->data[segment]);
    }
}

/* ORDER-3: a journal went back to a copy and took another way; the parts of the first one stayed.
 */
static void
another_history_is_not_believed(void **state)
{
    (void)state;
    static struct t_world t;
    static struct t_world was;
    static struct t_files files;
    memset(&files, 0, sizeof(files));
    t_create(&t, 21, ALL);
    t_work(&t, 1000);
    t_close(&t);
    for (uint64_t segment = 1; segment < SEGMENTS_MAX; segment++) {
        char path[JOURNAL_PATH_SIZE];
        assert_true(journal_segment_path(FOLDER, segment, path));
        err_t code =
            os_file_load(t.disk, path, SEGMENT_SMALL, &files.data[segment], &files.sizes[segment]);
        assert_true(code == ERR_OK || code == ERR_NOT_FOUND);
    }
    was = t;
    t_open(&t, ALL);
    t_work(&t, 1500);
    t_close(&t);
    t_put_back(&t, &files);
    /* Other transfers from here on. */
    t = was;
    os_prng_seed(&t.prng, 22);
    t_open(&t, ALL);
    t_work(&t, 1500);
    for (uint32_t i = 0; i < 400; i++) {
        t_ask(&t, false);
    }
    t_close(&t);
    t_open(&t, ALL);
    for (uint32_t i = 0; i < 400; i++) {
        t_ask(&t, false);
    }
    t_destroy(&t);
}

static uint32_t released;

static void
t_released(struct os_executor *executor, struct os_task *first, struct os_task *last)
{
    (void)executor;
    (void)last;
    released += first != NULL;
}

/* ORDER-6: a frame waits while too many segments do, and no longer; also if making parts fails. */
static void
frames_wait_for_parts(void **state)
{
    (void)state;
    for (int fails = 0; fails < 2; fails++) {
        static struct t_world t;
        struct os_sim *sim = NULL;
        struct os_loop *loop = NULL;
        struct journal_orders orders;
        struct os_executor io = {.post = t_released};
        struct os_task frame = {0};
        t_create(&t, 9, 0);
        t_work(&t, 3000);
        const uint64_t closed = t_segments(&t) - 1;
        assert_true(closed > JOURNAL_ORDERS_LAG + 3);
        assert_int_equal(os_sim_create(1, &sim), ERR_OK);
        assert_int_equal(os_loops_create(os_sim_loops(sim), "orders", &loop), ERR_OK);
        assert_int_equal(os_loop_start(loop), ERR_OK);
        journal_orders_init(&orders, t.disk, FOLDER, ALL);
        assert_int_equal(journal_orders_start(&orders, loop, &io, 0), ERR_OK);
        journal_orders_closed(&orders, JOURNAL_ORDERS_LAG);
        assert_false(journal_orders_hold(&orders, &frame));
        journal_orders_closed(&orders, JOURNAL_ORDERS_LAG + 1);
        released = 0;
        assert_true(journal_orders_hold(&orders, &frame));
        assert_int_equal(released, 0);
        if (fails == 1) {
            os_sim_disk_add_rule(
                t.sim,
                &(struct os_sim_rule){
                    .operation = OS_SIM_WRITE,
                    .effect = OS_SIM_FAIL,
                    .path_part = ".tmp",
                    .code = ERR_DISK_FULL});
        }
        assert_true(os_sim_run_until_idle(sim, 1000));
        assert_int_equal(released, 1);
        assert_false(journal_orders_hold(&orders, &frame));
        assert_int_equal(atomic_load(&orders.failure), fails == 1 ? ERR_DISK_FULL : ERR_OK);
        assert_int_equal(atomic_load(&orders.made), fails == 1 ? 0 : JOURNAL_ORDERS_LAG + 1);
        assert_int_equal(journal_orders_waiting(&orders), fails == 1 ? JOURNAL_ORDERS_LAG + 1 : 0);
        err_t told = ERR_OK;
        assert_int_equal(journal_orders_news(&orders, &told), fails == 1);
        assert_int_equal(told, fails == 1 ? ERR_DISK_FULL : ERR_OK);
        assert_false(journal_orders_news(&orders, &told));
        /* With room again, the next closed segment makes up for all. */
        os_sim_disk_clear_rules(t.sim);
        journal_orders_closed(&orders, closed);
        assert_true(os_sim_run_until_idle(sim, 1000));
        assert_int_equal(atomic_load(&orders.made), closed);
        assert_int_equal(journal_orders_waiting(&orders), 0);
        assert_int_equal(journal_orders_news(&orders, &told), fails == 1);
        assert_int_equal(told, ERR_OK);
        assert_false(journal_orders_news(&orders, &told));
        os_loop_stop(loop);
        os_loop_destroy(loop);
        journal_orders_release(&orders);
        os_sim_destroy(&sim);
        t_close(&t);
        t_expect_parts(&t, closed * STORE_ORDER_COUNT);
        t_destroy(&t);
    }
}

/* Parts that cannot be made are counted, and told less and less often, and that they are made
 * again; queries find what they find. */
static void
what_is_not_made_is_told(void **state)
{
    (void)state;
    static struct t_world t;
    t_create(&t, 9, ALL);
    t_work(&t, 500);
    const uint64_t before = t_segments(&t) - 1;
    assert_int_equal(t.status.order_failures, 0);
    assert_int_equal(t.status.order_segments_waiting, 0);
    assert_int_equal(t.notices, 0);
    os_sim_disk_add_rule(
        t.sim,
        &(struct os_sim_rule){
            .operation = OS_SIM_WRITE,
            .effect = OS_SIM_FAIL,
            .path_part = "/order/new.tmp",
            .code = ERR_DISK_FULL});
    t_work(&t, 2000);
    const uint64_t failed = t_segments(&t) - 1 - before;
    uint32_t rows = 0;
    for (uint64_t row = 1; row <= failed; row *= 2) {
        rows++;
    }
    assert_true(rows >= 3);
    assert_int_equal(t.status.order_failures, failed);
    assert_int_equal(t.status.order_segments_waiting, failed);
    assert_int_equal(t.notices, rows);
    assert_non_null(strstr(t.notice, "/order: no parts for"));
    assert_non_null(strstr(t.notice, err_text(ERR_DISK_FULL)));
    for (uint32_t i = 0; i < 100; i++) {
        t_ask(&t, false);
    }
    os_sim_disk_clear_rules(t.sim);
    t_work(&t, 500);
    assert_int_equal(t.status.order_failures, failed);
    assert_int_equal(t.status.order_segments_waiting, 0);
    assert_int_equal(t.notices, rows + 1);
    assert_non_null(strstr(t.notice, "made again"));
    const uint64_t closed = t_segments(&t) - 1;
    t_close(&t);
    t_expect_parts(&t, closed * STORE_ORDER_COUNT);
    t_destroy(&t);
}

/* A disk that does not answer now and then costs no part, whichever read of it fails. */
static void
what_cannot_be_read_is_kept(void **state)
{
    (void)state;
    static struct t_world t;
    t_create(&t, 13, ALL);
    t_work(&t, 2000);
    const uint64_t closed = t_segments(&t) - 1;
    uint32_t refused = 0;
    for (uint32_t round = 0; round < 60; round++) {
        os_sim_disk_add_rule(
            t.sim,
            &(struct os_sim_rule){
                .operation = OS_SIM_READ,
                .effect = OS_SIM_FAIL,
                .path_part = ".part",
                .skip = round,
                .times = 1,
                .code = ERR_IO});
        t.error.code = ERR_OK;
        for (uint32_t i = 0; i < 20; i++) {
            t_ask(&t, true);
        }
        refused += t.error.code == ERR_IO;
        os_sim_disk_clear_rules(t.sim);
        t_close(&t);
        t_expect_parts(&t, closed * STORE_ORDER_COUNT);
        t_open(&t, ALL);
    }
    assert_true(refused > 0);
    t_destroy(&t);
}

static void
names_are_parsed(void **state)
{
    (void)state;
    uint32_t orders = 77;
    assert_int_equal(store_orders_parse("", &orders), ERR_OK);
    assert_int_equal(orders, 0);
    assert_int_equal(store_orders_parse("all", &orders), ERR_OK);
    assert_int_equal(orders, ALL);
    assert_int_equal(store_orders_parse("code,account", &orders), ERR_OK);
    assert_int_equal(orders, 1u << STORE_ORDER_CODE | 1u << STORE_ORDER_ACCOUNT);
    assert_int_equal(store_orders_parse("code,time", &orders), ERR_INVALID);
    assert_int_equal(store_orders_parse("code,,ledger", &orders), ERR_INVALID);
    assert_int_equal(orders, 1u << STORE_ORDER_CODE | 1u << STORE_ORDER_ACCOUNT);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_are_those_of_a_scan),
        cmocka_unit_test(damage_costs_no_answer),
        cmocka_unit_test(every_bit_is_checked),
        cmocka_unit_test(another_history_is_not_believed),
        cmocka_unit_test(frames_wait_for_parts),
        cmocka_unit_test(what_is_not_made_is_told),
        cmocka_unit_test(what_cannot_be_read_is_kept),
        cmocka_unit_test(names_are_parsed),
    };
    return cmocka_run_group_tests_name("journal_orders", tests, NULL, NULL);
}
