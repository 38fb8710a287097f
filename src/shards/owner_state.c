/*
 * A slot's marks, with the function on each arrow:
 *
 *     (strange) --shards_owner_state_arrive--> arriving --shards_owner_state_follow--> own
 *     own --shards_owner_state_fence--> own, fenced --shards_owner_state_follow--> left, or own
 * again left --shards_owner_state_arrive--> arriving
 *
 * A fence counts against one epoch: the map that follows it decides, whichever it is (SHARDS-7).
 */
#include "owner_private.h"

#include "base/assert.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define HEAD "tael-shard 1\n"

static void
own_by_map(struct owner_state *state)
{
    for (uint32_t slot = 0; slot < SHARD_SLOTS; slot++) {
        bool own = state->map.owners[slot] == state->shard;
        state->marks[slot] = (uint8_t)((state->marks[slot] & ~OWNER_OWN) | (own ? OWNER_OWN : 0));
    }
}

err_t
shards_owner_state_init(struct owner_state *state, const struct shard_map *map, const char *name)
{
    memset(state, 0, sizeof(*state));
    TRY(shard_map_find(map, span_from_cstr(name), &state->shard));
    memcpy(&state->map, map, sizeof(state->map));
    own_by_map(state);
    return ERR_OK;
}

/* May the slots change so? */
static bool
follows(const struct owner_state *state, const struct shard_map *map, uint32_t shard)
{
    bool fenced = state->fence_epoch != 0 && state->fence_epoch == state->map.epoch;
    for (uint32_t slot = 0; slot < SHARD_SLOTS; slot++) {
        bool was = (state->marks[slot] & OWNER_OWN) != 0;
        bool is = map->owners[slot] == shard;
        bool may_leave = fenced && (state->marks[slot] & OWNER_FENCED) != 0;
        if ((was && !is && !may_leave) || (!was && is && state->arrivals[slot] == 0)) {
            return false;
        }
    }
    return true;
}

err_t
shards_owner_state_follow(
    struct owner_state *state, const struct shard_map *map, const char *name, bool strict)
{
    uint32_t shard = 0;
    if (map->epoch < state->map.epoch) {
        return ERR_STALE;
    }
    TRY(shard_map_find(map, span_from_cstr(name), &shard));
    if (map->epoch == state->map.epoch) {
        return ERR_OK;
    }
    if (strict && !follows(state, map, shard)) {
        return ERR_INVALID;
    }
    for (uint32_t slot = 0; slot < SHARD_SLOTS; slot++) {
        uint8_t *marks = &state->marks[slot];
        bool is = map->owners[slot] == shard;
        bool leaves = !is && (*marks & (OWNER_OWN | OWNER_FENCED)) == (OWNER_OWN | OWNER_FENCED);
        bool stays_left = !is && (*marks & OWNER_LEFT) != 0;
        *marks = leaves || stays_left ? OWNER_LEFT : 0;
        state->arrivals[slot] = is ? 0 : state->arrivals[slot];
    }
    state->fence_epoch = 0;
    state->shard = shard;
    memcpy(&state->map, map, sizeof(state->map));
    own_by_map(state);
    return ERR_OK;
}

err_t
shards_owner_state_fence(struct owner_state *state, const struct port_ledger_shard_order *order)
{
    if (order->epoch != state->map.epoch) {
        return ERR_MOVED;
    }
    for (uint32_t slot = 0; slot < SHARD_SLOTS; slot++) {
        bool wanted = shards_slot_in(order->slots, slot);
        if (wanted && (state->marks[slot] & OWNER_OWN) == 0) {
            return ERR_MOVED;
        }
        if (state->fence_epoch != 0 && wanted != ((state->marks[slot] & OWNER_FENCED) != 0)) {
            return ERR_EXISTS;
        }
    }
    for (uint32_t slot = 0; slot < SHARD_SLOTS; slot++) {
        if (shards_slot_in(order->slots, slot)) {
            state->marks[slot] |= OWNER_FENCED;
        }
    }
    state->fence_epoch = order->epoch;
    return ERR_OK;
}

/* The slots are all new here, or all of one arrival; *ret_number is that, or 0. */
static err_t
arrival_of(
    const struct owner_state *state,
    const struct port_ledger_shard_order *order,
    uint8_t *ret_number)
{
    int number = -1;
    for (uint32_t slot = 0; slot < SHARD_SLOTS; slot++) {
        if (!shards_slot_in(order->slots, slot)) {
            continue;
        }
        if ((state->marks[slot] & OWNER_OWN) != 0) {
            return ERR_MOVED;
        }
        if (number >= 0 && number != state->arrivals[slot]) {
            return ERR_EXISTS;
        }
        number = state->arrivals[slot];
    }
    *ret_number = number > 0 ? (uint8_t)number : 0;
    for (uint32_t slot = 0; number > 0 && slot < SHARD_SLOTS; slot++) {
        if (state->arrivals[slot] == number && !shards_slot_in(order->slots, slot)) {
            return ERR_EXISTS;
        }
    }
    return ERR_OK;
}

static uint8_t
unused_arrival(const struct owner_state *state)
{
    bool used[OWNER_ARRIVALS_MAX + 1] = {false};
    for (uint32_t slot = 0; slot < SHARD_SLOTS; slot++) {
        used[state->arrivals[slot]] = true;
    }
    uint32_t number = 1;
    while (number <= OWNER_ARRIVALS_MAX && used[number]) {
        number++;
    }
    return number <= OWNER_ARRIVALS_MAX ? (uint8_t)number : 0;
}

err_t
shards_owner_state_arrive(struct owner_state *state, const struct port_ledger_shard_order *order)
{
    uint8_t number = 0;
    if (order->epoch != state->map.epoch) {
        return ERR_MOVED;
    }
    TRY(arrival_of(state, order, &number));
    if (number != 0) {
        return ERR_OK;
    }
    number = unused_arrival(state);
    if (number == 0) {
        return ERR_FULL;
    }
    for (uint32_t slot = 0; slot < SHARD_SLOTS; slot++) {
        if (shards_slot_in(order->slots, slot)) {
            state->arrivals[slot] = number;
        }
    }
    return ERR_OK;
}

void
shards_owner_state_tell(const struct owner_state *state, struct port_ledger_shard *ret_shard)
{
    static_assert(PORT_LEDGER_SLOT_WORDS * 64 == SHARD_SLOTS, "a bit for each slot");
    memset(ret_shard, 0, sizeof(*ret_shard));
    ret_shard->epoch = state->map.epoch;
    ret_shard->fence_epoch = state->fence_epoch;
    for (uint32_t slot = 0; slot < SHARD_SLOTS; slot++) {
        uint64_t bit = UINT64_C(1) << slot % 64;
        uint8_t marks = state->marks[slot];
        ret_shard->fence[slot / 64] |= (marks & OWNER_FENCED) != 0 ? bit : 0;
        ret_shard->left[slot / 64] |= (marks & OWNER_LEFT) != 0 ? bit : 0;
        ret_shard->arriving[slot / 64] |= state->arrivals[slot] != 0 ? bit : 0;
    }
}

/* ---- text ---- */

void
shards_owner_state_write(const struct owner_state *state, struct buf *out)
{
    buf_append_format(
        out, HEAD "epoch %" PRIu64 "\nfence %" PRIu64 "\n", state->map.epoch, state->fence_epoch);
    for (uint32_t first = 0; first < SHARD_SLOTS;) {
        uint32_t end = first + 1;
        while (end < SHARD_SLOTS && state->marks[end] == state->marks[first] &&
               state->arrivals[end] == state->arrivals[first]) {
            end++;
        }
        buf_append_format(
            out,
            "slots %u-%u %u %u\n",
            (unsigned)first,
            (unsigned)end - 1,
            (unsigned)state->marks[first],
            (unsigned)state->arrivals[first]);
        first = end;
    }
}

/* A number behind `before`, and what follows it. */
static bool
number_take(const char **at, const char *before, uint64_t most, uint64_t *ret_number)
{
    size_t size = strlen(before);
    char *end = NULL;
    if (strncmp(*at, before, size) != 0 || (*at)[size] < '0' || (*at)[size] > '9') {
        return false;
    }
    *ret_number = strtoull(*at + size, &end, 10);
    *at = end;
    return *ret_number <= most;
}

static bool
slots_take(const char **at, struct owner_state *state, uint32_t *slot)
{
    uint64_t first = 0;
    uint64_t last = 0;
    uint64_t marks = 0;
    uint64_t arrival = 0;
    if (!number_take(at, "slots ", SHARD_SLOTS - 1, &first) ||
        !number_take(at, "-", SHARD_SLOTS - 1, &last) ||
        !number_take(at, " ", OWNER_MARKS, &marks) ||
        !number_take(at, " ", OWNER_ARRIVALS_MAX, &arrival) || **at != '\n' || first != *slot ||
        last < first) {
        return false;
    }
    ++*at;
    memset(&state->marks[first], (int)marks, last - first + 1);
    memset(&state->arrivals[first], (int)arrival, last - first + 1);
    *slot = (uint32_t)last + 1;
    return true;
}

err_t
shards_owner_state_read(struct span text, struct owner_state *state, uint64_t *ret_epoch)
{
    const char *at = text.data; /* a zero is behind it */
    uint32_t slot = 0;
    if (strlen(at) != text.size || strncmp(at, HEAD, strlen(HEAD)) != 0) {
        return ERR_CORRUPT;
    }
    at += strlen(HEAD);
    if (!number_take(&at, "epoch ", SHARD_EPOCH_MAX, ret_epoch) ||
        !number_take(&at, "\nfence ", SHARD_EPOCH_MAX, &state->fence_epoch) || *at != '\n') {
        return ERR_CORRUPT;
    }
    at++;
    while (slot < SHARD_SLOTS) {
        if (!slots_take(&at, state, &slot)) {
            return ERR_CORRUPT;
        }
    }
    return *at == '\0' ? ERR_OK : ERR_CORRUPT;
}
