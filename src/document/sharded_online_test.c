/*
 * Merchants move while two processes write. The mover is a process of its own (a fork) that is
 * killed behind every step, or a few times within one; the stores here go on, as in servers that
 * call maintain between their transactions. What was answered is there, once, and nothing else.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sharded_testing.h"

#include "document/shards.h"
#include "postgres/postgres.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define MERCHANTS          12
#define IDS                6
#define ALL_BUT_A          "slots 0-5460 c\nslots 5461-10921 b\nslots 10922-16383 c\ntable documents hash\n"
#define WAIT_MS            20000
#define PAUSE_MS_MAX       2000
#define PAUSE_HANGS_MS_MAX 3000

static const char *const steps[] = {
    "prepare", "copy", "catch-up", "verify", "fence", "drain", "close", "flip", "open", "clean-up"};
#define STEPS (sizeof(steps) / sizeof(steps[0]))

/* What each row has to be; 0: it is not there. Each process writes rows of its own. */
static int64_t model[2 * MERCHANTS + 2][IDS];
static _Atomic int64_t counter;
static unsigned first_seed;

/* One of the two, on a thread. */
struct t_worker {
    struct t_shards *t;
    struct document_store *store;
    uint32_t which;
    unsigned seed;
    _Atomic bool *stop;
    struct arena arena;
    uint32_t failed, done;
    uint64_t longest_ms;
    char wrong[128]; /* what must not be; only the main thread fails the test */
};

struct t_killed {
    const char *step; /* NULL: none */
    uint32_t scopes;  /* or behind so many, if not 0 */
};

static void
t_at(void *context, const char *step)
{
    const struct t_killed *killed = context;
    if (killed->step != NULL && strcmp(killed->step, step) == 0) {
        _exit(9);
    }
}

static bool
t_go_on(void *context, uint64_t scopes)
{
    const struct t_killed *killed = context;
    if (killed->scopes != 0 && scopes == killed->scopes) {
        _exit(9);
    }
    return true;
}

/* A mover of its own; answers its process. */
static pid_t
t_mover(struct t_shards *t, const char *next, struct t_killed killed, bool cancel)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid != 0) {
        return pid;
    }
    char message[DOCUMENT_MESSAGE_SIZE];
    struct document_shards_move move = {
        .path = t->map,
        .next_path = next,
        .kinds = t_kinds,
        .kind_count = T_KINDS,
        .go_on = t_go_on,
        .at = t_at,
        .context = &killed};
    err_t result = cancel ? document_shards_move_cancel(&move, message)
                          : document_shards_move_online(&move, message);
    if (result != ERR_OK) {
        (void)fprintf(stderr, "mover: %s: %s\n", err_name(result), message);
    }
    _exit(result == ERR_OK ? 0 : 1);
}

static struct document_row
t_fruit_row(struct t_worker *worker, uint64_t scope, const char *id, int64_t due)
{
    struct document_row row = {
        .scope = scope,
        .id = span_from_cstr(id),
        .columns = {{.is_null = true}, {.integer = due}, {.is_null = true}}};
    row.body = arena_format(&worker->arena, "{\"due\":%" PRId64 "}", due);
    return row;
}

static void
t_wrong(struct t_worker *worker, const char *what, err_t error)
{
    (void)snprintf(worker->wrong, sizeof(worker->wrong), "%s: %s", what, err_name(error));
}

/* A row is made, changed or removed. */
static err_t
t_one_write(struct t_worker *worker, uint64_t scope, uint32_t at, int64_t *due)
{
    struct document_store *store = worker->store;
    char id[16];
    struct document_row row, old;
    (void)snprintf(id, sizeof(id), "f%u", at);
    row = t_fruit_row(worker, scope, id, *due);
    if (model[scope][at] == 0) {
        return store->ops->insert(store, &t_fruit, &row);
    }
    TRY(store->ops->get(store, &t_fruit, scope, row.id, &worker->arena, &old));
    if (old.columns[DUE].integer != model[scope][at]) {
        t_wrong(worker, "an older row was read", ERR_OK);
    }
    if (rand_r(&worker->seed) % 5 == 0) {
        *due = 0;
        return store->ops->remove(store, &t_fruit, scope, row.id, old.version);
    }
    row.version = old.version;
    return store->ops->update(store, &t_fruit, &row);
}

/* One transaction of one merchant. */
static bool
t_write(struct t_worker *worker)
{
    struct document_store *store = worker->store;
    uint64_t scope = 2 + (uint64_t)rand_r(&worker->seed) % (2 * (uint64_t)MERCHANTS);
    uint32_t at = 2 * ((uint32_t)rand_r(&worker->seed) % (IDS / 2)) + worker->which;
    uint64_t began_ms = postgres_now_ms();
    int64_t due = ++counter;
    arena_clear(&worker->arena);
    store->ops->maintain(store);
    err_t result = store->ops->begin(store);
    if (result == ERR_OK) {
        result = t_one_write(worker, scope, at, &due);
        if (result != ERR_OK) {
            store->ops->rollback(store);
        } else {
            result = store->ops->commit(store);
        }
    }
    if (result == ERR_OK) {
        model[scope][at] = due;
    } else if (
        result == ERR_NOT_FOUND || result == ERR_EXISTS || result == ERR_STALE ||
        err_category(result) == ERR_CATEGORY_UNKNOWN) {
        t_wrong(worker, "a write", result);
    }
    uint64_t took_ms = postgres_now_ms() - began_ms;
    worker->longest_ms = took_ms > worker->longest_ms ? took_ms : worker->longest_ms;
    return result == ERR_OK;
}

static void *
t_work(void *context)
{
    struct t_worker *worker = context;
    do {
        worker->failed += !t_write(worker);
        worker->done++;
    } while (!atomic_load(worker->stop));
    return NULL;
}

struct t_work {
    struct t_worker workers[2];
    pthread_t threads[2];
    _Atomic bool stop;
    bool runs[2];
    uint32_t failed, done;
    uint64_t longest_ms;
};

static void
t_work_begin(struct t_shards *t, struct t_work *work, bool both)
{
    *work = (struct t_work){.runs = {true, both}};
    for (uint32_t i = 0; i < 2; i++) {
        work->workers[i] = (struct t_worker){
            .t = t,
            .store = i == 0 ? t->a : t->b,
            .which = i,
            .seed = first_seed++,
            .stop = &work->stop,
        };
        arena_init(&work->workers[i].arena, 1 << 20);
        if (work->runs[i]) {
            assert_int_equal(pthread_create(&work->threads[i], NULL, t_work, &work->workers[i]), 0);
        }
    }
}

static void
t_work_end(struct t_work *work)
{
    atomic_store(&work->stop, true);
    for (uint32_t i = 0; i < 2; i++) {
        struct t_worker *worker = &work->workers[i];
        if (work->runs[i]) {
            assert_int_equal(pthread_join(work->threads[i], NULL), 0);
            work->done += worker->done;
        }
        assert_string_equal(worker->wrong, "");
        arena_release(&worker->arena);
        work->failed += worker->failed;
        work->longest_ms =
            worker->longest_ms > work->longest_ms ? worker->longest_ms : work->longest_ms;
    }
}

static int
t_exit_code(pid_t mover)
{
    int status = 0;
    for (uint64_t until_ms = postgres_now_ms() + WAIT_MS; waitpid(mover, &status, WNOHANG) == 0;) {
        assert_true(postgres_now_ms() < until_ms);
        (void)usleep(2000);
    }
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

/* A mover, while both processes write; its exit code. It is forked before there are threads. */
static int
t_move_beside(
    struct t_shards *t, const char *next, struct t_killed killed, bool cancel, struct t_work *work)
{
    pid_t mover = t_mover(t, next, killed, cancel);
    t_work_begin(t, work, true);
    int code = t_exit_code(mover);
    t_work_end(work);
    return code;
}

/* For so long without a mover. */
static void
t_work_for(struct t_shards *t, uint32_t ms, struct t_work *work)
{
    t_work_begin(t, work, true);
    (void)usleep(ms * 1000);
    t_work_end(work);
    assert_true(work->done > 0);
}

/* Until both have reached every shard: who was refused looks again within two seconds, who was cut
 * off finds it out with each of its connections. */
static void
t_reach_all(struct t_shards *t)
{
    struct document_row row;
    uint64_t until_ms = postgres_now_ms() + WAIT_MS;
    for (int i = 0; i < 2; i++) {
        struct document_store *store = i == 0 ? t->a : t->b;
        for (uint64_t scope = 2; scope < 2 * MERCHANTS + 2;) {
            store->ops->maintain(store);
            err_t result = t_get(t, store, scope, "f0", &row);
            if (result == ERR_OK || result == ERR_NOT_FOUND) {
                scope++;
                continue;
            }
            assert_true(postgres_now_ms() < until_ms);
            (void)usleep(2000);
        }
    }
    arena_clear(&t->arena);
}

/* As both see it, row by row and in lists across all. */
static void
t_check(struct t_shards *t)
{
    static struct t_listed listed;
    const struct document_query due = {
        .all_scopes = true, .range_column = DUE, .range_max = INT64_MAX, .limit = ROWS_MAX};
    for (int i = 0; i < 2; i++) {
        struct document_store *store = i == 0 ? t->a : t->b;
        uint32_t rows = 0;
        for (uint64_t scope = 2; scope < 2 * MERCHANTS + 2; scope++) {
            for (uint32_t at = 0; at < IDS; at++) {
                char id[16];
                (void)snprintf(id, sizeof(id), "f%u", at);
                int64_t there = t_due(t, store, scope, id);
                assert_int_equal(there, model[scope][at] == 0 ? -1 : model[scope][at]);
                rows += model[scope][at] != 0;
            }
        }
        memset(&listed, 0, sizeof(listed));
        assert_int_equal(store->ops->list(store, &t_fruit, &due, t_take, &listed), ERR_OK);
        assert_int_equal(listed.count, rows);
        arena_clear(&t->arena);
    }
}

struct t_seen {
    uint64_t strangers, unfinished;
    int64_t epoch;
};

static void
t_see(void *context, const struct document_shards_state *state)
{
    struct t_seen *seen = context;
    seen->strangers += state->strangers;
    seen->unfinished += state->next != 0;
    seen->epoch = state->epoch;
}

static struct t_seen
t_look(struct t_shards *t)
{
    struct t_seen seen = {.strangers = 0};
    assert_int_equal(
        document_shards_look(t->map, t_kinds, T_KINDS, t_see, &seen, t->message), ERR_OK);
    return seen;
}

static void
t_begin_world(struct t_shards *t)
{
    struct t_work work;
    memset(model, 0, sizeof(model));
    t_open_both(t);
    t_work_for(t, 300, &work);
    assert_int_equal(work.failed, 0);
}

static void
t_is_over(struct t_shards *t, int epoch)
{
    struct t_seen seen = t_look(t);
    assert_int_equal(seen.epoch, epoch);
    assert_int_equal(seen.strangers, 0);
    assert_int_equal(seen.unfinished, 0);
    t_check(t);
}

static void
nobody_notices(void **state)
{
    struct t_shards *t = *state;
    struct t_work work;
    t_begin_world(t);
    assert_true(t_sql(t, "SELECT count(*) FROM shard_a.fruit") > 0);
    const char *next = NULL;
    for (int epoch = 2; epoch <= 5; epoch++) {
        next = t_next_map(t, epoch, epoch % 2 == 0 ? ALL_BUT_A : BY_HASH);
        assert_int_equal(t_move_beside(t, next, (struct t_killed){.step = NULL}, false, &work), 0);
        assert_int_equal(work.failed, 0);
        t_is_over(t, epoch);
        assert_int_equal(t_sql(t, "SELECT count(*) FROM shard_a.fruit") == 0, epoch % 2 == 0);
        print_message("longest write: %" PRIu64 " ms\n", work.longest_ms);
        assert_in_range(work.longest_ms, 0, PAUSE_MS_MAX);
    }
    (void)unlink(next);
}

/* From hash to range, and back. */
static void
the_platform_moves_too(void **state)
{
    struct t_shards *t = *state;
    struct t_work work;
    t_begin_world(t);
    const char *next = NULL;
    assert_true(t->a->shared->lead(t->a, "sweep"));
    for (int epoch = 2; epoch <= 3; epoch++) {
        next = t_next_map(t, epoch, epoch % 2 == 0 ? BY_RANGE : BY_HASH);
        assert_int_equal(t_move_beside(t, next, (struct t_killed){.step = NULL}, false, &work), 0);
        assert_int_equal(work.failed, 0);
        t_is_over(t, epoch);
        assert_true(t->a->shared->connected(t->a));
        assert_true(t->a->shared->lead(t->a, "sweep"));
        assert_false(t->b->shared->lead(t->b, "sweep"));
    }
    (void)unlink(next);
}

enum {
    CLOSE_STEP = 6,
    DECIDED_STEP = 8, /* from here on */
};

/* The mover has been killed as `step` began: it is ended, or taken back where that is possible. */
static void
t_end_killed(struct t_shards *t, const char *next, size_t step, bool cancel, int *epoch)
{
    struct t_work work;
    bool decided = step >= DECIDED_STEP;
    int code = t_move_beside(t, next, (struct t_killed){.step = NULL}, cancel, &work);
    assert_int_equal(code, cancel && decided ? 1 : 0);
    if (cancel && decided) {
        assert_int_equal(t_move_beside(t, next, (struct t_killed){.step = NULL}, false, &work), 0);
    }
    *epoch += !cancel || decided;
}

static void
killed_at_every_step(void **state)
{
    struct t_shards *t = *state;
    struct t_work work;
    const char *next = NULL;
    int epoch = 1;
    t_begin_world(t);
    for (size_t i = 0; i < 2 * STEPS; i++) {
        size_t step = i / 2;
        next = t_next_map(t, epoch + 1, epoch % 2 == 1 ? ALL_BUT_A : BY_HASH);
        struct t_killed killed = {.step = steps[step]};
        assert_int_equal(t_move_beside(t, next, killed, false, &work), 9);
        if (step <= CLOSE_STEP) {
            assert_int_equal(work.failed, 0);
            t_check(t); /* by the old map */
        }
        t_end_killed(t, next, step, i % 2 == 1, &epoch);
        t_reach_all(t);
        t_work_for(t, 50, &work);
        assert_int_equal(work.failed, 0);
        t_is_over(t, epoch);
    }
    (void)unlink(next);
}

/* In the midst of copying, again and again; what has been copied is not copied again. */
static void
killed_while_copying(void **state)
{
    struct t_shards *t = *state;
    struct t_work work;
    int code = 9, killed = -1;
    t_begin_world(t);
    const char *next = t_next_map(t, 2, ALL_BUT_A);
    for (; code == 9; killed++) {
        code = t_move_beside(t, next, (struct t_killed){.scopes = 3}, false, &work);
        assert_int_equal(work.failed, 0);
        t_check(t);
    }
    assert_int_equal(code, 0);
    assert_in_range(killed, 1, 2 * MERCHANTS / 3);
    t_is_over(t, 2);
    (void)unlink(next);
}

/* A process that does nothing is cut off, and comes back by the new map when it goes on. */
static void
one_that_hangs_is_cut_off(void **state)
{
    struct t_shards *t = *state;
    struct t_work work;
    t_begin_world(t);
    const char *next = t_next_map(t, 2, ALL_BUT_A);
    pid_t mover = t_mover(t, next, (struct t_killed){.step = NULL}, false);
    t_work_begin(t, &work, false); /* b hangs */
    int code = t_exit_code(mover);
    t_work_end(&work);
    assert_int_equal(code, 0);
    assert_int_equal(work.failed, 0);
    print_message("longest write: %" PRIu64 " ms\n", work.longest_ms);
    assert_in_range(work.longest_ms, 900, PAUSE_HANGS_MS_MAX);
    t_reach_all(t);
    t_work_for(t, 50, &work);
    assert_int_equal(work.failed, 0);
    t_is_over(t, 2);
    (void)unlink(next);
}

/* An object that is locked stays locked for others, in the other database, too. */
static void
locks_go_along(void **state)
{
    struct t_shards *t = *state;
    struct t_work work;
    t_begin_world(t);
    const char *next = NULL;
    struct document_lock locks[2 * MERCHANTS];
    for (uint32_t i = 0; i < 2 * MERCHANTS; i++) {
        locks[i] = (struct document_lock){.scope = 2 + i, .id = SPAN("pi_1")};
    }
    assert_int_equal(t->a->shared->lock(t->a, locks, 2 * MERCHANTS), ERR_OK);
    for (int epoch = 2; epoch <= 3; epoch++) {
        next = t_next_map(t, epoch, epoch % 2 == 0 ? ALL_BUT_A : BY_HASH);
        assert_int_equal(t_move_beside(t, next, (struct t_killed){.step = NULL}, false, &work), 0);
        assert_int_equal(t->b->shared->lock(t->b, locks, 2 * MERCHANTS), ERR_OK);
        for (uint32_t i = 0; i < 2 * MERCHANTS; i++) {
            assert_false(locks[i].granted);
        }
    }
    for (uint32_t i = 0; i < 2 * MERCHANTS; i++) {
        t->a->shared->unlock(t->a, locks[i].scope, locks[i].id);
    }
    t->a->ops->maintain(t->a);
    assert_int_equal(t->b->shared->lock(t->b, locks, 2 * MERCHANTS), ERR_OK);
    for (uint32_t i = 0; i < 2 * MERCHANTS; i++) {
        assert_true(locks[i].granted);
    }
    (void)unlink(next);
}

static void
others_are_refused_meanwhile(void **state)
{
    struct t_shards *t = *state;
    struct t_work work;
    char message[DOCUMENT_MESSAGE_SIZE];
    t_begin_world(t);
    const char *next = t_next_map(t, 2, ALL_BUT_A);
    struct t_killed at_verify = {.step = "verify"};
    assert_int_equal(t_move_beside(t, next, at_verify, false, &work), 9);
    assert_int_equal(t_look(t).unfinished, SHARDS);
    struct document_shards_move move = {
        .path = t->map, .next_path = next, .kinds = t_kinds, .kind_count = T_KINDS};
    t_close(&t->a);
    t_close(&t->b);
    assert_int_equal(document_shards_move(&move, message), ERR_LOCKED);
    assert_non_null(strstr(message, "--online"));
    (void)t_next_map(t, 2, BY_RANGE); /* the same file */
    assert_int_equal(document_shards_move_online(&move, message), ERR_LOCKED);
    assert_non_null(strstr(message, "another map"));
    assert_int_equal(document_shards_move_cancel(&move, message), ERR_LOCKED);
    (void)t_next_map(t, 2, ALL_BUT_A);
    assert_int_equal(document_shards_move_cancel(&move, message), ERR_OK);
    assert_int_equal(t_look(t).unfinished, 0);
    t_open_both(t);
    t_check(t);
    (void)unlink(next);
}

int
main(void)
{
    const char *seed = getenv("TEST_SEED");
    unsigned number = seed != NULL ? (unsigned)strtoul(seed, NULL, 10) : (unsigned)getpid();
    (void)printf("TEST_SEED=%u\n", number);
    first_seed = number;
#define T(test) cmocka_unit_test_setup_teardown(test, t_setup, t_teardown)
    const struct CMUnitTest tests[] = {
        T(nobody_notices),
        T(the_platform_moves_too),
        T(killed_at_every_step),
        T(killed_while_copying),
        T(one_that_hangs_is_cut_off),
        T(locks_go_along),
        T(others_are_refused_meanwhile),
    };
    return cmocka_run_group_tests_name("moves beside processes", tests, NULL, NULL);
}
