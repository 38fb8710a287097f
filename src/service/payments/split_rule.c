#include "split_rule.h"

#include "base/assert.h"

int64_t
payments_split_of_capture(int64_t amount, int64_t card_authorized)
{
    ASSERT(amount > 0);
    ASSERT(card_authorized > 0);
    return amount > card_authorized ? amount - card_authorized : 0;
}

int64_t
payments_split_of_refund(int64_t amount, int64_t wallet_left)
{
    ASSERT(amount > 0);
    ASSERT(wallet_left >= 0);
    return amount < wallet_left ? amount : wallet_left;
}
