#include "journal_format.h"

#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the journal is little-endian");

static u128
checksum(const void *data, size_t size, uint64_t seed)
{
    XXH128_hash_t hash = XXH3_128bits_withSeed(data, size, seed);
    return u128_make(hash.high64, hash.low64);
}

bool
journal_is_zero(const void *data, uint64_t size)
{
    const char *bytes = data;
    return size == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, size - 1) == 0);
}

/* --- segments --- */

void
journal_segment_encode(const struct journal_segment_header *header, void *block)
{
    struct journal_segment_header copy = *header;
    copy.magic = JOURNAL_SEGMENT_MAGIC;
    copy.version = JOURNAL_VERSION;
    copy.header_size = JOURNAL_BLOCK;
    copy.checksum = 0;
    memset(block, 0, JOURNAL_BLOCK);
    memcpy(block, &copy, sizeof(copy));
    copy.checksum = checksum(block, JOURNAL_BLOCK, copy.number);
    memcpy(block, &copy, sizeof(copy));
}

err_t
journal_segment_decode(
    const void *block, struct journal_segment_header *ret_header, const char **ret_reason)
{
    struct journal_segment_header header;
    memcpy(&header, block, sizeof(header));
    *ret_reason = "segment header: not a journal segment";
    if (header.magic != JOURNAL_SEGMENT_MAGIC) {
        return ERR_CORRUPT;
    }
    struct journal_segment_header cleared = header;
    cleared.checksum = 0;
    _Alignas(16) char copy[JOURNAL_BLOCK];
    memcpy(copy, block, JOURNAL_BLOCK);
    memcpy(copy, &cleared, sizeof(cleared));
    *ret_reason = "segment header: checksum mismatch";
    if (checksum(copy, JOURNAL_BLOCK, header.number) != header.checksum) {
        return ERR_CORRUPT;
    }
    *ret_reason = "segment header: written by an unknown version";
    if (header.version < JOURNAL_VERSION_FIRST || header.version > JOURNAL_VERSION) {
        return ERR_VERSION;
    }
    *ret_reason = "segment header: impossible sizes";
    if (header.header_size != JOURNAL_BLOCK || header.segment_size < JOURNAL_SEGMENT_MIN ||
        header.segment_size > JOURNAL_SEGMENT_MAX || header.segment_size % JOURNAL_BLOCK != 0) {
        return ERR_CORRUPT;
    }
    *ret_header = header;
    return ERR_OK;
}

/* --- frames --- */

static u128
frame_checksum(const void *frame, const struct journal_frame_header *header)
{
    const size_t skip = sizeof(header->checksum);
    return checksum((const char *)frame + skip, header->size - skip, header->sequence);
}

void
journal_frame_pad(void *frame, uint64_t body_size)
{
    uint64_t used = sizeof(struct journal_frame_header) + body_size;
    memset((char *)frame + used, 0, journal_frame_size(body_size) - used);
}

void
journal_frame_seal(struct journal_frame_header *header, void *frame)
{
    ASSERT(header->size == journal_frame_size(header->body_size));
    ASSERT(header->sequence > 0);
    header->magic = JOURNAL_FRAME_MAGIC;
    header->checksum = 0;
    memset(header->zero, 0, sizeof(header->zero));
    memcpy(frame, header, sizeof(*header));
    header->checksum = frame_checksum(frame, header);
    memcpy(frame, header, sizeof(*header));
}

static struct journal_frame_header
header_of_1(const void *frame)
{
    struct journal_frame_header_1 old;
    memcpy(&old, frame, sizeof(old));
    return (struct journal_frame_header){
        .checksum = old.checksum,
        .magic = old.magic,
        .sequence = old.sequence,
        .identity = old.identity,
        .previous = old.previous,
        .size = old.size,
        .body_size = old.body_size,
        .synced = old.synced,
        .term = old.term,
        .section_count = old.section_count,
    };
}

bool
journal_frame_peek(const void *frame, struct journal_frame_header *ret_header)
{
    memcpy(ret_header, frame, sizeof(*ret_header));
    if (ret_header->magic == JOURNAL_FRAME_MAGIC_1) {
        *ret_header = header_of_1(frame);
    } else if (ret_header->magic != JOURNAL_FRAME_MAGIC) {
        return false;
    }
    uint64_t used = journal_frame_header_size(ret_header) + ret_header->body_size;
    return ret_header->sequence > 0 && ret_header->size <= JOURNAL_FRAME_MAX &&
           ret_header->body_size <= JOURNAL_FRAME_MAX &&
           ret_header->size == (used + JOURNAL_BLOCK - 1) / JOURNAL_BLOCK * JOURNAL_BLOCK;
}

/* What a header has of room and no use for. */
static bool
header_is_clean(const void *frame, const struct journal_frame_header *header)
{
    struct journal_frame_header_1 old;
    memcpy(&old, frame, sizeof(old));
    return journal_frame_version(header) == 1 ? journal_is_zero(old.zero, sizeof(old.zero))
                                              : journal_is_zero(header->zero, sizeof(header->zero));
}

err_t
journal_frame_verify(
    const void *frame, const struct journal_frame_header *header, const char **ret_reason)
{
    *ret_reason = "checksum mismatch";
    if (frame_checksum(frame, header) != header->checksum) {
        return ERR_CORRUPT;
    }
    *ret_reason = "padding is not zero";
    uint64_t used = journal_frame_header_size(header) + header->body_size;
    if (!header_is_clean(frame, header) ||
        !journal_is_zero((const char *)frame + used, header->size - used)) {
        return ERR_CORRUPT;
    }
    return ERR_OK;
}

/* --- sections --- */

static inline bool
balances_are_wide(const struct ledger_balances *balances)
{
    u128 all = balances->debits_pending | balances->debits_posted | balances->credits_pending |
               balances->credits_posted;
    return u128_high(all) != 0;
}

bool
journal_delta_is_wide(const struct ledger_delta *delta)
{
    for (uint32_t i = 0; i < delta->event_count; i++) {
        if (balances_are_wide(&delta->events[i].debit) ||
            balances_are_wide(&delta->events[i].credit)) {
            return true;
        }
    }
    return false;
}

uint64_t
journal_section_size(uint32_t account_count, uint32_t event_count, uint32_t failed_count, bool wide)
{
    return sizeof(struct journal_section_header) +
           (uint64_t)account_count * sizeof(struct ledger_account) +
           (uint64_t)event_count * (wide ? JOURNAL_EVENT_WIDE : JOURNAL_EVENT_NARROW) +
           (uint64_t)failed_count * sizeof(u128);
}

/* Where the parts of a section begin. */
static struct journal_section
section_layout(const struct journal_section_header *header, const char *data)
{
    bool wide = (header->flags & JOURNAL_SECTION_WIDE) != 0;
    struct journal_section section = {.header = *header};
    section.event_size = wide ? JOURNAL_EVENT_WIDE : JOURNAL_EVENT_NARROW;
    section.accounts = data + sizeof(*header);
    section.events =
        section.accounts + (size_t)header->account_count * sizeof(struct ledger_account);
    section.failed = section.events + (size_t)header->event_count * section.event_size;
    return section;
}

struct journal_section
journal_section_encode(const struct ledger_delta *delta, bool wide, char *out)
{
    struct journal_section_header header = {
        .account_count = delta->account_count,
        .event_count = delta->event_count,
        .failed_count = delta->failed_count,
        .flags = wide ? JOURNAL_SECTION_WIDE : 0,
        .clock = delta->clock,
        .size = journal_section_size(
            delta->account_count, delta->event_count, delta->failed_count, wide),
    };
    memcpy(out, &header, sizeof(header));
    struct journal_section section = section_layout(&header, out);
    if (header.account_count > 0) {
        memcpy(
            out + (section.accounts - out),
            delta->accounts,
            header.account_count * sizeof(*delta->accounts));
    }
    if (header.failed_count > 0) {
        memcpy(
            out + (section.failed - out),
            delta->failed_ids,
            header.failed_count * sizeof(*delta->failed_ids));
    }
    return section;
}

static inline void
word_put(char *out, uint64_t word)
{
    memcpy(out, &word, sizeof(word));
}

static inline void
balances_encode(const struct ledger_balances *balances, bool wide, char *out)
{
    static_assert(sizeof(*balances) == 64, "four u128 without padding");
    if (wide) {
        memcpy(out, balances, sizeof(*balances));
        return;
    }
    word_put(out, u128_low(balances->debits_pending));
    word_put(out + 8, u128_low(balances->debits_posted));
    word_put(out + 16, u128_low(balances->credits_pending));
    word_put(out + 24, u128_low(balances->credits_posted));
}

static void
balances_decode(const char *data, bool wide, struct ledger_balances *ret_balances)
{
    if (wide) {
        memcpy(ret_balances, data, sizeof(*ret_balances));
        return;
    }
    uint64_t narrow[4];
    memcpy(narrow, data, sizeof(narrow));
    ret_balances->debits_pending = narrow[0];
    ret_balances->debits_posted = narrow[1];
    ret_balances->credits_pending = narrow[2];
    ret_balances->credits_posted = narrow[3];
}

/* Wherever it lies. */
typedef struct journal_event journal_event_at_t __attribute__((aligned(1)));

void
journal_event_encode(
    const struct ledger_event *event,
    uint64_t debit_link,
    uint64_t credit_link,
    bool wide,
    char *out)
{
    bool expiry = event->kind == LEDGER_EVENT_TWO_PHASE_EXPIRED;
    ASSERT(expiry || event->timestamp == event->transfer.timestamp);
    /* Field by field in place: a copy of a record that was just put together waits for it. */
    journal_event_at_t *raw = (journal_event_at_t *)out;
    raw->transfer = event->transfer;
    raw->debit_link = expiry ? event->timestamp : debit_link;
    raw->credit_link = expiry ? 0 : credit_link;
    raw->debit_slot = event->debit_slot;
    raw->credit_slot = event->credit_slot;
    raw->debit_flags = event->debit_flags;
    raw->credit_flags = event->credit_flags;
    raw->kind = event->kind;
    raw->wide = wide;
    raw->adopted = event->adopted;
    raw->zero = 0;
    ASSERT(wide || !(balances_are_wide(&event->debit) || balances_are_wide(&event->credit)));
    const size_t step = wide ? 64 : 32;
    balances_encode(&event->debit, wide, out + sizeof(*raw));
    balances_encode(&event->credit, wide, out + sizeof(*raw) + step);
}

err_t
journal_section_decode(
    const char *data, uint64_t size, struct journal_section *ret_section, const char **ret_reason)
{
    struct journal_section_header header;
    *ret_reason = "section does not fit the frame";
    if (size < sizeof(header)) {
        return ERR_CORRUPT;
    }
    memcpy(&header, data, sizeof(header));
    bool wide = (header.flags & JOURNAL_SECTION_WIDE) != 0;
    uint64_t expected =
        journal_section_size(header.account_count, header.event_count, header.failed_count, wide);
    if (header.size != expected || header.size > size) {
        return ERR_CORRUPT;
    }
    *ret_reason = "section header has unknown content";
    if ((header.flags & ~(uint32_t)JOURNAL_SECTION_WIDE) != 0 || header.zero[0] != 0 ||
        header.zero[1] != 0 || header.clock > LEDGER_TIMESTAMP_MAX) {
        return ERR_CORRUPT;
    }
    *ret_section = section_layout(&header, data);
    return ERR_OK;
}

err_t
journal_event_decode(
    const char *data, uint64_t size, struct ledger_event *ret_event, struct journal_event *ret_raw)
{
    struct journal_event raw;
    if (size < JOURNAL_EVENT_NARROW) {
        return ERR_CORRUPT;
    }
    memcpy(&raw, data, sizeof(raw));
    if (raw.kind < LEDGER_EVENT_SINGLE_PHASE || raw.kind > LEDGER_EVENT_TWO_PHASE_EXPIRED ||
        raw.wide > 1 || raw.adopted > 1 || raw.zero != 0) {
        return ERR_CORRUPT;
    }
    bool wide = raw.wide == 1;
    if (wide && size < JOURNAL_EVENT_WIDE) {
        return ERR_CORRUPT;
    }
    bool expiry = raw.kind == LEDGER_EVENT_TWO_PHASE_EXPIRED;
    memset(ret_event, 0, sizeof(*ret_event));
    ret_event->transfer = raw.transfer;
    ret_event->timestamp = expiry ? raw.debit_link : raw.transfer.timestamp;
    ret_event->debit_slot = raw.debit_slot;
    ret_event->credit_slot = raw.credit_slot;
    ret_event->debit_flags = raw.debit_flags;
    ret_event->credit_flags = raw.credit_flags;
    ret_event->kind = raw.kind;
    ret_event->adopted = raw.adopted;
    balances_decode(data + sizeof(raw), wide, &ret_event->debit);
    balances_decode(data + sizeof(raw) + (wide ? 64 : 32), wide, &ret_event->credit);
    *ret_raw = raw;
    return ERR_OK;
}
