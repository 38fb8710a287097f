/*
 * Many lives of a wallets process, each drawn from a seed (wallets_sim.h).
 *
 * TAEL_SIM_SEEDS    how many seeds (default: a short form, and a long one with TEST_LONG)
 * TAEL_SIM_FIRST    the first of them (default: 1)
 * TAEL_SIM_SEED     one seed only, to replay it
 * TAEL_SIM_VERBOSE  tells what happens
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "wallets_sim.h"

#include <stdlib.h>
#include <string.h>

#define SEEDS_SHORT 60
#define SEEDS_LONG  2000
/* After so many it is no use to go on. */
#define FAILED_MAX 20

static uint64_t
setting(const char *name, uint64_t fallback)
{
    const char *text = getenv(name);
    return text == NULL ? fallback : strtoull(text, NULL, 10);
}

struct counts {
    uint64_t answers, crashes, unanswered;
    uint64_t verbs[WSIM_VERB_COUNT][2];
};

/* False if it failed. */
static bool
run_seed(uint64_t seed, struct counts *counts, uint64_t *ret_history)
{
    struct wsim *sim = wsim_create(seed);
    wsim_run(sim);
    bool failed = sim->failed;
    if (failed) {
        print_error("TAEL_SIM_SEED=%llu: %s\n", (unsigned long long)seed, sim->failure);
    }
    counts->answers += sim->answers;
    counts->crashes += sim->crashes;
    counts->unanswered += sim->unanswered;
    for (uint32_t i = 0; i < WSIM_VERB_COUNT; i++) {
        counts->verbs[i][0] += sim->verbs[i][0];
        counts->verbs[i][1] += sim->verbs[i][1];
    }
    *ret_history = sim->history;
    wsim_destroy(&sim);
    return !failed;
}

static void
every_seed_holds(void **state)
{
    (void)state;
    struct counts counts = {0};
    uint64_t usual = getenv("TEST_LONG") == NULL ? SEEDS_SHORT : SEEDS_LONG;
    uint64_t only = setting("TAEL_SIM_SEED", 0);
    uint64_t first = only != 0 ? only : setting("TAEL_SIM_FIRST", 1);
    uint64_t seeds = only != 0 ? 1 : setting("TAEL_SIM_SEEDS", usual);
    uint64_t failed = 0;
    for (uint64_t i = 0; i < seeds && failed < FAILED_MAX; i++) {
        uint64_t history;
        failed += run_seed(first + i, &counts, &history) ? 0 : 1;
    }
    print_message(
        "%llu seeds: %llu answers, %llu lost, %llu crashes\n",
        (unsigned long long)seeds,
        (unsigned long long)counts.answers,
        (unsigned long long)counts.unanswered,
        (unsigned long long)counts.crashes);
    assert_int_equal(failed, 0);
    for (uint32_t i = 0; i < WSIM_VERB_COUNT && only == 0; i++) {
        print_message(
            "  verb %u: %llu done, %llu refused\n",
            i,
            (unsigned long long)counts.verbs[i][1],
            (unsigned long long)counts.verbs[i][0]);
        assert_true(counts.verbs[i][1] > 0);
    }
}

/* One seed, one history. */
static void
a_seed_repeats_itself(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 3; seed++) {
        struct counts counts = {0};
        uint64_t first;
        uint64_t second;
        assert_true(run_seed(seed, &counts, &first));
        assert_true(run_seed(seed, &counts, &second));
        assert_int_equal(first, second);
    }
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
        assert_false(sim->failed);
        wsim_check(sim);
        assert_false(sim->failed);
        if (wsim_damage(sim)) {
            damaged++;
            wsim_check(sim);
            assert_true(sim->failed);
            wsim_pass(sim, 100);
            assert_true(wallets_health(sim->process.wallets).differences >= 1);
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
        .reply_to = &sim->immediate,
        .done = port_done,
        .operation = operation,
        .movement =
            {
                .scope = sim->scope,
                .direction = direction,
                .amount = {.amount = amount, .currency = currency_find(SPAN("usd"))},
            },
        .outcome = (enum port_wallet_outcome)77,
    };
    (void)snprintf(request.movement.wallet, sizeof(request.movement.wallet), "%s", wallet);
    struct port_wallet *port = wallets_port(sim->process.wallets);
    port->submit(port, &request);
    assert_true(os_sim_run_until_idle(sim->machine, WSIM_STEPS_MAX));
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
    sim->plan.wallets.limits = limits;
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
        ask_port(sim, PORT_WALLET_LOOKUP, sim->wallets[0], PORT_WALLET_OUT, 0);
    assert_int_equal(found.error, ERR_OK);
    assert_int_equal(found.outcome, PORT_WALLET_OK);
    assert_ptr_equal(found.currency, currency_find(SPAN("usd")));
    assert_true(strncmp(found.customer, "cus_", 4) == 0);
    found = ask_port(sim, PORT_WALLET_LOOKUP, "wal_0000000000000000000000", PORT_WALLET_OUT, 0);
    assert_int_equal(found.outcome, PORT_WALLET_NOT_FOUND);
    /* Of another merchant, or in another mode. */
    sim->scope++;
    found = ask_port(sim, PORT_WALLET_LOOKUP, sim->wallets[0], PORT_WALLET_OUT, 0);
    assert_int_equal(found.outcome, PORT_WALLET_NOT_FOUND);
    wsim_destroy(&sim);
}

static void
the_port_reserves(void **state)
{
    (void)state;
    struct wsim *sim = quiet_sim("basic.out=100/150/200 basic.in=1000/1000/1000");
    const char *wallet = sim->wallets[0];
    struct port_wallet *port = wallets_port(sim->process.wallets);
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

static void
the_port_knows_the_status(void **state)
{
    (void)state;
    struct wsim *sim = quiet_sim("basic.out=9000/9000/9000 basic.in=9000/9000/9000");
    const char *wallet = sim->wallets[WSIM_WALLETS - 1];
    (void)wsim_ask(sim, "POST", "/v1/wallets/:id/freeze", wallet, "");
    struct port_wallet_request request =
        ask_port(sim, PORT_WALLET_RESERVE, wallet, PORT_WALLET_IN, 100);
    expect_refusal(&request, "wallet_frozen");
    (void)wsim_ask(sim, "POST", "/v1/wallets/:id/close", wallet, "");
    request = ask_port(sim, PORT_WALLET_RESERVE, wallet, PORT_WALLET_IN, 100);
    expect_refusal(&request, "wallet_closed");
    request.movement.amount.currency = currency_find(SPAN("eur"));
    struct port_wallet *port = wallets_port(sim->process.wallets);
    (void)snprintf(request.movement.wallet, ID_TEXT_SIZE, "%s", sim->wallets[0]);
    port->submit(port, &request);
    assert_true(os_sim_run_until_idle(sim->machine, WSIM_STEPS_MAX));
    expect_refusal(&request, "wallet_currency_mismatch");
    wsim_destroy(&sim);
}

/* A commit that fails: the caller hears of it, and nothing was counted. */
static void
the_port_tells_of_failures(void **state)
{
    (void)state;
    struct wsim *sim = quiet_sim("basic.out=100/150/200 basic.in=1000/1000/1000");
    sim->process.documents.fate = SIM_COMMIT_FAILS;
    struct port_wallet_request request =
        ask_port(sim, PORT_WALLET_RESERVE, sim->wallets[0], PORT_WALLET_OUT, 10000);
    assert_int_not_equal(request.error, ERR_OK);
    for (int i = 0; i < 3; i++) {
        request = ask_port(sim, PORT_WALLET_RESERVE, sim->wallets[0], PORT_WALLET_OUT, 5000);
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
        cmocka_unit_test(the_port_knows_the_status),
        cmocka_unit_test(the_port_tells_of_failures),
        cmocka_unit_test(every_seed_holds),
        cmocka_unit_test(a_seed_repeats_itself),
        cmocka_unit_test(damage_is_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
