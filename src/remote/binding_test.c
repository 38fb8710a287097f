/* The ports of wallets and codes, over HTTP to fakes of them and back, as in binding_ledger_test.c;
 * and what all bindings have in common. */
#include "binding_testing.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

/* --------------------------------------------------------------------------- wallet, mobile --- */

static enum port_wallet_outcome wallet_outcome;

static void
wallet_fake(struct port_wallet_request *request)
{
    t_binding.traced = request->trace;
    assert_int_equal(request->movement.scope, 5);
    assert_string_equal(request->movement.wallet, "wal_1");
    assert_int_equal(request->movement.direction, PORT_WALLET_IN);
    assert_int_equal(request->movement.amount.amount, 77);
    request->error = t_binding.told;
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
    t_binding.done = true;
}

static void
test_wallet(void **state)
{
    (void)state;
    t_ports.on_wallet = wallet_fake;
    t_binding.client = t_client_of(REMOTE_WALLET, t_listener_port(), t_binding.auth);
    struct port_wallet *port = remote_client_wallet(t_binding.client);
    for (uint32_t i = 0; i <= PORT_WALLET_REFUSED + T_BINDING_ERRORS; i++) {
        struct port_wallet_request request = {
            .reply_to = t_reply_to(),
            .done = wallet_done,
            .trace = t_binding_trace,
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
        t_binding.told = good ? ERR_OK : t_binding_errors[i - PORT_WALLET_REFUSED - 1].told;
        t_binding.done = false;
        port->submit(port, &request);
        t_wait(&t_binding.done);
        assert_int_equal(request.error, t_binding.told);
        if (good) {
            assert_int_equal(request.outcome, i);
            assert_int_equal(request.movement.reserved_at, 1234567890);
            assert_string_equal(request.code, "wallet_limit_day");
            assert_string_equal(request.message, "Too much for a day.");
            assert_string_equal(request.customer, "cus_1");
            assert_ptr_equal(request.currency, currency_find(SPAN("EUR")));
        }
    }
    t_binding_expect_trace();
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
    t_binding.client = t_client_of(REMOTE_WALLET, t_listener_port(), t_binding.auth);

    struct port_wallet *port = remote_client_wallet(t_binding.client);
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
        remote_client_count(t_binding.client, &counters);
    }
    assert_int_equal(atomic_load(&t_ports.asked), 1);
    assert_int_equal(counters.answered, 1);
    assert_int_equal(counters.dropped, 0);
}

static enum port_mobile_outcome mobile_outcome;

static void
mobile_fake(struct port_mobile_request *request)
{
    t_binding.traced = request->trace;
    assert_int_equal(request->scope, 6);
    assert_string_equal(request->code, "123456789012345678");
    assert_string_equal(request->payment, "pi_1");
    assert_string_equal(request->key, "k1");
    request->error = t_binding.told;
    request->outcome = mobile_outcome;
    (void)snprintf(request->wallet, sizeof(request->wallet), "wal_2");
}

static void
mobile_done(struct port_mobile_request *request)
{
    (void)request;
    t_binding.done = true;
}

static void
test_mobile(void **state)
{
    (void)state;
    t_ports.on_mobile = mobile_fake;
    t_binding.client = t_client_of(REMOTE_MOBILE, t_listener_port(), t_binding.auth);
    struct port_mobile *port = remote_client_mobile(t_binding.client);
    for (uint32_t i = 0; i <= PORT_MOBILE_LIMITED + T_BINDING_ERRORS; i++) {
        struct port_mobile_request request = {
            .reply_to = t_reply_to(),
            .done = mobile_done,
            .trace = t_binding_trace,
            .scope = 6,
            .code = "123456789012345678",
            .payment = "pi_1",
            .key = "k1",
        };
        bool good = i <= PORT_MOBILE_LIMITED;
        mobile_outcome = good ? (enum port_mobile_outcome)i : PORT_MOBILE_OK;
        t_binding.told = good ? ERR_OK : t_binding_errors[i - PORT_MOBILE_LIMITED - 1].told;
        t_binding.done = false;
        port->use_code(port, &request);
        t_wait(&t_binding.done);
        assert_int_equal(request.error, t_binding.told);
        if (good) {
            assert_int_equal(request.outcome, i);
            assert_string_equal(request.wallet, "wal_2");
        }
    }
    t_binding_expect_trace();
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
    t_binding.client = t_client(REMOTE_RAIL, endpoint, t_binding.auth, &settings);
    remote_client_look(t_binding.client, &look);
    assert_false(look.reached);
    assert_true(remote_client_rail(t_binding.client)->simulated); /* until it is known */
    remote_client_start(t_binding.client);
    t_client_reached(t_binding.client);
    assert_false(remote_client_rail(t_binding.client)->simulated);
    remote_client_look(t_binding.client, &look);
    assert_true(look.ready);
    atomic_store(&t_is_ready, false);
    for (int i = 0; i < 5000 && look.ready; i++) {
        (void)nanosleep(&pause, NULL);
        remote_client_look(t_binding.client, &look);
    }
    assert_true(look.reached);
    assert_false(look.ready);
    assert_string_equal(look.why, "it is not ready");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_wallet, t_binding_setup, t_binding_teardown),
        cmocka_unit_test_setup_teardown(test_wallet_release, t_binding_setup, t_binding_teardown),
        cmocka_unit_test_setup_teardown(test_mobile, t_binding_setup, t_binding_teardown),
        cmocka_unit_test_setup_teardown(test_hello, t_binding_setup, t_binding_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
