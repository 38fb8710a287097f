/*
 * A group becomes a transaction, on the I/O thread:
 *
 *     BEGIN; fence; INSERTs and UPDATEs; COMMIT          few transfers: one round trip
 *     BEGIN; fence; INSERTs | COPY | UPDATEs; COMMIT     many: three
 *
 * Rows are encoded once for both: a COPY has a row's fields one after the other, the arrays of an
 * INSERT have a column's.
 */
#include "journal_scan.h"
#include "postgres.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BALANCES 8u
/* Columns of transfer as COPY and INSERT have them. */
#define TRANSFER_COLUMNS (STORE_PG_BALANCES + BALANCES + 2u)
/* Of adopted: its own, then those of transfer. */
#define ADOPTED_COLUMNS (5u + TRANSFER_COLUMNS)
#define RETRY_US        20000

static const char copy_begin[] = "PGCOPY\n\377\r\n\0";

struct rows {
    struct buf *columns; /* of the session's parameters, or one of our own for COPY */
    bool copy;
    uint32_t next; /* column */
};

static struct buf *
field(struct rows *rows)
{
    return rows->copy ? &rows->columns[0] : &rows->columns[rows->next++];
}

static void
field_unless_zero(struct rows *rows, u128 value, void (*append)(struct buf *, u128))
{
    struct buf *out = field(rows);
    if (value == 0) {
        store_pg_field_null(out);
    } else {
        append(out, value);
    }
}

static void
row_begin(struct rows *rows, uint32_t column_count)
{
    rows->next = 0;
    if (rows->copy) {
        postgres_append_16(&rows->columns[0], (int16_t)column_count);
    }
}

static void
balances_append(struct rows *rows, const struct ledger_balances *balances)
{
    store_pg_field_number(field(rows), balances->debits_pending);
    store_pg_field_number(field(rows), balances->debits_posted);
    store_pg_field_number(field(rows), balances->credits_pending);
    store_pg_field_number(field(rows), balances->credits_posted);
}

/* TRANSFER_COLUMNS of a row that has begun. */
static void
transfer_fields(struct rows *rows, const struct store_pg_event *kept)
{
    const struct ledger_event *event = &kept->event;
    const struct ledger_transfer *transfer = &event->transfer;
    store_pg_field_64(field(rows), transfer->timestamp);
    store_pg_field_id(field(rows), transfer->id);
    store_pg_field_32(field(rows), event->debit_slot);
    store_pg_field_32(field(rows), event->credit_slot);
    store_pg_field_number(field(rows), transfer->amount);
    field_unless_zero(rows, transfer->pending_id, store_pg_field_id);
    field_unless_zero(rows, transfer->user_data_128, store_pg_field_id);
    field_unless_zero(rows, transfer->user_data_64, store_pg_field_number);
    store_pg_field_64(field(rows), transfer->user_data_32);
    store_pg_field_64(field(rows), transfer->timeout);
    store_pg_field_64(field(rows), transfer->ledger);
    store_pg_field_32(field(rows), transfer->code);
    store_pg_field_32(field(rows), transfer->flags);
    store_pg_field_16(field(rows), event->kind);
    store_pg_field_16(field(rows), event->debit_flags);
    store_pg_field_16(field(rows), event->credit_flags);
    balances_append(rows, &event->debit);
    balances_append(rows, &event->credit);
    store_pg_field_64(field(rows), (uint64_t)kept->debit_before);
    store_pg_field_64(field(rows), (uint64_t)kept->credit_before);
}

static void
transfer_append(struct rows *rows, const struct store_pg_event *kept)
{
    row_begin(rows, TRANSFER_COLUMNS);
    transfer_fields(rows, kept);
}

static void
adopted_append(struct rows *rows, const struct store_pg_event *kept)
{
    const struct ledger_event *event = &kept->event;
    row_begin(rows, ADOPTED_COLUMNS);
    store_pg_field_64(field(rows), (uint64_t)kept->place);
    store_pg_field_64(field(rows), event->timestamp);
    const struct ledger_transfer *transfer = &event->transfer;
    /* An account that did not come along is named beside the stand-in that is booked. */
    field_unless_zero(
        rows, kept->debit_stands_in ? transfer->debit_account_id : 0, store_pg_field_id);
    field_unless_zero(
        rows, kept->credit_stands_in ? transfer->credit_account_id : 0, store_pg_field_id);
    if (event->kind == LEDGER_EVENT_TWO_PHASE_PENDING) {
        store_pg_field_16(field(rows), LEDGER_FATE_PENDING);
    } else {
        store_pg_field_null(field(rows));
    }
    transfer_fields(rows, kept);
}

static void
expiry_append(struct rows *rows, const struct ledger_event *event)
{
    row_begin(rows, 4 + BALANCES);
    store_pg_field_64(field(rows), event->timestamp);
    store_pg_field_id(field(rows), event->transfer.id);
    store_pg_field_16(field(rows), event->debit_flags);
    store_pg_field_16(field(rows), event->credit_flags);
    balances_append(rows, &event->debit);
    balances_append(rows, &event->credit);
}

static void
account_append(struct rows *rows, const struct ledger_account *account, uint32_t slot)
{
    row_begin(rows, 9);
    store_pg_field_32(field(rows), slot);
    store_pg_field_id(field(rows), account->id);
    store_pg_field_64(field(rows), account->ledger);
    store_pg_field_32(field(rows), account->code);
    store_pg_field_32(field(rows), account->flags);
    field_unless_zero(rows, account->user_data_128, store_pg_field_id);
    field_unless_zero(rows, account->user_data_64, store_pg_field_number);
    store_pg_field_64(field(rows), account->user_data_32);
    store_pg_field_64(field(rows), account->timestamp);
}

/* --- statements --- */

/* Of our own, for the table of that name; what was adopted has one for both. */
static bool
is_transfer(const struct ledger_event *event)
{
    return event->adopted == 0 && event->kind != LEDGER_EVENT_TWO_PHASE_EXPIRED;
}

static bool
is_expiry(const struct ledger_event *event)
{
    return event->adopted == 0 && event->kind == LEDGER_EVENT_TWO_PHASE_EXPIRED;
}

/* Begins the arrays of a statement: one parameter for each type. */
static struct rows
arrays_begin(
    struct store_pg_session *session, const enum postgres_oid *types, uint32_t count, uint32_t rows)
{
    for (uint32_t i = 0; i < count; i++) {
        buf_clear(&session->params[i]);
        postgres_append_array(&session->params[i], types[i], rows);
    }
    return (struct rows){.columns = session->params};
}

static void
send_accounts(struct store_pg_session *session, const struct store_pg_group *group)
{
    static const enum postgres_oid types[] = {
        POSTGRES_OID_INT4,
        POSTGRES_OID_UUID,
        POSTGRES_OID_INT8,
        POSTGRES_OID_INT4,
        POSTGRES_OID_INT4,
        POSTGRES_OID_UUID,
        POSTGRES_OID_NUMERIC,
        POSTGRES_OID_INT8,
        POSTGRES_OID_INT8};

    const uint32_t columns = sizeof(types) / sizeof(types[0]);
    if (group->account_count == 0) {
        return;
    }
    struct rows rows = arrays_begin(session, types, columns, group->account_count);
    for (uint32_t i = 0; i < group->account_count; i++) {
        account_append(&rows, &group->accounts[i], group->first_slot + i);
    }
    store_pg_send(session, STORE_PG_INSERT_ACCOUNTS, columns, NULL, NULL);
}

static void
send_transfers(struct store_pg_session *session, const struct store_pg_group *group, uint32_t count)
{
    static const enum postgres_oid types[TRANSFER_COLUMNS] = {
        POSTGRES_OID_INT8,    POSTGRES_OID_UUID,    POSTGRES_OID_INT4,    POSTGRES_OID_INT4,
        POSTGRES_OID_NUMERIC, POSTGRES_OID_UUID,    POSTGRES_OID_UUID,    POSTGRES_OID_NUMERIC,
        POSTGRES_OID_INT8,    POSTGRES_OID_INT8,    POSTGRES_OID_INT8,    POSTGRES_OID_INT4,
        POSTGRES_OID_INT4,    POSTGRES_OID_INT2,    POSTGRES_OID_INT2,    POSTGRES_OID_INT2,
        POSTGRES_OID_NUMERIC, POSTGRES_OID_NUMERIC, POSTGRES_OID_NUMERIC, POSTGRES_OID_NUMERIC,
        POSTGRES_OID_NUMERIC, POSTGRES_OID_NUMERIC, POSTGRES_OID_NUMERIC, POSTGRES_OID_NUMERIC,
        POSTGRES_OID_INT8,    POSTGRES_OID_INT8};
    struct rows rows = arrays_begin(session, types, TRANSFER_COLUMNS, count);
    for (uint32_t i = 0; i < group->event_count; i++) {
        if (is_transfer(&group->events[i].event)) {
            transfer_append(&rows, &group->events[i]);
        }
    }
    store_pg_send(session, STORE_PG_INSERT_TRANSFERS, TRANSFER_COLUMNS, NULL, NULL);
}

static void
send_adopted(struct store_pg_session *session, const struct store_pg_group *group, uint32_t count)
{
    static const enum postgres_oid types[ADOPTED_COLUMNS] = {
        POSTGRES_OID_INT8,    POSTGRES_OID_INT8,    POSTGRES_OID_UUID,    POSTGRES_OID_UUID,
        POSTGRES_OID_INT2,    POSTGRES_OID_INT8,    POSTGRES_OID_UUID,    POSTGRES_OID_INT4,
        POSTGRES_OID_INT4,    POSTGRES_OID_NUMERIC, POSTGRES_OID_UUID,    POSTGRES_OID_UUID,
        POSTGRES_OID_NUMERIC, POSTGRES_OID_INT8,    POSTGRES_OID_INT8,    POSTGRES_OID_INT8,
        POSTGRES_OID_INT4,    POSTGRES_OID_INT4,    POSTGRES_OID_INT2,    POSTGRES_OID_INT2,
        POSTGRES_OID_INT2,    POSTGRES_OID_NUMERIC, POSTGRES_OID_NUMERIC, POSTGRES_OID_NUMERIC,
        POSTGRES_OID_NUMERIC, POSTGRES_OID_NUMERIC, POSTGRES_OID_NUMERIC, POSTGRES_OID_NUMERIC,
        POSTGRES_OID_NUMERIC, POSTGRES_OID_INT8,    POSTGRES_OID_INT8};

    static_assert(ADOPTED_COLUMNS <= STORE_PG_PARAMS_MAX, "a parameter each");
    struct rows rows = arrays_begin(session, types, ADOPTED_COLUMNS, count);
    for (uint32_t i = 0; i < group->event_count; i++) {
        if (group->events[i].event.adopted != 0) {
            adopted_append(&rows, &group->events[i]);
        }
    }
    store_pg_send(session, STORE_PG_INSERT_ADOPTED, ADOPTED_COLUMNS, NULL, NULL);
}

static void
send_expiries(struct store_pg_session *session, const struct store_pg_group *group, uint32_t count)
{
    static const enum postgres_oid types[4 + BALANCES] = {
        POSTGRES_OID_INT8,
        POSTGRES_OID_UUID,
        POSTGRES_OID_INT2,
        POSTGRES_OID_INT2,
        POSTGRES_OID_NUMERIC,
        POSTGRES_OID_NUMERIC,
        POSTGRES_OID_NUMERIC,
        POSTGRES_OID_NUMERIC,
        POSTGRES_OID_NUMERIC,
        POSTGRES_OID_NUMERIC,
        POSTGRES_OID_NUMERIC,
        POSTGRES_OID_NUMERIC};
    struct rows rows = arrays_begin(session, types, 4 + BALANCES, count);
    for (uint32_t i = 0; i < group->event_count; i++) {
        if (is_expiry(&group->events[i].event)) {
            expiry_append(&rows, &group->events[i].event);
        }
    }
    store_pg_send(session, STORE_PG_INSERT_EXPIRIES, 4 + BALANCES, NULL, NULL);
}

static void
send_failed(struct store_pg_session *session, const struct store_pg_group *group)
{
    static const enum postgres_oid types[] = {POSTGRES_OID_UUID};

    if (group->failed_count == 0) {
        return;
    }
    struct rows rows = arrays_begin(session, types, 1, group->failed_count);
    for (uint32_t i = 0; i < group->failed_count; i++) {
        row_begin(&rows, 1);
        store_pg_field_id(field(&rows), group->failed_ids[i]);
    }
    store_pg_send(session, STORE_PG_INSERT_FAILED, 1, NULL, NULL);
}

static void
send_new_pendings(
    struct store_pg_session *session, const struct store_pg_group *group, uint32_t count)
{
    static const enum postgres_oid types[] = {POSTGRES_OID_UUID};
    struct rows rows = arrays_begin(session, types, 1, count);
    for (uint32_t i = 0; i < group->event_count; i++) {
        const struct ledger_event *event = &group->events[i].event;
        if (event->kind == LEDGER_EVENT_TWO_PHASE_PENDING && event->adopted == 0) {
            row_begin(&rows, 1);
            store_pg_field_id(field(&rows), event->transfer.id);
        }
    }
    store_pg_send(session, STORE_PG_INSERT_PENDINGS, 1, NULL, NULL);
}

/* With `adopted`, of pendings that were adopted: which of them, by their accounts and by how many
 * there were. */
static void
send_finished_pendings(
    struct store_pg_session *session,
    const struct store_pg_group *group,
    uint32_t count,
    bool adopted)
{
    static const enum postgres_oid types[] = {
        POSTGRES_OID_UUID,
        POSTGRES_OID_INT2,
        POSTGRES_OID_INT8,
        POSTGRES_OID_INT4,
        POSTGRES_OID_INT4,
        POSTGRES_OID_INT8,
    };

    const uint32_t columns = adopted ? 6 : 3;
    store_pg_place_t place = -(store_pg_place_t)group->adopted_before;
    struct rows rows = arrays_begin(session, types, columns, count);
    for (uint32_t i = 0; i < group->event_count; i++) {
        const struct ledger_event *event = &group->events[i].event;
        place = event->adopted != 0 ? group->events[i].place : place;
        bool expired = event->kind == LEDGER_EVENT_TWO_PHASE_EXPIRED;
        bool posted = event->kind == LEDGER_EVENT_TWO_PHASE_POSTED;
        if (expired || posted || event->kind == LEDGER_EVENT_TWO_PHASE_VOIDED) {
            row_begin(&rows, columns);
            store_pg_field_id(
                field(&rows), expired ? event->transfer.id : event->transfer.pending_id);
            store_pg_field_16(
                field(&rows),
                expired  ? LEDGER_FATE_EXPIRED
                : posted ? LEDGER_FATE_POSTED
                         : LEDGER_FATE_VOIDED);
            store_pg_field_64(field(&rows), event->timestamp);
            if (adopted) {
                store_pg_field_32(field(&rows), event->debit_slot);
                store_pg_field_32(field(&rows), event->credit_slot);
                store_pg_field_64(field(&rows), (uint64_t)place);
            }
        }
    }
    store_pg_send(
        session, adopted ? STORE_PG_FINISH_ADOPTED : STORE_PG_FINISH_PENDINGS, columns, NULL, NULL);
}

/* --- accounts that changed --- */

static void
change_note(struct store_pg *pg, uint32_t *count, const struct store_pg_event *kept, bool debit)
{
    const struct ledger_event *event = &kept->event;
    uint32_t slot = debit ? event->debit_slot : event->credit_slot;
    ASSERT(slot < pg->change_capacity);
    uint32_t at = pg->change_of[slot];
    if (at == 0) {
        at = ++*count;
        pg->change_of[slot] = at;
        pg->changes[at - 1] = (struct store_pg_change){.slot = slot};
    }
    struct store_pg_change *change = &pg->changes[at - 1];
    change->event = event;
    change->debit = debit;
    if (event->kind != LEDGER_EVENT_TWO_PHASE_EXPIRED) {
        change->last_transfer = kept->place;
    }
}

/* Each account once, as its last event leaves it. */
static uint32_t
changes_find(struct store_pg *pg, const struct store_pg_group *group)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < group->event_count; i++) {
        change_note(pg, &count, &group->events[i], true);
        change_note(pg, &count, &group->events[i], false);
    }
    for (uint32_t i = 0; i < count; i++) {
        pg->change_of[pg->changes[i].slot] = 0;
    }
    return count;
}

static void
send_changes(struct store_pg *pg, const struct store_pg_group *group)
{
    static const enum postgres_oid types[] = {
        POSTGRES_OID_INT4,
        POSTGRES_OID_INT4,
        POSTGRES_OID_NUMERIC,
        POSTGRES_OID_NUMERIC,
        POSTGRES_OID_NUMERIC,
        POSTGRES_OID_NUMERIC,
        POSTGRES_OID_INT8};

    const uint32_t columns = sizeof(types) / sizeof(types[0]);
    uint32_t count = changes_find(pg, group);
    if (count == 0) {
        return;
    }
    struct rows rows = arrays_begin(&pg->writer, types, columns, count);
    for (uint32_t i = 0; i < count; i++) {
        const struct store_pg_change *change = &pg->changes[i];
        const struct ledger_event *event = change->event;
        row_begin(&rows, columns);
        store_pg_field_32(field(&rows), change->slot);
        store_pg_field_32(field(&rows), change->debit ? event->debit_flags : event->credit_flags);
        balances_append(&rows, change->debit ? &event->debit : &event->credit);
        store_pg_field_64(field(&rows), (uint64_t)change->last_transfer);
    }
    store_pg_send(&pg->writer, STORE_PG_UPDATE_ACCOUNTS, columns, NULL, NULL);
}

/* --- the transaction --- */

struct counts {
    uint32_t transfers, expiries, pendings; /* our own */
    uint32_t finished, adopted;
};

static struct counts
count_events(const struct store_pg_group *group)
{
    struct counts counts = {0};
    for (uint32_t i = 0; i < group->event_count; i++) {
        const struct ledger_event *event = &group->events[i].event;
        uint8_t kind = event->kind;
        counts.adopted += event->adopted != 0;
        counts.expiries += is_expiry(event);
        counts.transfers += is_transfer(event);
        counts.pendings += kind == LEDGER_EVENT_TWO_PHASE_PENDING && event->adopted == 0;
        counts.finished += kind == LEDGER_EVENT_TWO_PHASE_EXPIRED ||
                           kind == LEDGER_EVENT_TWO_PHASE_POSTED ||
                           kind == LEDGER_EVENT_TWO_PHASE_VOIDED;
    }
    return counts;
}

static err_t
copy_transfers(struct store_pg *pg, const struct store_pg_group *group, uint64_t deadline_ms)
{
    struct buf *out = &pg->rows[0];
    buf_clear(out);
    buf_append(out, copy_begin, 11);
    postgres_append_32(out, 0); /* flags */
    postgres_append_32(out, 0); /* no extension */
    struct rows rows = {.columns = out, .copy = true};
    for (uint32_t i = 0; i < group->event_count; i++) {
        if (is_transfer(&group->events[i].event)) {
            transfer_append(&rows, &group->events[i]);
        }
    }
    postgres_append_16(out, -1);
    if (buf_failed(out)) {
        return ERR_MEMORY;
    }
    return store_pg_copy_in(&pg->writer, store_pg_copy_transfers, buf_span(out), deadline_ms);
}

static err_t
send_transaction(struct store_pg *pg, const struct store_pg_group *group, uint64_t deadline_ms)
{
    struct store_pg_session *session = &pg->writer;
    struct counts counts = count_events(group);
    bool copies = counts.transfers > pg->options.copy_above;
    store_pg_send_text(session, "BEGIN", NULL, NULL);
    store_pg_term_fence(pg, pg->commits + 1, group->clock); /* PG-2 */
    send_accounts(session, group);
    if (copies) {
        TRY(store_pg_end(session, deadline_ms));
        TRY(copy_transfers(pg, group, deadline_ms));
    } else if (counts.transfers > 0) {
        send_transfers(session, group, counts.transfers);
    }
    if (counts.pendings > 0) {
        send_new_pendings(session, group, counts.pendings);
    }
    if (counts.expiries > 0) {
        send_expiries(session, group, counts.expiries);
    }
    if (counts.adopted > 0) {
        send_adopted(session, group, counts.adopted);
    }
    if (counts.finished > 0) {
        send_finished_pendings(session, group, counts.finished, false);
    }
    if (counts.finished > 0 && group->adopted_before + counts.adopted > 0) {
        send_finished_pendings(session, group, counts.finished, true);
    }
    send_failed(session, group);
    if (group->noted) {
        buf_clear(&session->params[0]);
        buf_append(&session->params[0], group->note.data, group->note.size);
        store_pg_send(session, STORE_PG_PUT_NOTE, 1, NULL, NULL);
    }
    send_changes(pg, group);
    store_pg_send_text(session, "COMMIT", NULL, NULL);
    return store_pg_end(session, deadline_ms);
}

/* A commit is also a sign of life. */
static err_t
transaction(struct store_pg *pg, const struct store_pg_group *group)
{
    uint64_t sent_ms = postgres_now_ms();
    uint64_t deadline_ms = sent_ms + pg->options.lease_ms;
    err_t code = send_transaction(pg, group, deadline_ms);
    if (code == ERR_OK) {
        atomic_store(&pg->lease_ends_ms, deadline_ms);
    } else {
        store_pg_disconnect(&pg->writer); /* which ends whatever it was in the middle of */
    }
    return code;
}

/* Once more, until the lease ends: what is under way is neither lost nor done twice (PG-3). */
static err_t
again(struct store_pg *pg, const struct store_pg_group *group)
{
    uint64_t until_ms = atomic_load(&pg->lease_ends_ms);
    while (postgres_now_ms() < until_ms) {
        err_t code = store_pg_connect(&pg->writer, until_ms);
        if (code == ERR_OK) {
            code = store_pg_term_find_commit(pg, pg->commits + 1, until_ms);
        }
        if (code == ERR_BUSY && pg->writer.sqlstate[0] == '\0') {
            code = transaction(pg, group);
        }
        if (code != ERR_CLOSED && code != ERR_BUSY) {
            return code;
        }
        (void)usleep(RETRY_US);
    }
    return ERR_CLOSED;
}

static bool
change_tables_grow(struct store_pg *pg, uint32_t count)
{
    if (count <= pg->change_capacity) {
        return true;
    }
    uint32_t capacity = count + count / 2 + 1024;
    uint32_t *grown = realloc(pg->change_of, capacity * sizeof(*grown));
    if (grown == NULL) {
        return false;
    }
    memset(grown + pg->change_capacity, 0, (capacity - pg->change_capacity) * sizeof(*grown));
    pg->change_of = grown;
    pg->change_capacity = capacity;
    if (pg->changes == NULL) {
        pg->changes = malloc((size_t)2 * STORE_PG_EVENTS_MAX * sizeof(*pg->changes));
    }
    return pg->changes != NULL;
}

static uint32_t
slots_of(const struct store_pg_group *group)
{
    uint32_t slots = group->first_slot + group->account_count;
    for (uint32_t i = 0; i < group->event_count; i++) {
        const struct ledger_event *event = &group->events[i].event;
        slots = event->debit_slot >= slots ? event->debit_slot + 1 : slots;
        slots = event->credit_slot >= slots ? event->credit_slot + 1 : slots;
    }
    return slots;
}

static void
explain(struct store_pg *pg, err_t code, struct store_error *error)
{
    bool fenced = code == ERR_STALE &&
                  (pg->writer.failed == STORE_PG_FENCE || pg->writer.failed == STORE_PG_RENEW);
    atomic_store(&pg->lost, true);
    if (fenced) {
        store_error_set(
            error, ERR_LOCKED, "ledger %s: another server has taken over", pg->options.schema);
    } else {
        store_error_set(
            error,
            code,
            "ledger %s: %s",
            pg->options.schema,
            pg->writer.problem[0] == '\0' ? err_text(code) : pg->writer.problem);
    }
}

void
store_pg_write(struct store_pg *pg, struct store_pg_group *group)
{
    if (atomic_load(&pg->lost)) {
        store_error_set(
            &group->error, ERR_CLOSED, "ledger %s: the term is lost", pg->options.schema);
        return;
    }
    if (!change_tables_grow(pg, slots_of(group))) {
        explain(pg, ERR_MEMORY, &group->error);
        return;
    }
    err_t code = pg->writer.conn == NULL ? ERR_CLOSED : transaction(pg, group);
    if (code == ERR_CLOSED || code == ERR_BUSY) {
        code = again(pg, group);
    }
    if (code == ERR_OK) {
        pg->commits++;
    } else {
        explain(pg, code, &group->error);
    }
}
