/*
 * Many lives of a ledger of four shards with transfers between them, each drawn from a seed
 * (cross_world.h). After each everything is healed, and compared with what clients were told
 * (cross_life.h); and every consistent read, at any time, adds up to nothing, and what is on its
 * way is not negative.
 *
 * TAEL_SIM_SEEDS, TAEL_SIM_FIRST and TAEL_SIM_SEED as in sim_range.h.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/list.h"
#include "cross_life.h"
#include "sim_range.h"

#include <stdlib.h>
#include <string.h>

#define SEEDS_SHORT 200
#define SEEDS_LONG  1000
#define ROUNDS      120

struct reading {
    struct port_ledger_request request;
    struct ledger_account accounts[3 * WORLD_ACCOUNTS];
    uint32_t incarnation;
    bool under_way;
};

static void
reading_check(const struct world *world, const struct reading *reading)
{
    __int128 all = 0;
    __int128 in_transit = 0;
    for (uint32_t i = 0; i < reading->request.out_count; i++) {
        const struct ledger_account *account = &reading->accounts[i];
        all += world_worth(account);
        /* 3PC may post the payee's side first: then the payer's is still set aside. */
        in_transit += commit_account_is(account->id, COMMIT_ACCOUNT_IN_TRANSIT)
                          ? world_worth(account) + (__int128)account->credits_pending
                          : 0;
    }
    if (all != 0 || in_transit < 0) {
        fail_msg(
            "seed %llu: a consistent read adds up to %lld, with %lld in transit",
            (unsigned long long)world->seed,
            (long long)all,
            (long long)in_transit);
    }
}

static void
reading_done(struct port_ledger_request *request)
{
    CONTAINER_OF(request, struct reading, request)->under_way = false;
}

/* At coordinator 0: a killed one never answers. */
static void
reading_turn(struct world *world, struct reading *reading)
{
    struct world_coordinator *coordinator = &world->coordinators[0];
    if (coordinator->loop == NULL || reading->incarnation != coordinator->incarnation) {
        reading->under_way = false;
        reading->request.error = ERR_BUSY;
    }
    if (reading->under_way || coordinator->loop == NULL) {
        return;
    }
    if (reading->request.done != NULL && reading->request.error == ERR_OK) {
        world->counts.reads++;
        reading_check(world, reading);
    }
    reading->incarnation = coordinator->incarnation;
    reading->under_way = true;
    reading->request = (struct port_ledger_request){
        .operation = PORT_LEDGER_LOOKUP_CONSISTENT,
        .count = WORLD_ACCOUNTS,
        .reply_to = &world->here,
        .done = reading_done,
    };
    reading->request.in.ids = world->accounts;
    reading->request.out.accounts = reading->accounts;
    struct port_ledger *port = shards_cross_port(coordinator->cross);
    port->submit(port, &reading->request);
}

static void
life(uint64_t seed, enum commit_protocol protocol, struct world_counts *sum)
{
    struct world *world = world_create(seed, protocol);
    static struct reading reading;
    memset(&reading, 0, sizeof(reading));
    world_accounts_create(world);
    world_fund(world);
    world->faults = (uint32_t)os_prng_below(&world->prng, 12);
    for (uint32_t i = 0; i < ROUNDS; i++) {
        for (uint32_t j = 0; j < WORLD_CLIENTS; j++) {
            world_client_turn(&world->clients[j], os_prng_chance(&world->prng, 1, 2));
        }
        reading_turn(world, &reading);
        if (world->faults > 0 && os_prng_chance(&world->prng, 1, 12)) {
            world_break_something(world);
        }
        world_mend_something(world);
        world_run_ms(world, (uint32_t)os_prng_below(&world->prng, 40));
    }
    world_finish_and_check(world);
    for (uint32_t i = 0; i < WORLD_COORDINATORS; i++) {
        struct shards_cross_counters counters;
        shards_cross_count(world->coordinators[i].cross, &counters);
        world->counts.resolved += counters.resolved_committed + counters.resolved_aborted;
    }
    uint64_t *to = (uint64_t *)sum;
    const uint64_t *from = (const uint64_t *)&world->counts;
    for (size_t i = 0; i < sizeof(*sum) / sizeof(uint64_t); i++) {
        to[i] += from[i];
    }
    world_destroy(&world);
}

static void
lives(enum commit_protocol protocol)
{
    struct world_counts sum = {0};
    const struct sim_range range = sim_range_get(SEEDS_SHORT, SEEDS_LONG);
    for (uint64_t i = 0; i < range.count; i++) {
        life(range.first + i, protocol, &sum);
    }
    print_message(
        "%llu seeds: %llu told, %llu booked, %llu refused, %llu asked again, %llu killed, "
        "%llu resolved, %llu consistent reads, %llu lost, %llu doubled, %llu holds posted, "
        "%llu chains\n",
        (unsigned long long)range.count,
        (unsigned long long)sum.told,
        (unsigned long long)sum.booked,
        (unsigned long long)sum.refused,
        (unsigned long long)sum.repeated,
        (unsigned long long)sum.killed,
        (unsigned long long)sum.resolved,
        (unsigned long long)sum.reads,
        (unsigned long long)sum.lost,
        (unsigned long long)sum.doubled,
        (unsigned long long)sum.posted,
        (unsigned long long)sum.chains);
    if (!range.is_replay) {
        assert_true(sum.booked > 0 && sum.refused > 0 && sum.repeated > 0 && sum.killed > 0);
        assert_true(sum.resolved > 0 && sum.reads > 0 && sum.lost > 0 && sum.doubled > 0);
        assert_true(sum.posted > 0 && sum.chains > 0);
    }
}

static void
test_2pc(void **state)
{
    (void)state;
    lives(COMMIT_2PC);
}

static void
test_3pc(void **state)
{
    (void)state;
    lives(COMMIT_3PC);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_2pc),
        cmocka_unit_test(test_3pc),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
