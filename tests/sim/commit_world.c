#include "commit_world.h"

#include "base/hash.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FAULTS_MS   2500U
#define PATIENCE_MS 60000U /* how long after the faults everything must have ended */

u128
world_digest(u128 id, uint32_t run_number)
{
    uint64_t low = hash_u64((uint64_t)id * 31 + run_number);
    return u128_make(hash_u64(low + 1), low);
}

u128
world_user(uint16_t slot, uint32_t number)
{
    return 1000 + (u128)slot * 100 + number;
}

void
world_fail(struct world *world, const char *format, ...)
{
    if (world->failed) {
        return;
    }
    world->failed = true;
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(world->failure, sizeof(world->failure), format, arguments);
    va_end(arguments);
}

/* --- shards --- */

static void
shard_answer(struct world *world, struct world_shard *place, struct packet *answer)
{
    if (world->mutation == MUTATION_VOTE_EARLY) {
        world_send(world, answer);
    } else {
        ASSERT(place->waiting_count < WAITING_MAX);
        place->waiting[place->waiting_count++] = answer;
    }
    if (!place->sync_is_due) {
        place->sync_is_due = true;
        struct packet *sync = packet_create(PACKET_SYNC);
        sync->shard = (uint8_t)place->shard.slot;
        sync->incarnation = place->incarnation;
        world_schedule(world, sync, 1 + os_prng_below(&world->prng, world->quiet ? 2 : 12));
    }
}

static void
shard_synced(struct world *world, struct world_shard *place)
{
    place->sync_is_due = false;
    shard_sync(&place->shard);
    for (uint32_t i = 0; i < place->waiting_count; i++) {
        world_send(world, place->waiting[i]);
    }
    place->waiting_count = 0;
}

static bool
is_tombstone(const struct ledger_transfer *transfer)
{
    return transfer->ledger == COMMIT_LEDGER && transfer->code == COMMIT_KIND_TOMBSTONE;
}

/* The answer of a shard that tells an inquiry's end, and does not write it. */
static void
apply_without_tombstone(
    struct world *world, struct shard *shard, const struct packet *request, struct packet *answer)
{
    for (uint32_t i = 0; i < request->item_count; i++) {
        const struct item *item = &request->items[i];
        uint32_t count = item->count;
        uint32_t last = item->first + count - 1U;
        if (count > 1 || !is_tombstone(&request->transfers[last])) {
            shard_apply(
                shard,
                world->now,
                &request->transfers[item->first],
                count,
                &answer->results[item->first]);
            continue;
        }
        const struct ledger_past *past = shard_find(shard, request->transfers[last].id);
        bool marker = past != NULL && past->kind == LEDGER_PAST_TRANSFER &&
                      past->transfer.code == COMMIT_KIND_MARKER;
        answer->results[last].status = marker ? (uint32_t)LEDGER_TRANSFER_exists_with_different_code
                                              : (uint32_t)LEDGER_TRANSFER_created;
    }
}

static void
shard_read(
    const struct world_shard *place,
    const struct packet *request,
    const struct item *item,
    struct packet *answer)
{
    struct item *found = &answer->items[answer->item_count++];
    *found = *item;
    found->first = (uint16_t)answer->transfer_count;
    found->count = 0;
    u128 id = request->transfers[item->first].id; /* of the first entry */
    for (uint32_t i = 0; i < COMMIT_READ_MAX; i++) {
        const struct ledger_past *past = shard_find(&place->shard, id + ((u128)i << 16));
        if (past == NULL || past->kind != LEDGER_PAST_TRANSFER) {
            return;
        }
        answer->transfers[answer->transfer_count++] = past->transfer;
        found->count++;
    }
}

static void
shard_request(struct world *world, struct world_shard *place, const struct packet *request)
{
    struct packet *answer = packet_copy(request);
    answer->kind = PACKET_ANSWER;
    if (request->items[0].ask.kind == COMMIT_ASK_READ) {
        answer->item_count = 0;
        answer->transfer_count = 0;
        for (uint32_t i = 0; i < request->item_count; i++) {
            shard_read(place, request, &request->items[i], answer);
        }
    } else if (world->mutation == MUTATION_ABORT_UNWRITTEN) {
        apply_without_tombstone(world, &place->shard, request, answer);
    } else {
        shard_apply(
            &place->shard,
            world->now,
            request->transfers,
            request->transfer_count,
            answer->results);
    }
    shard_answer(world, place, answer);
}

static void
shard_tell_doubts(struct world *world, struct world_shard *place, const struct packet *request)
{
    struct packet *answer = packet_create(PACKET_DOUBT_ANSWER);
    answer->node = request->node;
    answer->shard = request->shard;
    answer->incarnation = request->incarnation;
    answer->doubts = calloc(SHARD_DOUBTS_MAX, sizeof(struct shard_doubt));
    ASSERT(answer->doubts != NULL);
    uint64_t limit = 300; /* how old it must be before anybody asks */
    uint64_t until = world->now > limit ? world->now - limit : 0;
    answer->doubt_count = shard_doubts(&place->shard, until, answer->doubts);
    shard_answer(world, place, answer);
}

static void
shard_look_up(struct world *world, struct world_shard *place, const struct packet *request)
{
    struct packet *answer = packet_copy(request);
    answer->kind = PACKET_LOOKUP_ANSWER;
    const struct ledger_past *past = shard_find(&place->shard, world->txns[request->txn].id);
    bool booked =
        past != NULL && past->kind == LEDGER_PAST_TRANSFER &&
        (past->fate == LEDGER_FATE_POSTED || (past->transfer.flags & LEDGER_TRANSFER_PENDING) == 0);
    answer->outcome = booked ? COMMIT_OUTCOME_COMMITTED : COMMIT_OUTCOME_ABORTED;
    shard_answer(world, place, answer);
}

static void
shard_handle(struct world *world, struct packet *packet)
{
    struct world_shard *place = &world->shards[packet->shard];
    if (packet->kind == PACKET_SYNC) {
        if (packet->incarnation == place->incarnation) {
            shard_synced(world, place);
        }
    } else if (!place->up) {
        world->counts.lost++;
    } else if (packet->kind == PACKET_REQUEST) {
        shard_request(world, place, packet);
    } else if (packet->kind == PACKET_DOUBT) {
        shard_tell_doubts(world, place, packet);
    } else {
        shard_look_up(world, place, packet);
    }
    packet_destroy(packet);
}

static void
shard_fail(struct world *world, struct world_shard *place)
{
    world->counts.crashes++;
    place->incarnation++;
    place->sync_is_due = false;
    place->up = false;
    for (uint32_t i = 0; i < place->waiting_count; i++) {
        packet_destroy(place->waiting[i]);
    }
    place->waiting_count = 0;
    shard_crash(&place->shard, (uint32_t)os_prng_below(&world->prng, 3));
}

/* --- clients --- */

static void
client_turn(struct world *world, struct packet *packet)
{
    struct txn *txn = &world->txns[packet->txn];
    if (txn->finished) {
        packet_destroy(packet);
        return;
    }
    struct packet *ask = packet_create(PACKET_ASK);
    ask->txn = packet->txn;
    ask->run_number = txn->run_number;
    ask->node = (uint8_t)os_prng_below(&world->prng, WORLD_NODES);
    world_send(world, ask);
    world_schedule(world, packet, 60 + os_prng_below(&world->prng, 500));
}

static void
client_told(struct world *world, struct packet *packet)
{
    struct txn *txn = &world->txns[packet->txn];
    bool committed = packet->outcome == COMMIT_OUTCOME_COMMITTED;
    if (committed) {
        txn->told_committed = true;
        txn->finished = true;
    } else {
        txn->told_aborted[packet->run_number] = true;
    }
    if (!committed && packet->run_number == txn->run_number && !txn->finished) {
        bool again = txn->protocol == COMMIT_2PC && txn->run_number + 1 < WORLD_RUNS_MAX &&
                     os_prng_chance(&world->prng, 1, 3);
        txn->run_number = (uint8_t)(txn->run_number + again);
        txn->finished = !again;
        world->counts.rerun += again;
    }
    packet_destroy(packet);
}

/* --- what goes wrong --- */

static void
fault(struct world *world)
{
    struct os_prng *prng = &world->prng;
    struct world_shard *place = &world->shards[os_prng_below(prng, WORLD_SHARDS)];
    uint8_t node = (uint8_t)os_prng_below(prng, WORLD_NODES);
    switch (os_prng_below(prng, 9)) {
    case 0:
    case 1:
        if (place->up) {
            shard_fail(world, place);
        }
        break;
    case 2:
        node_crash(world, node);
        break;
    case 3:
        world->nodes[node].paused_until = world->now + os_prng_below(prng, 700);
        break;
    case 4:
        place->paused_until = world->now + os_prng_below(prng, 700);
        break;
    case 5: /* one side of the network does not reach the other */
        for (uint32_t i = 0; i < WORLD_NODES; i++) {
            for (uint32_t j = 0; j < WORLD_SHARDS; j++) {
                world->cut[i][j] = os_prng_chance(prng, 1, 3);
            }
        }
        break;
    case 6:
        memset(world->cut, 0, sizeof(world->cut));
        break;
    default: /* what was down comes back */
        place->up = true;
        world->nodes[node].up = true;
        break;
    }
}

static void
heal(struct world *world)
{
    memset(world->cut, 0, sizeof(world->cut));
    for (uint32_t i = 0; i < WORLD_SHARDS; i++) {
        world->shards[i].up = true;
        world->shards[i].paused_until = 0;
    }
    for (uint32_t i = 0; i < WORLD_NODES; i++) {
        world->nodes[i].up = true;
        world->nodes[i].paused_until = 0;
    }
}

static void
fault_turn(struct world *world, struct packet *packet)
{
    if (world_is_healed(world)) {
        heal(world);
        packet_destroy(packet);
        return;
    }
    fault(world);
    world_schedule(world, packet, 10 + os_prng_below(&world->prng, 120));
}

/* --- the loop --- */

/* Who hangs hears later. */
static bool
is_deferred(struct world *world, struct packet *packet)
{
    uint64_t until = 0;
    switch (packet->kind) {
    case PACKET_REQUEST:
    case PACKET_DOUBT:
    case PACKET_LOOKUP:
    case PACKET_SYNC:
        until = world->shards[packet->shard].paused_until;
        break;
    case PACKET_ANSWER:
    case PACKET_DOUBT_ANSWER:
    case PACKET_LOOKUP_ANSWER:
    case PACKET_ASK:
    case PACKET_TICK:
        until = world->nodes[packet->node].paused_until;
        break;
    case PACKET_TOLD:
    case PACKET_CLIENT:
    case PACKET_FAULT:
        return false;
    }
    if (until <= world->now) {
        return false;
    }
    world_schedule(world, packet, until - world->now);
    return true;
}

static void
handle(struct world *world, struct packet *packet)
{
    if (is_deferred(world, packet)) {
        return;
    }
    uint64_t what = (uint64_t)packet->kind << 32 | (uint64_t)packet->node << 24 |
                    (uint64_t)packet->shard << 16 | packet->item_count;
    world->history = hash_u64(world->history ^ hash_u64(world->now) ^ what);
    switch (packet->kind) {
    case PACKET_REQUEST:
    case PACKET_DOUBT:
    case PACKET_LOOKUP:
    case PACKET_SYNC:
        shard_handle(world, packet);
        break;
    case PACKET_ANSWER:
    case PACKET_DOUBT_ANSWER:
    case PACKET_LOOKUP_ANSWER:
    case PACKET_ASK:
    case PACKET_TICK:
        node_handle(world, packet);
        break;
    case PACKET_TOLD:
        client_told(world, packet);
        break;
    case PACKET_CLIENT:
        client_turn(world, packet);
        break;
    case PACKET_FAULT:
        fault_turn(world, packet);
        break;
    }
}

void
world_run(struct world *world)
{
    uint64_t last = world->healed_at + PATIENCE_MS;
    while (world->queue_count > 0 && !world->failed) {
        struct packet *packet = world_next(world);
        world->now = packet->at;
        handle(world, packet);
        if (world->now > world->healed_at && world_is_at_rest(world)) {
            break;
        }
        if (world->now > last) {
            world_fail(world, "not at rest %u s after the last fault", PATIENCE_MS / 1000);
        }
    }
    world_check(world);
}

/* --- a new world --- */

static void
create_shard(struct world *world, uint16_t slot)
{
    struct ledger_account accounts[WORLD_USERS + 4];
    uint32_t count = 0;
    for (uint32_t i = 0; i < WORLD_USERS; i++) {
        accounts[count++] = (struct ledger_account){
            .id = world_user(slot, i),
            .credits_posted = 1000,
            .ledger = WORLD_LEDGER,
            .code = 1,
            .flags = LEDGER_ACCOUNT_DEBITS_MUST_NOT_EXCEED_CREDITS,
        };
    }
    accounts[count++] = (struct ledger_account){
        .id = world_user(slot, WORLD_USERS),
        .debits_posted = 1000 * WORLD_USERS,
        .ledger = WORLD_LEDGER,
        .code = 1,
    };
    accounts[count++] = commit_account(COMMIT_ACCOUNT_IN_TRANSIT, WORLD_LEDGER, slot);
    accounts[count++] = commit_account(COMMIT_ACCOUNT_MARKER_DEBIT, COMMIT_LEDGER, slot);
    accounts[count++] = commit_account(COMMIT_ACCOUNT_MARKER_CREDIT, COMMIT_LEDGER, slot);
    shard_create(&world->shards[slot].shard, slot, accounts, count);
    world->shards[slot].up = true;
}

/* From one account of one slot to one account in each of one to three others. */
static void
create_txn(struct world *world, uint8_t number)
{
    struct os_prng *prng = &world->prng;
    struct txn *txn = &world->txns[number];
    txn->id = ((u128)os_prng_next(prng) << 16) + number + 1U;
    txn->protocol = world->protocol;
    uint8_t payees = world->quiet ? 1 : (uint8_t)(1 + os_prng_below(prng, WORLD_SHARDS - 1));
    txn->slot_count = (uint8_t)(1 + payees);
    uint16_t first = (uint16_t)os_prng_below(prng, WORLD_SHARDS);
    for (uint16_t i = 0; i < txn->slot_count; i++) {
        txn->slots[i] = (uint16_t)((first + i) % WORLD_SHARDS);
    }
    u128 payer = world_user(first, (uint32_t)os_prng_below(prng, WORLD_USERS));
    for (uint8_t i = 1; i <= payees; i++) {
        struct commit_leg legs[2];
        bool missing = !world->quiet && os_prng_chance(prng, 1, 20);
        struct ledger_transfer transfer = {
            .id = txn->id,
            .debit_account_id = payer,
            .credit_account_id =
                missing ? 99 : world_user(txn->slots[i], (uint32_t)os_prng_below(prng, 3)),
            .amount = 1 + os_prng_below(prng, 600),
            .ledger = WORLD_LEDGER,
            .code = 5,
        };
        commit_split(&transfer, (uint16_t[2]){first, txn->slots[i]}, legs);
        legs[1].member = i;
        txn->legs[txn->leg_count++] = legs[0];
        txn->legs[txn->leg_count++] = legs[1];
    }
}

struct world *
world_create(uint64_t seed, enum commit_protocol protocol, enum mutation mutation, bool quiet)
{
    struct world *world = calloc(1, sizeof(*world));
    ASSERT(world != NULL);
    world->seed = seed;
    world->protocol = protocol;
    world->mutation = mutation;
    world->quiet = quiet;
    world->healed_at = quiet ? 0 : FAULTS_MS;
    world->queue = malloc(WORLD_QUEUE_MAX * sizeof(struct packet *));
    ASSERT(world->queue != NULL);
    os_prng_seed(&world->prng, seed);
    for (uint16_t slot = 0; slot < WORLD_SHARDS; slot++) {
        create_shard(world, slot);
    }
    for (uint8_t node = 0; node < WORLD_NODES; node++) {
        world->nodes[node].up = true;
        struct packet *tick = packet_create(PACKET_TICK);
        tick->node = node;
        world_schedule(world, tick, 1 + os_prng_below(&world->prng, 10));
    }
    world->txn_count = quiet ? 1 : WORLD_TXNS;
    for (uint8_t txn = 0; txn < world->txn_count; txn++) {
        create_txn(world, txn);
        struct packet *client = packet_create(PACKET_CLIENT);
        client->txn = txn;
        uint64_t begins = quiet ? 1 : os_prng_below(&world->prng, FAULTS_MS * 3 / 4);
        world_schedule(world, client, begins);
    }
    world_schedule(world, packet_create(PACKET_FAULT), 50);
    return world;
}

void
world_destroy(struct world **world)
{
    struct world *old = *world;
    for (uint32_t i = 0; i < old->queue_count; i++) {
        packet_destroy(old->queue[i]);
    }
    for (uint32_t i = 0; i < WORLD_SHARDS; i++) {
        for (uint32_t j = 0; j < old->shards[i].waiting_count; j++) {
            packet_destroy(old->shards[i].waiting[j]);
        }
        shard_destroy(&old->shards[i].shard);
    }
    free(old->queue);
    free(old);
    *world = NULL;
}
