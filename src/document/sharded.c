/* Reading and writing on shards: each row on its own; who has written where. */
#include "sharded.h"

#include "base/assert.h"
#include "base/hash.h"
#include "base/list.h"

#include <inttypes.h>
#include <stdlib.h>

/* ------------------------------------------------------------------------------------- owners */

struct document_sharded_owner *
document_sharded_owner_find(const struct document_sharded *sharded, const void *owner)
{
    uint64_t hash = hash_u64((uint64_t)(uintptr_t)owner);
    for (struct map_link *link = map_find(&sharded->owners, hash); link != NULL;
         link = map_next(link)) {
        struct document_sharded_owner *found =
            CONTAINER_OF(link, struct document_sharded_owner, link);
        if (found->owner == owner) {
            return found;
        }
    }
    return NULL;
}

/* The present owner's entry in the open transaction. */
static err_t
owner_enter(struct document_sharded *sharded, struct document_sharded_owner **ret_owner)
{
    struct document_sharded_owner *found = document_sharded_owner_find(sharded, sharded->owner);
    if (found == NULL) {
        found = ARENA_NEW(&sharded->arena, struct document_sharded_owner);
        if (found == NULL) {
            return ERR_FULL;
        }
        *found = (struct document_sharded_owner){
            .next = sharded->first_owner,
            .owner = sharded->owner,
            .home = DOCUMENT_SHARDED_HOME_NONE,
        };
        TRY(map_insert(
            &sharded->owners, hash_u64((uint64_t)(uintptr_t)sharded->owner), &found->link));
        sharded->first_owner = found;
    }
    *ret_owner = found;
    return ERR_OK;
}

static void
owners_forget(struct document_sharded *sharded)
{
    map_release(&sharded->owners);
    map_init(&sharded->owners, DOCUMENT_PG_OWNERS_MAX);
    sharded->first_owner = NULL;
    arena_clear(&sharded->arena);
}

err_t
document_sharded_enter(struct document_sharded *sharded, uint32_t shard)
{
    struct document_pg *pg = sharded->shards[shard];
    pg->owner = sharded->owner;
    pg->saw_dirty = false;
    if (sharded->in_transaction) {
        struct document_sharded_owner *owner;
        TRY(owner_enter(sharded, &owner));
        owner->touched |= document_sharded_bit(shard);
    }
    return ERR_OK;
}

void
document_sharded_leave(struct document_sharded *sharded, uint32_t shard)
{
    if (sharded->in_transaction && sharded->shards[shard]->saw_dirty) {
        struct document_sharded_owner *owner = document_sharded_owner_find(sharded, sharded->owner);
        ASSERT(owner != NULL);
        owner->saw_dirty |= document_sharded_bit(shard);
    }
}

/* ------------------------------------------------------------------------------- transactions */

/* A database is asked for when the transaction first writes there: one that is down is in nobody's
 * way whose rows are elsewhere. */
static err_t
sharded_begin(struct document_store *store)
{
    struct document_sharded *sharded = document_sharded_of(store);
    ASSERT(!sharded->in_transaction);
    owners_forget(sharded);
    sharded->in_transaction = true;
    sharded->begun = 0;
    return ERR_OK;
}

static void
sharded_rollback(struct document_store *store)
{
    struct document_sharded *sharded = document_sharded_of(store);
    ASSERT(sharded->in_transaction);
    for (uint32_t i = 0; i < sharded->count; i++) {
        struct document_store *shard = &sharded->shards[i]->store;
        if ((sharded->begun & document_sharded_bit(i)) != 0) {
            shard->ops->rollback(shard);
        } else {
            document_pg_forget(sharded->shards[i]);
        }
    }
    sharded->in_transaction = false;
    sharded->begun = 0;
    sharded->owner = NULL;
}

/* The databases make it durable before they answer the commit. */
static err_t
sharded_sync(struct document_store *store)
{
    (void)store;
    return ERR_OK;
}

static void
sharded_maintain(struct document_store *store)
{
    struct document_sharded *sharded = document_sharded_of(store);
    if (sharded->in_transaction) {
        return;
    }
    for (uint32_t i = 0; i < sharded->count; i++) {
        struct document_store *shard = &sharded->shards[i]->store;
        shard->ops->maintain(shard);
    }
    document_sharded_follow(sharded);
}

void
document_sharded_close(struct document_store *store)
{
    struct document_sharded *sharded = document_sharded_of(store);
    for (uint32_t i = 0; i < sharded->count; i++) {
        if (sharded->shards[i] != NULL) {
            struct document_store *shard = &sharded->shards[i]->store;
            document_pg_shard_release(sharded->shards[i]);
            shard->ops->close(shard);
        }
    }
    for (uint32_t i = 0; i < sharded->retired_count; i++) {
        struct document_store *shard = &sharded->retired[i]->store;
        shard->ops->close(shard);
    }
    document_sharded_held_release(sharded);
    map_release(&sharded->owners);
    arena_release(&sharded->arena);
    free(sharded->map);
    free(sharded);
}

/* ------------------------------------------------------------------------------------- reading */

static err_t
row_read(
    struct document_sharded *sharded,
    const struct document_kind *kind,
    uint64_t scope,
    struct span id,
    struct arena *arena,
    struct document_row *ret_row)
{
    uint32_t shard = document_sharded_route(sharded, scope);
    TRY(document_sharded_enter(sharded, shard));
    err_t result = document_pg_get(&sharded->shards[shard]->store, kind, scope, id, arena, ret_row);
    document_sharded_leave(sharded, shard);
    return result;
}

static err_t
sharded_get(
    struct document_store *store,
    const struct document_kind *kind,
    uint64_t scope,
    struct span id,
    struct arena *arena,
    struct document_row *ret_row)
{
    struct document_sharded *sharded = document_sharded_of(store);
    struct document_row row;
    TRY(row_read(sharded, kind, scope, id, arena, &row));
    TRY(document_sharded_join(sharded, kind, false, arena, &row));
    *ret_row = row;
    return ERR_OK;
}

static err_t
sharded_get_hot(
    struct document_store *store,
    const struct document_kind *kind,
    uint64_t scope,
    struct span id,
    struct arena *arena,
    struct document_row *ret_row)
{
    struct document_sharded *sharded = document_sharded_of(store);
    struct document_row row;
    TRY(row_read(sharded, kind, scope, id, arena, &row));
    TRY(document_sharded_join(sharded, kind, true, arena, &row));
    *ret_row = row;
    return ERR_OK;
}

/* ------------------------------------------------------------------------------------- writing */

err_t
document_sharded_write_enter(struct document_sharded *sharded, uint32_t shard, bool is_fact)
{
    ASSERT(sharded->in_transaction);
    struct document_sharded_owner *owner;
    TRY(document_sharded_enter(sharded, shard));
    TRY(owner_enter(sharded, &owner));
    if (sharded->owner != NULL && !is_fact) {
        if (owner->home != DOCUMENT_SHARDED_HOME_NONE && owner->home != shard) {
            return ERR_CROSSES_SHARDS;
        }
        owner->home = shard;
    }
    if ((sharded->begun & document_sharded_bit(shard)) == 0) {
        struct document_store *begun = &sharded->shards[shard]->store;
        TRY(begun->ops->begin(begun));
        sharded->begun |= document_sharded_bit(shard);
    }
    return ERR_OK;
}

/* ------------------------------------------------------------------- unique across all scopes */

const struct document_kind document_sharded_claim_kind = {.name = "shard_claim"};

#define CLAIM_ID_SIZE 512

static bool
is_claimed(const struct document_kind *kind, const struct document_row *row, uint32_t column)
{
    return kind->columns[column].unique && kind->columns[column].across_scopes &&
           !row->columns[column].is_null && (row->unchanged_columns & 1U << column) == 0;
}

/* "webhook_endpoint.number=17", and in its body the row that has it. */
static err_t
claim_write(
    struct document_sharded *sharded,
    const struct document_kind *kind,
    const struct document_row *row,
    uint32_t column)
{
    const struct document_value *value = &row->columns[column];
    struct arena arena;
    struct document_row there;
    arena_init(&arena, 1U << 20);
    struct span id =
        kind->columns[column].type == DOCUMENT_INTEGER
            ? arena_format(
                  &arena, "%s.%s=%" PRId64, kind->name, kind->columns[column].name, value->integer)
            : arena_format(
                  &arena,
                  "%s.%s=%.*s",
                  kind->name,
                  kind->columns[column].name,
                  SPAN_PRINTF(value->text));
    /* Ids are ours: no character of theirs has to be escaped. */
    struct span body = arena_format(
        &arena, "{\"scope\":%" PRIu64 ",\"id\":\"%.*s\"}", row->scope, SPAN_PRINTF(row->id));
    struct document_pg *platform = sharded->shards[sharded->platform];
    err_t result = id.size == 0 || id.size > CLAIM_ID_SIZE || body.size == 0 ? ERR_FULL : ERR_OK;
    if (result == ERR_OK) {
        result = document_sharded_write_enter(sharded, sharded->platform, true);
    }
    if (result == ERR_OK) {
        result =
            document_pg_get(&platform->store, &document_sharded_claim_kind, 0, id, &arena, &there);
    }
    if (result == ERR_NOT_FOUND) {
        const struct document_row claim = {.scope = 0, .id = id, .body = body};
        result = document_pg_insert(&platform->store, &document_sharded_claim_kind, &claim);
    } else if (result == ERR_OK && !span_equal(there.body, body)) {
        struct document_sharded_owner *owner = document_sharded_owner_find(sharded, sharded->owner);
        owner->outcome = ERR_STALE; /* as if it had been found out by the commit */
    }
    arena_release(&arena);
    return result;
}

static err_t
claims_write(
    struct document_sharded *sharded,
    const struct document_kind *kind,
    const struct document_row *row)
{
    for (uint32_t i = 0; i < kind->column_count; i++) {
        if (is_claimed(kind, row, i)) {
            TRY(claim_write(sharded, kind, row, i));
        }
    }
    return ERR_OK;
}

typedef err_t (*row_write)(
    struct document_store *shard, const struct document_kind *kind, const struct document_row *row);

/* A row of a kind with a column group. One that cannot be written leaves no cold part. */
static err_t
write_parted(
    struct document_sharded *sharded,
    const struct document_sharded_group *group,
    const struct document_row *row,
    bool is_update)
{
    struct arena arena;
    struct document_row stored, hot = *row;
    uint32_t shard = document_sharded_route(sharded, row->scope);
    struct document_pg *pg = sharded->shards[shard];
    err_t result = ERR_OK;
    bool is_there = true;
    arena_init(&arena, DOCUMENT_PG_ARENA_MAX);
    if (is_update) {
        result = row_read(sharded, group->kind, row->scope, row->id, &arena, &stored);
        is_there = result == ERR_OK && stored.version == row->version;
        result = result == ERR_NOT_FOUND ? ERR_OK : result;
    } else {
        const struct document_pg_row *kept =
            document_pg_row_find(pg, group->kind, row->scope, row->id);
        is_there = kept == NULL || kept->version == 0;
        hot.version = 0;
    }
    /* Of a row that is not as the writer thinks nothing is parted: it is refused. */
    if (result == ERR_OK && is_there) {
        result = document_sharded_part(sharded, group, is_update ? &stored : NULL, &arena, &hot);
    }
    if (result == ERR_OK) {
        result = is_update ? document_pg_update(&pg->store, group->kind, &hot)
                           : document_pg_insert(&pg->store, group->kind, &hot);
    }
    arena_release(&arena);
    return result;
}

static err_t
write_row(
    struct document_store *store,
    const struct document_kind *kind,
    const struct document_row *row,
    bool is_update)
{
    struct document_sharded *sharded = document_sharded_of(store);
    const struct document_sharded_group *group = document_sharded_group_of(sharded, kind);
    uint32_t shard = document_sharded_route(sharded, row->scope);
    bool is_fact = !is_update && row->unless_there && row->scope / 2 == 0;
    row_write write = is_update ? document_pg_update : document_pg_insert;
    if (row->hot_only && group == NULL) {
        return ERR_INVALID; /* no map without the group handed it out */
    }
    TRY(claims_write(sharded, kind, row));
    TRY(document_sharded_write_enter(sharded, shard, is_fact));
    err_t result = group != NULL ? write_parted(sharded, group, row, is_update)
                                 : write(&sharded->shards[shard]->store, kind, row);
    document_sharded_leave(sharded, shard);
    return result;
}

static err_t
sharded_insert(
    struct document_store *store, const struct document_kind *kind, const struct document_row *row)
{
    return write_row(store, kind, row, false);
}

static err_t
sharded_update(
    struct document_store *store, const struct document_kind *kind, const struct document_row *row)
{
    return write_row(store, kind, row, true);
}

static err_t
sharded_remove(
    struct document_store *store,
    const struct document_kind *kind,
    uint64_t scope,
    struct span id,
    uint32_t version)
{
    struct document_sharded *sharded = document_sharded_of(store);
    uint32_t shard = document_sharded_route(sharded, scope);
    TRY(document_sharded_write_enter(sharded, shard, false));
    err_t result = document_pg_remove(&sharded->shards[shard]->store, kind, scope, id, version);
    document_sharded_leave(sharded, shard);
    return result;
}

/* ------------------------------------------------------------------------------ among processes */

static void
sharded_owner(struct document_store *store, const void *owner)
{
    document_sharded_of(store)->owner = owner;
}

static err_t
sharded_outcome(struct document_store *store, const void *owner)
{
    const struct document_sharded_owner *found =
        document_sharded_owner_find(document_sharded_of(store), owner);
    return found == NULL ? ERR_OK : found->outcome;
}

/* By any thread. */
static struct document_store *
platform_of(struct document_store *store)
{
    return &atomic_load(&document_sharded_of(store)->platform_pg)->store;
}

static void
sharded_unlock(struct document_store *store, uint64_t scope, struct span id)
{
    struct document_sharded *sharded = document_sharded_of(store);
    uint32_t shard = document_sharded_route(sharded, scope);
    document_pg_unlock(&sharded->shards[shard]->store, scope, id);
    document_sharded_let_go(sharded, scope, id);
}

static bool
sharded_lead(struct document_store *store, const char *work)
{
    return document_pg_lead(platform_of(store), work);
}

/* The at-th shard that has merchants; the count of shards: there are no more. */
static uint32_t
order_shard(const struct document_sharded *sharded, uint32_t at)
{
    uint32_t shard = 0;
    for (; shard < sharded->count; shard++) {
        bool is_cold = (sharded->groups.shards & document_sharded_bit(shard)) != 0;
        if (!is_cold && at-- == 0) {
            break;
        }
    }
    return shard;
}

static const char *
sharded_order_name(struct document_store *store, uint32_t at)
{
    const struct document_sharded *sharded = document_sharded_of(store);
    uint32_t shard = order_shard(sharded, at);
    return shard == sharded->count ? NULL : sharded->map->shards[shard].name;
}

/* Rows of scopes that are elsewhere, too: those that have left may not have been seen by whoever
 * follows the order here, and those that come have the places here that they will keep. */
static err_t
sharded_list_final(
    struct document_store *store,
    const struct document_kind *kind,
    const struct document_place *behind,
    uint32_t limit,
    document_each_final each,
    void *context)
{
    struct document_sharded *sharded = document_sharded_of(store);
    uint32_t shard = order_shard(sharded, behind->order);
    return shard == sharded->count
               ? ERR_NOT_FOUND
               : document_pg_list_final(
                     &sharded->shards[shard]->store, kind, behind, limit, each, context);
}

/* Leases are compared by one clock: the platform's. */
static uint64_t
sharded_clock_ns(struct document_store *store)
{
    struct document_store *platform = platform_of(store);
    return platform->shared->clock_ns(platform);
}

/* Without the platform nobody is known, and nothing works; without another shard its merchants. */
static bool
sharded_connected(struct document_store *store)
{
    struct document_store *platform = platform_of(store);
    return platform->shared->connected(platform);
}

static bool
sharded_shard(struct document_store *store, uint32_t at, const char **ret_name, bool *ret_connected)
{
    struct document_sharded *sharded = document_sharded_of(store);
    struct document_pg *shard = at < SHARD_SHARDS_MAX ? atomic_load(&sharded->seen[at]) : NULL;
    if (shard == NULL) {
        return false;
    }
    *ret_name = shard->identity.name;
    *ret_connected = shard->store.shared->connected(&shard->store);
    return true;
}

void
document_sharded_show(struct document_sharded *sharded)
{
    atomic_store(&sharded->platform_pg, sharded->shards[sharded->platform]);
    for (uint32_t i = 0; i < SHARD_SHARDS_MAX; i++) {
        atomic_store(&sharded->seen[i], i < sharded->count ? sharded->shards[i] : NULL);
    }
}

static uint64_t
sharded_round_trips(struct document_store *store)
{
    const struct document_sharded *sharded = document_sharded_of(store);
    uint64_t sum = 0;
    for (uint32_t i = 0; i < sharded->count; i++) {
        sum += sharded->shards[i]->round_trips;
    }
    return sum;
}

const struct document_store_ops document_sharded_ops = {
    .begin = sharded_begin,
    .commit = document_sharded_commit,
    .apply = document_sharded_commit,
    .sync = sharded_sync,
    .rollback = sharded_rollback,
    .get = sharded_get,
    .get_hot = sharded_get_hot,
    .insert = sharded_insert,
    .update = sharded_update,
    .remove = sharded_remove,
    .list = document_sharded_list,
    .maintain = sharded_maintain,
    .close = document_sharded_close,
};

const struct document_shared_ops document_sharded_shared_ops = {
    .owner = sharded_owner,
    .outcome = sharded_outcome,
    .prefetch = document_sharded_prefetch,
    .lock = document_sharded_lock,
    .unlock = sharded_unlock,
    .lead = sharded_lead,
    .order_name = sharded_order_name,
    .list_final = sharded_list_final,
    .clock_ns = sharded_clock_ns,
    .connected = sharded_connected,
    .shard = sharded_shard,
    .round_trips = sharded_round_trips,
};
