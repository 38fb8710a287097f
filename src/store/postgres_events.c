/*
 * Queries. The database has what is durable, the groups on their way have what is younger (PG-4);
 * of our own transfers and expiries each has its part in order, so one follows the other. What was
 * adopted came in another order than that of its times, so the two are merged.
 */
#include "journal_scan.h"
#include "postgres.h"
#include "query.h"

#include <stdlib.h>

/* Rows of one question, at least, where a condition of the query's is tried here. */
#define FILTERED_ROWS 256u

enum kind {
    TRANSFERS, /* of our own: the database's rows and the groups' events, or the other way round */
    EXPIRIES,
    ADOPTED,        /* the database's rows */
    ADOPTED_RECENT, /* the groups' events */
    ACCOUNT,        /* all transfers of one account, which are in order whatever they are */
};

/* Events in the order of the query. */
struct stream {
    struct store_pg *pg;
    const struct store_query *query;
    enum kind kind;
    bool with_expiries; /* of ADOPTED, ADOPTED_RECENT */
    PGresult *rows;     /* owned; NULL: none were asked for */
    int row;
    uint32_t rows_max; /* that were asked for */
    /* Where the rows begin that are asked for: a time, and how many events of it were told. */
    uint64_t from;
    uint32_t skip;
    store_pg_place_t newest;              /* ACCOUNT: its newest transfer that is durable */
    const struct store_pg_event **recent; /* by rising timestamps; owned */
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

/* --- the groups on their way --- */

static bool
stream_recent(struct stream *stream)
{
    if (stream->recent_next == stream->recent_count) {
        return false;
    }
    uint32_t at = stream->recent_next++;
    at = stream->query->reversed ? stream->recent_count - 1 - at : at;
    stream->event = stream->recent[at]->event;
    return true;
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

static bool
is_of_kind(const struct stream *stream, const struct ledger_event *event)
{
    bool expiry = event->kind == LEDGER_EVENT_TWO_PHASE_EXPIRED;
    if (stream->kind == ADOPTED_RECENT) {
        return event->adopted != 0 && (stream->with_expiries || !expiry);
    }
    return event->adopted == 0 && expiry == (stream->kind == EXPIRIES);
}

/* By time, and then as they came. */
static int
compare_events(const void *a, const void *b)
{
    const struct store_pg_event *one = *(const struct store_pg_event *const *)a;
    const struct store_pg_event *other = *(const struct store_pg_event *const *)b;
    if (one->event.timestamp != other->event.timestamp) {
        return one->event.timestamp < other->event.timestamp ? -1 : 1;
    }
    return (one->place < other->place) - (one->place > other->place);
}

/* Finds what matches in the groups on their way, of all accounts. */
static err_t
collect(struct stream *stream)
{
    TRY(recent_create(stream));
    for (const struct store_pg_group *group = stream->pg->oldest; group != NULL;
         group = group->next) {
        for (uint32_t i = 0; i < group->event_count; i++) {
            const struct ledger_event *event = &group->events[i].event;
            if (is_of_kind(stream, event) && store_query_matches(stream->query, event)) {
                stream->recent[stream->recent_count++] = &group->events[i];
            }
        }
    }
    if (stream->kind == ADOPTED_RECENT) {
        qsort(
            (void *)stream->recent, stream->recent_count, sizeof(*stream->recent), compare_events);
    }
    return ERR_OK;
}

/* Of one account. Its newest transfer that is durable is the one before its first in the groups. */
static err_t
collect_account(struct stream *stream)
{
    const struct store_query *query = stream->query;
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
                stream->newest = debit ? kept->debit_before : kept->credit_before;
                first = false;
            }
            if (is_of_account(query, event) && store_query_matches(query, event)) {
                stream->recent[stream->recent_count++] = kept;
            }
        }
    }
    return ERR_OK;
}

/* --- the database --- */

static err_t
keep_rows(void *context, const PGresult *result)
{
    struct stream *stream = context;
    PQclear(stream->rows);
    stream->rows = PQcopyResult(result, PG_COPYRES_ATTRS | PG_COPYRES_TUPLES);
    stream->row = 0;
    return stream->rows == NULL ? ERR_MEMORY : ERR_OK;
}

/* What is not known to be durable is not read; what was adopted is bounded by its place. */
static uint64_t
bound_of(const struct stream *stream)
{
    const struct store_pg *pg = stream->pg;
    switch (stream->kind) {
    case TRANSFERS:
        return pg->durable_transfer;
    case EXPIRIES:
        return pg->durable_expiry;
    case ACCOUNT:
        return pg->adopted == 0 ? pg->durable_transfer : INT64_MAX;
    case ADOPTED:
    case ADOPTED_RECENT:
        break;
    }
    return INT64_MAX;
}

/* $1 ... $8 of every question. */
static void
params_fill(const struct stream *stream)
{
    const struct store_query *query = stream->query;
    struct store_pg_session *session = &stream->pg->reader;
    uint64_t bound = bound_of(stream);
    uint64_t max =
        query->timestamp_max == 0 || query->timestamp_max > bound ? bound : query->timestamp_max;
    uint64_t min = query->timestamp_min > INT64_MAX ? INT64_MAX : query->timestamp_min;
    if (query->reversed) {
        max = stream->from < max ? stream->from : max;
    } else {
        min = stream->from > min ? stream->from : min;
    }
    store_pg_param_64(&session->params[0], min);
    store_pg_param_64(&session->params[1], max);
    store_pg_param_id(&session->params[2], query->user_data_128);
    buf_clear(&session->params[3]);
    store_pg_field_number(&session->params[3], query->user_data_64);
    buf_consume(&session->params[3], sizeof(int32_t)); /* a parameter has its size apart */
    store_pg_param_64(&session->params[4], query->user_data_32);
    store_pg_param_64(&session->params[5], query->ledger);
    store_pg_param_64(&session->params[6], query->code);
    store_pg_param_64(&session->params[7], stream->rows_max);
}

static void
send_account(struct stream *stream)
{
    const struct store_query *query = stream->query;
    struct store_pg *pg = stream->pg;
    enum store_pg_statement statement = STORE_PG_CHAIN;
    if (pg->adopted > 0) { /* an order by account would have two parts */
        statement = query->reversed ? STORE_PG_CHAIN_ALL_REVERSED : STORE_PG_CHAIN_ALL;
    } else if (pg->options.account_index) {
        statement = query->reversed ? STORE_PG_INDEXED_REVERSED : STORE_PG_INDEXED;
    } else if (query->reversed) {
        statement = STORE_PG_CHAIN_REVERSED;
    }
    store_pg_param_64(&pg->reader.params[8], query->account_slot);
    store_pg_param_64(&pg->reader.params[9], (uint64_t)stream->newest);
    store_pg_param_64(&pg->reader.params[10], query->sides);
    store_pg_send(&pg->reader, statement, 11, keep_rows, stream);
}

static void
send_adopted(struct stream *stream)
{
    struct store_pg *pg = stream->pg;
    bool reversed = stream->query->reversed;
    store_pg_place_t last = -(store_pg_place_t)pg->durable_adopted;
    store_pg_param_64(&pg->reader.params[8], (uint64_t)last);
    store_pg_param_64(&pg->reader.params[9], stream->with_expiries);
    store_pg_param_64(&pg->reader.params[10], pg->durable_expiry);
    store_pg_param_64(&pg->reader.params[11], stream->skip);
    store_pg_send(
        &pg->reader,
        reversed ? STORE_PG_ADOPTED_REVERSED : STORE_PG_ADOPTED,
        12,
        keep_rows,
        stream);
}

static void
stream_send(struct stream *stream)
{
    bool reversed = stream->query->reversed;
    struct store_pg_session *session = &stream->pg->reader;
    params_fill(stream);
    switch (stream->kind) {
    case TRANSFERS:
        store_pg_send(
            session,
            reversed ? STORE_PG_TRANSFERS_REVERSED : STORE_PG_TRANSFERS,
            8,
            keep_rows,
            stream);
        break;
    case EXPIRIES:
        store_pg_send(
            session,
            reversed ? STORE_PG_EXPIRIES_REVERSED : STORE_PG_EXPIRIES,
            8,
            keep_rows,
            stream);
        break;
    case ADOPTED:
        send_adopted(stream);
        break;
    case ACCOUNT:
        send_account(stream);
        break;
    case ADOPTED_RECENT:
        break; /* nothing of it is in the database */
    }
}

/* All in one round trip; once more on a new connection. */
static err_t
ask(struct stream *streams, uint32_t count)
{
    struct store_pg *pg = streams[0].pg;
    uint64_t deadline_ms = atomic_load(&pg->lease_ends_ms);
    err_t code = store_pg_connect(&pg->reader, deadline_ms);
    for (uint32_t tries = 0; tries < 2 && code == ERR_OK; tries++) {
        for (uint32_t i = 0; i < count; i++) {
            stream_send(&streams[i]);
        }
        code = store_pg_end(&pg->reader, deadline_ms);
        if (code != ERR_CLOSED) {
            break;
        }
        code = store_pg_connect(&pg->reader, deadline_ms);
    }
    return code;
}

static uint64_t
happened(const struct stream *stream, int row)
{
    return store_pg_get_64(stream->rows, row, STORE_PG_EVENT_TIMESTAMP);
}

/* All rows were looked at, and more may follow, from the last one's time on. Of our own no two have
 * one time; of adopted ones so many are skipped. False: none can follow. */
static bool
stream_goes_on(struct stream *stream)
{
    int count = PQntuples(stream->rows);
    if (count < (int)stream->rows_max) {
        return false;
    }
    uint64_t last = happened(stream, count - 1);
    bool reversed = stream->query->reversed;
    if (stream->kind != ADOPTED) {
        stream->from = reversed ? last - 1 : last + 1;
        return last > 0;
    }
    uint32_t same = 0;
    while (same < (uint32_t)count && happened(stream, count - 1 - (int)same) == last) {
        same++;
    }
    stream->skip = last == stream->from ? stream->skip + same : same;
    stream->from = last;
    return true;
}

/* The next row that the query wants. */
static err_t
stream_row(struct stream *stream)
{
    const struct store_query *query = stream->query;
    bool placed = stream->kind == ADOPTED || (stream->kind == ACCOUNT && stream->pg->adopted > 0);
    while (stream->rows != NULL) {
        while (stream->row < PQntuples(stream->rows)) {
            int row = stream->row++;
            TRY(placed ? store_pg_get_placed(stream->pg, stream->rows, row, &stream->event)
                       : store_pg_get_event(stream->pg, stream->rows, row, &stream->event));
            if (query->wanted == NULL || query->wanted(query->wanted_context, &stream->event)) {
                stream->has_event = true;
                return ERR_OK;
            }
        }
        if (query->wanted == NULL || !stream_goes_on(stream)) {
            return ERR_OK;
        }
        TRY(ask(stream, 1));
    }
    return ERR_OK;
}

static err_t
stream_advance(struct stream *stream)
{
    stream->has_event = stream->query->reversed && stream_recent(stream);
    if (!stream->has_event) {
        TRY(stream_row(stream));
    }
    if (!stream->has_event && !stream->query->reversed) {
        stream->has_event = stream_recent(stream);
    }
    return ERR_OK;
}

/* --- telling --- */

/* Of one time: our own first, in either direction, as of a journal. */
static struct stream *
stream_first(struct stream *streams, uint32_t count, bool reversed)
{
    struct stream *first = NULL;
    for (uint32_t i = 0; i < count; i++) {
        if (!streams[i].has_event) {
            continue;
        }
        uint64_t than = first == NULL ? 0 : first->event.timestamp;
        uint64_t timestamp = streams[i].event.timestamp;
        if (first == NULL || (reversed ? timestamp > than : timestamp < than)) {
            first = &streams[i];
        }
    }
    return first;
}

static err_t
tell(struct stream *streams, uint32_t count, store_each_event each, void *context)
{
    const struct store_query *query = streams[0].query;
    for (uint32_t i = 0; i < count; i++) {
        TRY(stream_advance(&streams[i]));
    }
    for (uint32_t found = 0; found < query->limit; found++) {
        struct stream *stream = stream_first(streams, count, query->reversed);
        if (stream == NULL || !each(context, &stream->event)) {
            return ERR_OK;
        }
        if (found + 1 < query->limit) {
            TRY(stream_advance(stream));
        }
    }
    return ERR_OK;
}

static struct stream
stream_of(struct store_pg *pg, const struct store_query *query, enum kind kind)
{
    bool few = query->wanted != NULL && query->limit < FILTERED_ROWS;
    return (struct stream){
        .pg = pg,
        .query = query,
        .kind = kind,
        .rows_max = few ? FILTERED_ROWS : query->limit,
        .from = query->reversed ? INT64_MAX : 0,
    };
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
    ASSERT(query->wanted == NULL);
    struct stream stream = stream_of(pg, query, ACCOUNT);
    stream.newest = pg->heads[query->account_slot];
    err_t code = collect_account(&stream);
    if (code == ERR_OK && stream.newest != 0 &&
        pg->head_times[query->account_slot] >= query->timestamp_min) {
        code = ask(&stream, 1);
    }
    if (code == ERR_OK) {
        code = tell(&stream, 1, each, context);
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

    /* What is on its way came later than what is durable. */
    static const enum kind oldest_first[ACCOUNT] = {TRANSFERS, EXPIRIES, ADOPTED, ADOPTED_RECENT};

    static const enum kind newest_first[ACCOUNT] = {TRANSFERS, EXPIRIES, ADOPTED_RECENT, ADOPTED};
    struct stream streams[ACCOUNT];
    uint32_t count = 0;
    err_t code = ERR_OK;
    ASSERT(pg->loaded);
    ASSERT(query->limit > 0);
    for (int i = 0; i < ACCOUNT && code == ERR_OK; i++) {
        enum kind kind = (query->reversed ? newest_first : oldest_first)[i];
        if ((kind == EXPIRIES && !with_expiries) || (kind >= ADOPTED && pg->adopted == 0)) {
            continue;
        }
        struct stream *stream = &streams[count++];
        *stream = stream_of(pg, query, kind);
        stream->with_expiries = with_expiries;
        code = kind == ADOPTED ? ERR_OK : collect(stream);
    }
    if (code == ERR_OK) {
        code = ask(streams, count);
    }
    if (code == ERR_OK) {
        code = tell(streams, count, each, context);
    }
    for (uint32_t i = 0; i < count; i++) {
        stream_release(&streams[i]);
    }
    return code == ERR_OK ? ERR_OK : store_pg_read_failed(pg, code, error);
}
