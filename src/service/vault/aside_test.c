/* VAULT-7: damaged cards that were set aside are discarded, and no other card is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "card.h"
#include "private.h"
#include "testing.h"

#include <stdio.h>
#include <string.h>

#define T_SCOPE     2
#define T_CARDS_MAX 400

struct t_cards {
    uint32_t count;
    char numbers[T_CARDS_MAX][VAULT_NUMBER_SIZE];
    char tokens[T_CARDS_MAX][PORT_VAULT_TOKEN_SIZE];
};

static struct t_cards cards; /* of one test */

static void
t_add(struct t_bench *bench, uint32_t count)
{
    memset(&cards, 0, sizeof(cards));
    for (uint32_t i = 0; i < count; i++) {
        char *number = cards.numbers[i];
        for (uint32_t check = 0; check < 10; check++) {
            (void)snprintf(number, VAULT_NUMBER_SIZE, "400000%09u%u", i, check);
            if (vault_card_check_digit(number)) {
                break;
            }
        }
        struct port_vault_card card = t_tokenize(bench, T_SCOPE, number, "").card;
        memcpy(cards.tokens[i], card.token, sizeof(cards.tokens[i]));
    }
    cards.count = count;
}

static void
t_damage_one(struct t_bench *bench, uint32_t index)
{
    t_damage(bench, T_SCOPE, cards.tokens[index], SPAN_EMPTY);
}

/* Each of the first `count`, in one start. */
static void
t_damage_first(struct t_bench *bench, uint32_t count)
{
    t_stop(bench);
    struct document_store *documents = t_open_documents(bench);
    const struct document_store_ops *ops = documents->ops;
    struct arena arena;
    arena_init(&arena, 1 << 20);
    assert_int_equal(ops->begin(documents), ERR_OK);
    for (uint32_t i = 0; i < count; i++) {
        struct document_row row;
        struct span id = span_from_cstr(cards.tokens[i]);
        assert_int_equal(ops->get(documents, &vault_card_kind, T_SCOPE, id, &arena, &row), ERR_OK);
        row.columns[VAULT_CARD_SEALED].text = SPAN_EMPTY;
        assert_int_equal(ops->update(documents, &vault_card_kind, &row), ERR_OK);
    }
    assert_int_equal(ops->commit(documents), ERR_OK);
    ops->close(documents);
    arena_release(&arena);
    t_start(bench);
}

static void
t_rotate_to_the_end(struct t_bench *bench)
{
    assert_int_equal(t_rotate(bench), ERR_OK);
    t_finish(bench);
}

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

static void
t_check_payable(struct t_bench *bench, uint32_t index)
{
    assert_int_equal(t_authorize(bench, T_SCOPE, cards.tokens[index]), ERR_OK);
    assert_string_equal(bench->network.seen.number, cards.numbers[index]);
}

static void
test_one(void **state)
{
    struct t_bench *bench = *state;
    uint32_t count = 0;
    t_add(bench, 4);
    t_damage_one(bench, 0);
    t_damage_one(bench, 2);
    /* It is damaged, but no rotation has found that out. */
    assert_int_equal(t_discard(bench, cards.tokens[0], &count), ERR_NOT_FOUND);
    t_rotate_to_the_end(bench);
    assert_int_equal(t_look(bench).unreadable, 2);
    assert_int_equal(t_authorize(bench, T_SCOPE, cards.tokens[0]), ERR_CORRUPT);
    /* Neither what can be read nor what is not there. */
    assert_int_equal(t_discard(bench, cards.tokens[1], &count), ERR_NOT_FOUND);
    assert_int_equal(t_discard(bench, "card_none", &count), ERR_NOT_FOUND);
    assert_int_equal(count, 0);
    assert_int_equal(t_look(bench).unreadable, 2);

    assert_int_equal(t_discard(bench, cards.tokens[0], &count), ERR_OK);
    assert_int_equal(count, 1);
    assert_int_equal(t_discard(bench, cards.tokens[0], &count), ERR_NOT_FOUND);
    for (int starts = 0; starts < 2; starts++) {
        struct vault_rotation rotation = t_look(bench);
        assert_int_equal(rotation.unreadable, 1);
        assert_int_equal(rotation.shown, 1);
        assert_string_equal(rotation.tokens[0], cards.tokens[2]);
        /* What a cache had of it has gone with it. */
        assert_int_equal(t_authorize(bench, T_SCOPE, cards.tokens[0]), ERR_NOT_FOUND);
        assert_int_equal(t_authorize(bench, T_SCOPE, cards.tokens[2]), ERR_CORRUPT);
        t_check_payable(bench, 1);
        t_check_payable(bench, 3);
        t_stop(bench);
        t_start(bench);
    }
    /* Its number makes another card. */
    struct port_vault_card again = t_tokenize(bench, T_SCOPE, cards.numbers[0], "").card;
    assert_string_not_equal(again.token, cards.tokens[0]);
    assert_int_equal(t_authorize(bench, T_SCOPE, again.token), ERR_OK);
}

/* More than are shown, and more than a step has. */
static void
test_all(void **state)
{
    struct t_bench *bench = *state;
    const uint32_t damaged = 2 * VAULT_STEP_CARDS + 3;
    uint32_t count = 0;
    t_add(bench, damaged + 5);
    assert_int_equal(t_discard(bench, "", &count), ERR_OK);
    assert_int_equal(count, 0);
    t_damage_first(bench, damaged);
    t_rotate_to_the_end(bench);
    assert_int_equal(t_look(bench).unreadable, damaged);
    assert_int_equal(t_look(bench).shown, VAULT_UNREADABLE_SHOWN);
    /* One goes, and another is shown in its place. */
    assert_int_equal(t_discard(bench, t_look(bench).tokens[0], &count), ERR_OK);
    assert_int_equal(t_look(bench).unreadable, damaged - 1);
    assert_int_equal(t_look(bench).shown, VAULT_UNREADABLE_SHOWN);

    assert_int_equal(t_discard(bench, "", &count), ERR_OK);
    assert_int_equal(count, damaged - 1);
    for (int starts = 0; starts < 2; starts++) {
        assert_int_equal(t_look(bench).unreadable, 0);
        assert_int_equal(t_look(bench).shown, 0);
        for (uint32_t i = 0; i < cards.count; i++) {
            if (i < damaged) {
                assert_int_equal(t_authorize(bench, T_SCOPE, cards.tokens[i]), ERR_NOT_FOUND);
            } else {
                t_check_payable(bench, i);
            }
        }
        t_stop(bench);
        t_start(bench);
    }
    t_rotate_to_the_end(bench);
    assert_int_equal(t_look(bench).unreadable, 0);
}

/* A row that says that it is damaged, and opens. */
static void
test_what_opens_stays(void **state)
{
    struct t_bench *bench = *state;
    uint32_t count = 0;
    t_add(bench, 3);
    t_damage_one(bench, 1);
    t_rotate_to_the_end(bench);
    t_stop(bench);
    struct document_store *documents = t_open_documents(bench);
    const struct document_store_ops *ops = documents->ops;
    struct document_row row;
    struct arena arena;
    struct span id = span_from_cstr(cards.tokens[0]);
    arena_init(&arena, 1 << 16);
    assert_int_equal(ops->get(documents, &vault_card_kind, T_SCOPE, id, &arena, &row), ERR_OK);
    row.columns[VAULT_CARD_KEY].text = SPAN(VAULT_SET_ASIDE);
    assert_int_equal(ops->begin(documents), ERR_OK);
    assert_int_equal(ops->update(documents, &vault_card_kind, &row), ERR_OK);
    assert_int_equal(ops->commit(documents), ERR_OK);
    ops->close(documents);
    arena_release(&arena);
    t_start(bench);
    assert_int_equal(t_look(bench).unreadable, 2);
    assert_int_equal(t_discard(bench, cards.tokens[0], &count), ERR_DENIED);
    assert_int_equal(count, 0);
    /* Of all it is the other one, which comes behind it. */
    assert_int_equal(t_discard(bench, "", &count), ERR_OK);
    assert_int_equal(count, 1);
    assert_int_equal(t_look(bench).unreadable, 1);
    assert_string_equal(t_look(bench).tokens[0], cards.tokens[0]);
    assert_int_equal(t_authorize(bench, T_SCOPE, cards.tokens[1]), ERR_NOT_FOUND);
}

static void
t_damage_in_rotation(struct t_bench *bench)
{
    t_add(bench, 350);
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
    uint32_t before = t_look(bench).unreadable;
    assert_int_equal(before, 20);
    assert_int_equal(t_discard(bench, "", &count), ERR_OK);
    assert_int_equal(count, 20);
    t_finish(bench);
    assert_int_equal(t_look(bench).unreadable, 0);
    assert_int_equal(t_look(bench).cards, 330);
    for (uint32_t i = 20; i < cards.count; i++) {
        t_check_payable(bench, i);
    }
}

/* A commit that fails, behind some that do not. */
static struct {
    struct document_store_ops ops;
    const struct document_store_ops *real;
    uint32_t succeed;
} shim;

static err_t
commit_fails(struct document_store *store)
{
    if (shim.succeed-- > 0) {
        return shim.real->commit(store);
    }
    shim.real->rollback(store);
    store->ops = shim.real;
    return ERR_DISK_FULL;
}

static void
test_commit_fails(void **state)
{
    struct t_bench *bench = *state;
    uint32_t count = 0;
    t_add(bench, VAULT_STEP_CARDS + 10);
    t_damage_first(bench, cards.count);
    t_rotate_to_the_end(bench);
    for (uint32_t succeed = 0; succeed < 2; succeed++) {
        struct document_store *store = bench->vault->documents;
        shim.real = store->ops;
        shim.ops = *store->ops;
        shim.ops.commit = commit_fails;
        shim.succeed = succeed;
        store->ops = &shim.ops;
        assert_int_equal(t_discard(bench, "", &count), ERR_DISK_FULL);
        assert_int_equal(count, succeed * VAULT_STEP_CARDS);
        assert_int_equal(t_look(bench).unreadable, cards.count - count);
        assert_int_equal(t_authorize(bench, T_SCOPE, cards.tokens[cards.count - 1]), ERR_CORRUPT);
    }
    assert_int_equal(t_discard(bench, "", &count), ERR_OK);
    assert_int_equal(count, 10);
    assert_int_equal(t_look(bench).unreadable, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_one, t_setup, t_teardown),
        cmocka_unit_test_setup_teardown(test_all, t_setup, t_teardown),
        cmocka_unit_test_setup_teardown(test_what_opens_stays, t_setup, t_teardown),
        cmocka_unit_test_setup_teardown(test_beside_a_rotation, t_setup, t_teardown),
        cmocka_unit_test_setup_teardown(test_commit_fails, t_setup, t_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
