/* Card data goes to the vault and nowhere else (M6). */
#include "testing.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NUMBER "4242424242424242"
#define CARD                                                                                       \
    "method[card][number]=" NUMBER                                                                 \
    "&method[card][exp_month]=12&method[card][exp_year]=2030&method[card][cvc]=987"

/* True if the request's memory still holds the number or the code. */
static bool
t_memory_holds(const struct t_call *call, const char *secret)
{
    const struct form_node *card = form_find(call->request.params, "method[card]");
    for (const struct form_node *node = card->first_child; node != NULL; node = node->next) {
        if (span_equal_cstr(node->text, secret)) {
            return true;
        }
    }
    return false;
}

static void
the_number_is_gone_before_the_handler(void **state)
{
    struct t_world *world = *state;
    struct t_call *call = t_send(world, T_CARD, NULL, CARD);
    struct span number = form_find(call->request.params, "method[card][number]")->text;
    struct span cvc = form_find(call->request.params, "method[card][cvc]")->text;
    assert_true(span_equal_cstr(number, NUMBER));
    t_run(world);
    assert_int_equal(call->request.status, 200);
    assert_string_equal(t_text(call, "token"), "card_1");
    assert_true(json_is_false(t_json(call, "number_seen")));
    assert_int_equal(world->vault.asked, 1);
    assert_memory_equal(world->vault.seen_number, NUMBER, sizeof(NUMBER));
    for (size_t i = 0; i < number.size; i++) {
        assert_int_equal(number.data[i], 0);
    }
    for (size_t i = 0; i < cvc.size; i++) {
        assert_int_equal(cvc.data[i], 0);
    }
    assert_false(t_memory_holds(call, NUMBER));
}

static void
it_is_wiped_when_the_request_is_refused(void **state)
{
    struct t_world *world = *state;
    struct t_call *call = t_send(world, T_CARD, NULL, CARD);
    struct span number = form_find(call->request.params, "method[card][number]")->text;
    call->request.api_key = SPAN("sk_test_wrong");
    t_run(world);
    assert_int_equal(call->request.status, 401);
    assert_int_equal(world->vault.asked, 0);
    assert_int_equal(number.data[0], 0);
    call = t_send(world, T_CARD, NULL, "method[card][number]=" NUMBER);
    number = form_find(call->request.params, "method[card][number]")->text;
    t_run(world);
    t_expect_error(call, 400, "parameter_missing", "method[card][exp_month]");
    assert_int_equal(number.data[0], 0);
    call = t_do(world, T_CARD, NULL, "method[card][number]=4&method[card][exp_month]=x");
    t_expect_error(call, 400, "parameter_invalid_integer", "method[card][exp_month]");
    assert_int_equal(world->vault.asked, 0);
}

static void
outcomes_are_card_errors(void **state)
{
    struct t_world *world = *state;

    static const struct {
        enum port_vault_outcome outcome;
        const char *code;
        const char *param;
    } cases[] = {
        {PORT_VAULT_INVALID_NUMBER, "invalid_number", "number"},
        {PORT_VAULT_INCORRECT_NUMBER, "incorrect_number", "number"},
        {PORT_VAULT_INVALID_MONTH, "invalid_expiry_month", "exp_month"},
        {PORT_VAULT_INVALID_YEAR, "invalid_expiry_year", "exp_year"},
        {PORT_VAULT_INVALID_CVC, "invalid_cvc", "cvc"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        world->vault.outcome = cases[i].outcome;
        struct t_call *call = t_do(world, T_CARD, NULL, CARD);
        t_expect_error(call, 402, cases[i].code, cases[i].param);
        assert_string_equal(t_text(call, "error.type"), "card_error");
    }
    world->vault.error = ERR_IO;
    t_expect_error(t_do(world, T_CARD, NULL, CARD), 500, "", NULL);
}

static void
no_card_means_no_vault(void **state)
{
    struct t_world *world = *state;
    assert_int_equal(t_do(world, T_CARD, NULL, NULL)->request.status, 200);
    struct t_call *call = t_do(world, T_CARD, NULL, "method[card][exp_month]=1");
    assert_string_equal(t_text(call, "token"), "");
    call = t_do(world, T_CARD, NULL, "method[card][number][x]=1");
    assert_int_equal(call->request.status, 400);
    assert_int_equal(world->vault.asked, 0);
}

/* Nobody has shown a right yet: the handler says whether the vault gets to see it. */
static void
a_public_route_keeps_no_card_by_itself(void **state)
{
    static const char form[] = "card[number]=" NUMBER "&card[cvc]=987";
    struct t_world *world = *state;
    struct t_call *call = t_send(world, T_PAGE_CARD, "2", form);
    struct span number = form_find(call->request.params, "card[number]")->text;
    struct span cvc = form_find(call->request.params, "card[cvc]")->text;
    t_run(world);
    assert_int_equal(call->request.status, 200);
    assert_true(json_is_true(t_json(call, "number")));
    assert_true(json_is_true(t_json(call, "cvc")));
    assert_true(json_is_false(t_json(call, "number_seen")));
    assert_int_equal(world->vault.asked, 0);
    for (size_t i = 0; i < number.size; i++) {
        assert_int_equal(number.data[i], 0);
    }
    for (size_t i = 0; i < cvc.size; i++) {
        assert_int_equal(cvc.data[i], 0);
    }
    call = t_do(world, T_PAGE_CARD, "2", "card[number]=&name=x");
    assert_true(json_is_false(t_json(call, "number")));
}

static void
a_handler_gives_it_to_the_vault(void **state)
{
    struct t_world *world = *state;
    struct t_call *call =
        t_send(world, T_PAGE_CARD, "2", "card[number]=" NUMBER "&card[cvc]=987&name=good");
    struct span number = form_find(call->request.params, "card[number]")->text;
    t_run(world);
    assert_string_equal(t_text(call, "token"), "card_1");
    assert_int_equal(world->vault.asked, 1);
    assert_memory_equal(world->vault.seen_number, NUMBER, sizeof(NUMBER));
    assert_int_equal(number.data[0], 0);
    /* What the vault finds is the handler's to tell. */
    world->vault.outcome = PORT_VAULT_INCORRECT_NUMBER;
    call = t_do(world, T_PAGE_CARD, "2", "card[number]=" NUMBER "&name=good");
    assert_int_equal(call->request.status, 200);
    assert_int_equal(json_integer_value(t_json(call, "outcome")), (int)PORT_VAULT_INCORRECT_NUMBER);
    /* Refused before the handler: the number is in no error, and gone. */
    call = t_send(world, T_PAGE_CARD, "2", "card[number]=" NUMBER "&name=good&other=1");
    number = form_find(call->request.params, "card[number]")->text;
    t_run(world);
    t_expect_error(call, 400, "parameter_unknown", "other");
    assert_int_equal(number.data[0], 0);
    assert_int_equal(world->vault.asked, 2);
}

static void
idempotency_compares_cards_by_fingerprint(void **state)
{
    struct t_world *world = *state;
    static const char other[] = "method[card][number]=5555555555554444&method[card][exp_month]=12&"
                                "method[card][exp_year]=2030&method[card][cvc]=987";
    struct t_call *first = t_do_with_key(world, T_CARD, NULL, CARD, "k1");
    assert_int_equal(first->request.status, 200);
    struct t_call *same = t_do_with_key(world, T_CARD, NULL, CARD, "k1");
    assert_true(same->request.replayed);
    world->vault.outcome = PORT_VAULT_OK;
    /* The test vault's fingerprint is made of the first and last digits. */
    struct t_call *different = t_do_with_key(world, T_CARD, NULL, other, "k1");
    assert_true(different->request.replayed == false);
    assert_string_equal(t_text(different, "error.type"), "idempotency_error");
    /* A refused card is an outcome of its own, and kept. */
    world->vault.outcome = PORT_VAULT_INCORRECT_NUMBER;
    struct t_call *wrong = t_do_with_key(world, T_CARD, NULL, CARD, "k2");
    assert_int_equal(wrong->request.status, 402);
    struct t_call *again = t_do_with_key(world, T_CARD, NULL, CARD, "k2");
    assert_int_equal(again->request.status, 402);
    assert_true(again->request.replayed);
    world->vault.outcome = PORT_VAULT_OK;
    struct t_call *mended = t_do_with_key(world, T_CARD, NULL, CARD, "k2");
    assert_string_equal(t_text(mended, "error.type"), "idempotency_error");
}

static void
nothing_stored_holds_the_number(void **state)
{
    struct t_world *world = *state;
    (void)t_do_with_key(world, T_CARD, NULL, CARD, "k1");
    static const char *const names[] = {"d.db", "d.db-wal"};
    for (size_t i = 0; i < 2; i++) {
        char path[128];
        (void)snprintf(path, sizeof(path), "%s/%s", world->folder, names[i]);
        FILE *file = fopen(path, "rb");
        assert_non_null(file);

        enum {
            SIZE = 4 << 20
        };

        char *text = malloc(SIZE);
        assert_non_null(text);
        size_t size = fread(text, 1, SIZE, file);
        assert_true(size > 0 && size < SIZE);
        assert_null(memmem(text, size, NUMBER, strlen(NUMBER)));
        free(text);
        assert_int_equal(fclose(file), 0);
    }
}

int
main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, t_setup, t_teardown)
    const struct CMUnitTest tests[] = {
        T(the_number_is_gone_before_the_handler),
        T(it_is_wiped_when_the_request_is_refused),
        T(outcomes_are_card_errors),
        T(no_card_means_no_vault),
        T(a_public_route_keeps_no_card_by_itself),
        T(a_handler_gives_it_to_the_vault),
        T(idempotency_compares_cards_by_fingerprint),
        T(nothing_stored_holds_the_number),
    };
    return T_RUN("resource card", tests);
}
