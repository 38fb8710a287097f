/*
 * Documents in shards, from outside: what each database has, and moving rows from one placement to
 * another. The services only know document_store_open("shards:FILE", ...).
 *
 *     document_shards_look           any time, beside processes that work
 *     document_shards_move           when no process has the documents open; others are kept away
 *                                    meanwhile
 *     document_shards_move_online    beside processes that work
 *
 * A move goes merchant by merchant: all rows of a scope are copied in one transaction, compared,
 * and only then deleted where they were. So it may be cut off anywhere, and the same call ends it;
 * until then every shard says that it is unfinished, and no process opens it.
 *
 * Online, processes go on by the old map until everything is there; then they stand still for a
 * moment, all of them, and go on by the new one.
 *
 * All block. One thread.
 */
#ifndef DOCUMENT_SHARDS_H
#define DOCUMENT_SHARDS_H

#include "document/document.h"

struct document_shards_state {
    const char *name;      /* of the shard in the map; borrowed */
    uint64_t slots;        /* that it owns, by hash */
    uint64_t ranges;       /* that it owns, by range */
    int64_t epoch;         /* as the database says; 0: it was never opened */
    int64_t next;          /* of a move that is unfinished; 0: there is none */
    uint64_t scopes;       /* with rows: two for each merchant that uses both modes */
    uint64_t rows;         /* of all kinds */
    uint64_t strangers;    /* scopes whose rows the map has elsewhere */
    uint64_t one_stranger; /* the lowest */
    bool is_cold;          /* it has cold parts: `rows` are those, and it has no merchants */
    uint64_t missing;      /* rows whose cold part is not where the map has it */
    uint64_t left;         /* cold parts that no row names: document_shards_sweep */
};

/* Borrowed until it returns. */
typedef void (*document_shards_each)(void *context, const struct document_shards_state *state);

/* `path` is the map's file. ERR_INVALID (the map), ERR_CLOSED (a database cannot be reached), with
 * the message. */
MUST_USE err_t document_shards_look(
    const char *path,
    const struct document_kind *const *kinds,
    uint32_t kind_count,
    document_shards_each each,
    void *context,
    char message[DOCUMENT_MESSAGE_SIZE]);

struct document_shards_move {
    const char *path;      /* of the map, which is replaced in the end */
    const char *next_path; /* of the one to come: the next epoch */
    const struct document_kind *const *kinds;
    uint32_t kind_count;
    /* After each scope, with how many have moved; false: stop. May be NULL. */
    bool (*go_on)(void *context, uint64_t scopes);
    /* Online: told of each step as it begins. May be NULL. */
    void (*at)(void *context, const char *step);
    void *context;
    uint64_t ret_scopes;   /* that moved, in this call */
    uint64_t ret_rows;     /* with them; online also those that were written again meanwhile */
    uint64_t ret_pause_us; /* online: for so long nobody could work */
};

/*
 * To the next map: shards that are new in it are made; one that is not in it any more must have
 * become empty. ERR_LOCKED: a process has a shard open. ERR_MOVED: a shard is of another epoch, or
 * on its way to another one. ERR_CLOSED: stopped, or a database was lost; call it again.
 * ERR_CORRUPT: what arrived is not what was sent; nothing was deleted.
 */
MUST_USE err_t
document_shards_move(struct document_shards_move *move, char message[DOCUMENT_MESSAGE_SIZE]);

/*
 * The same beside processes that work, which have to see the map's file change (one file, or one
 * that reaches all machines within 3 s). Steps, and what cutting off behind
 * them leaves:
 *
 *     prepare     new shards are made; every change to rows that may move is noted from now on
 *     copy        rows that move, merchant by merchant, beside those who write them
 *     catch-up    what was noted, until there is little of it
 *     verify      all that moves, counted and hashed on both sides as of one moment
 *                     nobody notices any of this; the same call goes on, or _cancel undoes it
 *     fence       processes are called and let go of all shards; one that does not is cut off
 *     drain       what was noted since; now both sides have the same
 *                     processes come back by the old map as soon as this one is gone
 *     close       every shard says that it is between two maps
 *                     processes wait, then fail, until the same call or _cancel
 *     flip        the map's file is replaced: decided, and only the same call goes on
 *     open        every shard says the new epoch; processes come back by the new map
 *     clean-up    rows where they were, notes
 *
 * Errors as of document_shards_move, and ERR_LOCKED: another move is at work, or one to another map
 * is unfinished. ERR_BUSY: more is written than can be copied, or processes did not let go;
 * nothing happened to them, call it again. ERR_INVALID: tables of columns differ between the maps.
 */
MUST_USE err_t
document_shards_move_online(struct document_shards_move *move, char message[DOCUMENT_MESSAGE_SIZE]);

/* Takes back what an online move to `next_path` did and has not decided. ERR_MOVED: it is decided.
 */
MUST_USE err_t
document_shards_move_cancel(struct document_shards_move *move, char message[DOCUMENT_MESSAGE_SIZE]);

/* No commit and no transaction that read takes as long: for document_shards_sweep. */
#define DOCUMENT_SHARDS_AGE_S  86400
#define DOCUMENT_SHARDS_WAIT_S 60

struct document_shards_sweep {
    const char *path; /* of the map */
    const struct document_kind *const *kinds;
    uint32_t kind_count;
    int64_t age_s;   /* DOCUMENT_SHARDS_AGE_S: of parts whose row may yet come */
    uint32_t wait_s; /* DOCUMENT_SHARDS_WAIT_S: before what is left is deleted */
    int64_t pause_s; /* since somebody swept last; sooner nothing is done. 0: at once */
    /* Asked now and then while it waits; false: end, without deleting. NULL: to the end. */
    bool (*goes_on)(void *context);
    void *context;
    uint64_t ret_parts; /* that were deleted */
};

/* Deletes cold parts that no row names: of rows that were written again or removed, and of writers
 * who lost or died. Beside processes that work, and others that sweep: one does it for all. It
 * takes `wait_s` for each group that has some. ERR_INVALID (the map), ERR_CLOSED, ERR_MOVED
 * (merchants moved meanwhile), with the message; what was deleted is. */
MUST_USE err_t
document_shards_sweep(struct document_shards_sweep *sweep, char message[DOCUMENT_MESSAGE_SIZE]);

#endif
