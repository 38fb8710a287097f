/* What happens in a run, and in which order. */
#include "payments_sim.h"

#include "base/assert.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ITERATIONS_MAX 30000

void
sim_fail(struct sim *sim, const char *format, ...)
{
    va_list arguments;
    if (sim->failed) {
        return;
    }
    sim->failed = true;
    va_start(arguments, format);
    (void)vsnprintf(sim->failure, sizeof(sim->failure), format, arguments);
    va_end(arguments);
}

uint64_t
sim_below(struct sim *sim, uint64_t bound)
{
    return os_prng_below(sim->prng, bound);
}

bool
sim_chance(struct sim *sim, uint32_t odds)
{
    return odds != 0 && sim_below(sim, odds) == 0;
}

/* ---------------------------------------------------------------------------------- the plan */

static void
plan_issuer(struct sim *sim, struct issuer_settings *issuer)
{
    *issuer = issuer_settings_default();
    issuer->refund_settle_ms = (int64_t)(1000 + sim_below(sim, 5000));
    if (sim_chance(sim, 4)) {
        return; /* a good network */
    }
    uint64_t worst = sim_chance(sim, 3) ? 300 : 60;
    issuer->latency_ms = (int64_t)sim_below(sim, 100);
    issuer->jitter_ms = (int64_t)sim_below(sim, 400);
    issuer->lost_per_mille = (int64_t)sim_below(sim, worst);
    issuer->dropped_per_mille = (int64_t)sim_below(sim, worst);
    issuer->late_per_mille = (int64_t)sim_below(sim, worst);
    issuer->twice_per_mille = (int64_t)sim_below(sim, worst);
}

static void
plan_draw(struct sim *sim)
{
    struct sim_plan *plan = &sim->plan;
    plan_issuer(sim, &plan->issuer);
    plan->payments = payments_settings_default();
    plan->payments.rail_timeout_ms = (int64_t)(300 + sim_below(sim, 3000));
    plan->payments.lease_s = (int64_t)(5 + sim_below(sim, 30));
    if (sim_chance(sim, 2)) {
        plan->payments.settlement_delay_s = (int64_t)(5 + sim_below(sim, 100));
    }
    if (sim_chance(sim, 2)) {
        plan->payments.authorization_hold_s = (int64_t)(20 + sim_below(sim, 400));
    }
    plan->payments.authentication_timeout_s = (int64_t)(5 + sim_below(sim, 400));
    plan->wishes = 20 + (uint32_t)sim_below(sim, 60);
    plan->calls_max = 1 + (uint32_t)sim_below(sim, 16);
    plan->crash_odds = sim_chance(sim, 4) ? 0 : 30 + (uint32_t)sim_below(sim, 500);
    plan->commit_odds = sim_chance(sim, 2) ? 0 : 30 + (uint32_t)sim_below(sim, 500);
    plan->disk_odds = sim_chance(sim, 2) ? 0 : 30 + (uint32_t)sim_below(sim, 500);
    plan->pause_odds = sim_chance(sim, 2) ? 0 : 200;
    plan->jump_odds = sim_chance(sim, 2) ? 0 : 500;
    plan->wall_odds = sim_chance(sim, 3) ? 500 : 0;
    plan->operations_max = sim_chance(sim, 6) ? 8 + sim_below(sim, 8) : 1000;
}

/* ------------------------------------------------------------------------- create and destroy */

struct sim *
sim_create(uint64_t seed)
{
    struct sim *sim = calloc(1, sizeof(*sim));
    ASSERT(sim != NULL);
    sim->seed = seed;
    sim->verbose = getenv("TAEL_SIM_VERBOSE") != NULL;
    err_t error = os_sim_create(seed, &sim->machine);
    ASSERT(error == ERR_OK);
    sim->prng = os_sim_prng(sim->machine);
    struct os_sim_disk_settings disk = {.seed = seed, .faults = true};
    error = os_sim_disk_create(&disk, &sim->ledger_disk);
    ASSERT(error == ERR_OK);
    disk.seed = ~seed;
    error = os_sim_disk_create(&disk, &sim->issuer_disk);
    ASSERT(error == ERR_OK);
    /* Memory, where there is such a folder: SQLite's own syncs are not what is tested. */
    const char *base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    (void)snprintf(sim->folder, sizeof(sim->folder), "%s/payments_sim_XXXXXX", base);
    char *made = mkdtemp(sim->folder);
    ASSERT(made != NULL);
    sim->log_fd = sim->verbose ? STDERR_FILENO : open("/dev/null", O_WRONLY | O_CLOEXEC);
    trace_log_init(&sim->log, sim->log_fd, os_sim_clock(sim->machine));
    sim_loops_init(sim);
    sim_clients_init(sim);
    plan_draw(sim);
    return sim;
}

static void
remove_files(const struct sim *sim)
{
    static const char *const names[] = {
        "documents.db",
        "documents.db-rows",
        "documents.db-wal",
        "documents.db-shm",
        "documents.db-journal",
        "vault/vault.db",
        "vault/vault.db-rows",
        "vault/vault.db-wal",
        "vault/vault.db-shm",
        "vault/master.key"};
    char path[128];
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", sim->folder, names[i]);
        (void)unlink(path);
    }
    (void)snprintf(path, sizeof(path), "%s/vault", sim->folder);
    (void)rmdir(path);
    if (rmdir(sim->folder) != 0) {
        (void)fprintf(stderr, "%s is left behind\n", sim->folder);
    }
}

void
sim_destroy(struct sim **sim_at)
{
    struct sim *sim = *sim_at;
    if (sim->process.runtime != NULL) {
        sim_crash(sim, SIM_KILL);
    }
    for (uint32_t i = 0; i < sim->wish_count; i++) {
        free(sim->wishes[i].body);
    }
    trace_log_release(&sim->log);
    if (!sim->verbose) {
        (void)close(sim->log_fd);
    }
    os_sim_disk_destroy(&sim->ledger_disk);
    os_sim_disk_destroy(&sim->issuer_disk);
    os_sim_destroy(&sim->machine);
    remove_files(sim);
    free(sim);
    *sim_at = NULL;
}

/* ------------------------------------------------------------------------------------ faults */

static void
draw_fee(struct sim *sim)
{
    if (sim->fee_count < SIM_FEES_MAX && (sim->fee_count == 0 || sim_chance(sim, 4))) {
        struct sim_fee *fee = &sim->fees[sim->fee_count++];
        fee->basis_points = (int64_t)sim_below(sim, 500);
        fee->fixed = (int64_t)sim_below(sim, 60);
        sim->plan.payments.fee_basis_points = fee->basis_points;
        sim->plan.payments.fee_fixed = fee->fixed;
    }
}

static void
restart(struct sim *sim)
{
    draw_fee(sim);
    sim_crash(sim, sim_chance(sim, 2) ? SIM_POWER : SIM_KILL);
    sim_start(sim);
}

static void
draw_commit_fate(struct sim *sim)
{
    struct sim_documents *documents = &sim->process.documents;
    documents->fate = (enum sim_commit_fate)(1 + sim_below(sim, SIM_COMMIT_UNKNOWN_LOST));
    documents->fate_after = (uint32_t)sim_below(sim, 10);
    sim->counts.commits_failed++;
}

static void
draw_disk_fault(struct sim *sim)
{
    struct os_sim_disk *disk = sim->ledger_disk;
    if (sim_chance(sim, 2)) {
        uint64_t soon = 1 + sim_below(sim, 20);
        os_sim_disk_stop_at(disk, os_sim_disk_operations(disk) + soon);
        return;
    }
    os_sim_disk_clear_rules(disk);
    os_sim_disk_add_rule(
        disk,
        &(struct os_sim_rule){
            .operation = sim_chance(sim, 2) ? OS_SIM_SYNC : OS_SIM_WRITE,
            .effect = OS_SIM_FAIL,
            .skip = sim_below(sim, 10),
            .times = 1 + sim_below(sim, 2),
            .code = ERR_IO,
        });
}

static void
draw_pause(struct sim *sim)
{
    if (sim->paused != NULL) {
        os_sim_pause(sim->machine, sim->paused, false);
        sim->paused = NULL;
    } else {
        /* The journal's own loop comes and goes with its reloads; these live with the process. */
        struct os_loop *loops[] = {
            sim->process.api_loop, sim->process.cards_loop, sim->process.ledger_loop};
        sim->paused = loops[sim_below(sim, sizeof(loops) / sizeof(loops[0]))];
        os_sim_pause(sim->machine, sim->paused, true);
        sim->counts.pauses++;
    }
}

/* Has something killed the process? */
static bool
is_down(struct sim *sim)
{
    struct ledger_engine_status status;
    ledger_engine_status(sim->process.engine, &status);
    return sim->process.documents.died || os_sim_disk_is_stopped(sim->ledger_disk) ||
           status.health == LEDGER_ENGINE_FAILED ||
           (sim->process.documents.gone && sim_chance(sim, 30));
}

static void
draw_faults(struct sim *sim)
{
    const struct sim_plan *plan = &sim->plan;
    if (is_down(sim) || sim_chance(sim, plan->crash_odds)) {
        restart(sim);
    }
    if (sim_chance(sim, plan->commit_odds)) {
        draw_commit_fate(sim);
    }
    if (sim_chance(sim, plan->disk_odds)) {
        draw_disk_fault(sim);
    }
    if (sim_chance(sim, sim->paused != NULL ? 20 : plan->pause_odds)) {
        draw_pause(sim);
    }
}

/* ----------------------------------------------------------------------------------- passing */

static void
see_differences(struct sim *sim)
{
    struct payments_health health = payments_health(sim->process.payments);
    if (health.differences != 0) {
        sim_fail(
            sim, "the reconciler found %llu differences", (unsigned long long)health.differences);
    }
}

/* Nothing has work: on to the next timer, or a little further. */
static void
let_time_pass(struct sim *sim)
{
    uint64_t now = os_monotonic_ns(os_sim_clock(sim->machine));
    uint64_t next = os_sim_next_timer_ns(sim->machine);
    uint64_t wait = next > now ? next - now : OS_NS_PER_MS;
    os_sim_advance(sim->machine, wait < OS_NS_PER_S ? wait : OS_NS_PER_S);
}

static bool
work_is_done(const struct sim *sim)
{
    if (sim->wish_count < sim->plan.wishes || sim->call_count > 0) {
        return false;
    }
    for (uint32_t i = 0; i < sim->wish_count; i++) {
        if (!sim->wishes[i].settled) {
            return false;
        }
    }
    return true;
}

void
sim_work(struct sim *sim)
{
    for (uint32_t i = 0; i < ITERATIONS_MAX && !sim->failed && !work_is_done(sim); i++) {
        draw_faults(sim);
        if (sim_chance(sim, 8)) {
            (void)sim_clients_act(sim);
        }
        if (!os_sim_step(sim->machine)) {
            let_time_pass(sim);
        } else if (sim_chance(sim, 20)) {
            os_sim_advance(sim->machine, sim_below(sim, 50) * OS_NS_PER_MS);
        }
        if (sim_chance(sim, sim->plan.wall_odds)) {
            int64_t jump_s = (int64_t)sim_below(sim, 120) - 60;
            os_sim_jump_wall(sim->machine, jump_s * (int64_t)OS_NS_PER_S);
        }
        if (sim_chance(sim, sim->plan.jump_odds)) {
            os_sim_advance(sim->machine, sim_below(sim, 3600) * OS_NS_PER_S);
        }
        see_differences(sim);
    }
}

void
sim_pass(struct sim *sim, int64_t seconds)
{
    if (!os_sim_run_for(sim->machine, (uint64_t)seconds * OS_NS_PER_S, SIM_STEPS_MAX)) {
        sim_fail(sim, "there is no end to it");
    }
    see_differences(sim);
}

static void
heal(struct sim *sim)
{
    enum {
        REFUND_SETTLE_MS = 500
    };
    struct issuer_settings good = issuer_settings_default();
    good.refund_settle_ms = REFUND_SETTLE_MS;
    sim->plan.issuer = good;
    sim->plan.operations_max = 1000;
    restart(sim);
    os_sim_disk_clear_rules(sim->ledger_disk);
    os_sim_disk_stop_at(sim->ledger_disk, 0);
    sim->process.documents.fate = SIM_COMMIT_WORKS;
}

void
sim_settle(struct sim *sim)
{
    enum {
        ROUNDS_MAX = 60,
        ROUND_S = 10,
        /* The longest back-off of an attempt, and then some. */
        LAST_S = 700
    };

    heal(sim);
    for (uint32_t round = 0; round < ROUNDS_MAX && !sim->failed && !work_is_done(sim); round++) {
        for (uint32_t i = 0; i < sim->wish_count; i++) {
            if (!sim->wishes[i].settled && sim->wishes[i].under_way == 0) {
                sim_send(sim, &sim->wishes[i]);
            }
        }
        sim_pass(sim, ROUND_S);
    }
    for (uint32_t i = 0; i < sim->wish_count; i++) {
        if (!sim->wishes[i].settled) {
            sim_fail(sim, "key %s is never answered", sim->wishes[i].key);
        }
    }
    sim_pass(sim, LAST_S);
}

/* ---------------------------------------------------------------------------------- the run */

/* A difference would have been seen by a run that began after the last change. */
static void
reconcile(struct sim *sim)
{
    enum {
        RUN_S = 10,
        TRIES = 100
    };

    uint64_t before = payments_health(sim->process.payments).reconcile_runs;
    for (uint32_t i = 0; i < TRIES; i++) {
        sim_pass(sim, RUN_S);
        if (payments_health(sim->process.payments).reconcile_runs >= before + 2) {
            return;
        }
    }
    sim_fail(sim, "the reconciler does not run");
}

void
sim_check_now(struct sim *sim)
{
    struct sim_books books;
    reconcile(sim);
    if (sim->failed) {
        return;
    }
    sim_books_read(sim, &books);
    sim_check(sim, &books);
    sim_check_answers(sim, &books);
    sim_books_release(&books);
}

void
sim_run_to_rest(struct sim *sim)
{
    draw_fee(sim);
    sim_start(sim);
    sim_clients_prepare(sim);
    sim_work(sim);
    if (!sim->failed) {
        sim_settle(sim);
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
    if (!sim->failed) {
        sim_check_now(sim);
    }
    if (!sim->failed) {
        os_sim_advance(sim->machine, (uint64_t)SETTLED_S * OS_NS_PER_S);
        sim_pass(sim, A_WHILE_S);
        sim_check_now(sim);
    }
    if (!sim->failed) {
        os_sim_advance(sim->machine, (uint64_t)EXPIRED_S * OS_NS_PER_S);
        sim_pass(sim, A_WHILE_S);
        sim_check_now(sim);
    }
    if (!sim->failed) {
        sim_replay_all(sim);
        sim_check_now(sim);
    }
    sim_crash(sim, SIM_KILL);
    if (!sim->failed) {
        sim_check_journal(sim);
    }
}
