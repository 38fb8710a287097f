/* Each port, over HTTP to a fake of it and back: what was asked arrives, and what was answered
 * comes back, field by field and error by error. */
#include "testing.h"

#include "base/list.h"
#include "os/clock.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static struct remote_auth *auth;
static struct remote_client *client;
static bool done;
static err_t told; /* what the fake answers */

static const struct trace_context trace = {
    .trace_id = 0x1234567890abcdef, .span_id = 0x42, .flags = TRACE_CONTEXT_SAMPLED};
static struct trace_context traced;

static int
setup(void **state)
{
    (void)state;
    auth = t_auth(T_KEY);
    t_listener_start(auth);
    told = ERR_OK;
    done = false;
    memset(&traced, 0, sizeof(traced));
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    if (client != NULL) {
        t_client_end(&client);
    }
    t_listener_stop();
    remote_auth_destroy(&auth);
    return 0;
}

static void
expect_trace(void)
{
    assert_true(traced.trace_id == trace.trace_id);
    assert_true(traced.span_id == trace.span_id);
    assert_int_equal(traced.flags, trace.flags);
}

/* Errors that a service may answer, and what comes back. */
static const struct {
    err_t told, heard;
} errors[] = {
    {ERR_BUSY, ERR_BUSY},
    {ERR_FULL, ERR_FULL},
    {ERR_NOT_FOUND, ERR_NOT_FOUND},
    {ERR_CORRUPT, ERR_CORRUPT},
    {ERR_DISK_FULL, ERR_DISK_FULL},
    {ERR_DATABASE, ERR_DATABASE},
    {ERR_TIMEOUT, ERR_TIMEOUT},
    {ERR_OUTCOME_UNKNOWN, ERR_OUTCOME_UNKNOWN},
};

#define ERROR_COUNT (sizeof(errors) / sizeof(errors[0]))

/* ------------------------------------------------------------------------------------ ledger ---
 */

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
    traced = request->trace;
    request->error = told;
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
    done = true;
}

static err_t
ledger_ask(struct port_ledger_request *request)
{
    request->reply_to = t_reply_to();
    request->done = ledger_done;
    request->trace = trace;
    request->error = -1;
    done = false;
    struct port_ledger *port = remote_client_ledger(client);
    port->submit(port, request);
    assert_false(done); /* PORT-2 */
    t_wait(&done);
    return request->error;
}

static void
test_ledger_creates(void **state)
{
    (void)state;
    static const uint32_t counts[] = {0, 1, 2, 3, 255, LEDGER_BATCH_MAX};
    t_ports.on_ledger = ledger_fake;
    client = t_client_of(REMOTE_LEDGER, t_listener_port(), auth);
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
    expect_trace();
}

static void
test_ledger_reads(void **state)
{
    (void)state;
    t_ports.on_ledger = ledger_fake;
    client = t_client_of(REMOTE_LEDGER, t_listener_port(), auth);
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
    expect_trace();
}

/* Balances have padding, which is nobody's business; changes are the largest answers. */
static void
test_ledger_balances_and_changes(void **state)
{
    (void)state;
    t_ports.on_ledger = ledger_fake;
    client = t_client_of(REMOTE_LEDGER, t_listener_port(), auth);
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
    client = t_client_of(REMOTE_LEDGER, t_listener_port(), auth);
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
    client = t_client_of(REMOTE_LEDGER, t_listener_port(), auth);
    pattern(transfers, sizeof(*transfers), 1);
    for (size_t i = 0; i < ERROR_COUNT; i++) {
        struct port_ledger_request request = {
            .operation = PORT_LEDGER_CREATE_TRANSFERS,
            .count = 1,
            .in.transfers = transfers,
            .out.results = results,
        };
        told = errors[i].told;
        assert_int_equal(ledger_ask(&request), errors[i].heard);
    }
    assert_int_equal(t_listener_count().failed, ERROR_COUNT);
}

/* ------------------------------------------------------------------------------- the rails --- */

static struct port_rail_request rail_seen;
static struct port_rail_answer rail_answer;
static uint64_t rail_deadline_ns;

static void
rail_fake(struct port_rail_request *request)
{
    traced = request->trace;
    rail_seen = *request;
    rail_deadline_ns = request->deadline_ns;
    request->error = told;
    request->answer = rail_answer;
}

static void
network_fake(struct port_network_request *request)
{
    traced = request->trace;
    rail_seen = *request->rail;
    request->error = told;
    request->answer = rail_answer;
}

static void
rail_done(struct port_rail_request *request)
{
    (void)request;
    done = true;
}

static struct port_rail_request
rail_request(void)
{
    return (struct port_rail_request){
        .reply_to = t_reply_to(),
        .done = rail_done,
        .trace = trace,
        .operation = PORT_RAIL_AUTHORIZE,
        .scope = 3,
        .id = 4,
        .amount = {.amount = 2000, .currency = currency_find(SPAN("USD"))},
        .capture = true,
        .token = "card_x",
        .deadline_ns = net_now_ns() + 5 * OS_NS_PER_S,
    };
}

static void
rail_ask(struct port_rail_request *request)
{
    struct port_rail *port = remote_client_rail(client);
    done = false;
    port->submit(port, request);
    t_wait(&done);
}

static void
full_answer(enum port_rail_outcome outcome)
{
    rail_answer = (struct port_rail_answer){
        .outcome = outcome,
        .error_code = "card_declined",
        .decline_code = "insufficient_funds",
        .advice_code = "try_again_later",
        .network_code = "51",
        .authorization_code = "123456",
        .network_transaction_id = "98765",
        .risk_level = "elevated",
        .risk_score = 65,
        .cvc_check = PORT_RAIL_CHECK_FAIL,
        .address_check = PORT_RAIL_CHECK_PASS,
        .postal_code_check = PORT_RAIL_CHECK_UNAVAILABLE,
        .proof = PORT_RAIL_PROOF_ATTEMPTED,
        .straight_to_available = true,
        .captured = true,
        .authorized_amount = 1,
        .captured_amount = INT64_MAX,
        .refunded_amount = INT64_MIN,
        .voided = true,
    };
}

static void
expect_answer(const struct port_rail_answer *answer)
{
    assert_int_equal(answer->outcome, rail_answer.outcome);
    assert_string_equal(answer->error_code, rail_answer.error_code);
    assert_string_equal(answer->decline_code, rail_answer.decline_code);
    assert_string_equal(answer->advice_code, rail_answer.advice_code);
    assert_string_equal(answer->network_code, rail_answer.network_code);
    assert_string_equal(answer->authorization_code, rail_answer.authorization_code);
    assert_string_equal(answer->network_transaction_id, rail_answer.network_transaction_id);
    assert_string_equal(answer->risk_level, rail_answer.risk_level);
    assert_int_equal(answer->risk_score, rail_answer.risk_score);
    assert_int_equal(answer->cvc_check, rail_answer.cvc_check);
    assert_int_equal(answer->address_check, rail_answer.address_check);
    assert_int_equal(answer->postal_code_check, rail_answer.postal_code_check);
    assert_int_equal(answer->proof, rail_answer.proof);
    assert_true(answer->straight_to_available && answer->captured && answer->voided);
    assert_true(answer->authorized_amount == rail_answer.authorized_amount);
    assert_true(answer->captured_amount == rail_answer.captured_amount);
    assert_true(answer->refunded_amount == rail_answer.refunded_amount);
}

static void
test_rail_outcomes(void **state)
{
    (void)state;
    t_ports.on_rail = rail_fake;
    client = t_client_of(REMOTE_RAIL, t_listener_port(), auth);
    for (uint32_t outcome = 0; outcome <= PORT_RAIL_CHALLENGE; outcome++) {
        struct port_rail_request request = rail_request();
        full_answer((enum port_rail_outcome)outcome);
        rail_ask(&request);
        assert_int_equal(request.error, ERR_OK);
        expect_answer(&request.answer);
        assert_true(rail_seen.id == 4 && rail_seen.scope == 3);
        assert_string_equal(rail_seen.token, "card_x");
    }
    expect_trace();
    /* The deadline travels as the time that is left. */
    assert_in_range(rail_deadline_ns, net_now_ns(), net_now_ns() + 5 * OS_NS_PER_S);
}

/* The bank is a rail, too, and not the one of the cards. */
static void
test_bank(void **state)
{
    (void)state;
    struct port_rail_request request = rail_request();
    t_ports.on_rail = rail_fake;
    client = t_client_of(REMOTE_BANK, t_listener_port(), auth);
    request.operation = PORT_RAIL_PAY;
    full_answer(PORT_RAIL_PENDING);
    struct port_rail *port = remote_client_bank(client);
    assert_string_equal(port->name, "bank");
    done = false;
    port->submit(port, &request);
    t_wait(&done);
    assert_int_equal(request.error, ERR_OK);
    expect_answer(&request.answer);
    assert_int_equal(rail_seen.operation, PORT_RAIL_PAY);
    assert_string_equal(rail_seen.token, "card_x");
}

/* "Unknown" is an outcome of a rail, not an error (PORT-3). */
static void
test_rail_errors(void **state)
{
    (void)state;
    t_ports.on_rail = rail_fake;
    client = t_client_of(REMOTE_RAIL, t_listener_port(), auth);
    for (size_t i = 0; i < ERROR_COUNT; i++) {
        struct port_rail_request request = rail_request();
        told = errors[i].told;
        full_answer(PORT_RAIL_APPROVED);
        rail_ask(&request);
        assert_int_equal(
            request.error, errors[i].told == ERR_OUTCOME_UNKNOWN ? ERR_OK : errors[i].heard);
        assert_int_equal(request.answer.outcome, PORT_RAIL_UNKNOWN);
    }
}

static bool network_ended;

static void
network_done(struct port_network_request *request)
{
    (void)request;
    network_ended = true;
}

static void
test_network(void **state)
{
    (void)state;
    t_ports.on_network = network_fake;
    client = t_client_of(REMOTE_NETWORK, t_listener_port(), auth);
    struct port_network *port = remote_client_network(client);
    for (uint32_t i = 0; i < 2; i++) {
        struct port_rail_request rail = rail_request();
        struct port_network_request request = {
            .reply_to = t_reply_to(), .done = network_done, .trace = trace, .rail = &rail};
        full_answer(PORT_RAIL_DECLINED);
        told = i == 0 ? ERR_OK : ERR_NOT_FOUND;
        network_ended = false;
        port->submit(port, &request);
        t_wait(&network_ended);
        assert_int_equal(request.error, told);
        if (i == 0) {
            expect_answer(&request.answer);
        }
        assert_string_equal(rail_seen.token, "card_x");
        assert_string_equal(request.card.number, ""); /* stays with the vault */
    }
    expect_trace();
}

/* ------------------------------------------------------------------------------------- vault ---
 */

static void
vault_fake(struct port_vault_tokenize *request)
{
    traced = request->trace;
    assert_int_equal(request->scope, 9);
    assert_true(span_equal_cstr(request->number, "4242 4242\t4242\"4242"));
    assert_true(span_equal_cstr(request->cvc, "123"));
    assert_int_equal(request->test_token.size, 0);
    assert_true(request->exp_month == -1 && request->exp_year == INT64_MAX);
    request->error = told;
    request->card = (struct port_vault_card){
        .token = "card_1",
        .fingerprint = "0123456789abcdef",
        .brand = "visa",
        .network = "visa",
        .funding = "credit",
        .country = "US",
        .last4 = "4242",
        .bin = "424242",
        .exp_month = 12,
        .exp_year = 2034,
        .cvc_provided = true,
    };
}

static void
vault_done(struct port_vault_tokenize *request)
{
    (void)request;
    done = true;
}

static enum port_vault_outcome vault_outcome;

static void
vault_fake_outcome(struct port_vault_tokenize *request)
{
    vault_fake(request);
    request->outcome = vault_outcome;
}

static void
test_vault(void **state)
{
    (void)state;
    t_ports.on_vault = vault_fake_outcome;
    client = t_client_of(REMOTE_VAULT, t_listener_port(), auth);
    struct port_vault *port = remote_client_vault(client);
    for (uint32_t i = 0; i <= PORT_VAULT_UNKNOWN_TOKEN + ERROR_COUNT; i++) {
        struct port_vault_tokenize request = {
            .reply_to = t_reply_to(),
            .done = vault_done,
            .trace = trace,
            .scope = 9,
            .number = SPAN("4242 4242\t4242\"4242"),
            .cvc = SPAN("123"),
            .exp_month = -1,
            .exp_year = INT64_MAX,
        };
        bool good = i <= PORT_VAULT_UNKNOWN_TOKEN;
        vault_outcome = good ? (enum port_vault_outcome)i : PORT_VAULT_OK;
        told = good ? ERR_OK : errors[i - PORT_VAULT_UNKNOWN_TOKEN - 1].told;
        done = false;
        port->tokenize(port, &request);
        t_wait(&done);
        assert_int_equal(request.error, told);
        if (good) {
            assert_int_equal(request.outcome, i);
            assert_string_equal(request.card.token, "card_1");
            assert_string_equal(request.card.fingerprint, "0123456789abcdef");
            assert_string_equal(request.card.last4, "4242");
            assert_string_equal(request.card.bin, "424242");
            assert_int_equal(request.card.exp_year, 2034);
            assert_true(request.card.cvc_provided);
        }
    }
    expect_trace();
}

/* --------------------------------------------------------------------------- wallet, mobile --- */

static enum port_wallet_outcome wallet_outcome;

static void
wallet_fake(struct port_wallet_request *request)
{
    traced = request->trace;
    assert_int_equal(request->movement.scope, 5);
    assert_string_equal(request->movement.wallet, "wal_1");
    assert_int_equal(request->movement.direction, PORT_WALLET_IN);
    assert_int_equal(request->movement.amount.amount, 77);
    request->error = told;
    request->outcome = wallet_outcome;
    request->movement.reserved_at = 1234567890;
    (void)snprintf(request->code, sizeof(request->code), "wallet_limit_day");
    (void)snprintf(request->message, sizeof(request->message), "Too much for a day.");
    (void)snprintf(request->customer, sizeof(request->customer), "cus_1");
    request->currency = currency_find(SPAN("EUR"));
}

static void
wallet_done(struct port_wallet_request *request)
{
    (void)request;
    done = true;
}

static void
test_wallet(void **state)
{
    (void)state;
    t_ports.on_wallet = wallet_fake;
    client = t_client_of(REMOTE_WALLET, t_listener_port(), auth);
    struct port_wallet *port = remote_client_wallet(client);
    for (uint32_t i = 0; i <= PORT_WALLET_REFUSED + ERROR_COUNT; i++) {
        struct port_wallet_request request = {
            .reply_to = t_reply_to(),
            .done = wallet_done,
            .trace = trace,
            .operation = i % 2 == 0 ? PORT_WALLET_RESERVE : PORT_WALLET_LOOKUP,
            .movement =
                {
                    .scope = 5,
                    .wallet = "wal_1",
                    .direction = PORT_WALLET_IN,
                    .amount = {.amount = 77, .currency = currency_find(SPAN("EUR"))},
                },
        };
        bool good = i <= PORT_WALLET_REFUSED;
        wallet_outcome = good ? (enum port_wallet_outcome)i : PORT_WALLET_OK;
        told = good ? ERR_OK : errors[i - PORT_WALLET_REFUSED - 1].told;
        done = false;
        port->submit(port, &request);
        t_wait(&done);
        assert_int_equal(request.error, told);
        if (good) {
            assert_int_equal(request.outcome, i);
            assert_int_equal(request.movement.reserved_at, 1234567890);
            assert_string_equal(request.code, "wallet_limit_day");
            assert_string_equal(request.message, "Too much for a day.");
            assert_string_equal(request.customer, "cus_1");
            assert_ptr_equal(request.currency, currency_find(SPAN("EUR")));
        }
    }
    expect_trace();
}

static void
release_fake(const struct port_wallet_movement *movement)
{
    assert_int_equal(movement->scope, 5);
    assert_string_equal(movement->wallet, "wal_1");
    assert_int_equal(movement->direction, PORT_WALLET_OUT);
    assert_int_equal(movement->amount.amount, 77);
    assert_ptr_equal(movement->amount.currency, currency_find(SPAN("EUR")));
    assert_int_equal(movement->reserved_at, 99);
}

static void
test_wallet_release(void **state)
{
    (void)state;
    t_ports.on_release = release_fake;
    client = t_client_of(REMOTE_WALLET, t_listener_port(), auth);

    struct port_wallet *port = remote_client_wallet(client);
    {
        /* It is copied: the caller's may be gone at once. */
        struct port_wallet_movement movement = {
            .scope = 5,
            .wallet = "wal_1",
            .direction = PORT_WALLET_OUT,
            .amount = {.amount = 77, .currency = currency_find(SPAN("EUR"))},
            .reserved_at = 99,
        };
        port->release(port, &movement);
        memset(&movement, 0, sizeof(movement));
    }
    const struct timespec pause = {.tv_nsec = 1000000};
    struct remote_client_counters counters = {.answered = 0};
    for (int i = 0; i < 10000 && counters.answered == 0; i++) {
        (void)nanosleep(&pause, NULL);
        remote_client_count(client, &counters);
    }
    assert_int_equal(atomic_load(&t_ports.asked), 1);
    assert_int_equal(counters.answered, 1);
    assert_int_equal(counters.dropped, 0);
}

static enum port_mobile_outcome mobile_outcome;

static void
mobile_fake(struct port_mobile_request *request)
{
    traced = request->trace;
    assert_int_equal(request->scope, 6);
    assert_string_equal(request->code, "123456789012345678");
    assert_string_equal(request->payment, "pi_1");
    request->error = told;
    request->outcome = mobile_outcome;
    (void)snprintf(request->wallet, sizeof(request->wallet), "wal_2");
}

static void
mobile_done(struct port_mobile_request *request)
{
    (void)request;
    done = true;
}

static void
test_mobile(void **state)
{
    (void)state;
    t_ports.on_mobile = mobile_fake;
    client = t_client_of(REMOTE_MOBILE, t_listener_port(), auth);
    struct port_mobile *port = remote_client_mobile(client);
    for (uint32_t i = 0; i <= PORT_MOBILE_LIMITED + ERROR_COUNT; i++) {
        struct port_mobile_request request = {
            .reply_to = t_reply_to(),
            .done = mobile_done,
            .trace = trace,
            .scope = 6,
            .code = "123456789012345678",
            .payment = "pi_1",
        };
        bool good = i <= PORT_MOBILE_LIMITED;
        mobile_outcome = good ? (enum port_mobile_outcome)i : PORT_MOBILE_OK;
        told = good ? ERR_OK : errors[i - PORT_MOBILE_LIMITED - 1].told;
        done = false;
        port->use_code(port, &request);
        t_wait(&done);
        assert_int_equal(request.error, told);
        if (good) {
            assert_int_equal(request.outcome, i);
            assert_string_equal(request.wallet, "wal_2");
        }
    }
    expect_trace();
}

/* ---------------------------------------------------------------------------------- the rest ---
 */

/* What a client knows of its service. */
static void
test_hello(void **state)
{
    (void)state;
    const struct timespec pause = {.tv_nsec = 2000000};
    struct remote_client_settings settings = remote_client_settings_default;
    struct remote_client_state look;
    char endpoint[32];
    settings.hello_interval_ms = 10;
    (void)snprintf(endpoint, sizeof(endpoint), "127.0.0.1:%u", (unsigned)t_listener_port());
    t_ports.rail.simulated = false;
    client = t_client(REMOTE_RAIL, endpoint, auth, &settings);
    remote_client_look(client, &look);
    assert_false(look.reached);
    assert_true(remote_client_rail(client)->simulated); /* until it is known */
    remote_client_start(client);
    t_client_reached(client);
    assert_false(remote_client_rail(client)->simulated);
    remote_client_look(client, &look);
    assert_true(look.ready);
    atomic_store(&t_is_ready, false);
    for (int i = 0; i < 5000 && look.ready; i++) {
        (void)nanosleep(&pause, NULL);
        remote_client_look(client, &look);
    }
    assert_true(look.reached);
    assert_false(look.ready);
    assert_string_equal(look.why, "it is not ready");
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
    client = t_client(REMOTE_LEDGER, endpoint, auth, &settings);
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
    struct port_ledger *port = remote_client_ledger(client);
    port->submit(port, &first);
    port->submit(port, &second);
    done = false;
    t_wait(&done);
    assert_int_equal(first.error, -1);
    assert_int_equal(second.error, ERR_BUSY);
    const struct timespec pause = {.tv_nsec = 1000000};
    while (atomic_load(&t_ports.asked) == 0) {
        (void)nanosleep(&pause, NULL);
    }
    done = false;
    t_release();
    t_wait(&done);
    assert_int_equal(first.error, ERR_OK);
    assert_int_equal(atomic_load(&t_ports.asked), 1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_ledger_creates, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ledger_reads, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ledger_balances_and_changes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ledger_filter, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ledger_errors, setup, teardown),
        cmocka_unit_test_setup_teardown(test_rail_outcomes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_rail_errors, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bank, setup, teardown),
        cmocka_unit_test_setup_teardown(test_network, setup, teardown),
        cmocka_unit_test_setup_teardown(test_vault, setup, teardown),
        cmocka_unit_test_setup_teardown(test_wallet, setup, teardown),
        cmocka_unit_test_setup_teardown(test_wallet_release, setup, teardown),
        cmocka_unit_test_setup_teardown(test_mobile, setup, teardown),
        cmocka_unit_test_setup_teardown(test_hello, setup, teardown),
        cmocka_unit_test_setup_teardown(test_busy, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
