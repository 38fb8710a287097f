/* Aliases as they come in requests. What is taken keeps its spelling, and is of its kind. */
#include "alias.h"

#include "base/assert.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const enum wallets_alias_kind kinds[] = {
        WALLETS_ALIAS_EMAIL, WALLETS_ALIAS_PHONE, WALLETS_ALIAS_HANDLE};
    struct arena arena;
    arena_init(&arena, 1U << 20);
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        struct span once;
        struct span twice;
        if (!wallets_alias_normalize(kinds[i], span_of(data, size), &arena, &once)) {
            continue;
        }
        ASSERT(once.size > 0 && once.size <= WALLETS_ALIAS_MAX);
        ASSERT(wallets_alias_kind_of(once) == kinds[i]);
        bool taken = wallets_alias_normalize(kinds[i], once, &arena, &twice);
        ASSERT(taken);
        ASSERT(span_equal(once, twice));
    }
    arena_release(&arena);
    return 0;
}
