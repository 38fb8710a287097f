#include "journal_run_format.h"

#include "base/assert.h"

#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define SLOT_ENTRIES         64u
#define FILTER_BYTES_PER_KEY 3u

static u128
checksum(const void *data, size_t size, uint64_t seed)
{
    XXH128_hash_t hash = XXH3_128bits_withSeed(data, size, seed);
    return u128_make(hash.high64, hash.low64);
}

uint32_t
journal_run_radix_bits(uint64_t count)
{
    uint32_t bits = 0;
    while (bits < JOURNAL_RUN_RADIX_MAX && count >> bits > SLOT_ENTRIES) {
        bits++;
    }
    return bits;
}

uint64_t
journal_filter_words(uint64_t count)
{
    uint64_t keys = count < 8 ? 8 : count;
    uint64_t step = UINT64_C(1) << (63 - (uint32_t)__builtin_clzll(keys) - 3);
    keys = (keys + step - 1) / step * step;
    return keys * FILTER_BYTES_PER_KEY / sizeof(uint64_t);
}

/* --- runs --- */

void
journal_run_header_encode(struct journal_run_header *header, void *block)
{
    header->magic = JOURNAL_RUN_MAGIC;
    header->version = JOURNAL_RUN_VERSION;
    header->header_size = JOURNAL_RUN_BLOCK;
    header->checksum = 0;
    memset(block, 0, JOURNAL_RUN_BLOCK);
    memcpy(block, header, sizeof(*header));
    header->checksum = checksum(block, JOURNAL_RUN_BLOCK, header->number);
    memcpy(block, header, sizeof(*header));
}

static bool
layout_is_sound(const struct journal_run_header *header)
{
    return header->header_size == JOURNAL_RUN_BLOCK && header->count <= JOURNAL_RUN_ENTRIES_MAX &&
           header->level < JOURNAL_RUN_LEVELS && header->bits <= JOURNAL_RUN_BITS_MAX &&
           header->piece >> header->bits == 0 && header->radix_bits <= JOURNAL_RUN_RADIX_MAX &&
           header->filter_words > 0 && header->filter_words <= JOURNAL_RUN_ENTRIES_MAX &&
           header->file_size == journal_run_tables_offset(header) + journal_run_tables_size(header);
}

err_t
journal_run_header_decode(
    const void *block, struct journal_run_header *ret_header, const char **ret_reason)
{
    struct journal_run_header header;
    memcpy(&header, block, sizeof(header));
    *ret_reason = "run header: not a run";
    if (header.magic != JOURNAL_RUN_MAGIC) {
        return ERR_CORRUPT;
    }
    struct journal_run_header cleared = header;
    cleared.checksum = 0;
    _Alignas(16) char copy[JOURNAL_RUN_BLOCK];
    memcpy(copy, block, sizeof(copy));
    memcpy(copy, &cleared, sizeof(cleared));
    *ret_reason = "run header: checksum mismatch";
    if (checksum(copy, sizeof(copy), header.number) != header.checksum) {
        return ERR_CORRUPT;
    }
    *ret_reason = "run header: written by an unknown version";
    if (header.version != JOURNAL_RUN_VERSION) {
        return ERR_VERSION;
    }
    *ret_reason = "run header: impossible layout";
    if (!layout_is_sound(&header)) {
        return ERR_CORRUPT;
    }
    *ret_reason = NULL;
    *ret_header = header;
    return ERR_OK;
}

u128
journal_run_tables_checksum(uint64_t number, const void *tables, uint64_t size)
{
    return checksum(tables, size, number);
}

uint64_t
journal_run_grain_checksum(uint64_t number, uint64_t grain, const void *data)
{
    ASSERT(grain < JOURNAL_RUN_ENTRIES_MAX / JOURNAL_GRAIN_ENTRIES);
    return XXH3_64bits_withSeed(data, JOURNAL_RUN_GRAIN, number << 18 ^ grain);
}

bool
journal_run_radix_is_sound(const uint32_t *radix, uint32_t radix_bits, uint64_t count)
{
    uint64_t last = journal_run_radix_count(radix_bits) - 1;
    if (radix[0] != 0 || radix[last] != count) {
        return false;
    }
    for (uint64_t i = 0; i < last; i++) {
        if (radix[i] > radix[i + 1]) {
            return false;
        }
    }
    return true;
}

/* --- manifests --- */

void
journal_manifest_seal(struct journal_manifest_header *header, void *out)
{
    header->magic = JOURNAL_MANIFEST_MAGIC;
    header->version = JOURNAL_RUN_VERSION;
    header->header_size = sizeof(*header);
    header->checksum = 0;
    memcpy(out, header, sizeof(*header));
    uint64_t size = journal_manifest_size(header->run_count) - sizeof(u128);
    header->checksum = checksum((char *)out + sizeof(u128), size, 0);
    memcpy(out, header, sizeof(*header));
}

/* Group after group, each with all of its pieces, each piece with a number of its own below the
 * next one, levels that do not rise from the oldest group to the newest. */
static bool
runs_are_sound(
    const struct journal_manifest_header *header, const struct journal_manifest_run *runs)
{
    uint32_t next = 0;
    uint32_t level = JOURNAL_RUN_LEVELS - 1;
    for (uint32_t group = 0; group < header->group_count; group++) {
        if (next >= header->run_count) {
            return false;
        }
        const struct journal_manifest_run *first = &runs[next];
        if (first->bits > JOURNAL_RUN_BITS_MAX || first->level > level) {
            return false;
        }
        level = first->level;
        for (uint32_t piece = 0; piece < 1u << first->bits; piece++, next++) {
            if (next >= header->run_count) {
                return false;
            }
            const struct journal_manifest_run *run = &runs[next];
            if (run->group != group || run->piece != piece || run->bits != first->bits ||
                run->level != first->level || run->number == 0 ||
                run->number >= header->next_number) {
                return false;
            }
        }
    }
    return next == header->run_count;
}

err_t
journal_manifest_decode(
    const void *data,
    uint64_t size,
    struct journal_manifest_header *ret_header,
    const struct journal_manifest_run **ret_runs,
    const char **ret_reason)
{
    struct journal_manifest_header header;
    *ret_reason = "not a manifest of the index";
    if (size < sizeof(header)) {
        return ERR_CORRUPT;
    }
    memcpy(&header, data, sizeof(header));
    if (header.magic != JOURNAL_MANIFEST_MAGIC) {
        return ERR_CORRUPT;
    }
    *ret_reason = "checksum mismatch";
    if (checksum((const char *)data + sizeof(u128), size - sizeof(u128), 0) != header.checksum) {
        return ERR_CORRUPT;
    }
    *ret_reason = "written by an unknown version";
    if (header.version != JOURNAL_RUN_VERSION) {
        return ERR_VERSION;
    }
    *ret_reason = "impossible layout";
    const struct journal_manifest_run *runs = (const void *)((const char *)data + sizeof(header));
    if (header.header_size != sizeof(header) || header.group_count > JOURNAL_INDEX_GROUPS ||
        header.run_count > JOURNAL_MANIFEST_RUNS ||
        size != journal_manifest_size(header.run_count) || header.frame == 0 ||
        header.covered <= header.frame || !runs_are_sound(&header, runs)) {
        return ERR_CORRUPT;
    }
    *ret_reason = NULL;
    *ret_header = header;
    *ret_runs = runs;
    return ERR_OK;
}
