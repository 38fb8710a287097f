/* The router over ports that answer what a test tells them to. */
#include "shards/shards.h"

#include "base/list.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SHARDS 2

struct t_port {
    struct port_ledger port;
    struct t_world *world;
    err_t error;                      /* what it answers */
    uint64_t epoch;                   /* of its own map: another one is ERR_MOVED; 0: any will do */
    uint64_t told_epoch;              /* with an ERR_MOVED of `error` */
    u128 owns;                        /* a transfer of another account is ERR_MOVED; 0: any */
    uint32_t asked;                   /* requests */
    uint32_t events;                  /* that it has done */
    bool holds;                       /* what is asked waits to be submitted again */
    struct port_ledger_request *held; /* the last that waits */
};

struct t_world {
    struct os_executor executor;
    struct t_port ports[SHARDS + 1]; /* one of them a map adds */
    struct shards_router *router;
    struct shard_map *newer; /* what a reload finds; NULL: nothing */
    uint32_t reloads;
    uint32_t disagreements;
    uint64_t disagreed_epoch;
    uint32_t answers;
};

static struct shard_map map;
static struct shard_map newer;
static struct t_world world;
/* An account of each shard. */
static u128 of_a, of_b;

static void
port_answer(struct os_task *task)
{
    struct port_ledger_request *request = CONTAINER_OF(task, struct port_ledger_request, task);
    request->done(request);
}

static void
port_submit(struct port_ledger *port, struct port_ledger_request *request)
{
    struct t_port *self = CONTAINER_OF(port, struct t_port, port);
    self->asked++;
    if (self->holds) {
        self->held = request;
        return;
    }
    request->error = self->error;
    request->epoch = self->told_epoch != 0 ? self->told_epoch : request->epoch;
    if (self->epoch != 0 && request->epoch != self->epoch) {
        request->error = ERR_MOVED;
        request->epoch = self->epoch;
    }
    for (uint32_t i = 0; self->owns != 0 && i < request->count; i++) {
        bool own = request->in.transfers[i].debit_account_id == self->owns;
        request->error = own ? request->error : ERR_MOVED;
    }
    for (uint32_t i = 0; request->error == ERR_OK && i < request->count; i++) {
        request->out.results[i] = (struct ledger_result){.status = LEDGER_ACCOUNT_created};
        request->out.results[i].timestamp = (uint64_t)request->in.accounts[i].id;
        self->events++;
    }
    request->task.run = port_answer;
    os_post(request->reply_to, &request->task);
}

static void
reload(void *context, uint64_t epoch)
{
    struct t_world *t = context;
    struct port_ledger *ports[SHARDS + 1];
    (void)epoch;
    for (uint32_t i = 0; i < SHARDS + 1; i++) {
        ports[i] = &t->ports[i].port;
    }
    t->reloads++;
    shards_router_reloaded(t->router, t->newer, ports);
}

static void
disagree(void *context, uint64_t epoch)
{
    struct t_world *t = context;
    t->disagreements++;
    t->disagreed_epoch = epoch;
}

static void
t_open(void)
{
    struct port_ledger *ports[SHARDS];
    uint32_t shard;
    memset(&world, 0, sizeof(world));
    world.executor.post = os_post_now;
    shard_map_init(&map);
    assert_int_equal(shard_map_add(&map, SPAN("a"), SPAN("x"), &shard), ERR_OK);
    assert_int_equal(shard_map_add(&map, SPAN("b"), SPAN("y"), &shard), ERR_OK);
    shard_map_share(&map);
    map.epoch = 5;
    memcpy(&newer, &map, sizeof(map));
    newer.epoch = 6;
    for (uint32_t i = 0; i < SHARDS + 1; i++) {
        world.ports[i].port.submit = port_submit;
    }
    for (uint32_t i = 0; i < SHARDS; i++) {
        ports[i] = &world.ports[i].port;
    }
    struct shards_router_parts parts = {
        .executor = &world.executor,
        .map = &map,
        .ports = ports,
        .requests_max = 4,
        .memory_max = 4096,
        .reload = reload,
        .disagree = disagree,
        .context = &world,
    };
    assert_int_equal(shards_router_create(&parts, &world.router), ERR_OK);
    of_a = shard_id_place((u128)1 << 20, 0);
    of_b = shard_id_place((u128)1 << 20, SHARD_SLOTS - 1);
}

static void
t_close(void)
{
    struct shards_router_counters counters;
    shards_router_count(world.router, &counters);
    assert_int_equal(counters.under_way, 0);
    assert_int_equal(counters.memory, 0);
    shards_router_destroy(&world.router);
    assert_null(world.router);
}

static void
count_answer(struct port_ledger_request *request)
{
    (void)request;
    world.answers++;
}

/* One account of each shard, and what comes of it. */
static err_t
t_create(struct ledger_result results[4])
{
    static struct ledger_account accounts[4];
    accounts[0].id = of_b;
    accounts[1].id = of_a;
    accounts[2].id = of_b;
    accounts[3].id = of_a;
    struct port_ledger_request request = {
        .operation = PORT_LEDGER_CREATE_ACCOUNTS,
        .count = 4,
        .reply_to = &world.executor,
        .done = count_answer,
        .error = -1,
    };
    request.in.accounts = accounts;
    request.out.results = results;
    uint32_t before = world.answers;
    shards_router_port(world.router)->submit(shards_router_port(world.router), &request);
    assert_int_equal(world.answers, before + 1);
    return request.error;
}

/* SHARDS-1 */
static void
test_order(void **state)
{
    (void)state;
    struct ledger_result results[4];
    t_open();
    assert_int_equal(t_create(results), ERR_OK);
    assert_int_equal(results[0].timestamp, (uint64_t)of_b);
    assert_int_equal(results[1].timestamp, (uint64_t)of_a);
    assert_int_equal(results[2].timestamp, (uint64_t)of_b);
    assert_int_equal(world.ports[0].asked, 1);
    assert_int_equal(world.ports[1].events, 2);
    t_close();
}

/* SHARDS-3: nothing was done only if no shard did anything. */
static void
test_errors(void **state)
{
    (void)state;
    struct ledger_result results[4];
    t_open();
    world.ports[0].error = ERR_BUSY;
    assert_int_equal(t_create(results), ERR_OUTCOME_UNKNOWN);
    world.ports[1].error = ERR_FULL;
    err_t error = t_create(results);
    assert_true(error == ERR_BUSY || error == ERR_FULL);
    world.ports[1].error = ERR_OUTCOME_UNKNOWN;
    assert_int_equal(t_create(results), ERR_OUTCOME_UNKNOWN);
    t_close();
}

/* SHARDS-4: one shard has a newer map: it is read, and only what was moved goes out again. */
static void
test_moved(void **state)
{
    (void)state;
    struct ledger_result results[4];
    t_open();
    world.ports[0].epoch = 6;
    world.newer = &newer;
    assert_int_equal(t_create(results), ERR_OK);
    assert_int_equal(world.reloads, 1);
    assert_int_equal(world.ports[0].events, 2);
    assert_int_equal(world.ports[1].events, 2);
    assert_int_equal(world.ports[1].asked, 1);
    assert_int_equal(results[3].timestamp, (uint64_t)of_a);
    struct shards_router_counters counters;
    shards_router_count(world.router, &counters);
    assert_int_equal(counters.epoch, 6);
    assert_int_equal(counters.moved, 1);
    t_close();
}

/* The answer by the old map comes when the router has the newer one already: another request had
 * heard of it. */
static void
test_moved_behind_a_reload(void **state)
{
    (void)state;
    struct ledger_result results[2];
    struct port_ledger_request requests[2];
    t_open();
    const struct ledger_account accounts[2] = {{.id = of_a}, {.id = of_b}};
    world.newer = &newer;
    world.ports[0].holds = true;
    world.ports[0].epoch = world.ports[1].epoch = 6;
    for (int i = 0; i < 2; i++) {
        requests[i] = (struct port_ledger_request){
            .operation = PORT_LEDGER_CREATE_ACCOUNTS,
            .count = 1,
            .reply_to = &world.executor,
            .done = count_answer,
        };
        requests[i].in.accounts = &accounts[i];
        requests[i].out.results = &results[i];
        struct port_ledger *port = shards_router_port(world.router);
        port->submit(port, &requests[i]);
    }
    assert_int_equal(world.reloads, 1);
    assert_int_equal(requests[1].error, ERR_OK);
    world.ports[0].holds = false;
    port_submit(&world.ports[0].port, world.ports[0].held);
    assert_int_equal(world.answers, 2);
    assert_int_equal(requests[0].error, ERR_OK);
    assert_int_equal(world.reloads, 1);
    t_close();
}

/* Events that their requester has placed go there without a look; if it was wrong, each is looked
 * up, without a newer map. */
static void
test_placed(void **state)
{
    (void)state;
    struct ledger_result results[2];
    t_open();
    for (uint32_t wrong = 0; wrong < 2; wrong++) {
        u128 other = wrong == 0 ? of_a : of_b;
        const struct ledger_transfer transfers[2] = {
            {.id = 1, .debit_account_id = of_a, .credit_account_id = of_a},
            {.id = 2, .debit_account_id = other, .credit_account_id = other},
        };
        struct port_ledger_request request = {
            .operation = PORT_LEDGER_CREATE_TRANSFERS,
            .count = 2,
            .near = of_a,
            .reply_to = &world.executor,
            .done = count_answer,
        };
        request.in.transfers = transfers;
        request.out.results = results;
        world.ports[0].owns = of_a;
        world.ports[1].owns = of_b;
        shards_router_port(world.router)->submit(shards_router_port(world.router), &request);
        assert_int_equal(request.error, ERR_OK);
        assert_int_equal(request.out_count, 2);
        assert_int_equal(results[0].timestamp, 1);
        assert_int_equal(results[1].timestamp, 2);
        assert_int_equal(world.ports[0].asked, wrong == 0 ? 1 : 3);
        assert_int_equal(world.ports[1].events, wrong);
        assert_int_equal(world.reloads, 0);
    }
    t_close();
}

/* A shard of the same epoch, or of an older one, has not what our map gives it. */
static void
test_maps_that_differ(void **state)
{
    (void)state;
    struct ledger_result results[4];
    t_open();
    for (uint64_t epoch = 4; epoch <= 5; epoch++) {
        world.ports[0].error = ERR_MOVED;
        world.ports[1].error = ERR_MOVED;
        world.ports[0].told_epoch = world.ports[1].told_epoch = epoch;
        assert_int_equal(t_create(results), ERR_MOVED);
        assert_int_equal(world.disagreements, epoch - 3);
        assert_int_equal(world.disagreed_epoch, epoch);
    }
    assert_int_equal(world.reloads, 0);
    t_close();
}

/* There is no newer map to read, or the shard's is older than ours: told, and nothing was done. */
static void
test_moved_for_good(void **state)
{
    (void)state;
    struct ledger_result results[4];
    t_open();
    world.ports[0].epoch = world.ports[1].epoch = 6;
    assert_int_equal(t_create(results), ERR_MOVED);
    assert_int_equal(world.reloads, 1);
    world.ports[0].epoch = world.ports[1].epoch = 4;
    assert_int_equal(t_create(results), ERR_MOVED);
    assert_int_equal(world.reloads, 1);
    world.ports[0].epoch = 0;
    assert_int_equal(t_create(results), ERR_OUTCOME_UNKNOWN);
    t_close();
}

/* A shard whose map is always one ahead: a stated number of tries. */
static void
test_tries(void **state)
{
    (void)state;
    struct ledger_result results[4];
    t_open();
    world.newer = &newer;
    world.ports[0].epoch = world.ports[1].epoch = UINT64_MAX;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(t_create(results), ERR_MOVED);
        newer.epoch++;
    }
    assert_true(world.reloads <= 3 * (SHARDS_TRIES_MAX - 1));
    t_close();
}

/* A map of other shards is not taken. */
static void
test_other_shards(void **state)
{
    (void)state;
    struct ledger_result results[4];
    t_open();
    newer.shards[1].at[0] = 'z';
    world.newer = &newer;
    world.ports[0].epoch = world.ports[1].epoch = 6;
    assert_int_equal(t_create(results), ERR_MOVED);
    t_close();
}

static void
test_memory(void **state)
{
    (void)state;
    static struct ledger_account accounts[64];
    static struct ledger_result results[64];
    t_open();
    for (int i = 0; i < 64; i++) {
        accounts[i].id = i % 2 == 0 ? of_a : of_b;
    }
    struct port_ledger_request request = {
        .operation = PORT_LEDGER_CREATE_ACCOUNTS,
        .count = 64,
        .reply_to = &world.executor,
        .done = count_answer,
    };
    request.in.accounts = accounts;
    request.out.results = results;
    shards_router_port(world.router)->submit(shards_router_port(world.router), &request);
    assert_int_equal(request.error, ERR_BUSY);
    assert_int_equal(world.ports[0].asked + world.ports[1].asked, 0);
    t_close();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_moved),
        cmocka_unit_test(test_moved_behind_a_reload),
        cmocka_unit_test(test_placed),
        cmocka_unit_test(test_maps_that_differ),
        cmocka_unit_test(test_moved_for_good),
        cmocka_unit_test(test_tries),
        cmocka_unit_test(test_other_shards),
        cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
