/* What happens in a run, and in which order. */
#include "payments_sim.h"

#include "base/assert.h"

#include <stdlib.h>

/* ---------------------------------------------------------------------------------- the plan */

static void
plan_issuer(struct sim *sim, struct issuer_settings *issuer)
{
    *issuer = issuer_settings_default();
    issuer->refund_settle_ms = (int64_t)(1000 + sim_below(&sim->world, 5000));
    issuer->dispute_delay_ms = (int64_t)sim_below(&sim->world, 5000);
    if (sim_chance(&sim->world, 2)) {
        issuer->dispute_due_ms = (int64_t)(1000 + sim_below(&sim->world, 20000));
    }
    if (sim_chance(&sim->world, 4)) {
        return; /* a good network */
    }
    uint64_t worst = sim_chance(&sim->world, 3) ? 300 : 60;
    issuer->latency_ms = (int64_t)sim_below(&sim->world, 100);
    issuer->jitter_ms = (int64_t)sim_below(&sim->world, 400);
    issuer->lost_per_mille = (int64_t)sim_below(&sim->world, worst);
    issuer->dropped_per_mille = (int64_t)sim_below(&sim->world, worst);
    issuer->late_per_mille = (int64_t)sim_below(&sim->world, worst);
    issuer->twice_per_mille = (int64_t)sim_below(&sim->world, worst);
}

static void
plan_draw(struct sim *sim)
{
    struct sim_plan *plan = &sim->plan;
    plan_issuer(sim, &plan->issuer);
    plan->payments = payments_settings_default();
    plan->payments.rail_timeout_ms = (int64_t)(300 + sim_below(&sim->world, 3000));
    plan->payments.lease_s = (int64_t)(5 + sim_below(&sim->world, 30));
    if (sim_chance(&sim->world, 2)) {
        plan->payments.settlement_delay_s = (int64_t)(5 + sim_below(&sim->world, 100));
    }
    if (sim_chance(&sim->world, 2)) {
        plan->payments.authorization_hold_s = (int64_t)(20 + sim_below(&sim->world, 400));
    }
    plan->payments.authentication_timeout_s = (int64_t)(5 + sim_below(&sim->world, 400));
    sim->world.wishes_wanted = 20 + (uint32_t)sim_below(&sim->world, 60);
    sim_world_draw_odds(&sim->world);
    sim->world.odds.wall = sim_chance(&sim->world, 3) ? 500 : 0;
    plan->operations_max = sim_chance(&sim->world, 6) ? 8 + sim_below(&sim->world, 8) : 1000;
}

/* ----------------------------------------------------------------------------------- the ops */

static void
draw_fee(struct sim *sim)
{
    if (sim->fee_count < SIM_FEES_MAX && (sim->fee_count == 0 || sim_chance(&sim->world, 4))) {
        struct sim_fee *fee = &sim->fees[sim->fee_count++];
        fee->basis_points = (int64_t)sim_below(&sim->world, 500);
        fee->fixed = (int64_t)sim_below(&sim->world, 60);
        sim->plan.payments.fee_basis_points = fee->basis_points;
        sim->plan.payments.fee_fixed = fee->fixed;
    }
}

static void
restart(struct sim_world *world)
{
    struct sim *sim = sim_of(world);
    draw_fee(sim);
    sim_crash(sim, sim_world_draw_crash(world));
    sim_start(sim);
}

static struct sim_health
health(struct sim_world *world)
{
    struct payments_health health = payments_health(sim_of(world)->payments);
    return (struct sim_health){health.differences, health.reconcile_runs};
}

static const struct sim_world_ops ops = {
    .restart = restart,
    .act = sim_clients_act,
    .send = sim_send,
    .health = health,
    .is_promise = sim_is_promise,
    .learn = sim_learn,
};

/* ------------------------------------------------------------------------- create and destroy */

struct sim *
sim_create(uint64_t seed)
{
    struct sim *sim = calloc(1, sizeof(*sim));
    ASSERT(sim != NULL);
    sim_world_init(&sim->world, seed, "payments_sim", &ops);
    plan_draw(sim);
    return sim;
}

void
sim_destroy(struct sim **sim_at)
{
    struct sim *sim = *sim_at;
    if (sim->world.process.runtime != NULL) {
        sim_crash(sim, SIM_KILL);
    }
    sim_world_remove(&sim->world, "vault");
    sim_world_release(&sim->world);
    free(sim);
    *sim_at = NULL;
}

/* ---------------------------------------------------------------------------------- the run */

void
sim_check_now(struct sim *sim)
{
    struct sim_books books;
    sim_world_reconcile(&sim->world);
    if (sim->world.failed) {
        return;
    }
    sim_books_read(sim, &books);
    sim_check(sim, &books);
    sim_check_answers(sim, &books);
    sim_books_release(&books);
}

/* The network is good from the next start on. */
static void
heal(struct sim *sim)
{
    enum {
        REFUND_SETTLE_MS = 500
    };

    struct issuer_settings good = issuer_settings_default();
    good.refund_settle_ms = REFUND_SETTLE_MS;
    good.dispute_delay_ms = REFUND_SETTLE_MS;
    sim->plan.issuer = good;
    sim->plan.operations_max = 1000;
}

void
sim_run_to_rest(struct sim *sim)
{
    draw_fee(sim);
    sim_start(sim);
    sim_clients_prepare(sim);
    sim_world_work(&sim->world);
    if (!sim->world.failed) {
        heal(sim);
        sim_world_settle(&sim->world);
    }
}

void
sim_run(struct sim *sim)
{
    enum {
        SETTLED_S = 3 * 24 * 3600,
        EXPIRED_S = 8 * 24 * 3600,
        A_WHILE_S = 60
    };

    sim_run_to_rest(sim);
    if (!sim->world.failed) {
        sim_check_now(sim);
    }
    if (!sim->world.failed) {
        os_sim_advance(sim->world.machine, (uint64_t)SETTLED_S * OS_NS_PER_S);
        sim_world_pass(&sim->world, A_WHILE_S);
        sim_check_now(sim);
    }
    if (!sim->world.failed) {
        os_sim_advance(sim->world.machine, (uint64_t)EXPIRED_S * OS_NS_PER_S);
        sim_world_pass(&sim->world, A_WHILE_S);
        sim_check_now(sim);
    }
    if (!sim->world.failed) {
        sim_replay_all(sim);
        sim_check_now(sim);
    }
    sim_crash(sim, SIM_KILL);
    if (!sim->world.failed) {
        sim_check_journal(sim);
    }
}
