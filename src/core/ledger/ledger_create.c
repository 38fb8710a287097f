/* Obtaining and releasing the ledger's memory: the only file of the core that allocates. Large
 * blocks are fresh pages of the system, so what is not used yet costs nothing. */
#include "ledger_internal.h"

#include <stdlib.h>

#define RECORD_ALIGNMENT 128
#define LARGE_PAGE       (UINT64_C(2) << 20)
#define TABLE_SIZE_MIN   16
/* Giving back takes the system about a millisecond for 32 MiB, so it is done in pieces. */
#define RETIRE_BYTES (UINT64_C(4) << 20)

static void
tell(const struct ledger_limits *limits, void *memory, uint64_t size)
{
    if (limits->on_memory != NULL && memory != NULL) {
        limits->on_memory(memory, size);
    }
}

bool
ledger_table_create(struct ledger_table *table, const struct ledger_limits *limits, uint64_t size)
{
    ASSERT(size > 0 && (size & (size - 1)) == 0);
    table->entries = calloc(size, sizeof(*table->entries));
    table->mask = (uint32_t)(size - 1);
    tell(limits, table->entries, size * sizeof(*table->entries));
    return table->entries != NULL;
}

void
ledger_table_shrink(struct ledger_table *table)
{
    uint64_t bytes = ((uint64_t)table->mask + 1) * sizeof(*table->entries);
    void *rest = bytes > RETIRE_BYTES ? realloc(table->entries, bytes - RETIRE_BYTES) : NULL;
    if (rest == NULL) {
        free(table->entries);
        *table = (struct ledger_table){NULL, 0};
        return;
    }
    table->entries = rest;
    table->mask -= (uint32_t)(RETIRE_BYTES / sizeof(*table->entries));
}

static uint32_t
blocks_of(uint32_t count)
{
    static_assert(LEDGER_COUNT_MAX <= UINT32_MAX - LEDGER_BLOCK, "the sum fits");
    return (count + LEDGER_BLOCK - 1) >> LEDGER_BLOCK_BITS;
}

/* The first block keeps to small pages, of which a small ledger takes few. */
static void *
block_alloc(const struct ledger *ledger, size_t size, uint32_t number)
{
    const size_t alignment = size < LARGE_PAGE ? RECORD_ALIGNMENT : LARGE_PAGE;
    void *block = aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
    if (number > 0) {
        tell(&ledger->limits, block, size);
    }
    return block;
}

err_t
ledger_blocks_reserve(struct ledger *ledger, uint32_t account_count, uint32_t pending_count)
{
    ASSERT(account_count <= ledger->limits.account_count_max);
    ASSERT(pending_count <= ledger->limits.pending_count_max);
    while (ledger->account_block_count < blocks_of(account_count)) {
        struct ledger_account_block *block =
            block_alloc(ledger, sizeof(*block), ledger->account_block_count);
        if (block == NULL) {
            return ERR_MEMORY;
        }
        ledger->account_blocks[ledger->account_block_count++] = block;
    }
    while (ledger->pending_block_count < blocks_of(pending_count)) {
        struct ledger_pending_block *block =
            block_alloc(ledger, sizeof(*block), ledger->pending_block_count);
        if (block == NULL) {
            return ERR_MEMORY;
        }
        ledger->pending_blocks[ledger->pending_block_count++] = block;
    }
    return ERR_OK;
}

static bool
index_create(struct ledger_index *index, const struct ledger_limits *limits, uint32_t count)
{
    uint64_t size = TABLE_SIZE_MIN;
    while (size < (uint64_t)count * 2) {
        size *= 2;
    }
    return ledger_table_create(&index->now, limits, size);
}

static uint32_t
at_most_a_block(uint32_t count)
{
    return count < LEDGER_BLOCK ? count : LEDGER_BLOCK;
}

/* What is there from the start: one block of each. */
static err_t
tables_create(struct ledger *ledger)
{
    const uint32_t accounts = at_most_a_block(ledger->limits.account_count_max);
    const uint32_t pendings = at_most_a_block(ledger->limits.pending_count_max);
    ledger->account_blocks =
        calloc(blocks_of(ledger->limits.account_count_max), sizeof(*ledger->account_blocks));
    ledger->pending_blocks =
        calloc(blocks_of(ledger->limits.pending_count_max), sizeof(*ledger->pending_blocks));
    if (ledger->account_blocks == NULL || ledger->pending_blocks == NULL ||
        !index_create(&ledger->account_index, &ledger->limits, accounts) ||
        !index_create(&ledger->pending_index, &ledger->limits, pendings)) {
        return ERR_MEMORY;
    }
    return ledger_blocks_reserve(ledger, accounts, pendings);
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
    ledger->scratch = calloc(1, sizeof(*ledger->scratch));
    ledger->order = calloc(1, sizeof(*ledger->order));
    if (ledger->scratch == NULL || ledger->order == NULL || tables_create(ledger) != ERR_OK) {
        ledger_destroy(&ledger);
        return ERR_MEMORY;
    }
    *ret_ledger = ledger;
    return ERR_OK;
}

static void
index_release(struct ledger_index *index)
{
    free(index->retired.entries);
    free(index->old.entries);
    free(index->now.entries);
}

void
ledger_destroy(struct ledger **ledger)
{
    struct ledger *dead = *ledger;
    if (dead == NULL) {
        return;
    }
    for (uint32_t i = 0; i < dead->account_block_count; i++) {
        free(dead->account_blocks[i]);
    }
    for (uint32_t i = 0; i < dead->pending_block_count; i++) {
        free(dead->pending_blocks[i]);
    }
    index_release(&dead->account_index);
    index_release(&dead->pending_index);
    free((void *)dead->account_blocks);
    free((void *)dead->pending_blocks);
    free(dead->order);
    free(dead->scratch);
    free(dead);
    *ledger = NULL;
}
