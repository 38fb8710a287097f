/* Many lives of a wallets process (sim_seeds.h), and its port. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sim_seeds.h"
#include "wallets_sim.h"

#include <string.h>

static struct sim_world *
seed_create(uint64_t seed)
{
    return &wsim_create(seed)->world;
}

static void
seed_run(struct sim_world *world)
{
    wsim_run(wsim_of(world));
}

static void
seed_destroy(struct sim_world *world)
{
    struct wsim *sim = wsim_of(world);
    wsim_destroy(&sim);
}

static const struct sim_seeds seeds = {
    .verb_count = WSIM_VERB_COUNT,
    .create = seed_create,
    .run = seed_run,
    .destroy = seed_destroy,
};

static void
every_seed_holds(void **state)
{
    (void)state;
    sim_seeds_hold(&seeds);
}

static void
a_seed_repeats_itself(void **state)
{
    (void)state;
    sim_seeds_repeat(&seeds);
}

/* Somebody changes a document: the check sees it, and so does the reconciler within two runs. */
static void
damage_is_seen(void **state)
{
    (void)state;
    uint32_t damaged = 0;
    for (uint64_t seed = 1; seed <= 3; seed++) {
        struct wsim *sim = wsim_create(seed);
        wsim_run_to_rest(sim);
        assert_false(sim->world.failed);
        wsim_check(sim);
        assert_false(sim->world.failed);
        if (wsim_damage(sim)) {
            damaged++;
            wsim_check(sim);
            assert_true(sim->world.failed);
            sim_world_pass(&sim->world, 100);
            assert_true(wallets_health(sim->wallets).differences >= 1);
        }
        wsim_destroy(&sim);
    }
    assert_true(damaged > 0);
}

/* ------------------------------------------------------------------------------- the port --- */

static void
port_done(struct port_wallet_request *request)
{
    (void)request;
}

static struct port_wallet_request
ask_port(
    struct wsim *sim,
    enum port_wallet_operation operation,
    const char *wallet,
    enum port_wallet_direction direction,
    int64_t amount)
{
    struct port_wallet_request request = {
        .reply_to = &sim->world.immediate,
        .done = port_done,
        .operation = operation,
        .movement =
            {
                .scope = sim->merchant.scope,
                .direction = direction,
                .amount = {.amount = amount, .currency = currency_find(SPAN("usd"))},
            },
        .outcome = (enum port_wallet_outcome)77,
    };
    (void)snprintf(request.movement.wallet, sizeof(request.movement.wallet), "%s", wallet);
    struct port_wallet *port = wallets_port(sim->wallets);
    port->submit(port, &request);
    assert_true(os_sim_run_until_idle(sim->world.machine, SIM_STEPS_MAX));
    return request;
}

static void
expect_refusal(const struct port_wallet_request *request, const char *code)
{
    assert_int_equal(request->error, ERR_OK);
    assert_int_equal(request->outcome, PORT_WALLET_REFUSED);
    assert_string_equal(request->code, code);
    assert_true(request->message[0] != '\0');
}

static struct wsim *
quiet_sim(const char *limits)
{
    struct wsim *sim = wsim_create(1);
    sim->settings.limits = limits;
    wsim_start(sim);
    wsim_clients_prepare(sim);
    return sim;
}

static void
the_port_looks_up(void **state)
{
    (void)state;
    struct wsim *sim = quiet_sim("basic.out=100/150/200 basic.in=1000/1000/1000");
    struct port_wallet_request found =
        ask_port(sim, PORT_WALLET_LOOKUP, sim->wallet_ids[0], PORT_WALLET_OUT, 0);
    assert_int_equal(found.error, ERR_OK);
    assert_int_equal(found.outcome, PORT_WALLET_OK);
    assert_ptr_equal(found.currency, currency_find(SPAN("usd")));
    assert_true(strncmp(found.customer, "cus_", 4) == 0);
    found = ask_port(sim, PORT_WALLET_LOOKUP, "wal_0000000000000000000000", PORT_WALLET_OUT, 0);
    assert_int_equal(found.outcome, PORT_WALLET_NOT_FOUND);
    /* Of another merchant, or in another mode. */
    sim->merchant.scope++;
    found = ask_port(sim, PORT_WALLET_LOOKUP, sim->wallet_ids[0], PORT_WALLET_OUT, 0);
    assert_int_equal(found.outcome, PORT_WALLET_NOT_FOUND);
    wsim_destroy(&sim);
}

static void
the_port_reserves(void **state)
{
    (void)state;
    struct wsim *sim = quiet_sim("basic.out=100/150/200 basic.in=1000/1000/1000");
    const char *wallet = sim->wallet_ids[0];
    struct port_wallet *port = wallets_port(sim->wallets);
    struct port_wallet_request first =
        ask_port(sim, PORT_WALLET_RESERVE, wallet, PORT_WALLET_OUT, 10000);
    assert_int_equal(first.error, ERR_OK);
    assert_int_equal(first.outcome, PORT_WALLET_OK);
    assert_true(first.movement.reserved_at > 0);
    struct port_wallet_request next =
        ask_port(sim, PORT_WALLET_RESERVE, wallet, PORT_WALLET_OUT, 10001);
    expect_refusal(&next, "wallet_limit_transaction");
    next = ask_port(sim, PORT_WALLET_RESERVE, wallet, PORT_WALLET_OUT, 5001);
    expect_refusal(&next, "wallet_limit_day");
    assert_non_null(strstr(next.message, "50.00 USD"));
    /* What did not move is free again; in and out are counted apart. */
    port->release(port, &first.movement);
    next = ask_port(sim, PORT_WALLET_RESERVE, wallet, PORT_WALLET_OUT, 5001);
    assert_int_equal(next.outcome, PORT_WALLET_OK);
    next = ask_port(sim, PORT_WALLET_RESERVE, wallet, PORT_WALLET_IN, 70000);
    assert_int_equal(next.outcome, PORT_WALLET_OK);
    next = ask_port(sim, PORT_WALLET_RESERVE, wallet, PORT_WALLET_IN, 20000);
    expect_refusal(&next, "wallet_limit_day"); /* it was funded by 200.00 */
    wsim_destroy(&sim);
}

/* What an operation asks for that reserves by itself, and whether it then goes on. */
struct within {
    struct wsim *sim;
    struct port_wallet_request request;
    bool goes_on;
};

static void
within_durable(struct resource_op *op)
{
    resource_finish(op);
}

static void
within_run(struct resource_op *op)
{
    struct within *within = resource_op_state(op);
    struct port_wallet *port = wallets_port(within->sim->wallets);
    port->reserve(port, op, &within->request);
    if (within->goes_on) {
        resource_after_commit(op, within_durable);
    } else {
        resource_internal(op, ERR_FULL, "a test");
    }
}

static struct port_wallet_request
reserve_within(struct wsim *sim, int64_t amount, bool goes_on)
{
    struct within within = {
        .sim = sim,
        .request =
            {
                .operation = PORT_WALLET_RESERVE,
                .movement =
                    {
                        .scope = sim->merchant.scope,
                        .direction = PORT_WALLET_OUT,
                        .amount = {.amount = amount, .currency = currency_find(SPAN("usd"))},
                    },
                .outcome = (enum port_wallet_outcome)77,
            },
        .goes_on = goes_on,
    };
    (void)snprintf(
        within.request.movement.wallet,
        sizeof(within.request.movement.wallet),
        "%s",
        sim->wallet_ids[0]);
    err_t error = resource_start_internal(
        sim->world.process.runtime, sim->merchant.scope, NULL, within_run, &within);
    assert_int_equal(error, ERR_OK);
    assert_true(os_sim_run_until_idle(sim->world.machine, SIM_STEPS_MAX));
    return within.request;
}

/* A reservation in the caller's own operation counts if what else that wrote does, and only then.
 */
static void
the_port_reserves_within_an_operation(void **state)
{
    (void)state;
    struct wsim *sim = quiet_sim("basic.out=100/150/200 basic.in=1000/1000/1000");
    struct port_wallet_request request = reserve_within(sim, 10001, true);
    expect_refusal(&request, "wallet_limit_transaction");
    request = reserve_within(sim, 10000, false);
    assert_int_equal(request.error, ERR_OK);
    assert_int_equal(request.outcome, PORT_WALLET_OK);
    /* That one is gone with its operation. */
    struct port_wallet_request granted = reserve_within(sim, 10000, true);
    assert_int_equal(granted.outcome, PORT_WALLET_OK);
    assert_true(granted.movement.reserved_at > 0);
    request = reserve_within(sim, 5001, true);
    expect_refusal(&request, "wallet_limit_day");
    /* Given back, and counted, by either way. */
    struct port_wallet *port = wallets_port(sim->wallets);
    port->release(port, &granted.movement);
    request = ask_port(sim, PORT_WALLET_RESERVE, sim->wallet_ids[0], PORT_WALLET_OUT, 10000);
    assert_int_equal(request.outcome, PORT_WALLET_OK);
    request = reserve_within(sim, 5000, true);
    assert_int_equal(request.outcome, PORT_WALLET_OK);
    wsim_destroy(&sim);
}

static void
the_port_knows_the_status(void **state)
{
    (void)state;
    struct wsim *sim = quiet_sim("basic.out=9000/9000/9000 basic.in=9000/9000/9000");
    const char *wallet = sim->wallet_ids[WSIM_WALLETS - 1];
    (void)wsim_ask(sim, "POST", "/v1/wallets/:id/freeze", wallet, "");
    struct port_wallet_request request =
        ask_port(sim, PORT_WALLET_RESERVE, wallet, PORT_WALLET_IN, 100);
    expect_refusal(&request, "wallet_frozen");
    (void)wsim_ask(sim, "POST", "/v1/wallets/:id/close", wallet, "");
    request = ask_port(sim, PORT_WALLET_RESERVE, wallet, PORT_WALLET_IN, 100);
    expect_refusal(&request, "wallet_closed");
    request.movement.amount.currency = currency_find(SPAN("eur"));
    struct port_wallet *port = wallets_port(sim->wallets);
    (void)snprintf(request.movement.wallet, ID_TEXT_SIZE, "%s", sim->wallet_ids[0]);
    port->submit(port, &request);
    assert_true(os_sim_run_until_idle(sim->world.machine, SIM_STEPS_MAX));
    expect_refusal(&request, "wallet_currency_mismatch");
    wsim_destroy(&sim);
}

/* A commit that fails: the caller hears of it, and nothing was counted. */
static void
the_port_tells_of_failures(void **state)
{
    (void)state;
    struct wsim *sim = quiet_sim("basic.out=100/150/200 basic.in=1000/1000/1000");
    sim->world.process.documents.fate = SIM_COMMIT_FAILS;
    struct port_wallet_request request =
        ask_port(sim, PORT_WALLET_RESERVE, sim->wallet_ids[0], PORT_WALLET_OUT, 10000);
    assert_int_not_equal(request.error, ERR_OK);
    for (int i = 0; i < 3; i++) {
        request = ask_port(sim, PORT_WALLET_RESERVE, sim->wallet_ids[0], PORT_WALLET_OUT, 5000);
        assert_int_equal(request.error, ERR_OK);
        assert_int_equal(request.outcome, PORT_WALLET_OK);
    }
    wsim_destroy(&sim);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_port_looks_up),
        cmocka_unit_test(the_port_reserves),
        cmocka_unit_test(the_port_reserves_within_an_operation),
        cmocka_unit_test(the_port_knows_the_status),
        cmocka_unit_test(the_port_tells_of_failures),
        cmocka_unit_test(every_seed_holds),
        cmocka_unit_test(a_seed_repeats_itself),
        cmocka_unit_test(damage_is_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
