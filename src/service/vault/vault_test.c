#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "card.h"
#include "cvc.h"
#include "testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void
test_tokenize_and_authorize(void **state)
{
    struct t_bench *bench = *state;
    struct port_vault_tokenize request = t_tokenize(bench, 2, T_NUMBER, "987");
    assert_int_equal(request.outcome, PORT_VAULT_OK);
    assert_string_equal(request.card.brand, "visa");
    assert_string_equal(request.card.last4, "4242");
    assert_string_equal(request.card.funding, "credit");
    assert_int_equal(strlen(request.card.fingerprint), 16);
    assert_int_equal(t_authorize(bench, 2, request.card.token), ERR_OK);
    assert_string_equal(bench->network.seen.number, T_NUMBER);
    assert_string_equal(bench->network.seen.cvc, "987");
    assert_int_equal(bench->network.seen.exp_year, 2030);
    /* VAULT-4: the second authorization has no code any more. */
    assert_int_equal(t_authorize(bench, 2, request.card.token), ERR_OK);
    assert_string_equal(bench->network.seen.cvc, "");
}

static void
test_same_card_same_token(void **state)
{
    struct t_bench *bench = *state;
    struct port_vault_tokenize first = t_tokenize(bench, 2, T_NUMBER, "");
    struct port_vault_tokenize again = t_tokenize(bench, 2, "4242 4242-4242 4242", "");
    struct port_vault_tokenize other_mode = t_tokenize(bench, 3, T_NUMBER, "");
    struct port_vault_tokenize other_merchant = t_tokenize(bench, 4, T_NUMBER, "");
    assert_string_equal(first.card.token, again.card.token);
    assert_string_not_equal(first.card.token, other_mode.card.token);
    assert_string_equal(first.card.fingerprint, other_mode.card.fingerprint);
    assert_string_not_equal(first.card.fingerprint, other_merchant.card.fingerprint);
    /* A token is worth nothing in another scope. */
    assert_int_equal(t_authorize(bench, 4, first.card.token), ERR_NOT_FOUND);
    assert_int_equal(bench->network.count, 0);
}

/* The number stays where it is: whoever has the token says what else changed of the card. */
static void
test_same_card_other_expiry(void **state)
{
    struct t_bench *bench = *state;
    struct port_vault_tokenize first = t_tokenize(bench, 2, T_NUMBER, "123");
    struct port_vault_tokenize renewed = {
        .reply_to = os_loop_executor(bench->loop),
        .done = t_ignore,
        .scope = 2,
        .token = span_from_cstr(first.card.token),
        .exp_month = 3,
        .exp_year = 2041,
    };
    for (int i = 0; i < 2; i++) {
        vault_port(bench->vault)->tokenize(vault_port(bench->vault), &renewed);
        assert_true(os_sim_run_until_idle(bench->sim, T_STEPS));
        assert_int_equal(renewed.error, ERR_OK);
        assert_int_equal(renewed.outcome, PORT_VAULT_OK);
        assert_string_not_equal(renewed.card.token, first.card.token);
        assert_string_equal(renewed.card.fingerprint, first.card.fingerprint);
        assert_string_equal(renewed.card.last4, "4242");
        assert_false(renewed.card.cvc_provided);
        assert_int_equal(t_authorize(bench, 2, renewed.card.token), ERR_OK);
        assert_string_equal(bench->network.seen.number, T_NUMBER);
        assert_int_equal(bench->network.seen.exp_year, 2041);
        assert_int_equal(bench->network.seen.exp_month, 3);
        t_stop(bench);
        t_start(bench);
        renewed.reply_to = os_loop_executor(bench->loop);
    }
    /* Whoever pays with the old one is not disturbed. */
    assert_int_equal(t_authorize(bench, 2, first.card.token), ERR_OK);
    assert_int_equal(bench->network.seen.exp_year, 2030);
}

static void
test_no_such_token(void **state)
{
    static const char *const tokens[] = {
        "card_none", "card_00000000000000000000000000000000000000000000000000"};
    struct t_bench *bench = *state;
    struct port_vault_tokenize first = t_tokenize(bench, 2, T_NUMBER, "");
    for (uint32_t i = 0; i < 3; i++) {
        struct port_vault_tokenize request = {
            .reply_to = os_loop_executor(bench->loop),
            .done = t_ignore,
            .scope = i < 2 ? 2 : 4, /* another merchant's */
            .token = span_from_cstr(i < 2 ? tokens[i] : first.card.token),
            .exp_month = 12,
            .exp_year = 2031,
        };
        vault_port(bench->vault)->tokenize(vault_port(bench->vault), &request);
        assert_true(os_sim_run_until_idle(bench->sim, T_STEPS));
        assert_int_equal(request.error, ERR_OK);
        assert_int_equal(request.outcome, PORT_VAULT_UNKNOWN_TOKEN);
        assert_string_equal(request.card.token, "");
    }
}

static void
test_restart_keeps_cards(void **state)
{
    struct t_bench *bench = *state;
    struct port_vault_tokenize before = t_tokenize(bench, 2, T_NUMBER, "123");
    struct port_vault_tokenize other = t_tokenize(bench, 2, "5555555555554444", "123");
    t_stop(bench);
    t_start(bench);
    struct port_vault_tokenize after = t_tokenize(bench, 2, T_NUMBER, "");
    assert_string_equal(before.card.token, after.card.token);
    assert_string_equal(before.card.fingerprint, after.card.fingerprint);
    assert_int_equal(t_authorize(bench, 2, before.card.token), ERR_OK);
    assert_string_equal(bench->network.seen.number, T_NUMBER);
    assert_string_equal(bench->network.seen.cvc, "");
    assert_int_equal(t_authorize(bench, 2, other.card.token), ERR_OK);
    assert_string_equal(bench->network.seen.number, "5555555555554444");
}

static void
test_nothing_readable_on_disk(void **state)
{
    struct t_bench *bench = *state;
    struct port_vault_tokenize request = t_tokenize(bench, 2, "4000056655665556", "739");
    static const char *const names[] = {"vault.db", "vault.db-wal"};
    bool token_found = false;
    for (size_t i = 0; i < 2; i++) {
        assert_false(t_file_holds(bench, names[i], "4000056655665556"));
        assert_false(t_file_holds(bench, names[i], "739\""));
        token_found = token_found || t_file_holds(bench, names[i], request.card.token);
    }
    assert_true(token_found); /* so the search does find what is there */
    struct stat info;
    char path[256];
    (void)snprintf(path, sizeof(path), "%s/master.key", bench->folder);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
}

static void
test_bad_cards(void **state)
{
    static const struct {
        const char *number;
        int64_t month, year;
        const char *cvc;
        enum port_vault_outcome outcome;
    } cases[] = {
        {"4242424242424241", 12, 2030, "123", PORT_VAULT_INCORRECT_NUMBER},
        {"42424242424", 12, 2030, "123", PORT_VAULT_INVALID_NUMBER},
        {"42424242424242424242", 12, 2030, "123", PORT_VAULT_INVALID_NUMBER},
        {"4242x24242424242", 12, 2030, "123", PORT_VAULT_INVALID_NUMBER},
        {"", 12, 2030, "123", PORT_VAULT_INVALID_NUMBER},
        {T_NUMBER, 13, 2030, "123", PORT_VAULT_INVALID_MONTH},
        {T_NUMBER, 0, 2030, "123", PORT_VAULT_INVALID_MONTH},
        {T_NUMBER, 12, 2025, "123", PORT_VAULT_INVALID_YEAR},
        {T_NUMBER, 12, 2077, "123", PORT_VAULT_INVALID_YEAR},
        {T_NUMBER, 12, -1, "123", PORT_VAULT_INVALID_YEAR},
        {T_NUMBER, 12, 2030, "12", PORT_VAULT_INVALID_CVC},
        {T_NUMBER, 12, 2030, "1234", PORT_VAULT_INVALID_CVC},
        {T_NUMBER, 12, 2030, "12a", PORT_VAULT_INVALID_CVC},
        {"378282246310005", 12, 2030, "1234", PORT_VAULT_OK},
        {T_NUMBER, 1, 2026, "123", PORT_VAULT_OK}, /* the clock says January 2026 */
        {T_NUMBER, 1, 26, "123", PORT_VAULT_OK},
    };
    struct t_bench *bench = *state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct port_vault_tokenize request = {
            .reply_to = os_loop_executor(bench->loop),
            .done = t_ignore,
            .scope = 2,
            .number = span_from_cstr(cases[i].number),
            .cvc = span_from_cstr(cases[i].cvc),
            .exp_month = cases[i].month,
            .exp_year = cases[i].year,
        };
        vault_port(bench->vault)->tokenize(vault_port(bench->vault), &request);
        assert_true(os_sim_run_until_idle(bench->sim, T_STEPS));
        assert_int_equal(request.error, ERR_OK);
        assert_int_equal(request.outcome, cases[i].outcome);
    }
}

static void
test_test_tokens(void **state)
{
    struct t_bench *bench = *state;

    static const struct {
        const char *token;
        const char *last4;
    } tokens[] = {
        {"pm_card_visa", "4242"},
        {"tok_visa", "4242"},
        {"pm_card_mastercard", "4444"},
        {"pm_card_visa_chargeDeclined", "0002"},
        {"pm_card_chargeDeclined", "0002"},
        {"pm_card_refundFail", "5126"},
    };

    for (size_t i = 0; i < sizeof(tokens) / sizeof(tokens[0]); i++) {
        struct port_vault_tokenize request = {
            .reply_to = os_loop_executor(bench->loop),
            .done = t_ignore,
            .scope = 2,
            .test_token = span_from_cstr(tokens[i].token),
        };
        vault_port(bench->vault)->tokenize(vault_port(bench->vault), &request);
        assert_true(os_sim_run_until_idle(bench->sim, T_STEPS));
        assert_int_equal(request.outcome, PORT_VAULT_OK);
        assert_string_equal(request.card.last4, tokens[i].last4);
    }
    assert_null(vault_card_of_test_token(SPAN("pm_card_nobody")));
    assert_null(vault_card_of_test_token(SPAN("pm_1")));
}

static void
test_codes_age_and_are_bounded(void **state)
{
    (void)state;
    struct vault_cvcs cvcs;
    char out[VAULT_CVC_SIZE];
    assert_int_equal(vault_cvcs_init(&cvcs), ERR_OK);
    vault_cvcs_put(&cvcs, "card_a", SPAN("111"), 1);
    vault_cvcs_take(&cvcs, "card_a", VAULT_CVC_AGE_NS, out);
    assert_string_equal(out, "111");
    vault_cvcs_put(&cvcs, "card_a", SPAN("111"), 1);
    vault_cvcs_take(&cvcs, "card_a", VAULT_CVC_AGE_NS + 1, out);
    assert_string_equal(out, "");
    for (uint32_t i = 0; i <= VAULT_CVC_MAX; i++) {
        char token[32];
        (void)snprintf(token, sizeof(token), "card_%u", i);
        vault_cvcs_put(&cvcs, token, SPAN("222"), 2);
    }
    vault_cvcs_take(&cvcs, "card_0", 3, out);
    assert_string_equal(out, ""); /* the oldest made room */
    vault_cvcs_take(&cvcs, "card_1", 3, out);
    assert_string_equal(out, "222");
    vault_cvcs_release(&cvcs);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_tokenize_and_authorize, t_setup, t_teardown),
        cmocka_unit_test_setup_teardown(test_same_card_same_token, t_setup, t_teardown),
        cmocka_unit_test_setup_teardown(test_same_card_other_expiry, t_setup, t_teardown),
        cmocka_unit_test_setup_teardown(test_no_such_token, t_setup, t_teardown),
        cmocka_unit_test_setup_teardown(test_restart_keeps_cards, t_setup, t_teardown),
        cmocka_unit_test_setup_teardown(test_nothing_readable_on_disk, t_setup, t_teardown),
        cmocka_unit_test_setup_teardown(test_bad_cards, t_setup, t_teardown),
        cmocka_unit_test_setup_teardown(test_test_tokens, t_setup, t_teardown),
        cmocka_unit_test(test_codes_age_and_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
