/*
 * Random histories against a naive model that holds nothing between two picks: it finds the
 * candidates anew each time, and what a policy may answer by trying everybody.
 */
#include "balance_test_world.h"

#include "base/hash.h"

#include <stdlib.h>
#include <string.h>

#define MODEL_SLOTS 12
#define STEPS       4000

static struct t_world world;

struct model {
    bool here[MODEL_SLOTS];
    struct balance_share share[MODEL_SLOTS];
    enum balance_state state[MODEL_SLOTS];
    uint32_t in_flight[MODEL_SLOTS];
    uint64_t ramp_from_ns[MODEL_SLOTS];
    int64_t current[MODEL_SLOTS];
    bool candidate[MODEL_SLOTS];
    bool panic;
};

static struct model model;

static void
model_candidates(uint32_t panic_percent)
{
    model.panic = false;
    for (uint32_t level = 0; level <= BALANCE_PRIORITY_MAX; level++) {
        uint32_t present = 0;
        uint32_t active = 0;
        for (uint32_t i = 0; i < MODEL_SLOTS; i++) {
            bool mine = model.here[i] && model.share[i].priority == level;
            present += mine && model.state[i] != BALANCE_DRAINING;
            active += mine && model.state[i] == BALANCE_ACTIVE;
        }
        if (active > 0 && active * 100 >= panic_percent * present) {
            for (uint32_t i = 0; i < MODEL_SLOTS; i++) {
                model.candidate[i] = model.here[i] && model.share[i].priority == level &&
                                     model.state[i] == BALANCE_ACTIVE;
            }
            return;
        }
    }
    for (uint32_t i = 0; i < MODEL_SLOTS; i++) {
        model.candidate[i] =
            panic_percent > 0 && model.here[i] && model.state[i] != BALANCE_DRAINING;
        model.panic = model.panic || model.candidate[i];
    }
}

static void
change(const struct balance_settings *settings)
{
    uint32_t index = (uint32_t)os_prng_below(&world.prng, MODEL_SLOTS);
    struct balance_share share = {
        .weight = 1 + (uint32_t)os_prng_below(&world.prng, 9),
        .priority = (uint32_t)os_prng_below(&world.prng, 3),
    };
    uint64_t ramp_from_ns = settings->slow_start_ns == 0 ? UINT64_MAX : world.now_ns;
    if (!model.here[index]) {
        balance_add(&world.balance, index, hash_u64(index), &share, world.now_ns);
        model.here[index] = true;
        model.current[index] = 0;
        model.share[index] = share;
        model.state[index] = BALANCE_ACTIVE;
        model.ramp_from_ns[index] = ramp_from_ns;
        return;
    }
    if (model.in_flight[index] == 0 && os_prng_chance(&world.prng, 1, 4)) {
        balance_remove(&world.balance, index);
        model.here[index] = false;
        return;
    }
    if (os_prng_chance(&world.prng, 1, 3)) {
        balance_set_share(&world.balance, index, &share);
        model.share[index] = share;
        return;
    }
    enum balance_state to = (enum balance_state)(1 + os_prng_below(&world.prng, 4));
    balance_set_state(&world.balance, index, to, world.now_ns);
    if (to == BALANCE_ACTIVE && model.state[index] != to) {
        model.ramp_from_ns[index] = ramp_from_ns;
    }
    model.state[index] = to;
}

/* Smooth weighted round robin as it is told in a sentence. */
static uint32_t
model_smooth(uint32_t avoid)
{
    uint32_t best = BALANCE_NOBODY;
    int64_t total = 0;
    for (uint32_t i = 0; i < MODEL_SLOTS; i++) {
        if (!model.candidate[i]) {
            model.current[i] = 0;
        } else if (i != avoid) {
            model.current[i] += model.share[i].weight;
            total += model.share[i].weight;
            best = best == BALANCE_NOBODY || model.current[i] > model.current[best] ? i : best;
        }
    }
    model.current[best] -= total;
    return best;
}

static void
check_policy(const struct balance_settings *settings, uint32_t index, uint32_t avoid)
{
    uint32_t usable = 0;
    uint32_t as_loaded = 0; /* others that have at least as many requests for their weight */
    bool least = true;
    for (uint32_t i = 0; i < MODEL_SLOTS; i++) {
        if (!model.candidate[i] || i == avoid || i == index) {
            continue;
        }
        usable++;
        uint32_t mine = model.in_flight[index] * model.share[i].weight;
        uint32_t other = model.in_flight[i] * model.share[index].weight;
        as_loaded += other >= mine;
        least = least && other >= mine;
    }
    if (settings->slow_start_ns > 0) {
        return; /* weights move; shares are checked in balance_test.c */
    }
    if (settings->policy == BALANCE_LEAST_REQUESTS) {
        assert_true(least);
    }
    if (settings->policy == BALANCE_LEAST_OF_TWO && usable > 0) {
        assert_true(as_loaded > 0); /* the most loaded of all never wins */
    }
    if (settings->policy == BALANCE_SMOOTH) {
        assert_int_equal(model_smooth(avoid), index);
    }
}

static void
pick(const struct balance_settings *settings)
{
    model_candidates(settings->panic_percent);
    uint32_t count = 0;
    for (uint32_t i = 0; i < MODEL_SLOTS; i++) {
        count += model.candidate[i];
    }
    uint32_t avoid = os_prng_chance(&world.prng, 1, 3)
                         ? (uint32_t)os_prng_below(&world.prng, MODEL_SLOTS + 2)
                         : BALANCE_NOBODY;
    struct balance_request request = {
        .now_ns = world.now_ns,
        .random = os_prng_next(&world.prng),
        .key = os_prng_next(&world.prng),
        .avoid = avoid,
    };
    uint32_t index = BALANCE_NOBODY;
    enum balance_picked picked = balance_pick(&world.balance, &request, &index);
    if (count == 0) {
        assert_int_equal(picked, BALANCE_NONE);
        memset(model.current, 0, sizeof(model.current));
        return;
    }
    assert_int_equal(picked, model.panic ? BALANCE_PANIC : BALANCE_PICKED);
    assert_true(index < MODEL_SLOTS);
    assert_true(model.candidate[index]);
    bool others = count > 1 && avoid < MODEL_SLOTS && model.candidate[avoid];
    assert_true(!others || index != avoid);
    if (count == 1) {
        for (uint32_t i = 0; i < MODEL_SLOTS; i++) {
            model.current[i] = model.candidate[i] ? model.current[i] : 0;
        }
    } else {
        check_policy(settings, index, others ? avoid : BALANCE_NOBODY);
    }
    if (os_prng_chance(&world.prng, 2, 3)) {
        balance_begin(&world.balance, index);
        model.in_flight[index]++;
    }
}

static void
end_some(void)
{
    uint32_t index = (uint32_t)os_prng_below(&world.prng, MODEL_SLOTS);
    while (model.in_flight[index] > 0 && os_prng_chance(&world.prng, 2, 3)) {
        balance_end(&world.balance, index);
        model.in_flight[index]--;
    }
}

static void
run(const struct balance_settings *settings, uint64_t seed)
{
    t_world_init(&world, settings, seed);
    memset(&model, 0, sizeof(model));
    for (uint32_t step = 0; step < STEPS; step++) {
        world.now_ns += os_prng_below(&world.prng, T_SECOND);
        switch (os_prng_below(&world.prng, 10)) {
        case 0:
            change(settings);
            break;
        case 1:
        case 2:
        case 3:
            end_some();
            break;
        default:
            pick(settings);
            break;
        }
        for (uint32_t i = 0; i < MODEL_SLOTS; i++) {
            assert_int_equal(world.endpoints[i].in_flight, model.in_flight[i]);
            assert_true(model.here[i] == (world.endpoints[i].state != BALANCE_ABSENT));
        }
    }
}

static void
test_histories(void **state)
{
    (void)state;
    uint64_t rounds = getenv("TEST_LONG") != NULL ? 100 : 4;
    for (uint64_t seed = 0; seed < rounds; seed++) {
        for (uint32_t policy = 0; policy < BALANCE_POLICY_COUNT; policy++) {
            struct balance_settings settings = {
                .policy = (enum balance_policy)policy,
                .panic_percent = seed % 2 == 0 ? 50 : 0,
                .slow_start_ns = seed % 4 < 2 ? 0 : 100 * T_SECOND,
                .hash_load_percent = seed % 2 == 0 ? 125 : 0,
            };
            run(&settings, seed * 100 + policy);
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_histories),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
