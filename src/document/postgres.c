/*
 * The store on PostgreSQL: opening, and transactions.
 *
 * A transaction is in memory until its commit (postgres_rows.c), so a group of requests costs the
 * round trips of what it reads, which can be asked for together (prefetch), and one for the commit.
 * Reads are of the moment in which they are made; that nothing has changed since then is checked
 * for every row that is written.
 */
#include "postgres.h"

#include "base/assert.h"
#include "os/clock.h"
#include "os/entropy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Opening waits this long for a database that is starting. */
#define OPEN_MS_MAX 10000
/* Between two attempts at an open. */
#define RETRY_US 10000

struct document_pg_kind *
document_pg_kind(struct document_pg *pg, const struct document_kind *kind)
{
    for (uint32_t i = 0; i < pg->kind_count; i++) {
        if (pg->kinds[i].kind == kind) {
            return &pg->kinds[i];
        }
    }
    /* A kind that was not given to document_store_open. */
    UNREACHABLE();
}

static err_t
pg_begin(struct document_store *store)
{
    struct document_pg *pg = document_pg_of(store);
    ASSERT(!pg->in_transaction);
    TRY(document_pg_begin_flush(pg)); /* a connection, no more */
    pg->in_transaction = true;
    pg->write_failure = ERR_OK;
    pg->lost_count = 0;
    return ERR_OK;
}

static void
pg_rollback(struct document_store *store)
{
    struct document_pg *pg = document_pg_of(store);
    ASSERT(pg->in_transaction);
    pg->in_transaction = false;
    pg->write_failure = ERR_OK;
    pg->owner = NULL;
    document_pg_forget(pg);
}

/* The database makes it durable before it answers the commit. */
static err_t
pg_sync(struct document_store *store)
{
    (void)store;
    return ERR_OK;
}

/* What was read outside of a transaction is not kept for the next group. */
static void
pg_maintain(struct document_store *store)
{
    struct document_pg *pg = document_pg_of(store);
    if (pg->in_transaction) {
        return;
    }
    document_pg_forget(pg);
    document_pg_clock_check(pg);
    if (pg->unlock_count > 0 && document_pg_begin_flush(pg) == ERR_OK) {
        document_pg_send_unlocks(pg);
        if (document_pg_end_flush(pg) != ERR_OK && pg->state == DOCUMENT_PG_UP) {
            document_pg_disconnect(pg); /* which unlocks, too */
        }
    }
}

static void
pg_close(struct document_store *store)
{
    struct document_pg *pg = document_pg_of(store);
    PQfinish(pg->conn);
    postgres_parameters_release(&pg->parameters);
    for (uint32_t i = 0; i < DOCUMENT_PG_PARAMS_MAX; i++) {
        buf_release(&pg->params[i]);
    }
    map_release(&pg->rows);
    arena_release(&pg->arena);
    free(pg->commands);
    free((void *)pg->lost);
    free(pg);
}

static void
pg_owner(struct document_store *store, const void *owner)
{
    document_pg_of(store)->owner = owner;
}

static err_t
pg_outcome(struct document_store *store, const void *owner)
{
    return document_pg_has_lost(document_pg_of(store), owner) ? ERR_STALE : ERR_OK;
}

static uint64_t
pg_clock_ns(struct document_store *store)
{
    int64_t offset_ns =
        atomic_load_explicit(&document_pg_of(store)->clock_offset_ns, memory_order_relaxed);
    return os_monotonic_ns(os_clock_real()) + (uint64_t)offset_ns;
}

static bool
pg_connected(struct document_store *store)
{
    return atomic_load_explicit(&document_pg_of(store)->is_up, memory_order_relaxed);
}

static uint64_t
pg_round_trips(struct document_store *store)
{
    return document_pg_of(store)->round_trips;
}

static const struct document_store_ops pg_ops = {
    .begin = pg_begin,
    .commit = document_pg_commit,
    .apply = document_pg_commit,
    .sync = pg_sync,
    .rollback = pg_rollback,
    .get = document_pg_get,
    .insert = document_pg_insert,
    .update = document_pg_update,
    .remove = document_pg_remove,
    .list = document_pg_list,
    .maintain = pg_maintain,
    .close = pg_close,
};

static const struct document_shared_ops pg_shared_ops = {
    .owner = pg_owner,
    .outcome = pg_outcome,
    .prefetch = document_pg_prefetch,
    .lock = document_pg_lock,
    .unlock = document_pg_unlock,
    .lead = document_pg_lead,
    .order_name = document_pg_order_name,
    .list_final = document_pg_list_final,
    .clock_ns = pg_clock_ns,
    .connected = pg_connected,
    .round_trips = pg_round_trips,
};

/* ------------------------------------------------------------------------------------- opening */

static void
name_statement(
    struct document_pg_statement *statement, const char *what, uint32_t kind, uint32_t at)
{
    (void)snprintf(statement->name, sizeof(statement->name), "%s_%u_%u", what, kind, at);
}

static void
name_statements(struct document_pg *pg)
{
    name_statement(&pg->node_commit, "node_commit", 0, 0);
    name_statement(&pg->lock, "lock", 0, 0);
    name_statement(&pg->unlock, "unlock", 0, 0);
    name_statement(&pg->lead, "lead", 0, 0);
    name_statement(&pg->read_clock, "read_clock", 0, 0);
    for (uint32_t i = 0; i < pg->kind_count; i++) {
        struct document_pg_kind *of = &pg->kinds[i];
        name_statement(&of->get, "get", i, 0);
        name_statement(&of->insert, "insert", i, 0);
        name_statement(&of->insert_unless_there, "insert", i, 1);
        name_statement(&of->remove, "remove", i, 0);
        name_statement(&of->list_final, "list_final", i, 0);
        for (uint32_t j = 0; j < 1U << DOCUMENT_COLUMNS_MAX; j++) {
            name_statement(&of->updates[j], "update", i, j);
        }
        for (uint32_t j = 0; j < DOCUMENT_PG_SHAPES_MAX; j++) {
            name_statement(&of->shapes[j].statement, "list", i, j);
        }
    }
}

static struct document_pg *
pg_create(const struct document_kind *const *kinds, uint32_t kind_count)
{
    /* Larger than any flush: what is in a parameter lies in the arena before. */
    const size_t param_max = (size_t)DOCUMENT_PG_ARENA_MAX;
    struct document_pg *pg = calloc(1, sizeof(*pg) + kind_count * sizeof(pg->kinds[0]));
    if (pg == NULL) {
        return NULL;
    }
    pg->store.ops = &pg_ops;
    pg->store.shared = &pg_shared_ops;
    pg->kind_count = kind_count;
    for (uint32_t i = 0; i < kind_count; i++) {
        pg->kinds[i].kind = kinds[i];
    }
    name_statements(pg);
    document_pg_clock_init(pg);
    for (uint32_t i = 0; i < DOCUMENT_PG_PARAMS_MAX; i++) {
        buf_init(&pg->params[i], param_max);
    }
    arena_init(&pg->arena, DOCUMENT_PG_ARENA_MAX);
    map_init(&pg->rows, DOCUMENT_PG_ROWS_MAX);
    pg->last_row = &pg->first_row;
    pg->commands = calloc(DOCUMENT_PG_COMMANDS_MAX, sizeof(*pg->commands));
    pg->lost = calloc(DOCUMENT_PG_OWNERS_MAX, sizeof(*pg->lost));
    u128 node = os_random_u128(os_entropy_real());
    (void)snprintf(
        pg->node,
        sizeof(pg->node),
        "%016llx%016llx",
        (unsigned long long)u128_high(node),
        (unsigned long long)u128_low(node));
    if (pg->commands == NULL || pg->lost == NULL) {
        pg_close(&pg->store);
        return NULL;
    }
    return pg;
}

/* A database that is starting is waited for; one that refuses us is not, if the URL names no other.
 */
static err_t
connect_first(struct document_pg *pg)
{
    uint64_t until_ms = postgres_now_ms() + OPEN_MS_MAX;
    for (;;) {
        uint64_t now_ms = postgres_now_ms();
        if (now_ms >= until_ms) {
            return ERR_CLOSED;
        }
        err_t result = document_pg_connect(pg, (uint32_t)(until_ms - now_ms));
        if (result != ERR_CLOSED) {
            return result;
        }
        bool is_starting = strstr(pg->problem, "starting up") != NULL ||
                           strstr(pg->problem, "recovery mode") != NULL || pg->problem[0] == '\0';
        bool all_tried = pg->failed_attempts >= pg->parameters.host_count;
        if (!is_starting && all_tried && pg->state == DOCUMENT_PG_DOWN) {
            return ERR_CLOSED;
        }
        (void)usleep(RETRY_US);
    }
}

err_t
document_pg_open(
    const char *url,
    const struct document_pg_identity *identity,
    const struct document_kind *const *kinds,
    uint32_t kind_count,
    struct document_store **ret_store,
    char message[DOCUMENT_MESSAGE_SIZE])
{
    struct document_pg *pg = pg_create(kinds, kind_count);
    if (pg == NULL) {
        return ERR_MEMORY;
    }
    if (identity != NULL) {
        pg->identity = *identity;
    }
    err_t result = document_pg_parse(pg, url, message);
    if (result == ERR_OK) {
        result = connect_first(pg);
        if (result != ERR_OK) {
            (void)snprintf(message, DOCUMENT_MESSAGE_SIZE, "%s", pg->problem);
        }
    }
    if (result == ERR_OK) {
        result = document_pg_migrate(pg, message);
    }
    if (result != ERR_OK) {
        pg_close(&pg->store);
        return result;
    }
    *ret_store = &pg->store;
    return ERR_OK;
}
