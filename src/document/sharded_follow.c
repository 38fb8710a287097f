/*
 * Following the map while merchants move beside us (sharded_online.h).
 *
 *     working ----- a shard calls (postgres_shard.c) -----> left: no shard's lock, nothing is asked
 *        ^                                                    |  again and again:
 *        |   the map's file, and every shard lets us in by it |  read the file, enter each shard
 *        +----------------------------------------------------+
 *                                                             |  DOCUMENT_SHARDED_FOLLOW_MS_MAX
 *        ^   a look now and then                              v
 *        +--------------------------------------- gave up: without connections
 *
 * It happens between two transactions and blocks the owner's thread: nothing is under way meanwhile
 * that rests on the old map, and nobody is told a failure. What was read before and is written
 * after it names the same versions, for rows move with their versions.
 *
 * Whoever moves rows waits until nobody is in. One who died leaves the lock, and everybody comes
 * back by the map that is there.
 */
#include "sharded_plain.h"

#include "base/assert.h"
#include "base/hash.h"
#include "base/list.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RETRY_US     5000
#define LOOK_MS      100 /* between looks, for who gave up */
#define HELD_AT_ONCE 256

static const struct hash_key held_hash_key = {0x68656c64, 0x6c6f636b};

/* -------------------------------------------------------------------------- locks go with rows */

static uint64_t
held_hash(uint64_t scope, struct span id)
{
    return hash_keyed(held_hash_key, id) ^ hash_u64(scope);
}

static struct document_sharded_held *
held_find(const struct document_sharded *sharded, uint64_t scope, struct span id)
{
    for (struct map_link *link = map_find(&sharded->held, held_hash(scope, id)); link != NULL;
         link = map_next(link)) {
        struct document_sharded_held *held = CONTAINER_OF(link, struct document_sharded_held, link);
        if (held->scope == scope && span_equal(held->id, id)) {
            return held;
        }
    }
    return NULL;
}

/* Without memory it stays behind when its rows move: versions of rows then say who was second. */
void
document_sharded_hold(struct document_sharded *sharded, uint64_t scope, struct span id)
{
    if (held_find(sharded, scope, id) != NULL) {
        return;
    }
    struct document_sharded_held *held = malloc(sizeof(*held) + id.size);
    if (held == NULL) {
        return;
    }
    char *text = (char *)(held + 1);
    memcpy(text, id.data, id.size);
    *held = (struct document_sharded_held){.scope = scope, .id = span_of(text, id.size)};
    if (map_insert(&sharded->held, held_hash(scope, id), &held->link) != ERR_OK) {
        free(held);
    }
}

void
document_sharded_let_go(struct document_sharded *sharded, uint64_t scope, struct span id)
{
    struct document_sharded_held *held = held_find(sharded, scope, id);
    if (held != NULL) {
        map_remove(&sharded->held, &held->link);
        free(held);
    }
}

static void
held_free(void *context, struct map_link *link)
{
    (void)context;
    free(CONTAINER_OF(link, struct document_sharded_held, link));
}

void
document_sharded_held_release(struct document_sharded *sharded)
{
    map_each(&sharded->held, held_free, NULL);
    map_release(&sharded->held);
}

/* ------------------------------------------------------------------------------- another map */

/* By which every shard has let us in. */
struct following {
    struct shard_map map;
    uint32_t table;
    struct document_sharded_groups groups;
    struct document_pg *shards[SHARD_SHARDS_MAX];
    bool is_new[SHARD_SHARDS_MAX];
    char message[DOCUMENT_MESSAGE_SIZE];
};

/* The connection to a shard that both maps have in the same place. */
static struct document_pg *
find_present(const struct document_sharded *sharded, const struct shard_node *node)
{
    for (uint32_t i = 0; i < sharded->count; i++) {
        const struct shard_node *have = &sharded->map->shards[i];
        if (strcmp(have->name, node->name) == 0 && strcmp(have->at, node->at) == 0) {
            return sharded->shards[i];
        }
    }
    return NULL;
}

/* The stores of cold parts hold on to the groups' tables, so these are the same in every map that
 * is followed; where each is in the map may differ. */
static bool
groups_are_the_same(const struct document_sharded *sharded, const struct following *next)
{
    bool same = sharded->groups.count == next->groups.count;
    for (uint32_t i = 0; same && i < next->groups.count; i++) {
        const struct document_sharded_group *have = &sharded->groups.groups[i];
        const struct document_sharded_group *come = &next->groups.groups[i];
        same = have->kind == come->kind && find_present(sharded, &next->map.shards[come->shard]) ==
                                               sharded->shards[have->shard];
    }
    return same;
}

static err_t
next_read(const struct document_sharded *sharded, struct following *next)
{
    TRY(document_sharded_map_load(sharded->path, &next->map, &next->table, next->message));
    TRY(document_sharded_groups_read(
        &next->map, sharded->kinds, sharded->kind_count - 1, &next->groups, next->message));
    /* A file that is older than what we work by cannot be right. */
    bool goes_on = next->map.epoch >= sharded->map->epoch && groups_are_the_same(sharded, next);
    return goes_on ? ERR_OK : ERR_MOVED;
}

static err_t
next_enter(const struct document_sharded *sharded, struct following *next)
{
    for (uint32_t i = 0; i < next->map.shard_count; i++) {
        next->shards[i] = find_present(sharded, &next->map.shards[i]);
        if (next->shards[i] != NULL) {
            TRY(document_pg_shard_enter(next->shards[i], next->map.epoch));
        }
    }
    for (uint32_t i = 0; i < next->map.shard_count; i++) {
        if (next->shards[i] == NULL) {
            next->is_new[i] = true;
            TRY(document_sharded_shard_open(
                sharded, &next->groups, &next->map, i, &next->shards[i], next->message));
        }
    }
    return ERR_OK;
}

/* Out of all shards again, as before next_enter. */
static void
next_leave(const struct document_sharded *sharded, struct following *next)
{
    for (uint32_t i = 0; i < next->map.shard_count; i++) {
        if (next->is_new[i] && next->shards[i] != NULL) {
            document_pg_shard_release(next->shards[i]);
            next->shards[i]->store.ops->close(&next->shards[i]->store);
        }
    }
    for (uint32_t i = 0; i < sharded->count; i++) {
        sharded->shards[i]->identity.epoch = sharded->map->epoch;
        document_pg_shard_leave(sharded->shards[i]);
    }
}

/* The locks whose rows are elsewhere by the next map. */
struct relock {
    const struct document_sharded *sharded;
    const struct following *next;
    uint32_t shard; /* of the next map */
    uint32_t count;
    struct document_lock locks[HELD_AT_ONCE];
};

static void
relock_collect(void *context, struct map_link *link)
{
    struct relock *relock = context;
    const struct document_sharded_held *held =
        CONTAINER_OF(link, struct document_sharded_held, link);
    uint32_t shard = document_sharded_place(&relock->next->map, relock->next->table, held->scope);
    struct document_pg *before =
        relock->sharded->shards[document_sharded_route(relock->sharded, held->scope)];
    if (shard == relock->shard && relock->next->shards[shard] != before &&
        relock->count < HELD_AT_ONCE) {
        document_pg_unlock(&before->store, held->scope, held->id);
        relock->locks[relock->count++] =
            (struct document_lock){.scope = held->scope, .id = held->id};
    }
}

/* Of what cannot be locked there, and of more than fit, versions of rows say who was second. */
static void
locks_follow(const struct document_sharded *sharded, const struct following *next)
{
    struct relock relock = {.sharded = sharded, .next = next};
    for (uint32_t i = 0; i < next->map.shard_count; i++) {
        relock.shard = i;
        relock.count = 0;
        map_each(&sharded->held, relock_collect, &relock);
        if (relock.count > 0) {
            (void)document_pg_lock(&next->shards[i]->store, relock.locks, relock.count);
        }
    }
}

static void
next_become(struct document_sharded *sharded, const struct following *next)
{
    locks_follow(sharded, next);
    for (uint32_t i = 0; i < sharded->count; i++) {
        bool stays = false;
        for (uint32_t j = 0; j < next->map.shard_count; j++) {
            stays = stays || next->shards[j] == sharded->shards[i];
        }
        if (!stays) {
            document_pg_shard_release(sharded->shards[i]);
            document_pg_disconnect(sharded->shards[i]);
            sharded->retired[sharded->retired_count++] = sharded->shards[i];
        }
    }
    *sharded->map = next->map;
    sharded->table = next->table;
    sharded->count = next->map.shard_count;
    memcpy(sharded->shards, next->shards, sizeof(sharded->shards));
    for (uint32_t i = 0; i < next->groups.count; i++) {
        sharded->groups.groups[i].shard = next->groups.groups[i].shard;
    }
    sharded->groups.shards = next->groups.shards;
    sharded->platform = document_sharded_route(sharded, 0);
    document_sharded_show(sharded);
}

/* One attempt. */
static err_t
come_back(struct document_sharded *sharded)
{
    struct following *next = calloc(1, sizeof(*next));
    if (next == NULL) {
        return ERR_MEMORY;
    }
    err_t result = next_read(sharded, next);
    if (result == ERR_OK && sharded->retired_count + sharded->count > SHARD_SHARDS_MAX) {
        result = ERR_FULL; /* so many moves between two starts */
    }
    if (result == ERR_OK) {
        result = next_enter(sharded, next);
        if (result == ERR_OK) {
            next_become(sharded, next);
        } else {
            next_leave(sharded, next);
        }
    }
    free(next);
    return result;
}

/* ------------------------------------------------------------------------------------- called */

static bool
is_called(const struct document_sharded *sharded)
{
    bool called = false;
    for (uint32_t i = 0; i < sharded->count; i++) {
        called = document_pg_shard_is_called(sharded->shards[i]) || called;
    }
    return called;
}

void
document_sharded_follow(struct document_sharded *sharded)
{
    ASSERT(!sharded->in_transaction);
    uint64_t now_ms = postgres_now_ms();
    if (now_ms < sharded->look_ms || !is_called(sharded)) {
        return;
    }
    uint64_t until_ms = now_ms + (sharded->gave_up ? 0 : DOCUMENT_SHARDED_FOLLOW_MS_MAX);
    for (uint32_t i = 0; i < sharded->count; i++) {
        document_pg_shard_leave(sharded->shards[i]);
    }
    err_t result = come_back(sharded);
    while (result != ERR_OK && postgres_now_ms() < until_ms) {
        (void)usleep(RETRY_US);
        result = come_back(sharded);
    }
    now_ms = postgres_now_ms();
    sharded->gave_up = result != ERR_OK;
    sharded->look_ms = now_ms + (sharded->gave_up ? LOOK_MS : 1);
    for (uint32_t i = 0; sharded->gave_up && i < sharded->count; i++) {
        if (sharded->shards[i]->state != DOCUMENT_PG_DOWN) {
            document_pg_disconnect(sharded->shards[i]);
        }
        sharded->shards[i]->is_called = true;
    }
}
