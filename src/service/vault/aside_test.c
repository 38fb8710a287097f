/* Damaged cards: a rotation sets them aside, and they are discarded, and no other card is
 * (VAULT-7). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cards_testing.h"
#include "private.h"

#include <stdio.h>
#include <string.h>

/* Each of the first `count`, in one start. */
static void
t_damage_first(struct t_bench *bench, uint32_t count)
{
    static struct t_change changes[T_CARDS_MAX];
    for (uint32_t i = 0; i < count; i++) {
        const struct t_card *card = &t_cards.all[i];
        changes[i] =
            (struct t_change){card->scope, card->answer.token, VAULT_CARD_SEALED, SPAN_EMPTY};
    }
    t_change(bench, changes, count);
}

static void
t_rotate_to_the_end(struct t_bench *bench)
{
    assert_int_equal(t_rotate(bench), ERR_OK);
    t_finish(bench);
}

/* The row's sealed number and body, as they are now. */
static void
t_assert_row(struct t_bench *bench, const struct t_card *card, struct span sealed, const char *body)
{
    struct arena arena;
    struct document_row row;
    t_stop(bench);
    struct document_store *documents = t_open_documents(bench);
    struct span id = span_from_cstr(card->answer.token);
    arena_init(&arena, 1 << 16);
    assert_int_equal(
        documents->ops->get(documents, &vault_card_kind, card->scope, id, &arena, &row), ERR_OK);
    assert_true(span_equal(row.columns[VAULT_CARD_SEALED].text, sealed));
    assert_true(span_equal_cstr(row.columns[VAULT_CARD_KEY].text, VAULT_SET_ASIDE));
    assert_true(span_starts_with(row.body, span_from_cstr(body)));
    documents->ops->close(documents);
    arena_release(&arena);
    t_start(bench);
}

/* Damaged cards hold up no other and no rotation; their rows stay as they are, and are told of. */
static void
test_damaged_cards(void **state)
{
    struct t_bench *bench = *state;
    char zeros[VAULT_SEALED_SIZE];
    static char longer[4 * VAULT_SEALED_SIZE];
    t_add_many(bench, 150);
    const struct t_card *damaged[] = {&t_cards.all[0], &t_cards.all[120], &t_cards.all[121]};
    memset(zeros, '0', sizeof(zeros));
    memset(longer, 'f', sizeof(longer));
    const struct span texts[] = {
        span_of(zeros, sizeof(zeros)), span_of(longer, sizeof(longer)), SPAN_EMPTY};
    for (uint32_t i = 0; i < 3; i++) {
        t_damage(bench, damaged[i], texts[i]);
    }
    assert_int_equal(t_look(bench).aside.count, 0); /* nobody has looked */
    t_rotate_to_the_end(bench);
    struct vault_rotation rotation = t_look(bench);
    assert_int_equal(rotation.cards, 147);
    assert_int_equal(rotation.aside.count, 3);
    assert_int_equal(rotation.aside.shown, 3);
    for (uint32_t i = 0; i < 3; i++) {
        bool told = false;
        for (uint32_t j = 0; j < rotation.aside.shown; j++) {
            told = told || strcmp(rotation.aside.tokens[j], damaged[i]->answer.token) == 0;
        }
        assert_true(told);
        t_assert_row(bench, damaged[i], texts[i], "{\"key\":\"dk_");
    }
    assert_false(t_is_there(bench, "master.key"));
    assert_int_equal(t_count(bench, &vault_data_key_kind), 2); /* the fingerprints', and one */
    /* After a start, and another rotation, it is told as before. */
    assert_int_equal(t_look(bench).aside.count, 3);
    t_rotate_to_the_end(bench);
    assert_int_equal(t_look(bench).aside.count, 3);
    for (uint32_t i = 0; i < t_cards.count; i++) {
        struct t_card *card = &t_cards.all[i];
        if (card != damaged[0] && card != damaged[1] && card != damaged[2]) {
            t_check_one(bench, card);
            continue;
        }
        assert_int_equal(t_authorize(bench, card->scope, card->answer.token), ERR_CORRUPT);
        /* Whoever gives the number again has a card that works, and the same fingerprint. */
        struct port_vault_card again = t_tokenize(bench, card->scope, card->number, "").card;
        assert_string_equal(again.fingerprint, card->answer.fingerprint);
        assert_string_not_equal(again.token, card->answer.token);
        card->answer = again;
        t_check_one(bench, card);
    }
}

/* While the older key is there, too, its number gets another card. */
static void
test_a_damaged_card_comes_again_in_a_rotation(void **state)
{
    struct t_bench *bench = *state;
    t_add_many(bench, 250);
    struct t_card *card = &t_cards.all[0];
    t_damage(bench, card, SPAN_EMPTY);
    assert_int_equal(t_rotate(bench), ERR_OK);
    assert_true(os_sim_run_for(bench->sim, 11 * OS_NS_PER_MS, T_STEPS));
    assert_int_equal(t_look(bench).aside.count, 1);
    assert_true(t_look(bench).under_way);
    struct port_vault_card again = t_tokenize(bench, card->scope, card->number, "").card;
    assert_string_not_equal(again.token, card->answer.token);
    card->answer = again;
    t_check(bench);
    t_finish(bench);
    t_check(bench);
}

/* --------------------------------------------------------------------------------- discarding */

static void
discarded(struct vault_discard *request)
{
    (void)request;
}

static err_t
t_discard(struct t_bench *bench, const char *token, uint32_t *ret_discarded)
{
    struct vault_discard request = {
        .reply_to = os_loop_executor(bench->loop), .done = discarded, .error = ERR_MEMORY};
    (void)snprintf(request.token, sizeof(request.token), "%s", token);
    vault_discard(bench->vault, &request);
    assert_true(os_sim_run_until_idle(bench->sim, T_STEPS));
    *ret_discarded = request.discarded;
    return request.error;
}

static err_t
t_pay(struct t_bench *bench, uint32_t index)
{
    const struct t_card *card = &t_cards.all[index];
    return t_authorize(bench, card->scope, card->answer.token);
}

static void
test_one(void **state)
{
    struct t_bench *bench = *state;
    uint32_t count = 0;
    t_add_many(bench, 4);
    t_damage(bench, &t_cards.all[0], SPAN_EMPTY);
    t_damage(bench, &t_cards.all[2], SPAN_EMPTY);
    /* It is damaged, but no rotation has found that out. */
    assert_int_equal(t_discard(bench, t_cards.all[0].answer.token, &count), ERR_NOT_FOUND);
    t_rotate_to_the_end(bench);
    assert_int_equal(t_look(bench).aside.count, 2);
    assert_int_equal(t_pay(bench, 0), ERR_CORRUPT);
    /* Neither what can be read nor what is not there. */
    assert_int_equal(t_discard(bench, t_cards.all[1].answer.token, &count), ERR_NOT_FOUND);
    assert_int_equal(t_discard(bench, "card_none", &count), ERR_NOT_FOUND);
    assert_int_equal(count, 0);
    assert_int_equal(t_look(bench).aside.count, 2);

    assert_int_equal(t_discard(bench, t_cards.all[0].answer.token, &count), ERR_OK);
    assert_int_equal(count, 1);
    assert_int_equal(t_discard(bench, t_cards.all[0].answer.token, &count), ERR_NOT_FOUND);
    for (int starts = 0; starts < 2; starts++) {
        struct vault_rotation rotation = t_look(bench);
        assert_int_equal(rotation.aside.count, 1);
        assert_int_equal(rotation.aside.shown, 1);
        assert_string_equal(rotation.aside.tokens[0], t_cards.all[2].answer.token);
        /* What a cache had of it has gone with it. */
        assert_int_equal(t_pay(bench, 0), ERR_NOT_FOUND);
        assert_int_equal(t_pay(bench, 2), ERR_CORRUPT);
        t_check_one(bench, &t_cards.all[1]);
        t_check_one(bench, &t_cards.all[3]);
        t_stop(bench);
        t_start(bench);
    }
    /* Its number makes another card. */
    const struct t_card *card = &t_cards.all[0];
    struct port_vault_card again = t_tokenize(bench, card->scope, card->number, "").card;
    assert_string_not_equal(again.token, card->answer.token);
    assert_int_equal(t_authorize(bench, card->scope, again.token), ERR_OK);
}

/* More than are shown, and more than a step has. */
static void
test_all(void **state)
{
    struct t_bench *bench = *state;
    const uint32_t damaged = 2 * VAULT_STEP_CARDS + 3;
    uint32_t count = 0;
    t_add_many(bench, damaged + 5);
    assert_int_equal(t_discard(bench, "", &count), ERR_OK);
    assert_int_equal(count, 0);
    t_damage_first(bench, damaged);
    t_rotate_to_the_end(bench);
    assert_int_equal(t_look(bench).aside.count, damaged);
    assert_int_equal(t_look(bench).aside.shown, VAULT_UNREADABLE_SHOWN);
    /* One goes, and another is shown in its place. */
    assert_int_equal(t_discard(bench, t_look(bench).aside.tokens[0], &count), ERR_OK);
    assert_int_equal(t_look(bench).aside.count, damaged - 1);
    assert_int_equal(t_look(bench).aside.shown, VAULT_UNREADABLE_SHOWN);

    assert_int_equal(t_discard(bench, "", &count), ERR_OK);
    assert_int_equal(count, damaged - 1);
    for (int starts = 0; starts < 2; starts++) {
        assert_int_equal(t_look(bench).aside.count, 0);
        assert_int_equal(t_look(bench).aside.shown, 0);
        for (uint32_t i = 0; i < t_cards.count; i++) {
            if (i < damaged) {
                assert_int_equal(t_pay(bench, i), ERR_NOT_FOUND);
            } else {
                t_check_one(bench, &t_cards.all[i]);
            }
        }
        t_stop(bench);
        t_start(bench);
    }
    t_rotate_to_the_end(bench);
    assert_int_equal(t_look(bench).aside.count, 0);
}

/* A row that says that it is damaged, and opens. */
static void
test_what_opens_stays(void **state)
{
    struct t_bench *bench = *state;
    uint32_t count = 0;
    t_add_many(bench, 3);
    t_damage(bench, &t_cards.all[1], SPAN_EMPTY);
    t_rotate_to_the_end(bench);
    const struct t_change change = {
        t_cards.all[0].scope, t_cards.all[0].answer.token, VAULT_CARD_KEY, SPAN(VAULT_SET_ASIDE)};
    t_change(bench, &change, 1);
    assert_int_equal(t_look(bench).aside.count, 2);
    assert_int_equal(t_discard(bench, t_cards.all[0].answer.token, &count), ERR_DENIED);
    assert_int_equal(count, 0);
    /* Of all it is the other one, which comes behind it. */
    assert_int_equal(t_discard(bench, "", &count), ERR_OK);
    assert_int_equal(count, 1);
    assert_int_equal(t_look(bench).aside.count, 1);
    assert_string_equal(t_look(bench).aside.tokens[0], t_cards.all[0].answer.token);
    assert_int_equal(t_pay(bench, 1), ERR_NOT_FOUND);
}

static void
t_damage_in_rotation(struct t_bench *bench)
{
    t_add_many(bench, 350);
    t_damage_first(bench, 20);
    assert_int_equal(t_rotate(bench), ERR_OK);
    assert_true(os_sim_run_for(bench->sim, 11 * OS_NS_PER_MS, T_STEPS));
    assert_true(t_look(bench).under_way);
}

/* Both go on, to their ends. */
static void
test_beside_a_rotation(void **state)
{
    struct t_bench *bench = *state;
    uint32_t count = 0;
    t_damage_in_rotation(bench);
    uint32_t before = t_look(bench).aside.count;
    assert_int_equal(before, 20);
    assert_int_equal(t_discard(bench, "", &count), ERR_OK);
    assert_int_equal(count, 20);
    t_finish(bench);
    assert_int_equal(t_look(bench).aside.count, 0);
    assert_int_equal(t_look(bench).cards, 330);
    for (uint32_t i = 20; i < t_cards.count; i++) {
        t_check_one(bench, &t_cards.all[i]);
    }
}

static void
test_commit_fails(void **state)
{
    struct t_bench *bench = *state;
    uint32_t count = 0;
    t_add_many(bench, VAULT_STEP_CARDS + 10);
    t_damage_first(bench, t_cards.count);
    t_rotate_to_the_end(bench);
    for (uint32_t succeed = 0; succeed < 2; succeed++) {
        t_fail_commit(bench->vault->documents, succeed);
        assert_int_equal(t_discard(bench, "", &count), ERR_DISK_FULL);
        assert_int_equal(count, succeed * VAULT_STEP_CARDS);
        assert_int_equal(t_look(bench).aside.count, t_cards.count - count);
        assert_int_equal(t_pay(bench, t_cards.count - 1), ERR_CORRUPT);
    }
    assert_int_equal(t_discard(bench, "", &count), ERR_OK);
    assert_int_equal(count, 10);
    assert_int_equal(t_look(bench).aside.count, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_damaged_cards, t_cards_setup, t_teardown),
        cmocka_unit_test_setup_teardown(
            test_a_damaged_card_comes_again_in_a_rotation, t_cards_setup, t_teardown),
        cmocka_unit_test_setup_teardown(test_one, t_cards_setup, t_teardown),
        cmocka_unit_test_setup_teardown(test_all, t_cards_setup, t_teardown),
        cmocka_unit_test_setup_teardown(test_what_opens_stays, t_cards_setup, t_teardown),
        cmocka_unit_test_setup_teardown(test_beside_a_rotation, t_cards_setup_of_one, t_teardown),
        cmocka_unit_test_setup_teardown(test_commit_fails, t_cards_setup_of_one, t_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
