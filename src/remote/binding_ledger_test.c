/* The ledger's port, over HTTP to a fake of it and back: what was asked arrives, and what was
 * answered comes back, field by field and error by error. */
#include "binding_testing.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static struct ledger_transfer transfers[LEDGER_BATCH_MAX];
static struct ledger_account accounts[LEDGER_BATCH_MAX];
static struct ledger_result results[LEDGER_BATCH_MAX];
static struct port_ledger_pair pairs[LEDGER_BATCH_MAX];
static struct port_ledger_change changes[LEDGER_BATCH_MAX];
static struct port_ledger_balance balances[LEDGER_BATCH_MAX];
static u128 ids[LEDGER_BATCH_MAX];

/* Bytes that tell their place. */
static void
pattern(void *out, size_t size, unsigned seed)
{
    unsigned char *bytes = out;
    for (size_t i = 0; i < size; i++) {
        bytes[i] = (unsigned char)(i * 31 + seed);
    }
}

static void
expect_pattern(const void *in, size_t size, unsigned seed)
{
    const unsigned char *bytes = in;
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] != (unsigned char)(i * 31 + seed)) {
            print_error("byte %zu of %zu\n", i, size);
            fail();
        }
    }
}

static void
ledger_fake(struct port_ledger_request *request)
{
    t_binding.traced = request->trace;
    request->error = t_binding.told;
    request->out_count = request->count;
    switch (request->operation) {
    case PORT_LEDGER_CREATE_ACCOUNTS:
        expect_pattern(request->in.accounts, request->count * sizeof(*accounts), 1);
        pattern(request->out.results, request->count * sizeof(*results), 2);
        break;
    case PORT_LEDGER_CREATE_TRANSFERS:
        expect_pattern(request->in.transfers, request->count * sizeof(*transfers), 1);
        pattern(request->out.results, request->count * sizeof(*results), 2);
        if (request->pairs != NULL) {
            pattern(request->pairs, request->count * sizeof(*pairs), 3);
        }
        break;
    case PORT_LEDGER_ADOPT:
    case PORT_LEDGER_GET_FAILED_IDS:
    case PORT_LEDGER_SHARD:
    case PORT_LEDGER_SETTLE:
        fail(); /* the test asks none of these */
        break;
    case PORT_LEDGER_LOOKUP_ACCOUNTS:
    case PORT_LEDGER_LOOKUP_CONSISTENT:
    case PORT_LEDGER_LOOKUP_TRANSFERS:
        expect_pattern(request->in.ids, request->count * sizeof(*ids), 1);
        request->out_count = request->count / 2; /* half of them are there */
        pattern(request->out.accounts, request->out_count * sizeof(*accounts), 2);
        break;
    case PORT_LEDGER_GET_ACCOUNT_TRANSFERS:
    case PORT_LEDGER_QUERY_ACCOUNTS:
    case PORT_LEDGER_QUERY_TRANSFERS:
    case PORT_LEDGER_QUERY_IN_TRANSIT:
        request->out_count = request->in.filter->limit;
        pattern(request->out.accounts, request->out_count * sizeof(*accounts), 2);
        break;
    case PORT_LEDGER_GET_ACCOUNT_BALANCES:
        request->out_count = request->in.filter->limit;
        pattern(request->out.balances, request->out_count * sizeof(*balances), 2);
        break;
    case PORT_LEDGER_GET_CHANGE_EVENTS:
        request->out_count = request->in.filter->limit;
        pattern(request->out.changes, request->out_count * sizeof(*changes), 2);
        break;
    }
}

static void
ledger_done(struct port_ledger_request *request)
{
    (void)request;
    t_binding.done = true;
}

static err_t
ledger_ask(struct port_ledger_request *request)
{
    request->reply_to = t_reply_to();
    request->done = ledger_done;
    request->trace = t_binding_trace;
    request->error = -1;
    t_binding.done = false;
    struct port_ledger *port = remote_client_ledger(t_binding.client);
    port->submit(port, request);
    assert_false(t_binding.done); /* PORT-2 */
    t_wait(&t_binding.done);
    return request->error;
}

static void
test_ledger_creates(void **state)
{
    (void)state;
    static const uint32_t counts[] = {0, 1, 2, 3, 255, LEDGER_BATCH_MAX};
    t_ports.on_ledger = ledger_fake;
    t_binding.client = t_client_of(REMOTE_LEDGER, t_listener_port(), t_binding.auth);
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        uint32_t count = counts[i];
        struct port_ledger_request request = {
            .operation = PORT_LEDGER_CREATE_ACCOUNTS,
            .count = count,
            .in.accounts = accounts,
            .out.results = results,
        };
        pattern(accounts, count * sizeof(*accounts), 1);
        memset(results, 0, sizeof(results));
        assert_int_equal(ledger_ask(&request), ERR_OK);
        assert_int_equal(request.out_count, count);
        expect_pattern(results, count * sizeof(*results), 2);

        request.operation = PORT_LEDGER_CREATE_TRANSFERS;
        request.in.transfers = transfers;
        pattern(transfers, count * sizeof(*transfers), 1);
        for (int with_pairs = 0; with_pairs < 2; with_pairs++) {
            request.pairs = with_pairs ? pairs : NULL;
            memset(results, 0, sizeof(results));
            assert_int_equal(ledger_ask(&request), ERR_OK);
            expect_pattern(results, count * sizeof(*results), 2);
        }
        expect_pattern(pairs, count * sizeof(*pairs), 3);
    }
    t_binding_expect_trace();
}

static void
test_ledger_reads(void **state)
{
    (void)state;
    t_ports.on_ledger = ledger_fake;
    t_binding.client = t_client_of(REMOTE_LEDGER, t_listener_port(), t_binding.auth);
    pattern(ids, sizeof(ids), 1);
    struct port_ledger_request request = {
        .operation = PORT_LEDGER_LOOKUP_ACCOUNTS,
        .count = 9,
        .in.ids = ids,
        .out.accounts = accounts};
    assert_int_equal(ledger_ask(&request), ERR_OK);
    assert_int_equal(request.out_count, 4);
    expect_pattern(accounts, 4 * sizeof(*accounts), 2);
    request.operation = PORT_LEDGER_LOOKUP_TRANSFERS;
    request.out.transfers = transfers;
    assert_int_equal(ledger_ask(&request), ERR_OK);
    expect_pattern(transfers, 4 * sizeof(*transfers), 2);

    const struct port_ledger_filter filter = {.account_id = U128_MAX, .limit = 5};

    static const enum port_ledger_operation queries[] = {
        PORT_LEDGER_GET_ACCOUNT_TRANSFERS,
        PORT_LEDGER_QUERY_ACCOUNTS,
        PORT_LEDGER_QUERY_TRANSFERS,
        PORT_LEDGER_QUERY_IN_TRANSIT};

    for (size_t i = 0; i < 3; i++) {
        request = (struct port_ledger_request){
            .operation = queries[i], .in.filter = &filter, .out.accounts = accounts};
        memset(accounts, 0, 6 * sizeof(*accounts));
        assert_int_equal(ledger_ask(&request), ERR_OK);
        assert_int_equal(request.out_count, 5);
        expect_pattern(accounts, 5 * sizeof(*accounts), 2);
    }
    t_binding_expect_trace();
}

/* Balances have padding, which is nobody's business; changes are the largest answers. */
static void
test_ledger_balances_and_changes(void **state)
{
    (void)state;
    t_ports.on_ledger = ledger_fake;
    t_binding.client = t_client_of(REMOTE_LEDGER, t_listener_port(), t_binding.auth);
    const struct port_ledger_filter few = {.limit = 2};
    struct port_ledger_request request = {
        .operation = PORT_LEDGER_GET_ACCOUNT_BALANCES, .in.filter = &few, .out.balances = balances};
    static struct port_ledger_balance expected[2];
    pattern(expected, sizeof(expected), 2);
    memset(balances, 0xee, sizeof(expected));
    assert_int_equal(ledger_ask(&request), ERR_OK);
    for (size_t i = 0; i < 2; i++) {
        assert_true(balances[i].timestamp == expected[i].timestamp);
        assert_memory_equal(
            &balances[i].balances, &expected[i].balances, sizeof(expected[i].balances));
        uint64_t padding;
        memcpy(&padding, (const char *)&balances[i] + 8, sizeof(padding));
        assert_int_equal(padding, 0);
    }
    const struct port_ledger_filter all = {.limit = LEDGER_BATCH_MAX};
    request = (struct port_ledger_request){
        .operation = PORT_LEDGER_GET_CHANGE_EVENTS, .in.filter = &all, .out.changes = changes};
    assert_int_equal(ledger_ask(&request), ERR_OK);
    assert_int_equal(request.out_count, LEDGER_BATCH_MAX);
    expect_pattern(changes, sizeof(changes), 2);
}

static void
filter_fake(struct port_ledger_request *request)
{
    const struct port_ledger_filter *filter = request->in.filter;
    assert_true(filter->account_id == 1 && filter->user_data_128 == 2);
    assert_true(filter->user_data_64 == 3 && filter->user_data_32 == 4);
    assert_true(filter->ledger == 5 && filter->code == 6);
    assert_true(filter->debits && !filter->credits && filter->reversed);
    assert_true(filter->timestamp_min == 7 && filter->timestamp_max == UINT64_MAX);
    assert_int_equal(filter->limit, UINT32_MAX);
    request->out_count = 0;
}

static void
test_ledger_filter(void **state)
{
    (void)state;
    t_ports.on_ledger = filter_fake;
    t_binding.client = t_client_of(REMOTE_LEDGER, t_listener_port(), t_binding.auth);
    const struct port_ledger_filter filter = {
        .account_id = 1,
        .user_data_128 = 2,
        .user_data_64 = 3,
        .user_data_32 = 4,
        .ledger = 5,
        .code = 6,
        .debits = true,
        .reversed = true,
        .timestamp_min = 7,
        .timestamp_max = UINT64_MAX,
        .limit = UINT32_MAX,
    };
    struct port_ledger_request request = {
        .operation = PORT_LEDGER_QUERY_TRANSFERS, .in.filter = &filter, .out.transfers = transfers};
    assert_int_equal(ledger_ask(&request), ERR_OK);
    assert_int_equal(request.out_count, 0);
}

static void
test_ledger_errors(void **state)
{
    (void)state;
    t_ports.on_ledger = ledger_fake;
    t_binding.client = t_client_of(REMOTE_LEDGER, t_listener_port(), t_binding.auth);
    pattern(transfers, sizeof(*transfers), 1);
    for (size_t i = 0; i < T_BINDING_ERRORS; i++) {
        struct port_ledger_request request = {
            .operation = PORT_LEDGER_CREATE_TRANSFERS,
            .count = 1,
            .in.transfers = transfers,
            .out.results = results,
        };
        t_binding.told = t_binding_errors[i].told;
        assert_int_equal(ledger_ask(&request), t_binding_errors[i].heard);
    }
    assert_int_equal(t_listener_count().failed, T_BINDING_ERRORS);
}

/* More than may be under way at a time is refused, and nothing of it was sent. */
static void
test_busy(void **state)
{
    (void)state;
    struct remote_client_settings settings = remote_client_settings_default;
    char endpoint[32];
    settings.requests_max = 1;
    (void)snprintf(endpoint, sizeof(endpoint), "127.0.0.1:%u", (unsigned)t_listener_port());
    t_binding.client = t_client(REMOTE_LEDGER, endpoint, t_binding.auth, &settings);
    atomic_store(&t_ports.holds, true);
    struct port_ledger_request first = {
        .operation = PORT_LEDGER_LOOKUP_ACCOUNTS,
        .count = 1,
        .in.ids = ids,
        .out.accounts = accounts,
        .reply_to = t_reply_to(),
        .done = ledger_done,
        .error = -1,
    };
    struct port_ledger_request second = first;
    struct port_ledger *port = remote_client_ledger(t_binding.client);
    port->submit(port, &first);
    port->submit(port, &second);
    t_binding.done = false;
    t_wait(&t_binding.done);
    assert_int_equal(first.error, -1);
    assert_int_equal(second.error, ERR_BUSY);
    const struct timespec pause = {.tv_nsec = 1000000};
    while (atomic_load(&t_ports.asked) == 0) {
        (void)nanosleep(&pause, NULL);
    }
    t_binding.done = false;
    t_release();
    t_wait(&t_binding.done);
    assert_int_equal(first.error, ERR_OK);
    assert_int_equal(atomic_load(&t_ports.asked), 1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_ledger_creates, t_binding_setup, t_binding_teardown),
        cmocka_unit_test_setup_teardown(test_ledger_reads, t_binding_setup, t_binding_teardown),
        cmocka_unit_test_setup_teardown(
            test_ledger_balances_and_changes, t_binding_setup, t_binding_teardown),
        cmocka_unit_test_setup_teardown(test_ledger_filter, t_binding_setup, t_binding_teardown),
        cmocka_unit_test_setup_teardown(test_ledger_errors, t_binding_setup, t_binding_teardown),
        cmocka_unit_test_setup_teardown(test_busy, t_binding_setup, t_binding_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
