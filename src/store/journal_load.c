/* What events do to the tables, and the start: rebuilding them from the segments. */
#include "journal.h"

#include "base/list.h"
#include "os/entropy.h"

static struct journal *
journal_of(struct store *store)
{
    return CONTAINER_OF(store, struct journal, store);
}

/* --- what an event does to the tables --- */

static enum journal_fate
fate_of_new(const struct ledger_event *event)
{
    return event->kind == LEDGER_EVENT_TWO_PHASE_PENDING ? JOURNAL_FATE_PENDING
                                                         : JOURNAL_FATE_SINGLE;
}

/* Index and directory; the heads are the caller's, who needs the old ones as links. */
err_t
journal_note_event(
    struct journal *journal, const struct ledger_event *event, journal_position_t position)
{
    bool expiry = event->kind == LEDGER_EVENT_TWO_PHASE_EXPIRED;
    if (event->adopted != 0) {
        TRY(journal_adopted_add(&journal->adopted, event->timestamp, position));
    } else {
        journal_directory_event(&journal->directory, event->timestamp, expiry);
    }
    if (expiry) {
        return journal_set_fate(journal, event->transfer.id, JOURNAL_FATE_EXPIRED);
    }
    if (event->kind == LEDGER_EVENT_TWO_PHASE_POSTED) {
        TRY(journal_set_fate(journal, event->transfer.pending_id, JOURNAL_FATE_POSTED));
    } else if (event->kind == LEDGER_EVENT_TWO_PHASE_VOIDED) {
        TRY(journal_set_fate(journal, event->transfer.pending_id, JOURNAL_FATE_VOIDED));
    }
    if (event->adopted != 0) {
        /* Its two sides may have come one after the other: the first is in the index. */
        bool known = false;
        TRY(journal_has_transfer(journal, event->transfer.id, &known));
        if (known) {
            return ERR_OK;
        }
    }
    uint64_t hash = journal_index_hash(&journal->index, event->transfer.id);
    return journal_index_insert(&journal->index, hash, position, fate_of_new(event));
}

err_t
journal_note_failed(struct journal *journal, u128 id, journal_position_t position)
{
    return journal_index_insert(
        &journal->index, journal_index_hash(&journal->index, id), position, JOURNAL_FATE_FAILED);
}

/* --- loading --- */

struct load {
    struct journal *journal;
    struct ledger *ledger;
    struct journal_visitor visitor;
    uint64_t clock;
    uint64_t transfer_timestamp;
    uint64_t account_timestamp;
};

static err_t
load_frame_begin(
    void *context, const struct journal_frame_header *header, journal_position_t position)
{
    struct load *load = context;
    struct journal *journal = load->journal;
    /* A look-up may have to read what this very frame holds. */
    journal->cache.durable_end = position + header->size;
    TRY(journal_directory_frame(&journal->directory, position));
    journal_directory_extend(&journal->directory, position + header->size);
    return ERR_OK;
}

static err_t
load_account(void *context, const struct ledger_account *account)
{
    struct load *load = context;
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
        load->transfer_timestamp = event->timestamp;
    }
    if (!expiry && event->timestamp > load->transfer_timestamp) {
        load->transfer_timestamp = event->timestamp;
    }
    load->visitor.reason = "event does not follow from the balances before it";
    TRY(ledger_redo(load->ledger, event));
    load->visitor.reason = "event refers to no pending transfer";
    TRY(journal_note_event(load->journal, event, position));
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
    (void)context;
    (void)header;
    return ERR_OK;
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

err_t
journal_load(struct store *store, struct ledger *ledger, struct store_error *error)
{
    struct journal *journal = journal_of(store);
    ASSERT(!journal->loaded);
    struct journal_scan scan = {.disk = journal->disk, .folder = journal->folder, .error = error};
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
    scan.visitor = &load.visitor;
    *error = (struct store_error){0};
    err_t code = journal_scan_run(&scan);
    if (code == ERR_OK) {
        ledger_load_clock(ledger, load.clock, load.transfer_timestamp, load.account_timestamp);
        code = ledger_validate(ledger);
        if (code != ERR_OK) {
            store_error_set(error, code, "%s: the books do not balance", journal->folder);
        }
    }
    if (code == ERR_OK) {
        code = load_writer(journal, &scan, error);
    }
    if (code == ERR_OK) {
        journal->heads = scan.heads;
        scan.heads = (struct journal_heads){0};
        journal->loaded = true;
    }
    journal_scan_release(&scan);
    if (code == ERR_OK && journal->loop != NULL) {
        code = os_loop_start(journal->loop);
        if (code != ERR_OK) {
            store_error_set(error, code, "%s: starting the I/O thread", journal->folder);
        }
    }
    return code;
}
