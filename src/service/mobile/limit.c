#include "mobile_internal.h"

#define MINUTE_NS (60 * OS_NS_PER_S)

bool
mobile_limit_allows(const struct mobile_limit *limit, uint64_t scope, uint64_t now_ns)
{
    return limit->arrival_ns[scope % MOBILE_LIMIT_SLOTS] <= now_ns + MINUTE_NS;
}

void
mobile_limit_count(struct mobile_limit *limit, uint64_t scope, uint64_t now_ns, int64_t per_minute)
{
    uint64_t *arrival_ns = &limit->arrival_ns[scope % MOBILE_LIMIT_SLOTS];
    uint64_t from_ns = *arrival_ns > now_ns ? *arrival_ns : now_ns;
    *arrival_ns = from_ns + MINUTE_NS / (uint64_t)per_minute;
}
