/*
 * Power failures and kills at every operation that a workload does on the disk: what was answered
 * is there afterwards, what was not is there whole or not at all, and work goes on.
 *
 * A second model lags one operation behind: after a crash the recovered ledger must equal either
 * the model (the operation that was interrupted happened) or the lagging one (it did not).
 *
 * TAEL_CRASH_ROUNDS  how many seeds (default: few; with TEST_LONG 10,000)
 * TAEL_CRASH_STRIDE  each crashes at every so many-th operation, beginning at another one for each
 *                    seed (default: 9; with TEST_LONG 37; 1 if rounds are given)
 * TAEL_CRASH_SEED    the first seed
 */
#include "machine_testing.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ROUNDS_SHORT 12
#define STRIDE_SHORT 9
#define ROUNDS_LONG  10000
#define STRIDE_LONG  37
#define STEPS        70
#define STEPS_AFTER  8

struct crash {
    struct t_ledger t;
    struct ledger_model *lagging;
    struct os_sim_disk *disk;
    uint64_t seed;
    uint64_t stop;
    bool answered; /* the last step of `t` */
};

static void
crash_init(struct crash *crash, uint64_t seed, uint64_t stop)
{
    struct os_sim_disk_settings settings = {
        .seed = seed * 1000003 + stop, .faults = true, .no_direct = seed % 2 == 0};
    memset(crash, 0, sizeof(*crash));
    crash->seed = seed;
    crash->stop = stop;
    assert_int_equal(os_sim_disk_create(&settings, &crash->disk), ERR_OK);
    crash->lagging = ledger_model_create(ENGINE_EXPIRY_MAX, LEDGER_MODEL_CORRECT);
    t_ledger_init(&crash->t, seed, os_sim_disk_ops(crash->disk));
    os_sim_disk_stop_at(crash->disk, stop);
}

static void
crash_release(struct crash *crash)
{
    t_ledger_close(&crash->t);
    t_ledger_release(&crash->t);
    ledger_model_destroy(&crash->lagging);
    os_sim_disk_destroy(&crash->disk);
}

__attribute__((noreturn)) static void
give_up(const struct crash *crash, const char *what)
{
    fail_msg(
        "seed %llu, stop %llu: %s: %s (%s)",
        (unsigned long long)crash->seed,
        (unsigned long long)crash->stop,
        what,
        crash->t.difference,
        crash->t.store_error.message);
    abort();
}

/* What the step did to the model, done to the lagging one too. */
static void
catch_up(struct crash *crash)
{
    const struct ledger_random_operation *operation = &crash->t.operation;
    struct ledger_result results[LEDGER_RANDOM_BATCH_MAX];
    if (!crash->t.applied) {
        return;
    }
    switch (operation->kind) {
    case LEDGER_RANDOM_TICK:
        ledger_model_tick(crash->lagging, operation->tick_ns);
        break;
    case LEDGER_RANDOM_COMMIT:
        ledger_model_commit(crash->lagging);
        break;
    case LEDGER_RANDOM_ACCOUNTS:
        ledger_model_create_accounts(
            crash->lagging, operation->accounts, operation->count, results);
        break;
    case LEDGER_RANDOM_TRANSFERS:
        ledger_model_create_transfers(
            crash->lagging, operation->transfers, operation->count, results);
        break;
    }
}

/* Runs until the disk stops or the workload ends; true if it stopped. */
static bool
run_until_stop(struct crash *crash)
{
    if (t_ledger_open(&crash->t) != ERR_OK) {
        return true;
    }
    for (uint32_t step = 0; step < STEPS; step++) {
        if (!t_ledger_step(&crash->t)) {
            if (!os_sim_disk_is_stopped(crash->disk)) {
                give_up(crash, "before the stop");
            }
            return true;
        }
        catch_up(crash);
    }
    return false;
}

/* The recovered ledger is one of the two; the model is afterwards. */
static void
compare_recovered(struct crash *crash)
{
    struct t_ledger *t = &crash->t;
    t->difference[0] = '\0';
    if (t_ledger_compare_all(t) && t_ledger_catch_up(t)) {
        return;
    }
    struct ledger_model *model = t->model;
    t->model = crash->lagging;
    crash->lagging = model;
    t->difference[0] = '\0';
    if (!t_ledger_compare_all(t) || !t_ledger_catch_up(t)) {
        give_up(crash, "after the crash");
    }
}

static void
recover(struct crash *crash)
{
    struct t_ledger *t = &crash->t;
    t_ledger_close(t);
    /* Every third time it crashes again while it recovers. */
    for (uint64_t again = 1; crash->stop % 3 == 0 && again < 4; again++) {
        if (crash->stop % 2 == 0) {
            os_sim_disk_crash(crash->disk);
        } else {
            os_sim_disk_kill(crash->disk);
        }
        os_sim_disk_stop_at(crash->disk, os_sim_disk_operations(crash->disk) + again);
        if (t_ledger_open(t) == ERR_OK) {
            t_ledger_close(t);
        }
    }
    /* Every third time only the process dies, and what the next one shows must survive a power
     * failure, although it may have read it from the page cache. */
    bool kill_first = crash->stop % 3 == 1;
    if (kill_first) {
        os_sim_disk_kill(crash->disk);
    } else {
        os_sim_disk_crash(crash->disk);
    }
    if (t_ledger_open(t) != ERR_OK) {
        give_up(crash, "cannot be opened after the crash");
    }
    compare_recovered(crash);
    if (kill_first) {
        t_ledger_close(t);
        os_sim_disk_crash(crash->disk);
        if (t_ledger_open(t) != ERR_OK || !t_ledger_compare_all(t) || !t_ledger_catch_up(t)) {
            give_up(crash, "after the power failure that follows a kill");
        }
    }
}

static void
go_on(struct crash *crash)
{
    struct t_ledger *t = &crash->t;
    for (uint32_t step = 0; step < STEPS_AFTER; step++) {
        if (!t_ledger_step(t)) {
            give_up(crash, "going on");
        }
    }
    t_ledger_close(t);
    os_sim_disk_crash(crash->disk);
    if (t_ledger_open(t) != ERR_OK || !t_ledger_compare_all(t)) {
        give_up(crash, "after going on");
    }
}

/* Opens of all rounds that a snapshot began. */
static uint64_t snapshots_loaded;

/* One crash at operation `stop`; false if the workload ended before it. */
static bool
crash_at(uint64_t seed, uint64_t stop)
{
    struct crash *crash = malloc(sizeof(*crash));
    assert_non_null(crash);
    crash_init(crash, seed, stop);
    bool stopped = run_until_stop(crash);
    recover(crash);
    if (stopped) {
        go_on(crash);
    }
    snapshots_loaded += crash->t.snapshots_loaded;
    crash_release(crash);
    free(crash);
    return stopped;
}

static uint64_t
setting(const char *name, uint64_t fallback)
{
    const char *text = getenv(name);
    return text == NULL ? fallback : strtoull(text, NULL, 10);
}

static void
survives_crashes(void **state)
{
    (void)state;
    bool is_long = getenv("TEST_LONG") != NULL;
    uint64_t given = setting("TAEL_CRASH_ROUNDS", 0);
    uint64_t rounds = given != 0 ? given : is_long ? ROUNDS_LONG : ROUNDS_SHORT;
    uint64_t usual = given != 0 ? 1 : is_long ? STRIDE_LONG : STRIDE_SHORT;
    uint64_t stride = setting("TAEL_CRASH_STRIDE", usual);
    uint64_t first = setting("TAEL_CRASH_SEED", 1);
    uint64_t crashes = 0;
    for (uint64_t i = 0; i < rounds; i++) {
        for (uint64_t stop = 1 + i % stride; crash_at(first + i, stop); stop += stride) {
            crashes++;
        }
    }
    print_message(
        "%llu seeds, %llu crashes, %llu loads of snapshots\n",
        (unsigned long long)rounds,
        (unsigned long long)crashes,
        (unsigned long long)snapshots_loaded);
    assert_true(crashes > 100);
    assert_true(snapshots_loaded > 100);
}

/* A sync that fails without a stop: the store takes nothing more, and after a reload either both
 * or neither know of it; then work goes on. */
static void
survives_failed_operations(void **state)
{
    (void)state;

    static const enum os_sim_operation kinds[] = {
        OS_SIM_WRITE, OS_SIM_SYNC, OS_SIM_RENAME, OS_SIM_SYNC_FOLDER, OS_SIM_ALLOCATE};

    for (uint64_t seed = 1; seed <= 60; seed++) {
        struct crash *crash = malloc(sizeof(*crash));
        assert_non_null(crash);
        crash_init(crash, seed, 0);
        struct t_ledger *t = &crash->t;
        assert_int_equal(t_ledger_open(t), ERR_OK);
        enum os_sim_operation kind = kinds[seed % (sizeof(kinds) / sizeof(kinds[0]))];
        os_sim_disk_add_rule(
            crash->disk,
            &(struct os_sim_rule){
                .operation = kind,
                .effect = seed % 7 == 0 && kind == OS_SIM_WRITE ? OS_SIM_SHORT : OS_SIM_FAIL,
                .skip = kind == OS_SIM_WRITE || kind == OS_SIM_SYNC ? seed % 29 : 0,
                .times = 1,
                .code = ERR_IO,
            });
        bool failed = false;
        for (uint32_t step = 0; step < STEPS && !failed; step++) {
            failed = !t_ledger_step(t);
            if (!failed) {
                catch_up(crash);
            }
        }
        if (failed) {
            assert_int_equal(t->machine.store->ops->admit(t->machine.store, 1, 1), ERR_CLOSED);
        }
        os_sim_disk_clear_rules(crash->disk);
        t_ledger_close(t);
        if (t_ledger_open(t) != ERR_OK) {
            give_up(crash, "cannot be opened after a failure");
        }
        compare_recovered(crash);
        go_on(crash);
        crash_release(crash);
        free(crash);
    }
}

/* Without space nothing is executed, reads go on, and with space work does. */
static void
survives_a_full_disk(void **state)
{
    (void)state;
    struct crash *crash = malloc(sizeof(*crash));
    assert_non_null(crash);
    crash_init(crash, 3, 0);
    struct t_ledger *t = &crash->t;
    t->orders = 0; /* so that it is the next segment that finds no room */
    os_sim_disk_set_capacity(crash->disk, 3 * T_SEGMENT_SIZE);
    assert_int_equal(t_ledger_open(t), ERR_OK);
    bool full = false;
    for (uint32_t step = 0; step < 2000 && !full; step++) {
        full = !t_ledger_step(t);
        if (!full) {
            catch_up(crash);
        }
    }
    assert_true(full);
    assert_int_equal(t->error, ERR_DISK_FULL);
    struct ledger_model *model = t->model;
    t->model = crash->lagging;
    crash->lagging = model;
    t->difference[0] = '\0';
    if (!t_ledger_compare_all(t)) {
        give_up(crash, "reading on a full disk");
    }
    os_sim_disk_set_capacity(crash->disk, 0);
    assert_int_equal(t->machine.store->ops->admit(t->machine.store, 250, 0), ERR_DISK_FULL);
    go_on(crash);
    crash_release(crash);
    free(crash);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(survives_crashes),
        cmocka_unit_test(survives_failed_operations),
        cmocka_unit_test(survives_a_full_disk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
