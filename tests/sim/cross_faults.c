/* What goes wrong in the middle of a life, and comes right again; and how a life ends. */
#include "cross_life.h"

void
world_break_something(struct world *world)
{
    uint32_t shard = (uint32_t)os_prng_below(&world->prng, WORLD_SHARDS);
    uint32_t number = (uint32_t)os_prng_below(&world->prng, WORLD_COORDINATORS);
    struct world_coordinator *coordinator = &world->coordinators[number];
    uint64_t now = world_now(world);
    switch (os_prng_below(&world->prng, 6)) {
    case 0:
        if (world->shards[shard].engine != NULL) {
            world_shard_kill(world, shard);
        }
        break;
    case 1:
        if (coordinator->loop != NULL) {
            world_coordinator_kill(world, number);
        }
        break;
    case 2:
        world->shards[shard].paused_until_ns = now + os_prng_below(&world->prng, 5 * OS_NS_PER_S);
        break;
    case 3:
        coordinator->links[shard].parted = true;
        break;
    case 4:
        if (coordinator->loop != NULL) {
            coordinator->paused_until_ns = now + os_prng_below(&world->prng, 5 * OS_NS_PER_S);
            os_sim_pause(world->sim, coordinator->loop, true);
        }
        break;
    default:
        break;
    }
}

void
world_mend_something(struct world *world)
{
    uint64_t now = world_now(world);
    for (uint32_t i = 0; i < WORLD_SHARDS; i++) {
        if (world->shards[i].engine == NULL && os_prng_chance(&world->prng, 1, 8)) {
            world_shard_start(world, i);
        }
    }
    for (uint32_t i = 0; i < WORLD_COORDINATORS; i++) {
        struct world_coordinator *coordinator = &world->coordinators[i];
        if (coordinator->loop == NULL && os_prng_chance(&world->prng, 1, 4)) {
            world_coordinator_start(world, i);
        } else if (coordinator->loop != NULL && now >= coordinator->paused_until_ns) {
            os_sim_pause(world->sim, coordinator->loop, false);
        }
        for (uint32_t j = 0; j < WORLD_SHARDS; j++) {
            if (os_prng_chance(&world->prng, 1, 10)) {
                coordinator->links[j].parted = false;
            }
        }
    }
}

void
world_finish_and_check(struct world *world)
{
    world_heal(world);
    world_clients_finish(world);
    world_run_ms(world, 5000); /* what was left is finished, and late repeats have come */
    world_check_nothing_in_doubt(world);
    world_run_ms(world, 8000);
    world_check_nothing_in_doubt(world);
    world_check_holds(world);
    world_check_accounts(world);
    world_check_transfers(world);
}
