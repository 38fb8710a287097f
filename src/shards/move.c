#include "move_private.h"

#include "base/assert.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *
shards_move_step_name(enum shards_move_step step)
{
    static const char *const names[SHARDS_MOVE_STEPS] = {
        "arrive", "copy", "catch-up", "fence", "verify", "flip", "clean-up"};
    return names[step];
}

static err_t
explain(struct move *move, err_t error, const char *what)
{
    if (error != ERR_OK && move->message[0] == '\0') {
        (void)snprintf(move->message, SHARDS_MESSAGE_SIZE, "%s: %s", what, err_text(error));
    }
    return error;
}

static err_t
step(struct move *move, enum shards_move_step next)
{
    const struct shards_move_parts *parts = move->parts;
    move->report->step = next;
    if (!parts->go_on(parts->context, move->report)) {
        (void)snprintf(
            move->message,
            SHARDS_MESSAGE_SIZE,
            "stopped before %s; the same move again goes on",
            shards_move_step_name(next));
        return ERR_CLOSED;
    }
    return ERR_OK;
}

/* Once: whoever does not hear of the map hears of it with the first request by it. */
static void
tell_map(struct move *move, uint32_t shard)
{
    struct port_ledger_shard told;
    const struct port_ledger_shard_order ordered = {.kind = PORT_LEDGER_SHARD_MAP};
    struct port_ledger_request request = {
        .operation = PORT_LEDGER_SHARD, .count = 1, .epoch = PORT_LEDGER_EPOCH_MOVER};
    request.in.order = &ordered;
    request.out.shard = &told;
    (void)move->parts->ask(move->parts->context, shard, &request);
}

static err_t
order(struct move *move, uint32_t shard, enum port_ledger_shard_order_kind kind)
{
    char what[SHARD_NAME_SIZE + 64];
    struct port_ledger_shard told;
    struct port_ledger_shard_order ordered = {.kind = kind, .epoch = move->parts->map->epoch};
    struct port_ledger_request request = {.operation = PORT_LEDGER_SHARD, .count = 1};
    memcpy(ordered.slots, move->parts->slots, sizeof(ordered.slots));
    request.in.order = &ordered;
    request.out.shard = &told;
    const char *name = move->parts->map->shards[shard].name;
    err_t result = shards_move_ask(move, shard, &request);
    if (result == ERR_EXISTS) {
        (void)snprintf(
            move->message,
            SHARDS_MESSAGE_SIZE,
            "a move of other slots to or from shard %s began with some of these: what began "
            "together "
            "is moved together, so give the slots of that move",
            name);
    }
    (void)snprintf(what, sizeof(what), "shard %s", name);
    return explain(move, result, what);
}

/* ---- the map ---- */

/* The next epoch, with the slots at `shard`. Nothing but this changes who owns a slot, and it also
 * ends the fence: whichever of flip and cancel comes first, the other is stale (SHARDS-7). */
static err_t
replace(struct move *move, uint32_t shard)
{
    const struct shards_move_parts *parts = move->parts;
    struct shard_map *next = malloc(sizeof(*next));
    if (next == NULL) {
        return explain(move, ERR_MEMORY, "the map");
    }
    memcpy(next, parts->map, sizeof(*next));
    next->epoch++;
    for (uint32_t slot = 0; slot < SHARD_SLOTS; slot++) {
        if (shards_slot_in(parts->slots, slot)) {
            next->owners[slot] = (uint8_t)shard;
        }
    }
    err_t result = parts->replace(parts->context, parts->map->epoch, next);
    move->report->epoch = result == ERR_OK ? next->epoch : parts->map->epoch;
    free(next);
    return explain(move, result, "replacing the map");
}

/* Who stays the owner serves the slots again by the next map, which is what ends a fence: also of a
 * shard that cannot be told now, and hears of the map with the first request by it or at its start.
 */
static err_t
stay(struct move *move)
{
    const struct shards_move_parts *parts = move->parts;
    TRY(replace(move, parts->from));
    tell_map(move, parts->from);
    for (uint32_t i = 0; i < parts->map->shard_count; i++) {
        if (i != parts->from) {
            tell_map(move, i);
        }
    }
    return ERR_OK;
}

/* The target first: until it knows, nobody serves the slots. */
static err_t
tell_all(struct move *move)
{
    const struct shards_move_parts *parts = move->parts;
    TRY(order(move, parts->to, PORT_LEDGER_SHARD_MAP));
    TRY(order(move, parts->from, PORT_LEDGER_SHARD_MAP));
    for (uint32_t i = 0; i < parts->map->shard_count; i++) {
        if (i != parts->to && i != parts->from) {
            tell_map(move, i);
        }
    }
    return ERR_OK;
}

/* ---- steps ---- */

static err_t
copy(struct move *move, bool tell)
{
    bool more = true;
    while (more) {
        TRY(explain(move, shards_move_copy_page(move, &more), "copying"));
        if (tell) {
            TRY(step(move, move->report->step));
        }
    }
    TRY(explain(move, shards_move_read_target(move), "reading what was copied"));
    return ERR_OK;
}

static err_t
catch_up(struct move *move)
{
    for (uint32_t i = 0; i < MOVE_ROUNDS_MAX; i++) {
        uint64_t before = move->report->source.sides;
        TRY(copy(move, true));
        if (move->report->source.sides - before < MOVE_NEAR) {
            return ERR_OK;
        }
    }
    return ERR_OK;
}

static err_t
verify(struct move *move)
{
    struct shards_move_sums *source = &move->report->source;
    struct shards_move_sums *target = &move->report->target;
    if (memcmp(source, target, sizeof(*source)) != 0) {
        (void)snprintf(
            move->message,
            SHARDS_MESSAGE_SIZE,
            "source and target differ: %" PRIu64 " and %" PRIu64 " accounts, %" PRIu64
            " and %" PRIu64 " sides of events",
            source->accounts,
            target->accounts,
            source->sides,
            target->sides);
        return ERR_CORRUPT;
    }
    return ERR_OK;
}

/* A live hold never spans slots when one of them moves (SHARDS-8). */
static err_t
none_joins(struct move *move)
{
    if (move->joining == 0) {
        return ERR_OK;
    }
    (void)snprintf(
        move->message,
        SHARDS_MESSAGE_SIZE,
        "%" PRId64 " live pending transfers join accounts of these slots with accounts of other "
        "slots: post or void them first",
        move->joining);
    return ERR_DENIED;
}

/* Behind the fence nothing is added any more, so what is read now is all. */
static err_t
fenced(struct move *move)
{
    TRY(order(move, move->parts->from, PORT_LEDGER_SHARD_FENCE));
    TRY(copy(move, false));
    TRY(none_joins(move));
    TRY(step(move, SHARDS_MOVE_VERIFY));
    TRY(verify(move));
    /* If nothing was left to copy it was not asked since the fence: who is gone gets no slots. */
    return order(move, move->parts->to, PORT_LEDGER_SHARD_MAP);
}

static err_t
hand_over(struct move *move)
{
    const struct shards_move_parts *parts = move->parts;
    TRY(step(move, SHARDS_MOVE_FENCE));
    uint64_t began = parts->now_ns(parts->context);
    err_t result = fenced(move);
    if (result != ERR_OK && result != ERR_CLOSED) {
        TRY(stay(move));
    }
    TRY(result);
    TRY(step(move, SHARDS_MOVE_FLIP));
    TRY(replace(move, parts->to));
    TRY(step(move, SHARDS_MOVE_CLEAN_UP));
    TRY(order(move, parts->to, PORT_LEDGER_SHARD_MAP));
    move->report->pause_ns = parts->now_ns(parts->context) - began;
    return tell_all(move);
}

/* ---- whose they are ---- */

static uint32_t
count_owned(const struct shards_move_parts *parts, uint32_t shard, uint32_t *ret_all)
{
    uint32_t owned = 0;
    *ret_all = 0;
    for (uint32_t slot = 0; slot < SHARD_SLOTS; slot++) {
        if (shards_slot_in(parts->slots, slot)) {
            ++*ret_all;
            owned += parts->map->owners[slot] == shard;
        }
    }
    return owned;
}

static err_t
move_do(struct move *move)
{
    const struct shards_move_parts *parts = move->parts;
    uint32_t all = 0;
    move->report->epoch = parts->map->epoch;
    if (count_owned(parts, parts->to, &all) == all) {
        TRY(step(move, SHARDS_MOVE_CLEAN_UP));
        return tell_all(move);
    }
    if (all == 0 || parts->from == parts->to || count_owned(parts, parts->from, &all) != all) {
        (void)snprintf(
            move->message,
            SHARDS_MESSAGE_SIZE,
            "%s",
            "the slots are neither all of the shard that gives them, nor all moved already");
        return ERR_INVALID;
    }
    TRY(explain(move, shards_move_copy_init(move), "moving"));
    TRY(step(move, SHARDS_MOVE_ARRIVE));
    /* Both must go by this map before anything is decided by it. */
    TRY(tell_all(move));
    TRY(order(move, parts->to, PORT_LEDGER_SHARD_ARRIVE));
    TRY(step(move, SHARDS_MOVE_COPY));
    TRY(copy(move, true));
    TRY(step(move, SHARDS_MOVE_CATCH_UP));
    TRY(catch_up(move));
    TRY(none_joins(move));
    return hand_over(move);
}

err_t
shards_move(
    const struct shards_move_parts *parts,
    struct shards_move_report *ret_report,
    char message[SHARDS_MESSAGE_SIZE])
{
    struct move move = {.parts = parts, .report = ret_report, .message = message};
    message[0] = '\0';
    memset(ret_report, 0, sizeof(*ret_report));
    err_t result = move_do(&move);
    shards_move_copy_release(&move);
    return result;
}

err_t
shards_move_cancel(const struct shards_move_parts *parts, char message[SHARDS_MESSAGE_SIZE])
{
    struct shards_move_report report = {0};
    struct move move = {.parts = parts, .report = &report, .message = message};
    struct shards_move_parts none = *parts;
    message[0] = '\0';
    memset(none.slots, 0, sizeof(none.slots));
    move.parts = &none;
    return stay(&move);
}
