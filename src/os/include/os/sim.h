/*
 * The simulated machine: a clock that moves only when told, entropy from a seed, and a scheduler
 * that runs all loops on the caller's thread in an order drawn from the same seed. One seed, one
 * history: a failure is replayed by its seed.
 *
 *     struct os_sim *sim;
 *     os_sim_create(seed, &sim);
 *     ... create services with os_sim_loops(sim), os_sim_clock(sim), os_sim_entropy(sim) ...
 *     os_post(os_loop_executor(loop), task);
 *     os_sim_run_until_idle(sim, 100000);
 *     os_sim_run_for(sim, 5 * OS_NS_PER_S, 100000);
 *
 * Not thread-safe: everything, posting included, happens on the thread that created it.
 * The disk of this machine is os/sim_disk.h.
 */
#ifndef OS_SIM_H
#define OS_SIM_H

#include "os/clock.h"
#include "os/entropy.h"
#include "os/loops.h"
#include "os/prng.h"

/* Loops alive at one time; more are ERR_FULL. */
#define OS_SIM_LOOPS_MAX 256

/* What the clocks of a new simulation show. */
#define OS_SIM_START_WALL_NS      (UINT64_C(1767225600) * OS_NS_PER_S) /* 2026-01-01T00:00:00Z */
#define OS_SIM_START_MONOTONIC_NS OS_NS_PER_S

struct os_sim;

MUST_USE err_t os_sim_create(uint64_t seed, struct os_sim **ret_sim);
/* After all of its loops were destroyed. NULL inside is fine; sets NULL. */
void os_sim_destroy(struct os_sim **sim);

/* These live as long as the simulation. */
struct os_clock *os_sim_clock(struct os_sim *sim);
struct os_entropy *os_sim_entropy(struct os_sim *sim);
/* Loops from here run only inside the calls below, and inside their own stop. */
struct os_loops *os_sim_loops(struct os_sim *sim);
/* The caller's own draws, apart from those of the scheduler and of the entropy. */
struct os_prng *os_sim_prng(struct os_sim *sim);

/* Runs one group of one loop that has work: waiting tasks or a timer that is due. The seed chooses
 * the loop, and how many of its tasks make the group. False if no loop has work. */
bool os_sim_step(struct os_sim *sim);
/* Steps until no loop has work; false if `steps_max` steps were not enough. No time passes. */
bool os_sim_run_until_idle(struct os_sim *sim, uint64_t steps_max);
/* Both clocks go on; nothing runs. */
void os_sim_advance(struct os_sim *sim, uint64_t duration_ns);
/* The deadline of the next timer of a started loop, monotonic; 0 if there is none. */
uint64_t os_sim_next_timer_ns(struct os_sim *sim);
/* Runs until idle, goes on to the next timer, and so on for `duration_ns`, all of which passes;
 * false if `steps_max` steps in all were not enough, and then time stands where it stopped. */
bool os_sim_run_for(struct os_sim *sim, uint64_t duration_ns, uint64_t steps_max);
/* Somebody sets the clock: the wall clock jumps, by a negative amount too. */
void os_sim_jump_wall(struct os_sim *sim, int64_t jump_ns);
/* A paused loop gets no turn, as a thread that hangs in a system call. */
void os_sim_pause(struct os_sim *sim, struct os_loop *loop, bool paused);

#endif
