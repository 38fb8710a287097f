/*
 * Many lives of a ledger of four shards with transfers between them, each drawn from a seed
 * (cross_world.h), and a coordinator that dies at every step of its own. After each life everything
 * is healed, and compared with what clients were told:
 *
 *   - told created, or exists: it is booked, on both sides, once; told refused: it never is; who
 * was not told asks again by the same id until he is;
 *   - looked up by its id a booked one is found, in the same form by either protocol, and no other;
 *   - a hold is posted or voided once, or nobody was told so and its time has ended it;
 *   - the accounts are what the booked transfers make them, and none is overdrawn;
 *   - nothing is in doubt 5 s after healing, and the in-transit accounts cancel out;
 *   - every consistent read, at any time, adds up to nothing, and what is on its way is not
 * negative.
 *
 * TAEL_SIM_SEEDS, TAEL_SIM_FIRST and TAEL_SIM_SEED as in sim_range.h.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/list.h"
#include "cross_world.h"
#include "sim_range.h"

#define SEEDS_SHORT 200
#define SEEDS_LONG  1000
#define MONEY       1000
#define ROUNDS      120

/* ------------------------------------------------------------------------------------- clients ---
 */

static void
accounts_create(struct world *world)
{
    struct ledger_account accounts[WORLD_ACCOUNTS];
    struct ledger_result results[WORLD_ACCOUNTS];
    memset(accounts, 0, sizeof(accounts));
    for (uint32_t i = 0; i < WORLD_ACCOUNTS; i++) {
        accounts[i].id = world->accounts[i];
        accounts[i].ledger = WORLD_LEDGER;
        accounts[i].code = 1;
        accounts[i].flags =
            i % WORLD_MEMBERS == 0 ? 0 : LEDGER_ACCOUNT_DEBITS_MUST_NOT_EXCEED_CREDITS;
    }
    struct port_ledger_request request = {
        .operation = PORT_LEDGER_CREATE_ACCOUNTS, .count = WORLD_ACCOUNTS};
    request.in.accounts = accounts;
    request.out.results = results;
    assert_int_equal(world_ask(world, 0, &request), ERR_OK);
}

static struct ledger_transfer *
transfer_new(struct world *world, u128 debit, u128 credit, u128 amount)
{
    assert_true(world->transfer_count < WORLD_TRANSFERS);
    struct ledger_transfer *transfer = &world->transfers[world->transfer_count++].transfer;
    *transfer = (struct ledger_transfer){
        .id = (u128)0xabcdef << 64 | world->transfer_count,
        .debit_account_id = debit,
        .credit_account_id = credit,
        .amount = amount,
        .user_data_64 = world->transfer_count * 3,
        .ledger = WORLD_LEDGER,
        .code = 5,
    };
    return transfer;
}

/* Money of the shard's own, so that there is something to lose. */
static void
fund(struct world *world)
{
    struct ledger_transfer events[WORLD_ACCOUNTS];
    struct ledger_result results[WORLD_ACCOUNTS];
    uint32_t count = 0;
    uint32_t first = world->transfer_count;
    for (uint32_t i = 0; i < WORLD_ACCOUNTS; i++) {
        if (i % WORLD_MEMBERS != 0) {
            u128 from = world->accounts[i - i % WORLD_MEMBERS];
            events[count++] = *transfer_new(world, from, world->accounts[i], MONEY);
        }
    }
    struct port_ledger_request request = {
        .operation = PORT_LEDGER_CREATE_TRANSFERS, .count = count};
    request.in.transfers = events;
    request.out.results = results;
    assert_int_equal(world_ask(world, 0, &request), ERR_OK);
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(results[i].status, LEDGER_TRANSFER_created);
        world->transfers[first + i].told = true;
        world->transfers[first + i].status = results[i].status;
    }
}

static void
client_told(struct world_client *client)
{
    struct world *world = client->world;
    for (uint32_t i = 0; i < client->request.count; i++) {
        struct world_transfer *transfer = &world->transfers[client->first + i];
        transfer->told = true;
        transfer->status = client->results[i].status;
        world->counts.told++;
    }
    client->asks = false;
}

static void
client_done(struct port_ledger_request *request)
{
    struct world_client *client = CONTAINER_OF(request, struct world_client, request);
    client->waits = false;
    if (request->error == ERR_OK) {
        client_told(client);
    } else if (request->error != ERR_OUTCOME_UNKNOWN && request->error != ERR_BUSY) {
        fail_msg(
            "seed %llu: a client was told %d",
            (unsigned long long)client->world->seed,
            request->error);
    }
}

/* Sends, or sends again, to any coordinator that is there. */
static void
client_send(struct world_client *client)
{
    struct world *world = client->world;
    client->coordinator = (uint32_t)os_prng_below(&world->prng, WORLD_COORDINATORS);
    struct world_coordinator *coordinator = &world->coordinators[client->coordinator];
    if (coordinator->loop == NULL) {
        return;
    }
    client->incarnation = coordinator->incarnation;
    client->waits = true;
    client->sent_ns = world_now(world);
    client->request = (struct port_ledger_request){
        .operation = PORT_LEDGER_CREATE_TRANSFERS,
        .count = client->request.count,
        .reply_to = &world->here,
        .done = client_done,
    };
    client->request.in.transfers = client->events;
    client->request.out.results = client->results;
    struct port_ledger *port = shards_cross_port(coordinator->cross);
    port->submit(port, &client->request);
}

/* Some are holds with a time, and some post or void an earlier one, also twice or too late. */
static void
hold_or_end(struct world *world, struct ledger_transfer *event)
{
    uint32_t kind = (uint32_t)os_prng_below(&world->prng, 4);
    const struct ledger_transfer *other =
        &world->transfers[os_prng_below(&world->prng, world->transfer_count)].transfer;
    if (kind == 0) {
        event->flags = LEDGER_TRANSFER_PENDING;
        event->timeout = 1 + (uint32_t)os_prng_below(&world->prng, 3);
    } else if (kind == 1 && (other->flags & LEDGER_TRANSFER_PENDING) != 0) {
        bool post = os_prng_chance(&world->prng, 2, 3);
        event->flags = post ? LEDGER_TRANSFER_POST_PENDING : LEDGER_TRANSFER_VOID_PENDING;
        event->pending_id = other->id;
        event->debit_account_id = other->debit_account_id;
        event->credit_account_id = other->credit_account_id;
        event->amount = post ? os_prng_below(&world->prng, (uint64_t)other->amount + 1) : 0;
    }
}

static void
client_begin(struct world_client *client)
{
    struct world *world = client->world;
    uint32_t count = 1 + (uint32_t)os_prng_below(&world->prng, WORLD_BATCH);
    if (world->transfer_count + count > WORLD_TRANSFERS) {
        return;
    }
    client->first = world->transfer_count;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t from = (uint32_t)os_prng_below(&world->prng, WORLD_ACCOUNTS);
        uint32_t to = (uint32_t)os_prng_below(&world->prng, WORLD_ACCOUNTS);
        bool nobody = os_prng_chance(&world->prng, 1, 30);
        u128 credit = nobody ? (u128)0xdead << 32 | to : world->accounts[to];
        u128 amount = os_prng_below(&world->prng, MONEY);
        struct ledger_transfer *event = transfer_new(world, world->accounts[from], credit, amount);
        hold_or_end(world, event);
        client->events[i] = *event;
    }
    client->request.count = count;
    client->asks = true;
    client_send(client);
}

/* A coordinator that was killed never answers: its client asks another one. */
static void
client_turn(struct world_client *client, bool may_begin)
{
    const struct world_coordinator *asked = &client->world->coordinators[client->coordinator];
    if (client->waits && (asked->loop == NULL || asked->incarnation != client->incarnation)) {
        client->waits = false;
    }
    if (!client->asks && may_begin) {
        client_begin(client);
    } else if (client->asks && !client->waits) {
        client->world->counts.repeated++;
        client_send(client);
    }
}

/* -------------------------------------------------------------------------------------- faults ---
 */

static void
break_something(struct world *world)
{
    uint32_t shard = (uint32_t)os_prng_below(&world->prng, WORLD_SHARDS);
    uint32_t number = (uint32_t)os_prng_below(&world->prng, WORLD_COORDINATORS);
    struct world_coordinator *coordinator = &world->coordinators[number];
    uint64_t now = world_now(world);
    switch (os_prng_below(&world->prng, 6)) {
    case 0:
        if (world->shards[shard].engine != NULL) {
            world_shard_kill(world, shard);
        }
        break;
    case 1:
        if (coordinator->loop != NULL) {
            world_coordinator_kill(world, number);
        }
        break;
    case 2:
        world->shards[shard].paused_until_ns = now + os_prng_below(&world->prng, 5 * OS_NS_PER_S);
        break;
    case 3:
        coordinator->links[shard].parted = true;
        break;
    case 4:
        if (coordinator->loop != NULL) {
            coordinator->paused_until_ns = now + os_prng_below(&world->prng, 5 * OS_NS_PER_S);
            os_sim_pause(world->sim, coordinator->loop, true);
        }
        break;
    default:
        break;
    }
}

static void
mend_something(struct world *world)
{
    uint64_t now = world_now(world);
    for (uint32_t i = 0; i < WORLD_SHARDS; i++) {
        if (world->shards[i].engine == NULL && os_prng_chance(&world->prng, 1, 8)) {
            world_shard_start(world, i);
        }
    }
    for (uint32_t i = 0; i < WORLD_COORDINATORS; i++) {
        struct world_coordinator *coordinator = &world->coordinators[i];
        if (coordinator->loop == NULL && os_prng_chance(&world->prng, 1, 4)) {
            world_coordinator_start(world, i);
        } else if (coordinator->loop != NULL && now >= coordinator->paused_until_ns) {
            os_sim_pause(world->sim, coordinator->loop, false);
        }
        for (uint32_t j = 0; j < WORLD_SHARDS; j++) {
            if (os_prng_chance(&world->prng, 1, 10)) {
                coordinator->links[j].parted = false;
            }
        }
    }
}

/* -------------------------------------------------------------------------------------- checks ---
 */

/* credits less debits, of posted money. */
static __int128
worth(const struct ledger_account *account)
{
    return (__int128)account->credits_posted - (__int128)account->debits_posted;
}

struct reading {
    struct port_ledger_request request;
    struct ledger_account accounts[3 * WORLD_ACCOUNTS];
    uint32_t incarnation;
    bool under_way;
};

static void
reading_check(const struct world *world, const struct reading *reading)
{
    __int128 all = 0;
    __int128 in_transit = 0;
    for (uint32_t i = 0; i < reading->request.out_count; i++) {
        const struct ledger_account *account = &reading->accounts[i];
        all += worth(account);
        /* 3PC may post the payee's side first: then the payer's is still set aside. */
        in_transit += commit_account_is(account->id, COMMIT_ACCOUNT_IN_TRANSIT)
                          ? worth(account) + (__int128)account->credits_pending
                          : 0;
    }
    if (all != 0 || in_transit < 0) {
        fail_msg(
            "seed %llu: a consistent read adds up to %lld, with %lld in transit",
            (unsigned long long)world->seed,
            (long long)all,
            (long long)in_transit);
    }
}

static void
reading_done(struct port_ledger_request *request)
{
    CONTAINER_OF(request, struct reading, request)->under_way = false;
}

/* At coordinator 0: a killed one never answers. */
static void
reading_turn(struct world *world, struct reading *reading)
{
    struct world_coordinator *coordinator = &world->coordinators[0];
    if (coordinator->loop == NULL || reading->incarnation != coordinator->incarnation) {
        reading->under_way = false;
        reading->request.error = ERR_BUSY;
    }
    if (reading->under_way || coordinator->loop == NULL) {
        return;
    }
    if (reading->request.done != NULL && reading->request.error == ERR_OK) {
        world->counts.reads++;
        reading_check(world, reading);
    }
    reading->incarnation = coordinator->incarnation;
    reading->under_way = true;
    reading->request = (struct port_ledger_request){
        .operation = PORT_LEDGER_LOOKUP_CONSISTENT,
        .count = WORLD_ACCOUNTS,
        .reply_to = &world->here,
        .done = reading_done,
    };
    reading->request.in.ids = world->accounts;
    reading->request.out.accounts = reading->accounts;
    struct port_ledger *port = shards_cross_port(coordinator->cross);
    port->submit(port, &reading->request);
}

static bool
is_booked(uint32_t status)
{
    return status == LEDGER_TRANSFER_created || status == LEDGER_TRANSFER_exists;
}

static void
check_nothing_in_doubt(struct world *world)
{
    struct port_ledger_filter filter = {.limit = 16};
    static struct ledger_transfer found[16];
    struct port_ledger_request request = {.operation = PORT_LEDGER_QUERY_IN_TRANSIT};
    request.in.filter = &filter;
    request.out.transfers = found;
    assert_int_equal(world_ask(world, 1, &request), ERR_OK);
    if (request.out_count != 0) {
        fail_msg(
            "seed %llu: %u transfers are in doubt",
            (unsigned long long)world->seed,
            request.out_count);
    }
}

/* A hold that is told to have ended has ended once. */
static void
check_holds(struct world *world)
{
    const unsigned ends = LEDGER_TRANSFER_POST_PENDING | LEDGER_TRANSFER_VOID_PENDING;
    for (uint32_t i = 0; i < world->transfer_count; i++) {
        uint32_t count = 0;
        bool held = is_booked(world->transfers[i].status);
        for (uint32_t j = 0; j < world->transfer_count; j++) {
            const struct world_transfer *end = &world->transfers[j];
            bool of_it = (end->transfer.flags & ends) != 0 &&
                         end->transfer.pending_id == world->transfers[i].transfer.id;
            count += of_it && is_booked(end->status) ? 1 : 0;
            world->counts.posted += of_it && is_booked(end->status) &&
                                    (end->transfer.flags & LEDGER_TRANSFER_POST_PENDING) != 0;
        }
        if (count > (held ? 1U : 0U)) {
            fail_msg(
                "seed %llu: a hold has ended %u times", (unsigned long long)world->seed, count);
        }
    }
}

static void
check_accounts(struct world *world)
{
    const unsigned still = LEDGER_TRANSFER_PENDING | LEDGER_TRANSFER_VOID_PENDING;
    __int128 expected[WORLD_ACCOUNTS] = {0};
    struct ledger_account found[3 * WORLD_ACCOUNTS];
    for (uint32_t i = 0; i < world->transfer_count; i++) {
        const struct world_transfer *transfer = &world->transfers[i];
        assert_true(transfer->told);
        bool booked = is_booked(transfer->status);
        world->counts.booked += booked ? 1 : 0;
        world->counts.refused += booked ? 0 : 1;
        booked = booked && (transfer->transfer.flags & still) == 0;
        for (uint32_t j = 0; j < WORLD_ACCOUNTS && booked; j++) {
            const struct ledger_transfer *money = &transfer->transfer;
            expected[j] -=
                money->debit_account_id == world->accounts[j] ? (__int128)money->amount : 0;
            expected[j] +=
                money->credit_account_id == world->accounts[j] ? (__int128)money->amount : 0;
        }
    }
    struct port_ledger_request request = {
        .operation = PORT_LEDGER_LOOKUP_CONSISTENT, .count = WORLD_ACCOUNTS};
    request.in.ids = world->accounts;
    request.out.accounts = found;
    assert_int_equal(world_ask(world, 2, &request), ERR_OK);
    assert_true(request.out_count >= WORLD_ACCOUNTS);
    __int128 in_transit = 0;
    for (uint32_t i = 0; i < request.out_count; i++) {
        assert_true(found[i].debits_pending == 0 && found[i].credits_pending == 0);
        in_transit += i < WORLD_ACCOUNTS ? 0 : worth(&found[i]);
        if (i < WORLD_ACCOUNTS && worth(&found[i]) != expected[i]) {
            fail_msg(
                "seed %llu: account %u has %lld instead of %lld",
                (unsigned long long)world->seed,
                i,
                (long long)worth(&found[i]),
                (long long)expected[i]);
        }
        if (i < WORLD_ACCOUNTS && i % WORLD_MEMBERS != 0) {
            assert_true(worth(&found[i]) >= 0);
        }
    }
    assert_true(in_transit == 0);
}

/* What it shows when it is booked: a void has all of what it ends. */
static u128
amount_of(const struct world *world, const struct ledger_transfer *event)
{
    for (uint32_t i = 0; i < world->transfer_count; i++) {
        const struct ledger_transfer *hold = &world->transfers[i].transfer;
        if ((event->flags & LEDGER_TRANSFER_VOID_PENDING) != 0 && hold->id == event->pending_id) {
            return hold->amount;
        }
    }
    return event->amount;
}

/* Looked up by its id each booked one is found, as booked by either protocol, and no other. */
static void
check_transfers(struct world *world)
{
    static u128 ids[WORLD_TRANSFERS];
    static struct ledger_transfer found[WORLD_TRANSFERS];
    for (uint32_t i = 0; i < world->transfer_count; i++) {
        ids[i] = world->transfers[i].transfer.id;
    }
    struct port_ledger_request request = {
        .operation = PORT_LEDGER_LOOKUP_TRANSFERS, .count = world->transfer_count};
    request.in.ids = ids;
    request.out.transfers = found;
    assert_int_equal(world_ask(world, 1, &request), ERR_OK);
    uint32_t next = 0;
    for (uint32_t i = 0; i < world->transfer_count; i++) {
        const struct world_transfer *transfer = &world->transfers[i];
        bool is_found = next < request.out_count && found[next].id == ids[i];
        if (is_found != is_booked(transfer->status)) {
            fail_msg(
                "seed %llu: transfer %u is told %u, and %s",
                (unsigned long long)world->seed,
                i,
                transfer->status,
                is_found ? "found" : "not found");
        }
        if (is_found) {
            const unsigned phase = LEDGER_TRANSFER_PENDING | LEDGER_TRANSFER_POST_PENDING |
                                   LEDGER_TRANSFER_VOID_PENDING;
            assert_int_equal(found[next].flags & phase, transfer->transfer.flags & phase);
            assert_true(found[next].debit_account_id == transfer->transfer.debit_account_id);
            assert_true(found[next].amount == amount_of(world, &transfer->transfer));
            next++;
        }
    }
    assert_int_equal(next, request.out_count);
}

/* ---------------------------------------------------------------------------------------- lives
 * ---
 */

static void
clients_finish(struct world *world)
{
    bool any = true;
    for (int i = 0; i < 400 && any; i++) {
        any = false;
        for (uint32_t j = 0; j < WORLD_CLIENTS; j++) {
            client_turn(&world->clients[j], false);
            any = any || world->clients[j].asks;
        }
        world_run_ms(world, 50);
    }
    if (any) {
        fail_msg("seed %llu: a client is never told", (unsigned long long)world->seed);
    }
}

static void
life(uint64_t seed, enum commit_protocol protocol, struct world_counts *sum)
{
    struct world *world = world_create(seed, protocol);
    static struct reading reading;
    memset(&reading, 0, sizeof(reading));
    accounts_create(world);
    fund(world);
    world->faults = (uint32_t)os_prng_below(&world->prng, 12);
    for (uint32_t i = 0; i < ROUNDS; i++) {
        for (uint32_t j = 0; j < WORLD_CLIENTS; j++) {
            client_turn(&world->clients[j], os_prng_chance(&world->prng, 1, 2));
        }
        reading_turn(world, &reading);
        if (world->faults > 0 && os_prng_chance(&world->prng, 1, 12)) {
            break_something(world);
        }
        mend_something(world);
        world_run_ms(world, (uint32_t)os_prng_below(&world->prng, 40));
    }
    world_heal(world);
    clients_finish(world);
    world_run_ms(world, 5000); /* what was left is finished, and late repeats have come */
    check_nothing_in_doubt(world);
    world_run_ms(world, 8000);
    check_nothing_in_doubt(world);
    check_holds(world);
    check_accounts(world);
    check_transfers(world);
    for (uint32_t i = 0; i < WORLD_COORDINATORS; i++) {
        struct shards_cross_counters counters;
        shards_cross_count(world->coordinators[i].cross, &counters);
        world->counts.resolved += counters.resolved_committed + counters.resolved_aborted;
    }
    uint64_t *to = (uint64_t *)sum;
    const uint64_t *from = (const uint64_t *)&world->counts;
    for (size_t i = 0; i < sizeof(*sum) / sizeof(uint64_t); i++) {
        to[i] += from[i];
    }
    world_destroy(&world);
}

static void
lives(enum commit_protocol protocol)
{
    struct world_counts sum = {0};
    const struct sim_range range = sim_range_get(SEEDS_SHORT, SEEDS_LONG);
    for (uint64_t i = 0; i < range.count; i++) {
        life(range.first + i, protocol, &sum);
    }
    print_message(
        "%llu seeds: %llu told, %llu booked, %llu refused, %llu asked again, %llu killed, "
        "%llu resolved, %llu consistent reads, %llu lost, %llu doubled, %llu holds posted\n",
        (unsigned long long)range.count,
        (unsigned long long)sum.told,
        (unsigned long long)sum.booked,
        (unsigned long long)sum.refused,
        (unsigned long long)sum.repeated,
        (unsigned long long)sum.killed,
        (unsigned long long)sum.resolved,
        (unsigned long long)sum.reads,
        (unsigned long long)sum.lost,
        (unsigned long long)sum.doubled,
        (unsigned long long)sum.posted);
    if (!range.is_replay) {
        assert_true(sum.booked > 0 && sum.refused > 0 && sum.repeated > 0 && sum.killed > 0);
        assert_true(sum.resolved > 0 && sum.reads > 0 && sum.lost > 0 && sum.doubled > 0);
        assert_true(sum.posted > 0);
    }
}

static void
test_2pc(void **state)
{
    (void)state;
    lives(COMMIT_2PC);
}

static void
test_3pc(void **state)
{
    (void)state;
    lives(COMMIT_3PC);
}

static uint32_t
in_doubt(struct world *world, uint32_t coordinator)
{
    struct port_ledger_filter filter = {.limit = 16};
    struct ledger_transfer found[16];
    struct port_ledger_request request = {.operation = PORT_LEDGER_QUERY_IN_TRANSIT};
    request.in.filter = &filter;
    request.out.transfers = found;
    assert_int_equal(world_ask(world, coordinator, &request), ERR_OK);
    return request.out_count;
}

static uint32_t
status_of(struct world *world, uint32_t coordinator, const struct ledger_transfer *event)
{
    struct ledger_result result;
    struct port_ledger_request request = {.operation = PORT_LEDGER_CREATE_TRANSFERS, .count = 1};
    request.in.transfers = event;
    request.out.results = &result;
    assert_int_equal(world_ask(world, coordinator, &request), ERR_OK);
    return result.status;
}

static uint64_t
crossed(const struct world *world, uint32_t coordinator)
{
    struct shards_router_counters counters;
    shards_router_count(world->coordinators[coordinator].router, &counters);
    return counters.crossed;
}

/* Both slots are on one shard now: the id's plain form meets what it was booked as before. */
static void
check_plain_form(struct world *world, const struct ledger_transfer *booked)
{
    struct ledger_transfer event = *booked;
    /* The first sight of the new map may still cross by the old one. */
    assert_int_equal(status_of(world, 2, &event), LEDGER_TRANSFER_exists);
    uint64_t before = crossed(world, 2);
    assert_int_equal(status_of(world, 2, &event), LEDGER_TRANSFER_exists);
    event.amount++;
    assert_int_equal(status_of(world, 2, &event), LEDGER_TRANSFER_exists_with_different_amount);
    event = *booked;
    event.credit_account_id = world->accounts[2 + WORLD_MEMBERS];
    assert_int_equal(
        status_of(world, 2, &event), LEDGER_TRANSFER_exists_with_different_credit_account_id);
    assert_true(crossed(world, 2) == before);
}

/* A hold made across shards is not ended in a chain when both slots are on one shard: the batch is
 * refused with the event's place, nothing was done, and by itself it is posted. */
static void
test_chain_after_the_slots_met(void **state)
{
    (void)state;
    struct world *world = world_create(3, COMMIT_2PC);
    accounts_create(world);
    fund(world);
    u128 payer = world->accounts[1];
    u128 payee = world->accounts[1 + WORLD_MEMBERS];
    struct ledger_transfer hold = *transfer_new(world, payer, payee, 9);
    hold.flags = LEDGER_TRANSFER_PENDING;
    assert_int_equal(status_of(world, 1, &hold), LEDGER_TRANSFER_created);
    const uint16_t slot = world_slot(1);
    assert_int_equal(world_move(world, &slot, 1, world->map.owners[world_slot(0)]), ERR_OK);
    struct ledger_transfer events[2] = {
        *transfer_new(world, payer, payee, 1), *transfer_new(world, payer, payee, 7)};
    events[0].flags = LEDGER_TRANSFER_LINKED;
    events[1].flags = LEDGER_TRANSFER_POST_PENDING;
    events[1].pending_id = hold.id;
    struct ledger_result results[2];
    struct port_ledger_request request = {.operation = PORT_LEDGER_CREATE_TRANSFERS, .count = 2};
    request.in.transfers = events;
    request.out.results = results;
    for (int i = 0; i < 2;
         i++) { /* the first sight of the new map may still cross by the old one */
        assert_int_equal(world_ask(world, 2, &request), ERR_CROSSES_SHARDS);
    }
    assert_int_equal(request.out_count, 1);
    /* Whom it names is wrong: that is told. */
    events[1].credit_account_id = world->accounts[2 + WORLD_MEMBERS];
    assert_int_equal(world_ask(world, 2, &request), ERR_OK);
    assert_int_equal(results[0].status, LEDGER_TRANSFER_linked_event_failed);
    assert_int_equal(
        results[1].status, LEDGER_TRANSFER_pending_transfer_has_different_credit_account_id);
    events[1].credit_account_id = payee;
    events[0].flags = 0;
    assert_int_equal(status_of(world, 2, &events[0]), LEDGER_TRANSFER_created);
    assert_int_equal(status_of(world, 2, &events[1]), LEDGER_TRANSFER_created);
    world_destroy(&world);
}

/* Which of two holds of one id a batch makes nobody knows when what posts it is planned: the batch
 * is refused with that event's place, and nothing was done. The same hold twice is no question. */
static void
test_made_twice(void **state)
{
    (void)state;
    struct world *world = world_create(3, COMMIT_3PC);
    accounts_create(world);
    fund(world);
    u128 payer = world->accounts[1];
    struct ledger_transfer events[3] = {
        *transfer_new(world, payer, world->accounts[1 + WORLD_MEMBERS], 9),
        *transfer_new(world, payer, world->accounts[1 + 2 * WORLD_MEMBERS], 11),
        *transfer_new(world, payer, 0, 0),
    };
    events[0].flags = LEDGER_TRANSFER_PENDING;
    events[1].flags = LEDGER_TRANSFER_PENDING;
    events[1].id = events[0].id;
    events[2] = (struct ledger_transfer){
        .id = events[2].id,
        .pending_id = events[0].id,
        .amount = U128_MAX,
        .flags = LEDGER_TRANSFER_POST_PENDING,
    };
    struct ledger_result results[3];
    struct port_ledger_request request = {.operation = PORT_LEDGER_CREATE_TRANSFERS, .count = 3};
    request.in.transfers = events;
    request.out.results = results;
    assert_int_equal(world_ask(world, 1, &request), ERR_CROSSES_SHARDS);
    assert_int_equal(request.out_count, 2);
    struct ledger_transfer found;
    struct port_ledger_request lookup = {.operation = PORT_LEDGER_LOOKUP_TRANSFERS, .count = 1};
    lookup.in.ids = &events[0].id;
    lookup.out.transfers = &found;
    assert_int_equal(world_ask(world, 1, &lookup), ERR_OK);
    assert_int_equal(lookup.out_count, 0);
    events[1] = events[0];
    assert_int_equal(world_ask(world, 1, &request), ERR_OK);
    assert_int_equal(results[0].status, LEDGER_TRANSFER_created);
    assert_int_equal(results[1].status, LEDGER_TRANSFER_exists);
    assert_int_equal(results[2].status, LEDGER_TRANSFER_created);
    world_run_ms(world, 1000);
    struct ledger_account payee;
    lookup = (struct port_ledger_request){.operation = PORT_LEDGER_LOOKUP_ACCOUNTS, .count = 1};
    lookup.in.ids = &events[0].credit_account_id;
    lookup.out.accounts = &payee;
    assert_int_equal(world_ask(world, 1, &lookup), ERR_OK);
    assert_true(payee.credits_posted == MONEY + 9);
    world_destroy(&world);
}

/* What dies, and what happens right behind its death. */
struct death {
    enum commit_protocol protocol;
    uint16_t flags; /* of the event: a transfer, a hold, or what ends one */
    uint32_t step;  /* of the simulation */
    bool moves;     /* the payee's slot moves to the payer's shard */
    bool was_doubt; /* out: something was in doubt when it moved */
};

static void
move_together(struct world *world, struct death *death)
{
    uint32_t alive = (world->clients[0].coordinator + 1) % WORLD_COORDINATORS;
    death->was_doubt = in_doubt(world, alive) != 0;
    const uint16_t slot = world_slot(1);
    assert_int_equal(world_move(world, &slot, 1, world->map.owners[world_slot(0)]), ERR_OK);
    assert_true(world->map.owners[world_slot(1)] == world->map.owners[world_slot(0)]);
}

/* The event that is under way when its coordinator dies. */
static struct ledger_transfer *
dying_event(struct world *world, const struct death *death)
{
    const unsigned ends = LEDGER_TRANSFER_POST_PENDING | LEDGER_TRANSFER_VOID_PENDING;
    u128 payer = world->accounts[1];
    u128 payee = world->accounts[1 + WORLD_MEMBERS];
    u128 hold = 0;
    if ((death->flags & ends) != 0) {
        struct ledger_transfer *made = transfer_new(world, payer, payee, 9);
        made->flags = LEDGER_TRANSFER_PENDING;
        hold = made->id;
        struct world_transfer *told = &world->transfers[world->transfer_count - 1];
        told->told = true;
        told->status = status_of(world, 1, made);
        assert_int_equal(told->status, LEDGER_TRANSFER_created);
    }
    bool voids = (death->flags & LEDGER_TRANSFER_VOID_PENDING) != 0;
    struct ledger_transfer *event = transfer_new(world, payer, payee, voids ? 0 : 7);
    event->flags = death->flags;
    event->pending_id = hold;
    event->timeout = death->flags == LEDGER_TRANSFER_PENDING ? 1 : 0;
    return event;
}

/* One transfer that crosses, and its coordinator dies after so many steps of the simulation. False:
 * it was over before. */
static bool
kill_at(uint64_t seed, struct death *death)
{
    struct world *world = world_create(seed, death->protocol);
    uint32_t step = death->step;
    accounts_create(world);
    fund(world);
    struct world_client *client = &world->clients[0];
    client->events[0] = *dying_event(world, death);
    client->first = world->transfer_count - 1;
    client->request.count = 1;
    client->asks = true;
    while (!client->waits) {
        client_send(client);
    }
    bool killed = false;
    uint32_t steps = 0;
    for (int ms = 0; ms < 50 && !killed; ms++) {
        os_sim_advance(world->sim, OS_NS_PER_MS);
        while (steps < step && os_sim_step(world->sim)) {
            steps++;
        }
        killed = steps == step;
    }
    if (killed) {
        world_coordinator_kill(world, client->coordinator);
    }
    uint64_t died = world_now(world);
    if (death->moves) {
        move_together(world, death);
    }
    world_run_ms(world, 100);
    if (killed) {
        world_coordinator_start(world, client->coordinator);
    }
    clients_finish(world);
    /* Nothing is blocked longer than a resolver takes: sweep, deadline, sweep. A slot that moves
     * is a new sight. */
    uint64_t limit = died + (death->moves ? 5 : 4) * OS_NS_PER_S;
    world_run_ms(world, (uint32_t)((limit - world_now(world)) / OS_NS_PER_MS));
    check_nothing_in_doubt(world);
    check_holds(world);
    check_accounts(world);
    check_transfers(world);
    if (death->moves) {
        check_plain_form(world, &client->events[0]);
        check_accounts(world);
    }
    world_destroy(&world);
    return killed;
}

static void
test_killed_at_every_step(void **state)
{
    (void)state;
    uint32_t kills = 0;
    const struct sim_range range = sim_range_get(1, 20);
    for (uint64_t seed = range.first; seed < range.first + range.count; seed++) {
        for (int protocol = 0; protocol < 2; protocol++) {
            struct death death = {.protocol = protocol == 0 ? COMMIT_2PC : COMMIT_3PC, .step = 1};
            while (kill_at(seed, &death)) {
                death.step++;
                kills++;
            }
            assert_true(death.step > 20);
        }
    }
    print_message("killed at %u steps\n", kills);
}

/* The same of a hold, and of what posts and voids one. */
static void
test_holds_killed_at_every_step(void **state)
{
    static const uint16_t flags[] = {
        LEDGER_TRANSFER_PENDING,
        LEDGER_TRANSFER_POST_PENDING,
        LEDGER_TRANSFER_VOID_PENDING,
    };
    (void)state;
    uint32_t kills = 0;
    const struct sim_range range = sim_range_get(1, 20);
    for (uint64_t seed = range.first; seed < range.first + range.count; seed++) {
        for (size_t i = 0; i < 2 * sizeof(flags) / sizeof(flags[0]); i++) {
            struct death death = {
                .protocol = i % 2 == 0 ? COMMIT_2PC : COMMIT_3PC, .flags = flags[i / 2], .step = 1};
            while (kill_at(seed, &death)) {
                death.step++;
                kills++;
            }
            assert_true(death.step > 10);
        }
    }
    print_message("killed at %u steps\n", kills);
}

/* SHARDS-8, CROSS-7: what is in doubt is within a slot, so the slot may move, even to where the
 * other one is, and whatever the coordinator had done before it died. */
static void
test_moved_in_doubt(void **state)
{
    (void)state;
    uint32_t kills = 0;
    uint32_t doubts = 0;
    const struct sim_range range = sim_range_get(1, 20);
    for (uint64_t seed = range.first; seed < range.first + range.count; seed++) {
        for (int protocol = 0; protocol < 2; protocol++) {
            struct death death = {
                .protocol = protocol == 0 ? COMMIT_2PC : COMMIT_3PC, .step = 1, .moves = true};
            while (kill_at(seed, &death)) {
                death.step++;
                kills++;
                doubts += death.was_doubt;
            }
        }
    }
    print_message("moved behind %u steps, %u times with transfers in doubt\n", kills, doubts);
    assert_true(doubts > 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chain_after_the_slots_met),
        cmocka_unit_test(test_made_twice),
        cmocka_unit_test(test_2pc),
        cmocka_unit_test(test_3pc),
        cmocka_unit_test(test_killed_at_every_step),
        cmocka_unit_test(test_holds_killed_at_every_step),
        cmocka_unit_test(test_moved_in_doubt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
