/*
 * Cold parts and the rows that name them, beside each other. They are in different databases, so a
 * batch of keys goes from one to the other as the text of an array, and what was found out is kept
 * in tables of the session: nothing grows here with the number of rows.
 */
#include "sharded_parts.h"

#include "cold.h"

#include "base/assert.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PARTS_SQL_SIZE 2048
#define PARTS_BATCH    "1000"

/* SQL: the name in a hot body; whether it has one; a part's name, the row's id and the version of
 * the name in a part's id. */
#define SQL_NAMED     "body LIKE '{\"" DOCUMENT_COLD_NAME_MEMBER "\":\"%%'"
#define SQL_NAME      "split_part(left(body, 200), '\"', 4)"
#define SQL_PART_NAME "regexp_replace(u.id, '^.*@', '')"
#define SQL_PART_ROW  "regexp_replace(u.id, '@[^@]*$', '')"

/* The first of a batch: behind this key. */
struct key {
    char scope[24];
    char *id; /* owned; NULL: before all */
};

/* Parameters are texts; NULL after explaining it, else PQclear. */
static PGresult *
ask(struct document_parts *parts,
    uint32_t shard,
    const char *sql,
    int count,
    const char *const *values)
{
    PGresult *result = PQexecParams(parts->conns[shard], sql, count, NULL, values, NULL, NULL, 0);
    ExecStatusType status = PQresultStatus(result);
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) {
        postgres_one_line(
            PQerrorMessage(parts->conns[shard]), parts->message, DOCUMENT_MESSAGE_SIZE);
        PQclear(result);
        return NULL;
    }
    return result;
}

static err_t
key_move(struct key *key, const PGresult *batch)
{
    (void)snprintf(key->scope, sizeof(key->scope), "%s", PQgetvalue(batch, 0, 3));
    free(key->id);
    key->id = strdup(PQgetvalue(batch, 0, 4));
    return key->id == NULL ? ERR_MEMORY : ERR_OK;
}

/* How many, their scopes and ids as arrays, and the last one; *ret_batch NULL behind the end.
 * `rows` selects scope, id and key. */
static err_t
batch_ask(
    struct document_parts *parts,
    uint32_t shard,
    const char *rows,
    struct key *key,
    PGresult **ret_batch)
{
    char sql[PARTS_SQL_SIZE];
    const char *values[2] = {key->id == NULL ? "-1" : key->scope, key->id == NULL ? "" : key->id};
    int size = snprintf(
        sql,
        sizeof(sql),
        "SELECT count(*), array_agg(key_scope), array_agg(key), "
        "(array_agg(key_scope ORDER BY key_scope DESC, id DESC))[1], "
        "(array_agg(id ORDER BY key_scope DESC, id DESC))[1] FROM (SELECT t.scope AS key_scope, "
        "t.id, t.key FROM (%s) t WHERE (t.scope, t.id) > ($1::bigint, $2::text) "
        "ORDER BY t.scope, t.id LIMIT " PARTS_BATCH ") b",
        rows);
    ASSERT(size > 0 && (size_t)size < sizeof(sql));
    *ret_batch = NULL;
    PGresult *batch = ask(parts, shard, sql, 2, values);
    if (batch == NULL) {
        return ERR_DATABASE;
    }
    if (strcmp(PQgetvalue(batch, 0, 0), "0") == 0) {
        PQclear(batch);
        return ERR_OK;
    }
    err_t result = key_move(key, batch);
    if (result != ERR_OK) {
        PQclear(batch);
        return result;
    }
    *ret_batch = batch;
    return ERR_OK;
}

static err_t
add_count(const PGresult *result, uint64_t *count)
{
    if (result == NULL) {
        return ERR_DATABASE;
    }
    *count += strtoull(PQgetvalue(result, 0, 0), NULL, 10);
    return ERR_OK;
}

/* ------------------------------------------------------------------------------- all of them */

err_t
document_parts_init(
    struct document_parts *parts,
    const struct shard_map *map,
    const struct document_kind *const *kinds,
    uint32_t kind_count,
    char message[DOCUMENT_MESSAGE_SIZE])
{
    memset(parts, 0, sizeof(*parts));
    parts->map = map;
    parts->message = message;
    TRY(document_sharded_groups_read(map, kinds, kind_count, &parts->groups, message));
    for (uint32_t i = 0; i < map->shard_count && parts->groups.count > 0; i++) {
        TRY(document_plain_connect(&map->shards[i], &parts->conns[i], message));
    }
    return ERR_OK;
}

void
document_parts_release(struct document_parts *parts)
{
    for (uint32_t i = 0; i < SHARD_SHARDS_MAX; i++) {
        PQfinish(parts->conns[i]);
        parts->conns[i] = NULL;
    }
}

/* A database that was never opened by this map has no table yet. */
static err_t
has_table(struct document_parts *parts, uint32_t shard, const char *name, bool *ret_there)
{
    return document_plain_has_table(parts->conns[shard], name, ret_there, parts->message);
}

/* --------------------------------------------------------------------------- what is missing */

static err_t
missing_of(
    struct document_parts *parts,
    const struct document_sharded_group *group,
    uint32_t shard,
    uint64_t *count)
{
    char rows[PARTS_SQL_SIZE / 4], sql[PARTS_SQL_SIZE];
    struct key key = {.id = NULL};
    bool there = false, parts_there = false;
    TRY(has_table(parts, shard, group->kind->name, &there));
    TRY(has_table(parts, group->shard, group->name, &parts_there));
    (void)snprintf(
        rows,
        sizeof(rows),
        "SELECT scope, id, id || '@' || " SQL_NAME " AS key FROM \"%s\" WHERE " SQL_NAMED,
        group->kind->name);
    (void)snprintf(
        sql,
        sizeof(sql),
        parts_there
            ? "SELECT count(*) FROM unnest($1::bigint[], $2::text[]) AS u (scope, id) WHERE NOT "
              "EXISTS (SELECT 1 FROM \"%s\" c WHERE c.scope = u.scope AND c.id = u.id)"
            : "SELECT count(*) FROM unnest($1::bigint[], $2::text[]) AS u (scope, id) -- %s",
        group->name);
    err_t result = ERR_OK;
    for (bool more = there; more && result == ERR_OK;) {
        PGresult *batch;
        result = batch_ask(parts, shard, rows, &key, &batch);
        more = result == ERR_OK && batch != NULL;
        if (more) {
            const char *values[2] = {PQgetvalue(batch, 0, 1), PQgetvalue(batch, 0, 2)};
            PGresult *found = ask(parts, group->shard, sql, 2, values);
            result = add_count(found, count);
            PQclear(found);
            PQclear(batch);
        }
    }
    free(key.id);
    return result;
}

err_t
document_parts_missing(struct document_parts *parts, uint32_t shard, uint64_t *ret_count)
{
    uint64_t count = 0;
    for (uint32_t i = 0; i < parts->groups.count; i++) {
        TRY(missing_of(parts, &parts->groups.groups[i], shard, &count));
    }
    *ret_count = count;
    return ERR_OK;
}

/* -------------------------------------------------------------------------------- what is left
 * over
 */

/* Of a batch of parts, those whose row one shard has: named, or surely not to be named any more. */
static err_t
known_by(
    struct document_parts *parts,
    const struct document_sharded_group *group,
    uint32_t shard,
    const PGresult *batch)
{
    char sql[PARTS_SQL_SIZE];
    bool there = false;
    const char *values[2] = {PQgetvalue(batch, 0, 1), PQgetvalue(batch, 0, 2)};
    TRY(has_table(parts, shard, group->kind->name, &there));
    if (!there) {
        return ERR_OK;
    }
    (void)snprintf(
        sql,
        sizeof(sql),
        "SELECT array_agg(s), array_agg(i), array_agg(named) FROM (SELECT u.scope AS s, u.id AS i, "
        "h." SQL_NAMED " AND split_part(left(h.body, 200), '\"', 4) = " SQL_PART_NAME " AS named, "
        "h.version >= split_part(" SQL_PART_NAME ", '-', 1)::bigint AS sure FROM "
        "unnest($1::bigint[], $2::text[]) AS u (scope, id) JOIN \"%s\" h ON h.scope = u.scope AND "
        "h.id = " SQL_PART_ROW ") k WHERE named OR sure",
        group->kind->name);
    PGresult *known = ask(parts, shard, sql, 2, values);
    if (known == NULL) {
        return ERR_DATABASE;
    }
    PGresult *noted = NULL;
    bool any = !PQgetisnull(known, 0, 0);
    if (any) {
        const char *found[3] = {
            PQgetvalue(known, 0, 0), PQgetvalue(known, 0, 1), PQgetvalue(known, 0, 2)};
        noted =
            ask(parts,
                group->shard,
                "INSERT INTO tael_part_known SELECT * FROM unnest($1::bigint[], $2::text[], "
                "$3::boolean[])",
                3,
                found);
    }
    PQclear(known);
    PQclear(noted);
    return any && noted == NULL ? ERR_DATABASE : ERR_OK;
}

static err_t
left_of_batch(
    struct document_parts *parts,
    const struct document_sharded_group *group,
    int64_t before_s,
    const PGresult *batch)
{
    char before[24];
    const char *values[3] = {PQgetvalue(batch, 0, 1), PQgetvalue(batch, 0, 2), before};
    (void)snprintf(before, sizeof(before), "%" PRId64, before_s);
    PGconn *conn = parts->conns[group->shard];
    TRY(document_plain_do(conn, "TRUNCATE tael_part_known", parts->message));
    for (uint32_t i = 0; i < parts->map->shard_count; i++) {
        if ((parts->groups.shards & document_sharded_bit(i)) == 0) {
            TRY(known_by(parts, group, i, batch));
        }
    }
    PGresult *noted = ask(
        parts,
        group->shard,
        "INSERT INTO tael_part_left SELECT u.scope, u.id FROM unnest($1::bigint[], $2::text[]) AS "
        "u (scope, id) LEFT JOIN tael_part_known k ON k.scope = u.scope AND k.id = u.id WHERE "
        "NOT k.named OR (k.named IS NULL AND split_part(" SQL_PART_NAME
        ", '-', 2)::bigint < $3::bigint)",
        3,
        values);
    PQclear(noted);
    return noted == NULL ? ERR_DATABASE : ERR_OK;
}

err_t
document_parts_left(
    struct document_parts *parts,
    const struct document_sharded_group *group,
    int64_t before_s,
    uint64_t *ret_count)
{
    char rows[PARTS_SQL_SIZE / 4];
    struct key key = {.id = NULL};
    bool there = false;
    int64_t count = 0;
    PGconn *conn = parts->conns[group->shard];
    TRY(document_plain_do(
        conn,
        "CREATE TEMP TABLE IF NOT EXISTS tael_part_known (scope bigint, id text, named boolean);"
        "CREATE TEMP TABLE IF NOT EXISTS tael_part_left (scope bigint, id text);"
        "TRUNCATE tael_part_left",
        parts->message));
    TRY(has_table(parts, group->shard, group->name, &there));
    (void)snprintf(rows, sizeof(rows), "SELECT scope, id, id AS key FROM \"%s\"", group->name);
    err_t result = ERR_OK;
    for (bool more = there; more && result == ERR_OK;) {
        PGresult *batch;
        result = batch_ask(parts, group->shard, rows, &key, &batch);
        more = result == ERR_OK && batch != NULL;
        if (more) {
            result = left_of_batch(parts, group, before_s, batch);
            PQclear(batch);
        }
    }
    free(key.id);
    TRY(result);
    TRY(document_plain_number(conn, "SELECT count(*) FROM tael_part_left", &count, parts->message));
    *ret_count = (uint64_t)count;
    return ERR_OK;
}

err_t
document_parts_delete(
    struct document_parts *parts, const struct document_sharded_group *group, uint64_t *ret_count)
{
    char sql[PARTS_SQL_SIZE];
    (void)snprintf(
        sql,
        sizeof(sql),
        "DELETE FROM \"%s\" c USING tael_part_left l WHERE c.scope = l.scope AND c.id = l.id",
        group->name);
    PGresult *gone = document_plain_run(parts->conns[group->shard], sql, parts->message);
    if (gone == NULL) {
        return ERR_DATABASE;
    }
    *ret_count = strtoull(PQcmdTuples(gone), NULL, 10);
    PQclear(gone);
    return ERR_OK;
}
