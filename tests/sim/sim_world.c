/* The machine and the process that every simulation has, and what goes wrong with them. */
#include "sim_world.h"

#include "sim_calls.h"

#include "base/assert.h"
#include "base/list.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ITERATIONS_MAX 30000
#define RATE_UNLIMITED UINT64_C(1000000000)
#define KEEP_NS        (UINT64_C(90) * 24 * 3600 * OS_NS_PER_S)
#define KINDS_MAX      32

void
sim_world_fail(struct sim_world *world, const char *format, ...)
{
    va_list arguments;
    if (world->failed) {
        return;
    }
    world->failed = true;
    va_start(arguments, format);
    /* The analyzer forgets va_start when it inlines a variadic function. */
    // NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized)
    (void)vsnprintf(world->failure, sizeof(world->failure), format, arguments);
    va_end(arguments);
}

void
sim_world_must(struct sim_world *world, err_t error, const char *what, const char *detail)
{
    if (error != ERR_OK) {
        sim_world_fail(world, "%s: %s %s", what, err_name(error), detail);
        (void)fprintf(stderr, "seed %llu: %s\n", (unsigned long long)world->seed, world->failure);
        abort();
    }
}

/* ------------------------------------------------------------------------------------ chance */

uint64_t
sim_below(struct sim_world *world, uint64_t bound)
{
    return os_prng_below(world->prng, bound);
}

bool
sim_chance(struct sim_world *world, uint32_t odds)
{
    return odds != 0 && sim_below(world, odds) == 0;
}

void
sim_world_draw_odds(struct sim_world *world)
{
    struct sim_odds *odds = &world->odds;
    world->calls_max = 1 + (uint32_t)sim_below(world, 16);
    odds->crash = sim_chance(world, 4) ? 0 : 30 + (uint32_t)sim_below(world, 500);
    odds->commit = sim_chance(world, 2) ? 0 : 30 + (uint32_t)sim_below(world, 500);
    odds->disk = sim_chance(world, 2) ? 0 : 30 + (uint32_t)sim_below(world, 500);
    odds->pause = sim_chance(world, 2) ? 0 : 200;
    odds->jump = sim_chance(world, 2) ? 0 : 500;
}

/* ------------------------------------------------------------------------- create and destroy */

static err_t
loops_create(struct os_loops *loops, const char *name, struct os_loop **ret_loop)
{
    struct sim_world *world = CONTAINER_OF(loops, struct sim_world, loops);
    struct os_loops *real = os_sim_loops(world->machine);
    TRY(real->create(real, name, ret_loop));
    if (strcmp(name, "ledger") == 0) {
        world->process.ledger_loop = *ret_loop;
    }
    return ERR_OK;
}

void
sim_world_init(
    struct sim_world *world, uint64_t seed, const char *name, const struct sim_world_ops *ops)
{
    memset(world, 0, sizeof(*world));
    world->ops = ops;
    world->seed = seed;
    world->verbose = getenv("TAEL_SIM_VERBOSE") != NULL;
    err_t error = os_sim_create(seed, &world->machine);
    ASSERT(error == ERR_OK);
    world->prng = os_sim_prng(world->machine);
    struct os_sim_disk_settings disk = {.seed = seed, .faults = true};
    error = os_sim_disk_create(&disk, &world->ledger_disk);
    ASSERT(error == ERR_OK);
    disk.seed = ~seed;
    error = os_sim_disk_create(&disk, &world->rail_disk);
    ASSERT(error == ERR_OK);
    /* Memory, where there is such a folder: SQLite's own syncs are not what is tested. */
    const char *base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    (void)snprintf(world->folder, sizeof(world->folder), "%s/%s_XXXXXX", base, name);
    char *made = mkdtemp(world->folder);
    ASSERT(made != NULL);
    world->log_fd = world->verbose ? STDERR_FILENO : open("/dev/null", O_WRONLY | O_CLOEXEC);
    trace_log_init(&world->log, world->log_fd, os_sim_clock(world->machine));
    world->loops.create = loops_create;
    sim_calls_init(world);
}

struct removal {
    const struct sim_world *world;
    const char *folder;
};

static void
remove_file(void *context, const char *name)
{
    const struct removal *removal = context;
    char path[192];
    (void)snprintf(path, sizeof(path), "%s/%s/%s", removal->world->folder, removal->folder, name);
    (void)unlink(path);
}

void
sim_world_remove(const struct sim_world *world, const char *folder)
{
    struct removal removal = {.world = world, .folder = folder};
    struct os_disk *disk = os_disk_real();
    char path[128];
    (void)snprintf(path, sizeof(path), "%s/%s", world->folder, folder);
    if (disk->ops->list(disk, path, remove_file, &removal) != ERR_OK || rmdir(path) != 0) {
        (void)fprintf(stderr, "%s is left behind\n", path);
    }
}

void
sim_world_release(struct sim_world *world)
{
    sim_calls_release(world);
    trace_log_release(&world->log);
    if (!world->verbose) {
        (void)close(world->log_fd);
    }
    os_sim_disk_destroy(&world->ledger_disk);
    os_sim_disk_destroy(&world->rail_disk);
    os_sim_destroy(&world->machine);
    sim_world_remove(world, "");
}

/* -------------------------------------------------------------------------------- the process */

static void
engine_alarm(void *context, const char *text)
{
    const struct sim_world *world = context;
    if (world->verbose) {
        (void)fprintf(stderr, "  alarm: %s\n", text);
    }
}

void
sim_world_start_ledger(struct sim_world *world)
{
    enum {
        SEGMENT_SIZE = 1 << 20,
        ACCOUNTS_MAX = 200,
        PENDINGS_MAX = 2000,
        TRANSFERS_MAX = 100000,
    };

    struct ledger_engine_settings settings = ledger_engine_settings_default();
    struct store_error error;
    memset(&world->process, 0, sizeof(world->process));
    settings.url = "journal:ledger";
    settings.disk = os_sim_disk_ops(world->ledger_disk);
    settings.clock = os_sim_clock(world->machine);
    settings.loops = &world->loops;
    settings.store.loops = &world->loops;
    settings.store.segment_size = SEGMENT_SIZE;
    settings.store.transfer_count_max = TRANSFERS_MAX;
    settings.limits.account_count_max = ACCOUNTS_MAX;
    settings.limits.pending_count_max = PENDINGS_MAX;
    settings.alarm = engine_alarm;
    settings.alarm_context = world;
    err_t code = ledger_engine_open(&settings, &world->process.engine, &error);
    sim_world_must(world, code, "the ledger cannot be opened", error.message);
}

void
sim_world_start_rail(struct sim_world *world, const char *loop_name)
{
    err_t error = os_loops_create(&world->loops, loop_name, &world->process.rail_loop);
    sim_world_must(world, error, "loop", "");
}

static void
documents_open(struct sim_world *world, const struct sim_runtime *options)
{
    const struct document_kind *kinds[KINDS_MAX];
    uint32_t count = 0;
    char url[96];
    char message[DOCUMENT_MESSAGE_SIZE] = "";
    ASSERT(resource_kind_count + options->kind_count <= KINDS_MAX);
    for (uint32_t i = 0; i < resource_kind_count; i++) {
        kinds[count++] = resource_kinds[i];
    }
    for (uint32_t i = 0; i < options->kind_count; i++) {
        kinds[count++] = options->kinds[i];
    }
    (void)snprintf(url, sizeof(url), "sqlite:%s/documents.db", world->folder);
    struct sim_documents *documents = &world->process.documents;
    sim_documents_init(documents);
    err_t error = document_store_open(url, kinds, count, &documents->real, message);
    sim_world_must(world, error, "documents", message);
}

static void
note_log(
    void *context,
    const char *request_id,
    const struct trace_context *trace,
    err_t code,
    const char *what)
{
    (void)trace;
    const struct sim_world *world = context;
    if (world->verbose) {
        (void)fprintf(stderr, "  log: %s %s %s\n", what, err_name(code), request_id);
    }
}

void
sim_world_start_runtime(struct sim_world *world, const struct sim_runtime *options)
{
    struct sim_process *process = &world->process;
    sim_world_must(world, os_loops_create(&world->loops, "api", &process->api_loop), "loop", "");
    documents_open(world, options);
    const struct resource_parts parts = {
        .loop = process->api_loop,
        .clock = os_sim_clock(world->machine),
        .entropy = os_sim_entropy(world->machine),
        .documents = &process->documents.store,
        .vault = options->vault,
        .settings =
            {
                .rate_per_key = RATE_UNLIMITED,
                .lock_wait_ns = 5 * OS_NS_PER_S,
                .lock_waiters_max = 100,
                .operations_max = options->operations_max,
                .idempotency_keep_ns = KEEP_NS,
            },
        .refuse_live = true,
        .log = note_log,
        .log_context = world,
    };
    sim_world_must(world, resource_runtime_create(&parts, &process->runtime), "runtime", "");
}

void
sim_world_start_loops(struct sim_world *world)
{
    sim_world_must(world, os_loop_start(world->process.rail_loop), "start", "");
    sim_world_must(world, os_loop_start(world->process.api_loop), "start", "");
}

static void
resume(struct sim_world *world)
{
    if (world->paused != NULL) {
        os_sim_pause(world->machine, world->paused, false);
        world->paused = NULL;
    }
}

void
sim_world_crash_begin(struct sim_world *world, enum sim_crash_kind kind)
{
    struct sim_process *process = &world->process;
    struct ledger_engine_status status;
    world->counts.crashes++;
    resume(world);
    ledger_engine_status(process->engine, &status);
    world->counts.reloads += status.reloads;
    process->dead = true;
    process->documents.gone = true;
    os_sim_disk_clear_rules(world->ledger_disk);
    if (kind == SIM_POWER) {
        os_sim_disk_crash(world->ledger_disk);
    } else {
        os_sim_disk_kill(world->ledger_disk);
    }
    os_sim_disk_kill(world->rail_disk);
    os_loop_stop(process->api_loop);
    os_loop_stop(process->rail_loop);
    ledger_engine_close(&process->engine);
    resource_runtime_destroy(&process->runtime);
}

void
sim_world_crash_end(struct sim_world *world)
{
    struct sim_process *process = &world->process;
    process->documents.store.ops->close(&process->documents.store);
    os_loop_destroy(process->api_loop);
    os_loop_destroy(process->rail_loop);
    sim_calls_forget(world);
    memset(process, 0, sizeof(*process));
}

/* ------------------------------------------------------------------------------------ faults */

enum sim_crash_kind
sim_world_draw_crash(struct sim_world *world)
{
    return sim_chance(world, 2) ? SIM_POWER : SIM_KILL;
}

static void
draw_commit_fate(struct sim_world *world)
{
    struct sim_documents *documents = &world->process.documents;
    documents->fate = (enum sim_commit_fate)(1 + sim_below(world, SIM_COMMIT_UNKNOWN_LOST));
    documents->fate_after = (uint32_t)sim_below(world, 10);
    world->counts.commits_failed++;
}

static void
draw_disk_fault(struct sim_world *world)
{
    struct os_sim_disk *disk = world->ledger_disk;
    if (sim_chance(world, 2)) {
        uint64_t soon = 1 + sim_below(world, 20);
        os_sim_disk_stop_at(disk, os_sim_disk_operations(disk) + soon);
        return;
    }
    os_sim_disk_clear_rules(disk);
    const struct os_sim_rule rule = {
        .operation = sim_chance(world, 2) ? OS_SIM_SYNC : OS_SIM_WRITE,
        .effect = OS_SIM_FAIL,
        .skip = sim_below(world, 10),
        .times = 1 + sim_below(world, 2),
        .code = ERR_IO,
    };
    os_sim_disk_add_rule(disk, &rule);
}

static void
draw_pause(struct sim_world *world)
{
    const struct sim_process *process = &world->process;
    if (world->paused != NULL) {
        resume(world);
        return;
    }
    /* The journal's own loop comes and goes with its reloads; these live with the process. */
    struct os_loop *loops[] = {process->api_loop, process->rail_loop, process->ledger_loop};
    world->paused = loops[sim_below(world, sizeof(loops) / sizeof(loops[0]))];
    os_sim_pause(world->machine, world->paused, true);
    world->counts.pauses++;
}

/* Has something killed the process? */
static bool
is_down(struct sim_world *world)
{
    const struct sim_documents *documents = &world->process.documents;
    struct ledger_engine_status status;
    ledger_engine_status(world->process.engine, &status);
    return documents->died || os_sim_disk_is_stopped(world->ledger_disk) ||
           status.health == LEDGER_ENGINE_FAILED || (documents->gone && sim_chance(world, 30));
}

static void
draw_faults(struct sim_world *world)
{
    const struct sim_odds *odds = &world->odds;
    if (is_down(world) || sim_chance(world, odds->crash)) {
        world->ops->restart(world);
    }
    if (sim_chance(world, odds->commit)) {
        draw_commit_fate(world);
    }
    if (sim_chance(world, odds->disk)) {
        draw_disk_fault(world);
    }
    if (sim_chance(world, world->paused != NULL ? 20 : odds->pause)) {
        draw_pause(world);
    }
}

/* ----------------------------------------------------------------------------------- passing */

static void
see_differences(struct sim_world *world)
{
    uint64_t differences = world->ops->health(world).differences;
    if (differences != 0) {
        sim_world_fail(
            world, "the reconciler found %llu differences", (unsigned long long)differences);
    }
}

/* Nothing has work: on to the next timer, or a little further. */
static void
let_time_pass(struct sim_world *world)
{
    uint64_t now = os_monotonic_ns(os_sim_clock(world->machine));
    uint64_t next = os_sim_next_timer_ns(world->machine);
    uint64_t wait = next > now ? next - now : OS_NS_PER_MS;
    os_sim_advance(world->machine, wait < OS_NS_PER_S ? wait : OS_NS_PER_S);
}

static bool
work_is_done(const struct sim_world *world)
{
    return world->wish_count >= world->wishes_wanted && world->call_count == 0 &&
           sim_wish_open(world) == NULL;
}

void
sim_world_work(struct sim_world *world)
{
    for (uint32_t i = 0; i < ITERATIONS_MAX && !world->failed && !work_is_done(world); i++) {
        draw_faults(world);
        if (sim_chance(world, 8)) {
            world->ops->act(world);
        }
        if (!os_sim_step(world->machine)) {
            let_time_pass(world);
        } else if (sim_chance(world, 20)) {
            os_sim_advance(world->machine, sim_below(world, 50) * OS_NS_PER_MS);
        }
        if (sim_chance(world, world->odds.wall)) {
            int64_t jump_s = (int64_t)sim_below(world, 120) - 60;
            os_sim_jump_wall(world->machine, jump_s * (int64_t)OS_NS_PER_S);
        }
        if (sim_chance(world, world->odds.jump)) {
            os_sim_advance(world->machine, sim_below(world, 3600) * OS_NS_PER_S);
        }
        see_differences(world);
    }
}

void
sim_world_pass(struct sim_world *world, int64_t seconds)
{
    if (!os_sim_run_for(world->machine, (uint64_t)seconds * OS_NS_PER_S, SIM_STEPS_MAX)) {
        sim_world_fail(world, "there is no end to it");
    }
    see_differences(world);
}

void
sim_world_settle(struct sim_world *world)
{
    enum {
        ROUNDS_MAX = 60,
        ROUND_S = 10,
        /* The longest back-off of an attempt, and then some. */
        LAST_S = 700
    };

    world->ops->restart(world);
    os_sim_disk_clear_rules(world->ledger_disk);
    os_sim_disk_stop_at(world->ledger_disk, 0);
    world->process.documents.fate = SIM_COMMIT_WORKS;
    for (uint32_t i = 0; i < ROUNDS_MAX && !world->failed && !work_is_done(world); i++) {
        sim_wishes_ask_again(world);
        world->wishes_wanted = world->wish_count;
        sim_world_pass(world, ROUND_S);
    }
    const struct sim_wish *open = sim_wish_open(world);
    if (open != NULL) {
        sim_world_fail(world, "key %s is never answered", open->key);
    }
    sim_world_pass(world, LAST_S);
}

/* A difference would have been seen by a run that began after the last change. */
void
sim_world_reconcile(struct sim_world *world)
{
    enum {
        RUN_S = 10,
        TRIES = 100
    };

    uint64_t before = world->ops->health(world).reconcile_runs;
    for (uint32_t i = 0; i < TRIES; i++) {
        sim_world_pass(world, RUN_S);
        if (world->ops->health(world).reconcile_runs >= before + 2) {
            return;
        }
    }
    sim_world_fail(world, "the reconciler does not run");
}

/* -------------------------------------------------------------------------------- the ledger */

struct question {
    struct port_ledger_request request; /* first */
    bool answered;
};

static void
question_answered(struct port_ledger_request *request)
{
    ((struct question *)(void *)request)->answered = true;
}

uint32_t
sim_world_ask_ledger(struct sim_world *world, enum port_ledger_operation operation, void *out)
{
    struct port_ledger_filter filter = {.limit = LEDGER_BATCH_MAX};
    struct question question = {
        .request = {
            .reply_to = &world->immediate,
            .done = question_answered,
            .operation = operation,
            .count = 1,
            .in.filter = &filter,
        }};
    if (operation == PORT_LEDGER_QUERY_TRANSFERS) {
        question.request.out.transfers = out;
    } else {
        question.request.out.accounts = out;
    }
    struct port_ledger *port = ledger_engine_port(world->process.engine);
    port->submit(port, &question.request);
    (void)os_sim_run_until_idle(world->machine, SIM_STEPS_MAX);
    ASSERT(question.answered);
    ASSERT(question.request.error == ERR_OK);
    ASSERT(question.request.out_count < LEDGER_BATCH_MAX); /* or the page was cut */
    return question.request.out_count;
}
