#include "os/sim.h"

#include "base/assert.h"
#include "base/list.h"
#include "loop_core.h"

#include <pthread.h>
#include <stdlib.h>

enum loop_state {
    SIM_LOOP_CREATED,
    SIM_LOOP_STARTED,
    SIM_LOOP_STOPPED,
};

struct loop_sim {
    struct os_loop_core core;
    struct os_sim *sim;
    uint64_t waiting_count; /* tasks in the core's queue */
    enum loop_state state;
    bool paused;
    bool inside; /* a group of it is running */
};

struct os_sim {
    struct os_clock clock;
    struct os_entropy entropy;
    struct os_loops factory;
    uint64_t wall_ns;
    uint64_t monotonic_ns;
    struct os_prng schedule;
    struct os_prng random; /* what the entropy gives */
    struct os_prng caller;
    struct loop_sim *loops[OS_SIM_LOOPS_MAX]; /* in the order of creation */
    size_t loop_count;
    pthread_t thread;
};

static struct loop_sim *
sim_of(struct os_loop *loop)
{
    return CONTAINER_OF(loop, struct loop_sim, core.loop);
}

static bool
has_work(const struct loop_sim *loop)
{
    if (loop->state != SIM_LOOP_STARTED || loop->paused || loop->inside) {
        return false;
    }
    uint64_t next_ns = os_timers_next_ns(&loop->core.timers);
    return loop->waiting_count > 0 || (next_ns != 0 && next_ns <= loop->sim->monotonic_ns);
}

static bool
run_group(struct loop_sim *loop, uint64_t now_ns, uint32_t tasks_max)
{
    ASSERT(!loop->inside);
    ASSERT(tasks_max <= loop->waiting_count);
    loop->inside = true;
    loop->waiting_count -= tasks_max;
    bool ran = os_loop_core_run_group(&loop->core, now_ns, tasks_max);
    loop->inside = false;
    return ran;
}

static void
sim_post(struct os_executor *executor, struct os_task *first, struct os_task *last)
{
    struct loop_sim *loop = CONTAINER_OF(executor, struct loop_sim, core.executor);
    ASSERT(pthread_equal(pthread_self(), loop->sim->thread));
    for (struct os_task *task = first;; task = task->next) {
        ASSERT(task != NULL);
        ASSERT(task->run != NULL);
        loop->waiting_count++;
        if (task == last) {
            break;
        }
    }
    last->next = NULL;
    os_loop_core_take(&loop->core, first, last);
}

static err_t
sim_start(struct os_loop *loop)
{
    ASSERT(sim_of(loop)->state == SIM_LOOP_CREATED);
    sim_of(loop)->state = SIM_LOOP_STARTED;
    return ERR_OK;
}

static void
sim_stop(struct os_loop *loop)
{
    struct loop_sim *mine = sim_of(loop);
    if (mine->state != SIM_LOOP_STARTED) {
        os_loop_core_disarm_all(&mine->core);
        return;
    }
    for (uint32_t i = 0; i < OS_DRAIN_GROUPS_MAX && mine->waiting_count > 0; i++) {
        uint64_t tasks = mine->waiting_count;
        (void)run_group(mine, 0, tasks < OS_GROUP_TASKS_MAX ? (uint32_t)tasks : OS_GROUP_TASKS_MAX);
    }
    os_loop_core_disarm_all(&mine->core);
    mine->state = SIM_LOOP_STOPPED;
}

static void
sim_loop_destroy(struct os_loop *loop)
{
    struct loop_sim *mine = sim_of(loop);
    struct os_sim *sim = mine->sim;
    ASSERT(mine->state != SIM_LOOP_STARTED);
    ASSERT(!mine->inside);
    size_t at = 0;
    while (sim->loops[at] != mine) {
        at++;
        ASSERT(at < sim->loop_count);
    }
    sim->loop_count--;
    for (; at < sim->loop_count; at++) {
        sim->loops[at] = sim->loops[at + 1];
    }
    free(mine);
}

static const struct os_loop_ops sim_loop_ops = {
    .executor = os_loop_core_executor,
    .add_group_hook = os_loop_core_add_group_hook,
    .timer_arm = os_loop_core_timer_arm,
    .timer_cancel = os_loop_core_timer_cancel,
    .start = sim_start,
    .stop = sim_stop,
    .destroy = sim_loop_destroy,
};

static err_t
factory_create(struct os_loops *loops, const char *name, struct os_loop **ret_loop)
{
    struct os_sim *sim = CONTAINER_OF(loops, struct os_sim, factory);
    if (sim->loop_count == OS_SIM_LOOPS_MAX) {
        return ERR_FULL;
    }
    struct loop_sim *loop = calloc(1, sizeof(*loop));
    if (loop == NULL) {
        return ERR_MEMORY;
    }
    os_loop_core_init(&loop->core, &sim_loop_ops, name);
    loop->core.executor.post = sim_post;
    loop->sim = sim;
    loop->state = SIM_LOOP_CREATED;
    sim->loops[sim->loop_count++] = loop;
    *ret_loop = &loop->core.loop;
    return ERR_OK;
}

static uint64_t
sim_wall_ns(struct os_clock *clock)
{
    return CONTAINER_OF(clock, struct os_sim, clock)->wall_ns;
}

static uint64_t
sim_monotonic_ns(struct os_clock *clock)
{
    return CONTAINER_OF(clock, struct os_sim, clock)->monotonic_ns;
}

static void
sim_fill(struct os_entropy *entropy, void *out, size_t size)
{
    os_prng_fill(&CONTAINER_OF(entropy, struct os_sim, entropy)->random, out, size);
}

err_t
os_sim_create(uint64_t seed, struct os_sim **ret_sim)
{
    struct os_sim *sim = calloc(1, sizeof(*sim));
    if (sim == NULL) {
        return ERR_MEMORY;
    }
    sim->clock = (struct os_clock){.wall_ns = sim_wall_ns, .monotonic_ns = sim_monotonic_ns};
    sim->entropy.fill = sim_fill;
    sim->factory.create = factory_create;
    sim->wall_ns = OS_SIM_START_WALL_NS;
    sim->monotonic_ns = OS_SIM_START_MONOTONIC_NS;
    /* Streams of their own, so that one more draw of one does not change the others. */
    struct os_prng seeds;
    os_prng_seed(&seeds, seed);
    os_prng_seed(&sim->schedule, os_prng_next(&seeds));
    os_prng_seed(&sim->random, os_prng_next(&seeds));
    os_prng_seed(&sim->caller, os_prng_next(&seeds));
    sim->thread = pthread_self();
    *ret_sim = sim;
    return ERR_OK;
}

void
os_sim_destroy(struct os_sim **sim)
{
    if (*sim == NULL) {
        return;
    }
    ASSERT((*sim)->loop_count == 0);
    free(*sim);
    *sim = NULL;
}

struct os_clock *
os_sim_clock(struct os_sim *sim)
{
    return &sim->clock;
}

struct os_entropy *
os_sim_entropy(struct os_sim *sim)
{
    return &sim->entropy;
}

struct os_loops *
os_sim_loops(struct os_sim *sim)
{
    return &sim->factory;
}

struct os_prng *
os_sim_prng(struct os_sim *sim)
{
    return &sim->caller;
}

/* All that waits, or by the seed only its older part: a thread finds as many as came in time. */
static uint32_t
draw_group_size(struct os_sim *sim, uint64_t waiting)
{
    uint64_t most = waiting < OS_GROUP_TASKS_MAX ? waiting : OS_GROUP_TASKS_MAX;
    if (most > 1 && os_prng_chance(&sim->schedule, 1, 2)) {
        most = 1 + os_prng_below(&sim->schedule, most);
    }
    return (uint32_t)most;
}

bool
os_sim_step(struct os_sim *sim)
{
    ASSERT(pthread_equal(pthread_self(), sim->thread));
    struct loop_sim *ready[OS_SIM_LOOPS_MAX];
    size_t count = 0;
    for (size_t i = 0; i < sim->loop_count; i++) {
        if (has_work(sim->loops[i])) {
            ready[count++] = sim->loops[i];
        }
    }
    if (count == 0) {
        return false;
    }
    struct loop_sim *loop = ready[os_prng_below(&sim->schedule, count)];
    bool ran = run_group(loop, sim->monotonic_ns, draw_group_size(sim, loop->waiting_count));
    ASSERT(ran);
    return true;
}

/* Takes the steps from *steps_left. */
static bool
run_until_idle(struct os_sim *sim, uint64_t *steps_left)
{
    while (*steps_left > 0) {
        if (!os_sim_step(sim)) {
            return true;
        }
        (*steps_left)--;
    }
    return false;
}

bool
os_sim_run_until_idle(struct os_sim *sim, uint64_t steps_max)
{
    return run_until_idle(sim, &steps_max);
}

void
os_sim_advance(struct os_sim *sim, uint64_t duration_ns)
{
    sim->monotonic_ns += duration_ns;
    sim->wall_ns += duration_ns;
    ASSERT(sim->monotonic_ns >= duration_ns);
}

uint64_t
os_sim_next_timer_ns(struct os_sim *sim)
{
    uint64_t first_ns = 0;
    for (size_t i = 0; i < sim->loop_count; i++) {
        const struct loop_sim *loop = sim->loops[i];
        uint64_t next_ns = os_timers_next_ns(&loop->core.timers);
        if (loop->state != SIM_LOOP_STARTED || loop->paused || next_ns == 0) {
            continue;
        }
        if (first_ns == 0 || next_ns < first_ns) {
            first_ns = next_ns;
        }
    }
    return first_ns;
}

bool
os_sim_run_for(struct os_sim *sim, uint64_t duration_ns, uint64_t steps_max)
{
    uint64_t end_ns = sim->monotonic_ns + duration_ns;
    ASSERT(end_ns >= duration_ns);
    for (;;) {
        if (!run_until_idle(sim, &steps_max)) {
            return false;
        }
        uint64_t next_ns = os_sim_next_timer_ns(sim);
        if (next_ns == 0 || next_ns > end_ns) {
            break;
        }
        ASSERT(next_ns > sim->monotonic_ns);
        os_sim_advance(sim, next_ns - sim->monotonic_ns);
    }
    if (end_ns > sim->monotonic_ns) {
        os_sim_advance(sim, end_ns - sim->monotonic_ns);
    }
    return true;
}

void
os_sim_jump_wall(struct os_sim *sim, int64_t jump_ns)
{
    sim->wall_ns += (uint64_t)jump_ns; /* modulo 2^64: a negative jump goes back */
}

void
os_sim_pause(struct os_sim *sim, struct os_loop *loop, bool paused)
{
    ASSERT(sim_of(loop)->sim == sim);
    sim_of(loop)->paused = paused;
}
