/* What happens in a run, and in which order. */
#include "wallets_sim.h"

#include "base/assert.h"

#include <stdlib.h>

static void
restart(struct sim_world *world)
{
    struct wsim *sim = wsim_of(world);
    wsim_crash(sim, sim_world_draw_crash(world));
    wsim_start(sim);
}

static struct sim_health
health(struct sim_world *world)
{
    struct wallets_health health = wallets_health(wsim_of(world)->wallets);
    return (struct sim_health){health.differences, health.reconcile_runs};
}

static const struct sim_world_ops ops = {
    .restart = restart,
    .act = wsim_clients_act,
    .send = wsim_send,
    .health = health,
    .is_promise = wsim_is_promise,
    .learn = wsim_learn,
};

static void
plan_draw(struct wsim *sim)
{
    sim->settings = wallets_settings_default();
    /* Some runs meet the limits. */
    sim->settings.limits = sim_chance(&sim->world, 3)
                               ? "basic.out=80/200/400 basic.in=500/1000/2000"
                               : "basic.out=9000/90000/900000 "
                                 "basic.in=9000/90000/900000";
    sim->settings.lease_s = (int64_t)(5 + sim_below(&sim->world, 30));
    sim->world.wishes_wanted = 30 + (uint32_t)sim_below(&sim->world, 100);
    sim_world_draw_odds(&sim->world);
}

struct wsim *
wsim_create(uint64_t seed)
{
    enum {
        MID_MONTH_S = 10 * 24 * 3600
    };

    struct wsim *sim = calloc(1, sizeof(*sim));
    ASSERT(sim != NULL);
    sim_world_init(&sim->world, seed, "wallets_sim", &ops);
    /* One run lies within one month, so that what the month counts can be added up. */
    os_sim_advance(sim->world.machine, MID_MONTH_S * OS_NS_PER_S);
    plan_draw(sim);
    return sim;
}

void
wsim_destroy(struct wsim **sim_at)
{
    struct wsim *sim = *sim_at;
    if (sim->world.process.runtime != NULL) {
        wsim_crash(sim, SIM_KILL);
    }
    sim_world_release(&sim->world);
    free(sim);
    *sim_at = NULL;
}

static void
replay_all(struct wsim *sim)
{
    enum {
        A_WHILE_S = 60
    };

    for (uint32_t i = 0; i < sim->world.wish_count; i++) {
        wsim_send(&sim->world, &sim->world.wishes[i]);
    }
    sim_world_pass(&sim->world, A_WHILE_S);
    if (sim->world.call_count != 0) {
        sim_world_fail(&sim->world, "%u keys are not answered again", sim->world.call_count);
    }
}

void
wsim_run_to_rest(struct wsim *sim)
{
    wsim_start(sim);
    wsim_clients_prepare(sim);
    sim_world_work(&sim->world);
    if (!sim->world.failed) {
        sim_world_settle(&sim->world);
    }
}

void
wsim_run(struct wsim *sim)
{
    enum {
        /* Every hold and request of the clients has expired then. */
        EXPIRED_S = 8 * 24 * 3600,
        A_WHILE_S = 700
    };

    wsim_run_to_rest(sim);
    for (uint32_t round = 0; round < 3 && !sim->world.failed; round++) {
        sim_world_reconcile(&sim->world);
        wsim_check(sim);
        if (round == 0) {
            os_sim_advance(sim->world.machine, EXPIRED_S * OS_NS_PER_S);
            sim_world_pass(&sim->world, A_WHILE_S);
        } else if (round == 1) {
            replay_all(sim);
        }
    }
}
