/* Notes whose cold members are in a shard of their own, for the tests of column groups. */
#ifndef DOCUMENT_SHARDED_COLD_TESTING_H
#define DOCUMENT_SHARDED_COLD_TESTING_H

#include "sharded_testing.h"

#define NOTE_DUE 0 /* the column */

/* t_setup, with a map by column groups. */
int t_setup_column(void **state);
/* {"due":7,"description":"...","status":"...","metadata":{...}}; what is NULL is left out. */
struct document_row t_note_row(
    struct t_shards *t,
    uint64_t scope,
    const char *id,
    int64_t due,
    const char *description,
    const char *metadata);
err_t t_note_get(
    struct t_shards *t,
    struct document_store *store,
    uint64_t scope,
    const char *id,
    struct document_row *ret_row);
err_t t_note_hot(
    struct t_shards *t,
    struct document_store *store,
    uint64_t scope,
    const char *id,
    struct document_row *ret_row);
void t_body_is(const struct document_row *row, const char *expected);
/* A note through t->a, committed. */
void t_note_add(struct t_shards *t, uint64_t scope, const char *id, const char *description);
/* How many parts there are, with a row or without. */
int64_t t_parts(struct t_shards *t);
/* For list of rows without their cold members: counts them in the uint32_t `context`. */
bool t_take_hot(void *context, const struct document_row *row);

struct t_looked {
    uint64_t missing; /* rows that name a part which is not there */
    uint64_t left;    /* parts that no row names */
};
/* Over all shards. */
struct t_looked t_look(struct t_shards *t);
/* SHARDED-7: none is missing. How many are left. */
uint64_t t_look_whole(struct t_shards *t);
/* How many parts were deleted. */
uint64_t t_sweep(struct t_shards *t, int64_t age_s);

#endif
