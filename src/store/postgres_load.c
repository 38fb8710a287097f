/*
 * The start: the tables, the term, and the core as the tables say it is. With the term taken nobody
 * else can commit, so what is read in several statements is of one moment.
 */
#include "journal_scan.h"
#include "postgres.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A database that is starting is waited for. */
#define CONNECT_MS_MAX 3000
#define PAGE_ROWS      20000
/* Of one page, or of the ids of all transfers. */
#define PAGE_MS_MAX 60000
#define IDS_MS_MAX  3600000

struct load {
    struct store_pg *pg;
    struct ledger *ledger;
    uint64_t place; /* where the next page begins */
    uint32_t rows;  /* of the last page */
    uint64_t newest_account;
    uint64_t newest_transfer; /* of our own */
    uint64_t newest_known;    /* adopted ones too */
    uint64_t newest_expiry;
    uint64_t id_count;
};

static err_t
take_account(struct load *load, const PGresult *result, int row)
{
    enum {
        SLOT,
        ID,
        LEDGER,
        CODE,
        FLAGS,
        DATA_128,
        DATA_64,
        DATA_32,
        TIMESTAMP,
        BALANCES,
        LAST = 13,
        NEWEST
    };

    struct ledger_balances balances;
    u128 user_data_64 = 0;
    TRY(store_pg_get_balances(result, row, BALANCES, &balances));
    TRY(store_pg_get_number(result, row, DATA_64, &user_data_64));
    struct ledger_account account = {
        .id = store_pg_get_id(result, row, ID),
        .debits_pending = balances.debits_pending,
        .debits_posted = balances.debits_posted,
        .credits_pending = balances.credits_pending,
        .credits_posted = balances.credits_posted,
        .user_data_128 = store_pg_get_id(result, row, DATA_128),
        .user_data_64 = (uint64_t)user_data_64,
        .user_data_32 = (uint32_t)store_pg_get_64(result, row, DATA_32),
        .ledger = (uint32_t)store_pg_get_64(result, row, LEDGER),
        .code = (uint16_t)postgres_get_32(result, row, CODE),
        .flags = (uint16_t)postgres_get_32(result, row, FLAGS),
        .timestamp = store_pg_get_64(result, row, TIMESTAMP),
    };
    if ((uint32_t)postgres_get_32(result, row, SLOT) != load->pg->account_count) {
        return ERR_CORRUPT;
    }
    load->newest_account =
        account.timestamp > load->newest_account ? account.timestamp : load->newest_account;
    TRY(ledger_load_account(load->ledger, &account));
    store_pg_place_t last = (store_pg_place_t)store_pg_get_64(result, row, LAST);
    uint64_t newest = store_pg_get_64(result, row, NEWEST);
    if ((last == 0) != (newest == 0)) {
        return ERR_CORRUPT;
    }
    return store_pg_account_add(load->pg, account.id, last, newest);
}

static err_t
take_accounts(void *context, const PGresult *result)
{
    struct load *load = context;
    load->rows = (uint32_t)PQntuples(result);
    for (int row = 0; row < PQntuples(result); row++) {
        TRY(take_account(load, result, row));
    }
    load->place = load->pg->account_count;
    return ERR_OK;
}

static err_t
take_pendings(void *context, const PGresult *result)
{
    struct load *load = context;
    load->rows = (uint32_t)PQntuples(result);
    for (int row = 0; row < PQntuples(result); row++) {
        struct ledger_event event;
        TRY(store_pg_get_event(load->pg, result, row, &event));
        TRY(ledger_load_pending(load->ledger, &event.transfer));
        load->place = event.timestamp;
    }
    return ERR_OK;
}

/* One on a stand-in is not on the accounts that it names. */
static err_t
take_adopted(void *context, const PGresult *result)
{
    struct load *load = context;
    load->rows = (uint32_t)PQntuples(result);
    for (int row = 0; row < PQntuples(result); row++) {
        struct ledger_event event;
        TRY(store_pg_get_placed(load->pg, result, row, &event));
        TRY(ledger_load_pending_on(
            load->ledger, &event.transfer, event.debit_slot, event.credit_slot));
        load->place = (uint64_t)-postgres_get_64(result, row, STORE_PG_PLACE);
    }
    return ERR_OK;
}

static err_t
load_pages(struct load *load, enum store_pg_statement statement, store_pg_take take)
{
    struct store_pg_session *session = &load->pg->reader;
    load->place = 0;
    do {
        store_pg_param_64(&session->params[0], load->place);
        store_pg_param_64(&session->params[1], PAGE_ROWS);
        store_pg_send(session, statement, 2, take, load);
        TRY(store_pg_end(session, postgres_now_ms() + PAGE_MS_MAX));
    } while (load->rows == PAGE_ROWS);
    return ERR_OK;
}

static err_t
take_newest(void *context, const PGresult *result)
{
    struct load *load = context;
    load->newest_transfer = store_pg_get_64(result, 0, 0);
    load->newest_expiry = store_pg_get_64(result, 0, 1);
    load->id_count = store_pg_get_64(result, 0, 2);
    uint64_t newest_adopted = store_pg_get_64(result, 0, 3);
    load->newest_known =
        newest_adopted > load->newest_transfer ? newest_adopted : load->newest_transfer;
    load->pg->adopted = store_pg_get_64(result, 0, 4);
    load->pg->durable_adopted = load->pg->adopted;
    return ERR_OK;
}

static err_t
take_id(void *context, struct span value)
{
    struct store_pg *pg = context;
    if (value.size != sizeof(u128)) {
        return ERR_CORRUPT;
    }
    store_pg_filter_add(&pg->filter, store_pg_hash(pg, store_pg_id_of(value)));
    return ERR_OK;
}

static err_t
load_ids(struct load *load)
{
    struct store_pg *pg = load->pg;
    store_pg_send_text(
        &pg->reader,
        "SELECT (SELECT max(timestamp) FROM transfer), (SELECT max(timestamp) FROM expiry), "
        "(SELECT greatest(sum(reltuples), 0)::bigint FROM pg_class "
        "WHERE oid IN ('transfer'::regclass, 'adopted'::regclass, 'failed_id'::regclass)), "
        "(SELECT happened FROM adopted WHERE kind <> 5 ORDER BY happened DESC, place LIMIT 1), "
        "(SELECT -min(place) FROM adopted)",
        take_newest,
        load);
    TRY(store_pg_end(&pg->reader, postgres_now_ms() + PAGE_MS_MAX));
    uint64_t room = load->id_count + load->id_count / 2;
    store_pg_filter_release(&pg->filter);
    store_pg_filter_init(&pg->filter, room, pg->settings.transfer_count_max);
    uint64_t until_ms = postgres_now_ms() + IDS_MS_MAX;
    TRY(store_pg_copy_out(
        &pg->reader,
        "COPY (SELECT id FROM transfer) TO STDOUT (FORMAT binary)",
        take_id,
        pg,
        until_ms));
    TRY(store_pg_copy_out(
        &pg->reader,
        "COPY (SELECT id FROM adopted WHERE kind <> 5) TO STDOUT (FORMAT binary)",
        take_id,
        pg,
        until_ms));
    return store_pg_copy_out(
        &pg->reader,
        "COPY (SELECT id FROM failed_id) TO STDOUT (FORMAT binary)",
        take_id,
        pg,
        until_ms);
}

static err_t
take_note(void *context, const PGresult *result)
{
    struct store_pg *pg = context;
    if (PQntuples(result) == 1) {
        struct span text = postgres_get_text(result, 0, 0);
        buf_append(&pg->note, text.data, text.size);
    }
    return buf_failed(&pg->note) ? ERR_CORRUPT : ERR_OK;
}

static err_t
load_all(struct load *load, uint64_t clock)
{
    struct store_pg *pg = load->pg;
    TRY(load_pages(load, STORE_PG_LOAD_ACCOUNTS, take_accounts));
    TRY(load_pages(load, STORE_PG_LOAD_PENDINGS, take_pendings));
    TRY(load_pages(load, STORE_PG_LOAD_ADOPTED, take_adopted));
    store_pg_send_text(&pg->reader, "SELECT text FROM note", take_note, pg);
    TRY(store_pg_end(&pg->reader, postgres_now_ms() + PAGE_MS_MAX));
    TRY(load_ids(load));
    pg->durable_transfer = load->newest_transfer;
    pg->durable_expiry = load->newest_expiry;
    ledger_load_clock(load->ledger, clock, load->newest_known, load->newest_account);
    return ledger_validate(load->ledger);
}

static err_t
explain(struct store_pg *pg, err_t code, const char *what, struct store_error *error)
{
    return store_error_set(
        error, code, "ledger %s: %s: %s", pg->options.schema, what, err_text(code));
}

static err_t
prepare(struct store_pg *pg, uint64_t *ret_clock, struct store_error *error)
{
    uint64_t deadline_ms = postgres_now_ms() + CONNECT_MS_MAX;
    err_t code = store_pg_connect(&pg->writer, deadline_ms);
    if (code != ERR_OK) {
        return store_error_set(
            error, code, "ledger %s: %s", pg->options.schema, pg->writer.problem);
    }
    code = store_pg_connect(&pg->reader, deadline_ms);
    if (code != ERR_OK) {
        return store_error_set(
            error, code, "ledger %s: %s", pg->options.schema, pg->reader.problem);
    }
    TRY(store_pg_tables(&pg->writer, &pg->options, postgres_now_ms() + PAGE_MS_MAX, error));
    TRY(store_pg_term_take(pg, ret_clock, postgres_now_ms() + pg->options.lease_ms, error));
    TRY(store_pg_upgrade(&pg->writer, &pg->options, error));
    TRY(store_pg_account_index(&pg->writer, pg->options.account_index, error));
    return ERR_OK;
}

err_t
store_pg_load(struct store *store, struct ledger *ledger, struct store_error *error)
{
    struct store_pg *pg = store_pg_of(store);
    ASSERT(!pg->loaded);
    *error = (struct store_error){0};
    uint64_t clock = 0;
    TRY(prepare(pg, &clock, error));
    /* The lease is renewed by the I/O thread while this one reads. */
    TRY(store_pg_start(pg, error));
    struct load load = {.pg = pg, .ledger = ledger};
    err_t code = load_all(&load, clock);
    if (code == ERR_CLOSED || code == ERR_DATABASE) {
        return explain(pg, code, pg->reader.problem, error);
    }
    if (code != ERR_OK) {
        return explain(pg, code, "what the tables say is no ledger", error);
    }
    pg->loaded = true;
    return ERR_OK;
}
