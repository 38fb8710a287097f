#include "journal.h"

#include "base/list.h"
#include "base/prefetch.h"

#include <inttypes.h>
#include <string.h>

/* How many ids ahead of the one that is looked at places are fetched. */
#define LOOK_UP_AHEAD 32u
/* Ids that are looked for together, before what was found is read. */
#define LOOK_UP_ROUND 2048u
/* Ids that a thread reads before it takes more; and so many are worth waking others. */
#define LOOK_UP_PART       16u
#define LOOK_UP_SHARED_MIN 128u

struct journal *
journal_of_loaded(struct store *store)
{
    struct journal *journal = journal_of(store);
    ASSERT(journal->loaded);
    return journal;
}

err_t
journal_event_damaged(
    struct journal *journal, journal_position_t position, struct store_error *error)
{
    return store_error_set(
        error,
        ERR_CORRUPT,
        "%s/%08" PRIu64 ".log: event at offset %" PRIu64 ": malformed",
        journal->folder,
        journal_position_segment(position),
        journal_position_offset(position));
}

/* The frame on its way that holds the position, or NULL. */
static const struct journal_frame *
frame_at(const struct journal *journal, journal_position_t position)
{
    for (const struct journal_frame *frame = journal->oldest; frame != NULL; frame = frame->next) {
        uint64_t used = sizeof(struct journal_frame_header) + frame->image.body_size;
        if (position >= frame->image.position && position < frame->image.position + used) {
            return frame;
        }
    }
    return NULL;
}

static err_t
frame_read(
    struct journal *journal,
    const struct journal_frame *frame,
    journal_position_t position,
    char *out,
    uint64_t size,
    struct store_error *error)
{
    uint64_t offset = position - frame->image.position;
    uint64_t used = sizeof(struct journal_frame_header) + frame->image.body_size;
    if (size > used - offset) {
        return journal_event_damaged(journal, position, error);
    }
    memcpy(out, frame->image.data + offset, size);
    return ERR_OK;
}

err_t
journal_read(
    struct journal *journal,
    journal_position_t position,
    char *out,
    uint64_t size,
    struct store_error *error)
{
    const struct journal_frame *frame = frame_at(journal, position);
    if (frame == NULL) {
        return journal_cache_get(&journal->cache, position, out, size, error);
    }
    return frame_read(journal, frame, position, out, size, error);
}

/* The same without copying, if all of it is in memory; else NULL. Valid until the next call. */
static const char *
view(struct journal *journal, journal_position_t position, uint64_t size)
{
    const struct journal_frame *frame = frame_at(journal, position);
    if (frame == NULL) {
        return journal_cache_view(&journal->cache, position, size);
    }
    uint64_t offset = position - frame->image.position;
    uint64_t used = sizeof(struct journal_frame_header) + frame->image.body_size;
    return size <= used - offset ? frame->image.data + offset : NULL;
}

err_t
journal_event_bytes(
    struct journal *journal,
    journal_position_t position,
    char copy[JOURNAL_EVENT_WIDE],
    struct span *ret_bytes,
    struct store_error *error)
{
    const uint32_t narrow = JOURNAL_EVENT_NARROW;
    const size_t wide_at = offsetof(struct journal_event, wide);
    const char *data = view(journal, position, narrow);
    if (data != NULL && data[wide_at] == 0) {
        *ret_bytes = (struct span){data, narrow};
        return ERR_OK;
    }
    memset(copy, 0, JOURNAL_EVENT_WIDE);
    TRY(journal_read(journal, position, copy, narrow, error));
    *ret_bytes = (struct span){copy, narrow};
    if (copy[wide_at] == 1) {
        const uint32_t rest = JOURNAL_EVENT_WIDE - narrow;
        TRY(journal_read(journal, position + narrow, copy + narrow, rest, error));
        ret_bytes->size = JOURNAL_EVENT_WIDE;
    }
    return ERR_OK;
}

err_t
journal_read_event(
    struct journal *journal,
    journal_position_t position,
    struct ledger_event *ret_event,
    struct journal_event *ret_raw,
    struct store_error *error)
{
    char copy[JOURNAL_EVENT_WIDE];
    struct span bytes = {0};
    TRY(journal_event_bytes(journal, position, copy, &bytes, error));
    if (journal_event_decode(bytes.data, bytes.size, ret_event, ret_raw) != ERR_OK) {
        return journal_event_damaged(journal, position, error);
    }
    return ERR_OK;
}

void
journal_event_prefetch(struct journal *journal, journal_position_t position)
{
    const char *data = position == 0 ? NULL : view(journal, position, JOURNAL_EVENT_NARROW);
    for (uint32_t i = 0; data != NULL && i < JOURNAL_EVENT_NARROW; i += 64) {
        __builtin_prefetch(data + i, 0, 1);
    }
}

/* --- by id --- */

/* Who looks ids up: the engine's thread, or one of the readers while that waits. */
struct reader {
    struct journal *journal;
    struct journal_cache_files *files;
    struct store_error *error; /* or NULL */
    bool index_failed;         /* the failure is one of the index */
};

static struct reader
reader_of_engine(struct journal *journal, struct store_error *error)
{
    return (struct reader){.journal = journal, .files = &journal->cache.files, .error = error};
}

/* On the engine's thread: a damaged run is a reason to make the index again. */
static err_t
reader_settle(const struct reader *reader, err_t code)
{
    return code != ERR_OK && reader->index_failed
               ? journal_condemn_index(reader->journal, code, reader->error)
               : code;
}

/* What an id leads to, which may be anywhere. */
static err_t
read_alone(const struct reader *reader, journal_position_t position, void *out, uint64_t size)
{
    struct journal *journal = reader->journal;
    const struct journal_frame *frame = frame_at(journal, position);
    if (frame == NULL) {
        return journal_cache_get_alone(
            &journal->cache, reader->files, position, out, size, reader->error);
    }
    return frame_read(journal, frame, position, out, size, reader->error);
}

/* Both an event and a failed id begin with the id. */
static err_t
entry_is(
    const struct reader *reader, const struct journal_index_entry *entry, u128 id, bool *ret_same)
{
    u128 found = 0;
    TRY(read_alone(reader, journal_index_entry_position(entry), &found, sizeof(found)));
    *ret_same = found == id;
    return ERR_OK;
}

static err_t
next_candidate(
    struct reader *reader,
    struct journal_index_cursor *cursor,
    struct journal_index_entry *ret_entry)
{
    err_t code = journal_index_next(&reader->journal->index, cursor, ret_entry);
    reader->index_failed = code != ERR_OK;
    return code;
}

/* Where the id is. It is in the index, so if all candidates have one position it is that one; else
 * different ids have one hash, and reading tells which. */
static err_t
position_of(struct reader *reader, u128 id, uint64_t hash, uint64_t *ret_position)
{
    struct journal_index_cursor cursor = journal_index_find(&reader->journal->index, hash);
    struct journal_index_entry entry = {0};
    uint64_t first = 0;
    bool several = false;
    TRY(next_candidate(reader, &cursor, &entry));
    first = journal_index_entry_position(&entry);
    while (entry.reference != 0) {
        several = several || journal_index_entry_position(&entry) != first;
        TRY(next_candidate(reader, &cursor, &entry));
    }
    *ret_position = first;
    if (!several) {
        return first != 0 ? ERR_OK : ERR_CORRUPT;
    }
    cursor = journal_index_find(&reader->journal->index, hash);
    TRY(next_candidate(reader, &cursor, &entry));
    while (entry.reference != 0) {
        bool same = false;
        TRY(entry_is(reader, &entry, id, &same));
        if (same && journal_index_entry_fate(&entry) != JOURNAL_FATE_FAILED) {
            *ret_position = journal_index_entry_position(&entry);
            return ERR_OK;
        }
        TRY(next_candidate(reader, &cursor, &entry));
    }
    return ERR_CORRUPT;
}

err_t
journal_set_fate(struct journal *journal, u128 id, enum journal_fate fate)
{
    const uint64_t hash = journal_index_hash(&journal->index, id);
    uint64_t position = 0;
    struct reader reader = reader_of_engine(journal, NULL);
    err_t code = position_of(&reader, id, hash, &position);
    if (code != ERR_OK) {
        return reader_settle(&reader, code);
    }
    return journal_index_put(&journal->index, hash, position, fate);
}

static enum ledger_fate
ledger_fate_of(enum journal_fate fate)
{
    switch (fate) {
    case JOURNAL_FATE_SINGLE:
        return LEDGER_FATE_NONE;
    case JOURNAL_FATE_PENDING:
        return LEDGER_FATE_PENDING;
    case JOURNAL_FATE_POSTED:
        return LEDGER_FATE_POSTED;
    case JOURNAL_FATE_VOIDED:
        return LEDGER_FATE_VOIDED;
    case JOURNAL_FATE_EXPIRED:
        return LEDGER_FATE_EXPIRED;
    case JOURNAL_FATE_FAILED:
        break;
    }
    UNREACHABLE();
}

/* Fills in `past` if the entry is the id's. */
static err_t
past_of_entry(
    const struct reader *reader, const struct journal_index_entry *entry, struct ledger_past *past)
{
    if (journal_index_entry_fate(entry) == JOURNAL_FATE_FAILED) {
        bool same = false;
        TRY(entry_is(reader, entry, past->id, &same));
        if (same) {
            past->kind = LEDGER_PAST_FAILED;
        }
        return ERR_OK;
    }
    struct ledger_transfer found = {0};
    TRY(read_alone(reader, journal_index_entry_position(entry), &found, sizeof(found)));
    if (found.id != past->id) {
        return ERR_OK;
    }
    past->transfer = found;
    past->kind = LEDGER_PAST_TRANSFER;
    past->fate = ledger_fate_of(journal_index_entry_fate(entry));
    return ERR_OK;
}

/* What the index has of the id from the cursor on; moves it. */
static err_t
past_of(struct reader *reader, struct journal_index_cursor *cursor, struct ledger_past *past)
{
    struct journal_index_entry entry;
    for (;;) {
        TRY(next_candidate(reader, cursor, &entry));
        if (entry.reference == 0) {
            return ERR_OK;
        }
        TRY(past_of_entry(reader, &entry, past));
        /* An id that failed here may be a transfer that was adopted: that is what it is. */
        if (past->kind == LEDGER_PAST_TRANSFER) {
            return ERR_OK;
        }
    }
}

/* --- many ids --- */

/* What one thread met; only its own reader writes it. */
struct failure {
    struct store_error error;
    err_t code;
    bool index_failed;
};

/* The ids of a round that a run may have: reading tells, on several threads if they are many. */
struct look_up {
    struct os_crew_job job;
    struct journal *journal;
    struct ledger_past *past;        /* of the round */
    uint16_t numbers[LOOK_UP_ROUND]; /* in `past` */
    uint32_t count;
    struct failure failures[JOURNAL_READERS_MAX + 1];
};

/* On the engine's thread, or a reader's. */
static void
look_up_part(struct os_crew_job *job, uint32_t part, uint32_t worker)
{
    struct look_up *look_up = CONTAINER_OF(job, struct look_up, job);
    struct journal *journal = look_up->journal;
    struct failure *failure = &look_up->failures[worker];
    struct reader reader = reader_of_engine(journal, &failure->error);
    if (worker > 0) {
        reader.files = &journal->readers.files[worker - 1];
    }
    const uint32_t first = part * LOOK_UP_PART;
    const uint32_t left = look_up->count - first;
    const uint32_t end = first + (left < LOOK_UP_PART ? left : LOOK_UP_PART);
    for (uint32_t i = first; i < end && failure->code == ERR_OK; i++) {
        struct ledger_past *past = &look_up->past[look_up->numbers[i]];
        uint64_t hash = journal_index_hash(&journal->index, past->id);
        struct journal_index_cursor cursor = journal_index_find(&journal->index, hash);
        failure->code = past_of(&reader, &cursor, past);
        failure->index_failed = reader.index_failed;
    }
}

/* Reads what the round has left. */
static err_t
look_up_read(struct look_up *look_up, struct store_error *error)
{
    struct journal *journal = look_up->journal;
    for (uint32_t i = 0; i <= JOURNAL_READERS_MAX; i++) {
        look_up->failures[i].code = ERR_OK;
    }
    look_up->job = (struct os_crew_job){
        .run = look_up_part,
        .part_count = (look_up->count + LOOK_UP_PART - 1) / LOOK_UP_PART,
    };
    const bool alone = look_up->count < LOOK_UP_SHARED_MIN;
    os_crew_run(alone ? NULL : journal->readers.crew, &look_up->job);
    for (uint32_t i = 0; i <= JOURNAL_READERS_MAX; i++) {
        const struct failure *failure = &look_up->failures[i];
        if (failure->code == ERR_OK) {
            continue;
        }
        if (!failure->index_failed) {
            *error = failure->error;
        }
        struct reader reader = reader_of_engine(journal, error);
        reader.index_failed = failure->index_failed;
        return reader_settle(&reader, failure->code);
    }
    return ERR_OK;
}

/* Fetches what looking for `id` will touch. The hash of it. */
static uint64_t
look_ahead(const struct journal *journal, u128 id, const struct ledger_past *past)
{
    const size_t written = offsetof(struct ledger_past, transfer); /* if the id is new */
    uint64_t hash = journal_index_hash(&journal->index, id);
    journal_index_prefetch(&journal->index, hash);
    prefetch_record_for_write(past, written);
    return hash;
}

/* Most ids of a batch are new, and are in no run. What the others need is read at the end. */
static err_t
look_up_round(
    struct journal *journal,
    const u128 *ids,
    uint32_t count,
    struct ledger_past *past,
    struct store_error *error)
{
    struct look_up look_up; /* not cleared: `numbers` is large */
    look_up.journal = journal;
    look_up.past = past;
    look_up.count = 0;
    struct reader reader = reader_of_engine(journal, error);
    uint64_t hashes[LOOK_UP_AHEAD];
    for (uint32_t i = 0; i < LOOK_UP_AHEAD && i < count; i++) {
        hashes[i] = look_ahead(journal, ids[i], &past[i]);
    }
    for (uint32_t i = 0; i < count; i++) {
        uint64_t *hash = &hashes[i % LOOK_UP_AHEAD];
        struct journal_index_cursor cursor = journal_index_find(&journal->index, *hash);
        past[i].id = ids[i];
        past[i].kind = LEDGER_PAST_NONE;
        past[i].fate = LEDGER_FATE_NONE;
        if (cursor.groups != 0) {
            look_up.numbers[look_up.count++] = (uint16_t)i;
        } else {
            err_t code = past_of(&reader, &cursor, &past[i]);
            if (code != ERR_OK) {
                return reader_settle(&reader, code);
            }
        }
        if (count - i > LOOK_UP_AHEAD) {
            const uint32_t ahead = i + LOOK_UP_AHEAD;
            *hash = look_ahead(journal, ids[ahead], &past[ahead]);
        }
    }
    return look_up.count == 0 ? ERR_OK : look_up_read(&look_up, error);
}

err_t
journal_look_up(
    struct store *store,
    const u128 *ids,
    uint32_t count,
    struct ledger_past *past,
    struct store_error *error)
{
    struct journal *journal = journal_of_loaded(store);
    static_assert(offsetof(struct journal_event, transfer) == 0, "an event begins with its id");
    static_assert(offsetof(struct ledger_transfer, id) == 0, "a transfer begins with its id");
    for (uint32_t done = 0; done < count; done += LOOK_UP_ROUND) {
        uint32_t size = count - done < LOOK_UP_ROUND ? count - done : LOOK_UP_ROUND;
        TRY(look_up_round(journal, ids + done, size, past + done, error));
    }
    return ERR_OK;
}

err_t
journal_has_transfer(struct journal *journal, u128 id, bool *ret_has)
{
    struct ledger_past past = {.id = id};
    struct store_error error;
    struct reader reader = reader_of_engine(journal, &error);
    uint64_t hash = journal_index_hash(&journal->index, id);
    struct journal_index_cursor cursor = journal_index_find(&journal->index, hash);
    err_t code = past_of(&reader, &cursor, &past);
    if (code != ERR_OK) {
        return reader_settle(&reader, code);
    }
    *ret_has = past.kind == LEDGER_PAST_TRANSFER;
    return ERR_OK;
}
