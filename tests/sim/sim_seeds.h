/*
 * Many lives, each drawn from a seed (which: sim_range.h).
 *
 * TAEL_SIM_VERBOSE  tells what happens
 */
#ifndef SIM_SEEDS_H
#define SIM_SEEDS_H

#include "sim_world.h"

struct sim_seeds {
    uint32_t verb_count;
    struct sim_world *(*create)(uint64_t seed);
    void (*run)(struct sim_world *world); /* all of it, with the checks */
    void (*destroy)(struct sim_world *world);
};

/* Asserts that no seed fails and that every verb was done, and prints what happened. */
void sim_seeds_hold(const struct sim_seeds *seeds);
/* Asserts that one seed has one history. */
void sim_seeds_repeat(const struct sim_seeds *seeds);

#endif
