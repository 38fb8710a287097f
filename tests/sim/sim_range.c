#include "sim_range.h"

#include <stdlib.h>

/* What sanitizers look for shows in any life, and each takes several times as long. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#    define SHORT_DIVISOR 4
#elif defined(__has_feature)
#    if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#        define SHORT_DIVISOR 4
#    endif
#endif
#ifndef SHORT_DIVISOR
#    define SHORT_DIVISOR 1
#endif

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
    uint64_t few = (count_short + SHORT_DIVISOR - 1) / SHORT_DIVISOR;
    uint64_t usual = getenv("TEST_LONG") == NULL ? few : count_long;
    if (only != 0) {
        return (struct sim_range){.first = only, .count = 1, .is_replay = true};
    }
    return (struct sim_range){
        .first = setting("TAEL_SIM_FIRST", 1), .count = setting("TAEL_SIM_SEEDS", usual)};
}
