/*
 * Plans. Each shard that stays gets 16,384 / n slots, and as many as are left over get one more:
 * those that have the most, because what they keep need not move. Then whoever has too many gives
 * to whoever has too few, so that each slot that moves is one that somebody lacks: no plan with
 * these shares moves fewer, and no other shares need fewer.
 */
#include "shard/shard.h"

#include "base/assert.h"

#include <string.h>

static void
slots_count(const struct shard_map *map, uint32_t counts[SHARD_SHARDS_MAX])
{
    memset(counts, 0, SHARD_SHARDS_MAX * sizeof(counts[0]));
    for (uint32_t i = 0; i < SHARD_SLOTS; i++) {
        counts[map->owners[i]]++;
    }
}

/* What each will have. */
static void
shares_make(
    const struct shard_map *map,
    const bool leaves[SHARD_SHARDS_MAX],
    const uint32_t counts[SHARD_SHARDS_MAX],
    uint32_t shares[SHARD_SHARDS_MAX])
{
    uint32_t stay_count = 0;
    for (uint32_t i = 0; i < map->shard_count; i++) {
        stay_count += leaves[i] ? 0 : 1;
    }
    ASSERT(stay_count > 0);
    uint32_t share = SHARD_SLOTS / stay_count;
    for (uint32_t i = 0; i < map->shard_count; i++) {
        shares[i] = leaves[i] ? 0 : share;
    }
    for (uint32_t left = SHARD_SLOTS % stay_count; left > 0; left--) {
        uint32_t most = SHARD_SHARDS_MAX;
        for (uint32_t i = 0; i < map->shard_count; i++) {
            bool may = !leaves[i] && shares[i] == share;
            most = may && (most == SHARD_SHARDS_MAX || counts[i] > counts[most]) ? i : most;
        }
        ASSERT(most != SHARD_SHARDS_MAX);
        shares[most]++;
    }
}

static void
move_add(struct shard_plan *plan, uint16_t slot, uint8_t from, uint8_t to)
{
    struct shard_move *last = plan->move_count == 0 ? NULL : &plan->moves[plan->move_count - 1];
    plan->slot_count++;
    if (last != NULL && last->from == from && last->to == to && last->last + 1 == slot) {
        last->last = slot;
        return;
    }
    plan->moves[plan->move_count++] =
        (struct shard_move){.first = slot, .last = slot, .from = from, .to = to};
}

err_t
shard_plan_make(
    const struct shard_map *map, const bool leaves[SHARD_SHARDS_MAX], struct shard_plan *ret_plan)
{
    uint32_t counts[SHARD_SHARDS_MAX];
    uint32_t shares[SHARD_SHARDS_MAX] = {0};
    bool stays = false;
    for (uint32_t i = 0; i < map->shard_count; i++) {
        stays = stays || !leaves[i];
    }
    if (!stays) {
        return ERR_INVALID;
    }
    slots_count(map, counts);
    shares_make(map, leaves, counts, shares);
    ret_plan->epoch = map->epoch;
    ret_plan->slot_count = 0;
    ret_plan->move_count = 0;
    uint32_t to = 0;
    /* A shard keeps its lowest slots, so that what it keeps is in few runs. */
    uint32_t kept[SHARD_SHARDS_MAX] = {0};
    for (uint32_t slot = 0; slot < SHARD_SLOTS; slot++) {
        uint8_t from = map->owners[slot];
        if (kept[from] < shares[from]) {
            kept[from]++;
            continue;
        }
        while (counts[to] >= shares[to]) {
            to++;
            ASSERT(to < map->shard_count); /* as many are lacked as are given */
        }
        counts[to]++;
        move_add(ret_plan, (uint16_t)slot, from, (uint8_t)to);
    }
    return ERR_OK;
}

err_t
shard_plan_apply(const struct shard_plan *plan, struct shard_map *map)
{
    if (plan->epoch != map->epoch) {
        return ERR_STALE;
    }
    for (uint32_t i = 0; i < plan->move_count; i++) {
        const struct shard_move *move = &plan->moves[i];
        for (uint32_t slot = move->first; slot <= move->last; slot++) {
            ASSERT(map->owners[slot] == move->from);
            map->owners[slot] = move->to;
        }
    }
    ASSERT(map->epoch < SHARD_EPOCH_MAX);
    map->epoch++;
    return ERR_OK;
}
