/* Reading the past by id, and rows as events. */
#include "journal_scan.h"
#include "postgres.h"

#include "base/list.h"

#include <stdlib.h>

static err_t
get_small(const PGresult *result, int row, int column, uint64_t most, uint64_t *ret_value)
{
    *ret_value = store_pg_get_64(result, row, column);
    return *ret_value <= most ? ERR_OK : ERR_CORRUPT;
}

static err_t
get_transfer(const struct store_pg *pg, const PGresult *result, int row, struct ledger_event *event)
{
    struct ledger_transfer *transfer = &event->transfer;
    u128 user_data_64 = 0;
    uint64_t user_data_32 = 0;
    uint64_t timeout = 0;
    uint64_t ledger = 0;
    event->debit_slot = (uint32_t)postgres_get_32(result, row, STORE_PG_DEBIT_ACCOUNT);
    event->credit_slot = (uint32_t)postgres_get_32(result, row, STORE_PG_CREDIT_ACCOUNT);
    if (event->debit_slot >= pg->account_count || event->credit_slot >= pg->account_count) {
        return ERR_CORRUPT;
    }
    TRY(store_pg_get_number(result, row, STORE_PG_AMOUNT, &transfer->amount));
    TRY(store_pg_get_number(result, row, STORE_PG_USER_DATA_64, &user_data_64));
    TRY(get_small(result, row, STORE_PG_USER_DATA_32, UINT32_MAX, &user_data_32));
    TRY(get_small(result, row, STORE_PG_TIMEOUT, UINT32_MAX, &timeout));
    TRY(get_small(result, row, STORE_PG_LEDGER, UINT32_MAX, &ledger));
    transfer->timestamp = store_pg_get_64(result, row, STORE_PG_TIMESTAMP);
    transfer->id = store_pg_get_id(result, row, STORE_PG_ID);
    transfer->debit_account_id = pg->ids[event->debit_slot];
    transfer->credit_account_id = pg->ids[event->credit_slot];
    transfer->pending_id = store_pg_get_id(result, row, STORE_PG_PENDING_ID);
    transfer->user_data_128 = store_pg_get_id(result, row, STORE_PG_USER_DATA_128);
    transfer->user_data_64 = (uint64_t)user_data_64;
    transfer->user_data_32 = (uint32_t)user_data_32;
    transfer->timeout = (uint32_t)timeout;
    transfer->ledger = (uint32_t)ledger;
    transfer->code = (uint16_t)postgres_get_32(result, row, STORE_PG_CODE);
    transfer->flags = (uint16_t)postgres_get_32(result, row, STORE_PG_FLAGS);
    return ERR_OK;
}

err_t
store_pg_get_event(
    const struct store_pg *pg, const PGresult *result, int row, struct ledger_event *ret_event)
{
    *ret_event = (struct ledger_event){0};
    TRY(get_transfer(pg, result, row, ret_event));
    ret_event->kind = (uint8_t)postgres_get_16(result, row, STORE_PG_KIND);
    ret_event->debit_flags = (uint16_t)postgres_get_16(result, row, STORE_PG_DEBIT_FLAGS);
    ret_event->credit_flags = (uint16_t)postgres_get_16(result, row, STORE_PG_CREDIT_FLAGS);
    ret_event->timestamp = store_pg_get_64(result, row, STORE_PG_EVENT_TIMESTAMP);
    TRY(store_pg_get_balances(result, row, STORE_PG_BALANCES, &ret_event->debit));
    return store_pg_get_balances(result, row, STORE_PG_BALANCES + 4, &ret_event->credit);
}

err_t
store_pg_get_placed(
    const struct store_pg *pg, const PGresult *result, int row, struct ledger_event *ret_event)
{
    TRY(store_pg_get_event(pg, result, row, ret_event));
    struct ledger_transfer *transfer = &ret_event->transfer;
    ret_event->adopted = (int64_t)store_pg_get_64(result, row, STORE_PG_PLACE) < 0;
    if (!PQgetisnull(result, row, STORE_PG_DEBIT_NAME)) {
        transfer->debit_account_id = store_pg_get_id(result, row, STORE_PG_DEBIT_NAME);
    }
    if (!PQgetisnull(result, row, STORE_PG_CREDIT_NAME)) {
        transfer->credit_account_id = store_pg_get_id(result, row, STORE_PG_CREDIT_NAME);
    }
    return ERR_OK;
}

/* ERR_CLOSED: the engine loads again. What the database refuses is no answer, and nothing to wait
 * for. */
err_t
store_pg_read_failed(const struct store_pg *pg, err_t code, struct store_error *error)
{
    const char *problem = pg->reader.problem[0] == '\0' ? err_text(code) : pg->reader.problem;
    bool keeps = code == ERR_CLOSED || code == ERR_MEMORY || code == ERR_CORRUPT;
    return store_error_set(
        error, keeps ? code : ERR_IO, "ledger %s: %s", pg->options.schema, problem);
}

/* --- by id --- */

struct look_up {
    struct store_pg *pg;
    struct ledger_past *past;
    uint32_t *places; /* in `past`, of each id that is asked for */
    uint32_t asked;
};

static err_t
take_transfers(void *context, const PGresult *result)
{
    struct look_up *look_up = context;
    for (int row = 0; row < PQntuples(result); row++) {
        uint64_t at = store_pg_get_64(result, row, STORE_PG_COLUMNS);
        if (at == 0 || at > look_up->asked) {
            return ERR_CORRUPT;
        }
        struct ledger_past *past = &look_up->past[look_up->places[at - 1]];
        struct ledger_event event;
        TRY(store_pg_get_event(look_up->pg, result, row, &event));
        past->kind = LEDGER_PAST_TRANSFER;
        past->transfer = event.transfer;
        bool pending = !PQgetisnull(result, row, STORE_PG_COLUMNS + 1);
        if (past->fate == LEDGER_FATE_NONE || past->fate == LEDGER_FATE_PENDING) {
            past->fate = pending
                             ? (enum ledger_fate)postgres_get_16(result, row, STORE_PG_COLUMNS + 1)
                             : LEDGER_FATE_NONE;
        }
    }
    return ERR_OK;
}

/* Of two halves of a hold one may have ended: then it is over. */
static enum ledger_fate
fate_with(enum ledger_fate fate, enum ledger_fate other)
{
    return fate == LEDGER_FATE_PENDING && other != LEDGER_FATE_NONE ? other : fate;
}

/* Behind the transfers of our own; the oldest first. An id that both have is the one's that came
 * first: what is known cannot be made here again. */
static err_t
take_adopted(void *context, const PGresult *result)
{
    struct look_up *look_up = context;
    for (int row = 0; row < PQntuples(result); row++) {
        uint64_t at = store_pg_get_64(result, row, STORE_PG_PLACED_COLUMNS);
        if (at == 0 || at > look_up->asked) {
            return ERR_CORRUPT;
        }
        struct ledger_past *past = &look_up->past[look_up->places[at - 1]];
        struct ledger_event event;
        bool pending = !PQgetisnull(result, row, STORE_PG_PLACED_COLUMNS + 1);
        enum ledger_fate fate =
            pending ? (enum ledger_fate)postgres_get_16(result, row, STORE_PG_PLACED_COLUMNS + 1)
                    : LEDGER_FATE_NONE;
        if (past->kind == LEDGER_PAST_TRANSFER) {
            past->fate = fate_with(past->fate, fate);
            continue;
        }
        TRY(store_pg_get_placed(look_up->pg, result, row, &event));
        past->kind = LEDGER_PAST_TRANSFER;
        past->transfer = event.transfer;
        past->fate = past->fate == LEDGER_FATE_NONE ? fate : past->fate;
    }
    return ERR_OK;
}

/* An id that failed here may be a transfer that was adopted: that is what it is. */
static err_t
take_failed(void *context, const PGresult *result)
{
    struct look_up *look_up = context;
    for (int row = 0; row < PQntuples(result); row++) {
        uint64_t at = store_pg_get_64(result, row, 0);
        if (at == 0 || at > look_up->asked) {
            return ERR_CORRUPT;
        }
        struct ledger_past *past = &look_up->past[look_up->places[at - 1]];
        past->kind = past->kind == LEDGER_PAST_NONE ? LEDGER_PAST_FAILED : past->kind;
    }
    return ERR_OK;
}

/* What the groups on their way say of it. True: that is all there is to know. */
static bool
recall(const struct store_pg *pg, uint64_t hash, struct ledger_past *past)
{
    bool known = false;
    enum ledger_fate finished = LEDGER_FATE_NONE;
    for (struct map_link *link = map_find(&pg->recents, hash); link != NULL;
         link = map_next(link)) {
        const struct store_pg_recent *recent = CONTAINER_OF(link, struct store_pg_recent, link);
        if (recent->id != past->id) {
            continue;
        }
        const struct store_pg_event *kept = &recent->group->events[recent->event];
        switch (recent->kind) {
        case STORE_PG_RECENT_TRANSFER:
            past->kind = LEDGER_PAST_TRANSFER;
            past->fate = recent->fate;
            past->transfer = kept->event.transfer;
            /* Of one half in a hurry the other may have been here long ago. */
            known = known || recent->fate != LEDGER_FATE_PENDING ||
                    (!kept->debit_stands_in && !kept->credit_stands_in);
            break;
        case STORE_PG_RECENT_FAILED:
            past->kind = known ? past->kind : LEDGER_PAST_FAILED;
            known = true;
            break;
        case STORE_PG_RECENT_FATE:
            finished = recent->fate;
            break;
        }
    }
    if (finished != LEDGER_FATE_NONE) {
        past->fate = finished; /* of an older transfer, in a group or in the database */
    }
    return known;
}

static err_t
ask(struct look_up *look_up, struct store_error *error)
{
    struct store_pg *pg = look_up->pg;
    struct store_pg_session *session = &pg->reader;
    uint64_t deadline_ms = atomic_load(&pg->lease_ends_ms);
    struct buf *ids = &session->params[0];
    err_t code = store_pg_connect(session, deadline_ms);
    for (uint32_t tries = 0; tries < 2 && code == ERR_OK; tries++) {
        buf_clear(ids);
        postgres_append_array(ids, POSTGRES_OID_UUID, look_up->asked);
        for (uint32_t i = 0; i < look_up->asked; i++) {
            store_pg_field_id(ids, look_up->past[look_up->places[i]].id);
        }
        store_pg_send(session, STORE_PG_FIND_TRANSFERS, 1, take_transfers, look_up);
        if (pg->durable_adopted > 0) {
            store_pg_send(session, STORE_PG_FIND_ADOPTED, 1, take_adopted, look_up);
        }
        store_pg_send(session, STORE_PG_FIND_FAILED, 1, take_failed, look_up);
        code = store_pg_end(session, deadline_ms);
        if (code != ERR_CLOSED) {
            break;
        }
        code = store_pg_connect(session, deadline_ms); /* it may only have been restarted */
    }
    return code == ERR_OK ? ERR_OK : store_pg_read_failed(pg, code, error);
}

err_t
store_pg_look_up(
    struct store *store,
    const u128 *ids,
    uint32_t count,
    struct ledger_past *past,
    struct store_error *error)
{
    struct store_pg *pg = store_pg_of(store);
    ASSERT(pg->loaded);
    struct look_up look_up = {.pg = pg, .past = past};
    look_up.places = malloc((count + 1) * sizeof(*look_up.places));
    if (look_up.places == NULL) {
        return store_error_set(error, ERR_MEMORY, "%s", err_text(ERR_MEMORY));
    }
    for (uint32_t i = 0; i < count; i++) {
        uint64_t hash = store_pg_hash(pg, ids[i]);
        past[i] = (struct ledger_past){.id = ids[i]};
        if (!recall(pg, hash, &past[i]) && store_pg_filter_perhaps(&pg->filter, hash)) {
            look_up.places[look_up.asked++] = i;
        }
    }
    err_t code = look_up.asked == 0 ? ERR_OK : ask(&look_up, error);
    free(look_up.places);
    return code;
}

/* --- failed ids --- */

#define FAILED_ROWS 2000u

struct failed_page {
    store_each_failed each;
    void *context;
    uint64_t from;
    bool more; /* rows may follow, and they are wanted */
};

static err_t
take_failed_page(void *context, const PGresult *result)
{
    struct failed_page *page = context;
    page->more = PQntuples(result) == (int)FAILED_ROWS;
    for (int row = 0; row < PQntuples(result); row++) {
        page->from = store_pg_get_64(result, row, 1) + 1;
        if (!page->each(page->context, store_pg_get_id(result, row, 0), page->from)) {
            page->more = false;
            break;
        }
    }
    return ERR_OK;
}

/* Told straight from the results, so a page is asked for again only if none of it was told. */
static err_t
ask_failed(struct store_pg *pg, struct failed_page *page, uint64_t deadline_ms)
{
    struct store_pg_session *session = &pg->reader;
    uint64_t from = page->from;
    err_t code = ERR_CLOSED;
    for (uint32_t tries = 0; tries < 2 && code == ERR_CLOSED && page->from == from; tries++) {
        TRY(store_pg_connect(session, deadline_ms));
        store_pg_param_64(&session->params[0], from);
        store_pg_param_64(&session->params[1], FAILED_ROWS);
        page->more = false;
        store_pg_send(session, STORE_PG_FAILED_IDS, 2, take_failed_page, page);
        code = store_pg_end(session, deadline_ms);
    }
    return code;
}

err_t
store_pg_failed_ids(
    struct store *store,
    uint64_t from,
    store_each_failed each,
    void *context,
    struct store_error *error)
{
    struct store_pg *pg = store_pg_of(store);
    ASSERT(pg->loaded);
    uint64_t deadline_ms = atomic_load(&pg->lease_ends_ms);
    struct failed_page page = {.each = each, .context = context, .from = from, .more = true};
    err_t code = ERR_OK;
    while (code == ERR_OK && page.more) {
        code = ask_failed(pg, &page, deadline_ms);
    }
    return code == ERR_OK ? ERR_OK : store_pg_read_failed(pg, code, error);
}
