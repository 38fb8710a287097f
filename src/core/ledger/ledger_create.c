/* Obtaining and releasing the ledger's memory: the only file of the core that allocates. calloc of
 * large blocks maps fresh pages, so what is never used costs nothing. */
#include "ledger_internal.h"

#include <stdlib.h>

#define ACCOUNT_ALIGNMENT 128

static bool
index_create(struct ledger_index *index, uint32_t count_max)
{
    uint64_t size = 16;
    while (size < (uint64_t)count_max * 2) {
        size *= 2;
    }
    index->entries = calloc(size, sizeof(*index->entries));
    index->mask = (uint32_t)(size - 1);
    return index->entries != NULL;
}

static bool
accounts_create(struct ledger *ledger)
{
    size_t count = ledger->limits.account_count_max;
    void *memory = calloc(count + 1, sizeof(struct ledger_account));
    if (memory == NULL) {
        return false;
    }
    uintptr_t start = (uintptr_t)memory;
    size_t offset = (ACCOUNT_ALIGNMENT - start % ACCOUNT_ALIGNMENT) % ACCOUNT_ALIGNMENT;
    ledger->accounts_memory = memory;
    ledger->accounts =
        __builtin_assume_aligned((unsigned char *)memory + offset, ACCOUNT_ALIGNMENT);
    return true;
}

err_t
ledger_create(const struct ledger_limits *limits, struct ledger **ret_ledger)
{
    ASSERT(limits->account_count_max > 0 && limits->account_count_max <= LEDGER_COUNT_MAX);
    ASSERT(limits->pending_count_max > 0 && limits->pending_count_max <= LEDGER_COUNT_MAX);
    ASSERT(limits->expiry_batch_max > 0 && limits->expiry_batch_max <= LEDGER_BATCH_MAX);
    struct ledger *ledger = calloc(1, sizeof(*ledger));
    if (ledger == NULL) {
        return ERR_MEMORY;
    }
    ledger->limits = *limits;
    ledger->listed_first = LEDGER_NONE;
    ledger->listed_last = LEDGER_NONE;
    ledger->pendings = calloc(limits->pending_count_max, sizeof(*ledger->pendings));
    ledger->heap = calloc(limits->pending_count_max, sizeof(*ledger->heap));
    ledger->scratch = calloc(1, sizeof(*ledger->scratch));
    ledger->order = calloc(1, sizeof(*ledger->order));
    if (ledger->order != NULL) {
        ledger->order->slots = calloc(limits->account_count_max, sizeof(*ledger->order->slots));
    }
    bool complete = accounts_create(ledger);
    complete = index_create(&ledger->account_index, limits->account_count_max) && complete;
    complete = index_create(&ledger->pending_index, limits->pending_count_max) && complete;
    complete = ledger->order != NULL && ledger->order->slots != NULL && complete;
    if (!complete || ledger->pendings == NULL || ledger->heap == NULL || ledger->scratch == NULL) {
        ledger_destroy(&ledger);
        return ERR_MEMORY;
    }
    *ret_ledger = ledger;
    return ERR_OK;
}

void
ledger_destroy(struct ledger **ledger)
{
    struct ledger *dead = *ledger;
    if (dead == NULL) {
        return;
    }
    if (dead->order != NULL) {
        free(dead->order->slots);
    }
    free(dead->order);
    free(dead->scratch);
    free(dead->heap);
    free(dead->pending_index.entries);
    free(dead->pendings);
    free(dead->account_index.entries);
    free(dead->accounts_memory);
    free(dead);
    *ledger = NULL;
}
