/*
 * The engine on simulated loops, clock and disk, spoken to through its port.
 *
 * TAEL_ENGINE_ROUNDS  how many seeds of the failing disk
 */
#include "engine/ledger_engine.h"

#include "os/sim.h"
#include "os/sim_disk.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define STEPS_MAX    100000
#define BATCH        8
#define REQUESTS_MAX 400

struct t_request {
    struct port_ledger_request request;
    struct ledger_account accounts[BATCH];
    struct ledger_transfer transfers[BATCH];
    struct ledger_result results[BATCH];
    struct port_ledger_pair pairs[BATCH];
    struct ledger_account found_accounts[BATCH];
    struct ledger_transfer found_transfers[BATCH];
    u128 ids[BATCH];
    uint32_t answers;
};

struct t_engine {
    struct os_sim *sim;
    struct os_sim_disk *disk;
    struct ledger_engine_settings settings;
    struct ledger_engine *engine;
    struct os_executor executor;
    struct store_error error;
    uint32_t alarms;
    uint32_t request_count;
    struct t_request requests[REQUESTS_MAX];
};

static void
note_alarm(void *context, const char *text)
{
    (void)text;
    ((struct t_engine *)context)->alarms++;
}

static void
note_answer(struct port_ledger_request *request)
{
    ((struct t_request *)(void *)request)->answers++;
}

static struct t_engine *
t_create(uint64_t seed)
{
    struct t_engine *t = calloc(1, sizeof(*t));
    assert_non_null(t);
    assert_int_equal(os_sim_create(seed, &t->sim), ERR_OK);
    struct os_sim_disk_settings disk = {.seed = seed, .faults = true};
    assert_int_equal(os_sim_disk_create(&disk, &t->disk), ERR_OK);
    t->executor.post = os_post_now;
    t->settings = ledger_engine_settings_default();
    t->settings.url = "journal:data";
    t->settings.disk = os_sim_disk_ops(t->disk);
    t->settings.clock = os_sim_clock(t->sim);
    t->settings.loops = os_sim_loops(t->sim);
    t->settings.store.loops = os_sim_loops(t->sim);
    t->settings.store.segment_size = 1 << 20;
    t->settings.store.orders = (1u << STORE_ORDER_COUNT) - 1;
    t->settings.limits.account_count_max = 100;
    t->settings.limits.pending_count_max = 200;
    t->settings.alarm = note_alarm;
    t->settings.alarm_context = t;
    return t;
}

static void
t_open(struct t_engine *t)
{
    err_t code = ledger_engine_open(&t->settings, &t->engine, &t->error);
    if (code != ERR_OK) {
        fail_msg("%s", t->error.message);
    }
}

static void
t_destroy(struct t_engine *t)
{
    ledger_engine_close(&t->engine);
    os_sim_disk_destroy(&t->disk);
    os_sim_destroy(&t->sim);
    free(t);
}

static struct t_request *
t_request(struct t_engine *t, enum port_ledger_operation operation, uint32_t count)
{
    assert_true(t->request_count < REQUESTS_MAX);
    struct t_request *request = &t->requests[t->request_count++];
    memset(request, 0, sizeof(*request));
    request->request.reply_to = &t->executor;
    request->request.done = note_answer;
    request->request.operation = operation;
    request->request.count = count;
    return request;
}

static void
t_submit(struct t_engine *t, struct t_request *request)
{
    struct port_ledger *port = ledger_engine_port(t->engine);
    port->submit(port, &request->request);
}

static void
t_settle(struct t_engine *t)
{
    assert_true(os_sim_run_until_idle(t->sim, STEPS_MAX));
}

/* Accounts first ... first + count - 1 on ledger 1. */
static struct t_request *
t_accounts(struct t_engine *t, uint32_t first, uint32_t count)
{
    struct t_request *request = t_request(t, PORT_LEDGER_CREATE_ACCOUNTS, count);
    for (uint32_t i = 0; i < count; i++) {
        request->accounts[i] = (struct ledger_account){.id = first + i, .ledger = 1, .code = 1};
    }
    request->request.in.accounts = request->accounts;
    request->request.out.results = request->results;
    t_submit(t, request);
    return request;
}

/* Transfers of 1 from account 1 to account 2. */
static struct t_request *
t_transfers(struct t_engine *t, u128 first, uint32_t count, uint32_t timeout)
{
    struct t_request *request = t_request(t, PORT_LEDGER_CREATE_TRANSFERS, count);
    for (uint32_t i = 0; i < count; i++) {
        request->transfers[i] = (struct ledger_transfer){
            .id = first + i,
            .debit_account_id = 1,
            .credit_account_id = 2,
            .amount = 1,
            .ledger = 1,
            .code = 1,
            .timeout = timeout,
            .flags = timeout > 0 ? LEDGER_TRANSFER_PENDING : 0,
        };
    }
    request->request.in.transfers = request->transfers;
    request->request.out.results = request->results;
    request->request.pairs = request->pairs;
    t_submit(t, request);
    return request;
}

static struct t_request *
t_look_up(struct t_engine *t, u128 account)
{
    struct t_request *request = t_request(t, PORT_LEDGER_LOOKUP_ACCOUNTS, 1);
    request->ids[0] = account;
    request->request.in.ids = request->ids;
    request->request.out.accounts = request->found_accounts;
    t_submit(t, request);
    return request;
}

/* MACHINE-2. */
static void
answers_in_order(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct t_engine *t = t_create(seed);
        t_open(t);
        t_accounts(t, 1, 2);
        struct t_request *looks[30];
        struct t_request *transfers[30];
        for (uint32_t i = 0; i < 30; i++) {
            transfers[i] = t_transfers(t, 100 * (i + 1), BATCH, 0);
            looks[i] = t_look_up(t, 1);
            if (i % 7 == 0) {
                os_sim_step(t->sim);
            }
        }
        t_settle(t);
        for (uint32_t i = 0; i < t->request_count; i++) {
            assert_int_equal(t->requests[i].answers, 1);
            assert_int_equal(t->requests[i].request.error, ERR_OK);
        }
        for (uint32_t i = 0; i < 30; i++) {
            assert_int_equal(looks[i]->request.out_count, 1);
            assert_true(looks[i]->found_accounts[0].debits_posted == (i + 1) * BATCH);
            for (uint32_t j = 0; j < BATCH; j++) {
                assert_int_equal(transfers[i]->results[j].status, LEDGER_TRANSFER_created);
                assert_true(transfers[i]->pairs[j].debit.debits_posted == i * BATCH + j + 1);
                assert_true(transfers[i]->pairs[j].credit.credits_posted == i * BATCH + j + 1);
            }
        }
        struct ledger_engine_status status;
        ledger_engine_status(t->engine, &status);
        assert_int_equal(status.batches, 31);
        assert_int_equal(status.reads, 30);
        assert_int_equal(status.requests_under_way, 0);
        assert_int_equal(status.accounts, 2);
        assert_true(status.groups >= 1 && status.groups <= 31);
        t_destroy(t);
    }
}

/* ENGINE-1: nothing is answered while the disk has not synced. */
static void
answers_when_durable(void **state)
{
    (void)state;
    struct t_engine *t = t_create(5);
    t_open(t);
    t_accounts(t, 1, 2);
    t_settle(t);
    uint64_t before = os_sim_disk_operations(t->disk);
    struct t_request *transfers = t_transfers(t, 100, 1, 0);
    struct t_request *look = t_look_up(t, 1);
    while (transfers->answers == 0) {
        assert_int_equal(look->answers, 0);
        assert_true(os_sim_step(t->sim));
    }
    assert_true(os_sim_disk_operations(t->disk) >= before + 2);
    assert_int_equal(os_sim_disk_unsynced(t->disk), 0);
    t_settle(t);
    assert_int_equal(look->answers, 1);
    assert_true(look->found_accounts[0].debits_posted == 1);
    t_destroy(t);
}

static void
expires_by_itself(void **state)
{
    (void)state;
    struct t_engine *t = t_create(6);
    t_open(t);
    t_accounts(t, 1, 2);
    t_transfers(t, 100, BATCH, 3);
    t_settle(t);
    struct t_request *held = t_look_up(t, 1);
    t_settle(t);
    assert_true(held->found_accounts[0].debits_pending == BATCH);
    assert_true(os_sim_run_for(t->sim, 4 * OS_NS_PER_S, STEPS_MAX));
    struct ledger_engine_status status;
    ledger_engine_status(t->engine, &status);
    assert_int_equal(status.pendings, 0);
    struct t_request *free_again = t_look_up(t, 1);
    t_settle(t);
    assert_true(free_again->found_accounts[0].debits_pending == 0);
    t_destroy(t);
}

static void
refuses_what_is_too_much(void **state)
{
    (void)state;
    struct t_engine *t = t_create(7);
    t->settings.request_count_max = 4;
    t_open(t);
    for (uint32_t i = 0; i < 6; i++) {
        t_look_up(t, 1);
    }
    assert_int_equal(t->requests[4].request.error, ERR_BUSY);
    assert_int_equal(t->requests[5].answers, 1);
    assert_int_equal(t->requests[0].answers, 0);
    t_settle(t);
    assert_int_equal(t->requests[3].answers, 1);
    assert_int_equal(t->requests[3].request.error, ERR_OK);
    for (uint32_t i = 0; i < 13; i++) {
        struct t_request *accounts = t_accounts(t, 1 + i * BATCH, BATCH);
        t_settle(t);
        assert_int_equal(accounts->request.error, i < 12 ? ERR_OK : ERR_FULL);
    }
    t_destroy(t);
}

/* How many of a request's transfers the ledger has: all or none. */
static uint32_t
count_there(struct t_engine *t, const struct t_request *made)
{
    struct t_request *request = t_request(t, PORT_LEDGER_LOOKUP_TRANSFERS, BATCH);
    for (uint32_t i = 0; i < BATCH; i++) {
        request->ids[i] = made->transfers[i].id;
    }
    request->request.in.ids = request->ids;
    request->request.out.transfers = request->found_transfers;
    t_submit(t, request);
    t_settle(t);
    assert_int_equal(request->request.error, ERR_OK);
    return request->request.out_count;
}

/* A failing disk, on the fly: everything is answered once; what was told done is there after a
 * reload and after a power failure, what was told unknown is there whole or not at all. */
static void
survives_a_failing_disk(void **state)
{
    (void)state;
    const char *rounds_text = getenv("TAEL_ENGINE_ROUNDS");
    uint64_t rounds = rounds_text == NULL ? 60 : strtoull(rounds_text, NULL, 10);
    uint64_t unknown = 0;
    for (uint64_t seed = 1; seed <= rounds; seed++) {
        struct t_engine *t = t_create(seed);
        t_open(t);
        t_accounts(t, 1, 2);
        t_settle(t);
        os_sim_disk_add_rule(
            t->disk,
            &(struct os_sim_rule){
                .operation = seed % 2 == 0 ? OS_SIM_SYNC : OS_SIM_WRITE,
                .effect = OS_SIM_FAIL,
                .skip = seed % 11,
                .times = 1,
                .code = ERR_IO,
            });
        struct t_request *made[60];
        for (uint32_t i = 0; i < 60; i++) {
            made[i] = t_transfers(t, 1000 + 100 * i, BATCH, 0);
            for (uint64_t steps = seed % 5; steps > 0; steps--) {
                os_sim_step(t->sim);
            }
        }
        t_settle(t);
        struct ledger_engine_status status;
        ledger_engine_status(t->engine, &status);
        assert_int_equal(status.health, LEDGER_ENGINE_RUNNING);
        for (int pass = 0; pass < 2; pass++) {
            for (uint32_t i = 0; i < 60; i++) {
                assert_int_equal(made[i]->answers, 1);
                uint32_t there = count_there(t, made[i]);
                err_t error = made[i]->request.error;
                if (error == ERR_OK) {
                    assert_int_equal(there, BATCH);
                } else if (error == ERR_BUSY) {
                    assert_int_equal(there, 0);
                } else {
                    assert_int_equal(error, ERR_OUTCOME_UNKNOWN);
                    assert_true(there == 0 || there == BATCH);
                    unknown++;
                }
            }
            t->request_count = 61;
            if (pass == 0) {
                ledger_engine_close(&t->engine);
                os_sim_disk_clear_rules(t->disk);
                os_sim_disk_crash(t->disk);
                t_open(t);
            }
        }
        t_destroy(t);
    }
    assert_true(unknown > 0);
}

/* Power fails at some operation of the disk while batches are queued, executed, in frames and in
 * flight at once. */
static void
survives_power_failures(void **state)
{
    (void)state;
    uint64_t acknowledged = 0;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        struct t_engine *t = t_create(seed);
        t->settings.store.segment_size = 128 * 1024;
        t_open(t);
        t_accounts(t, 1, 2);
        t_settle(t);
        os_sim_disk_stop_at(t->disk, os_sim_disk_operations(t->disk) + 1 + seed % 23);
        struct t_request *made[60];
        for (uint32_t i = 0; i < 60; i++) {
            made[i] = t_transfers(t, 1000 + 100 * i, BATCH, 0);
            for (uint64_t steps = seed % 5; steps > 0; steps--) {
                os_sim_step(t->sim);
            }
        }
        t_settle(t);
        ledger_engine_close(&t->engine);
        os_sim_disk_crash(t->disk);
        t_open(t);
        for (uint32_t i = 0; i < 60; i++) {
            assert_int_equal(made[i]->answers, 1);
            uint32_t there = count_there(t, made[i]);
            assert_true(there == 0 || there == BATCH);
            if (made[i]->request.error == ERR_OK) {
                assert_int_equal(there, BATCH);
                acknowledged++;
            }
            if (made[i]->request.error == ERR_BUSY) {
                assert_int_equal(there, 0);
            }
        }
        t_destroy(t);
    }
    assert_true(acknowledged > 0);
}

/* The disk dies for good: everything is answered, and the status says so. */
static void
says_that_it_failed(void **state)
{
    (void)state;
    struct t_engine *t = t_create(9);
    t_open(t);
    t_accounts(t, 1, 2);
    t_settle(t);
    os_sim_disk_stop_at(t->disk, os_sim_disk_operations(t->disk) + 1);
    struct t_request *first = t_transfers(t, 100, 1, 0);
    t_settle(t);
    struct t_request *second = t_transfers(t, 200, 1, 0);
    t_settle(t);
    assert_int_equal(first->request.error, ERR_OUTCOME_UNKNOWN);
    assert_int_equal(second->request.error, ERR_BUSY);
    struct ledger_engine_status status;
    ledger_engine_status(t->engine, &status);
    assert_int_equal(status.health, LEDGER_ENGINE_FAILED);
    assert_true(t->alarms >= 2);
    t_destroy(t);
}

/* Closing with requests under way answers each of them. */
static void
answers_when_closed(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 30; seed++) {
        struct t_engine *t = t_create(seed);
        t_open(t);
        t_accounts(t, 1, 2);
        for (uint32_t i = 0; i < 20; i++) {
            t_transfers(t, 100 * (i + 1), BATCH, 0);
            if (i % 3 == seed % 3) {
                os_sim_step(t->sim);
            }
        }
        ledger_engine_close(&t->engine);
        for (uint32_t i = 0; i < t->request_count; i++) {
            err_t error = t->requests[i].request.error;
            assert_int_equal(t->requests[i].answers, 1);
            assert_true(error == ERR_OK || error == ERR_OUTCOME_UNKNOWN || error == ERR_BUSY);
        }
        t_destroy(t);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_in_order),
        cmocka_unit_test(answers_when_durable),
        cmocka_unit_test(expires_by_itself),
        cmocka_unit_test(refuses_what_is_too_much),
        cmocka_unit_test(survives_a_failing_disk),
        cmocka_unit_test(survives_power_failures),
        cmocka_unit_test(says_that_it_failed),
        cmocka_unit_test(answers_when_closed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
