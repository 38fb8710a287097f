/*
 * Queries over all events by time. Transfers have rising timestamps in the journal's order, and
 * so have expiries; what was adopted has a table of its own. They are read as three streams and
 * merged by timestamp. Of the first two a stream goes through
 * the directory's stretches that can hold what is asked for, and loads the positions of one
 * stretch at a time. Transfers that are asked for by something that an order is kept of come from
 * its parts instead, segment by segment, where there are parts.
 */
#include "journal.h"
#include "query.h"

#include <stdlib.h>
#include <string.h>

/* Positions in one stretch: at most one frame of the largest size more than its length. */
static uint64_t
positions_max(const struct journal_directory *directory)
{
    return (JOURNAL_FRAME_MAX + directory->length) / JOURNAL_EVENT_NARROW;
}

/* Positions that are taken from a part at a time. */
#define PART_POSITIONS JOURNAL_ORDER_ENTRIES

struct stream {
    struct journal *journal;
    const struct store_query *query;
    bool expiries;   /* of which kind */
    bool adopted;    /* a third kind: from the table */
    bool both;       /* adopted: with expiries */
    int64_t stretch; /* the one to load next; adopted: the entry of the table */
    uint64_t *positions;
    uint32_t count;
    uint32_t capacity;
    uint32_t next; /* of positions, in the direction of the query */
    /* Transfers by an order: of the segment in hand the entries [part_from, part_to) are left. */
    bool ordered;
    enum store_order order;
    uint32_t key;
    const struct journal_order_part *part; /* NULL: none is in hand */
    uint64_t part_from;
    uint64_t part_to;
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
        static_assert(
            offsetof(struct journal_event, adopted) == offsetof(struct journal_event, kind) + 2,
            "read together");
        char bytes[3] = {0};
        TRY(journal_read(
            stream->journal,
            position + offsetof(struct journal_event, kind),
            bytes,
            sizeof(bytes),
            error));
        bool expiry = bytes[0] == LEDGER_EVENT_TWO_PHASE_EXPIRED;
        if (expiry == stream->expiries && bytes[2] == 0) {
            TRY(positions_add(stream, position));
        }
    }
    return ERR_OK;
}

/* The header of a frame that is not yet written is the I/O thread's, so those are asked for what
 * they know. */
err_t
journal_extent_at(
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
        TRY(journal_extent_at(stream->journal, position, &extent, error));
        TRY(frame_load(stream, &extent, error));
        position += extent.size;
    }
    return ERR_OK;
}

/* --- by an order --- */

/* The order that answers the query with the fewest entries, as a rule: the widest field first. */
static void
order_choose(struct stream *stream)
{
    const struct store_query *query = stream->query;
    const struct ledger_transfer like = {
        .user_data_128 = query->user_data_128,
        .user_data_64 = query->user_data_64,
        .user_data_32 = query->user_data_32,
        .ledger = query->ledger,
        .code = query->code,
    };
    for (uint32_t i = STORE_ORDER_ACCOUNT + 1; i < STORE_ORDER_COUNT && !stream->ordered; i++) {
        const enum store_order order = (enum store_order)i;
        u128 value = journal_order_value(order, &like);
        if (value != 0 && (stream->journal->orders.kept & 1u << i) != 0) {
            stream->ordered = true;
            stream->order = order;
            stream->key = journal_order_key(value);
        }
    }
}

/* Takes the entries of the segment's part that can match, if it has one. */
static err_t
part_begin(struct stream *stream, uint64_t segment, struct store_error *error)
{
    struct journal *journal = stream->journal;
    const struct store_query *query = stream->query;
    const struct journal_order_part *part =
        journal_orders_part(&journal->orders, stream->order, segment);
    if (part == NULL) {
        return ERR_OK;
    }
    uint64_t from = 0;
    uint64_t to = 0;
    TRY(journal_orders_range(&journal->orders, part, stream->key, &from, &to, error));
    if (to - from > PART_POSITIONS) {
        if (query->timestamp_max != 0 && query->timestamp_max < UINT64_MAX) {
            TRY(journal_order_search(
                journal,
                part,
                (struct journal_order_range){from, to},
                query->timestamp_max + 1,
                &to,
                error));
        }
        TRY(journal_order_search(
            journal,
            part,
            (struct journal_order_range){from, to},
            query->timestamp_min,
            &from,
            error));
    }
    stream->part = part;
    stream->part_from = from;
    stream->part_to = to;
    return ERR_OK;
}

/* The next positions of the part in hand, ascending as those of a stretch are. */
static err_t
part_load(struct stream *stream, struct store_error *error)
{
    uint64_t left = stream->part_to - stream->part_from;
    uint64_t count = left < PART_POSITIONS ? left : PART_POSITIONS;
    uint64_t first = stream->query->reversed ? stream->part_to - count : stream->part_from;
    stream->count = 0;
    stream->next = 0;
    for (uint64_t i = first; i < first + count; i++) {
        journal_position_t position = 0;
        TRY(journal_orders_position(&stream->journal->orders, stream->part, i, &position, error));
        TRY(positions_add(stream, position));
    }
    if (stream->query->reversed) {
        stream->part_to -= count;
    } else {
        stream->part_from += count;
    }
    return ERR_OK;
}

/* The part in hand answers for all stretches of its segment. */
static bool
stretch_is_answered(const struct stream *stream, const struct journal_stretch *stretch)
{
    return stream->part != NULL &&
           journal_position_segment(stretch->start) == stream->part->header.number;
}

/* Loads the next stretch that may match, or part of one's segment; false if there is none. */
static err_t
stream_load(struct stream *stream, bool *ret_more, struct store_error *error)
{
    const struct journal_directory *directory = &stream->journal->directory;
    const int64_t step = stream->query->reversed ? -1 : 1;
    *ret_more = true;
    if (stream->part != NULL && stream->part_from < stream->part_to) {
        return part_load(stream, error);
    }
    while (stream->stretch >= 0 && (uint64_t)stream->stretch < directory->count) {
        const struct journal_stretch *stretch = &directory->stretches[stream->stretch];
        stream->stretch += step;
        if (stretch_is_answered(stream, stretch) || !stretch_may_match(stream, stretch)) {
            continue;
        }
        stream->part = NULL;
        if (stream->ordered) {
            TRY(part_begin(stream, journal_position_segment(stretch->start), error));
        }
        return stream->part != NULL ? part_load(stream, error)
                                    : stretch_load(stream, stretch, error);
    }
    *ret_more = false;
    return ERR_OK;
}

/* The same of what was adopted, whose table is in order. */
static err_t
adopted_advance(struct stream *stream, struct store_error *error)
{
    const struct journal_adopted *table = &stream->journal->adopted;
    const int64_t step = stream->query->reversed ? -1 : 1;
    const struct store_query *query = stream->query;
    stream->has_event = false;
    while (stream->stretch >= 0 && (uint64_t)stream->stretch < table->count) {
        const struct journal_adopted_entry *entry = &table->entries[stream->stretch];
        struct journal_event raw;
        stream->stretch += step;
        bool past = query->reversed
                        ? entry->timestamp < query->timestamp_min
                        : query->timestamp_max != 0 && entry->timestamp > query->timestamp_max;
        if (past) {
            return ERR_OK;
        }
        TRY(journal_read_event(stream->journal, entry->position, &stream->event, &raw, error));
        if ((stream->both || stream->event.kind != LEDGER_EVENT_TWO_PHASE_EXPIRED) &&
            store_query_matches(query, &stream->event)) {
            stream->has_event = true;
            return ERR_OK;
        }
    }
    return ERR_OK;
}

/* Moves to the stream's next match, if there is one. */
static err_t
stream_advance(struct stream *stream, struct store_error *error)
{
    if (stream->adopted) {
        return adopted_advance(stream, error);
    }
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
    return (int64_t)journal_directory_find(directory, query->timestamp_min);
}

/* The kinds of streams. */
enum {
    TRANSFERS,
    EXPIRIES,
    ADOPTED,
    STREAMS,
};

static struct stream *
stream_first(struct stream streams[STREAMS], bool reversed)
{
    struct stream *first = NULL;
    for (int i = 0; i < STREAMS; i++) {
        struct stream *stream = &streams[i];
        if (!stream->has_event) {
            continue;
        }
        uint64_t than = first == NULL ? 0 : first->event.timestamp;
        if (first == NULL ||
            (reversed ? stream->event.timestamp > than : stream->event.timestamp < than)) {
            first = stream;
        }
    }
    return first;
}

static err_t
merge(
    struct stream streams[STREAMS],
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
    struct journal *journal = journal_of_loaded(store);
    ASSERT(query->limit > 0);
    struct stream streams[STREAMS];
    memset(streams, 0, sizeof(streams));
    err_t code = journal_adopted_sort(&journal->adopted);
    for (int i = 0; i < STREAMS && code == ERR_OK; i++) {
        streams[i].journal = journal;
        streams[i].query = query;
        streams[i].expiries = i == EXPIRIES;
        streams[i].adopted = i == ADOPTED;
        streams[i].both = with_expiries;
        if (i == EXPIRIES && !with_expiries) {
            continue;
        }
        if (i == TRANSFERS) {
            order_choose(&streams[i]);
        }
        streams[i].stretch = i == ADOPTED ? journal_adopted_first(&journal->adopted, query)
                                          : first_stretch(journal, query, i == EXPIRIES);
        code = stream_advance(&streams[i], error);
    }
    if (code == ERR_OK) {
        code = merge(streams, query, each, context, error);
    }
    free(streams[TRANSFERS].positions);
    free(streams[EXPIRIES].positions);
    return code;
}
