/*
 * A card as it is stored, and what it takes to make one and to read it. Nothing in a row is
 * readable without the keys: the number is sealed (VAULT-1), and the look-up, by which a card that
 * comes again is found, is a MAC.
 */
#ifndef VAULT_STORED_H
#define VAULT_STORED_H

#include "card.h"
#include "document/document.h"
#include "keys.h"
#include "os/entropy.h"
#include "port/vault.h"

#define VAULT_LOOKUP_SIZE  32 /* hex digits of the look-up MAC that are kept */
#define VAULT_SEALED_BYTES (VAULT_NONCE_SIZE + VAULT_NUMBER_SIZE + VAULT_TAG_SIZE)
#define VAULT_SEALED_SIZE  (VAULT_SEALED_BYTES * 2)

/* In the place of a key's id: a rotation could not read the card, and has set it aside as it was.
 * Its body says which key it lay under: {"key":"dk_..."}. */
#define VAULT_SET_ASIDE "damaged"

enum vault_card_column {
    VAULT_CARD_LOOKUP,
    VAULT_CARD_KEY, /* the data key that look-up and seal were made with; or VAULT_SET_ASIDE */
    VAULT_CARD_SEALED,
    VAULT_CARD_EXPIRY, /* year * 100 + month */
};

extern const struct document_kind vault_card_kind;

struct vault_stored {
    uint64_t scope;
    uint32_t version; /* of the row that was read */
    char token[PORT_VAULT_TOKEN_SIZE];
    char lookup[VAULT_LOOKUP_SIZE + 1];
    char key_id[ID_TEXT_SIZE];
    char sealed[VAULT_SEALED_SIZE + 1];
    int64_t expiry;
};

/* `out` has room for the text and a zero; the rest of it becomes zeros. */
void vault_set_text(char *out, size_t size, struct span text);

/* What no card could have, of a damaged row, is left out: then it does not open. */
void vault_stored_from_row(struct vault_stored *card, const struct document_row *row);
/* The row's spans are the card's texts. */
void vault_stored_to_row(const struct vault_stored *card, struct document_row *ret_row);

/* The look-up of a card under a key: fills card->lookup, of its scope and expiry and the number. */
MUST_USE err_t vault_stored_look_up(
    const struct vault_data_key *key, const char *digits, struct vault_stored *card);
/* Seals the number at its full width, so that the ciphertext does not tell its length: fills
 * key_id and sealed. Bound to card->token. */
MUST_USE err_t vault_stored_seal(
    const struct vault_data_key *key,
    struct os_entropy *entropy,
    const char digits[VAULT_NUMBER_SIZE],
    struct vault_stored *card);
/* ERR_CORRUPT: it is no number that was sealed for this token, or its key is not there. The caller
 * wipes. */
MUST_USE err_t vault_stored_open(
    const struct vault_key_memory *keys,
    const struct vault_stored *card,
    char ret_digits[VAULT_NUMBER_SIZE]);

#endif
