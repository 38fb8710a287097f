/*
 * Which seeds a simulator runs.
 *
 * TAEL_SIM_SEEDS    how many seeds (default: a short form, and a long one with TEST_LONG; of the
 *                   short one a quarter in a build with a sanitizer)
 * TAEL_SIM_FIRST    the first of them (default: 1)
 * TAEL_SIM_SEED     one seed only, to replay it
 */
#ifndef SIM_RANGE_H
#define SIM_RANGE_H

#include <stdbool.h>
#include <stdint.h>

struct sim_range {
    uint64_t first, count;
    bool is_replay; /* of the one that was asked for */
};

struct sim_range sim_range_get(uint64_t count_short, uint64_t count_long);

#endif
