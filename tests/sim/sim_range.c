#include "sim_range.h"

#include "base/sanitized.h"

#include <stdlib.h>

/* Of short forms: what sanitizers look for shows in any life, and each takes several times as long.
 */
#define DIVISOR (SANITIZED ? 4 : 1)

static uint64_t
setting(const char *name, uint64_t fallback)
{
    const char *text = getenv(name);
    return text == NULL ? fallback : strtoull(text, NULL, 10);
}

struct sim_range
sim_range_get(uint64_t count_short, uint64_t count_long)
{
    uint64_t only = setting("TAEL_SIM_SEED", 0);
    uint64_t few = (count_short + DIVISOR - 1) / DIVISOR;
    uint64_t usual = getenv("TEST_LONG") == NULL ? few : count_long;
    if (only != 0) {
        return (struct sim_range){.first = only, .count = 1, .is_replay = true};
    }
    return (struct sim_range){
        .first = setting("TAEL_SIM_FIRST", 1), .count = setting("TAEL_SIM_SEEDS", usual)};
}
