/* A balance with memory, for this folder's tests. */
#ifndef BALANCE_TEST_WORLD_H
#define BALANCE_TEST_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "balance/balance.h"
#include "os/prng.h"

#define T_ENDPOINTS_MAX 128
#define T_POINTS_MAX    32768
#define T_SECOND        UINT64_C(1000000000)

struct t_world {
    struct balance balance;
    struct balance_endpoint endpoints[T_ENDPOINTS_MAX];
    uint16_t candidates[T_ENDPOINTS_MAX];
    struct balance_point points[T_POINTS_MAX];
    struct os_prng prng;
    uint64_t now_ns;
    uint32_t avoid;
};

/* Prints the seed if the test fails later. */
void t_world_init(struct t_world *world, const struct balance_settings *settings, uint64_t seed);
/* At full weight, identity from its index. */
void t_add(struct t_world *world, uint32_t index, uint32_t weight);
/* By a random key and number. */
uint32_t t_pick(struct t_world *world);
uint32_t t_pick_key(struct t_world *world, uint64_t key);
/* Counts `count` picks; nothing stays in flight. */
void t_pick_many(struct t_world *world, uint32_t count, uint32_t counts[T_ENDPOINTS_MAX]);
/* Pearson's chi-square times 1000, against `weights`. */
uint64_t t_chi_square(
    const uint32_t *counts, const uint32_t *weights, uint32_t endpoint_count, uint64_t total);
/* Its value times 1000 that chance exceeds with probability 0.001, for 1 to 9 degrees. */
uint64_t t_chi_limit(uint32_t degrees);

#endif
