/* What happens in a run, and in which order. */
#include "wallets_sim.h"

#include "base/assert.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ITERATIONS_MAX 30000

void
wsim_fail(struct wsim *sim, const char *format, ...)
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
wsim_below(struct wsim *sim, uint64_t bound)
{
    return os_prng_below(sim->prng, bound);
}

bool
wsim_chance(struct wsim *sim, uint32_t odds)
{
    return odds != 0 && wsim_below(sim, odds) == 0;
}

static void
plan_draw(struct wsim *sim)
{
    struct wsim_plan *plan = &sim->plan;
    plan->wallets = wallets_settings_default();
    /* Some runs meet the limits. */
    plan->wallets.limits = wsim_chance(sim, 3) ? "basic.out=80/200/400 basic.in=500/1000/2000"
                                               : "basic.out=9000/90000/900000 "
                                                 "basic.in=9000/90000/900000";
    plan->wallets.lease_s = (int64_t)(5 + wsim_below(sim, 30));
    plan->wishes = 30 + (uint32_t)wsim_below(sim, 100);
    plan->calls_max = 1 + (uint32_t)wsim_below(sim, 16);
    plan->crash_odds = wsim_chance(sim, 4) ? 0 : 30 + (uint32_t)wsim_below(sim, 500);
    plan->commit_odds = wsim_chance(sim, 2) ? 0 : 30 + (uint32_t)wsim_below(sim, 500);
    plan->disk_odds = wsim_chance(sim, 2) ? 0 : 30 + (uint32_t)wsim_below(sim, 500);
    plan->pause_odds = wsim_chance(sim, 2) ? 0 : 200;
    plan->jump_odds = wsim_chance(sim, 2) ? 0 : 500;
}

struct wsim *
wsim_create(uint64_t seed)
{
    enum {
        MID_MONTH_S = 10 * 24 * 3600
    };

    struct wsim *sim = calloc(1, sizeof(*sim));
    ASSERT(sim != NULL);
    sim->seed = seed;
    sim->verbose = getenv("TAEL_SIM_VERBOSE") != NULL;
    err_t error = os_sim_create(seed, &sim->machine);
    ASSERT(error == ERR_OK);
    /* One run lies within one month, so that what the month counts can be added up. */
    os_sim_advance(sim->machine, MID_MONTH_S * OS_NS_PER_S);
    sim->prng = os_sim_prng(sim->machine);
    struct os_sim_disk_settings disk = {.seed = seed, .faults = true};
    error = os_sim_disk_create(&disk, &sim->ledger_disk);
    ASSERT(error == ERR_OK);
    disk.seed = ~seed;
    error = os_sim_disk_create(&disk, &sim->bank_disk);
    ASSERT(error == ERR_OK);
    const char *base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    (void)snprintf(sim->folder, sizeof(sim->folder), "%s/wallets_sim_XXXXXX", base);
    char *made = mkdtemp(sim->folder);
    ASSERT(made != NULL);
    sim->log_fd = sim->verbose ? STDERR_FILENO : open("/dev/null", O_WRONLY | O_CLOEXEC);
    trace_log_init(&sim->log, sim->log_fd, os_sim_clock(sim->machine));
    wsim_loops_init(sim);
    wsim_clients_init(sim);
    plan_draw(sim);
    return sim;
}

static void
remove_files(const struct wsim *sim)
{
    static const char *const names[] = {
        "documents.db",
        "documents.db-rows",
        "documents.db-wal",
        "documents.db-shm",
        "documents.db-journal"};
    char path[128];
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", sim->folder, names[i]);
        (void)unlink(path);
    }
    if (rmdir(sim->folder) != 0) {
        (void)fprintf(stderr, "%s is left behind\n", sim->folder);
    }
}

void
wsim_destroy(struct wsim **sim_at)
{
    struct wsim *sim = *sim_at;
    if (sim->process.runtime != NULL) {
        wsim_crash(sim, false);
    }
    for (uint32_t i = 0; i < sim->wish_count; i++) {
        free(sim->wishes[i].body);
    }
    trace_log_release(&sim->log);
    if (!sim->verbose) {
        (void)close(sim->log_fd);
    }
    os_sim_disk_destroy(&sim->ledger_disk);
    os_sim_disk_destroy(&sim->bank_disk);
    os_sim_destroy(&sim->machine);
    remove_files(sim);
    free(sim);
    *sim_at = NULL;
}

/* ------------------------------------------------------------------------------------ faults */

static void
restart(struct wsim *sim)
{
    wsim_crash(sim, wsim_chance(sim, 2));
    wsim_start(sim);
}

static void
draw_disk_fault(struct wsim *sim)
{
    struct os_sim_disk *disk = sim->ledger_disk;
    if (wsim_chance(sim, 2)) {
        uint64_t soon = 1 + wsim_below(sim, 20);
        os_sim_disk_stop_at(disk, os_sim_disk_operations(disk) + soon);
        return;
    }
    os_sim_disk_clear_rules(disk);
    const struct os_sim_rule rule = {
        .operation = wsim_chance(sim, 2) ? OS_SIM_SYNC : OS_SIM_WRITE,
        .effect = OS_SIM_FAIL,
        .skip = wsim_below(sim, 10),
        .times = 1 + wsim_below(sim, 2),
        .code = ERR_IO,
    };
    os_sim_disk_add_rule(disk, &rule);
}

static void
draw_pause(struct wsim *sim)
{
    if (sim->paused != NULL) {
        os_sim_pause(sim->machine, sim->paused, false);
        sim->paused = NULL;
        return;
    }
    struct os_loop *loops[] = {
        sim->process.api_loop, sim->process.bank_loop, sim->process.ledger_loop};
    sim->paused = loops[wsim_below(sim, sizeof(loops) / sizeof(loops[0]))];
    os_sim_pause(sim->machine, sim->paused, true);
}

/* Has something killed the process? */
static bool
is_down(struct wsim *sim)
{
    struct ledger_engine_status status;
    ledger_engine_status(sim->process.engine, &status);
    return sim->process.documents.died || os_sim_disk_is_stopped(sim->ledger_disk) ||
           status.health == LEDGER_ENGINE_FAILED ||
           (sim->process.documents.gone && wsim_chance(sim, 30));
}

static void
draw_faults(struct wsim *sim)
{
    const struct wsim_plan *plan = &sim->plan;
    if (is_down(sim) || wsim_chance(sim, plan->crash_odds)) {
        restart(sim);
    }
    if (wsim_chance(sim, plan->commit_odds)) {
        sim->process.documents.fate =
            (enum sim_commit_fate)(1 + wsim_below(sim, SIM_COMMIT_UNKNOWN_LOST));
        sim->process.documents.fate_after = (uint32_t)wsim_below(sim, 10);
    }
    if (wsim_chance(sim, plan->disk_odds)) {
        draw_disk_fault(sim);
    }
    if (wsim_chance(sim, sim->paused != NULL ? 20 : plan->pause_odds)) {
        draw_pause(sim);
    }
}

/* ----------------------------------------------------------------------------------- passing */

static void
see_differences(struct wsim *sim)
{
    uint64_t differences = wallets_health(sim->process.wallets).differences;
    if (differences != 0) {
        wsim_fail(sim, "the reconciler found %llu differences", (unsigned long long)differences);
    }
}

static void
let_time_pass(struct wsim *sim)
{
    uint64_t now = os_monotonic_ns(os_sim_clock(sim->machine));
    uint64_t next = os_sim_next_timer_ns(sim->machine);
    uint64_t wait = next > now ? next - now : OS_NS_PER_MS;
    os_sim_advance(sim->machine, wait < OS_NS_PER_S ? wait : OS_NS_PER_S);
}

static bool
work_is_done(const struct wsim *sim)
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

static void
work(struct wsim *sim)
{
    for (uint32_t i = 0; i < ITERATIONS_MAX && !sim->failed && !work_is_done(sim); i++) {
        draw_faults(sim);
        if (wsim_chance(sim, 8)) {
            wsim_clients_act(sim);
        }
        if (!os_sim_step(sim->machine)) {
            let_time_pass(sim);
        } else if (wsim_chance(sim, 20)) {
            os_sim_advance(sim->machine, wsim_below(sim, 50) * OS_NS_PER_MS);
        }
        if (wsim_chance(sim, sim->plan.jump_odds)) {
            os_sim_advance(sim->machine, wsim_below(sim, 3600) * OS_NS_PER_S);
        }
        see_differences(sim);
    }
}

void
wsim_pass(struct wsim *sim, int64_t seconds)
{
    if (!os_sim_run_for(sim->machine, (uint64_t)seconds * OS_NS_PER_S, WSIM_STEPS_MAX)) {
        wsim_fail(sim, "there is no end to it");
    }
}

/* Faults end; everything that is unanswered is asked again until it is answered. */
static void
settle(struct wsim *sim)
{
    enum {
        ROUNDS_MAX = 60,
        ROUND_S = 10,
        /* The longest back-off of an attempt, and then some. */
        LAST_S = 700
    };

    restart(sim);
    os_sim_disk_clear_rules(sim->ledger_disk);
    os_sim_disk_stop_at(sim->ledger_disk, 0);
    for (uint32_t round = 0; round < ROUNDS_MAX && !sim->failed && !work_is_done(sim); round++) {
        for (uint32_t i = 0; i < sim->wish_count; i++) {
            if (!sim->wishes[i].settled && sim->wishes[i].under_way == 0) {
                wsim_send(sim, &sim->wishes[i]);
            }
        }
        sim->plan.wishes = sim->wish_count;
        wsim_pass(sim, ROUND_S);
    }
    for (uint32_t i = 0; i < sim->wish_count; i++) {
        if (!sim->wishes[i].settled) {
            wsim_fail(sim, "key %s is never answered", sim->wishes[i].key);
        }
    }
    wsim_pass(sim, LAST_S);
}

/* A difference would have been seen by a run that began after the last change. */
static void
reconcile(struct wsim *sim)
{
    enum {
        RUN_S = 10,
        TRIES = 100
    };

    uint64_t before = wallets_health(sim->process.wallets).reconcile_runs;
    for (uint32_t i = 0; i < TRIES; i++) {
        wsim_pass(sim, RUN_S);
        if (wallets_health(sim->process.wallets).reconcile_runs >= before + 2) {
            see_differences(sim);
            return;
        }
    }
    wsim_fail(sim, "the reconciler does not run");
}

static void
replay_all(struct wsim *sim)
{
    enum {
        A_WHILE_S = 60
    };

    for (uint32_t i = 0; i < sim->wish_count; i++) {
        wsim_send(sim, &sim->wishes[i]);
    }
    wsim_pass(sim, A_WHILE_S);
    if (sim->call_count != 0) {
        wsim_fail(sim, "%u keys are not answered again", sim->call_count);
    }
}

void
wsim_run_to_rest(struct wsim *sim)
{
    wsim_start(sim);
    wsim_clients_prepare(sim);
    work(sim);
    if (!sim->failed) {
        settle(sim);
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
    for (uint32_t round = 0; round < 3 && !sim->failed; round++) {
        reconcile(sim);
        wsim_check(sim);
        if (round == 0) {
            os_sim_advance(sim->machine, EXPIRED_S * OS_NS_PER_S);
            wsim_pass(sim, A_WHILE_S);
        } else if (round == 1) {
            replay_all(sim);
        }
    }
}
