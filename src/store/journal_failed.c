/* The ids that transient failures used up, in the journal's order. */
#include "journal.h"

struct walk {
    struct journal *journal;
    uint64_t from;
    store_each_failed each;
    void *context;
    bool ended;
};

static err_t
section_tell(
    struct walk *walk,
    const struct journal_section_header *header,
    journal_position_t failed,
    struct store_error *error)
{
    for (uint32_t i = 0; i < header->failed_count && !walk->ended; i++) {
        journal_position_t position = failed + i * sizeof(u128);
        u128 id = 0;
        if (position < walk->from) {
            continue;
        }
        TRY(journal_read(walk->journal, position, (char *)&id, sizeof(id), error));
        walk->ended = !walk->each(walk->context, id, position + sizeof(id));
    }
    return ERR_OK;
}

static err_t
frame_tell(struct walk *walk, const struct journal_extent *extent, struct store_error *error)
{
    journal_position_t position = extent->position + extent->header_size;
    for (uint32_t i = 0; i < extent->section_count && !walk->ended; i++) {
        struct journal_section_header header;
        TRY(journal_read(walk->journal, position, (char *)&header, sizeof(header), error));
        journal_position_t end = position + header.size;
        TRY(section_tell(walk, &header, end - header.failed_count * sizeof(u128), error));
        position = end;
    }
    return ERR_OK;
}

err_t
journal_failed_ids(
    struct store *store,
    uint64_t from,
    store_each_failed each,
    void *context,
    struct store_error *error)
{
    struct journal *journal = journal_of(store);
    struct walk walk = {.journal = journal, .from = from, .each = each, .context = context};
    for (uint64_t i = 0; i < journal->directory.count && !walk.ended; i++) {
        const struct journal_stretch *stretch = &journal->directory.stretches[i];
        if (stretch->end <= from) {
            continue;
        }
        for (journal_position_t at = stretch->start; at < stretch->end && !walk.ended;) {
            struct journal_extent extent = {0};
            TRY(journal_extent_at(journal, at, &extent, error));
            TRY(frame_tell(&walk, &extent, error));
            at += extent.size;
        }
    }
    return ERR_OK;
}
