/* Many lives of a payment process (sim_seeds.h), and whether damage is seen. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "payments_sim.h"
#include "sim_seeds.h"

#include <jansson.h>

static struct sim_world *
seed_create(uint64_t seed)
{
    return &sim_create(seed)->world;
}

static void
seed_run(struct sim_world *world)
{
    sim_run(sim_of(world));
}

static void
seed_destroy(struct sim_world *world)
{
    struct sim *sim = sim_of(world);
    sim_destroy(&sim);
}

static const struct sim_seeds seeds = {
    .verb_count = SIM_VERB_COUNT,
    .create = seed_create,
    .run = seed_run,
    .destroy = seed_destroy,
};

static void
every_seed_holds(void **state)
{
    (void)state;
    sim_seeds_hold(&seeds);
}

static void
a_seed_repeats_itself(void **state)
{
    (void)state;
    sim_seeds_repeat(&seeds);
}

static bool
is_seen(struct sim *sim, const struct sim_mutation *mutation)
{
    struct sim_books books;
    sim_books_read(sim, &books);
    bool damaged = mutation->damage(&books);
    if (damaged) {
        sim_check(sim, &books);
        sim_check_answers(sim, &books);
        if (!sim->world.failed) {
            print_error("not seen: %s\n", mutation->name);
        }
        assert_true(sim->world.failed);
    }
    sim->world.failed = false;
    sim_books_release(&books);
    return damaged;
}

static void
damage_is_seen(void **state)
{
    (void)state;
    bool seen[64] = {false};
    assert_true(sim_mutation_count <= 64);
    uint32_t left = sim_mutation_count;
    for (uint64_t seed = 1; (seed <= 6 || left > 0) && seed <= 20; seed++) {
        struct sim *sim = sim_create(seed);
        sim_run_to_rest(sim);
        assert_false(sim->world.failed);
        sim_check_now(sim);
        assert_false(sim->world.failed);
        for (uint32_t i = 0; i < sim_mutation_count; i++) {
            if (is_seen(sim, &sim_mutations[i]) && !seen[i]) {
                seen[i] = true;
                left--;
            }
        }
        sim_destroy(&sim);
    }
    for (uint32_t i = 0; i < sim_mutation_count; i++) {
        if (!seen[i]) {
            print_error("never tried: %s\n", sim_mutations[i].name);
        }
        assert_true(seen[i]);
    }
}

/* Somebody changes a document: within two of its runs the reconciler says so. */
static void
the_reconciler_sees(void **state)
{
    (void)state;
    uint32_t changed = 0;
    for (uint64_t seed = 1; seed <= 3; seed++) {
        struct sim *sim = sim_create(seed);
        struct sim_books books;
        sim_run_to_rest(sim);
        assert_false(sim->world.failed);
        sim_books_read(sim, &books);
        const struct sim_rows *charges = &books.documents[SIM_ROW_CHARGE];
        for (uint32_t i = 0; i < charges->count; i++) {
            struct sim_row *row = &charges->rows[i];
            int64_t captured = sim_row_integer(row, "amount_captured");
            if (captured == 0) {
                continue;
            }
            json_object_set_new(row->body, "amount_captured", json_integer(captured + 100));
            sim_row_damage(sim, SIM_ROW_CHARGE, row);
            sim_world_pass(&sim->world, 60);
            assert_true(payments_health(sim->payments).differences >= 1);
            changed++;
            break;
        }
        sim_books_release(&books);
        sim_destroy(&sim);
    }
    assert_true(changed > 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_seed_holds),
        cmocka_unit_test(a_seed_repeats_itself),
        cmocka_unit_test(damage_is_seen),
        cmocka_unit_test(the_reconciler_sees),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
