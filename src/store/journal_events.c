/*
 * Queries over all events by time. Transfers have rising timestamps in the journal's order, and
 * so have expiries; the two are read as two streams and merged by timestamp. A stream goes through
 * the directory's stretches that can hold what is asked for, and loads the positions of one
 * stretch at a time.
 */
#include "journal.h"
#include "query.h"

#include "base/list.h"

#include <stdlib.h>
#include <string.h>

/* Positions in one stretch: at most one frame of the largest size more than its length. */
static uint64_t
positions_max(const struct journal_directory *directory)
{
    return (JOURNAL_FRAME_MAX + directory->length) / JOURNAL_EVENT_NARROW;
}

struct stream {
    struct journal *journal;
    const struct store_query *query;
    bool expiries;   /* of which kind */
    int64_t stretch; /* the one to load next */
    uint64_t *positions;
    uint32_t count;
    uint32_t capacity;
    uint32_t next; /* of positions, in the direction of the query */
    bool has_event;
    struct ledger_event event;
};

static const struct journal_range *
range_of(const struct stream *stream, const struct journal_stretch *stretch)
{
    return stream->expiries ? &stretch->expiries : &stretch->transfers;
}

static bool
stretch_may_match(const struct stream *stream, const struct journal_stretch *stretch)
{
    const struct journal_range *range = range_of(stream, stretch);
    const struct store_query *query = stream->query;
    return range->first != 0 && range->last >= query->timestamp_min &&
           (query->timestamp_max == 0 || range->first <= query->timestamp_max);
}

static err_t
positions_add(struct stream *stream, uint64_t position)
{
    if (stream->count == stream->capacity) {
        uint32_t capacity = stream->capacity == 0 ? 1024 : stream->capacity * 2;
        if (stream->count >= positions_max(&stream->journal->directory)) {
            return ERR_CORRUPT;
        }
        uint64_t *grown = realloc(stream->positions, capacity * sizeof(*grown));
        if (grown == NULL) {
            return ERR_MEMORY;
        }
        stream->positions = grown;
        stream->capacity = capacity;
    }
    stream->positions[stream->count++] = position;
    return ERR_OK;
}

/* The part of an event that says which stream it belongs to. */
static err_t
section_load(
    struct stream *stream,
    const struct journal_section_header *header,
    journal_position_t events,
    struct store_error *error)
{
    bool wide = (header->flags & JOURNAL_SECTION_WIDE) != 0;
    uint32_t size = wide ? JOURNAL_EVENT_WIDE : JOURNAL_EVENT_NARROW;
    for (uint32_t i = 0; i < header->event_count; i++) {
        uint64_t position = events + (uint64_t)i * size;
        char kind = 0;
        TRY(journal_read(
            stream->journal, position + offsetof(struct journal_event, kind), &kind, 1, error));
        if ((kind == LEDGER_EVENT_TWO_PHASE_EXPIRED) == stream->expiries) {
            TRY(positions_add(stream, position));
        }
    }
    return ERR_OK;
}

/* How long the frame at `position` is, and what it holds. The header of a frame that is not yet
 * written is the I/O thread's, so those are asked for what they know. */
static err_t
extent_at(
    struct journal *journal,
    journal_position_t position,
    struct journal_extent *ret_extent,
    struct store_error *error)
{
    for (const struct journal_frame *frame = journal->oldest; frame != NULL; frame = frame->next) {
        if (frame->image.position == position) {
            *ret_extent = (struct journal_extent){
                position,
                sizeof(struct journal_frame_header),
                journal_frame_size(frame->image.body_size),
                frame->image.section_count};
            return ERR_OK;
        }
    }
    struct journal_frame_header header;
    _Alignas(16) char data[sizeof(header)];
    TRY(journal_read(journal, position, data, sizeof(data), error));
    if (!journal_frame_peek(data, &header)) {
        return store_error_set(error, ERR_CORRUPT, "%s: damaged frame", journal->folder);
    }
    *ret_extent = (struct journal_extent){
        position, journal_frame_header_size(&header), header.size, header.section_count};
    return ERR_OK;
}

static err_t
frame_load(struct stream *stream, const struct journal_extent *extent, struct store_error *error)
{
    journal_position_t position = extent->position + extent->header_size;
    for (uint32_t i = 0; i < extent->section_count; i++) {
        struct journal_section_header header;
        TRY(journal_read(stream->journal, position, (char *)&header, sizeof(header), error));
        journal_position_t events = position + sizeof(header) +
                                    (uint64_t)header.account_count * sizeof(struct ledger_account);
        TRY(section_load(stream, &header, events, error));
        position += header.size;
    }
    return ERR_OK;
}

static err_t
stretch_load(
    struct stream *stream, const struct journal_stretch *stretch, struct store_error *error)
{
    stream->count = 0;
    stream->next = 0;
    for (journal_position_t position = stretch->start; position < stretch->end;) {
        struct journal_extent extent = {0};
        TRY(extent_at(stream->journal, position, &extent, error));
        TRY(frame_load(stream, &extent, error));
        position += extent.size;
    }
    return ERR_OK;
}

/* Loads the next stretch that may match; false if there is none. */
static err_t
stream_load(struct stream *stream, bool *ret_more, struct store_error *error)
{
    const struct journal_directory *directory = &stream->journal->directory;
    const int64_t step = stream->query->reversed ? -1 : 1;
    while (stream->stretch >= 0 && (uint64_t)stream->stretch < directory->count) {
        const struct journal_stretch *stretch = &directory->stretches[stream->stretch];
        stream->stretch += step;
        if (stretch_may_match(stream, stretch)) {
            *ret_more = true;
            return stretch_load(stream, stretch, error);
        }
    }
    *ret_more = false;
    return ERR_OK;
}

/* Moves to the stream's next match, if there is one. */
static err_t
stream_advance(struct stream *stream, struct store_error *error)
{
    stream->has_event = false;
    for (;;) {
        while (stream->next < stream->count) {
            uint32_t at = stream->next++;
            at = stream->query->reversed ? stream->count - 1 - at : at;
            struct journal_event raw;
            TRY(journal_read_event(
                stream->journal, stream->positions[at], &stream->event, &raw, error));
            if (store_query_matches(stream->query, &stream->event)) {
                stream->has_event = true;
                return ERR_OK;
            }
        }
        bool more = false;
        TRY(stream_load(stream, &more, error));
        if (!more) {
            return ERR_OK;
        }
    }
}

/* The first stretch at which the stream can find anything. */
static int64_t
first_stretch(const struct journal *journal, const struct store_query *query, bool expiries)
{
    const struct journal_directory *directory = &journal->directory;
    if (query->reversed) {
        return (int64_t)directory->count - 1;
    }
    if (expiries) {
        return 0;
    }
    /* Transfers are in nearly every stretch, so the search may step over the ones without. */
    uint64_t low = 0;
    uint64_t high = directory->count;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        uint64_t probe = middle;
        while (probe > low && directory->stretches[probe].transfers.first == 0) {
            probe--;
        }
        if (directory->stretches[probe].transfers.first == 0 ||
            directory->stretches[probe].transfers.last < query->timestamp_min) {
            low = middle + 1;
        } else {
            high = probe;
        }
    }
    return (int64_t)low;
}

static struct stream *
stream_first(struct stream streams[2], bool reversed)
{
    if (!streams[0].has_event) {
        return streams[1].has_event ? &streams[1] : NULL;
    }
    if (!streams[1].has_event) {
        return &streams[0];
    }
    bool older = streams[0].event.timestamp < streams[1].event.timestamp;
    return older == !reversed ? &streams[0] : &streams[1];
}

static err_t
merge(
    struct stream streams[2],
    const struct store_query *query,
    store_each_event each,
    void *context,
    struct store_error *error)
{
    for (uint32_t found = 0; found < query->limit; found++) {
        struct stream *stream = stream_first(streams, query->reversed);
        if (stream == NULL || !each(context, &stream->event)) {
            return ERR_OK;
        }
        if (found + 1 < query->limit) {
            TRY(stream_advance(stream, error));
        }
    }
    return ERR_OK;
}

err_t
journal_events(
    struct store *store,
    const struct store_query *query,
    bool with_expiries,
    store_each_event each,
    void *context,
    struct store_error *error)
{
    struct journal *journal = CONTAINER_OF(store, struct journal, store);
    ASSERT(journal->loaded);
    ASSERT(query->limit > 0);
    struct stream streams[2];
    memset(streams, 0, sizeof(streams));
    err_t code = ERR_OK;
    for (int i = 0; i < (with_expiries ? 2 : 1) && code == ERR_OK; i++) {
        streams[i].journal = journal;
        streams[i].query = query;
        streams[i].expiries = i == 1;
        streams[i].stretch = first_stretch(journal, query, i == 1);
        code = stream_advance(&streams[i], error);
    }
    if (code == ERR_OK) {
        code = merge(streams, query, each, context, error);
    }
    free(streams[0].positions);
    free(streams[1].positions);
    return code;
}
