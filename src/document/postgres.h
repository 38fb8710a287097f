/* What the files of the PostgreSQL store share. */
#ifndef DOCUMENT_POSTGRES_H
#define DOCUMENT_POSTGRES_H

#include "document/document.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/map.h"
#include "postgres/postgres.h"

#include <libpq-fe.h>
#include <stdatomic.h>

#define DOCUMENT_PG_SQL_SIZE 4096
/* Parameters of a statement: scope, id, base, version, body, the columns, a count. */
#define DOCUMENT_PG_PARAMS_MAX (6 + DOCUMENT_COLUMNS_MAX)
/* Statements of one flush. */
#define DOCUMENT_PG_COMMANDS_MAX 4096
/* Shapes of lists that are kept prepared, per kind; the oldest gives way. */
#define DOCUMENT_PG_SHAPES_MAX 16
/* Rows that a transaction and its reads may keep in memory. */
#define DOCUMENT_PG_ROWS_MAX   (1U << 20)
#define DOCUMENT_PG_ARENA_MAX  (1U << 30)
#define DOCUMENT_PG_OWNERS_MAX 65536
/* Works that one process does for all. */
#define DOCUMENT_PG_WORKS_MAX 16
/* Locks that are given back with one flush. */
#define DOCUMENT_PG_UNLOCKS_MAX 4096

/* A statement with a name; prepared in the session whose number it carries. */
struct document_pg_statement {
    uint64_t session; /* 0: never */
    char name[32];
};

struct document_pg_shape {
    uint64_t shape;
    struct document_pg_statement statement;
};

/* The statements of one kind. */
struct document_pg_kind {
    const struct document_kind *kind;
    struct document_pg_statement get, insert, insert_unless_there, remove, list_final;
    struct document_pg_statement updates[1U << DOCUMENT_COLUMNS_MAX]; /* by columns not written */
    struct document_pg_shape shapes[DOCUMENT_PG_SHAPES_MAX];
    uint32_t shape_count;
    uint32_t shape_oldest;
    uint32_t dirty; /* rows of the open transaction */
};

struct document_pg_owner {
    struct document_pg_owner *next;
    const void *owner;
    bool wrote;
};

/* A row as this process sees it: as it was read, or as the open transaction leaves it. */
struct document_pg_row {
    struct map_link link;
    struct document_pg_row *next; /* in the order in which they came */
    struct document_pg_kind *of;
    uint64_t scope;
    struct span id;
    uint32_t base;      /* the version in the database; 0: not there */
    uint32_t version;   /* now; 0: not there */
    uint32_t unwritten; /* columns that are as in the database */
    bool dirty;
    bool unless_there;
    bool checked; /* while looking for who lost: seen in the database as `base` says */
    bool gone;    /* not in the map any more */
    struct span body;
    struct document_value columns[DOCUMENT_COLUMNS_MAX];
    struct document_pg_owner *owners;
};

/* What a prefetched list brought. */
struct document_pg_listed {
    struct document_pg_listed *next;
    struct document_pg_kind *of;
    struct span key; /* the query, in bytes */
    struct document_row *rows;
    uint32_t count;
    bool complete; /* its result came */
};

struct document_pg;

/* Told of a result; an error ends the flush with it. */
typedef err_t (*document_pg_result)(void *context, const PGresult *result);

enum document_pg_command_kind {
    DOCUMENT_PG_PREPARE,
    DOCUMENT_PG_EXECUTE,
};

struct document_pg_command {
    enum document_pg_command_kind kind;
    struct document_pg_statement *statement;
    document_pg_result result; /* NULL: only that it worked */
    void *context;
};

enum document_pg_state {
    DOCUMENT_PG_DOWN,
    DOCUMENT_PG_CONNECTING,
    DOCUMENT_PG_UP,
};

/* Which shard of several the database is: postgres_shard.c. */
struct document_pg_identity {
    char name[32]; /* of its shard; empty: it has all documents */
    uint64_t epoch;
    /* Of who moves rows, and has the shard alone: the epoch after the move; 0: who works with it.
     */
    uint64_t next;
    /* Whether the map has the rows of a scope there. */
    bool (*owns)(const void *context, uint64_t scope);
    const void *context;
};

/* A work that one process leads, by a lock of its session. */
struct document_pg_work {
    const char *name;
    uint64_t session; /* in which it leads; 0: it does not */
    uint64_t asked_ms;
};

struct document_pg {
    struct document_store store; /* first */

    /* The connection: postgres_connect.c. */
    struct postgres_parameters parameters; /* of the URL, and what we add */
    PGconn *conn;
    enum document_pg_state state;
    uint64_t session; /* counts connections that came up */
    uint64_t attempt_deadline_ms;
    uint32_t failed_attempts; /* to connect: the URL's server that is tried next; wraps */
    uint64_t next_attempt_ms;
    uint64_t backoff_ms;
    bool hangs; /* a shard, when it was last connected; nobody waits for it any more */
    _Atomic bool is_up;
    _Atomic int64_t clock_offset_ns;     /* of the database's clock from our monotonic one */
    int64_t wall_offset_ns;              /* of our wall clock from it, when they were compared */
    char problem[DOCUMENT_MESSAGE_SIZE]; /* what the database said last */

    struct document_pg_identity identity;
    bool claimed;   /* a session found the database as `identity` says */
    bool is_called; /* somebody wants the shard alone, or has it by another map */

    /* This process among others. */
    char node[33];
    uint64_t commits; /* number of the last transaction that was tried */
    bool in_doubt;    /* whether that one was committed is not known */
    bool last_committed;

    /* One flush: postgres_pipe.c. */
    struct document_pg_command *commands;
    uint32_t command_count;
    err_t failure; /* of a send */
    char sqlstate[POSTGRES_SQLSTATE_SIZE];
    uint32_t failed_command;
    bool departed; /* all of it is handed to libpq, which is waited for by document_pg_end_flush */
    struct buf params[DOCUMENT_PG_PARAMS_MAX];
    uint64_t round_trips;

    /* The transaction: postgres_rows.c. */
    bool in_transaction;
    err_t write_failure;
    const void *owner;
    struct arena arena; /* of rows, lists and owners */
    struct map rows;
    struct document_pg_row *first_row, **last_row;
    uint32_t dirty_count;
    struct document_pg_listed *listed;
    const void **lost; /* of the open transaction, or the last one */
    uint32_t lost_count;
    bool saw_dirty; /* a read met a row of the open transaction; cleared by who asks */

    /* The commit: postgres_commit.c. */
    struct document_pg_row **trying; /* the rows that are sent */
    uint32_t trying_count;
    uint32_t commit_command; /* the first command behind the COMMIT */
    err_t first_sent;

    int64_t unlocks[DOCUMENT_PG_UNLOCKS_MAX];
    uint32_t unlock_count;
    struct document_pg_work works[DOCUMENT_PG_WORKS_MAX];
    uint32_t work_count;

    struct document_pg_statement node_commit, lock, unlock, lead, read_clock;
    uint32_t kind_count;
    struct document_pg_kind kinds[];
};

static inline struct document_pg *
document_pg_of(struct document_store *store)
{
    return (struct document_pg *)(void *)store;
}

/* postgres.c: document_store_open of postgres://...; `identity` may be NULL. */
MUST_USE err_t document_pg_open(
    const char *url,
    const struct document_pg_identity *identity,
    const struct document_kind *const *kinds,
    uint32_t kind_count,
    struct document_store **ret_store,
    char message[DOCUMENT_MESSAGE_SIZE]);
struct document_pg_kind *document_pg_kind(struct document_pg *pg, const struct document_kind *kind);

/* --- postgres_connect.c --- */
MUST_USE err_t
document_pg_parse(struct document_pg *pg, const char *url, char message[DOCUMENT_MESSAGE_SIZE]);
/* Up, or an error at once; goes on with an attempt to connect, for `wait_ms` at most. */
MUST_USE err_t document_pg_connect(struct document_pg *pg, uint32_t wait_ms);
/* The connection is of no use any more. */
void document_pg_disconnect(struct document_pg *pg);
/* Until the database's clock has been read: it is as ours. */
void document_pg_clock_init(struct document_pg *pg);
/* Compares clocks again if our wall clock has jumped. Outside of a transaction. */
void document_pg_clock_check(struct document_pg *pg);
/* After a commit whose answer did not come: connects again, for a bounded time, and looks. ERR_OK
 * (it is there), ERR_CLOSED (it is not and never will be) or ERR_OUTCOME_UNKNOWN. */
MUST_USE err_t document_pg_resolve(struct document_pg *pg);

/* --- postgres_pipe.c: statements in a pipeline, with one wait for all of them --- */
MUST_USE err_t document_pg_begin_flush(struct document_pg *pg);
/* For those that make the connection. */
void document_pg_empty_flush(struct document_pg *pg);
/* A plain statement without parameters or result. */
void document_pg_send(struct document_pg *pg, const char *sql);

/* True: it has to be prepared, and the caller gives the text. */
static inline bool
document_pg_is_new(const struct document_pg *pg, const struct document_pg_statement *statement)
{
    return statement->session != pg->session;
}

/* The first `count` of pg->params. `sql` is read if the statement is new. */
void document_pg_execute(
    struct document_pg *pg,
    struct document_pg_statement *statement,
    const char *sql,
    uint32_t count,
    document_pg_result result,
    void *context);
/* Sends the flush on its way and does not wait; before document_pg_end_flush, if several databases
 * work at once. */
void document_pg_depart(struct document_pg *pg);
/* Sends, waits, hands out the results. After an error nothing that followed it was done. */
MUST_USE err_t document_pg_end_flush(struct document_pg *pg);
/* The message of a result or a connection, on one line. */
void document_pg_note(struct document_pg *pg, const char *text);

/* Parameters, in the binary format. */
void document_pg_param_integer(struct buf *param, int64_t value);
void document_pg_param_text(struct buf *param, struct span text);
void document_pg_array_begin(struct buf *param, enum document_column_type type, uint32_t count);
void document_pg_array_integer(struct buf *param, int64_t value);
void document_pg_array_text(struct buf *param, struct span text);
void document_pg_array_value(
    struct buf *param, enum document_column_type type, const struct document_value *value);
void document_pg_result_row(
    const PGresult *result, int at, const struct document_kind *kind, struct document_row *ret_row);

/* --- postgres_rows.c: the rows of a transaction, in memory --- */
MUST_USE bool document_pg_text_is_storable(struct span text);
struct document_pg_row *document_pg_row_find(
    struct document_pg *pg, const struct document_kind *kind, uint64_t scope, struct span id);
/* A row as it was read; NULL row: it is not there. */
MUST_USE err_t document_pg_row_keep(
    struct document_pg *pg,
    struct document_pg_kind *of,
    uint64_t scope,
    struct span id,
    const struct document_row *read,
    struct document_pg_row **ret_row);
void document_pg_row_note_owner(struct document_pg *pg, struct document_pg_row *row, bool wrote);
/* What was read may have changed. Rows of the open transaction stay. */
void document_pg_forget_reads(struct document_pg *pg);
/* Everything. */
void document_pg_forget(struct document_pg *pg);
void document_pg_row_drop(struct document_pg *pg, struct document_pg_row *row);
err_t document_pg_get(
    struct document_store *store,
    const struct document_kind *kind,
    uint64_t scope,
    struct span id,
    struct arena *arena,
    struct document_row *ret_row);
err_t document_pg_insert(
    struct document_store *store, const struct document_kind *kind, const struct document_row *row);
err_t document_pg_update(
    struct document_store *store, const struct document_kind *kind, const struct document_row *row);
err_t document_pg_remove(
    struct document_store *store,
    const struct document_kind *kind,
    uint64_t scope,
    struct span id,
    uint32_t version);

/* --- postgres_read.c --- */
/* "SELECT t.id, t.version, t.body, t.scope, COLUMNS FROM KIND t". */
void document_pg_sql_selected(struct buf *sql, const struct document_kind *kind);

/* Part of a flush: these rows, by scope and id. */
struct document_pg_ids {
    const uint64_t *scopes;
    const struct span *ids;
    uint32_t count;
};

void document_pg_send_get(
    struct document_pg *pg,
    struct document_pg_kind *of,
    struct document_pg_ids asked,
    document_pg_result result,
    void *context);
/* Part of a flush: whatever was read before is read again. ERR_FULL. */
MUST_USE err_t document_pg_send_reads_again(struct document_pg *pg);
/* One row from the database into memory. */
MUST_USE err_t document_pg_fetch(
    struct document_pg *pg,
    struct document_pg_kind *of,
    uint64_t scope,
    struct span id,
    struct document_pg_row **ret_row);
/* The first half: what is sent has to be waited for by document_pg_end_flush. */
MUST_USE err_t document_pg_prefetch_send(
    struct document_pg *pg, const struct document_wish *wishes, uint32_t count, bool *ret_sent);
err_t document_pg_prefetch(
    struct document_store *store, const struct document_wish *wishes, uint32_t count);

/* --- postgres_list.c --- */
void document_pg_send_list(
    struct document_pg *pg,
    struct document_pg_kind *of,
    const struct document_query *query,
    uint64_t limit,
    document_pg_result result,
    void *context);
/* The query in bytes, for comparing: in the arena. */
struct span document_pg_query_key(struct arena *arena, const struct document_query *query);
err_t document_pg_list(
    struct document_store *store,
    const struct document_kind *kind,
    const struct document_query *query,
    document_each each,
    void *context);

/* --- postgres_commit.c --- */
err_t document_pg_commit(struct document_store *store);
/* Among others of a group that goes to several databases: sends the first try and does not wait;
 * document_pg_commit waits for it. */
void document_pg_commit_send(struct document_pg *pg);

/* --- postgres_lost.c --- */
/* Compares every row that is written with the database. */
MUST_USE err_t document_pg_lost_by_version(
    struct document_pg *pg, struct document_pg_row *const *rows, uint32_t count);
/* Only once the rest agrees: a value may have been in the way of a row that has lost anyway. */
MUST_USE err_t document_pg_lost_by_value(
    struct document_pg *pg, struct document_pg_row *const *rows, uint32_t count);
/* From those who lost to those who built on what they wrote, and away with all of it. */
void document_pg_lost_drop(struct document_pg *pg);
bool document_pg_has_lost(const struct document_pg *pg, const void *owner);
/* Before the commit: the owner has lost already; its writes go, and whoever built on them. */
void document_pg_lose(struct document_pg *pg, const void *owner);

/* --- postgres_lock.c --- */
err_t document_pg_lock(struct document_store *store, struct document_lock *locks, uint32_t count);
void document_pg_unlock(struct document_store *store, uint64_t scope, struct span id);
/* Part of a flush: what was unlocked since the last one. */
void document_pg_send_unlocks(struct document_pg *pg);
bool document_pg_lead(struct document_store *store, const char *work);

/* --- postgres_order.c: kinds whose rows have an order --- */
#define DOCUMENT_PG_ORDER_COLUMN "commit_number"
const char *document_pg_order_name(struct document_store *store, uint32_t at);
err_t document_pg_list_final(
    struct document_store *store,
    const struct document_kind *kind,
    const struct document_place *behind,
    uint32_t limit,
    document_each_final each,
    void *context);
/* What a migration has to run, if there is something: statements that each end with ';'. */
void document_pg_sql_order_table(struct buf *sql);
void document_pg_sql_order(struct buf *sql, const struct document_kind *kind);
/* Whether numbers are from another cluster, which is ahead of this one; and what is done then. */
void document_pg_sql_is_ahead(struct buf *sql, const struct document_kind *kind);
void document_pg_sql_go_ahead(struct buf *sql, const struct document_kind *kind, int64_t base);

/* --- postgres_migrate.c --- */
/* Layouts: 1; 2 is that of a shard, which programs that know no shards must not open; from 3 on
 * those of rows of newer generations (document_kind), from the second one on. */
#define DOCUMENT_PG_LAYOUT                 1
#define DOCUMENT_PG_LAYOUT_SHARD           2
#define DOCUMENT_PG_LAYOUT_OF(generation_) ((generation_) + 1)
MUST_USE err_t document_pg_migrate(struct document_pg *pg, char message[DOCUMENT_MESSAGE_SIZE]);
/* Statements of `sql`, which each end with ';', and a note that `name` ran: one transaction. */
MUST_USE err_t document_pg_apply(struct document_pg *pg, const char *name, char *sql);

/* --- postgres_shard.c --- */
/* The first statements of a session. ERR_MOVED, ERR_LOCKED, ERR_VERSION: it is not what this
 * process opens, as pg->problem says. */
MUST_USE err_t document_pg_shard_claim(struct document_pg *pg);
/* Gives up what the claim locked, before the connection ends: whoever comes next is let in at once,
 * not when the server has noticed. */
void document_pg_shard_release(struct document_pg *pg);
#define DOCUMENT_PG_SHARD_CHANNEL "tael_shard"
/* Between transactions. Whether somebody wants the shard alone, or a session was refused because
 * it is on its way or another epoch's. Asks nobody: it looks at what the connection has received.
 */
bool document_pg_shard_is_called(struct document_pg *pg);
/* Lets others have the shard alone. Nothing may be asked of it until it has been entered again. */
void document_pg_shard_leave(struct document_pg *pg);
/* Back, by the map of that epoch. ERR_LOCKED: somebody has it alone; ERR_MOVED: it is of another
 * epoch; leave it then. ERR_OK, too, without a connection: the next one claims it. */
MUST_USE err_t document_pg_shard_enter(struct document_pg *pg, uint64_t epoch);
/* Part of a migration: an empty database, or one whose rows the map has there, becomes the shard
 * that `identity` names. ERR_MOVED, ERR_LOCKED, with the message. */
MUST_USE err_t document_pg_shard_adopt(struct document_pg *pg, char message[DOCUMENT_MESSAGE_SIZE]);

#endif
