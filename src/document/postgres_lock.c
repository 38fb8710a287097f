/*
 * Advisory locks of the session: they cost no write, and end with the connection of a process that
 * died. A process whose connection broke has lost its locks without knowing; that versions of rows
 * do not fit then is what stops it (DOCUMENT-2).
 *
 * Locks of objects take the space of one 64-bit number, works of one process for all that of two
 * 32-bit numbers, which PostgreSQL keeps apart. They are of the database; the schema's name is in
 * the number, so that two installations can have one each.
 */
#include "postgres.h"

#include "base/assert.h"
#include "base/hash.h"

#include <string.h>

#define WORK_SPACE 0x5461656c /* "Tael" */
/* Who does not lead asks again so often. */
#define LEAD_ASK_MS 500

/* The same in every process of every version. */
static const struct hash_key lock_hash_key = {0x6f626a65, 0x63747321};

static int64_t
lock_number(uint64_t scope, struct span id)
{
    return (int64_t)(hash_keyed(lock_hash_key, id) ^ hash_u64(scope));
}

static err_t
take_granted(void *context, const PGresult *result)
{
    struct document_lock *locks = context;
    int count = PQntuples(result);
    for (int i = 0; i < count; i++) {
        int64_t at = postgres_get_64(result, i, 0);
        locks[at - 1].granted = *PQgetvalue(result, i, 1) != 0;
    }
    return ERR_OK;
}

err_t
document_pg_lock(struct document_store *store, struct document_lock *locks, uint32_t count)
{
    struct document_pg *pg = document_pg_of(store);
    TRY(document_pg_begin_flush(pg));
    document_pg_send_unlocks(pg);
    document_pg_array_begin(&pg->params[0], DOCUMENT_INTEGER, count);
    for (uint32_t i = 0; i < count; i++) {
        locks[i].granted = false;
        document_pg_array_integer(&pg->params[0], lock_number(locks[i].scope, locks[i].id));
    }
    document_pg_execute(
        pg,
        &pg->lock,
        "SELECT u.at, pg_try_advisory_lock(u.number # hashtext(current_schema())) "
        "FROM unnest($1::bigint[]) WITH ORDINALITY AS u (number, at)",
        1,
        take_granted,
        locks);
    err_t result = document_pg_send_reads_again(pg);
    if (result == ERR_OK) {
        result = document_pg_end_flush(pg);
    } else {
        document_pg_disconnect(pg);
    }
    if (result != ERR_OK) {
        document_pg_forget_reads(pg);
    }
    return result;
}

void
document_pg_unlock(struct document_store *store, uint64_t scope, struct span id)
{
    struct document_pg *pg = document_pg_of(store);
    if (pg->state != DOCUMENT_PG_UP) {
        return; /* it ended with the session */
    }
    if (pg->unlock_count == DOCUMENT_PG_UNLOCKS_MAX) {
        document_pg_disconnect(pg); /* which unlocks, too */
        return;
    }
    pg->unlocks[pg->unlock_count++] = lock_number(scope, id);
}

/* Only now is it known: behind a statement that failed, the server skips the others. */
static err_t
take_unlocked(void *context, const PGresult *result)
{
    struct document_pg *pg = context;
    (void)result;
    pg->unlock_count = 0;
    return ERR_OK;
}

void
document_pg_send_unlocks(struct document_pg *pg)
{
    if (pg->unlock_count == 0 || pg->failure != ERR_OK) {
        return;
    }
    document_pg_array_begin(&pg->params[0], DOCUMENT_INTEGER, pg->unlock_count);
    for (uint32_t i = 0; i < pg->unlock_count; i++) {
        document_pg_array_integer(&pg->params[0], pg->unlocks[i]);
    }
    document_pg_execute(
        pg,
        &pg->unlock,
        "SELECT count(pg_advisory_unlock(u.number # hashtext(current_schema()))) "
        "FROM unnest($1::bigint[]) AS u (number)",
        1,
        take_unlocked,
        pg);
}

static err_t
take_lead(void *context, const PGresult *result)
{
    *(bool *)context = *PQgetvalue(result, 0, 0) != 0;
    return ERR_OK;
}

static struct document_pg_work *
work_find(struct document_pg *pg, const char *name)
{
    for (uint32_t i = 0; i < pg->work_count; i++) {
        if (strcmp(pg->works[i].name, name) == 0) {
            return &pg->works[i];
        }
    }
    ASSERT(pg->work_count < DOCUMENT_PG_WORKS_MAX);
    struct document_pg_work *work = &pg->works[pg->work_count++];
    *work = (struct document_pg_work){.name = name};
    return work;
}

bool
document_pg_lead(struct document_store *store, const char *name)
{
    struct document_pg *pg = document_pg_of(store);
    struct document_pg_work *work = work_find(pg, name);
    if (pg->state == DOCUMENT_PG_UP && work->session == pg->session) {
        return true;
    }
    uint64_t now_ms = postgres_now_ms();
    if (work->asked_ms != 0 && now_ms - work->asked_ms < LEAD_ASK_MS) {
        return false;
    }
    work->asked_ms = now_ms;
    bool leads = false;
    if (document_pg_begin_flush(pg) != ERR_OK) {
        return false;
    }
    document_pg_param_integer(
        &pg->params[0], (int64_t)(int32_t)hash_keyed(lock_hash_key, span_from_cstr(name)));
    document_pg_execute(
        pg,
        &pg->lead,
        "SELECT pg_try_advisory_lock(1415669100, $1::bigint::int # hashtext(current_schema()))",
        1,
        take_lead,
        &leads);
    static_assert(WORK_SPACE == 1415669100, "the number in the SQL text");
    if (document_pg_end_flush(pg) == ERR_OK && leads) {
        work->session = pg->session;
    }
    return leads;
}
