/*
 * Queries. The database has what is durable, the groups on their way have what is younger (PG-4);
 * each of the two has its part in order, so one follows the other.
 */
#include "journal_scan.h"
#include "postgres.h"
#include "query.h"

#include <stdlib.h>

/* Events of one kind in the order of the query: the database's rows and the groups' events, or the
 * other way round. */
struct stream {
    const struct store_pg *pg;
    bool reversed;
    PGresult *rows; /* owned; NULL: none were asked for */
    int row;
    const struct ledger_event **recent; /* by rising timestamps; owned */
    uint32_t recent_count;
    uint32_t recent_next;
    bool has_event;
    struct ledger_event event;
};

static void
stream_release(struct stream *stream)
{
    PQclear(stream->rows);
    free((void *)stream->recent);
}

static err_t
stream_row(struct stream *stream, bool *ret_found)
{
    *ret_found = stream->rows != NULL && stream->row < PQntuples(stream->rows);
    if (*ret_found) {
        return store_pg_get_event(stream->pg, stream->rows, stream->row++, &stream->event);
    }
    return ERR_OK;
}

static bool
stream_recent(struct stream *stream)
{
    if (stream->recent_next == stream->recent_count) {
        return false;
    }
    uint32_t at = stream->recent_next++;
    at = stream->reversed ? stream->recent_count - 1 - at : at;
    stream->event = *stream->recent[at];
    return true;
}

static err_t
stream_advance(struct stream *stream)
{
    stream->has_event = stream->reversed && stream_recent(stream);
    if (!stream->has_event) {
        TRY(stream_row(stream, &stream->has_event));
    }
    if (!stream->has_event && !stream->reversed) {
        stream->has_event = stream_recent(stream);
    }
    return ERR_OK;
}

static bool
is_of_account(const struct store_query *query, const struct ledger_event *event)
{
    return ((query->sides & STORE_SIDE_DEBITS) != 0 && event->debit_slot == query->account_slot) ||
           ((query->sides & STORE_SIDE_CREDITS) != 0 && event->credit_slot == query->account_slot);
}

static err_t
recent_create(struct stream *stream)
{
    uint32_t count = 1;
    for (const struct store_pg_group *group = stream->pg->oldest; group != NULL;
         group = group->next) {
        count += group->event_count;
    }
    stream->recent = malloc(count * sizeof(*stream->recent));
    return stream->recent == NULL ? ERR_MEMORY : ERR_OK;
}

/* Finds what matches in the groups on their way, of all accounts. */
static err_t
collect(struct stream *stream, const struct store_query *query, bool expiries)
{
    TRY(recent_create(stream));
    for (const struct store_pg_group *group = stream->pg->oldest; group != NULL;
         group = group->next) {
        for (uint32_t i = 0; i < group->event_count; i++) {
            const struct ledger_event *event = &group->events[i].event;
            bool expiry = event->kind == LEDGER_EVENT_TWO_PHASE_EXPIRED;
            if (expiry == expiries && store_query_matches(query, event)) {
                stream->recent[stream->recent_count++] = event;
            }
        }
    }
    return ERR_OK;
}

/* Of one account; `durable` is its newest transfer, and becomes the newest one that is durable: the
 * one before its first in the groups. */
static err_t
collect_account(struct stream *stream, const struct store_query *query, uint64_t *durable)
{
    TRY(recent_create(stream));
    bool first = true;
    for (const struct store_pg_group *group = stream->pg->oldest; group != NULL;
         group = group->next) {
        for (uint32_t i = 0; i < group->event_count; i++) {
            const struct store_pg_event *kept = &group->events[i];
            const struct ledger_event *event = &kept->event;
            bool debit = event->debit_slot == query->account_slot;
            bool credit = event->credit_slot == query->account_slot;
            if ((!debit && !credit) || event->kind == LEDGER_EVENT_TWO_PHASE_EXPIRED) {
                continue;
            }
            if (first) {
                *durable = debit ? kept->debit_before : kept->credit_before;
                first = false;
            }
            if (is_of_account(query, event) && store_query_matches(query, event)) {
                stream->recent[stream->recent_count++] = event;
            }
        }
    }
    return ERR_OK;
}

/* --- asking --- */

static err_t
keep_rows(void *context, const PGresult *result)
{
    struct stream *stream = context;
    PQclear(stream->rows);
    stream->rows = PQcopyResult(result, PG_COPYRES_ATTRS | PG_COPYRES_TUPLES);
    return stream->rows == NULL ? ERR_MEMORY : ERR_OK;
}

/* $1 ... $8 of every query; `durable` bounds it. */
static void
params_fill(struct store_pg_session *session, const struct store_query *query, uint64_t durable)
{
    uint64_t max = query->timestamp_max == 0 || query->timestamp_max > durable
                       ? durable
                       : query->timestamp_max;
    uint64_t min = query->timestamp_min > INT64_MAX ? INT64_MAX : query->timestamp_min;
    store_pg_param_64(&session->params[0], min);
    store_pg_param_64(&session->params[1], max);
    store_pg_param_id(&session->params[2], query->user_data_128);
    buf_clear(&session->params[3]);
    store_pg_field_number(&session->params[3], query->user_data_64);
    buf_consume(&session->params[3], sizeof(int32_t)); /* a parameter has its size apart */
    store_pg_param_64(&session->params[4], query->user_data_32);
    store_pg_param_64(&session->params[5], query->ledger);
    store_pg_param_64(&session->params[6], query->code);
    store_pg_param_64(&session->params[7], query->limit);
}

static void
send_all(struct store_pg *pg, const struct store_query *query, bool expiries, struct stream *stream)
{
    enum store_pg_statement transfers =
        query->reversed ? STORE_PG_TRANSFERS_REVERSED : STORE_PG_TRANSFERS;
    enum store_pg_statement statement =
        query->reversed ? STORE_PG_EXPIRIES_REVERSED : STORE_PG_EXPIRIES;
    params_fill(&pg->reader, query, expiries ? pg->durable_expiry : pg->durable_transfer);
    store_pg_send(&pg->reader, expiries ? statement : transfers, 8, keep_rows, stream);
}

static void
send_account(
    struct store_pg *pg, const struct store_query *query, uint64_t newest, struct stream *stream)
{
    bool index = pg->options.account_index;
    enum store_pg_statement chain = query->reversed ? STORE_PG_CHAIN_REVERSED : STORE_PG_CHAIN;
    enum store_pg_statement indexed =
        query->reversed ? STORE_PG_INDEXED_REVERSED : STORE_PG_INDEXED;
    params_fill(&pg->reader, query, pg->durable_transfer);
    store_pg_param_64(&pg->reader.params[8], query->account_slot);
    store_pg_param_64(&pg->reader.params[9], newest);
    store_pg_param_64(&pg->reader.params[10], query->sides);
    store_pg_send(&pg->reader, index ? indexed : chain, 11, keep_rows, stream);
}

/* Both kinds in one round trip, or one account's transfers; once more on a new connection. */
static err_t
ask(struct store_pg *pg,
    const struct store_query *query,
    struct stream *streams,
    uint32_t stream_count,
    const uint64_t *account_newest)
{
    uint64_t deadline_ms = atomic_load(&pg->lease_ends_ms);
    err_t code = store_pg_connect(&pg->reader, deadline_ms);
    for (uint32_t tries = 0; tries < 2 && code == ERR_OK; tries++) {
        if (account_newest != NULL) {
            send_account(pg, query, *account_newest, &streams[0]);
        } else {
            for (uint32_t i = 0; i < stream_count; i++) {
                send_all(pg, query, i == 1, &streams[i]);
            }
        }
        code = store_pg_end(&pg->reader, deadline_ms);
        if (code != ERR_CLOSED) {
            break;
        }
        code = store_pg_connect(&pg->reader, deadline_ms);
    }
    return code;
}

/* --- telling --- */

static struct stream *
stream_first(struct stream *streams, uint32_t count, bool reversed)
{
    struct stream *first = NULL;
    for (uint32_t i = 0; i < count; i++) {
        if (!streams[i].has_event) {
            continue;
        }
        bool older = first != NULL && streams[i].event.timestamp < first->event.timestamp;
        if (first == NULL || older == !reversed) {
            first = &streams[i];
        }
    }
    return first;
}

static err_t
tell(
    struct stream *streams,
    uint32_t count,
    const struct store_query *query,
    store_each_event each,
    void *context)
{
    for (uint32_t i = 0; i < count; i++) {
        streams[i].row = 0;
        TRY(stream_advance(&streams[i]));
    }
    for (uint32_t found = 0; found < query->limit; found++) {
        struct stream *stream = stream_first(streams, count, query->reversed);
        if (stream == NULL || !each(context, &stream->event)) {
            return ERR_OK;
        }
        TRY(stream_advance(stream));
    }
    return ERR_OK;
}

err_t
store_pg_account_events(
    struct store *store,
    const struct store_query *query,
    store_each_event each,
    void *context,
    struct store_error *error)
{
    struct store_pg *pg = store_pg_of(store);
    ASSERT(pg->loaded);
    ASSERT(query->account_slot < pg->account_count);
    ASSERT(query->limit > 0);
    struct stream stream = {.pg = pg, .reversed = query->reversed};
    uint64_t newest = pg->heads[query->account_slot];
    err_t code = collect_account(&stream, query, &newest);
    if (code == ERR_OK && newest != 0 && newest >= query->timestamp_min) {
        code = ask(pg, query, &stream, 1, &newest);
    }
    if (code == ERR_OK) {
        code = tell(&stream, 1, query, each, context);
    }
    stream_release(&stream);
    return code == ERR_OK ? ERR_OK : store_pg_read_failed(pg, code, error);
}

err_t
store_pg_events(
    struct store *store,
    const struct store_query *query,
    bool with_expiries,
    store_each_event each,
    void *context,
    struct store_error *error)
{
    struct store_pg *pg = store_pg_of(store);
    ASSERT(pg->loaded);
    ASSERT(query->limit > 0);
    const uint32_t count = with_expiries ? 2 : 1;
    struct stream streams[2] = {
        {.pg = pg, .reversed = query->reversed},
        {.pg = pg, .reversed = query->reversed},
    };
    err_t code = ERR_OK;
    for (uint32_t i = 0; i < count && code == ERR_OK; i++) {
        code = collect(&streams[i], query, i == 1);
    }
    if (code == ERR_OK) {
        code = ask(pg, query, streams, count, NULL);
    }
    if (code == ERR_OK) {
        code = tell(streams, count, query, each, context);
    }
    stream_release(&streams[0]);
    stream_release(&streams[1]);
    return code == ERR_OK ? ERR_OK : store_pg_read_failed(pg, code, error);
}
