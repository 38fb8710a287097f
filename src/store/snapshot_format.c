#include "snapshot_format.h"

#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

static u128
u128_of(XXH128_hash_t hash)
{
    return u128_make(hash.high64, hash.low64);
}

/* Both headers begin with their checksum, which covers all that follows it. */
static u128
checksum_of(const void *data, uint64_t size, uint64_t seed)
{
    const size_t skip = sizeof(u128);
    return u128_of(XXH3_128bits_withSeed((const char *)data + skip, size - skip, seed));
}

uint32_t
snapshot_record_size(enum snapshot_kind kind)
{
    switch (kind) {
    case SNAPSHOT_ACCOUNTS:
        return sizeof(struct snapshot_account);
    case SNAPSHOT_PENDINGS:
        return sizeof(struct ledger_transfer);
    case SNAPSHOT_STRETCHES:
        return sizeof(struct journal_stretch);
    case SNAPSHOT_PLACED:
        return sizeof(struct snapshot_placed);
    case SNAPSHOT_ADOPTED:
        return sizeof(struct journal_adopted_entry);
    case SNAPSHOT_KINDS:
        break;
    }
    UNREACHABLE();
}

uint32_t
snapshot_records_max(enum snapshot_kind kind)
{
    return (SNAPSHOT_BLOCK_MAX - (uint32_t)sizeof(struct snapshot_block)) /
           snapshot_record_size(kind);
}

/* --- blocks --- */

static uint64_t
used_size(const struct snapshot_block *block)
{
    uint64_t record = snapshot_record_size((enum snapshot_kind)block->kind);
    return sizeof(*block) + block->count * record;
}

void
snapshot_block_seal(struct snapshot_block *block, void *data)
{
    ASSERT(block->count > 0);
    ASSERT(block->count <= snapshot_records_max((enum snapshot_kind)block->kind));
    uint64_t used = used_size(block);
    block->magic = SNAPSHOT_BLOCK_MAGIC;
    block->size = (used + JOURNAL_BLOCK - 1) / JOURNAL_BLOCK * JOURNAL_BLOCK;
    ASSERT(block->size <= SNAPSHOT_BLOCK_MAX);
    block->checksum = 0;
    memset((char *)data + used, 0, block->size - used);
    memcpy(data, block, sizeof(*block));
    block->checksum = checksum_of(data, block->size, block->number);
    memcpy(data, block, sizeof(*block));
}

err_t
snapshot_block_peek(
    const void *data, uint64_t size, struct snapshot_block *ret_block, const char **ret_reason)
{
    struct snapshot_block block;
    *ret_reason = "block is cut off";
    if (size < sizeof(block)) {
        return ERR_CORRUPT;
    }
    memcpy(&block, data, sizeof(block));
    *ret_reason = "not a block";
    if (block.magic != SNAPSHOT_BLOCK_MAGIC || block.kind >= SNAPSHOT_KINDS || block.count == 0 ||
        block.count > snapshot_records_max((enum snapshot_kind)block.kind)) {
        return ERR_CORRUPT;
    }
    uint64_t used = used_size(&block);
    if (block.size != (used + JOURNAL_BLOCK - 1) / JOURNAL_BLOCK * JOURNAL_BLOCK) {
        return ERR_CORRUPT;
    }
    *ret_reason = "block is cut off";
    if (block.size > size) {
        return ERR_CORRUPT;
    }
    *ret_block = block;
    return ERR_OK;
}

err_t
snapshot_block_verify(
    const void *data, const struct snapshot_block *block, uint64_t number, const char **ret_reason)
{
    *ret_reason = "block checksum mismatch";
    if (checksum_of(data, block->size, block->number) != block->checksum) {
        return ERR_CORRUPT;
    }
    *ret_reason = "block out of order";
    if (block->number != number) {
        return ERR_CORRUPT;
    }
    *ret_reason = "padding is not zero";
    uint64_t used = used_size(block);
    return journal_is_zero((const char *)data + used, block->size - used) ? ERR_OK : ERR_CORRUPT;
}

/* --- the header --- */

static bool
is_plain(const struct snapshot_header *header)
{
    return header->version != SNAPSHOT_VERSION_ADOPTED && header->counts[SNAPSHOT_PLACED] == 0 &&
           header->counts[SNAPSHOT_ADOPTED] == 0;
}

void
snapshot_header_encode(const struct snapshot_header *header, void *block)
{
    struct snapshot_header copy = *header;
    copy.magic = SNAPSHOT_MAGIC;
    copy.version = SNAPSHOT_VERSION_ADOPTED;
    if (is_plain(header)) {
        copy.version = SNAPSHOT_VERSION;
        copy.counts[SNAPSHOT_KINDS_PLAIN] = copy.stretch_length;
        copy.stretch_length = 0;
    }
    copy.header_size = JOURNAL_BLOCK;
    copy.checksum = 0;
    memset(block, 0, JOURNAL_BLOCK);
    memcpy(block, &copy, sizeof(copy));
    copy.checksum = checksum_of(block, JOURNAL_BLOCK, copy.number);
    memcpy(block, &copy, sizeof(copy));
}

/* Can these marks be those of one copy? */
static bool
marks_are_sane(const struct snapshot_header *header)
{
    const struct snapshot_mark *begin = &header->begin;
    const struct snapshot_mark *end = &header->end;
    return journal_position_segment(begin->position) > 0 && begin->position % JOURNAL_BLOCK == 0 &&
           end->position % JOURNAL_BLOCK == 0 &&
           journal_position_offset(begin->position) >= JOURNAL_BLOCK &&
           begin->position < end->position && begin->sequence < end->sequence;
}

err_t
snapshot_header_decode(
    const void *block, struct snapshot_header *ret_header, const char **ret_reason)
{
    struct snapshot_header header;
    memcpy(&header, block, sizeof(header));
    *ret_reason = "not a snapshot";
    if (header.magic != SNAPSHOT_MAGIC) {
        return ERR_CORRUPT;
    }
    *ret_reason = "header checksum mismatch";
    if (checksum_of(block, JOURNAL_BLOCK, header.number) != header.checksum) {
        return ERR_CORRUPT;
    }
    *ret_reason = "written by an unknown version";
    if (header.version != SNAPSHOT_VERSION && header.version != SNAPSHOT_VERSION_ADOPTED) {
        return ERR_VERSION;
    }
    *ret_reason = "impossible header";
    if (header.version == SNAPSHOT_VERSION) {
        if (header.counts[SNAPSHOT_KINDS_PLAIN + 1] != 0 || header.stretch_length != 0) {
            return ERR_CORRUPT;
        }
        header.stretch_length = header.counts[SNAPSHOT_KINDS_PLAIN];
        header.counts[SNAPSHOT_KINDS_PLAIN] = 0;
    }
    if (header.header_size != JOURNAL_BLOCK || header.number == 0 ||
        header.stretch_length < JOURNAL_STRETCH || header.stretch_length > JOURNAL_STRETCH_MAX ||
        (header.stretch_length & (header.stretch_length - 1)) != 0 || !marks_are_sane(&header) ||
        header.clock > LEDGER_TIMESTAMP_MAX || header.transfer_timestamp > header.clock ||
        header.counts[SNAPSHOT_ACCOUNTS] > LEDGER_COUNT_MAX ||
        header.counts[SNAPSHOT_PENDINGS] > LEDGER_COUNT_MAX ||
        header.counts[SNAPSHOT_PLACED] > LEDGER_COUNT_MAX ||
        !journal_is_zero((const char *)block + sizeof(header), JOURNAL_BLOCK - sizeof(header))) {
        return ERR_CORRUPT;
    }
    *ret_header = header;
    return ERR_OK;
}

/* --- the digest --- */

struct snapshot_digest {
    XXH3_state_t *state;
};

err_t
snapshot_digest_create(uint64_t number, struct snapshot_digest **ret_digest)
{
    struct snapshot_digest *digest = calloc(1, sizeof(*digest));
    if (digest == NULL) {
        return ERR_MEMORY;
    }
    digest->state = XXH3_createState();
    if (digest->state == NULL || XXH3_128bits_reset_withSeed(digest->state, number) != XXH_OK) {
        snapshot_digest_destroy(&digest);
        return ERR_MEMORY;
    }
    *ret_digest = digest;
    return ERR_OK;
}

void
snapshot_digest_destroy(struct snapshot_digest **digest)
{
    if (*digest != NULL) {
        XXH3_freeState((*digest)->state);
        free(*digest);
        *digest = NULL;
    }
}

void
snapshot_digest_add(struct snapshot_digest *digest, u128 checksum)
{
    XXH_errorcode code = XXH3_128bits_update(digest->state, &checksum, sizeof(checksum));
    ASSERT(code == XXH_OK);
}

u128
snapshot_digest_end(const struct snapshot_digest *digest)
{
    return u128_of(XXH3_128bits_digest(digest->state));
}
