#include "postgres.h"

#include "journal_scan.h"

#include "os/entropy.h"

#include "base/list.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A statement that waits for a lock gives up before one that runs. Plans: rows are found by what a
 * statement names, so anything but following an index is a mistake of a planner that has no
 * statistics of arrays. */
#define SESSION_OPTIONS                                                                            \
    "-c search_path=%s -c lock_timeout=%u -c statement_timeout=60000 "                             \
    "-c idle_in_transaction_session_timeout=%u -c enable_hashjoin=off -c enable_mergejoin=off "    \
    "-c enable_seqscan=off -c enable_bitmapscan=off -c plan_cache_mode=force_generic_plan "        \
    "-c jit=off -c synchronous_commit=on -c client_min_messages=error -c timezone=UTC "

#define LOCK_MS_MAX 3000u

/* --- the I/O thread's signs of life --- */

static void
renew_arm(struct store_pg *pg)
{
    uint64_t now_ms = postgres_now_ms();
    os_timer_arm(pg->loop, &pg->renew_timer, (now_ms + pg->options.lease_ms / 4) * OS_NS_PER_MS);
}

static void
renew_fire(struct os_timer *timer)
{
    struct store_pg *pg = CONTAINER_OF(timer, struct store_pg, renew_timer);
    if (atomic_load(&pg->lost)) {
        return;
    }
    uint64_t now_ms = postgres_now_ms();
    uint64_t ends_ms = atomic_load(&pg->lease_ends_ms);
    if (ends_ms < now_ms + pg->options.lease_ms / 2) {
        /* No commit has said it. A failure is tried again at the next turn, until the lease ends.
         */
        uint64_t deadline_ms = now_ms + pg->options.lease_ms / 4;
        err_t code = store_pg_connect(&pg->writer, deadline_ms);
        code = code == ERR_OK ? store_pg_term_renew(pg, deadline_ms) : code;
        if (code == ERR_STALE) {
            atomic_store(&pg->lost, true);
            return;
        }
    }
    renew_arm(pg);
}

/* --- accounts --- */

err_t
store_pg_account_add(
    struct store_pg *pg, u128 id, store_pg_place_t last_transfer, uint64_t newest_timestamp)
{
    if (pg->account_count == pg->account_capacity) {
        uint32_t capacity = pg->account_capacity == 0 ? 1024 : pg->account_capacity * 2;
        store_pg_place_t *heads = realloc(pg->heads, capacity * sizeof(*heads));
        pg->heads = heads == NULL ? pg->heads : heads;
        uint64_t *times = realloc(pg->head_times, capacity * sizeof(*times));
        pg->head_times = times == NULL ? pg->head_times : times;
        u128 *ids = realloc(pg->ids, capacity * sizeof(*ids));
        pg->ids = ids == NULL ? pg->ids : ids;
        if (heads == NULL || times == NULL || ids == NULL) {
            return ERR_MEMORY;
        }
        pg->account_capacity = capacity;
    }
    pg->heads[pg->account_count] = last_transfer;
    pg->head_times[pg->account_count] = newest_timestamp;
    pg->ids[pg->account_count] = id;
    pg->account_count++;
    return ERR_OK;
}

/* --- opening and closing --- */

static void
free_all(struct store_pg *pg)
{
    store_pg_session_release(&pg->writer);
    store_pg_session_release(&pg->reader);
    postgres_parameters_release(&pg->parameters);
    for (uint32_t i = 0; i < STORE_PG_GROUPS; i++) {
        free(pg->groups[i].accounts);
        free(pg->groups[i].events);
        free(pg->groups[i].failed_ids);
        free(pg->groups[i].recents);
        buf_release(&pg->groups[i].note);
    }
    for (uint32_t i = 0; i < STORE_PG_PARAMS_MAX; i++) {
        buf_release(&pg->rows[i]);
    }
    map_release(&pg->recents);
    store_pg_filter_release(&pg->filter);
    free(pg->changes);
    free(pg->change_of);
    free(pg->heads);
    free(pg->head_times);
    buf_release(&pg->note);
    free(pg->ids);
    free(pg);
}

static void
pg_close(struct store *store)
{
    struct store_pg *pg = store_pg_of(store);
    if (pg->loop != NULL) {
        os_loop_stop(pg->loop);
        os_loop_destroy(pg->loop);
    }
    store_pg_term_release(pg);
    free_all(pg);
}

static const struct store_ops pg_ops = {
    .load = store_pg_load,
    .look_up = store_pg_look_up,
    .admit = store_pg_admit,
    .commit = store_pg_commit,
    .check = store_pg_check,
    .account_events = store_pg_account_events,
    .events = store_pg_events,
    .failed_ids = store_pg_failed_ids,
    .note_put = store_pg_note_put,
    .note_get = store_pg_note_get,
    .newest_transfer = store_pg_newest_transfer,
    .close = pg_close,
};

/* Host, process and a number of its own: for people, and plain enough for SQL. */
static void
holder_name(char *out, size_t size)
{
    char host[48] = "";
    uint32_t own = 0;
    (void)gethostname(host, sizeof(host) - 1);
    for (char *at = host; *at != '\0'; at++) {
        bool plain = (*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z') ||
                     (*at >= '0' && *at <= '9') || *at == '.' || *at == '-';
        *at = plain ? *at : '-';
    }
    os_entropy_real()->fill(os_entropy_real(), &own, sizeof(own));
    (void)snprintf(out, size, "%s pid %ld (%08x)", host, (long)getpid(), own);
}

static err_t
init(struct store_pg *pg, const char *url, struct store_error *error)
{
    char options[sizeof(SESSION_OPTIONS) + STORE_PG_SCHEMA_SIZE + 32];
    char *rest = malloc(strlen(url) + 1);
    if (rest == NULL) {
        return store_error_set(error, ERR_MEMORY, "%s", err_text(ERR_MEMORY));
    }
    err_t code = store_pg_url(url, &pg->options, rest, error);
    if (code == ERR_OK) {
        uint32_t lease_ms = pg->options.lease_ms;
        (void)snprintf(
            options,
            sizeof(options),
            SESSION_OPTIONS,
            pg->options.schema,
            lease_ms < LOCK_MS_MAX ? lease_ms : LOCK_MS_MAX,
            lease_ms);
        code = postgres_parameters_parse(
            rest, options, &pg->parameters, error->message, sizeof(error->message));
        error->code = code;
    }
    explicit_bzero(rest, strlen(rest));
    free(rest);
    return code;
}

err_t
store_pg_open(
    const char *url,
    const struct store_settings *settings,
    struct store **ret_store,
    struct store_error *error)
{
    struct store_pg *pg = calloc(1, sizeof(*pg));
    if (pg == NULL) {
        return store_error_set(error, ERR_MEMORY, "%s", err_text(ERR_MEMORY));
    }
    pg->store.ops = &pg_ops;
    pg->settings = *settings;
    store_pg_session_init(&pg->writer, &pg->parameters);
    store_pg_session_init(&pg->reader, &pg->parameters);
    for (uint32_t i = 0; i < STORE_PG_PARAMS_MAX; i++) {
        buf_init(&pg->rows[i], STORE_PG_BUF_MAX);
    }
    for (uint32_t i = 0; i < STORE_PG_GROUPS; i++) {
        pg->groups[i].pg = pg;
        buf_init(&pg->groups[i].note, STORE_NOTE_MAX);
    }
    buf_init(&pg->note, STORE_NOTE_MAX);
    map_init(&pg->recents, (size_t)3 * STORE_PG_EVENTS_MAX * STORE_PG_GROUPS);
    os_entropy_real()->fill(os_entropy_real(), &pg->key, sizeof(pg->key));
    holder_name(pg->holder, sizeof(pg->holder));
    pg->renew_timer.fire = renew_fire;
    err_t code = init(pg, url, error);
    if (code == ERR_OK && settings->loops != NULL) {
        code = os_loops_create(settings->loops, "ledger-pg", &pg->loop);
        if (code != ERR_OK) {
            store_error_set(error, code, "creating the I/O thread: %s", err_text(code));
        }
    }
    if (code != ERR_OK) {
        free_all(pg);
        return code;
    }
    *ret_store = &pg->store;
    return ERR_OK;
}

err_t
store_pg_start(struct store_pg *pg, struct store_error *error)
{
    if (pg->loop == NULL) {
        return ERR_OK;
    }
    renew_arm(pg);
    err_t code = os_loop_start(pg->loop);
    if (code != ERR_OK) {
        store_error_set(error, code, "starting the I/O thread: %s", err_text(code));
    }
    return code;
}
