/*
 * The engine and the journal on real threads and the real disk: several clients at once, small
 * segments, reads in between; afterwards `ledger check`. Meant to run under the thread sanitizer.
 */
#include "engine/check.h"
#include "engine/ledger_engine.h"

#include "base/list.h"
#include "os/loop_real.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <setjmp.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define CLIENTS     4
#define OUTSTANDING 6
#define REQUESTS    150
#define BATCH       20
#define WAIT_S      120

struct t_client;

struct t_slot {
    struct port_ledger_request request;
    struct t_client *client;
    struct port_ledger_filter filter;
    struct ledger_transfer transfers[BATCH];
    struct ledger_result results[BATCH];
    struct port_ledger_change changes[BATCH];
};

struct t_client {
    struct os_loop *loop;
    struct port_ledger *port;
    struct os_task start;
    struct t_slot slots[OUTSTANDING];
    u128 number;
    uint32_t sent;
    uint32_t answered;
    uint32_t failures;
    atomic_bool done;
};

static void answered(struct port_ledger_request *request);

/* A batch of transfers, or now and then a look at the newest ones. */
static void
send(struct t_client *client, struct t_slot *slot)
{
    memset(&slot->request, 0, sizeof(slot->request));
    slot->request.reply_to = os_loop_executor(client->loop);
    slot->request.done = answered;
    if (client->sent % 5 == 4) {
        slot->filter = (struct port_ledger_filter){.timestamp_min = 1, .limit = BATCH};
        slot->request.operation = PORT_LEDGER_GET_CHANGE_EVENTS;
        slot->request.in.filter = &slot->filter;
        slot->request.out.changes = slot->changes;
    } else {
        for (uint32_t i = 0; i < BATCH; i++) {
            slot->transfers[i] = (struct ledger_transfer){
                .id = client->number << 64 | (client->sent * BATCH + i + 1),
                .debit_account_id = 1 + i % 3,
                .credit_account_id = 4 + i % 3,
                .amount = 1,
                .ledger = 1,
                .code = 1,
            };
        }
        slot->request.operation = PORT_LEDGER_CREATE_TRANSFERS;
        slot->request.count = BATCH;
        slot->request.in.transfers = slot->transfers;
        slot->request.out.results = slot->results;
    }
    client->sent++;
    client->port->submit(client->port, &slot->request);
}

static void
answered(struct port_ledger_request *request)
{
    struct t_slot *slot = CONTAINER_OF(request, struct t_slot, request);
    struct t_client *client = slot->client;
    client->answered++;
    client->failures += request->error != ERR_OK;
    if (request->operation == PORT_LEDGER_CREATE_TRANSFERS) {
        for (uint32_t i = 0; i < BATCH; i++) {
            client->failures += slot->results[i].status != LEDGER_TRANSFER_created;
        }
    }
    if (client->sent < REQUESTS) {
        send(client, slot);
    } else if (client->answered == REQUESTS) {
        atomic_store(&client->done, true);
    }
}

static void
start(struct os_task *task)
{
    struct t_client *client = CONTAINER_OF(task, struct t_client, start);
    for (uint32_t i = 0; i < OUTSTANDING; i++) {
        client->slots[i].client = client;
        send(client, &client->slots[i]);
    }
}

static atomic_bool accounts_made;

static void
note_accounts(struct port_ledger_request *request)
{
    (void)request;
    atomic_store(&accounts_made, true);
}

static void
wait_for(atomic_bool *flag)
{
    for (uint32_t i = 0; !atomic_load(flag); i++) {
        assert_true(i < WAIT_S * 1000);
        nanosleep(&(struct timespec){.tv_nsec = 1000 * 1000}, NULL);
    }
}

static void
make_accounts(struct port_ledger *port, struct os_loop *loop)
{
    struct ledger_account accounts[6];
    struct ledger_result results[6];
    memset(accounts, 0, sizeof(accounts));
    for (uint32_t i = 0; i < 6; i++) {
        accounts[i] = (struct ledger_account){.id = i + 1, .ledger = 1, .code = 1};
    }
    struct port_ledger_request request = {
        .reply_to = os_loop_executor(loop),
        .done = note_accounts,
        .operation = PORT_LEDGER_CREATE_ACCOUNTS,
        .count = 6,
        .in.accounts = accounts,
        .out.results = results,
    };
    atomic_store(&accounts_made, false);
    port->submit(port, &request);
    wait_for(&accounts_made);
    assert_int_equal(request.error, ERR_OK);
}

/* --- many at once: what the journal reads on several threads, and frames that are large --- */

#define CALLS  10u
#define ROUNDS 4u

struct t_call {
    struct port_ledger_request request;
    atomic_bool done;
};

static void
call_answered(struct port_ledger_request *request)
{
    atomic_store(&CONTAINER_OF(request, struct t_call, request)->done, true);
}

static void
call_submit(struct t_call *call, struct port_ledger *port, struct os_loop *loop)
{
    atomic_store(&call->done, false);
    call->request.reply_to = os_loop_executor(loop);
    call->request.done = call_answered;
    port->submit(port, &call->request);
}

/* Asks for the ids at once. What is found is in their order; how many are found. */
static uint32_t
look_up(struct port_ledger *port, struct os_loop *loop, const u128 *ids, uint32_t count)
{
    struct ledger_transfer *found = calloc(count, sizeof(*found));
    assert_non_null(found);
    struct t_call call = {
        .request = {
            .operation = PORT_LEDGER_LOOKUP_TRANSFERS,
            .count = count,
            .in.ids = ids,
            .out.transfers = found,
        }};
    call_submit(&call, port, loop);
    wait_for(&call.done);
    assert_int_equal(call.request.error, ERR_OK);
    uint32_t at = 0;
    for (uint32_t i = 0; i < call.request.out_count; i++, at++) {
        while (at < count && ids[at] != found[i].id) {
            at++;
        }
        assert_true(at < count);
        assert_int_equal(found[i].amount, 1);
    }
    uint32_t found_count = call.request.out_count;
    free(found);
    return found_count;
}

/* The ids of what three clients create, each followed by one that nobody has. */
static uint32_t
ids_of_clients(u128 *ids)
{
    uint32_t count = 0;
    for (u128 client = 1; client <= 3; client++) {
        for (uint32_t batch = 0; batch < REQUESTS; batch++) {
            for (uint32_t i = 0; batch % 5 != 4 && i < BATCH / 2; i++) {
                ids[count++] = client << 64 | (batch * BATCH + i + 1);
                ids[count++] = client << 96 | (batch * BATCH + i + 1);
            }
        }
    }
    assert_true(count <= LEDGER_BATCH_MAX);
    return count;
}

static void
remove_file(void *context, const char *name)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/%s", (const char *)context, name);
    unlink(path);
}

static void
alarm_print(void *context, const char *text)
{
    (void)context;
    print_message("%s\n", text);
}

static void
folder_remove(char *folder)
{
    const struct os_disk_ops *ops = os_disk_real()->ops;
    static const char *const within[] = {"snapshot", "index", "order"};
    for (size_t i = 0; i < sizeof(within) / sizeof(within[0]); i++) {
        char path[64];
        snprintf(path, sizeof(path), "%s/%s", folder, within[i]);
        if (ops->list(os_disk_real(), path, remove_file, path) == ERR_OK) {
            rmdir(path);
        }
    }
    assert_int_equal(ops->list(os_disk_real(), folder, remove_file, folder), ERR_OK);
    rmdir(folder);
}

static struct ledger_engine_settings
t_settings(const char *url)
{
    struct ledger_engine_settings settings = ledger_engine_settings_default();
    settings.url = url;
    settings.disk = os_disk_real();
    settings.clock = os_clock_real();
    settings.loops = os_loops_real();
    settings.store.loops = os_loops_real();
    settings.limits.account_count_max = 100;
    settings.limits.pending_count_max = 100;
    settings.alarm = alarm_print;
    return settings;
}

static void
starts_from_snapshot(const struct ledger_engine_settings *settings, uint64_t accounts)
{
    struct ledger_engine *engine = NULL;
    struct store_error error;
    struct ledger_engine_status status;
    if (ledger_engine_open(settings, &engine, &error) != ERR_OK) {
        fail_msg("%s", error.message);
    }
    ledger_engine_status(engine, &status);
    assert_true(status.snapshot_created_ns > 0);
    assert_true(status.load_ns > 0);
    assert_int_equal(status.accounts, accounts);
    ledger_engine_close(&engine);
}

/* Runs are made and merged, and snapshots written, all the time. */
static struct ledger_engine_settings
busy_settings(const char *url)
{
    struct ledger_engine_settings settings = t_settings(url);
    settings.store.segment_size = 256 * 1024;
    settings.store.index_table_entries = 32;
    settings.store.snapshot_interval = 64 * 1024;
    settings.store.orders = (1u << STORE_ORDER_COUNT) - 1;
    return settings;
}

/* Every client's requests, at the same time, and look-ups of what they write; returns when all were
 * answered as they must. */
static void
serve_clients(struct ledger_engine *engine, struct t_client *clients)
{
    static u128 ids[LEDGER_BATCH_MAX];
    const uint32_t id_count = ids_of_clients(ids);
    struct port_ledger *port = ledger_engine_port(engine);
    for (uint32_t i = 0; i < CLIENTS; i++) {
        clients[i].number = i + 1;
        clients[i].port = port;
        clients[i].start.run = start;
        assert_int_equal(os_loops_create(os_loops_real(), "client", &clients[i].loop), ERR_OK);
        assert_int_equal(os_loop_start(clients[i].loop), ERR_OK);
    }
    make_accounts(port, clients[0].loop);
    for (uint32_t i = 0; i < CLIENTS; i++) {
        os_post(os_loop_executor(clients[i].loop), &clients[i].start);
    }
    for (uint32_t i = 0; i < 10; i++) {
        assert_true(look_up(port, clients[0].loop, ids, id_count) <= id_count / 2);
    }
    for (uint32_t i = 0; i < CLIENTS; i++) {
        wait_for(&clients[i].done);
        assert_int_equal(clients[i].failures, 0);
    }
    assert_int_equal(look_up(port, clients[0].loop, ids, id_count), id_count / 2);
}

static void
serves_many(void **state)
{
    (void)state;
    char folder[] = "/tmp/tael-engine-XXXXXX";
    assert_non_null(mkdtemp(folder));
    char url[64];
    snprintf(url, sizeof(url), "journal:%s", folder);
    const struct ledger_engine_settings settings = busy_settings(url);
    struct ledger_engine *engine = NULL;
    struct store_error error;
    if (ledger_engine_open(&settings, &engine, &error) != ERR_OK) {
        fail_msg("%s", error.message);
    }
    struct t_client *clients = calloc(CLIENTS, sizeof(*clients));
    assert_non_null(clients);
    serve_clients(engine, clients);
    struct ledger_engine_status status;
    ledger_engine_status(engine, &status);
    assert_int_equal(status.snapshot_failures, 0);
    assert_true(status.snapshots > 0);
    ledger_engine_close(&engine);
    for (uint32_t i = 0; i < CLIENTS; i++) {
        os_loop_stop(clients[i].loop);
        os_loop_destroy(clients[i].loop);
    }
    free(clients);
    struct ledger_check_settings check = {.url = url, .disk = os_disk_real()};
    struct ledger_check_report report;
    if (ledger_engine_check(&check, &report, &error) != ERR_OK) {
        fail_msg("%s", error.message);
    }
    assert_int_equal(report.transfers, CLIENTS * REQUESTS / 5 * 4 * BATCH);
    assert_true(report.segments > 3);
    starts_from_snapshot(&settings, report.accounts);
    ledger_engine_check_release(&report);
    folder_remove(folder);
}

static void
make_transfers(struct ledger_transfer *transfers, uint32_t count, u128 first_id)
{
    for (uint32_t i = 0; i < count; i++) {
        transfers[i] = (struct ledger_transfer){
            .id = first_id + i,
            .debit_account_id = 1 + i % 3,
            .credit_account_id = 4 + i % 3,
            .amount = 1,
            .ledger = 1,
            .code = 1,
        };
    }
}

/* So many batches at a time that several of them share a frame, which is larger than the cache of
 * what is new has room for, with smaller ones before and behind it, which it has room for. */
static void
large_batches(void **state)
{
    (void)state;
    char folder[] = "/tmp/tael-engine-XXXXXX";
    assert_non_null(mkdtemp(folder));
    char url[64];
    snprintf(url, sizeof(url), "journal:%s", folder);
    struct ledger_engine_settings settings = t_settings(url);
    settings.store.segment_size = UINT64_C(16) << 20;
    settings.store.recent_size = UINT64_C(6) << 20;
    settings.store.index_table_entries = 32768;
    struct ledger_engine *engine = NULL;
    struct store_error error;
    assert_int_equal(ledger_engine_open(&settings, &engine, &error), ERR_OK);
    struct port_ledger *port = ledger_engine_port(engine);
    struct os_loop *loop = NULL;
    assert_int_equal(os_loops_create(os_loops_real(), "client", &loop), ERR_OK);
    assert_int_equal(os_loop_start(loop), ERR_OK);
    make_accounts(port, loop);
    const uint32_t count = 4000;
    struct t_call calls[CALLS];
    struct ledger_transfer *transfers = calloc((size_t)CALLS * count, sizeof(*transfers));
    struct ledger_result *results = calloc((size_t)CALLS * count, sizeof(*results));
    u128 *ids = calloc(count, sizeof(*ids));
    assert_true(transfers != NULL && results != NULL && ids != NULL);
    u128 next = 1;
    for (uint32_t number = 0; number < CALLS * ROUNDS; number++) {
        const uint32_t at = number % CALLS;
        if (number >= CALLS) {
            wait_for(&calls[at].done);
            assert_int_equal(calls[at].request.error, ERR_OK);
        }
        calls[at].request = (struct port_ledger_request){
            .operation = PORT_LEDGER_CREATE_TRANSFERS,
            .count = count,
            .in.transfers = &transfers[(size_t)at * count],
            .out.results = &results[(size_t)at * count],
        };
        make_transfers(&transfers[(size_t)at * count], count, next);
        next += count;
        call_submit(&calls[at], port, loop);
        if (at == CALLS - 1) {
            for (uint32_t i = 0; i < count; i++) { /* of all that is there, and in no order */
                ids[i] = 1 + (u128)i * 7919 % (next - 1);
            }
            assert_int_equal(look_up(port, loop, ids, count), count);
        }
    }
    for (uint32_t i = 0; i < CALLS; i++) {
        wait_for(&calls[i].done);
        assert_int_equal(calls[i].request.error, ERR_OK);
    }
    ledger_engine_close(&engine);
    os_loop_stop(loop);
    os_loop_destroy(loop);
    free(transfers);
    free(results);
    free(ids);
    struct ledger_check_settings check = {.url = url, .disk = os_disk_real()};
    struct ledger_check_report report;
    assert_int_equal(ledger_engine_check(&check, &report, &error), ERR_OK);
    assert_int_equal(report.transfers, next - 1);
    ledger_engine_check_release(&report);
    folder_remove(folder);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(serves_many),
        cmocka_unit_test(large_batches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
