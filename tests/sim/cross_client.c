/* What there is to begin with, and clients that ask again by the same ids until they are told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/list.h"
#include "cross_life.h"

#include <string.h>

void
world_accounts_create(struct world *world)
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

struct ledger_transfer *
world_transfer_new(struct world *world, u128 debit, u128 credit, u128 amount)
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
void
world_fund(struct world *world)
{
    struct ledger_transfer events[WORLD_ACCOUNTS];
    struct ledger_result results[WORLD_ACCOUNTS];
    uint32_t count = 0;
    uint32_t first = world->transfer_count;
    for (uint32_t i = 0; i < WORLD_ACCOUNTS; i++) {
        if (i % WORLD_MEMBERS != 0) {
            u128 from = world->accounts[i - i % WORLD_MEMBERS];
            events[count++] = *world_transfer_new(world, from, world->accounts[i], WORLD_MONEY);
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

/* All of a chain is booked, or nothing; `exists` is told of its first event alone, and says so of
 * all. */
static uint32_t
chain_status(const struct world_client *client, uint32_t start, uint32_t end, uint32_t event)
{
    uint32_t created = 0;
    uint32_t failed = 0;
    for (uint32_t i = start; i < end; i++) {
        created += client->results[i].status == LEDGER_TRANSFER_created ? 1 : 0;
        failed += client->results[i].status == LEDGER_TRANSFER_linked_event_failed ? 1 : 0;
    }
    if (created != end - start && (created != 0 || failed != end - start - 1)) {
        fail_msg(
            "seed %llu: of a chain of %u events %u are created, and %u failed with others",
            (unsigned long long)client->world->seed,
            end - start,
            created,
            failed);
    }
    bool exists = client->results[start].status == LEDGER_TRANSFER_exists;
    return exists ? LEDGER_TRANSFER_exists : client->results[event].status;
}

static void
client_told(struct world_client *client)
{
    struct world *world = client->world;
    uint32_t end = 0;
    for (uint32_t start = 0; start < client->request.count; start = end) {
        end = start + 1;
        while ((client->events[end - 1].flags & LEDGER_TRANSFER_LINKED) != 0) {
            end++;
        }
        world->counts.chains += end - start > 1 ? 1 : 0;
        for (uint32_t i = start; i < end; i++) {
            struct world_transfer *transfer = &world->transfers[client->first + i];
            transfer->told = true;
            transfer->status =
                end - start > 1 ? chain_status(client, start, end, i) : client->results[i].status;
            world->counts.told++;
        }
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
void
world_client_send(struct world_client *client)
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

static struct ledger_transfer *
event_new(struct world *world)
{
    uint32_t from = (uint32_t)os_prng_below(&world->prng, WORLD_ACCOUNTS);
    uint32_t to = (uint32_t)os_prng_below(&world->prng, WORLD_ACCOUNTS);
    bool nobody = os_prng_chance(&world->prng, 1, 30);
    u128 credit = nobody ? (u128)0xdead << 32 | to : world->accounts[to];
    u128 amount = os_prng_below(&world->prng, WORLD_MONEY);
    return world_transfer_new(world, world->accounts[from], credit, amount);
}

/* No event of a chain may be one that any ledger refuses for what it says itself. */
static void
chain_begin(struct world *world, struct ledger_transfer *event, bool linked)
{
    if (event->credit_account_id == event->debit_account_id) {
        bool is_first = event->debit_account_id == world->accounts[0];
        event->credit_account_id = world->accounts[is_first ? 1 : 0];
    }
    event->amount /= WORLD_BATCH;
    event->flags = linked ? LEDGER_TRANSFER_LINKED : 0;
}

static void
client_begin(struct world_client *client)
{
    struct world *world = client->world;
    bool chained = os_prng_chance(&world->prng, 1, 3);
    uint32_t count = 1 + (uint32_t)os_prng_below(&world->prng, WORLD_BATCH);
    if (world->transfer_count + count > WORLD_TRANSFERS) {
        return;
    }
    client->first = world->transfer_count;
    for (uint32_t i = 0; i < count; i++) {
        struct ledger_transfer *event = event_new(world);
        if (chained) {
            chain_begin(world, event, i + 1 < count);
        } else {
            hold_or_end(world, event);
        }
        client->events[i] = *event;
    }
    client->request.count = count;
    client->asks = true;
    world_client_send(client);
}

/* A coordinator that was killed never answers: its client asks another one. */
void
world_client_turn(struct world_client *client, bool may_begin)
{
    const struct world_coordinator *asked = &client->world->coordinators[client->coordinator];
    if (client->waits && (asked->loop == NULL || asked->incarnation != client->incarnation)) {
        client->waits = false;
    }
    if (!client->asks && may_begin) {
        client_begin(client);
    } else if (client->asks && !client->waits) {
        client->world->counts.repeated++;
        world_client_send(client);
    }
}

void
world_clients_finish(struct world *world)
{
    bool any = true;
    for (int i = 0; i < 400 && any; i++) {
        any = false;
        for (uint32_t j = 0; j < WORLD_CLIENTS; j++) {
            world_client_turn(&world->clients[j], false);
            any = any || world->clients[j].asks;
        }
        world_run_ms(world, 50);
    }
    if (any) {
        fail_msg("seed %llu: a client is never told", (unsigned long long)world->seed);
    }
}
