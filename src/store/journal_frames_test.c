/*
 * Frames on their way: two at the I/O thread, power failures at every operation, a sync that
 * fails, and the next segment that is written ahead (JOURNAL-2, JOURNAL-4, JOURNAL-6, STORE-3).
 *
 * Every transfer moves 1 from account 1 to account 2, so the books tell how many there are.
 */
#include "journal.h"

#include "base/list.h"
#include "os/sim.h"
#include "os/sim_disk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define STEPS_MAX    10000
#define LARGE        2600 /* transfers whose section is worth a sync of its own */
#define SMALL        3
#define COMMITS_MAX  64
#define ACCOUNTS     2
#define SEGMENT_SIZE (UINT64_C(4) << 20)

struct t_commit {
    struct store_ticket ticket;
    struct t_world *world;
    uint32_t end; /* transfers up to here */
    bool told;
};

struct t_world {
    struct os_sim *sim;
    struct os_sim_disk *disk;
    uint64_t segment_size;
    uint32_t table_entries; /* of the id index */
    uint64_t recent_size;   /* 0: the default */
    struct store *store;
    struct ledger *ledger;
    struct ledger_delta delta;
    struct os_executor executor;
    u128 *ids;
    struct ledger_past *pasts;
    struct ledger_transfer *batch;
    struct ledger_result *results;
    u128 last_id;
    uint32_t transfers;
    uint32_t commit_count;
    uint32_t told_count; /* in the order of commits, or the test fails */
    uint32_t durable;    /* transfers of successful tickets */
    struct t_commit commits[COMMITS_MAX];
};

static struct journal *
t_journal(struct t_world *world)
{
    return CONTAINER_OF(world->store, struct journal, store);
}

static err_t
t_open(struct t_world *world, struct store_error *error)
{
    struct store_settings settings = store_settings_default();
    settings.segment_size = world->segment_size;
    settings.index_table_entries = world->table_entries;
    if (world->recent_size != 0) {
        settings.recent_size = world->recent_size;
    }
    settings.loops = os_sim_loops(world->sim);
    const struct ledger_limits limits = {
        .account_count_max = ACCOUNTS, .pending_count_max = 1, .expiry_batch_max = 1};
    assert_int_equal(ledger_create(&limits, &world->ledger), ERR_OK);
    TRY(store_open(
        "journal:ledger", os_sim_disk_ops(world->disk), &settings, &world->store, error));
    return world->store->ops->load(world->store, world->ledger, error);
}

static void
t_shut(struct t_world *world)
{
    if (world->store != NULL) {
        world->store->ops->close(world->store);
        world->store = NULL;
    }
    ledger_destroy(&world->ledger);
}

static struct t_world *
t_create(uint64_t seed, uint64_t segment_size)
{
    struct t_world *world = calloc(1, sizeof(*world));
    assert_non_null(world);
    world->segment_size = segment_size;
    world->executor.post = os_post_now;
    world->delta = (struct ledger_delta){
        .accounts = calloc(ACCOUNTS, sizeof(struct ledger_account)),
        .account_capacity = ACCOUNTS,
        .events = calloc(LEDGER_BATCH_MAX, sizeof(struct ledger_event)),
        .event_capacity = LEDGER_BATCH_MAX,
        .failed_ids = calloc(LEDGER_BATCH_MAX, sizeof(u128)),
        .failed_capacity = LEDGER_BATCH_MAX,
    };
    world->ids = calloc((size_t)2 * LEDGER_BATCH_MAX, sizeof(*world->ids));
    world->pasts = calloc((size_t)2 * LEDGER_BATCH_MAX, sizeof(*world->pasts));
    world->batch = calloc(LEDGER_BATCH_MAX, sizeof(*world->batch));
    world->results = calloc(LEDGER_BATCH_MAX, sizeof(*world->results));
    const struct os_sim_disk_settings settings = {.seed = seed, .faults = true};
    assert_int_equal(os_sim_create(seed, &world->sim), ERR_OK);
    assert_int_equal(os_sim_disk_create(&settings, &world->disk), ERR_OK);
    return world;
}

static void
t_destroy(struct t_world *world)
{
    t_shut(world);
    os_sim_destroy(&world->sim);
    os_sim_disk_destroy(&world->disk);
    free(world->delta.accounts);
    free(world->delta.events);
    free(world->delta.failed_ids);
    free(world->ids);
    free(world->pasts);
    free(world->batch);
    free(world->results);
    free(world);
}

static void
told(struct os_task *task)
{
    struct store_ticket *ticket = CONTAINER_OF(task, struct store_ticket, task);
    struct t_commit *commit = CONTAINER_OF(ticket, struct t_commit, ticket);
    struct t_world *world = commit->world;
    assert_false(commit->told);
    assert_ptr_equal(commit, &world->commits[world->told_count]); /* JOURNAL-6 */
    commit->told = true;
    world->told_count++;
    if (ticket->error.code == ERR_OK) {
        assert_true(commit->end >= world->durable);
        world->durable = commit->end;
    }
}

static void
hand_over(struct t_world *world)
{
    assert_in_range(world->commit_count, 0, COMMITS_MAX - 1);
    struct t_commit *commit = &world->commits[world->commit_count++];
    commit->world = world;
    commit->end = world->transfers;
    commit->ticket.task.run = told;
    world->delta.clock = ledger_clock(world->ledger);
    assert_int_equal(
        world->store->ops->commit(world->store, &world->delta, &world->executor, &commit->ticket),
        ERR_OK);
    world->delta.account_count = 0;
    world->delta.event_count = 0;
    world->delta.failed_count = 0;
}

static void
commit_accounts(struct t_world *world)
{
    const struct ledger_account accounts[ACCOUNTS] = {
        {.id = 1, .ledger = 1, .code = 1}, {.id = 2, .ledger = 1, .code = 1}};
    ledger_set_clock(world->ledger, ledger_clock(world->ledger) + ACCOUNTS + 1);
    assert_int_equal(world->store->ops->admit(world->store, 0, ACCOUNTS), ERR_OK);
    uint64_t timestamps[ACCOUNTS];
    assert_int_equal(ledger_prepare_accounts(world->ledger, accounts, ACCOUNTS, timestamps), 0);
    ledger_create_accounts(world->ledger, accounts, ACCOUNTS, world->results, &world->delta);
    hand_over(world);
}

/* False: the store takes no more (STORE-3). */
static bool
commit_transfers(struct t_world *world, uint32_t count)
{
    if (world->store->ops->admit(world->store, count, 0) != ERR_OK) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        world->batch[i] = (struct ledger_transfer){
            .id = ++world->last_id,
            .debit_account_id = 1,
            .credit_account_id = 2,
            .amount = 1,
            .ledger = 1,
            .code = 1,
        };
    }
    struct store_error error;
    uint32_t ids = ledger_prepare_transfers(world->ledger, world->batch, count, world->ids);
    assert_int_equal(
        world->store->ops->look_up(world->store, world->ids, ids, world->pasts, &error), ERR_OK);
    ledger_set_clock(world->ledger, ledger_clock(world->ledger) + count + 1);
    ledger_create_transfers(
        world->ledger, world->batch, count, world->pasts, ids, world->results, &world->delta);
    assert_int_equal(world->delta.event_count, count);
    world->transfers += count;
    hand_over(world);
    return true;
}

static void
run(struct t_world *world)
{
    assert_true(os_sim_run_until_idle(world->sim, STEPS_MAX));
}

static uint32_t
transfers_in(const struct t_world *world)
{
    const struct ledger_account *account = ledger_find_account(world->ledger, 2);
    return account == NULL ? 0 : (uint32_t)account->credits_posted;
}

/* After a crash: what was told is there, and nothing but whole commits, in their order. */
static void
assert_history_is_a_prefix(struct t_world *world)
{
    struct store_error error = {0};
    err_t code = t_open(world, &error);
    if (code != ERR_OK) {
        fail_msg("%s", error.message);
    }
    uint32_t found = transfers_in(world);
    assert_true(found >= world->durable);
    bool whole = found == 0;
    for (uint32_t i = 0; i < world->commit_count; i++) {
        whole = whole || world->commits[i].end == found;
    }
    assert_true(whole);
}

static struct t_world *
t_begin(uint64_t seed, uint64_t segment_size)
{
    struct t_world *world = t_create(seed, segment_size);
    struct store_error error;
    assert_int_equal(t_open(world, &error), ERR_OK);
    commit_accounts(world);
    run(world);
    return world;
}

/* --- JOURNAL-4 --- */

static void
t_a_large_frame_waits_behind_another(void **state)
{
    (void)state;
    struct t_world *world = t_begin(1, SEGMENT_SIZE);
    for (int i = 0; i < 3; i++) {
        assert_true(commit_transfers(world, LARGE));
    }
    assert_int_equal(t_journal(world)->handed_count, JOURNAL_HANDED_MAX);
    assert_int_equal(world->durable, 0);
    run(world);
    assert_int_equal(t_journal(world)->handed_count, 0);
    assert_int_equal(world->told_count, 4);
    assert_int_equal(world->durable, 3 * LARGE);
    t_shut(world);
    os_sim_disk_crash(world->disk);
    assert_history_is_a_prefix(world);
    assert_int_equal(transfers_in(world), 3 * LARGE);
    t_destroy(world);
}

/* A frame that is larger than the cache of what is new, and behind it one that is not: the older
 * one takes all of the cache, so nothing of the younger one may be there before. */
static void
t_no_room_behind_a_frame_without_room(void **state)
{
    (void)state;
    struct t_world *world = t_create(1, UINT64_C(32) << 20);
    world->recent_size = UINT64_C(4) << 20;
    struct store_error error;
    assert_int_equal(t_open(world, &error), ERR_OK);
    commit_accounts(world);
    run(world);
    struct journal *journal = t_journal(world);
    for (int i = 0; i < 2; i++) {
        assert_true(commit_transfers(world, LARGE));
        assert_true(journal->newest->cached_beside);
    }
    for (int i = 0; i < 3; i++) {
        assert_true(commit_transfers(world, LEDGER_BATCH_MAX));
    }
    struct journal_frame *huge = journal->newest;
    assert_true(huge->image.body_size > world->recent_size);
    while (journal->oldest != huge) {
        assert_true(os_sim_step(world->sim));
    }
    assert_int_equal(huge->state, JOURNAL_FRAME_IN_FLIGHT);
    assert_false(huge->cached_beside);
    assert_true(commit_transfers(world, LARGE));
    assert_int_equal(journal->handed_count, JOURNAL_HANDED_MAX);
    run(world);
    assert_int_equal(world->durable, 3 * LARGE + 3 * LEDGER_BATCH_MAX);
    for (u128 id = 1; id <= world->last_id; id += 97) {
        struct ledger_past past;
        assert_int_equal(world->store->ops->look_up(world->store, &id, 1, &past, &error), ERR_OK);
        assert_int_equal(past.kind, LEDGER_PAST_TRANSFER);
    }
    t_destroy(world);
}

/* The index is slow, so frames are held until it has caught up: the one behind a held one waits
 * too. */
static void
t_a_held_frame_keeps_its_place(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct t_world *world = t_create(seed, SEGMENT_SIZE);
        world->table_entries = 64;
        struct store_error error;
        assert_int_equal(t_open(world, &error), ERR_OK);
        commit_accounts(world);
        run(world);
        uint32_t count = 0;
        for (int i = 0; i < 4; i++) {
            while (commit_transfers(world, LARGE)) {
                count++;
            }
            run(world);
        }
        assert_int_equal(world->told_count, count + 1);
        assert_int_equal(world->durable, count * LARGE);
        assert_int_equal(t_journal(world)->held, NULL);
        t_shut(world);
        os_sim_disk_crash(world->disk);
        assert_history_is_a_prefix(world);
        assert_int_equal(transfers_in(world), count * LARGE);
        t_destroy(world);
    }
}

static void
t_small_ones_collect_in_one(void **state)
{
    (void)state;
    struct t_world *world = t_begin(1, SEGMENT_SIZE);
    for (int i = 0; i < 5; i++) {
        assert_true(commit_transfers(world, SMALL));
    }
    const struct journal *journal = t_journal(world);
    assert_int_equal(journal->handed_count, 1);
    assert_ptr_equal(journal->oldest->next, journal->newest);
    assert_int_equal(journal->newest->image.section_count, 4);
    run(world);
    assert_int_equal(world->durable, 5 * SMALL);
    t_destroy(world);
}

static void
fail_nth(struct t_world *world, enum os_sim_operation operation, uint64_t skip)
{
    const struct os_sim_rule rule = {
        .operation = operation,
        .effect = OS_SIM_FAIL,
        .skip = skip,
        .times = 1,
        .code = ERR_IO,
    };
    os_sim_disk_add_rule(world->disk, &rule);
}

/* The frame behind a failed one is not written, although the I/O thread had it, and although the
 * disk would take it. */
static void
t_nothing_follows_a_failure(void **state)
{
    (void)state;

    static const enum os_sim_operation operations[] = {OS_SIM_WRITE, OS_SIM_SYNC};

    for (uint64_t round = 0; round < 4; round++) {
        enum os_sim_operation operation = operations[round % 2];
        struct t_world *world = t_begin(round + 1, SEGMENT_SIZE);
        fail_nth(world, operation, round / 2);
        uint64_t before = os_sim_disk_operations(world->disk);
        for (int i = 0; i < 3; i++) {
            assert_true(commit_transfers(world, LARGE));
        }
        run(world);
        uint64_t of_frames = 2 * (round / 2) + (operation == OS_SIM_WRITE ? 1 : 2);
        assert_int_equal(os_sim_disk_operations(world->disk) - before, of_frames);
        assert_int_equal(world->told_count, 4);
        assert_int_equal(world->durable, round / 2 * LARGE);
        for (uint64_t i = 1 + round / 2; i < 4; i++) {
            assert_int_equal(world->commits[i].ticket.error.code, ERR_IO);
        }
        assert_false(commit_transfers(world, 1));
        t_shut(world);
        os_sim_disk_clear_rules(world->disk);
        os_sim_disk_crash(world->disk);
        assert_history_is_a_prefix(world);
        assert_true(transfers_in(world) <= (round / 2 + 1) * LARGE);
        t_destroy(world);
    }
}

/* --- power failures --- */

static void
commit_mixed(struct t_world *world)
{
    static const uint32_t counts[] = {LARGE, LARGE, SMALL, SMALL, LARGE, SMALL, LARGE, LARGE};
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        if (!commit_transfers(world, counts[i])) {
            return;
        }
        if (i % 3 == 2) {
            run(world);
        }
    }
    run(world);
}

static void
commit_small_ones(struct t_world *world)
{
    for (int i = 0; i < 40; i++) {
        if (!commit_transfers(world, SMALL)) {
            return;
        }
        run(world);
    }
}

/* At every operation that `work` makes. */
static void
power_fails_everywhere(uint64_t segment_size, void (*work)(struct t_world *world))
{
    uint64_t points = 0;
    bool stopped = true;
    for (uint64_t at = 1; stopped; at++) {
        struct t_world *world = t_begin(at, segment_size);
        os_sim_disk_stop_at(world->disk, os_sim_disk_operations(world->disk) + at);
        work(world);
        stopped = os_sim_disk_is_stopped(world->disk);
        t_shut(world);
        os_sim_disk_crash(world->disk);
        assert_history_is_a_prefix(world);
        t_destroy(world);
        points = at;
    }
    assert_true(points > 10);
}

/* STORE-1, STORE-2, JOURNAL-5. */
static void
t_power_fails_with_frames_under_way(void **state)
{
    (void)state;
    power_fails_everywhere(SEGMENT_SIZE, commit_mixed);
}

static void
t_power_fails_while_the_spare_is_written(void **state)
{
    (void)state;
    power_fails_everywhere(JOURNAL_SEGMENT_MIN, commit_small_ones);
}

/* --- the next segment --- */

static void
t_small_frames_have_the_next_segment_written(void **state)
{
    (void)state;
    struct t_world *world = t_begin(1, JOURNAL_SEGMENT_MIN);
    const struct journal_writer *writer = &t_journal(world)->writer;
    uint64_t most = 0;
    while (writer->segment < 3) {
        assert_true(commit_transfers(world, SMALL));
        run(world);
        bool half = writer->end > writer->segment_size / 2;
        assert_int_equal(writer->spare != NULL, half);
        most = writer->spare != NULL && writer->spare_written > most ? writer->spare_written : most;
    }
    assert_int_equal(most, JOURNAL_SEGMENT_MIN); /* it is complete before it is needed */
    t_destroy(world);
}

static void
t_large_frames_have_not(void **state)
{
    (void)state;
    struct t_world *world = t_begin(1, SEGMENT_SIZE);
    const struct journal_writer *writer = &t_journal(world)->writer;
    while (writer->spare == NULL) {
        assert_true(commit_transfers(world, LARGE));
        run(world);
    }
    assert_true(commit_transfers(world, LARGE));
    run(world);
    assert_int_equal(writer->spare_written, 0);
    t_destroy(world);
}

enum t_spare_step {
    T_SPARE_ALLOCATE,
    T_SPARE_FIRST_SYNC,
    T_SPARE_SLICE,
    T_SPARE_LAST_SYNC,
    T_SPARE_STEPS
};

/* Is this step what follows the next frame? */
static bool
step_is_next(const struct journal_writer *writer, enum t_spare_step step)
{
    const uint64_t frame = JOURNAL_BLOCK;
    switch (step) {
    case T_SPARE_ALLOCATE:
    case T_SPARE_FIRST_SYNC:
        return writer->spare == NULL && writer->end + frame > writer->segment_size / 2;
    case T_SPARE_SLICE:
        return writer->spare != NULL;
    case T_SPARE_LAST_SYNC:
        return writer->spare != NULL && writer->spare_written + 4 * frame >= writer->segment_size;
    case T_SPARE_STEPS:
        break;
    }
    return false;
}

/* A spare that cannot be written is given up and made again; frames do not notice. */
static void
t_a_spare_that_fails_is_made_again(void **state)
{
    (void)state;

    static const struct {
        enum os_sim_operation operation;
        uint64_t skip; /* the frame's own */
    } failures[] = {
        [T_SPARE_ALLOCATE] = {OS_SIM_ALLOCATE, 0},
        [T_SPARE_FIRST_SYNC] = {OS_SIM_SYNC, 1},
        [T_SPARE_SLICE] = {OS_SIM_WRITE, 1},
        [T_SPARE_LAST_SYNC] = {OS_SIM_SYNC, 1},
    };

    for (enum t_spare_step step = T_SPARE_ALLOCATE; step < T_SPARE_STEPS; step++) {
        struct t_world *world = t_begin(step + 1, JOURNAL_SEGMENT_MIN);
        const struct journal_writer *writer = &t_journal(world)->writer;
        while (!step_is_next(writer, step)) {
            assert_true(commit_transfers(world, SMALL));
            run(world);
        }
        fail_nth(world, failures[step].operation, failures[step].skip);
        assert_true(commit_transfers(world, SMALL));
        run(world);
        assert_null(writer->spare);
        assert_int_equal(atomic_load(&writer->space_error), ERR_IO);
        while (writer->segment < 3) {
            assert_true(commit_transfers(world, SMALL));
            run(world);
        }
        assert_int_equal(world->durable, world->transfers);
        t_shut(world);
        os_sim_disk_crash(world->disk);
        assert_history_is_a_prefix(world);
        t_destroy(world);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_a_large_frame_waits_behind_another),
        cmocka_unit_test(t_no_room_behind_a_frame_without_room),
        cmocka_unit_test(t_a_held_frame_keeps_its_place),
        cmocka_unit_test(t_small_ones_collect_in_one),
        cmocka_unit_test(t_nothing_follows_a_failure),
        cmocka_unit_test(t_power_fails_with_frames_under_way),
        cmocka_unit_test(t_power_fails_while_the_spare_is_written),
        cmocka_unit_test(t_small_frames_have_the_next_segment_written),
        cmocka_unit_test(t_large_frames_have_not),
        cmocka_unit_test(t_a_spare_that_fails_is_made_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
