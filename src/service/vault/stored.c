#include "stored.h"

#include "base/assert.h"
#include "base/buf.h"

#include <string.h>

const struct document_kind vault_card_kind = {
    .name = "card",
    .columns =
        {
            {.name = "lookup", .type = DOCUMENT_TEXT, .indexed = true},
            /* A rotation looks for the cards of a key, whosever they are. */
            {.name = "key_id", .type = DOCUMENT_TEXT, .indexed = true, .across_scopes = true},
            {.name = "sealed", .type = DOCUMENT_TEXT},
            {.name = "expiry", .type = DOCUMENT_INTEGER},
        },
    .column_count = 4,
};

void
vault_set_text(char *out, size_t size, struct span text)
{
    ASSERT(text.size < size);
    memset(out, 0, size);
    if (text.size != 0) {
        memcpy(out, text.data, text.size);
    }
}

static void
take_text(char *out, size_t size, struct span text)
{
    vault_set_text(out, size, text.size < size ? text : SPAN_EMPTY);
}

void
vault_stored_from_row(struct vault_stored *card, const struct document_row *row)
{
    const struct document_value *columns = row->columns;
    memset(card, 0, sizeof(*card));
    card->scope = row->scope;
    card->version = row->version;
    vault_set_text(card->token, sizeof(card->token), row->id);
    take_text(card->lookup, sizeof(card->lookup), columns[VAULT_CARD_LOOKUP].text);
    take_text(card->key_id, sizeof(card->key_id), columns[VAULT_CARD_KEY].text);
    take_text(card->sealed, sizeof(card->sealed), columns[VAULT_CARD_SEALED].text);
    card->expiry = columns[VAULT_CARD_EXPIRY].integer;
}

void
vault_stored_to_row(const struct vault_stored *card, struct document_row *ret_row)
{
    *ret_row = (struct document_row){
        .scope = card->scope,
        .id = span_from_cstr(card->token),
        .version = card->version,
        .body = SPAN("{}"),
    };
    ret_row->columns[VAULT_CARD_LOOKUP].text = span_from_cstr(card->lookup);
    ret_row->columns[VAULT_CARD_KEY].text = span_from_cstr(card->key_id);
    ret_row->columns[VAULT_CARD_SEALED].text = span_from_cstr(card->sealed);
    ret_row->columns[VAULT_CARD_EXPIRY].integer = card->expiry;
}

err_t
vault_stored_look_up(
    const struct vault_data_key *key, const char *digits, struct vault_stored *card)
{
    char text[96];
    uint8_t mac[VAULT_MAC_SIZE];
    struct buf buf;
    buf_init_fixed(&buf, text, sizeof(text));
    buf_append_format(
        &buf, "%llu|%s|%lld", (unsigned long long)card->scope, digits, (long long)card->expiry);
    ASSERT(!buf_failed(&buf));
    err_t error = vault_mac(key->lookup, buf_span(&buf), mac);
    explicit_bzero(text, sizeof(text));
    TRY(error);
    vault_hex(mac, VAULT_LOOKUP_SIZE / 2, card->lookup);
    card->lookup[VAULT_LOOKUP_SIZE] = '\0';
    return ERR_OK;
}

err_t
vault_stored_seal(
    const struct vault_data_key *key,
    struct os_entropy *entropy,
    const char digits[VAULT_NUMBER_SIZE],
    struct vault_stored *card)
{
    uint8_t sealed[VAULT_SEALED_BYTES];
    entropy->fill(entropy, sealed, VAULT_NONCE_SIZE);
    TRY(vault_seal(
        key->key,
        sealed,
        span_from_cstr(card->token),
        span_of(digits, VAULT_NUMBER_SIZE),
        sealed + VAULT_NONCE_SIZE));
    vault_hex(sealed, sizeof(sealed), card->sealed);
    card->sealed[VAULT_SEALED_SIZE] = '\0';
    vault_set_text(card->key_id, sizeof(card->key_id), span_from_cstr(key->id));
    return ERR_OK;
}

err_t
vault_stored_open(
    const struct vault_key_memory *keys,
    const struct vault_stored *card,
    char ret_digits[VAULT_NUMBER_SIZE])
{
    uint8_t sealed[VAULT_SEALED_BYTES];
    const struct vault_data_key *key = vault_keys_find(keys, span_from_cstr(card->key_id));
    if (key == NULL || !span_parse_hex(span_from_cstr(card->sealed), sealed, sizeof(sealed))) {
        return ERR_CORRUPT;
    }
    return vault_open(
        key->key,
        sealed,
        span_from_cstr(card->token),
        span_of(sealed + VAULT_NONCE_SIZE, sizeof(sealed) - VAULT_NONCE_SIZE),
        (uint8_t *)ret_digits);
}
