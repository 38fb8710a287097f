#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/*
 * The map of documents in shards: what is refused, and moving rows from one map to another.
 */
#include "sharded_testing.h"

#include "document/shards.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* -------------------------------------------------------------------------------------- the map */

static void
t_refused(struct t_shards *t, err_t expected, const char *why)
{
    struct document_store *store = NULL;
    assert_int_equal(t_try_open(t, t->url, &store), expected);
    if (strstr(t->message, why) == NULL) {
        fail_msg("%s, expected: %s", t->message, why);
    }
}

static void
maps_that_cannot_be_are_refused(void **state)
{
    struct t_shards *t = *state;
    char text[1024];
    t_write_map(t, "tael-shards 1\nepoch 0\n");
    t_refused(t, ERR_INVALID, "line 2");
    t_map(t, 1, "slots 0-16383 a\n");
    t_refused(t, ERR_INVALID, "there is no 'table documents'");
    t_map(t, 1, "slots 0-16383 a\ntable documents column\ncolumn * a\n");
    t_refused(t, ERR_INVALID, "hash or range");
    t_map(t, 1, BY_HASH "table event range\nfrom - a\n");
    t_refused(t, ERR_INVALID, "table event");
    t_map(t, 1, "slots 0-16383 a\ntable documents range\nfrom - a\nfrom 7 b\n");
    t_refused(t, ERR_INVALID, "20 digits");
    (void)snprintf(
        text,
        sizeof(text),
        "tael-shards 1\nepoch 1\nshard a sqlite:x\nslots 0-16383 a\ntable documents hash\n");
    t_write_map(t, text);
    t_refused(t, ERR_INVALID, "shard a is not at postgres://");
    (void)unlink(t->map);
    t_refused(t, ERR_NOT_FOUND, t->map);
    t_write_map(t, "");
}

/* SHARDED-5 */
static void
an_old_map_is_refused(void **state)
{
    struct t_shards *t = *state;
    struct document_row row;
    t_open_both(t);
    t_close(&t->b);
    t_map(t, 2, BY_HASH);
    t_refused(t, ERR_MOVED, "epoch 1, the map of epoch 2");
    (void)t_sql(t, "UPDATE shard_a.tael_shard SET epoch = 2");
    (void)t_sql(t, "UPDATE shard_b.tael_shard SET epoch = 2");
    (void)t_sql(t, "UPDATE shard_c.tael_shard SET epoch = 2");
    t->b = t_open(t, t->url);
    /* A session that breaks does not come back by the old one. */
    (void)t_sql(
        t,
        "SELECT count(pg_terminate_backend(pid, 60000)) FROM pg_stat_activity WHERE pid <> "
        "pg_backend_pid() AND backend_type = 'client backend'");
    err_t result = t_get(t, t->a, 0, "probe", &row);
    for (int i = 0; result == ERR_CLOSED && i < 1000; i++) {
        (void)usleep(20000);
        result = t_get(t, t->a, 0, "probe", &row);
    }
    assert_int_equal(result, ERR_MOVED);
    (void)t_sql(t, "UPDATE shard_b.tael_shard SET next = 3");
    t_close(&t->a);
    t_refused(t, ERR_MOVED, "shard b: its rows have begun to move");
}

static void
a_shard_is_not_opened_as_a_whole_nor_for_another(void **state)
{
    struct t_shards *t = *state;
    char url[512];
    struct document_store *store = NULL;
    t_open_both(t);
    (void)snprintf(url, sizeof(url), "%s&options=-csearch_path%%3Dshard_a", t->server);
    assert_int_equal(t_try_open(t, url, &store), ERR_VERSION);
    assert_non_null(strstr(t->message, "one shard of several"));
    /* What a program that knows no shards looks at. */
    assert_int_equal(t_sql(t, "SELECT oldest_layout FROM shard_a.tael_layout"), 2);
    t_close(&t->a);
    t_close(&t->b);
    (void)t_sql(t, "UPDATE shard_b.tael_shard SET name = 'c'");
    t_refused(t, ERR_MOVED, "shard b: it is the shard c, and b in the map");
}

static void
one_store_becomes_a_shard_if_the_map_has_its_rows_there(void **state)
{
    struct t_shards *t = *state;
    char url[512];
    (void)snprintf(url, sizeof(url), "%s&options=-csearch_path%%3Dshard_a", t->server);
    t->b = t_open(t, url);
    t_begin(t->b);
    assert_int_equal(t_insert(t, t->b, 4, "x", 1), ERR_OK);
    assert_int_equal(t->b->ops->commit(t->b), ERR_OK);
    t_map(t, 1, "slots 0-16383 a\ntable documents hash\n");
    t_refused(t, ERR_LOCKED, "in use by a process that has it as all documents");
    t_close(&t->b);
    t_map(t, 1, "slots 0-16383 b\ntable documents hash\n");
    t_refused(t, ERR_MOVED, "fruit has rows of merchant 2");
    t_map(t, 1, "slots 0-16383 a\ntable documents hash\n");
    t->a = t_open(t, t->url);
    assert_int_equal(t_due(t, t->a, 4, "x"), 1);
}

/* ---------------------------------------------------------------------------------------- moving
 */

#define MERCHANTS 40

/* Rows of many merchants and of the platform, all in one list. */
static void
t_fill(struct t_shards *t)
{
    t->a = t_open(t, t->url);
    t_begin(t->a);
    for (uint64_t scope = 0; scope < 2 * MERCHANTS; scope++) {
        char id[16];
        for (int i = 0; i < 3; i++) {
            (void)snprintf(id, sizeof(id), "f%d", i);
            assert_int_equal(t_insert(t, t->a, scope, id, 1 + i), ERR_OK);
        }
        assert_int_equal(t_change(t, t->a, scope, "f1", 7), ERR_OK);
    }
    assert_int_equal(t->a->ops->commit(t->a), ERR_OK);
}

static void
t_list_all(struct t_shards *t, struct t_listed *listed)
{
    const struct document_query all = {
        .all_scopes = true,
        .range_column = DUE,
        .range_min = 0,
        .range_max = INT64_MAX,
        .oldest_first = true,
        .limit = UINT32_MAX};
    struct document_store *store = t_open(t, t->url);
    listed->count = 0;
    assert_int_equal(store->ops->list(store, &t_fruit, &all, t_take, listed), ERR_OK);
    t_close(&store);
}

static bool
t_stop(void *context, uint64_t scopes)
{
    return scopes < *(const uint64_t *)context;
}

static err_t
t_move(struct t_shards *t, int epoch, const char *placement, uint64_t stop_after)
{
    struct document_shards_move move = {
        .path = t->map,
        .next_path = t_next_map(t, epoch, placement),
        .kinds = t_kinds,
        .kind_count = T_KINDS,
        .go_on = stop_after == 0 ? NULL : t_stop,
        .context = &stop_after};
    err_t result = document_shards_move(&move, t->message);
    (void)unlink(move.next_path);
    return result;
}

struct t_looked {
    uint64_t scopes, rows, strangers, unfinished, shards;
    int64_t epoch;
};

static void
t_see(void *context, const struct document_shards_state *state)
{
    struct t_looked *looked = context;
    looked->scopes += state->scopes;
    looked->rows += state->rows;
    looked->strangers += state->strangers;
    looked->unfinished += state->next != 0;
    looked->epoch = state->epoch;
    looked->shards++;
}

static struct t_looked
t_look(struct t_shards *t)
{
    struct t_looked looked = {.shards = 0};
    assert_int_equal(
        document_shards_look(t->map, t_kinds, T_KINDS, t_see, &looked, t->message), ERR_OK);
    return looked;
}

static struct t_listed before, after;

static void
t_same_after(struct t_shards *t)
{
    t_list_all(t, &after);
    assert_int_equal(after.count, before.count);
    assert_memory_equal(after.rows, before.rows, before.count * sizeof(before.rows[0]));
    struct t_looked looked = t_look(t);
    assert_int_equal(looked.shards, SHARDS);
    assert_int_equal(looked.strangers, 0);
    assert_int_equal(looked.unfinished, 0);
    assert_int_equal(looked.scopes, 2 * MERCHANTS);
    assert_int_equal(looked.rows, 3 * 2 * MERCHANTS);
}

#define ALL_BUT_A "slots 0-5460 c\nslots 5461-10921 b\nslots 10922-16383 c\ntable documents hash\n"

static void
slots_move_and_ranges_are_split(void **state)
{
    struct t_shards *t = *state;
    memset(&before, 0, sizeof(before));
    memset(&after, 0, sizeof(after));
    t_fill(t);
    assert_int_equal(t_move(t, 2, ALL_BUT_A, 0), ERR_LOCKED);
    assert_non_null(strstr(t->message, "a process has it open"));
    t_close(&t->a);
    t_list_all(t, &before);
    assert_int_equal(before.count, 3 * 2 * MERCHANTS);
    assert_int_equal(t_move(t, 3, ALL_BUT_A, 0), ERR_INVALID);
    assert_int_equal(t_move(t, 2, ALL_BUT_A, 0), ERR_OK);
    assert_int_equal(t_sql(t, "SELECT count(*) FROM shard_a.fruit"), 0);
    assert_int_equal(t_look(t).epoch, 2);
    t_same_after(t);
    assert_int_equal(t_move(t, 3, BY_RANGE, 0), ERR_OK);
    t_same_after(t);
    assert_int_equal(t_sql(t, "SELECT count(*) FROM shard_b.fruit"), 3 * 2 * 4);
    assert_int_equal(t_sql(t, "SELECT count(*) FROM shard_a.fruit"), 3 * 2 * 4);
    /* Split at 12, and 4 to 7 merged into what was before them. */
    assert_int_equal(
        t_move(
            t,
            4,
            "slots 0-16383 a\ntable documents range\nfrom - b\nfrom 00000000000000000008 c\n"
            "from 00000000000000000012 a\n",
            0),
        ERR_OK);
    t_same_after(t);
    assert_int_equal(t_sql(t, "SELECT count(*) FROM shard_b.fruit"), 3 * 2 * 8);
    assert_int_equal(t_sql(t, "SELECT count(*) FROM shard_c.fruit"), 3 * 2 * 4);
}

/* After every number of merchants; then by the same move, or back. */
static void
a_move_that_was_cut_off_is_ended(void **state)
{
    struct t_shards *t = *state;
    memset(&before, 0, sizeof(before));
    memset(&after, 0, sizeof(after));
    t_fill(t);
    t_close(&t->a);
    t_list_all(t, &before);
    int epoch = 1;
    for (uint64_t stop = 1; stop < 20; stop += 5) {
        const char *here = epoch % 2 == 1 ? BY_HASH : ALL_BUT_A;
        const char *there = epoch % 2 == 1 ? ALL_BUT_A : BY_HASH;
        assert_int_equal(t_move(t, epoch + 1, there, stop), ERR_CLOSED);
        assert_int_equal(t_look(t).unfinished, SHARDS);
        t_refused(t, ERR_MOVED, "have to end it");
        assert_int_equal(t_move(t, epoch + 2, there, 0), ERR_INVALID);
        assert_int_equal(t_move(t, epoch + 1, stop % 2 == 0 ? here : there, 0), ERR_OK);
        t_same_after(t);
        epoch++;
        if (stop % 2 == 0) { /* as it was: the next round begins from there */
            assert_int_equal(t_move(t, epoch + 1, there, 0), ERR_OK);
            t_same_after(t);
            epoch += 2;
            assert_int_equal(t_move(t, epoch, epoch % 2 == 1 ? BY_HASH : ALL_BUT_A, 0), ERR_OK);
        }
    }
    /* Cut off behind the file of the map. */
    (void)t_sql(t, "UPDATE shard_b.tael_shard SET next = epoch, epoch = epoch - 1");
    t_refused(t, ERR_MOVED, "have to end it");
    struct document_shards_move move = {
        .path = t->map, .next_path = t->map, .kinds = t_kinds, .kind_count = T_KINDS};
    assert_int_equal(document_shards_move(&move, t->message), ERR_OK);
    assert_int_equal(move.ret_scopes, 0);
    t_same_after(t);
}

int
main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, t_setup, t_teardown)
    const struct CMUnitTest tests[] = {
        T(maps_that_cannot_be_are_refused),
        T(an_old_map_is_refused),
        T(a_shard_is_not_opened_as_a_whole_nor_for_another),
        T(one_store_becomes_a_shard_if_the_map_has_its_rows_there),
        T(slots_move_and_ranges_are_split),
        T(a_move_that_was_cut_off_is_ended),
    };
    return cmocka_run_group_tests_name("maps of documents", tests, NULL, NULL);
}
