/* Rows in the order of their transactions, as several processes commit them (list_final). */
#include "postgres_testing.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define T_SEEN_MAX 4096

struct t_seen {
    int64_t numbers[T_SEEN_MAX];
    char ids[T_SEEN_MAX][16];
    uint32_t count;
    bool waits; /* one came that is not final */
};

static struct t_seen *
t_nothing(void)
{
    static struct t_seen seen;
    memset(&seen, 0, sizeof(seen));
    return &seen;
}

static bool
t_see(void *context, const struct document_row *row, int64_t number, bool is_final)
{
    struct t_seen *seen = context;
    if (!is_final) {
        seen->waits = true;
        return true;
    }
    assert_true(seen->count < T_SEEN_MAX && row->id.size < sizeof(seen->ids[0]));
    seen->numbers[seen->count] = number;
    memcpy(seen->ids[seen->count], row->id.data, row->id.size);
    seen->ids[seen->count][row->id.size] = '\0';
    seen->count++;
    return true;
}

/* Behind what was seen-> */
static void
t_read_on(struct document_store *store, struct t_seen *seen, uint32_t limit)
{
    struct document_place place = DOCUMENT_PLACE_FIRST;
    seen->waits = false;
    if (seen->count > 0) {
        place.number = seen->numbers[seen->count - 1];
        place.id = span_from_cstr(seen->ids[seen->count - 1]);
    }
    assert_int_equal(
        store->shared->list_final(store, &t_fruit, &place, limit, t_see, seen), ERR_OK);
}

static void
t_put(struct document_store *store, const char *id)
{
    t_begin(store);
    assert_int_equal(t_insert(store, id, "{}"), ERR_OK);
    assert_int_equal(store->ops->commit(store), ERR_OK);
}

static PGconn *
t_session(struct t_two *t)
{
    char url[600];
    (void)snprintf(url, sizeof(url), "%s", t->url);
    PGconn *conn = PQconnectdb(url);
    assert_int_equal(PQstatus(conn), CONNECTION_OK);
    return conn;
}

static void
t_exec(PGconn *conn, const char *sql)
{
    PGresult *result = PQexec(conn, sql);
    if (PQresultStatus(result) != PGRES_COMMAND_OK) {
        fail_msg("%s: %s", sql, PQerrorMessage(conn));
    }
    PQclear(result);
}

static void
t_insert_by_hand(PGconn *conn, const char *id)
{
    char sql[256];
    (void)snprintf(
        sql,
        sizeof(sql),
        "INSERT INTO fruit (scope, id, version, body) VALUES (%d, '%s', 1, '{}')",
        SCOPE,
        id);
    t_exec(conn, sql);
}

/* A transaction that began to write first ends last: what overtook it waits, and comes behind. */
static void
what_is_overtaken_comes_first(void **state)
{
    struct t_two *t = *state;
    struct t_seen *seen = t_nothing();
    PGconn *slow = t_session(t);
    t_put(t->a, "a0");
    t_exec(slow, "BEGIN");
    t_insert_by_hand(slow, "z_slow");
    t_put(t->b, "b1");
    t_put(t->a, "a2");
    t_read_on(t->a, seen, 100);
    assert_int_equal(seen->count, 1);
    assert_string_equal(seen->ids[0], "a0");
    assert_true(seen->waits);
    t_exec(slow, "COMMIT");
    t_read_on(t->b, seen, 2);
    assert_int_equal(seen->count, 3);
    assert_string_equal(seen->ids[1], "z_slow");
    assert_string_equal(seen->ids[2], "b1");
    t_read_on(t->a, seen, 100);
    assert_int_equal(seen->count, 4);
    assert_false(seen->waits);
    t_read_on(t->a, seen, 100);
    assert_int_equal(seen->count, 4);
    PQfinish(slow);
}

/* What its own transaction wrote is not final, and not handed out. */
static void
what_is_not_committed_is_not_there(void **state)
{
    struct t_two *t = *state;
    struct t_seen *seen = t_nothing();
    t_begin(t->a);
    assert_int_equal(t_insert(t->a, "a", "{}"), ERR_OK);
    t_read_on(t->a, seen, 100);
    assert_true(seen->count == 0 && !seen->waits);
    assert_int_equal(t->a->ops->commit(t->a), ERR_OK);
    t_read_on(t->a, seen, 100);
    assert_int_equal(seen->count, 1);
}

/* Sessions that begin, insert, commit and take back at random, and a reader that dies now and then
 * and goes on from what it had written down: each row that there is, once for each life at most
 * behind what was written down, and in one order for all lives. */
static void
every_row_once_and_in_one_order(void **state)
{
    enum {
        SESSIONS = 6,
        STEPS = 1500
    };

    struct t_two *t = *state;
    PGconn *sessions[SESSIONS];
    bool open[SESSIONS] = {false};
    struct t_seen *seen = t_nothing();
    uint32_t written_down = 0, deaths = 0, waited = 0;
    unsigned random = 20261128;
    for (int i = 0; i < SESSIONS; i++) {
        sessions[i] = t_session(t);
    }
    for (int step = 0; step < STEPS; step++) {
        random = random * 1103515245 + 12345;
        unsigned who = (random >> 8) % SESSIONS, what = (random >> 16) % 10;
        char id[16];
        /* Ids in an order of their own. */
        (void)snprintf(id, sizeof(id), "%04u%u", (unsigned)(step * 7919) % 10000, who);
        if (!open[who]) {
            t_exec(sessions[who], "BEGIN");
            open[who] = true;
        }
        t_insert_by_hand(sessions[who], id);
        if (what < 5) {
            t_exec(sessions[who], what == 0 ? "ROLLBACK" : "COMMIT");
            open[who] = false;
        }
        if (what >= 7) {
            t_read_on(what == 7 ? t->a : t->b, seen, 1 + (random >> 20) % 9);
            waited += seen->waits ? 1 : 0;
        }
        if (what == 9) {
            written_down = seen->count;
        } else if (what == 6) {
            seen->count = written_down; /* it dies */
            deaths++;
        }
    }
    for (int i = 0; i < SESSIONS; i++) {
        PQfinish(sessions[i]); /* which takes back */
    }
    uint32_t before = seen->count + 1;
    while (seen->count != before) {
        before = seen->count;
        t_read_on(t->a, seen, 50);
        if (seen->waits) { /* the server notices that they are gone */
            (void)usleep(1000);
            before = UINT32_MAX;
        }
    }
    assert_int_equal(seen->count, t_number(t, "SELECT count(*) FROM fruit"));
    for (uint32_t i = 1; i < seen->count; i++) {
        assert_true(
            seen->numbers[i] > seen->numbers[i - 1] ||
            (seen->numbers[i] == seen->numbers[i - 1] &&
             strcmp(seen->ids[i], seen->ids[i - 1]) > 0));
    }
    assert_true(deaths > 0 && waited > 0 && seen->count > 200);
}

/* Rows of a program that knew of no order come first; those of another cluster, whose numbers are
 * ahead, before whatever comes from now on. */
static void
rows_from_elsewhere_come_before_new_ones(void **state)
{
    struct t_two *t = *state;
    struct t_seen *seen = t_nothing();
    t_put(t->a, "b1");
    t_put(t->a, "a2");
    t_sql(t, "UPDATE fruit SET commit_number = 0 WHERE id = 'a2'");
    t_sql(t, "UPDATE fruit SET commit_number = commit_number + 4000000000000 WHERE id = 'b1'");
    t->b->ops->close(t->b);
    t->b = t_open(t); /* migrates */
    t_put(t->a, "a3");
    t_read_on(t->b, seen, 100);
    assert_int_equal(seen->count, 3);
    assert_string_equal(seen->ids[0], "a2");
    assert_string_equal(seen->ids[1], "b1");
    assert_string_equal(seen->ids[2], "a3");
    int64_t base = t_number(t, "SELECT base FROM tael_order");
    assert_true(base > 4000000000000);
    t->b->ops->close(t->b);
    t->b = t_open(t); /* nothing to do */
    assert_int_equal(t_number(t, "SELECT base FROM tael_order"), base);
}

int
main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, t_setup, t_teardown)
    const struct CMUnitTest tests[] = {
        T(what_is_overtaken_comes_first),
        T(what_is_not_committed_is_not_there),
        T(every_row_once_and_in_one_order),
        T(rows_from_elsewhere_come_before_new_ones),
    };
    return cmocka_run_group_tests_name("the order of documents on PostgreSQL", tests, NULL, NULL);
}
