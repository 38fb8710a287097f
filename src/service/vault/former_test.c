/* VAULT-6: vaults of before generations. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cards_testing.h"
#include "stored.h"
#include "vault/master.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

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
    struct t_card *card = &t_cards.all[0];
    char path[256];
    card->scope = 2;
    t_cards.count = 1;
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
        cmocka_unit_test_setup_teardown(test_vault_of_before, t_cards_setup, t_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
