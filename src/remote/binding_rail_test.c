/* The ports of rails, bank, card network and vault, over HTTP to fakes of them and back, as in
 * binding_ledger_test.c. */
#include "binding_testing.h"

#include "os/clock.h"

/* ------------------------------------------------------------------------------- the rails --- */

static struct port_rail_request rail_seen;
static struct port_rail_answer rail_answer;
static uint64_t rail_deadline_ns;

static void
rail_fake(struct port_rail_request *request)
{
    t_binding.traced = request->trace;
    rail_seen = *request;
    rail_deadline_ns = request->deadline_ns;
    request->error = t_binding.told;
    request->answer = rail_answer;
}

static void
network_fake(struct port_network_request *request)
{
    t_binding.traced = request->trace;
    rail_seen = *request->rail;
    request->error = t_binding.told;
    request->answer = rail_answer;
}

static void
rail_done(struct port_rail_request *request)
{
    (void)request;
    t_binding.done = true;
}

static struct port_rail_request
rail_request(void)
{
    return (struct port_rail_request){
        .reply_to = t_reply_to(),
        .done = rail_done,
        .trace = t_binding_trace,
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
    struct port_rail *port = remote_client_rail(t_binding.client);
    t_binding.done = false;
    port->submit(port, request);
    t_wait(&t_binding.done);
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
        .disputed_amount = 5,
        .reinstated_amount = 6,
        .voided = true,
        .notice =
            {
                .news = PORT_RAIL_NEWS_WON,
                .position = UINT64_MAX,
                .dispute = 7,
                .authorization = (u128)1 << 127,
                .reference = 9,
                .scope = 10,
                .amount = 11,
                .opened_ms = 12,
                .due_ms = 13,
                .reason = "fraudulent",
                .network_code = "10.4",
            },
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
    assert_true(answer->disputed_amount == rail_answer.disputed_amount);
    assert_true(answer->reinstated_amount == rail_answer.reinstated_amount);
    assert_memory_equal(&answer->notice, &rail_answer.notice, sizeof(answer->notice));
}

static void
test_rail_outcomes(void **state)
{
    (void)state;
    t_ports.on_rail = rail_fake;
    t_binding.client = t_client_of(REMOTE_RAIL, t_listener_port(), t_binding.auth);
    for (uint32_t outcome = 0; outcome <= PORT_RAIL_CHALLENGE; outcome++) {
        struct port_rail_request request = rail_request();
        full_answer((enum port_rail_outcome)outcome);
        rail_ask(&request);
        assert_int_equal(request.error, ERR_OK);
        expect_answer(&request.answer);
        assert_true(rail_seen.id == 4 && rail_seen.scope == 3);
        assert_string_equal(rail_seen.token, "card_x");
    }
    t_binding_expect_trace();
    /* The deadline travels as the time that is left. */
    assert_in_range(rail_deadline_ns, net_now_ns(), net_now_ns() + 5 * OS_NS_PER_S);
}

/* Disputes: what is asked of them arrives whole. */
static void
test_disputes(void **state)
{
    (void)state;
    t_ports.on_rail = rail_fake;
    t_binding.client = t_client_of(REMOTE_RAIL, t_listener_port(), t_binding.auth);
    full_answer(PORT_RAIL_APPROVED);
    struct port_rail_request news = {
        .reply_to = t_reply_to(),
        .done = rail_done,
        .trace = t_binding_trace,
        .operation = PORT_RAIL_NEWS,
        .position = UINT64_MAX - 1,
        .deadline_ns = net_now_ns() + 5 * OS_NS_PER_S,
    };
    rail_ask(&news);
    assert_int_equal(news.error, ERR_OK);
    expect_answer(&news.answer);
    assert_int_equal(rail_seen.operation, PORT_RAIL_NEWS);
    assert_true(rail_seen.position == UINT64_MAX - 1);
    struct port_rail_request evidence = rail_request();
    evidence.operation = PORT_RAIL_EVIDENCE;
    evidence.original_id = 77;
    evidence.reference = 78;
    evidence.evidence = SPAN("{\"uncategorized_text\":\"\\u0000 \\\" winning\"}");
    rail_ask(&evidence);
    assert_int_equal(evidence.error, ERR_OK);
    assert_true(rail_seen.original_id == 77 && rail_seen.reference == 78);
    assert_int_equal(rail_seen.evidence.size, evidence.evidence.size);
}

/* The bank is a rail, too, and not the one of the cards. */
static void
test_bank(void **state)
{
    (void)state;
    struct port_rail_request request = rail_request();
    t_ports.on_rail = rail_fake;
    t_binding.client = t_client_of(REMOTE_BANK, t_listener_port(), t_binding.auth);
    request.operation = PORT_RAIL_PAY;
    full_answer(PORT_RAIL_PENDING);
    struct port_rail *port = remote_client_bank(t_binding.client);
    assert_string_equal(port->name, "bank");
    t_binding.done = false;
    port->submit(port, &request);
    t_wait(&t_binding.done);
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
    t_binding.client = t_client_of(REMOTE_RAIL, t_listener_port(), t_binding.auth);
    for (size_t i = 0; i < T_BINDING_ERRORS; i++) {
        struct port_rail_request request = rail_request();
        t_binding.told = t_binding_errors[i].told;
        full_answer(PORT_RAIL_APPROVED);
        rail_ask(&request);
        assert_int_equal(
            request.error,
            t_binding_errors[i].told == ERR_OUTCOME_UNKNOWN ? ERR_OK : t_binding_errors[i].heard);
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
    t_binding.client = t_client_of(REMOTE_NETWORK, t_listener_port(), t_binding.auth);
    struct port_network *port = remote_client_network(t_binding.client);
    for (uint32_t i = 0; i < 2; i++) {
        struct port_rail_request rail = rail_request();
        struct port_network_request request = {
            .reply_to = t_reply_to(),
            .done = network_done,
            .trace = t_binding_trace,
            .rail = &rail};
        full_answer(PORT_RAIL_DECLINED);
        t_binding.told = i == 0 ? ERR_OK : ERR_NOT_FOUND;
        network_ended = false;
        port->submit(port, &request);
        t_wait(&network_ended);
        assert_int_equal(request.error, t_binding.told);
        if (i == 0) {
            expect_answer(&request.answer);
        }
        assert_string_equal(rail_seen.token, "card_x");
        assert_string_equal(request.card.number, ""); /* stays with the vault */
    }
    t_binding_expect_trace();
}

/* ------------------------------------------------------------------------------------- vault ---
 */

static void
vault_fake(struct port_vault_tokenize *request)
{
    t_binding.traced = request->trace;
    assert_int_equal(request->scope, 9);
    assert_true(span_equal_cstr(request->number, "4242 4242\t4242\"4242"));
    assert_true(span_equal_cstr(request->cvc, "123"));
    assert_int_equal(request->test_token.size, 0);
    assert_true(request->exp_month == -1 && request->exp_year == INT64_MAX);
    request->error = t_binding.told;
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
    t_binding.done = true;
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
    t_binding.client = t_client_of(REMOTE_VAULT, t_listener_port(), t_binding.auth);
    struct port_vault *port = remote_client_vault(t_binding.client);
    for (uint32_t i = 0; i <= PORT_VAULT_UNKNOWN_TOKEN + T_BINDING_ERRORS; i++) {
        struct port_vault_tokenize request = {
            .reply_to = t_reply_to(),
            .done = vault_done,
            .trace = t_binding_trace,
            .scope = 9,
            .number = SPAN("4242 4242\t4242\"4242"),
            .cvc = SPAN("123"),
            .exp_month = -1,
            .exp_year = INT64_MAX,
        };
        bool good = i <= PORT_VAULT_UNKNOWN_TOKEN;
        vault_outcome = good ? (enum port_vault_outcome)i : PORT_VAULT_OK;
        t_binding.told = good ? ERR_OK : t_binding_errors[i - PORT_VAULT_UNKNOWN_TOKEN - 1].told;
        t_binding.done = false;
        port->tokenize(port, &request);
        t_wait(&t_binding.done);
        assert_int_equal(request.error, t_binding.told);
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
    t_binding_expect_trace();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_rail_outcomes, t_binding_setup, t_binding_teardown),
        cmocka_unit_test_setup_teardown(test_disputes, t_binding_setup, t_binding_teardown),
        cmocka_unit_test_setup_teardown(test_bank, t_binding_setup, t_binding_teardown),
        cmocka_unit_test_setup_teardown(test_rail_errors, t_binding_setup, t_binding_teardown),
        cmocka_unit_test_setup_teardown(test_network, t_binding_setup, t_binding_teardown),
        cmocka_unit_test_setup_teardown(test_vault, t_binding_setup, t_binding_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
