/* The setting of limits. What is taken can be used with every tier, direction and currency. */
#include "limits.h"

#include "base/assert.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct wallets_limits limits;
    struct span wrong;
    if (wallets_limits_parse(span_of(data, size), &limits, &wrong) != ERR_OK) {
        return 0;
    }
    for (uint32_t i = 0; i < limits.count; i++) {
        struct span tier = span_from_cstr(limits.rules[i].tier);
        ASSERT(wallets_limits_has_tier(&limits, tier));
        for (size_t k = 0; k < currency_count(); k++) {
            struct wallets_limit limit =
                wallets_limits_find(&limits, tier, limits.rules[i].direction, currency_at(k));
            struct wallets_usage usage = {.day = 0};
            int64_t left;
            ASSERT(limit.transaction >= 0 && limit.day >= 0 && limit.month >= 0);
            (void)wallets_limit_check(&limit, &usage, 1, 0, &left);
        }
    }
    return 0;
}
