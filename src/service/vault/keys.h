/*
 * The vault's keys. A master key is a file (vault/master.h); under it lie, wrapped, as rows of the
 * vault's database, the data keys, with which cards are sealed and looked up, and the key of the
 * fingerprints. All of them live in one block of secret memory.
 *
 * A generation is a master key and the data key that was made with it. The newest one is in use:
 *
 *     rotate    the next master key's file --> in one transaction: the next data key, and every row
 *               wrapped anew under the next master key
 *     retire    the rows of older data keys, which no card names any more, are removed; then the
 *               files of older master keys
 *
 * So at every moment one generation, the highest that a data key is of, wraps all rows, and the
 * database says which. A crash before rotate's commit leaves a file that nothing uses, and that the
 * next rotation replaces; one before the end of retire leaves rows or files that the next start
 * removes.
 *
 * The key of the fingerprints is not rotated: merchants keep fingerprints, to know a card again.
 *
 * Vaults of before generations have data keys without a look-up key and no row for the
 * fingerprints' key: both are derived from their master key, the first generation's. The first
 * rotation writes them down.
 */
#ifndef VAULT_KEYS_H
#define VAULT_KEYS_H

#include "base/buf.h"
#include "base/id.h"
#include "crypto.h"
#include "document/document.h"
#include "os/entropy.h"
#include "os/file.h"
#include "vault/vault.h"

#define VAULT_DATA_KEYS_MAX 256

/* Where keys are kept. Borrowed. */
struct vault_keys_place {
    struct os_disk *disk;
    struct os_entropy *entropy;
    struct document_store *documents;
    const char *folder;
};

struct vault_data_key {
    char id[ID_TEXT_SIZE];
    uint32_t generation;
    uint32_t version; /* of its row */
    uint8_t key[VAULT_KEY_SIZE];
    uint8_t lookup[VAULT_KEY_SIZE];
};

struct vault_key_memory {
    uint32_t generation;
    uint32_t fingerprint_version; /* of its row; 0: there is none */
    uint8_t wrapping[VAULT_KEY_SIZE];
    uint8_t fingerprint[VAULT_KEY_SIZE];
    uint8_t derived_lookup[VAULT_KEY_SIZE];          /* of data keys that have none */
    struct vault_data_key data[VAULT_DATA_KEYS_MAX]; /* in the order of generations */
    uint32_t data_count;                             /* the last is the one in use */
};

extern const struct document_kind vault_data_key_kind;

/* Unwraps every key of the database; in one without any, makes the first generation. ERR_NOT_FOUND:
 * the master key's file is not there; ERR_CORRUPT: it is not the one of this database. The message
 * says which file, and is empty if it is none's fault. */
MUST_USE err_t vault_keys_open(
    const struct vault_keys_place *place,
    uint64_t unix_ms,
    struct vault_key_memory **ret_keys,
    char message[VAULT_MESSAGE_SIZE]);
/* Wipes. Sets NULL. */
void vault_keys_close(struct vault_key_memory **keys);
/* Begins the next generation, durable when it returns. ERR_BUSY: there is an older one yet, and
 * nothing was done. Between transactions. */
MUST_USE err_t vault_keys_rotate(
    struct vault_key_memory *keys, const struct vault_keys_place *place, uint64_t unix_ms);
/* How many data keys are of older generations: the first ones of `data`. */
uint32_t vault_keys_old_count(const struct vault_key_memory *keys);
/* Ends older generations, whose data keys no card names. Harmless to repeat. Between transactions.
 */
MUST_USE err_t
vault_keys_retire(struct vault_key_memory *keys, const struct vault_keys_place *place);
/* NULL if the database does not hold it. */
const struct vault_data_key *vault_keys_find(const struct vault_key_memory *keys, struct span id);
const struct vault_data_key *vault_keys_current(const struct vault_key_memory *keys);

/* 2 * size lower-case digits, as span_parse_hex reads them. */
void vault_hex(const uint8_t *bytes, size_t size, char *out);

#endif
