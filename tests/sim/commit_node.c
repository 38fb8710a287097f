/* A coordinator's process: the adapter that drives runs, as a real one would. */
#include "commit_world.h"

#include <string.h>

#define RESEND_MS   120
#define DEADLINE_MS 500

/* After every step that a node makes it may be told to die there. True if it did. */
static bool
dies_here(struct world *world, uint8_t node)
{
    world->steps++;
    if (world->kill_step == 0 || world->steps != world->kill_step) {
        return false;
    }
    node_crash(world, node);
    world->nodes[node].up = true; /* another comes at once, and remembers nothing */
    return true;
}

void
node_crash(struct world *world, uint8_t number)
{
    struct node *node = &world->nodes[number];
    world->counts.crashes++;
    node->up = false;
    node->incarnation++;
    memset(node->runs, 0, sizeof(node->runs));
}

static struct packet *
node_packet(const struct world *world, uint8_t node, uint8_t shard, enum packet_kind kind)
{
    struct packet *packet = packet_create(kind);
    packet->node = node;
    packet->shard = shard;
    packet->incarnation = world->nodes[node].incarnation;
    return packet;
}

static struct node_run *
free_run(struct node *node)
{
    for (uint32_t i = 0; i < NODE_RUNS_MAX; i++) {
        if (!node->runs[i].used) {
            node->runs[i] = (struct node_run){.used = true, .serial = ++node->serial};
            return &node->runs[i];
        }
    }
    return NULL;
}

/* --- sending --- */

/* Asks on their way to one shard: a vector. */
struct outgoing {
    struct packet *packet;
    bool reads;
};

static void
flush(struct world *world, struct outgoing *outgoing)
{
    if (outgoing->packet != NULL) {
        world_send(world, outgoing->packet);
        outgoing->packet = NULL;
    }
}

/* The mutation that gives every repeat an id of its own. */
static void
freshen(const struct world *world, struct ledger_transfer *transfers, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        bool second = (transfers[i].flags &
                       (LEDGER_TRANSFER_POST_PENDING | LEDGER_TRANSFER_VOID_PENDING)) != 0;
        if (transfers[i].ledger != COMMIT_LEDGER && !second) {
            transfers[i].id += (u128)world->now << 64;
        }
    }
}

static void
send_ask(
    struct world *world,
    uint8_t number,
    const struct node_run *run,
    const struct commit_ask *ask,
    struct outgoing outgoing[WORLD_SHARDS])
{
    uint8_t shard = (uint8_t)commit_slot(&run->run, ask);
    struct outgoing *out = &outgoing[shard];
    bool reads = ask->kind == COMMIT_ASK_READ;
    struct ledger_transfer transfers[COMMIT_EVENTS_MAX] = {0};
    u128 ids[COMMIT_READ_MAX];
    uint32_t count = 1;
    if (reads) {
        commit_log_ids(&run->run, ask, ids);
        transfers[0].id = ids[0];
    } else {
        count = commit_build(&run->run, ask, transfers);
    }
    if (world->mutation == MUTATION_FRESH_IDS) {
        freshen(world, transfers, count);
    }
    if (out->packet != NULL && (out->reads != reads || out->packet->item_count == WORLD_ITEMS_MAX ||
                                out->packet->transfer_count + count > WORLD_BATCH_MAX)) {
        flush(world, out);
    }
    if (out->packet == NULL) {
        *out = (struct outgoing){node_packet(world, number, shard, PACKET_REQUEST), reads};
    }
    struct packet *packet = out->packet;
    packet->items[packet->item_count++] = (struct item){
        .serial = run->serial,
        .ask = *ask,
        .first = (uint16_t)packet->transfer_count,
        .count = (uint16_t)count,
    };
    memcpy(&packet->transfers[packet->transfer_count], transfers, count * sizeof(transfers[0]));
    packet->transfer_count += count;
}

static void
send_due(
    struct world *world,
    uint8_t number,
    struct node_run *run,
    struct outgoing outgoing[WORLD_SHARDS])
{
    uint32_t incarnation = world->nodes[number].incarnation;
    for (uint8_t member = 0; member < run->transaction.header.member_count; member++) {
        struct commit_ask ask;
        if (!commit_next(&run->run, member, &ask)) {
            continue;
        }
        bool same = memcmp(&ask, &run->asked[member], sizeof(ask)) == 0;
        if (same && world->now < run->asked_at[member] + RESEND_MS) {
            continue;
        }
        run->asked[member] = ask;
        run->asked_at[member] = world->now;
        send_ask(world, number, run, &ask, outgoing);
        if (dies_here(world, number) || world->nodes[number].incarnation != incarnation) {
            return;
        }
    }
}

/* --- what a run is told, and tells --- */

static void
tell(struct world *world, uint8_t number, struct node_run *run, bool committed)
{
    struct packet *told = node_packet(world, number, 0, PACKET_TOLD);
    told->txn = run->txn;
    told->run_number = run->run_number;
    told->outcome = committed ? COMMIT_OUTCOME_COMMITTED : COMMIT_OUTCOME_ABORTED;
    run->told = true;
    world_send(world, told);
}

/* "Aborted" is told after a look at the client's id: another run may have booked it. */
static void
tell_if_known(struct world *world, uint8_t number, struct node_run *run)
{
    enum commit_outcome outcome = commit_outcome(&run->run);
    bool early = world->mutation == MUTATION_TELL_EARLY &&
                 (run->run.state == COMMIT_DECIDING || run->run.state == COMMIT_PRECOMMITTING);
    if (run->told || run->resolves) {
        return;
    }
    if (outcome == COMMIT_OUTCOME_COMMITTED || early || run->lookup != LOOKUP_NONE) {
        bool booked = outcome != COMMIT_OUTCOME_ABORTED || run->lookup == LOOKUP_DONE_BOOKED;
        tell(world, number, run, booked);
        (void)dies_here(world, number);
        return;
    }
    bool due = run->lookup_at == 0 || world->now >= run->lookup_at + RESEND_MS;
    if (outcome == COMMIT_OUTCOME_ABORTED && due) {
        uint8_t shard = (uint8_t)run->transaction.header.slots[0];
        struct packet *lookup = node_packet(world, number, shard, PACKET_LOOKUP);
        lookup->serial = run->serial;
        lookup->txn = run->txn;
        run->lookup_at = world->now;
        world_send(world, lookup);
    }
}

static void
turn_run(
    struct world *world,
    uint8_t number,
    struct node_run *run,
    struct outgoing outgoing[WORLD_SHARDS])
{
    bool late = !run->resolves && world->now > run->began + DEADLINE_MS;
    if (late && world->mutation == MUTATION_ABORT_ALONE &&
        commit_outcome(&run->run) == COMMIT_OUTCOME_UNKNOWN) {
        run->run.state = COMMIT_ABORTED;
        run->run.answered = 0;
    }
    if (run->run.state == COMMIT_OUTBID) {
        if (run->wake == 0) {
            world->counts.outbid++;
            run->wake = world->now + os_prng_below(&world->prng, 400);
        } else if (world->now >= run->wake) {
            run->wake = 0;
            commit_conclude(&run->run);
        }
    } else if (late) {
        commit_conclude(&run->run);
    }
    if (world->mutation == MUTATION_POST_EARLY && run->run.state == COMMIT_DECIDING &&
        world->now > run->began + 40) {
        run->run.state = COMMIT_COMMITTED;
        run->run.answered = 0;
    }
    send_due(world, number, run, outgoing);
    if (!run->used) {
        return; /* the node died */
    }
    tell_if_known(world, number, run);
    bool known = commit_outcome(&run->run) != COMMIT_OUTCOME_UNKNOWN;
    if (run->used && (run->told || run->resolves) && known && commit_ended(&run->run)) {
        if (run->run.faulty != 0) {
            world_fail(
                world,
                "member %u of txn %u answers nonsense in state %s",
                run->run.faulty,
                run->txn,
                commit_state_name(run->run.state));
        }
        run->used = false;
    }
}

static void
turn(struct world *world, uint8_t number)
{
    struct node *node = &world->nodes[number];
    struct outgoing outgoing[WORLD_SHARDS] = {0};
    for (uint32_t i = 0; i < NODE_RUNS_MAX && node->up; i++) {
        if (node->runs[i].used) {
            turn_run(world, number, &node->runs[i], outgoing);
        }
    }
    for (uint32_t i = 0; i < WORLD_SHARDS; i++) {
        flush(world, &outgoing[i]);
    }
    if (node->up && world->mutation != MUTATION_NO_RESOLVER &&
        os_prng_chance(&world->prng, 1, 12)) {
        uint8_t shard = (uint8_t)os_prng_below(&world->prng, WORLD_SHARDS);
        world_send(world, node_packet(world, number, shard, PACKET_DOUBT));
    }
}

/* --- receiving --- */

static void
begin(struct world *world, uint8_t number, const struct packet *ask)
{
    struct node *node = &world->nodes[number];
    for (uint32_t i = 0; i < NODE_RUNS_MAX; i++) {
        struct node_run *run = &node->runs[i];
        if (run->used && !run->resolves && run->txn == ask->txn &&
            run->run_number == ask->run_number) {
            run->told = false;
            return;
        }
    }
    struct node_run *run = free_run(node);
    if (run == NULL) {
        return; /* busy: the client comes again */
    }
    const struct txn *txn = &world->txns[ask->txn];
    struct commit_request request = {
        .protocol = txn->protocol,
        .slot_count = txn->slot_count,
        .leg_count = txn->leg_count,
        .legs = txn->legs,
        .name_digest = world_digest(txn->id, ask->run_number),
        .request_digest = (uint64_t)world_digest(txn->id, 77),
    };
    memcpy(request.slots, txn->slots, sizeof(request.slots));
    run->txn = ask->txn;
    run->run_number = ask->run_number;
    run->began = world->now;
    ASSERT(commit_transaction_init(&run->transaction, &request) == ERR_OK);
    commit_begin(&run->run, &run->transaction);
    (void)dies_here(world, number);
}

static void
resolve(struct world *world, uint8_t number, const struct packet *answer)
{
    struct node *node = &world->nodes[number];
    for (uint32_t i = 0; i < answer->doubt_count; i++) {
        const struct shard_doubt *doubt = &answer->doubts[i];
        bool known = false;
        for (uint32_t j = 0; j < NODE_RUNS_MAX; j++) {
            const struct node_run *run = &node->runs[j];
            known |= run->used && run->run.transaction != NULL &&
                     run->transaction.header.name == commit_name_of(doubt->marker.id) &&
                     (!run->resolves ||
                      run->transaction.header.slots[run->member] == (uint16_t)doubt->marker.id);
        }
        struct node_run *run = known ? NULL : free_run(node);
        if (run == NULL) {
            continue;
        }
        run->resolves = true;
        err_t result = commit_resume(
            &run->run, &run->transaction, &doubt->marker, doubt->pendings, doubt->count);
        if (result != ERR_OK) {
            world_fail(world, "a record that cannot be resumed: %s", err_name(result));
            return;
        }
        run->member = run->transaction.legs[0].member;
        if (world->mutation == MUTATION_PRESUME) {
            run->run.state = COMMIT_ABORTED;
        }
        world->counts.resumed++;
        if (dies_here(world, number)) {
            return;
        }
    }
}

static struct node_run *
find_run(struct node *node, uint32_t serial)
{
    for (uint32_t i = 0; i < NODE_RUNS_MAX; i++) {
        if (node->runs[i].used && node->runs[i].serial == serial) {
            return &node->runs[i];
        }
    }
    return NULL;
}

/* Mistakes that a run can be talked into by what it is handed. */
static void
mutate_answer(
    const struct world *world, struct node_run *run, const struct item *item, struct packet *answer)
{
    uint32_t *status = &answer->results[item->first].status;
    bool append = item->ask.kind == COMMIT_ASK_APPEND;
    uint8_t others = (uint8_t)(0xffU & ~(1U << item->ask.member));
    if (world->mutation == MUTATION_DECIDE_EARLY && item->ask.kind == COMMIT_ASK_PREPARE &&
        run->run.state == COMMIT_PREPARING) {
        run->run.answered |= others;
    }
    if (world->mutation == MUTATION_MINORITY && append && *status == LEDGER_TRANSFER_created) {
        run->run.answered |= others;
    }
    if (world->mutation == MUTATION_OTHERS_PROMISE && append &&
        item->ask.entry == COMMIT_KIND_PROMISE && *status == LEDGER_TRANSFER_exists) {
        *status = LEDGER_TRANSFER_created;
    }
    if (world->mutation == MUTATION_LATE_PRECOMMIT && append && item->ask.ballot == 0) {
        *status = LEDGER_TRANSFER_created;
    }
    for (uint32_t i = 0; i < item->count && item->ask.kind == COMMIT_ASK_READ; i++) {
        struct ledger_transfer *entry = &answer->transfers[item->first + i];
        if (world->mutation == MUTATION_FORGET_VALUE &&
            (entry->code == COMMIT_KIND_PRECOMMIT || entry->code == COMMIT_KIND_PREABORT)) {
            entry->code = COMMIT_KIND_PROMISE;
        }
        if (world->mutation == MUTATION_FORGET_BALLOT &&
            (entry->code == COMMIT_KIND_PROMISE || entry->user_data_32 > 0)) {
            entry->user_data_32 = 0;
        }
    }
}

static void
take(struct world *world, uint8_t number, struct packet *answer)
{
    for (uint32_t i = 0; i < answer->item_count; i++) {
        const struct item *item = &answer->items[i];
        struct node_run *run = find_run(&world->nodes[number], item->serial);
        if (run == NULL) {
            continue;
        }
        mutate_answer(world, run, item, answer);
        if (item->ask.kind == COMMIT_ASK_READ) {
            commit_take_log(&run->run, &item->ask, &answer->transfers[item->first], item->count);
        } else {
            commit_take(&run->run, &item->ask, &answer->results[item->first]);
        }
        if (dies_here(world, number)) {
            return;
        }
    }
}

void
node_handle(struct world *world, struct packet *packet)
{
    uint8_t number = packet->node;
    struct node *node = &world->nodes[number];
    if (packet->kind == PACKET_TICK) {
        if (node->up) {
            turn(world, number);
        }
        world_schedule(world, packet, 5 + os_prng_below(&world->prng, 10));
        return;
    }
    bool mine = packet->kind == PACKET_ASK || packet->incarnation == node->incarnation;
    if (!node->up || !mine) {
        world->counts.lost++;
    } else if (packet->kind == PACKET_ASK) {
        begin(world, number, packet);
    } else if (packet->kind == PACKET_DOUBT_ANSWER) {
        resolve(world, number, packet);
    } else if (packet->kind == PACKET_ANSWER) {
        take(world, number, packet);
    } else {
        struct node_run *run = find_run(node, packet->serial);
        if (run != NULL) {
            run->lookup = packet->outcome == COMMIT_OUTCOME_COMMITTED ? LOOKUP_DONE_BOOKED
                                                                      : LOOKUP_DONE_ABSENT;
        }
    }
    packet_destroy(packet);
}
