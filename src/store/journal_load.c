/* What events do to the tables, and the start: rebuilding them from the segments. */
#include "journal.h"

#include "os/entropy.h"

#include <inttypes.h>
#include <string.h>

/* --- what an event does to the tables --- */

static enum journal_fate
fate_of_new(const struct ledger_event *event)
{
    return event->kind == LEDGER_EVENT_TWO_PHASE_PENDING ? JOURNAL_FATE_PENDING
                                                         : JOURNAL_FATE_SINGLE;
}

/* The pending transfer with the id ends with the event. */
static err_t
index_end(
    struct journal *journal, const struct ledger_event *event, u128 id, enum journal_fate fate)
{
    const struct journal_pending known =
        journal_pendings_take(&journal->pendings, event->pending_place);
    return known.position != 0
               ? journal_index_put(&journal->index, known.hash, known.position, fate)
               : journal_set_fate(journal, id, fate);
}

/* The index alone. `hash` is that of the transfer's id in the index. */
static err_t
index_event(
    struct journal *journal,
    const struct ledger_event *event,
    uint64_t hash,
    journal_position_t position)
{
    const struct ledger_transfer *transfer = &event->transfer;
    if (position < journal_index_covered(&journal->index)) {
        return ERR_OK;
    }
    if (event->kind == LEDGER_EVENT_TWO_PHASE_EXPIRED) {
        return index_end(journal, event, transfer->id, JOURNAL_FATE_EXPIRED);
    }
    const bool posted = event->kind == LEDGER_EVENT_TWO_PHASE_POSTED;
    if (posted || event->kind == LEDGER_EVENT_TWO_PHASE_VOIDED) {
        const enum journal_fate fate = posted ? JOURNAL_FATE_POSTED : JOURNAL_FATE_VOIDED;
        TRY(index_end(journal, event, transfer->pending_id, fate));
    }
    if (event->kind == LEDGER_EVENT_TWO_PHASE_PENDING && event->adopted == 0) {
        const struct journal_pending begun = {hash, position};
        journal_pendings_put(&journal->pendings, event->pending_place, begun);
    }
    if (event->adopted != 0) {
        /* Its two sides may have come one after the other: the first is in the index. */
        bool known = false;
        TRY(journal_has_transfer(journal, transfer->id, &known));
        if (known) {
            return ERR_OK;
        }
    }
    return journal_index_put(&journal->index, hash, position, fate_of_new(event));
}

err_t
journal_note_event(
    struct journal *journal,
    const struct ledger_event *event,
    uint64_t hash,
    journal_position_t position)
{
    bool expiry = event->kind == LEDGER_EVENT_TWO_PHASE_EXPIRED;
    if (event->adopted != 0) {
        TRY(journal_adopted_add(&journal->adopted, event->timestamp, position));
    } else {
        journal_directory_event(&journal->directory, event->timestamp, expiry);
    }
    return index_event(journal, event, hash, position);
}

err_t
journal_note_failed(struct journal *journal, u128 id, journal_position_t position)
{
    if (position < journal_index_covered(&journal->index)) {
        return ERR_OK;
    }
    return journal_index_put(
        &journal->index, journal_index_hash(&journal->index, id), position, JOURNAL_FATE_FAILED);
}

/* --- loading --- */

/* Which part of the journal is being read:
 *
 *   BELOW --a frame at `begin`--> WINDOW --behind the frame before `end`--> BEHIND
 *
 * Without a snapshot all of it is BEHIND: everything is redone and checked. */
enum load_part {
    LOAD_BELOW,  /* what the snapshot has; only the index needs it */
    LOAD_WINDOW, /* redone on what may be newer already */
    LOAD_BEHIND,
};

struct load {
    struct journal *journal;
    struct ledger *ledger;
    struct journal_scan scan;
    struct journal_visitor visitor;
    struct snapshot_header snapshot; /* number 0: none is used */
    enum load_part part;
    bool index_is_open;
    bool cut;           /* the journal ends before the snapshot does */
    uint64_t frame_end; /* of the frame that is being read */
    uint64_t bytes;     /* of frames that were redone */
    uint64_t clock;
    uint64_t transfer_timestamp;
    uint64_t account_timestamp;
    struct journal_frame_header frame; /* that began last */
    journal_position_t frame_position; /* 0: none yet */
};

/* The frame is the one that the snapshot begins with: nothing of the journal before it was changed,
 * since each frame names the checksum of the one before it. */
static err_t
load_window_begin(
    struct load *load, const struct journal_frame_header *header, journal_position_t position)
{
    const struct snapshot_header *snapshot = &load->snapshot;
    load->visitor.reason = "not the frame that the snapshot begins with";
    if (position != snapshot->begin.position || header->sequence != snapshot->begin.sequence + 1 ||
        header->previous != snapshot->begin.chain ||
        load->transfer_timestamp > snapshot->transfer_timestamp) {
        return ERR_CORRUPT;
    }
    load->visitor.reason = NULL;
    load->part = LOAD_WINDOW;
    load->scan.links = JOURNAL_LINKS_SET;
    load->clock = snapshot->clock;
    load->transfer_timestamp = snapshot->transfer_timestamp;
    return ERR_OK;
}

static err_t
load_frame_begin(
    void *context, const struct journal_frame_header *header, journal_position_t position)
{
    struct load *load = context;
    struct journal *journal = load->journal;
    /* That there is another proves that the one before it was synced. */
    if (load->frame_position != 0) {
        journal_index_durable(&journal->index, load->frame_position, &load->frame);
    }
    load->frame = *header;
    load->frame_position = position;
    load->visitor.reason = "the index of ids cannot be written";
    TRY(journal_index_frame(&journal->index, position));
    load->visitor.reason = NULL;
    /* A look-up may have to read what this very frame holds. */
    load->frame_end = position + header->size;
    journal->cache.durable_end = load->frame_end;
    if (load->part == LOAD_BELOW) {
        if (position < load->snapshot.begin.position) {
            return ERR_OK;
        }
        TRY(load_window_begin(load, header, position));
    }
    load->bytes += header->size;
    TRY(journal_directory_frame(&journal->directory, position));
    journal_directory_extend(&journal->directory, load->frame_end);
    return ERR_OK;
}

static err_t
load_account(void *context, const struct ledger_account *account)
{
    struct load *load = context;
    if (load->part == LOAD_BELOW) {
        return ERR_OK;
    }
    load->account_timestamp =
        account->timestamp > load->account_timestamp ? account->timestamp : load->account_timestamp;
    return ledger_load_account(load->ledger, account);
}

static err_t
load_event(void *context, const struct ledger_event *event, journal_position_t position)
{
    struct load *load = context;
    bool expiry = event->kind == LEDGER_EVENT_TWO_PHASE_EXPIRED;
    if (!expiry && event->adopted == 0) {
        load->visitor.reason = "timestamps do not rise";
        if (event->timestamp <= load->transfer_timestamp) {
            return ERR_CORRUPT;
        }
    }
    if (!expiry && event->timestamp > load->transfer_timestamp) {
        load->transfer_timestamp = event->timestamp;
    }
    if (event->adopted != 0 && load->part == LOAD_WINDOW) { /* SNAPSHOT-8 */
        load->visitor.reason = "events were adopted while the snapshot was made";
        return ERR_CORRUPT;
    }
    const uint64_t hash = journal_index_hash(&load->journal->index, event->transfer.id);
    if (load->part == LOAD_BELOW) {
        load->visitor.reason = "event refers to no pending transfer";
        return index_event(load->journal, event, hash, position);
    }
    load->visitor.reason = "event does not follow from the balances before it";
    TRY(load->part == LOAD_WINDOW ? ledger_redo_fuzzy(load->ledger, event)
                                  : ledger_redo(load->ledger, event));
    load->visitor.reason = "event refers to no pending transfer";
    TRY(journal_note_event(load->journal, event, hash, position));
    return ERR_OK;
}

static err_t
load_failed(void *context, u128 id, journal_position_t position)
{
    struct load *load = context;
    return journal_note_failed(load->journal, id, position);
}

static err_t
load_section_end(void *context, uint64_t clock)
{
    struct load *load = context;
    load->visitor.reason = "the clock goes back";
    if (clock < load->clock) {
        return ERR_CORRUPT;
    }
    load->clock = clock;
    return ERR_OK;
}

static err_t
load_frame_end(void *context, const struct journal_frame_header *header)
{
    struct load *load = context;
    const struct snapshot_mark *end = &load->snapshot.end;
    if (load->part != LOAD_WINDOW || load->frame_end < end->position) {
        return ERR_OK;
    }
    load->visitor.reason = "not the frame that the snapshot ends with";
    if (load->frame_end != end->position || header->sequence != end->sequence ||
        header->checksum != end->chain) {
        return ERR_CORRUPT;
    }
    load->visitor.reason = NULL;
    load->part = LOAD_BEHIND;
    load->scan.links = JOURNAL_LINKS_CHECKED;
    return ERR_OK;
}

/* --- the snapshot's records --- */

static err_t
take_header(void *context, const struct snapshot_header *header)
{
    struct load *load = context;
    if (header->identity != load->scan.identity) {
        return ERR_NOT_FOUND;
    }
    load->snapshot = *header;
    load->journal->directory.length = header->stretch_length;
    ledger_load_clock(load->ledger, header->clock, header->transfer_timestamp, 0);
    return ERR_OK;
}

static err_t
take_account(void *context, const struct snapshot_account *account)
{
    struct load *load = context;
    /* Only what was adopted is in another order than that of time. */
    bool newest = account->account.timestamp > load->account_timestamp;
    if (account->zero != 0 || account->head >= load->snapshot.end.position ||
        (!newest && load->snapshot.version != SNAPSHOT_VERSION_ADOPTED)) {
        return ERR_CORRUPT;
    }
    load->account_timestamp = newest ? account->account.timestamp : load->account_timestamp;
    TRY(ledger_load_account(load->ledger, &account->account));
    TRY(journal_heads_add(&load->scan.heads));
    load->scan.heads.positions[load->scan.heads.count - 1] = account->head;
    return ERR_OK;
}

static err_t
take_pending(void *context, const struct ledger_transfer *pending)
{
    struct load *load = context;
    return pending->timestamp <= load->snapshot.transfer_timestamp
               ? ledger_load_pending(load->ledger, pending)
               : ERR_CORRUPT;
}

static err_t
take_stretch(void *context, const struct journal_stretch *stretch)
{
    struct load *load = context;
    return stretch->end <= load->snapshot.begin.position
               ? journal_directory_add(&load->journal->directory, stretch)
               : ERR_CORRUPT;
}

static err_t
take_placed(void *context, const struct snapshot_placed *placed)
{
    struct load *load = context;
    bool is_sane =
        placed->zero == 0 && placed->transfer.timestamp <= load->snapshot.transfer_timestamp;
    return is_sane ? ledger_load_pending_on(
                         load->ledger, &placed->transfer, placed->debit_slot, placed->credit_slot)
                   : ERR_CORRUPT;
}

static err_t
take_adopted(void *context, const struct journal_adopted_entry *adopted)
{
    struct load *load = context;
    if (adopted->timestamp == 0 || adopted->position >= load->snapshot.begin.position) {
        return ERR_CORRUPT;
    }
    return journal_adopted_add(&load->journal->adopted, adopted->timestamp, adopted->position);
}

/* Takes the snapshot into the tables. ERR_NOT_FOUND if it is of another journal. */
static err_t
load_snapshot(struct load *load, uint64_t number, struct store_error *error)
{
    struct journal *journal = load->journal;
    struct snapshot_visitor visitor = {
        .header = take_header,
        .account = take_account,
        .pending = take_pending,
        .stretch = take_stretch,
        .placed = take_placed,
        .adopted = take_adopted,
        .context = load,
    };
    TRY(snapshot_read(journal->settings.snapshot_disk, journal->folder, number, &visitor, error));
    load->part = LOAD_BELOW;
    load->scan.links = JOURNAL_LINKS_SKIPPED;
    return ERR_OK;
}

/* --- putting it together --- */

/* The index as its folder has it: what an attempt told it is forgotten. */
static err_t
load_index(struct load *load, struct store_error *error)
{
    struct journal *journal = load->journal;
    if (load->index_is_open) {
        journal_index_release(&journal->index);
        journal_index_init(
            &journal->index, journal->disk, journal->folder, journal->settings.index_table_entries);
    }
    err_t code = journal_index_open(&journal->index, journal->folder);
    if (code != ERR_OK) {
        return store_error_set(error, code, "%s/index: %s", journal->folder, err_text(code));
    }
    load->index_is_open = true;
    load->frame_position = 0;
    return ERR_OK;
}

/* Before each attempt: nothing is left of the one before it. */
static err_t
load_begin(struct load *load, struct store_error *error)
{
    struct journal *journal = load->journal;
    *error = (struct store_error){0};
    ledger_load_clear(load->ledger);
    journal_directory_clear(&journal->directory);
    journal_adopted_release(&journal->adopted);
    journal->cache.durable_end = 0;
    journal_scan_restart(&load->scan);
    load->snapshot = (struct snapshot_header){0};
    load->part = LOAD_BEHIND;
    load->bytes = 0;
    load->clock = 0;
    load->transfer_timestamp = 0;
    load->account_timestamp = 0;
    return load_index(load, error);
}

/* STORE-4: a snapshot gets its name when the journal is durable up to its end (SNAPSHOT-5). */
static err_t
refuse_cut(struct load *load, struct store_error *error)
{
    load->cut = true;
    const struct snapshot_header *snapshot = &load->snapshot;
    return store_error_set(
        error,
        ERR_CORRUPT,
        "%s: the journal ends at segment %" PRIu64 " offset %" PRIu64
        ", but was durable up to segment %" PRIu64 " offset %" PRIu64 " when snapshot/%08" PRIu64
        ".snap was made",
        load->journal->folder,
        load->scan.segment,
        load->scan.end,
        journal_position_segment(snapshot->end.position),
        journal_position_offset(snapshot->end.position),
        snapshot->number);
}

/* Reads what the snapshot, if there is one, does not have. */
static err_t
load_frames(struct load *load, struct store_error *error)
{
    const journal_position_t end = load->snapshot.end.position;
    if (load->snapshot.number != 0 && journal_position_segment(end) > load->scan.newest) {
        load->scan.segment = load->scan.newest;
        return refuse_cut(load, error);
    }
    /* What the snapshot has, but not the runs on the disk, only the index reads. */
    const journal_position_t begin = load->snapshot.begin.position;
    const journal_position_t covered = journal_index_covered(&load->journal->index);
    load->scan.from = begin < covered ? begin : covered;
    TRY(journal_scan_run(&load->scan));
    if (load->part != LOAD_BEHIND) {
        return refuse_cut(load, error);
    }
    ledger_load_clock(load->ledger, load->clock, load->transfer_timestamp, load->account_timestamp);
    err_t code = ledger_validate(load->ledger);
    if (code != ERR_OK) {
        store_error_set(error, code, "%s: the books do not balance", load->journal->folder);
    }
    return code;
}

/* From the newest snapshot that can be read and fits the journal, else from the whole journal. A
 * journal that a snapshot proves to be cut off is refused. */
static err_t
load_newest(struct load *load, struct store_error *error)
{
    struct journal *journal = load->journal;
    struct snapshot_list list = {.count = 0};
    err_t code = snapshot_list_read(journal->settings.snapshot_disk, journal->folder, &list);
    if (code != ERR_OK) {
        journal_notice(journal, "%s/snapshot: %s", journal->folder, err_text(code));
    }
    journal->snapshot.number_next = list.count == 0 ? 1 : list.numbers[0] + 1;
    if (load->scan.empty && list.count > 0) {
        return store_error_set(
            error, ERR_CORRUPT, "%s: no segment, but snapshots of some", journal->folder);
    }
    struct store_error first = {0}; /* what the newest one met in the journal */
    for (uint32_t i = 0; i < list.count; i++) {
        TRY(load_begin(load, error));
        code = load_snapshot(load, list.numbers[i], error);
        bool readable = code == ERR_OK;
        if (readable) {
            code = load_frames(load, error);
        }
        if (code == ERR_OK || code == ERR_MEMORY || code == ERR_FULL || load->cut) {
            return code;
        }
        if (readable && first.code == ERR_OK) {
            first = *error;
        }
        journal_notice(journal, "a snapshot is passed over: %s", error->message);
    }
    TRY(load_begin(load, error));
    code = load_frames(load, error);
    if (code != ERR_OK && first.code != ERR_OK) {
        *error = first;
        code = first.code;
    }
    return code;
}

/* Hands the journal to the writer, which begins it or goes on with it. */
static err_t
load_writer(struct journal *journal, const struct journal_scan *scan, struct store_error *error)
{
    struct journal_writer *writer = &journal->writer;
    if (scan->empty) {
        writer->term = 1;
        os_entropy_real()->fill(os_entropy_real(), &writer->identity, sizeof(writer->identity));
        TRY(journal_writer_begin(writer, error));
    } else {
        TRY(journal_writer_resume(writer, scan, error));
    }
    journal->segment = writer->segment;
    journal->segment_size = writer->segment_size;
    journal->offset = writer->end;
    journal->sequence = writer->sequence;
    journal->cache.durable_end = journal_position(writer->segment, writer->end);
    return ERR_OK;
}

/* What the orders lack of closed segments is made from here on. */
static err_t
load_orders(struct journal *journal, struct store_error *error)
{
    struct os_executor *io = journal->loop == NULL ? NULL : os_loop_executor(journal->loop);
    err_t code =
        journal_orders_start(&journal->orders, journal->orders_loop, io, journal->segment - 1);
    if (code != ERR_OK) {
        store_error_set(error, code, "%s/order: %s", journal->folder, err_text(code));
    }
    return code;
}

/* What is known now, the writer and the snapshots go on from. */
static err_t
load_finish(struct load *load, struct store_error *error)
{
    struct journal *journal = load->journal;
    TRY(load_writer(journal, &load->scan, error));
    if (load->frame_position != 0) {
        journal_index_durable(&journal->index, load->frame_position, &load->frame);
    }
    if (load->frame_position != 0) {
        journal->head = (struct store_head){
            .sequence = load->scan.sequence,
            .segment = journal_position_segment(load->frame_position),
            .offset = journal_position_offset(load->frame_position),
            .timestamp = load->clock,
        };
        memcpy(journal->head.digest, load->scan.digest, sizeof(journal->head.digest));
    }
    journal->heads = load->scan.heads;
    load->scan.heads = (struct journal_heads){0};
    journal->ledger = load->ledger;
    journal->clock = load->clock;
    journal->transfer_timestamp = load->transfer_timestamp;
    journal->snapshot.bytes = load->bytes;
    journal->snapshot.status.load_bytes = load->bytes;
    journal->snapshot.status.loaded_snapshot = load->snapshot.number;
    journal->snapshot.status.snapshot_bytes = load->snapshot.file_size;
    journal->snapshot.status.snapshot_created_ns = load->snapshot.created_ns;
    journal->loaded = true;
    TRY(snapshot_copy_start(journal, error));
    TRY(load_orders(journal, error));
    if (journal->loop == NULL) {
        return ERR_OK;
    }
    journal_index_start(&journal->index, journal->index_loop, os_loop_executor(journal->loop));
    err_t code = os_loop_start(journal->loop);
    if (code == ERR_OK) {
        code = os_loop_start(journal->digest_loop);
    }
    if (code == ERR_OK) {
        code = os_loop_start(journal->index_loop);
    }
    if (code == ERR_OK && journal->orders_loop != NULL) {
        code = os_loop_start(journal->orders_loop);
    }
    if (code != ERR_OK) {
        store_error_set(error, code, "%s: starting the journal's threads", journal->folder);
    }
    return code;
}

err_t
journal_load(struct store *store, struct ledger *ledger, struct store_error *error)
{
    struct journal *journal = journal_of(store);
    ASSERT(!journal->loaded);
    struct os_clock *clock = journal->settings.clock;
    uint64_t began_ns = clock == NULL ? 0 : os_monotonic_ns(clock);
    struct load load = {.journal = journal, .ledger = ledger};
    load.visitor = (struct journal_visitor){
        .frame_begin = load_frame_begin,
        .account = load_account,
        .event = load_event,
        .failed = load_failed,
        .section_end = load_section_end,
        .frame_end = load_frame_end,
        .context = &load,
    };
    load.scan = (struct journal_scan){
        .disk = journal->disk,
        .folder = journal->folder,
        .error = error,
        .visitor = &load.visitor,
    };
    *error = (struct store_error){0};
    err_t code = journal_scan_open(&load.scan);
    if (code == ERR_OK) {
        code = load_newest(&load, error);
    }
    if (code == ERR_OK) {
        code = load_finish(&load, error);
    }
    journal_scan_release(&load.scan);
    if (clock != NULL) {
        journal->snapshot.status.load_ns = os_monotonic_ns(clock) - began_ns;
    }
    return code;
}
