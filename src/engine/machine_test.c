/*
 * Core and store together against the model: random operations, every result compared, every query
 * too, restarts in between. The journal lies on a simulated disk with small segments; under
 * tools/with-postgres it is the store on PostgreSQL instead.
 *
 * TAEL_MACHINE_ROUNDS  how many seeds
 * TAEL_MACHINE_SEED    the first
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

#define ROUNDS          60
#define ROUNDS_POSTGRES 6 /* each operation is a transaction there */
#define STEPS           150

static uint64_t
setting(const char *name, uint64_t fallback)
{
    const char *text = getenv(name);
    return text == NULL ? fallback : strtoull(text, NULL, 10);
}

/* Restarts of all rounds, and those of them that a snapshot began. */
static uint32_t restarts;
static uint32_t snapshots_loaded;

static void
round_run(uint64_t seed)
{
    struct t_ledger *t = malloc(sizeof(*t));
    assert_non_null(t);
    struct os_sim_disk *disk = NULL;
    assert_int_equal(
        os_sim_disk_create(&(struct os_sim_disk_settings){.seed = seed}, &disk), ERR_OK);
    t_ledger_init(t, seed, os_sim_disk_ops(disk));
    assert_int_equal(t_ledger_open(t), ERR_OK);
    for (uint32_t step = 0; step < STEPS; step++) {
        if (!t_ledger_step(t) || !t_ledger_compare_query(t) ||
            (step % 16 == 0 && !t_ledger_compare_all(t))) {
            fail_msg("seed %llu, step %u: %s", (unsigned long long)seed, step, t->difference);
        }
        if (ledger_random_below(&t->random, 20) == 0) {
            t_ledger_close(t);
            restarts++;
            assert_int_equal(t_ledger_open(t), ERR_OK);
            assert_true(t_ledger_catch_up(t));
            if (!t_ledger_compare_all(t)) {
                fail_msg("seed %llu, restart: %s", (unsigned long long)seed, t->difference);
            }
        }
    }
    if (t->notices > 0) {
        fail_msg("seed %llu: %s", (unsigned long long)seed, t->notice);
    }
    snapshots_loaded += t->snapshots_loaded;
    t_ledger_close(t);
    t_ledger_release(t);
    free(t);
    os_sim_disk_destroy(&disk);
}

/* MACHINE-3. */
static void
equals_model(void **state)
{
    (void)state;
    uint64_t seed = setting("TAEL_MACHINE_SEED", 1);
    uint64_t rounds =
        setting("TAEL_MACHINE_ROUNDS", getenv("TEST_POSTGRES") == NULL ? ROUNDS : ROUNDS_POSTGRES);
    for (uint64_t i = 0; i < rounds; i++) {
        round_run(seed + i);
    }
    print_message("%u of %u restarts began with a snapshot\n", snapshots_loaded, restarts);
    assert_true(getenv("TEST_POSTGRES") != NULL || rounds < 10 || snapshots_loaded > restarts / 4);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equals_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
