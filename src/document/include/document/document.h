/*
 * The document store: payment intents, customers, keys, events ... as versioned rows of JSON text,
 * in one SQL schema that SQLite (embedded) and PostgreSQL share.
 *
 * A kind is a table. Each row belongs to a scope (one merchant in one mode) and has a text id that
 * sorts by creation time, a version that counts its writes, a JSON body, and a few columns copied
 * out of the body because lists filter by them. Rows lie in the order of their creation, so that
 * the newest-first list of a scope reads neighbours.
 *
 * A column is named as the member of the body that it copies; a member with its zero value (absent
 * from the body) is NULL in the column. So the body alone is the truth, and a column that a later
 * program adds is filled from the bodies.
 *
 * With SQLite one process has the database. PostgreSQL serves several at once (`shared`): a write
 * may then lose against another process's, which commit finds out, and commit leaves out whoever
 * lost. A text with a zero byte, or that is not UTF-8, is ERR_INVALID there.
 *
 * Threads: one loop owns a `struct document_store`; no call may come from another thread. It may
 * be opened on one thread and handed to the loop before the loop starts.
 *
 * DOCUMENT-1  Everything written between begin and commit becomes durable together or not at all.
 * DOCUMENT-2  An update names the version it read; another version answers ERR_STALE and writes
 *             nothing.
 * DOCUMENT-3  Reads see the writes of the open transaction.
 * DOCUMENT-4  After a failed commit nothing of the transaction is there.
 * DOCUMENT-5  After sync, everything applied before its call is durable.
 */
#ifndef DOCUMENT_DOCUMENT_H
#define DOCUMENT_DOCUMENT_H

#include "base/arena.h"
#include "base/err.h"
#include "base/span.h"

#include <stdbool.h>
#include <stdint.h>

#define DOCUMENT_COLUMNS_MAX 6
#define DOCUMENT_LIST_MAX    100
#define DOCUMENT_COLD_MAX    8

enum document_column_type {
    DOCUMENT_TEXT,
    DOCUMENT_INTEGER,
};

struct document_column {
    const char *name;
    enum document_column_type type;
    /* An index on (scope, column, id), of the rows where the column is not NULL. */
    bool indexed;
    /* The index leaves the scope out: for sweepers that look for work across all merchants. */
    bool across_scopes;
    /* A text whose index ignores the case of ASCII letters: filters may do so too. */
    bool any_case;
    /* No two rows of a scope (of all, across scopes) have the same value: of an indexed column, for
     * what is looked up before it is inserted. A shared store holds it, by the index; alone, who
     * looks up does. */
    bool unique;
};

/* Constant tables of the services; the store creates and migrates the SQL tables from them. */
struct document_kind {
    const char *name; /* the table: "payment_intent" */
    struct document_column columns[DOCUMENT_COLUMNS_MAX];
    uint32_t column_count;
    /* Read often, written seldom, and no money: whoever asks the store may keep copies of rows. An
     * id is never given to a second row. */
    bool copied;
    /* Rows are only inserted and removed, and a shared store can hand them out in an order that no
     * later commit comes before: shared->list_final. */
    bool has_order;
    /* Rows have some hundred bytes. SQLite keeps them in the tree of their ids, in tables that it
     * makes from now on: one tree less to look in and to write. Larger ones are kept all the same,
     * in pages of their own. */
    bool is_small;
    /* Top-level members of the body that whoever looks for work does not need: texts for people. A
     * map of shards may have them in a store of their own (README.md, "Column groups"). None is a
     * column; the kind is not `copied` and has no order. */
    const char *cold[DOCUMENT_COLD_MAX];
    uint32_t cold_count;
    /* Programs that know less than this generation would misread what its rows bring about: from
     * the first insert on they are refused, in the same transaction. 0: none would. Not above
     * DOCUMENT_GENERATION. */
    uint32_t generation;
};

/* What this program understands. Raised with the first kind of a newer one. */
#define DOCUMENT_GENERATION 2

/* A column's value; text == {NULL, 0} and is_null otherwise. */
struct document_value {
    bool is_null;
    int64_t integer;
    struct span text;
};

struct document_row {
    uint64_t scope;
    struct span id;
    uint32_t version; /* 1 when inserted */
    struct span body; /* JSON text */
    struct document_value columns[DOCUMENT_COLUMNS_MAX];
    /* update: bits of the columns that are as they were read. They are not written, which spares
     * the pages of their indexes. They carry their values all the same. */
    uint32_t unchanged_columns;
    /* insert: a row that another process has written meanwhile stays, and nobody has lost. */
    bool unless_there;
    /* Of a row that was read `hot_only`: its cold members are elsewhere, and the body leaves them
     * out. An update that carries it leaves them as they are; ERR_INVALID if the body has one. */
    bool hot_only;
};

/* Equality on one column; is_null matches the rows without a value. */
struct document_filter {
    uint32_t column;
    struct document_value value;
    /* Without regard to the case of ASCII letters; of an any_case column. */
    bool any_case;
};

#define DOCUMENT_FILTERS_MAX 4

struct document_query {
    uint64_t scope;
    /* With a filter or range on an across_scopes column. The order is then that column's, and
     * (scope, id) among equals. For who looks again: of shards that cannot be reached now nothing
     * is listed. */
    bool all_scopes;
    struct document_filter filters[DOCUMENT_FILTERS_MAX];
    uint32_t filter_count;
    struct span id_above; /* exclusive bounds; empty: open */
    struct span id_below;
    /* Inclusive bounds on an integer column, for `due before now`; column UINT32_MAX: none. */
    uint32_t range_column;
    int64_t range_min, range_max;
    bool oldest_first; /* lists are newest first */
    /* Cold members are not needed: they may be left out, which the row then says. */
    bool hot_only;
    uint32_t limit;
};

struct document_store;

/* Borrowed until it returns; false stops. */
typedef bool (*document_each)(void *context, const struct document_row *row);

struct document_store_ops {
    err_t (*begin)(struct document_store *store);
    /* Durable when it returns ERR_OK. Any error: nothing was written (DOCUMENT-4); except
     * ERR_OUTCOME_UNKNOWN: the disk failed in a way that leaves it open, and the store refuses
     * everything from then on. After a write that failed for another reason than ERR_EXISTS or
     * ERR_STALE, commit answers that failure and writes nothing. */
    err_t (*commit)(struct document_store *store);
    /* The two halves of commit, for an owner that works on while the disk syncs: apply ends the
     * transaction, and reads see it at once; sync makes durable whatever was applied before it was
     * called. Errors of apply as of commit. Any error of sync is ERR_OUTCOME_UNKNOWN, and final.
     * sync may run on another thread, one call at a time, while the owner does anything but close.
     */
    err_t (*apply)(struct document_store *store);
    err_t (*sync)(struct document_store *store);
    void (*rollback)(struct document_store *store);
    /* The row's spans live in the arena. ERR_NOT_FOUND. */
    err_t (*get)(
        struct document_store *store,
        const struct document_kind *kind,
        uint64_t scope,
        struct span id,
        struct arena *arena,
        struct document_row *ret_row);
    /* As get, without cold members (document_query.hot_only). NULL: the store has rows whole. */
    err_t (*get_hot)(
        struct document_store *store,
        const struct document_kind *kind,
        uint64_t scope,
        struct span id,
        struct arena *arena,
        struct document_row *ret_row);
    /* Between begin and commit, as are update and remove. ERR_EXISTS; in a shared store only if
     * the row is of this transaction or was read in it: else the commit finds out. */
    err_t (*insert)(
        struct document_store *store,
        const struct document_kind *kind,
        const struct document_row *row);
    /* row->version is the version that was read; the stored one becomes version + 1. ERR_STALE; in
     * a shared store it may be the commit that finds out. */
    err_t (*update)(
        struct document_store *store,
        const struct document_kind *kind,
        const struct document_row *row);
    /* ERR_STALE, as update. */
    err_t (*remove)(
        struct document_store *store,
        const struct document_kind *kind,
        uint64_t scope,
        struct span id,
        uint32_t version);
    /* `each` may read other rows, but not write. */
    err_t (*list)(
        struct document_store *store,
        const struct document_kind *kind,
        const struct document_query *query,
        document_each each,
        void *context);
    /* Upkeep that is due (moving the log into the tables), between transactions: call it when the
     * answers of a group have left. Blocks for some milliseconds now and then; of documents in
     * shards, while merchants move, until the map that comes is there, 3 seconds at most. */
    void (*maintain)(struct document_store *store);
    void (*close)(struct document_store *store);
};

/* A row, or a list, that somebody is about to ask for. */
struct document_wish {
    const struct document_kind *kind;
    uint64_t scope;
    struct span id;
    const struct document_query *query; /* NULL: the row `id` */
};

struct document_lock {
    uint64_t scope;
    struct span id;
    bool granted;
};

/* Where a row of a kind with has_order is among all of one order: a number that grows with the
 * transactions, and the id within one. */
struct document_place {
    int64_t number;
    struct span id;
    uint32_t order; /* which one: below */
};

/* Before every row. */
#define DOCUMENT_PLACE_FIRST ((struct document_place){.number = INT64_MIN, .id = SPAN_EMPTY})

/* Borrowed until it returns; false stops. */
typedef bool (*document_each_final)(
    void *context, const struct document_row *row, int64_t number, bool is_final);

/*
 * What a store has that several processes share. Everything is called by the owner's thread, but
 * for what is said to be thread-safe.
 */
struct document_shared_ops {
    /* On whose behalf the next calls read and write; NULL: nobody's in particular. */
    void (*owner)(struct document_store *store, const void *owner);
    /* After a commit that answered ERR_OK: how it went for this owner. ERR_STALE: it has lost;
     * another process changed a row first that it wrote, or it wrote on from what one that lost had
     * written. Nothing of it was written; the others' writes were. On shards any other error of
     * commit, too: it is of the owner's shard, while other shards have committed. A commit whose
     * owners all lost answers ERR_STALE. */
    err_t (*outcome)(struct document_store *store, const void *owner);
    /* Asks for all of it in one round trip; get and list then find it, until the transaction ends
     * or maintain is called. Never necessary. */
    err_t (*prefetch)(
        struct document_store *store, const struct document_wish *wishes, uint32_t count);
    /* One process at a time holds a lock, until unlock or until its connection ends. One round
     * trip for all of them; what was read before is read again. */
    err_t (*lock)(struct document_store *store, struct document_lock *locks, uint32_t count);
    /* When the open transaction, if there is one, has ended. */
    void (*unlock)(struct document_store *store, uint64_t scope, struct span id);
    /* Whether this process is the one that does this work, which is named by a constant text;
     * takes it over when nobody does. */
    bool (*lead)(struct document_store *store, const char *work);
    /* Each database has an order of its own: how the at-th is called, from 0 on; NULL: there are no
     * more. A name means the same for ever; which place it has may change with `maintain`. Of one
     * database it is "". */
    const char *(*order_name)(struct document_store *store, uint32_t at);
    /*
     * Committed rows of all scopes of an order behind a place, in their order, at most `limit`;
     * reads nothing of the open transaction. A row that is final has every row before it before it:
     * none will be committed there any more. The first that is not final, if there is one, is
     * handed out too, as the last one; it and what is behind it come again when the transactions
     * that began before it have ended. Of two transactions of which one has read what the other
     * wrote, the latter's rows come first. All rows of a scope are in one order; while they move to
     * another, and of what was left behind, in both: those that moved come again there, in their
     * order.
     */
    err_t (*list_final)(
        struct document_store *store,
        const struct document_kind *kind,
        const struct document_place *behind,
        uint32_t limit,
        document_each_final each,
        void *context);
    /* The database's clock: as it was compared last, and by this machine's monotonic clock since,
     * so that a machine whose wall clock jumps does not take others' leases for over. Thread-safe.
     */
    uint64_t (*clock_ns)(struct document_store *store);
    /* Whether anybody can be served. Thread-safe. */
    bool (*connected)(struct document_store *store);
    /* The at-th database of a map: its name there, which lives as long as the store, and whether it
     * is connected. False: there are no more. NULL: it is one database. Thread-safe. */
    bool (*shard)(
        struct document_store *store, uint32_t at, const char **ret_name, bool *ret_connected);
    /* How often the database was asked and waited for. */
    uint64_t (*round_trips)(struct document_store *store);
};

struct document_store {
    const struct document_store_ops *ops;
    const struct document_shared_ops *shared; /* NULL: this process is the only one */
};

/* For who needs no cold member: from any store. */
static inline err_t
document_get_hot(
    struct document_store *store,
    const struct document_kind *kind,
    uint64_t scope,
    struct span id,
    struct arena *arena,
    struct document_row *ret_row)
{
    return store->ops->get_hot != NULL ? store->ops->get_hot(store, kind, scope, id, arena, ret_row)
                                       : store->ops->get(store, kind, scope, id, arena, ret_row);
}

#define DOCUMENT_MESSAGE_SIZE 256

/*
 * Opens, creates or migrates. `url` is sqlite:FILE (or sqlite::memory: for tests), or
 * postgres://..., a connection URI of libpq (postgresql.org/docs/15/libpq-connect.html), or
 * shards:FILE, a map (shard/shard.h) of several such with the table `documents`. Migrations
 * are numbered and run in one transaction each: a kind that is new gets its table, a column that is
 * new is added and filled from the bodies. A database that a newer program wrote (a layout that is
 * not known here, in SQLite also a column) answers ERR_VERSION; a file that another process has
 * open ERR_LOCKED. The message says what is wrong, with the file. The kinds must outlive the store.
 */
MUST_USE err_t document_store_open(
    const char *url,
    const struct document_kind *const *kinds,
    uint32_t kind_count,
    struct document_store **ret_store,
    char message[DOCUMENT_MESSAGE_SIZE]);

#endif
