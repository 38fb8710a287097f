/* What each policy promises: sequences, shares, slow endpoints, keys that move. */
#include "balance_test_world.h"

#include "base/hash.h"

#include <stdlib.h>
#include <string.h>

static struct t_world world;

static struct balance_settings
by(enum balance_policy policy)
{
    return (struct balance_settings){.policy = policy, .panic_percent = 50};
}

static void
init(enum balance_policy policy, uint64_t seed)
{
    struct balance_settings settings = by(policy);
    t_world_init(&world, &settings, seed);
}

static void
expect_sequence(const char *letters)
{
    for (size_t i = 0; letters[i] != '\0'; i++) {
        uint32_t index = t_pick(&world);
        if (index != (uint32_t)(letters[i] - 'a')) {
            print_error("pick %zu of %s is %c\n", i, letters, (int)('a' + index));
        }
        assert_int_equal(index, letters[i] - 'a');
    }
}

/* ---- sequences --------------------------------------------------------------------------- */

static void
test_round_robin(void **state)
{
    (void)state;
    init(BALANCE_ROUND_ROBIN, 1);
    t_add(&world, 0, 5); /* weights do not count */
    t_add(&world, 1, 1);
    t_add(&world, 2, 1);
    expect_sequence("abcabcabc");
    t_add(&world, 3, 1);
    expect_sequence("dabcd");
    balance_set_state(&world.balance, 1, BALANCE_EJECTED, world.now_ns);
    expect_sequence("acdacd");
    balance_set_state(&world.balance, 1, BALANCE_ACTIVE, world.now_ns);
    expect_sequence("abcd");
    /* Avoided once, it does not lose its place. */
    world.avoid = 0;
    expect_sequence("b");
    world.avoid = BALANCE_NOBODY;
    expect_sequence("cda");
}

/* BALANCE-2 */
static void
test_smooth(void **state)
{
    (void)state;

    static const struct {
        uint32_t weights[4];
        uint32_t count;
        const char *period;
    } cases[] = {
        {{5, 1, 1}, 3, "aabacaa"},
        {{4, 2, 1}, 3, "abacaba"},
        {{1, 1, 1}, 3, "abc"},
        {{3, 1}, 2, "aaba"},
        {{1, 2, 3, 4}, 4, "dcdbcdabcd"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        init(BALANCE_SMOOTH, i);
        for (uint32_t j = 0; j < cases[i].count; j++) {
            t_add(&world, j, cases[i].weights[j]);
        }
        for (uint32_t round = 0; round < 3; round++) {
            if (i != 4) {
                expect_sequence(cases[i].period);
            } else {
                uint32_t counts[T_ENDPOINTS_MAX];
                t_pick_many(&world, 10, counts);
                for (uint32_t j = 0; j < 4; j++) {
                    assert_int_equal(counts[j], cases[i].weights[j]);
                }
            }
            for (uint32_t j = 0; j < cases[i].count; j++) {
                assert_int_equal(world.endpoints[j].current, 0);
            }
        }
    }
}

/* Without requests under way it is smooth round robin; with them, who has the fewest. */
static void
test_least_requests(void **state)
{
    (void)state;
    init(BALANCE_LEAST_REQUESTS, 1);
    t_add(&world, 0, 2);
    t_add(&world, 1, 1);
    t_add(&world, 2, 1);
    expect_sequence("abcaabca");
    balance_begin(&world.balance, 0);
    expect_sequence("bcbc");
    balance_begin(&world.balance, 1);
    expect_sequence("cc");
    balance_begin(&world.balance, 2); /* 1/2, 1/1, 1/1 */
    expect_sequence("aa");
    balance_begin(&world.balance, 0);
    balance_begin(&world.balance, 0); /* 3/2, 1, 1 */
    world.avoid = 1;
    expect_sequence("cc");
}

/* ---- shares ------------------------------------------------------------------------------ */

/* BALANCE-3: chi-square against the weights, p > 0.001. */
static void
test_shares(void **state)
{
    (void)state;
    static const uint32_t weights[] = {10, 1, 5, 3, 7};
    static const uint32_t equal[] = {1, 1, 1, 1, 1};

    static const struct {
        enum balance_policy policy;
        const uint32_t *shares;
    } cases[] = {
        {BALANCE_ROUND_ROBIN, equal},
        {BALANCE_SMOOTH, weights},
        {BALANCE_RANDOM, equal},
        {BALANCE_WEIGHTED_RANDOM, weights},
        {BALANCE_LEAST_OF_TWO, weights}, /* when nobody has anything to do */
        {BALANCE_LEAST_REQUESTS, weights},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        init(cases[i].policy, 20261128 + i);
        for (uint32_t j = 0; j < 5; j++) {
            t_add(&world, 2 * j, weights[j]); /* with gaps */
        }
        uint32_t counts[T_ENDPOINTS_MAX];
        t_pick_many(&world, 26000, counts);
        uint32_t dense[5];
        for (uint32_t j = 0; j < 5; j++) {
            dense[j] = counts[2 * j];
        }
        uint64_t chi = t_chi_square(dense, cases[i].shares, 5, 26000);
        print_message(
            "%s: chi-square %llu/1000\n",
            balance_policy_name(cases[i].policy),
            (unsigned long long)chi);
        assert_true(chi < t_chi_limit(4));
        /* The test can fail: other weights are refused. */
        const uint32_t *others = cases[i].shares == weights ? equal : weights;
        assert_true(t_chi_square(dense, others, 5, 26000) > t_chi_limit(4));
    }
}

/* Random picks that avoid one keep the proportions of the others. */
static void
test_avoid_keeps_shares(void **state)
{
    (void)state;

    static const enum balance_policy policies[] = {BALANCE_WEIGHTED_RANDOM, BALANCE_LEAST_OF_TWO};

    static const uint32_t others[] = {4, 2, 6};
    for (size_t i = 0; i < 2; i++) {
        init(policies[i], 5 + i);
        t_add(&world, 0, 4);
        t_add(&world, 1, 8);
        t_add(&world, 2, 2);
        t_add(&world, 3, 6);
        world.avoid = 1;
        uint32_t counts[T_ENDPOINTS_MAX];
        t_pick_many(&world, 12000, counts);
        assert_int_equal(counts[1], 0);
        uint32_t dense[3] = {counts[0], counts[2], counts[3]};
        assert_true(t_chi_square(dense, others, 3, 12000) < t_chi_limit(2));
    }
}

/* 100 servers, 1,000 requests each that do not end: max/mean <= 1.01. By chance alone it is about
 * 1.08. */
static void
test_two_are_even(void **state)
{
    (void)state;

    enum {
        SERVERS = 100,
        EACH = 1000
    };

    uint32_t greatest[2] = {0, 0};
    for (size_t i = 0; i < 2; i++) {
        init(i == 0 ? BALANCE_LEAST_OF_TWO : BALANCE_RANDOM, 7);
        for (uint32_t j = 0; j < SERVERS; j++) {
            t_add(&world, j, 1);
        }
        for (uint32_t j = 0; j < SERVERS * EACH; j++) {
            balance_begin(&world.balance, t_pick(&world));
        }
        for (uint32_t j = 0; j < SERVERS; j++) {
            uint32_t load = world.endpoints[j].in_flight;
            greatest[i] = load > greatest[i] ? load : greatest[i];
        }
    }
    print_message("max of a mean of 1000: two %u, random %u\n", greatest[0], greatest[1]);
    assert_true(greatest[0] * 100 <= EACH * 101);
    assert_true(greatest[1] * 100 > EACH * 104);
}

/* ---- a slow endpoint ------------------------------------------------------------------------ */

/* Ten servers, 40 clients that each send their next request when the last one was answered, after
 * 10 ticks, or 100 from server 0. Returns its part of 20,000 requests in 1/1000 of its fair one. */
static uint32_t
share_of_slow(enum balance_policy policy)
{
    enum {
        SERVERS = 10,
        CLIENTS = 40,
        REQUESTS = 20000
    };

    init(policy, 11);
    for (uint32_t j = 0; j < SERVERS; j++) {
        t_add(&world, j, 1);
    }
    uint32_t server_of[CLIENTS];
    uint64_t ends[CLIENTS];
    memset(ends, 0, sizeof(ends));
    memset(server_of, 0xff, sizeof(server_of));
    uint32_t slow = 0;
    uint32_t sent = 0;
    for (uint64_t tick = 0; sent < REQUESTS; tick++) {
        for (uint32_t client = 0; client < CLIENTS && sent < REQUESTS; client++) {
            if (ends[client] > tick) {
                continue;
            }
            if (server_of[client] != BALANCE_NOBODY) {
                balance_end(&world.balance, server_of[client]);
            }
            uint32_t index = t_pick(&world);
            balance_begin(&world.balance, index);
            server_of[client] = index;
            ends[client] = tick + (index == 0 ? 100 : 10);
            slow += index == 0;
            sent++;
        }
    }
    return slow * SERVERS * 1000 / REQUESTS;
}

static void
test_slow_endpoint(void **state)
{
    (void)state;
    uint32_t two = share_of_slow(BALANCE_LEAST_OF_TWO);
    uint32_t least = share_of_slow(BALANCE_LEAST_REQUESTS);
    uint32_t turn = share_of_slow(BALANCE_ROUND_ROBIN);
    print_message("of its share: two %u, least %u, round robin %u in 1000\n", two, least, turn);
    assert_true(two < 200);
    assert_true(least < 200);
    assert_in_range(turn, 990, 1010);
}

/* ---- the ring ---------------------------------------------------------------------------- */

#define KEYS 20000

static void
find_all(uint16_t *found)
{
    for (uint32_t key = 0; key < KEYS; key++) {
        found[key] = (uint16_t)t_pick_key(&world, key);
    }
}

static uint32_t
square_root(uint64_t value)
{
    uint32_t root = 0;
    while ((uint64_t)(root + 1) * (root + 1) <= value) {
        root++;
    }
    return root;
}

/* BALANCE-6: whoever leaves, the keys of the others stay, and at most 1/n + 3 sigma move. Sigma is
 * that of drawing KEYS keys and of laying BALANCE_POINTS points: p(1-p)/KEYS + p^2/POINTS. */
static void
test_keys_that_move(void **state)
{
    (void)state;
    static uint16_t before[KEYS];
    static uint16_t after[KEYS];
    for (uint32_t n = 3; n <= 20; n += 4) {
        init(BALANCE_HASH, n);
        for (uint32_t j = 0; j < n; j++) {
            t_add(&world, j, 1);
        }
        find_all(before);
        uint64_t drawing = (uint64_t)KEYS * (n - 1) / ((uint64_t)n * n);
        uint64_t laying = (uint64_t)KEYS * KEYS / n / n / BALANCE_POINTS;
        uint32_t limit = KEYS / n + 3 * square_root(drawing + laying);
        for (uint32_t leaver = 0; leaver < n; leaver++) {
            balance_remove(&world.balance, leaver);
            find_all(after);
            uint32_t moved = 0;
            for (uint32_t key = 0; key < KEYS; key++) {
                moved += before[key] != after[key];
                assert_true(before[key] == leaver || before[key] == after[key]);
            }
            assert_in_range(moved, 1, limit);
            t_add(&world, leaver, 1);
        }
        find_all(after);
        assert_memory_equal(before, after, sizeof(before)); /* and come back */
        balance_set_state(&world.balance, 0, BALANCE_EJECTED, world.now_ns);
        find_all(after);
        for (uint32_t key = 0; key < KEYS; key++) {
            assert_true(after[key] != 0 && (before[key] == 0 || before[key] == after[key]));
        }
    }
}

static void
test_ring_weights(void **state)
{
    (void)state;
    static uint16_t found[KEYS];
    init(BALANCE_HASH, 1);
    t_add(&world, 0, 1);
    t_add(&world, 1, 3);
    t_add(&world, 2, 6);
    find_all(found);
    uint32_t counts[3] = {0};
    for (uint32_t key = 0; key < KEYS; key++) {
        counts[found[key]]++;
    }
    assert_in_range(counts[0], KEYS / 10 * 88 / 100, KEYS / 10 * 112 / 100);
    assert_in_range(counts[1], KEYS * 3 / 10 * 93 / 100, KEYS * 3 / 10 * 107 / 100);
    /* More weight than the ring has room for. */
    balance_set_share(&world.balance, 2, &(struct balance_share){.weight = BALANCE_WEIGHT_MAX});
    find_all(found);
    memset(counts, 0, sizeof(counts));
    for (uint32_t key = 0; key < KEYS; key++) {
        counts[found[key]]++;
    }
    assert_true(counts[2] > KEYS * 99 / 100);
}

/* BALANCE-7: one key that everybody asks for, or random ones, or half and half: nobody gets more
 * than 125 % of his part, and the key stays where it is as long as there is room. */
static void
test_bounded_load(void **state)
{
    (void)state;
    for (uint32_t hot = 0; hot <= 2; hot++) {
        struct balance_settings settings = by(BALANCE_HASH);
        settings.hash_load_percent = 125;
        t_world_init(&world, &settings, 3 + hot);
        for (uint32_t j = 0; j < 8; j++) {
            t_add(&world, j, 1 + j % 2);
        }
        for (uint32_t sent = 1; sent <= 4000; sent++) {
            bool is_hot = hot == 1 || (hot == 2 && sent % 2 == 0);
            balance_begin(&world.balance, is_hot ? t_pick_key(&world, 42) : t_pick(&world));
            for (uint32_t j = 0; j < 8; j++) {
                uint32_t part = (sent * (1 + j % 2) * 125 + 1199) / 1200;
                assert_true(world.endpoints[j].in_flight <= part);
            }
        }
    }
}

/* ---- states --------------------------------------------------------------------------------- */

/* BALANCE-1 */
static void
test_states(void **state)
{
    (void)state;
    for (uint32_t policy = 0; policy < BALANCE_POLICY_COUNT; policy++) {
        init((enum balance_policy)policy, 100 + policy);
        uint32_t index;
        struct balance_request request = {.now_ns = 1, .avoid = BALANCE_NOBODY};
        assert_int_equal(balance_pick(&world.balance, &request, &index), BALANCE_NONE);
        for (uint32_t j = 0; j < 6; j++) {
            t_add(&world, j, 1 + j);
        }
        balance_set_state(&world.balance, 1, BALANCE_EJECTED, 0);
        balance_set_state(&world.balance, 3, BALANCE_UNHEALTHY, 0);
        balance_set_state(&world.balance, 4, BALANCE_DRAINING, 0);
        uint32_t counts[T_ENDPOINTS_MAX];
        t_pick_many(&world, 3000, counts);
        assert_int_equal(counts[1] + counts[3] + counts[4], 0);
        assert_true(counts[0] > 0 && counts[2] > 0 && counts[5] > 0);
        assert_int_equal(counts[0] + counts[2] + counts[5], 3000);
        /* Two of five, 40 %, are less than half: all but the draining one. BALANCE-4 */
        balance_set_state(&world.balance, 5, BALANCE_UNHEALTHY, 0);
        assert_int_equal(balance_pick(&world.balance, &request, &index), BALANCE_PANIC);
        t_pick_many(&world, 3000, counts);
        assert_int_equal(counts[4], 0);
        for (uint32_t j = 0; j < 6; j++) {
            assert_true(j == 4 || counts[j] > 0);
        }
        /* Only one left, and it is avoided: it is taken. */
        for (uint32_t j = 1; j < 6; j++) {
            balance_remove(&world.balance, j);
        }
        world.avoid = 0;
        assert_int_equal(t_pick(&world), 0);
        balance_set_state(&world.balance, 0, BALANCE_DRAINING, 0);
        assert_int_equal(balance_pick(&world.balance, &request, &index), BALANCE_NONE);
    }
}

static void
test_no_panic(void **state)
{
    (void)state;
    struct balance_settings settings = {.policy = BALANCE_LEAST_OF_TWO};
    t_world_init(&world, &settings, 1);
    t_add(&world, 0, 1);
    t_add(&world, 1, 1);
    balance_set_state(&world.balance, 0, BALANCE_EJECTED, 0);
    assert_int_equal(t_pick(&world), 1);
    balance_set_state(&world.balance, 1, BALANCE_EJECTED, 0);
    uint32_t index;
    struct balance_request request = {.now_ns = 1, .avoid = BALANCE_NOBODY};
    assert_int_equal(balance_pick(&world.balance, &request, &index), BALANCE_NONE);
}

static void
test_priorities(void **state)
{
    (void)state;
    init(BALANCE_SMOOTH, 1);
    for (uint32_t j = 0; j < 4; j++) {
        struct balance_share share = {.weight = 1, .priority = j / 2};
        balance_add(&world.balance, j, j, &share, UINT64_MAX);
    }
    expect_sequence("abab");
    balance_set_state(&world.balance, 0, BALANCE_EJECTED, 0);
    expect_sequence("bbb"); /* half of the level is enough */
    balance_set_state(&world.balance, 1, BALANCE_UNHEALTHY, 0);
    expect_sequence("cdcd");
    balance_set_state(&world.balance, 2, BALANCE_UNHEALTHY, 0);
    balance_set_state(&world.balance, 3, BALANCE_UNHEALTHY, 0);
    uint32_t counts[T_ENDPOINTS_MAX];
    t_pick_many(&world, 400, counts); /* panic: everybody */
    for (uint32_t j = 0; j < 4; j++) {
        assert_int_equal(counts[j], 100);
    }
    balance_set_state(&world.balance, 1, BALANCE_ACTIVE, 0);
    expect_sequence("bb");
}

static void
test_may_eject(void **state)
{
    (void)state;
    init(BALANCE_SMOOTH, 1);
    for (uint32_t j = 0; j < 10; j++) {
        t_add(&world, j, 1);
    }
    uint32_t ejected = 0;
    while (balance_may_eject(&world.balance, 34)) {
        balance_set_state(&world.balance, ejected++, BALANCE_EJECTED, 0);
    }
    assert_int_equal(ejected, 3); /* 30 %, and not 40 % */
    balance_set_state(&world.balance, 0, BALANCE_ACTIVE, 0);
    assert_true(balance_may_eject(&world.balance, 34));
    balance_set_state(&world.balance, 9, BALANCE_DRAINING, 0);
    assert_true(balance_may_eject(&world.balance, 34)); /* 3 of 9 */
    balance_set_state(&world.balance, 8, BALANCE_DRAINING, 0);
    assert_false(balance_may_eject(&world.balance, 34)); /* 3 of 8 */
    uint32_t active;
    assert_int_equal(balance_count(&world.balance, &active), 8);
    assert_int_equal(active, 6);
}

/* ---- slow start ------------------------------------------------------------------------------ */

/* BALANCE-5: its part of the picks follows the ramp, from a tenth to all of its weight. */
static void
test_slow_start(void **state)
{
    (void)state;
    for (uint32_t policy = 0; policy < BALANCE_POLICY_COUNT; policy++) {
        struct balance_settings settings = by((enum balance_policy)policy);
        settings.slow_start_ns = 100 * T_SECOND;
        t_world_init(&world, &settings, 200 + policy);
        t_add(&world, 0, 1);
        t_add(&world, 1, 1);
        struct balance_share share = {.weight = 1};
        uint64_t from_ns = world.now_ns;
        balance_add(&world.balance, 2, hash_u64(3), &share, from_ns);
        static const uint32_t percents[] = {0, 5, 25, 50, 75, 100, 200};
        for (size_t i = 0; i < sizeof(percents) / sizeof(percents[0]); i++) {
            world.now_ns = from_ns + percents[i] * T_SECOND;
            uint32_t weight = percents[i] < 10 ? 10 : percents[i] > 100 ? 100 : percents[i];
            uint32_t counts[T_ENDPOINTS_MAX];
            t_pick_many(&world, 20000, counts);
            /* On the ring the keys that it does not take yet go to their next; else they go to all
             * by weight. */
            uint32_t of = policy == BALANCE_HASH ? 300 : 200 + weight;
            uint32_t expected = 20000 * weight / of;
            uint32_t slack = expected / 10 + 60;
            assert_in_range(counts[2], expected - slack, expected + slack);
        }
        /* One that comes back starts again. */
        balance_set_state(&world.balance, 2, BALANCE_EJECTED, world.now_ns);
        balance_set_state(&world.balance, 2, BALANCE_ACTIVE, world.now_ns);
        uint32_t counts[T_ENDPOINTS_MAX];
        t_pick_many(&world, 20000, counts);
        assert_in_range(counts[2], 1, 1200);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_robin),
        cmocka_unit_test(test_smooth),
        cmocka_unit_test(test_least_requests),
        cmocka_unit_test(test_shares),
        cmocka_unit_test(test_avoid_keeps_shares),
        cmocka_unit_test(test_two_are_even),
        cmocka_unit_test(test_slow_endpoint),
        cmocka_unit_test(test_keys_that_move),
        cmocka_unit_test(test_ring_weights),
        cmocka_unit_test(test_bounded_load),
        cmocka_unit_test(test_states),
        cmocka_unit_test(test_no_panic),
        cmocka_unit_test(test_priorities),
        cmocka_unit_test(test_may_eject),
        cmocka_unit_test(test_slow_start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
