/* VAULT-6: rotation, cut off at every step, beside cards that come; vaults of before generations.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/list.h"
#include "keys.h"

#include "stored.h"
#include "testing.h"
#include "vault/master.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define T_CARDS_MAX 400

/* ---------------------------------------------------------------------------------------- model */

/* What was answered for each card. */
struct t_card {
    uint64_t scope;
    char number[VAULT_NUMBER_SIZE];
    struct port_vault_card answer;
};

static struct {
    struct t_card cards[T_CARDS_MAX];
    uint32_t count;
} cards; /* of one test */

static int
setup(void **state)
{
    memset(&cards, 0, sizeof(cards));
    return t_setup(state);
}

static void
t_number(uint32_t index, char out[VAULT_NUMBER_SIZE])
{
    char digits[VAULT_NUMBER_SIZE];
    for (uint32_t check = 0; check < 10; check++) {
        (void)snprintf(digits, sizeof(digits), "400000%09u%u", index, check);
        if (vault_card_check_digit(digits)) {
            memcpy(out, digits, sizeof(digits));
            return;
        }
    }
    fail();
}

static void
t_add(struct t_bench *bench)
{
    assert_true(cards.count < T_CARDS_MAX);
    struct t_card *card = &cards.cards[cards.count];
    card->scope = 2 + cards.count % 3;
    t_number(cards.count++, card->number);
    card->answer = t_tokenize(bench, card->scope, card->number, "").card;
}

static void
t_check_one(struct t_bench *bench, const struct t_card *card)
{
    struct port_vault_tokenize again = t_tokenize(bench, card->scope, card->number, "");
    assert_string_equal(again.card.token, card->answer.token);
    assert_string_equal(again.card.fingerprint, card->answer.fingerprint);
    assert_int_equal(t_authorize(bench, card->scope, card->answer.token), ERR_OK);
    assert_string_equal(bench->network.seen.number, card->number);
}

static void
t_check(struct t_bench *bench)
{
    for (uint32_t i = 0; i < cards.count; i++) {
        t_check_one(bench, &cards.cards[i]);
    }
}

static bool
t_is_there(const struct t_bench *bench, const char *name)
{
    char path[256];
    t_path(bench, name, path);
    return access(path, F_OK) == 0;
}

/* ------------------------------------------------------------------------------------ the rows */

static bool
count_row(void *context, const struct document_row *row)
{
    (void)row;
    (*(uint32_t *)context)++;
    return true;
}

static uint32_t
t_count(struct t_bench *bench, const struct document_kind *kind)
{
    uint32_t count = 0;
    struct document_query query = {.range_column = UINT32_MAX, .limit = DOCUMENT_LIST_MAX};
    t_stop(bench);
    struct document_store *documents = t_open_documents(bench);
    assert_int_equal(documents->ops->list(documents, kind, &query, count_row, &count), ERR_OK);
    documents->ops->close(documents);
    t_start(bench);
    return count;
}

/* --------------------------------------------------------------------------------------- tests */

static void
test_rotate(void **state)
{
    struct t_bench *bench = *state;
    for (uint32_t i = 0; i < 250; i++) {
        t_add(bench);
    }
    struct vault_rotation before = t_look(bench);
    assert_int_equal(before.generation, 1);
    assert_false(before.under_way);
    assert_int_equal(t_rotate(bench), ERR_OK);
    assert_int_equal(t_look(bench).generation, 2);
    assert_true(t_look(bench).under_way);
    assert_int_equal(t_look(bench).cards, 0);
    assert_true(t_is_there(bench, "master.key"));
    assert_true(t_is_there(bench, "master-2.key"));
    assert_int_equal(t_rotate(bench), ERR_BUSY);
    t_check(bench); /* under the old key yet */
    t_add(bench);   /* under the new one */
    t_finish(bench);
    assert_int_equal(t_look(bench).generation, 2);
    assert_int_equal(t_look(bench).cards, 250);
    assert_int_equal(t_look(bench).unreadable, 0);
    assert_false(t_is_there(bench, "master.key"));
    assert_true(t_is_there(bench, "master-2.key"));
    t_check(bench);
    /* The data key in use, and the fingerprints'. */
    assert_int_equal(t_count(bench, &vault_data_key_kind), 2);
    assert_int_equal(t_look(bench).generation, 2);
    t_check(bench);
    assert_int_equal(t_rotate(bench), ERR_OK);
    t_finish(bench);
    assert_int_equal(t_look(bench).generation, 3);
    assert_false(t_is_there(bench, "master-2.key"));
    t_check(bench);
}

static void
test_rotate_without_cards(void **state)
{
    struct t_bench *bench = *state;
    assert_int_equal(t_rotate(bench), ERR_OK);
    t_finish(bench);
    assert_int_equal(t_look(bench).generation, 2);
    assert_false(t_is_there(bench, "master.key"));
}

/* A step after a step, and a restart between any two of them. */
static void
test_cut_off_between_steps(void **state)
{
    struct t_bench *bench = *state;
    uint32_t restarts = 0;
    for (uint32_t i = 0; i < 250; i++) {
        t_add(bench);
    }
    assert_int_equal(t_rotate(bench), ERR_OK);
    while (t_look(bench).under_way) {
        t_stop(bench);
        t_start(bench);
        restarts++;
        assert_int_equal(t_look(bench).generation, 2);
        /* Of each state in turn: the cache of look-ups is empty, and then it is not. */
        t_check_one(bench, &cards.cards[restarts]);
        t_add(bench);
        assert_true(os_sim_run_for(bench->sim, 15 * OS_NS_PER_MS, T_STEPS));
        t_check(bench);
    }
    assert_true(restarts >= 3);
    assert_false(t_is_there(bench, "master.key"));
}

/* The loop stops with a step under way in its group, or before any. */
static void
test_random(void **state)
{
    struct t_bench *bench = *state;
    struct os_prng *prng = os_sim_prng(bench->sim);
    uint32_t rotations = 1;
    for (uint32_t i = 0; i < 600; i++) {
        switch (os_prng_below(prng, 12)) {
        case 0:
            t_stop(bench);
            t_start(bench);
            break;
        case 1: {
            err_t error = t_rotate(bench);
            assert_true(error == ERR_OK || error == ERR_BUSY);
            rotations += error == ERR_OK;
            break;
        }
        case 2:
        case 3:
            assert_true(os_sim_run_for(bench->sim, 11 * OS_NS_PER_MS, T_STEPS));
            break;
        case 4:
        case 5:
        case 6:
        case 7:
            if (cards.count < T_CARDS_MAX) {
                t_add(bench);
            }
            break;
        default:
            if (cards.count > 0) {
                t_check_one(bench, &cards.cards[os_prng_below(prng, cards.count)]);
            }
        }
        assert_int_equal(t_look(bench).generation, rotations);
    }
    assert_true(rotations > 3);
    t_finish(bench);
    t_check(bench);
}

/* A file that no row uses: of a rotation that was cut off before its commit. */
static void
test_cut_off_before_commit(void **state)
{
    struct t_bench *bench = *state;
    t_add(bench);
    t_stop(bench);
    assert_int_equal(
        vault_master_make(bench->disk, os_sim_entropy(bench->sim), bench->folder, 2), ERR_OK);
    t_start(bench);
    assert_int_equal(t_look(bench).generation, 1);
    t_finish(bench);
    assert_true(t_is_there(bench, "master.key"));
    t_check(bench);
    assert_int_equal(t_rotate(bench), ERR_OK);
    t_finish(bench);
    t_stop(bench);
    t_start(bench);
    t_check(bench);
    assert_int_equal(t_look(bench).generation, 2);
}

/* The rows are gone, the file is not. */
static void
test_cut_off_before_the_file_went(void **state)
{
    struct t_bench *bench = *state;
    t_add(bench);
    assert_int_equal(t_rotate(bench), ERR_OK);
    t_finish(bench);
    t_stop(bench);
    assert_int_equal(
        vault_master_make(bench->disk, os_sim_entropy(bench->sim), bench->folder, 1), ERR_OK);
    t_start(bench);
    assert_true(t_look(bench).under_way);
    t_finish(bench);
    assert_false(t_is_there(bench, "master.key"));
    t_check(bench);
}

/* ----------------------------------------------------------------------------------- failures */

static void
t_refused(struct t_bench *bench, err_t expected, const char *part)
{
    char message[VAULT_MESSAGE_SIZE];
    t_stop(bench);
    assert_int_equal(t_try_start(bench, message), expected);
    assert_non_null(strstr(message, part));
}

static void
test_wrong_files_are_refused(void **state)
{
    struct t_bench *bench = *state;
    char path[256], other[256];
    t_add(bench);
    assert_int_equal(t_rotate(bench), ERR_OK);
    t_finish(bench);
    t_path(bench, "master-2.key", path);
    t_path(bench, "kept", other);
    assert_int_equal(rename(path, other), 0);
    t_refused(bench, ERR_NOT_FOUND, "master-2.key");
    assert_false(t_is_there(bench, "master.key")); /* none is made for a vault that has one */
    assert_false(t_is_there(bench, "master-2.key"));
    assert_int_equal(
        vault_master_make(bench->disk, os_sim_entropy(bench->sim), bench->folder, 2), ERR_OK);
    t_refused(bench, ERR_CORRUPT, "master-2.key: it does not open vault.db");
    assert_int_equal(rename(other, path), 0);
    t_stop(bench);
    t_start(bench);
    t_check(bench);
    /* The database is gone, and the key is that of a later generation. */
    t_stop(bench);
    t_path(bench, "vault.db", path);
    t_path(bench, "kept", other);
    assert_int_equal(rename(path, other), 0);
    char message[VAULT_MESSAGE_SIZE];
    assert_int_equal(t_try_start(bench, message), ERR_CORRUPT);
    assert_non_null(strstr(message, "master-2.key: it is there, and vault.db"));
    t_stop(bench);
    assert_int_equal(rename(other, path), 0);
    t_start(bench);
    t_check(bench);
}

static err_t
rename_fails(struct os_disk *disk, const char *from, const char *to)
{
    (void)disk;
    (void)from;
    (void)to;
    return ERR_DISK_FULL;
}

static err_t
remove_fails(struct os_disk *disk, const char *path)
{
    (void)disk;
    (void)path;
    return ERR_IO;
}

static void
test_disk_fails(void **state)
{
    struct t_bench *bench = *state;
    struct os_disk_ops ops = *os_disk_real()->ops;
    struct os_disk failing = {.ops = &ops};
    t_add(bench);
    t_stop(bench);
    bench->disk = &failing;
    ops.rename = rename_fails;
    t_start(bench);
    assert_int_equal(t_rotate(bench), ERR_DISK_FULL);
    assert_int_equal(t_look(bench).generation, 1);
    assert_false(t_look(bench).under_way);
    ops = *os_disk_real()->ops;
    ops.remove = remove_fails;
    assert_int_equal(t_rotate(bench), ERR_OK);
    assert_true(os_sim_run_for(bench->sim, OS_NS_PER_S, T_STEPS));
    assert_true(t_look(bench).failing);
    assert_true(t_look(bench).under_way);
    assert_true(t_is_there(bench, "master.key"));
    ops = *os_disk_real()->ops;
    t_finish(bench);
    assert_false(t_look(bench).failing);
    assert_false(t_is_there(bench, "master.key"));
    t_check(bench);
}

/* A commit that fails, once. */
static struct {
    struct document_store_ops ops;
    const struct document_store_ops *real;
    uint32_t succeed; /* so many before it */
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
t_fail_commit(struct document_store *store, uint32_t succeed)
{
    shim.real = store->ops;
    shim.ops = *store->ops;
    shim.ops.commit = commit_fails;
    shim.succeed = succeed;
    store->ops = &shim.ops;
}

/* The keys in memory are those of the database, whatever failed. */
static void
test_commit_fails(void **state)
{
    struct t_bench *bench = *state;
    char message[VAULT_MESSAGE_SIZE];
    struct vault_key_memory *keys, *again;
    t_stop(bench);
    struct document_store *documents = t_open_documents(bench);
    const struct vault_keys_place place = {
        .disk = bench->disk,
        .entropy = os_sim_entropy(bench->sim),
        .documents = documents,
        .folder = bench->folder,
    };
    assert_int_equal(vault_keys_open(&place, 1, &keys, message), ERR_OK);
    t_fail_commit(documents, 0);
    assert_int_equal(vault_keys_rotate(keys, &place, 2), ERR_DISK_FULL);
    assert_int_equal(keys->generation, 1);
    assert_int_equal(keys->data_count, 1);
    /* A clock that goes back does not bring the old key into use. */
    assert_int_equal(vault_keys_rotate(keys, &place, 0), ERR_OK);
    t_fail_commit(documents, 0);
    assert_int_equal(vault_keys_retire(keys, &place), ERR_DISK_FULL);
    assert_int_equal(vault_keys_old_count(keys), 1);
    assert_int_equal(vault_keys_open(&place, 3, &again, message), ERR_OK);
    assert_memory_equal(keys->data, again->data, sizeof(keys->data));
    assert_memory_equal(keys->fingerprint, again->fingerprint, sizeof(keys->fingerprint));
    assert_int_equal(vault_keys_current(again)->generation, 2);
    vault_keys_close(&again);
    assert_int_equal(vault_keys_retire(keys, &place), ERR_OK);
    assert_int_equal(keys->data_count, 1);
    assert_int_equal(vault_keys_open(&place, 3, &again, message), ERR_OK);
    assert_memory_equal(keys->data, again->data, sizeof(keys->data));
    vault_keys_close(&again);
    vault_keys_close(&keys);
    documents->ops->close(documents);
    t_start(bench);
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
    for (uint32_t i = 0; i < 150; i++) {
        t_add(bench);
    }
    const struct t_card *damaged[] = {&cards.cards[0], &cards.cards[120], &cards.cards[121]};
    memset(zeros, '0', sizeof(zeros));
    memset(longer, 'f', sizeof(longer));
    const struct span texts[] = {
        span_of(zeros, sizeof(zeros)), span_of(longer, sizeof(longer)), SPAN_EMPTY};
    for (uint32_t i = 0; i < 3; i++) {
        t_damage(bench, damaged[i]->scope, damaged[i]->answer.token, texts[i]);
    }
    assert_int_equal(t_look(bench).unreadable, 0); /* nobody has looked */
    assert_int_equal(t_rotate(bench), ERR_OK);
    t_finish(bench);
    struct vault_rotation rotation = t_look(bench);
    assert_int_equal(rotation.cards, 147);
    assert_int_equal(rotation.unreadable, 3);
    assert_int_equal(rotation.shown, 3);
    for (uint32_t i = 0; i < 3; i++) {
        bool told = false;
        for (uint32_t j = 0; j < rotation.shown; j++) {
            told = told || strcmp(rotation.tokens[j], damaged[i]->answer.token) == 0;
        }
        assert_true(told);
        t_assert_row(bench, damaged[i], texts[i], "{\"key\":\"dk_");
    }
    assert_false(t_is_there(bench, "master.key"));
    assert_int_equal(t_count(bench, &vault_data_key_kind), 2); /* the fingerprints', and one */
    /* After a start, and another rotation, it is told as before. */
    assert_int_equal(t_look(bench).unreadable, 3);
    assert_int_equal(t_rotate(bench), ERR_OK);
    t_finish(bench);
    assert_int_equal(t_look(bench).unreadable, 3);
    for (uint32_t i = 0; i < cards.count; i++) {
        struct t_card *card = &cards.cards[i];
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
    for (uint32_t i = 0; i < 250; i++) {
        t_add(bench);
    }
    struct t_card *card = &cards.cards[0];
    t_damage(bench, card->scope, card->answer.token, SPAN_EMPTY);
    assert_int_equal(t_rotate(bench), ERR_OK);
    assert_true(os_sim_run_for(bench->sim, 11 * OS_NS_PER_MS, T_STEPS));
    assert_int_equal(t_look(bench).unreadable, 1);
    assert_true(t_look(bench).under_way);
    struct port_vault_card again = t_tokenize(bench, card->scope, card->number, "").card;
    assert_string_not_equal(again.token, card->answer.token);
    card->answer = again;
    t_check(bench);
    t_finish(bench);
    t_check(bench);
}

/* ------------------------------------------------------------------------ before generations */

/* A vault as it was written then: keys of look-up and fingerprint derived from the master key, data
 * keys alone in their rows. */
static void
t_write_former(struct t_bench *bench, const struct t_card *card)
{
    enum {
        WRAPPED = VAULT_NONCE_SIZE + VAULT_KEY_SIZE + VAULT_TAG_SIZE
    };

    uint8_t master[VAULT_KEY_SIZE], wrapping[VAULT_KEY_SIZE], wrapped[WRAPPED] = {9, 9, 9};
    char hex[WRAPPED * 2], text[64];
    uint8_t mac[VAULT_MAC_SIZE];
    struct vault_data_key key = {.id = "dk_former", .key = {1, 2, 3}};
    struct vault_stored stored = {.scope = card->scope, .expiry = 203012};
    struct document_row row = {.id = SPAN("dk_former"), .body = SPAN("{}")};
    struct document_store *documents = t_open_documents(bench);
    const struct document_store_ops *ops = documents->ops;
    assert_int_equal(
        vault_master_make(bench->disk, os_sim_entropy(bench->sim), bench->folder, 1), ERR_OK);
    assert_int_equal(vault_master_load(bench->disk, bench->folder, 1, master), ERR_OK);
    assert_int_equal(vault_mac(master, SPAN("tael vault 1: wrapping"), wrapping), ERR_OK);
    assert_int_equal(vault_mac(master, SPAN("tael vault 1: lookup"), key.lookup), ERR_OK);
    assert_int_equal(
        vault_seal(
            wrapping,
            wrapped,
            row.id,
            span_of(key.key, sizeof(key.key)),
            wrapped + VAULT_NONCE_SIZE),
        ERR_OK);
    vault_hex(wrapped, sizeof(wrapped), hex);
    row.columns[0].text = span_of(hex, sizeof(hex));
    row.columns[1].is_null = true;
    vault_set_text(stored.token, sizeof(stored.token), span_from_cstr(card->answer.token));
    (void)snprintf(text, sizeof(text), "2|%s|203012", card->number);
    assert_int_equal(vault_mac(key.lookup, span_from_cstr(text), mac), ERR_OK);
    vault_hex(mac, VAULT_LOOKUP_SIZE / 2, stored.lookup);
    assert_int_equal(
        vault_stored_seal(&key, os_sim_entropy(bench->sim), card->number, &stored), ERR_OK);
    assert_int_equal(ops->begin(documents), ERR_OK);
    assert_int_equal(ops->insert(documents, &vault_data_key_kind, &row), ERR_OK);
    vault_stored_to_row(&stored, &row);
    assert_int_equal(ops->insert(documents, &vault_card_kind, &row), ERR_OK);
    assert_int_equal(ops->commit(documents), ERR_OK);
    ops->close(documents);
}

static void
t_check_former_fingerprint(
    const struct t_bench *bench, const struct t_card *card, const char *fingerprint)
{
    static const char alphabet[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    uint8_t master[VAULT_KEY_SIZE], key[VAULT_KEY_SIZE], mac[VAULT_MAC_SIZE];
    char text[64];
    (void)snprintf(text, sizeof(text), "1|%s", card->number);
    assert_int_equal(vault_master_load(bench->disk, bench->folder, 1, master), ERR_OK);
    assert_int_equal(vault_mac(master, SPAN("tael vault 1: fingerprint"), key), ERR_OK);
    assert_int_equal(vault_mac(key, span_from_cstr(text), mac), ERR_OK);
    assert_int_equal(strlen(fingerprint), 16);
    for (size_t i = 0; i < 16; i++) {
        assert_int_equal(fingerprint[i], alphabet[mac[i] % 62]);
    }
}

static void
test_vault_of_before(void **state)
{
    struct t_bench *bench = *state;
    struct t_card *card = &cards.cards[0];
    char path[256];
    card->scope = 2;
    cards.count = 1;
    t_number(0, card->number);
    (void)snprintf(card->answer.token, sizeof(card->answer.token), "card_former");
    t_stop(bench);
    t_path(bench, "vault.db", path);
    assert_int_equal(unlink(path), 0);
    t_write_former(bench, card);
    t_start(bench);
    struct port_vault_tokenize request = t_tokenize(bench, card->scope, card->number, "");
    assert_string_equal(request.card.token, "card_former");
    t_check_former_fingerprint(bench, card, request.card.fingerprint);
    card->answer = request.card;
    for (uint32_t generation = 1; generation <= 3; generation++) {
        assert_int_equal(t_look(bench).generation, generation);
        t_check(bench);
        t_add(bench);
        assert_int_equal(t_rotate(bench), ERR_OK);
        t_check(bench);
        t_stop(bench);
        t_start(bench);
        t_check(bench);
        t_finish(bench);
        t_check(bench);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_rotate, setup, t_teardown),
        cmocka_unit_test_setup_teardown(test_rotate_without_cards, setup, t_teardown),
        cmocka_unit_test_setup_teardown(test_cut_off_between_steps, setup, t_teardown),
        cmocka_unit_test_setup_teardown(test_random, setup, t_teardown),
        cmocka_unit_test_setup_teardown(test_cut_off_before_commit, setup, t_teardown),
        cmocka_unit_test_setup_teardown(test_cut_off_before_the_file_went, setup, t_teardown),
        cmocka_unit_test_setup_teardown(test_wrong_files_are_refused, setup, t_teardown),
        cmocka_unit_test_setup_teardown(test_disk_fails, setup, t_teardown),
        cmocka_unit_test_setup_teardown(test_commit_fails, setup, t_teardown),
        cmocka_unit_test_setup_teardown(test_damaged_cards, setup, t_teardown),
        cmocka_unit_test_setup_teardown(
            test_a_damaged_card_comes_again_in_a_rotation, setup, t_teardown),
        cmocka_unit_test_setup_teardown(test_vault_of_before, setup, t_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
