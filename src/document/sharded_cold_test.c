#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* Cold members of a kind in a shard of their own: whoever loses, wherever it stops. */
#include "sharded_cold_testing.h"

#include "document/shards.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define OTHERS 8

/* ------------------------------------------------------------------------- between two writes */

/* SHARDED-7: the cold part is durable, and then the hot row's shard refuses. */
static void
a_part_whose_row_failed_does_not_exist(void **state)
{
    struct t_shards *t = *state;
    char one, other;
    struct document_row row;
    t_open_both(t);
    t_note_add(t, 2, "n", "before");
    bool on_a = t_sql(t, "SELECT count(*) FROM shard_a.note") == 1;
    (void)t_sql(
        t,
        on_a ? "ALTER TABLE shard_a.note ADD CONSTRAINT broken CHECK (due <> 5)"
             : "ALTER TABLE shard_b.note ADD CONSTRAINT broken CHECK (due <> 5)");
    t_begin(t->a);
    t->a->shared->owner(t->a, &one);
    assert_int_equal(t_note_get(t, t->a, 2, "n", &row), ERR_OK);
    uint32_t version = row.version;
    row = t_note_row(t, 2, "n", 5, "after", NULL);
    row.version = version;
    assert_int_equal(t->a->ops->update(t->a, &t_note, &row), ERR_OK);
    t->a->shared->owner(t->a, &other);
    row = t_note_row(t, 0, "types", 6, "others", NULL);
    assert_int_equal(t->a->ops->insert(t->a, &t_note, &row), ERR_OK);
    err_t result = t->a->ops->commit(t->a);
    assert_true(result == ERR_OK || result == ERR_DATABASE); /* both may be on one shard */
    assert_int_equal(t->a->shared->outcome(t->a, &one), ERR_DATABASE);
    assert_int_equal(t_parts(t), 3);
    assert_int_equal(t_note_get(t, t->b, 2, "n", &row), ERR_OK);
    t_body_is(&row, "{\"due\":7,\"description\":\"before\",\"status\":\"open\"}");
    assert_true(t_look_whole(t) >= 1);
    /* Its writer may be at work, for all the sweeper knows; but not for a day. */
    assert_int_equal(t_sweep(t, DOCUMENT_SHARDS_AGE_S), 0);
    assert_int_equal(t_parts(t), 3);
    (void)t_sql(
        t,
        "UPDATE shard_c.note_cold SET id = regexp_replace(id, '-[0-9]+-', '-1-') WHERE "
        "body LIKE '%after%'");
    assert_int_equal(t_sweep(t, DOCUMENT_SHARDS_AGE_S), 1);
    assert_int_equal(
        t_sql(t, "SELECT count(*) FROM shard_c.note_cold WHERE body LIKE '%after%'"), 0);
    t->b->ops->maintain(t->b);
    assert_int_equal(t_note_get(t, t->b, 2, "n", &row), ERR_OK);
}

static bool
t_never(void *context)
{
    (*(uint32_t *)context)++;
    return *(uint32_t *)context < 3;
}

/* One for all, not sooner than is wanted, and not to the end if it shall stop. */
static void
sweepers_take_turns(void **state)
{
    struct t_shards *t = *state;
    uint32_t asked = 0;
    struct document_row row;
    struct document_shards_sweep sweep = {
        .path = t->map,
        .kinds = t_kinds,
        .kind_count = T_KINDS,
        .age_s = DOCUMENT_SHARDS_AGE_S,
        .wait_s = DOCUMENT_SHARDS_WAIT_S,
        .pause_s = 3600,
        .goes_on = t_never,
        .context = &asked};
    t_open_both(t);
    t_note_add(t, 2, "n", "before");
    assert_int_equal(t_note_get(t, t->a, 2, "n", &row), ERR_OK);
    t_begin(t->a);
    uint32_t version = row.version;
    row = t_note_row(t, 2, "n", 0, "after", NULL);
    row.version = version;
    assert_int_equal(t->a->ops->update(t->a, &t_note, &row), ERR_OK);
    assert_int_equal(t->a->ops->commit(t->a), ERR_OK);
    assert_int_equal(t_parts(t), 2);
    /* Told to stop while it waits: nothing is deleted, and it has not swept. */
    assert_int_equal(document_shards_sweep(&sweep, t->message), ERR_OK);
    assert_int_equal(sweep.ret_parts, 0);
    assert_int_equal(t_parts(t), 2);
    sweep.goes_on = NULL;
    sweep.wait_s = 0;
    /* Another one is at it. */
    (void)t_sql(t, "SET search_path = shard_c");
    (void)t_sql(t, "SELECT pg_advisory_lock(1415669100, 1937204592 # hashtext(current_schema()))");
    assert_int_equal(document_shards_sweep(&sweep, t->message), ERR_OK);
    assert_int_equal(t_parts(t), 2);
    (void)t_sql(t, "SELECT pg_advisory_unlock_all()");
    assert_int_equal(document_shards_sweep(&sweep, t->message), ERR_OK);
    assert_int_equal(sweep.ret_parts, 1);
    /* What comes to be left within the hour waits for its end. */
    t_begin(t->a);
    row = t_note_row(t, 2, "n", 0, "at last", NULL);
    row.version = version + 1;
    assert_int_equal(t->a->ops->update(t->a, &t_note, &row), ERR_OK);
    assert_int_equal(t->a->ops->commit(t->a), ERR_OK);
    assert_int_equal(document_shards_sweep(&sweep, t->message), ERR_OK);
    assert_int_equal(sweep.ret_parts, 0);
    (void)t_sql(t, "UPDATE shard_c.tael_sweep SET swept_s = swept_s - 3601");
    assert_int_equal(document_shards_sweep(&sweep, t->message), ERR_OK);
    assert_int_equal(sweep.ret_parts, 1);
}

/* Waits for the database to say so, 20 s at most. */
static void
t_until(struct t_shards *t, const char *sql, int64_t expected)
{
    for (int i = 0; t_sql(t, sql) != expected; i++) {
        if (i == 2000) {
            fail_msg("never %lld: %s", (long long)expected, sql);
        }
        (void)usleep(10000);
        (void)t_sql(t, "SELECT 0 FROM pg_stat_clear_snapshot()"); /* kept within a transaction */
    }
}

#define T_WAITING                                                                                  \
    "FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"

/* A process of its own, which writes another text and does not come back. */
static pid_t
t_writer_that_hangs(struct t_shards *t)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct document_store *store = NULL;
        struct document_row row = t_note_row(t, 2, "n", 8, "never", NULL);
        row.version = 1;
        bool good = t_try_open(t, t->url, &store) == ERR_OK;
        good = good && store->ops->begin(store) == ERR_OK;
        good = good && store->ops->update(store, &t_note, &row) == ERR_OK;
        _exit(good && store->ops->commit(store) == ERR_OK ? 0 : 1);
    }
    return child;
}

/* SHARDED-7: kill -9 when the cold part is committed and the hot row is not. */
static void
a_process_that_dies_between_the_two_leaves_the_row(void **state)
{
    struct t_shards *t = *state;
    struct document_row row;
    int status = 0;
    t->a = t_open(t, t->url);
    t_note_add(t, 2, "n", "before");
    const char *shard = t_sql(t, "SELECT count(*) FROM shard_a.note") == 1 ? "shard_a" : "shard_b";
    char lock[128];
    (void)snprintf(lock, sizeof(lock), "BEGIN; LOCK TABLE %s.note IN EXCLUSIVE MODE", shard);
    (void)t_sql(t, lock);
    pid_t child = t_writer_that_hangs(t);
    t_until(t, "SELECT count(*) FROM shard_c.note_cold WHERE body LIKE '%never%'", 1);
    t_until(t, "SELECT count(*) " T_WAITING, 1);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    (void)t_sql(t, "SELECT count(pg_terminate_backend(pid)) " T_WAITING);
    t_until(t, "SELECT count(*) " T_WAITING, 0);
    (void)t_sql(t, "COMMIT");
    t->a->ops->maintain(t->a);
    assert_int_equal(t_note_get(t, t->a, 2, "n", &row), ERR_OK);
    assert_int_equal(row.version, 1);
    t_body_is(&row, "{\"due\":7,\"description\":\"before\",\"status\":\"open\"}");
    assert_int_equal(t_look_whole(t), 1);
    /* Whoever writes that version then makes sure that the part is nobody's. */
    row.columns[NOTE_DUE].integer = 9;
    t_begin(t->a);
    assert_int_equal(t->a->ops->update(t->a, &t_note, &row), ERR_OK);
    assert_int_equal(t->a->ops->commit(t->a), ERR_OK);
    assert_int_equal(t_sweep(t, DOCUMENT_SHARDS_AGE_S), 1);
    assert_int_equal(t_parts(t), 1);
    (void)t_look_whole(t);
}

/* A row and its part are asked for together, and not again. */
static void
what_is_wished_for_comes_with_its_part(void **state)
{
    struct t_shards *t = *state;
    struct document_row row;
    t_open_both(t);
    t_note_add(t, 2, "n", "tea");
    const struct document_wish wish = {.kind = &t_note, .scope = 2, .id = SPAN("n")};
    assert_int_equal(t->b->shared->prefetch(t->b, &wish, 1), ERR_OK);
    uint64_t trips = t->b->shared->round_trips(t->b);
    assert_int_equal(t_note_get(t, t->b, 2, "n", &row), ERR_OK);
    assert_int_equal(t->b->shared->round_trips(t->b), trips);
    /* Hot members only: one round trip. */
    t->b->ops->maintain(t->b);
    trips = t->b->shared->round_trips(t->b);
    assert_int_equal(t_note_hot(t, t->b, 2, "n", &row), ERR_OK);
    assert_int_equal(t->b->shared->round_trips(t->b), trips + 1);
}

/* Two processes write the same version, with other texts. */
static void
whose_row_lost_has_changed_no_text(void **state)
{
    struct t_shards *t = *state;
    char one, other;
    struct document_row row, mine, theirs;
    t_open_both(t);
    t_note_add(t, 2, "n", "before");
    mine = t_note_row(t, 2, "n", 8, "mine", NULL);
    theirs = t_note_row(t, 2, "n", 9, "theirs", NULL);
    mine.version = theirs.version = 1;
    t_begin(t->a);
    t->a->shared->owner(t->a, &one);
    assert_int_equal(t->a->ops->update(t->a, &t_note, &mine), ERR_OK);
    t_begin(t->b);
    t->b->shared->owner(t->b, &other);
    assert_int_equal(t->b->ops->update(t->b, &t_note, &theirs), ERR_OK);
    assert_int_equal(t->b->ops->commit(t->b), ERR_OK);
    assert_int_equal(t->a->ops->commit(t->a), ERR_STALE);
    assert_int_equal(t->a->shared->outcome(t->a, &one), ERR_STALE);
    t->a->ops->maintain(t->a);
    assert_int_equal(t_note_get(t, t->a, 2, "n", &row), ERR_OK);
    t_body_is(&row, "{\"due\":9,\"description\":\"theirs\",\"status\":\"open\"}");
    /* SHARDED-8: the row has the version, so both others go at once, however young. */
    assert_int_equal(t_parts(t), 3);
    assert_int_equal(t_sweep(t, DOCUMENT_SHARDS_AGE_S), 2);
    t->a->ops->maintain(t->a);
    assert_int_equal(t_note_get(t, t->a, 2, "n", &row), ERR_OK);
    t_body_is(&row, "{\"due\":9,\"description\":\"theirs\",\"status\":\"open\"}");
    assert_int_equal(t_look_whole(t), 0);
}

static void
the_same_text_is_not_written_again(void **state)
{
    struct t_shards *t = *state;
    struct document_row row;
    t_open_both(t);
    t_note_add(t, 2, "n", "tea");
    t_note_add(t, 2, "m", NULL);
    assert_int_equal(t_parts(t), 1);
    for (uint32_t version = 1; version < 5; version++) {
        row = t_note_row(t, 2, "n", 10 + version, "tea", NULL);
        row.version = version;
        t_begin(t->a);
        assert_int_equal(t->a->ops->update(t->a, &t_note, &row), ERR_OK);
        assert_int_equal(t->a->ops->commit(t->a), ERR_OK);
    }
    assert_int_equal(t_parts(t), 1);
    assert_int_equal(t_note_get(t, t->b, 2, "n", &row), ERR_OK);
    t_body_is(&row, "{\"due\":14,\"description\":\"tea\",\"status\":\"open\"}");
    /* A body that loses its texts names none. */
    row = t_note_row(t, 2, "n", 0, NULL, NULL);
    row.version = 5;
    t_begin(t->a);
    assert_int_equal(t->a->ops->update(t->a, &t_note, &row), ERR_OK);
    assert_int_equal(t->a->ops->commit(t->a), ERR_OK);
    assert_int_equal(t_sweep(t, DOCUMENT_SHARDS_AGE_S), 1);
    assert_int_equal(t_parts(t), 0);
}

/* -------------------------------------------------------------------------- without the shard */

/* SHARDED-9: the table is away, as a database that is down is. */
static void
without_the_cold_shard_hot_work_goes_on(void **state)
{
    struct t_shards *t = *state;
    char one, others[OTHERS];
    struct document_row row, hot;
    uint32_t listed = 0;
    t_open_both(t);
    t_note_add(t, 2, "n", "tea");
    t_note_add(t, 2, "m", NULL);
    (void)t_sql(t, "ALTER TABLE shard_c.note_cold RENAME TO away");
    assert_int_equal(t_note_get(t, t->b, 2, "n", &row), ERR_DATABASE);
    assert_int_equal(t_note_get(t, t->b, 2, "m", &row), ERR_OK); /* has no cold part */
    assert_int_equal(t_note_hot(t, t->b, 2, "n", &hot), ERR_OK);
    assert_true(hot.hot_only);
    t_body_is(&hot, "{\"due\":7,\"status\":\"open\"}");
    const struct document_query query = {
        .all_scopes = true, .range_column = NOTE_DUE, .range_max = 9, .limit = 9, .hot_only = true};
    assert_int_equal(t->b->ops->list(t->b, &t_note, &query, t_take_hot, &listed), ERR_OK);
    assert_int_equal(listed, 2);
    t_begin(t->b);
    t->b->shared->owner(t->b, &one);
    hot.body = SPAN("{\"due\":8,\"status\":\"paid\"}");
    hot.columns[NOTE_DUE].integer = 8;
    assert_int_equal(t->b->ops->update(t->b, &t_note, &hot), ERR_OK);
    for (uint64_t i = 0; i < OTHERS; i++) { /* on the platform's shard and on the other */
        t->b->shared->owner(t->b, &others[i]);
        row = t_note_row(t, 4 + 2 * i, "new", 1, "coffee", NULL);
        assert_int_equal(t->b->ops->insert(t->b, &t_note, &row), ERR_OK);
    }
    assert_int_equal(t->b->ops->commit(t->b), ERR_OK);
    assert_int_equal(t->b->shared->outcome(t->b, &one), ERR_OK);
    (void)t_sql(t, "ALTER TABLE shard_c.away RENAME TO note_cold");
    t->b->ops->maintain(t->b);
    assert_int_equal(t_note_get(t, t->b, 2, "n", &row), ERR_OK);
    t_body_is(&row, "{\"due\":8,\"status\":\"paid\",\"description\":\"tea\"}");
    for (uint64_t i = 0; i < OTHERS; i++) {
        assert_int_equal(t->b->shared->outcome(t->b, &others[i]), ERR_DATABASE);
        assert_int_equal(t_note_get(t, t->b, 4 + 2 * i, "new", &row), ERR_NOT_FOUND);
    }
    /* A hot write does not say what cold members become. */
    hot.version = 2;
    hot.body = SPAN("{\"due\":8,\"description\":\"x\"}");
    t_begin(t->b);
    assert_int_equal(t->b->ops->update(t->b, &t_note, &hot), ERR_INVALID);
    t->b->ops->rollback(t->b);
}

/* SHARDED-7, broken by hand: it is said, and no row is handed out without its texts. */
static void
a_part_that_is_gone_is_told(void **state)
{
    struct t_shards *t = *state;
    struct document_row row;
    t_open_both(t);
    t_note_add(t, 2, "n", "tea");
    (void)t_sql(t, "DELETE FROM shard_c.note_cold");
    assert_int_equal(t_note_get(t, t->b, 2, "n", &row), ERR_CORRUPT);
    assert_int_equal(t_look(t).missing, 1);
}

/* Somebody took the lines out of the map without a move, which would have refused it. */
static void
a_map_without_the_group_shows_no_parted_row(void **state)
{
    struct t_shards *t = *state;
    struct document_row row, hot;
    t->a = t_open(t, t->url);
    t_note_add(t, 2, "n", "tea");
    t_note_add(t, 2, "m", NULL);
    assert_int_equal(t_note_hot(t, t->a, 2, "n", &hot), ERR_OK);
    t_close(&t->a);
    t_map(t, 1, "slots 0-8191 a\nslots 8192-16383 b\ntable documents hash\n");
    t->a = t_open(t, t->url);
    assert_int_equal(t_note_get(t, t->a, 2, "n", &row), ERR_CORRUPT);
    assert_int_equal(t_note_hot(t, t->a, 2, "n", &row), ERR_CORRUPT);
    assert_int_equal(t_note_get(t, t->a, 2, "m", &row), ERR_OK);
    t_begin(t->a);
    assert_int_equal(t->a->ops->update(t->a, &t_note, &hot), ERR_INVALID);
    t->a->ops->rollback(t->a);
}

/* ------------------------------------------------------------------------------------- maps */

static void
t_refused(struct t_shards *t, const char *tables, const char *why)
{
    struct document_store *store = NULL;
    t_map(t, 1, tables);
    assert_int_equal(t_try_open(t, t->url, &store), ERR_INVALID);
    if (strstr(t->message, why) == NULL) {
        fail_msg("%s, expected: %s", t->message, why);
    }
}

static void
groups_that_cannot_be_are_refused(void **state)
{
    struct t_shards *t = *state;
#define ON_A_B "slots 0-8191 a\nslots 8192-16383 b\ntable documents hash\n"
    t_refused(t, ON_A_B "table note column\n", "table note: 'column cold SHARD' is missing");
    t_refused(t, ON_A_B "table note column\ncolumn cold b\n", "shard b has merchants");
    t_refused(t, ON_A_B "table note column\ncolumn * c\n", "table note, column *");
    t_refused(t, ON_A_B "table fruit column\ncolumn cold c\n", "table fruit: no kind");
    t_refused(t, ON_A_B "table nuts column\ncolumn cold c\n", "table nuts: no kind");
    t_map(t, 1, BY_COLUMN);
}

static err_t
t_move(struct t_shards *t, const char *next)
{
    struct document_shards_move move = {
        .path = t->map, .next_path = next, .kinds = t_kinds, .kind_count = T_KINDS};
    return document_shards_move(&move, t->message);
}

static void
t_write_next(struct t_shards *t, const char *next, int epoch, const char *placement)
{
    char map[sizeof(t->map)];
    memcpy(map, t->map, sizeof(map));
    (void)snprintf(t->map, sizeof(t->map), "%s", next);
    t_map(t, epoch, placement);
    memcpy(t->map, map, sizeof(map));
}

/* From whole bodies to parts, and merchants that move with their parts where they are. */
static void
groups_come_by_a_map_and_stay(void **state)
{
    struct t_shards *t = *state;
    struct document_row row;
    char next[96];
    (void)snprintf(next, sizeof(next), "%.80s.next", t->map);
    t_map(t, 1, "slots 0-16383 a\ntable documents hash\n");
    t->a = t_open(t, t->url);
    t_note_add(t, 2, "old", "whole");
    t_close(&t->a);
    t_write_next(t, next, 2, BY_COLUMN);
    assert_int_equal(t_move(t, next), ERR_OK);
    t->a = t_open(t, t->url);
    t_note_add(t, 2, "new", "parted");
    assert_int_equal(t_note_get(t, t->a, 2, "old", &row), ERR_OK);
    t_body_is(&row, "{\"due\":7,\"description\":\"whole\",\"status\":\"open\"}");
    t_begin(t->a);
    assert_int_equal(t->a->ops->update(t->a, &t_note, &row), ERR_OK);
    assert_int_equal(t->a->ops->commit(t->a), ERR_OK);
    assert_int_equal(t_parts(t), 2);
    t_close(&t->a);
    t_write_next(t, next, 3, "slots 0-8191 a\nslots 8192-16383 b\ntable documents hash\n");
    assert_int_equal(t_move(t, next), ERR_INVALID);
    assert_non_null(strstr(t->message, "table note: its cold parts are on shard c"));
    t_write_next(
        t,
        next,
        3,
        "slots 0-8191 b\nslots 8192-16383 a\ntable documents hash\ntable note column\n"
        "column cold c\n");
    assert_int_equal(t_move(t, next), ERR_OK);
    t->a = t_open(t, t->url);
    assert_int_equal(t_note_get(t, t->a, 2, "new", &row), ERR_OK);
    t_body_is(&row, "{\"due\":7,\"description\":\"parted\",\"status\":\"open\"}");
    (void)t_look_whole(t);
    (void)remove(next);
}

int
main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, t_setup_column, t_teardown)
    const struct CMUnitTest tests[] = {
        T(sweepers_take_turns),
        T(a_part_whose_row_failed_does_not_exist),
        T(a_process_that_dies_between_the_two_leaves_the_row),
        T(what_is_wished_for_comes_with_its_part),
        T(whose_row_lost_has_changed_no_text),
        T(the_same_text_is_not_written_again),
        T(without_the_cold_shard_hot_work_goes_on),
        T(a_part_that_is_gone_is_told),
        T(a_map_without_the_group_shows_no_parted_row),
        T(groups_that_cannot_be_are_refused),
        T(groups_come_by_a_map_and_stay),
    };
    return cmocka_run_group_tests_name("column groups", tests, NULL, NULL);
}
