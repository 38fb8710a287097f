/*
 * Arbitrary bytes as a part of an order. The input's first byte says whether they are the file,
 * with or without its checksums made right, so that what lies behind them is reached, or entries
 * that are sorted and encoded. Whatever is accepted can be read block by block without another
 * look; what was encoded is accepted, gives the entries again, and is refused with any bit changed
 * (ORDER-1, ORDER-2).
 */
#include "journal_order_format.h"

#include "base/assert.h"

#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define FUZZ_MAX     (UINT32_C(1) << 16)
#define FUZZ_ENTRIES (FUZZ_MAX / sizeof(uint64_t))

enum {
    FUZZ_ENCODE = 1,
    FUZZ_SEAL = 2,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static _Alignas(JOURNAL_ORDER_BLOCK) char bytes[FUZZ_MAX + JOURNAL_ORDER_BLOCK];

/* Reads a part of `size` bytes as a query does; false: some of it was refused. */
static bool
part_read(const char *part, uint64_t size, struct journal_order_header *ret_header)
{
    struct journal_order_header header;
    const char *reason = NULL;
    if (journal_order_header_decode(part, &header, &reason) != ERR_OK) {
        ASSERT(reason != NULL);
        return false;
    }
    ASSERT(header.kind < STORE_ORDER_COUNT);
    ASSERT(header.count <= JOURNAL_ORDER_ENTRIES_MAX);
    ASSERT(header.file_size == journal_order_file_size(header.count));
    if (header.file_size != size) {
        return false; /* as whoever opens the file compares it */
    }
    const uint64_t blocks = journal_order_block_count(header.count);
    const uint64_t fences_size = blocks * sizeof(struct journal_order_fence);
    struct journal_order_fence *fences = malloc(fences_size + 1);
    ASSERT(fences != NULL);
    memcpy(fences, part + journal_order_fences_offset(header.count), fences_size);
    bool sound = journal_order_fences_are_sound(&header, fences);
    for (uint64_t i = 0; i < blocks && sound; i++) {
        const char *block = part + JOURNAL_ORDER_BLOCK * (1 + i);
        ASSERT(i == 0 || fences[i - 1].first < fences[i].first);
        sound = journal_order_block_checksum(header.number, i, block) == fences[i].checksum;
    }
    free(fences);
    *ret_header = header;
    return sound;
}

/* --- a file --- */

static u128
checksum_of(const void *data, uint64_t size, uint64_t seed)
{
    XXH128_hash_t hash = XXH3_128bits_withSeed(data, size, seed);
    return (u128)hash.high64 << 64 | hash.low64;
}

/* Makes all checksums right that have room, so that only what they cover can be wrong. */
static void
seal(uint64_t size)
{
    struct journal_order_header header;
    const size_t summed = offsetof(struct journal_order_header, magic);
    memcpy(&header, bytes, sizeof(header));
    header.magic = JOURNAL_ORDER_MAGIC;
    header.version = JOURNAL_ORDER_VERSION;
    if (header.count <= FUZZ_ENTRIES && journal_order_file_size(header.count) <= size) {
        const uint64_t blocks = journal_order_block_count(header.count);
        char *fences = bytes + journal_order_fences_offset(header.count);
        for (uint64_t i = 0; i < blocks; i++) {
            struct journal_order_fence fence;
            memcpy(&fence, fences + i * sizeof(fence), sizeof(fence));
            fence.checksum = journal_order_block_checksum(
                header.number, i, bytes + JOURNAL_ORDER_BLOCK * (1 + i));
            memcpy(fences + i * sizeof(fence), &fence, sizeof(fence));
        }
        header.fences =
            checksum_of(fences, blocks * sizeof(struct journal_order_fence), header.number);
    }
    memcpy(bytes, &header, sizeof(header));
    header.checksum = checksum_of(bytes + summed, JOURNAL_ORDER_BLOCK - summed, header.number);
    memcpy(bytes, &header, sizeof(header));
}

static void
try_file(uint64_t size, bool sealed)
{
    struct journal_order_header header;
    if (sealed) {
        seal(size);
    }
    (void)part_read(bytes, size, &header);
}

/* --- entries --- */

static int
compare_entries(const void *a, const void *b)
{
    const uint64_t *left = a;
    const uint64_t *right = b;
    return *left < *right ? -1 : *left > *right;
}

/* The input's words as what a segment gives: keys that repeat, at offsets that rise. */
static uint64_t
entries_take(uint64_t *entries, uint64_t size)
{
    const uint64_t count = size / sizeof(*entries);
    for (uint64_t i = 0; i < count; i++) {
        uint64_t word;
        memcpy(&word, bytes + i * sizeof(word), sizeof(word));
        entries[i] = journal_order_entry((uint32_t)(word >> 32), i * JOURNAL_EVENT_NARROW);
    }
    return count;
}

static void
try_entries(uint64_t size)
{
    static uint64_t entries[FUZZ_ENTRIES];
    static uint64_t expected[FUZZ_ENTRIES];
    static uint64_t spare[FUZZ_ENTRIES];
    const uint64_t count = entries_take(entries, size);
    const struct journal_order_header header = {
        .identity = 7,
        .chain = 9,
        .number = 1 + size,
        .end = JOURNAL_SEGMENT_MAX,
        .count = count,
        .kind = (uint32_t)(size % STORE_ORDER_COUNT),
    };
    struct journal_order_header again;
    memcpy(expected, entries, sizeof(entries));
    qsort(expected, count, sizeof(*expected), compare_entries);
    journal_order_sort(entries, spare, count);
    ASSERT(memcmp(entries, expected, count * sizeof(*entries)) == 0);
    char *file = journal_order_encode(&header, entries);
    ASSERT(file != NULL);
    const uint64_t file_size = journal_order_file_size(count);
    bool sound = part_read(file, file_size, &again);
    ASSERT(sound);
    ASSERT(again.number == header.number && again.kind == header.kind && again.count == count);
    ASSERT(memcmp(file + JOURNAL_ORDER_BLOCK, entries, count * sizeof(*entries)) == 0);
    uint64_t word;
    memcpy(&word, bytes, sizeof(word));
    const uint64_t bit = word % (file_size * 8);
    file[bit / 8] = (char)(file[bit / 8] ^ 1 << bit % 8);
    sound = part_read(file, file_size, &again);
    ASSERT(!sound);
    free(file);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1 + sizeof(uint64_t) || size > FUZZ_MAX) {
        return 0;
    }
    memset(bytes, 0, sizeof(bytes));
    memcpy(bytes, data + 1, size - 1);
    if ((data[0] & FUZZ_ENCODE) != 0) {
        try_entries(size - 1);
    } else {
        try_file(size - 1, (data[0] & FUZZ_SEAL) != 0);
    }
    return 0;
}
