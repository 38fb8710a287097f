/*
 * The ledger's history in PostgreSQL (docs/internals/postgresql-ledger.md). The core decides in
 * memory; the database is the log and the tables. What belongs to whom:
 *
 *   the engine's thread  everything but what is the I/O thread's; groups that are free, open or
 *                        sealed; the session that reads
 *   the I/O thread       the session that writes; the group that is in flight, until it comes back;
 *                        the number of the last commit
 *   both                 `lost` and `lease_ends_ms`, which are atomic; what is fixed by opening
 *
 * A group's life is that of a frame of the journal:
 *
 *   FREE --> OPEN --> SEALED --> IN FLIGHT --> FREE
 *
 * PG-1  At most one transaction is under way. Deltas go into the open group meanwhile, so that the
 *       next transaction is as large as the last one was slow. A small one also waits a moment for
 *       those whom the last one has answered (postgres_gather.c).
 * PG-2  A transaction changes the row of `writer` first: from the number of commits before it,
 * under the term of this process. Whoever has lost the term, or was committed already, changes
 *       nothing.
 * PG-3  A commit whose answer did not come is looked for, by its number and under the row's lock,
 *       before anything is said of it.
 * PG-4  What is read from the database is bounded by what is known to be durable here; everything
 *       younger is read from the groups on their way. So nothing is told twice.
 * PG-5  Nothing is told when the lease may have run out by our own clock.
 * PG-6  What was adopted has places that only fall, in the order in which it came; an account's
 *       chain goes by places.
 */
#ifndef STORE_POSTGRES_H
#define STORE_POSTGRES_H

#include "store/store.h"

#include "base/buf.h"
#include "base/hash.h"
#include "base/map.h"
#include "postgres/postgres.h"

#include <libpq-fe.h>
#include <stdatomic.h>

#define STORE_PG_GROUPS 3u
/* Of one group; at least a batch with its pulse, and few enough for a transaction to be over long
 * before the lease. */
#define STORE_PG_EVENTS_MAX   16384u
#define STORE_PG_ACCOUNTS_MAX 16384u
/* Bytes of one parameter or COPY. */
#define STORE_PG_BUF_MAX     (UINT32_C(1) << 27)
#define STORE_PG_PARAMS_MAX  32
#define STORE_PG_SCHEMA_SIZE 64
/* Statements of one flush. */
#define STORE_PG_COMMANDS_MAX 64

/* --- postgres_url.c --- */

struct store_pg_options {
    char schema[STORE_PG_SCHEMA_SIZE];
    bool account_index;  /* an SQL index of each account's transfers */
    uint32_t lease_ms;   /* a writer that is silent for longer may be replaced */
    uint32_t copy_above; /* transfers in a transaction: more go by COPY */
};

/* Takes our own options out of the URL, into `ret_options`; the rest, which libpq understands, is
 * written to `ret_url` (strlen(url) + 1 bytes). ERR_INVALID with the reason in the error. */
MUST_USE err_t store_pg_url(
    const char *url,
    struct store_pg_options *ret_options,
    char *ret_url,
    struct store_error *error);

/* --- postgres_session.c --- */

enum store_pg_statement {
    STORE_PG_ONCE, /* not prepared; the text is given */
    STORE_PG_FENCE,
    STORE_PG_RENEW,
    STORE_PG_INSERT_ACCOUNTS,
    STORE_PG_INSERT_TRANSFERS,
    STORE_PG_INSERT_EXPIRIES,
    STORE_PG_INSERT_PENDINGS,
    STORE_PG_INSERT_FAILED,
    STORE_PG_INSERT_ADOPTED,
    STORE_PG_PUT_NOTE,
    STORE_PG_FINISH_PENDINGS,
    STORE_PG_FINISH_ADOPTED,
    STORE_PG_UPDATE_ACCOUNTS,
    STORE_PG_FIND_TRANSFERS,
    STORE_PG_FIND_FAILED,
    STORE_PG_FIND_ADOPTED,
    STORE_PG_FAILED_IDS,
    STORE_PG_CHAIN,
    STORE_PG_CHAIN_REVERSED,
    STORE_PG_CHAIN_ALL,
    STORE_PG_CHAIN_ALL_REVERSED,
    STORE_PG_ADOPTED,
    STORE_PG_ADOPTED_REVERSED,
    STORE_PG_INDEXED,
    STORE_PG_INDEXED_REVERSED,
    STORE_PG_TRANSFERS,
    STORE_PG_TRANSFERS_REVERSED,
    STORE_PG_EXPIRIES,
    STORE_PG_EXPIRIES_REVERSED,
    STORE_PG_LOAD_ACCOUNTS,
    STORE_PG_LOAD_PENDINGS,
    STORE_PG_LOAD_ADOPTED,
    STORE_PG_STATEMENTS,
};

/* postgres_sql.c */
extern const char *const store_pg_sql[STORE_PG_STATEMENTS];
/* In the order in which a COPY sends the columns. */
extern const char store_pg_copy_transfers[];

/* Told of a statement's result, which is borrowed; an error becomes the flush's. */
typedef err_t (*store_pg_take)(void *context, const PGresult *result);

struct store_pg_command {
    enum store_pg_statement statement;
    bool prepares;
    store_pg_take take;
    void *context;
};

/* A connection: statements are sent together and waited for once. */
struct store_pg_session {
    const struct postgres_parameters *parameters;
    PGconn *conn;                     /* NULL: down */
    uint32_t failed_attempts;         /* to connect: the URL's server that is tried next; wraps */
    uint64_t prepared;                /* statements, by bit */
    char problem[STORE_MESSAGE_SIZE]; /* what the database said last */
    char sqlstate[POSTGRES_SQLSTATE_SIZE]; /* of the last flush; empty: none */
    enum store_pg_statement failed;        /* which statement that was */
    err_t failure;                         /* of a send */
    struct store_pg_command commands[STORE_PG_COMMANDS_MAX];
    uint32_t command_count;
    struct buf params[STORE_PG_PARAMS_MAX];
};

void store_pg_session_init(
    struct store_pg_session *session, const struct postgres_parameters *parameters);
void store_pg_session_release(struct store_pg_session *session);
/* Up, or tries until the deadline, again and again: ERR_CLOSED. */
MUST_USE err_t store_pg_connect(struct store_pg_session *session, uint64_t deadline_ms);
void store_pg_disconnect(struct store_pg_session *session);
/* Adds a statement with the first `count` of session->params to the flush. */
void store_pg_send(
    struct store_pg_session *session,
    enum store_pg_statement statement,
    uint32_t count,
    store_pg_take take,
    void *context);
/* The same with a text of its own, without parameters. */
void store_pg_send_text(
    struct store_pg_session *session, const char *sql, store_pg_take take, void *context);
/* Sends and waits for everything. After an error nothing behind it was done. ERR_CLOSED: the
 * connection is gone (and disconnected), with whatever was under way. */
MUST_USE err_t store_pg_end(struct store_pg_session *session, uint64_t deadline_ms);
/* Between flushes, in a transaction or not: COPY ... FROM STDIN of these bytes. */
MUST_USE err_t store_pg_copy_in(
    struct store_pg_session *session, const char *sql, struct span bytes, uint64_t deadline_ms);
/* COPY ... TO STDOUT (FORMAT binary) of one column: `take` is told of each value. */
typedef err_t (*store_pg_take_value)(void *context, struct span value);
MUST_USE err_t store_pg_copy_out(
    struct store_pg_session *session,
    const char *sql,
    store_pg_take_value take,
    void *context,
    uint64_t deadline_ms);

/* --- postgres_field.c: values in the binary format, each behind its size --- */

void store_pg_field_null(struct buf *out);
void store_pg_field_16(struct buf *out, uint16_t value);
void store_pg_field_32(struct buf *out, uint32_t value);
void store_pg_field_64(struct buf *out, uint64_t value);
/* As uuid. */
void store_pg_field_id(struct buf *out, u128 id);
/* As numeric. */
void store_pg_field_number(struct buf *out, u128 value);
/* Parameters that are no arrays: the value without its size. */
void store_pg_param_64(struct buf *param, uint64_t value);
void store_pg_param_id(struct buf *param, u128 id);
/* NULL is 0. ERR_CORRUPT if it does not fit. */
MUST_USE err_t store_pg_get_number(const PGresult *result, int row, int column, u128 *ret_value);
/* Of four columns, in the order of the struct. Errors as above. */
MUST_USE err_t store_pg_get_balances(
    const PGresult *result, int row, int column, struct ledger_balances *ret_balances);
u128 store_pg_get_id(const PGresult *result, int row, int column);
u128 store_pg_id_of(struct span bytes);
/* A bigint, or 0 for NULL. */
uint64_t store_pg_get_64(const PGresult *result, int row, int column);

/* --- postgres_filter.c: ids that were never seen --- */

#define STORE_PG_FILTERS_MAX 16u

/* Answers "never" for sure or "perhaps"; grows by filters of twice the size. */
struct store_pg_filter {
    struct {
        uint64_t *words;
        uint64_t word_count; /* a power of two */
        uint64_t room;       /* ids */
    } parts[STORE_PG_FILTERS_MAX];

    uint32_t part_count;
    uint64_t count_max; /* ids; behind that it only says perhaps */
    uint64_t count;
    bool overflowed;
};

/* `expected` ids have room in the first one. */
void store_pg_filter_init(struct store_pg_filter *filter, uint64_t expected, uint64_t count_max);
void store_pg_filter_release(struct store_pg_filter *filter);
void store_pg_filter_add(struct store_pg_filter *filter, uint64_t hash);
bool store_pg_filter_perhaps(const struct store_pg_filter *filter, uint64_t hash);

/* --- the store --- */

/* Where an event is: a transfer's timestamp, or below zero, -1 and down, what was adopted, in the
 * order in which it came. Each is one of a kind; 0 is none. */
typedef int64_t store_pg_place_t;

struct store_pg_event {
    struct ledger_event event;
    store_pg_place_t place;        /* 0: an expiry of our own */
    store_pg_place_t debit_before; /* the account's transfer before this one; 0: none */
    store_pg_place_t credit_before;
    bool debit_stands_in; /* adopted: the account booked is a stand-in for the transfer's */
    bool credit_stands_in;
};

enum store_pg_recent_kind {
    STORE_PG_RECENT_TRANSFER,
    STORE_PG_RECENT_FAILED,
    STORE_PG_RECENT_FATE, /* what became of a pending transfer */
};

/* What a group on its way says of an id. */
struct store_pg_recent {
    struct map_link link;
    u128 id;
    uint32_t event; /* of the group, for a transfer */
    enum store_pg_recent_kind kind;
    enum ledger_fate fate;
    struct store_pg_group *group;
};

enum store_pg_group_state {
    STORE_PG_GROUP_FREE,
    STORE_PG_GROUP_OPEN,
    STORE_PG_GROUP_SEALED,
    STORE_PG_GROUP_IN_FLIGHT,
};

struct store_pg;

struct store_pg_group {
    struct os_task task; /* to the I/O thread and back */
    struct store_pg *pg;
    struct store_pg_group *next; /* the younger one, while not free */
    enum store_pg_group_state state;
    struct ledger_account *accounts;
    struct store_pg_event *events;
    u128 *failed_ids;
    struct store_pg_recent *recents;
    struct buf note; /* of the group, if it is noted */
    bool noted;
    uint64_t adopted_before; /* events that were adopted before it */
    uint32_t first_slot;     /* of its accounts */
    uint32_t account_count, event_count, failed_count, recent_count;
    uint64_t clock;
    uint64_t sequence;
    struct os_task *first_ticket, *last_ticket; /* linked by task.next */
    uint32_t ticket_count;
    uint64_t began_ns; /* its transaction */
    struct os_executor *executor;
    struct store_error error; /* written by the I/O thread */
};

/* The newest event of an account in a group, found by the I/O thread. */
struct store_pg_change {
    uint32_t slot;
    const struct ledger_event *event;
    bool debit;
    store_pg_place_t last_transfer; /* 0: unchanged */
};

/* Does the open group wait for those who were just answered (postgres_gather.c)? The engine's. */
struct store_pg_gather {
    bool under_way;
    uint32_t here;   /* tickets of the open group when it began */
    uint32_t wanted; /* until it has so many */
    uint32_t skip;   /* so many groups do not wait */
    uint32_t skips;  /* and how many that was, the last time that waiting was in vain */
};

struct store_pg {
    struct store store;
    struct store_settings settings;
    struct store_pg_options options;
    struct postgres_parameters parameters;
    char holder[96]; /* who we are, for people and for our own lease */
    struct os_loop *loop;

    /* The I/O thread's, once it runs. */
    struct store_pg_session writer;
    uint64_t term;
    uint64_t commits; /* the number of the last commit */
    struct os_timer renew_timer;
    struct os_timer gather_timer;
    struct buf rows[STORE_PG_PARAMS_MAX];
    struct store_pg_change *changes;
    uint32_t *change_of; /* by slot: index in `changes` plus 1, for the group at hand */
    uint32_t change_capacity;

    /* Both threads'. */
    atomic_bool lost;                    /* nothing more is written or told: STORE-3 */
    atomic_uint_least64_t lease_ends_ms; /* by our monotonic clock */

    /* The engine's. */
    bool loaded;
    bool failed; /* a group failed */
    struct store_error failure;
    struct store_pg_session reader;
    struct store_pg_group groups[STORE_PG_GROUPS];
    struct store_pg_group *oldest, *newest;
    struct store_pg_gather gather;
    uint64_t gather_ns;                  /* for the I/O thread: how long to wait */
    struct os_executor *gather_executor; /* and who is told that it is over */
    struct os_task gather_arm;           /* to the I/O thread */
    struct os_task gather_over; /* and back, at most one, behind which a group may follow */
    uint64_t sequence;
    struct hash_key key;
    struct map recents;
    struct store_pg_filter filter;
    store_pg_place_t *heads; /* by slot: the account's newest transfer */
    uint64_t *head_times;    /* by slot: its timestamp */
    u128 *ids;               /* by slot */
    struct buf note;         /* as loaded */
    uint64_t adopted;        /* events: -adopted is the last place */
    uint64_t durable_adopted;
    uint32_t account_count, account_capacity;
    uint64_t durable_transfer; /* the newest that is known to be durable, by timestamp */
    uint64_t durable_expiry;
};

static inline struct store_pg *
store_pg_of(struct store *store)
{
    return (struct store_pg *)(void *)store;
}

uint64_t store_pg_hash(const struct store_pg *pg, u128 id);
/* One more account; ERR_MEMORY. */
MUST_USE err_t store_pg_account_add(
    struct store_pg *pg, u128 id, store_pg_place_t last_transfer, uint64_t newest_timestamp);

/* --- postgres.c --- */

MUST_USE err_t store_pg_open(
    const char *url,
    const struct store_settings *settings,
    struct store **ret_store,
    struct store_error *error);

/* Starts the I/O thread, which also keeps the lease. */
MUST_USE err_t store_pg_start(struct store_pg *pg, struct store_error *error);

/* --- postgres_group.c: deltas on their way --- */

err_t store_pg_admit(struct store *store, uint32_t events, uint32_t accounts);
err_t store_pg_commit(
    struct store *store,
    const struct ledger_delta *delta,
    struct os_executor *executor,
    struct store_ticket *ticket);
err_t store_pg_check(struct store *store, struct store_error *error);
err_t store_pg_note_put(struct store *store, struct span text);
struct span store_pg_note_get(struct store *store);
uint64_t store_pg_newest_transfer(struct store *store, uint32_t account_slot);

/* --- postgres_term.c: who may write --- */

/* Takes the term if nobody has it. ERR_LOCKED: somebody else has. */
MUST_USE err_t store_pg_term_take(
    struct store_pg *pg, uint64_t *ret_clock, uint64_t deadline_ms, struct store_error *error);
/* Says that we are still there. ERR_STALE: another has taken over. */
MUST_USE err_t store_pg_term_renew(struct store_pg *pg, uint64_t deadline_ms);
/* Gives the term back, so that nobody has to wait for the lease to run out. */
void store_pg_term_release(struct store_pg *pg);
/* Adds to the flush what makes a transaction ours (PG-2). */
void store_pg_term_fence(struct store_pg *pg, uint64_t commit, uint64_t clock);
/* PG-3: ERR_OK: commit `number` is there. ERR_BUSY: it is not, and cannot come any more from an old
 * session once that number is written again. ERR_STALE: another has taken over. ERR_CLOSED. */
MUST_USE err_t
store_pg_term_find_commit(struct store_pg *pg, uint64_t number, uint64_t deadline_ms);

/* --- postgres_write.c: on the I/O thread --- */

/* Makes a group durable; group->error says how it went. */
void store_pg_write(struct store_pg *pg, struct store_pg_group *group);

/* --- postgres_load.c --- */

err_t store_pg_load(struct store *store, struct ledger *ledger, struct store_error *error);

/* --- postgres_schema.c --- */

/* Of the tables that this program works with. */
#define STORE_PG_LAYOUT 2

/* 0: there are no tables yet. */
MUST_USE err_t
store_pg_layout(struct store_pg_session *session, uint64_t deadline_ms, int64_t *ret_layout);
/* Makes the tables if they are not there; those of an older program may stay as they are.
 * ERR_VERSION: they are of a newer program. */
MUST_USE err_t store_pg_tables(
    struct store_pg_session *session,
    const struct store_pg_options *options,
    uint64_t deadline_ms,
    struct store_error *error);
/* Brings tables of an older program to what this one works with, once the term is ours. */
MUST_USE err_t store_pg_upgrade(
    struct store_pg_session *session,
    const struct store_pg_options *options,
    struct store_error *error);
/* Makes or drops the accounts' index. */
MUST_USE err_t
store_pg_account_index(struct store_pg_session *session, bool wanted, struct store_error *error);

/* --- postgres_read.c --- */

/* Columns of a row of store_pg_sql's SELECTs of transfers, in their order. */
enum store_pg_column {
    STORE_PG_TIMESTAMP,
    STORE_PG_ID,
    STORE_PG_DEBIT_ACCOUNT,
    STORE_PG_CREDIT_ACCOUNT,
    STORE_PG_AMOUNT,
    STORE_PG_PENDING_ID,
    STORE_PG_USER_DATA_128,
    STORE_PG_USER_DATA_64,
    STORE_PG_USER_DATA_32,
    STORE_PG_TIMEOUT,
    STORE_PG_LEDGER,
    STORE_PG_CODE,
    STORE_PG_FLAGS,
    STORE_PG_KIND,
    STORE_PG_DEBIT_FLAGS,
    STORE_PG_CREDIT_FLAGS,
    STORE_PG_BALANCES, /* four of the debit account, four of the credit account */
    STORE_PG_EVENT_TIMESTAMP = STORE_PG_BALANCES + 8,
    STORE_PG_COLUMNS,
};

/* Behind them, where rows may be of adopted events. */
enum store_pg_place_column {
    STORE_PG_PLACE = STORE_PG_COLUMNS, /* NULL: it happened here */
    STORE_PG_DEBIT_NAME, /* NULL: the account's own id; else it is a stand-in for this one */
    STORE_PG_CREDIT_NAME,
    STORE_PG_PLACED_COLUMNS,
};

/* ERR_CORRUPT: a value is impossible. */
MUST_USE err_t store_pg_get_event(
    const struct store_pg *pg, const PGresult *result, int row, struct ledger_event *ret_event);
/* The same with the columns of enum store_pg_place_column. */
MUST_USE err_t store_pg_get_placed(
    const struct store_pg *pg, const PGresult *result, int row, struct ledger_event *ret_event);
err_t store_pg_read_failed(const struct store_pg *pg, err_t code, struct store_error *error);
err_t store_pg_look_up(
    struct store *store,
    const u128 *ids,
    uint32_t count,
    struct ledger_past *past,
    struct store_error *error);

/* Ids in the order in which they were used up; those that are not durable yet may be missing. */
err_t store_pg_failed_ids(
    struct store *store,
    uint64_t from,
    store_each_failed each,
    void *context,
    struct store_error *error);

/* --- postgres_events.c --- */

err_t store_pg_account_events(
    struct store *store,
    const struct store_query *query,
    store_each_event each,
    void *context,
    struct store_error *error);
err_t store_pg_events(
    struct store *store,
    const struct store_query *query,
    bool with_expiries,
    store_each_event each,
    void *context,
    struct store_error *error);

/* --- postgres_gather.c */

#define STORE_PG_GATHER_MAX_NS (1000 * OS_NS_PER_US)

/* Of the transaction that just ended. */
struct store_pg_gather_from {
    uint32_t answered; /* its tickets */
    uint32_t here;     /* tickets of the open group */
    uint32_t events;   /* of both */
    uint64_t took_ns;
};

/* How long the open group waits at most; 0: it does not. */
uint64_t store_pg_gather_begin(struct store_pg_gather *gather, struct store_pg_gather_from from);
bool store_pg_gather_waits(const struct store_pg_gather *gather, uint32_t tickets);
/* The time is over, or the group goes. Without effect if nothing is under way. */
void store_pg_gather_end(struct store_pg_gather *gather, uint32_t tickets);

#endif
