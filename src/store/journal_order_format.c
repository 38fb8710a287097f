#include "journal_order_format.h"

#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define SUMMED offsetof(struct journal_order_header, magic)

static u128
checksum_of(const void *data, uint64_t size, uint64_t seed)
{
    XXH128_hash_t hash = XXH3_128bits_withSeed(data, size, seed);
    return (u128)hash.high64 << 64 | hash.low64;
}

uint32_t
journal_order_key(u128 value)
{
    if (value <= UINT32_MAX) {
        return (uint32_t)value;
    }
    return (uint32_t)(hash_u64((uint64_t)value ^ hash_u64((uint64_t)(value >> 64))) >> 32);
}

u128
journal_order_value(enum store_order kind, const struct ledger_transfer *transfer)
{
    switch (kind) {
    case STORE_ORDER_USER_DATA_128:
        return transfer->user_data_128;
    case STORE_ORDER_USER_DATA_64:
        return transfer->user_data_64;
    case STORE_ORDER_USER_DATA_32:
        return transfer->user_data_32;
    case STORE_ORDER_CODE:
        return transfer->code;
    case STORE_ORDER_LEDGER:
        return transfer->ledger;
    case STORE_ORDER_ACCOUNT:
    case STORE_ORDER_COUNT:
        break;
    }
    UNREACHABLE();
}

/* One pass by eight bits of the key; false: all have the same ones, so nothing was moved. */
static bool
sort_pass(const uint64_t *from, uint64_t *to, uint64_t count, uint32_t shift)
{
    uint64_t starts[257] = {0};
    for (uint64_t i = 0; i < count; i++) {
        starts[(from[i] >> shift & 255) + 1]++;
    }
    if (starts[(from[0] >> shift & 255) + 1] == count) {
        return false;
    }
    for (uint32_t i = 1; i < 256; i++) {
        starts[i] += starts[i - 1];
    }
    for (uint64_t i = 0; i < count; i++) {
        to[starts[from[i] >> shift & 255]++] = from[i];
    }
    return true;
}

void
journal_order_sort(uint64_t *entries, uint64_t *spare, uint64_t count)
{
    uint64_t *from = entries;
    uint64_t *to = spare;
    for (uint32_t shift = 32; shift < 64 && count > 0; shift += 8) {
        if (sort_pass(from, to, count, shift)) {
            uint64_t *swap = from;
            from = to;
            to = swap;
        }
    }
    if (from != entries) {
        memcpy(entries, from, count * sizeof(*entries));
    }
}

uint64_t
journal_order_block_checksum(uint64_t number, uint64_t block, const void *data)
{
    return XXH3_64bits_withSeed(data, JOURNAL_ORDER_BLOCK, number << 24 ^ block);
}

char *
journal_order_encode(const struct journal_order_header *header, const uint64_t *entries)
{
    struct journal_order_header full = *header;
    full.magic = JOURNAL_ORDER_MAGIC;
    full.version = JOURNAL_ORDER_VERSION;
    full.header_size = JOURNAL_ORDER_BLOCK;
    full.file_size = journal_order_file_size(header->count);
    char *file = calloc(1, full.file_size);
    if (file == NULL) {
        return NULL;
    }
    if (header->count > 0) {
        memcpy(file + JOURNAL_ORDER_BLOCK, entries, header->count * sizeof(*entries));
    }
    const uint64_t blocks = journal_order_block_count(header->count);
    char *fences = file + journal_order_fences_offset(header->count);
    for (uint64_t i = 0; i < blocks; i++) {
        const struct journal_order_fence fence = {
            .first = entries[i * JOURNAL_ORDER_ENTRIES],
            .checksum = journal_order_block_checksum(
                header->number, i, file + JOURNAL_ORDER_BLOCK * (1 + i)),
        };
        memcpy(fences + i * sizeof(fence), &fence, sizeof(fence));
    }
    full.fences = checksum_of(fences, blocks * sizeof(struct journal_order_fence), header->number);
    memcpy(file, &full, sizeof(full));
    full.checksum = checksum_of(file + SUMMED, JOURNAL_ORDER_BLOCK - SUMMED, header->number);
    memcpy(file, &full, sizeof(full));
    return file;
}

err_t
journal_order_header_decode(
    const void *block, struct journal_order_header *ret_header, const char **ret_reason)
{
    struct journal_order_header header;
    const char *bytes = block;
    memcpy(&header, bytes, sizeof(header));
    *ret_reason = "no part of an order";
    if (header.magic != JOURNAL_ORDER_MAGIC) {
        return ERR_CORRUPT;
    }
    *ret_reason = "written by an unknown version";
    if (header.version != JOURNAL_ORDER_VERSION) {
        return ERR_VERSION;
    }
    *ret_reason = "header: checksum mismatch";
    if (header.checksum !=
        checksum_of(bytes + SUMMED, JOURNAL_ORDER_BLOCK - SUMMED, header.number)) {
        return ERR_CORRUPT;
    }
    *ret_reason = "header has impossible content";
    if (header.header_size != JOURNAL_ORDER_BLOCK || header.kind >= STORE_ORDER_COUNT ||
        header.count > JOURNAL_ORDER_ENTRIES_MAX ||
        header.file_size != journal_order_file_size(header.count)) {
        return ERR_CORRUPT;
    }
    *ret_header = header;
    return ERR_OK;
}

bool
journal_order_fences_are_sound(
    const struct journal_order_header *header, const struct journal_order_fence *fences)
{
    const uint64_t blocks = journal_order_block_count(header->count);
    if (checksum_of(fences, blocks * sizeof(*fences), header->number) != header->fences) {
        return false;
    }
    for (uint64_t i = 1; i < blocks; i++) {
        if (fences[i].first <= fences[i - 1].first) {
            return false;
        }
    }
    return true;
}
