/*
 * Arbitrary bytes as a run's header and as a manifest of the id index. The input's first byte says
 * which, and whether its checksum is made right, so that what lies behind it is reached. Whatever
 * is accepted has a layout that a reader can follow without another look.
 */
#include "journal_run_format.h"

#include "base/assert.h"

#include <stddef.h>
#include <string.h>

#define FUZZ_MAX (UINT32_C(1) << 16)

enum {
    FUZZ_MANIFEST = 1,
    FUZZ_SEAL = 2,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static _Alignas(JOURNAL_RUN_BLOCK) char bytes[FUZZ_MAX];

static void
try_run(bool seal)
{
    struct journal_run_header header;
    const char *reason = NULL;
    if (seal) {
        memcpy(&header, bytes, sizeof(header));
        journal_run_header_encode(&header, bytes);
    }
    if (journal_run_header_decode(bytes, &header, &reason) != ERR_OK) {
        ASSERT(reason != NULL);
        return;
    }
    ASSERT(header.count > 0 && header.count <= JOURNAL_RUN_ENTRIES_MAX);
    ASSERT(header.bits <= JOURNAL_RUN_BITS_MAX && header.piece >> header.bits == 0);
    ASSERT(header.radix_bits <= JOURNAL_RUN_RADIX_MAX && header.filter_words > 0);
    ASSERT(
        header.file_size >= journal_run_tables_offset(&header) + journal_run_tables_size(&header));
}

static void
try_manifest(size_t size, bool seal)
{
    struct journal_manifest_header header;
    const struct journal_manifest_run *runs = NULL;
    const char *reason = NULL;
    memcpy(&header, bytes, sizeof(header));
    if (seal && header.run_count <= FUZZ_MAX && journal_manifest_size(header.run_count) == size) {
        journal_manifest_seal(&header, bytes);
    }
    if (journal_manifest_decode(bytes, size, &header, &runs, &reason) != ERR_OK) {
        ASSERT(reason != NULL);
        return;
    }
    ASSERT(journal_manifest_size(header.run_count) == size);
    ASSERT(header.group_count <= JOURNAL_INDEX_GROUPS);
    for (uint32_t i = 0; i < header.run_count; i++) {
        ASSERT(runs[i].group < header.group_count);
        ASSERT(runs[i].number < header.next_number);
        ASSERT(runs[i].bits <= JOURNAL_RUN_BITS_MAX && runs[i].piece >> runs[i].bits == 0);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1 + JOURNAL_RUN_BLOCK / 16 || size > FUZZ_MAX) {
        return 0;
    }
    memset(bytes, 0, JOURNAL_RUN_BLOCK);
    memcpy(bytes, data + 1, size - 1);
    if ((data[0] & FUZZ_MANIFEST) != 0) {
        try_manifest(size - 1, (data[0] & FUZZ_SEAL) != 0);
    } else {
        try_run((data[0] & FUZZ_SEAL) != 0);
    }
    return 0;
}
