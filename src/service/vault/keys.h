/*
 * The vault's keys. The master key is a file; from it derive the keys of fingerprint and look-up,
 * and the wrapping of the data keys, which are rows of the vault's database. All of them live in
 * one block of secret memory.
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

struct vault_data_key {
    char id[ID_TEXT_SIZE];
    uint8_t key[VAULT_KEY_SIZE];
};

struct vault_key_memory {
    uint8_t wrapping[VAULT_KEY_SIZE];
    uint8_t fingerprint[VAULT_KEY_SIZE];
    uint8_t lookup[VAULT_KEY_SIZE];
    struct vault_data_key data[VAULT_DATA_KEYS_MAX];
    uint32_t data_count; /* the last is the one in use */
};

extern const struct document_kind vault_data_key_kind;

/* Reads the master key or makes it; derives. */
MUST_USE err_t vault_keys_open(
    struct os_disk *disk,
    struct os_entropy *entropy,
    const char *folder,
    struct vault_key_memory **ret_keys,
    char message[VAULT_MESSAGE_SIZE]);
void vault_keys_close(struct vault_key_memory **keys);
/* Unwraps every data key of the database; makes the first if there is none. */
MUST_USE err_t vault_keys_load(
    struct vault_key_memory *keys,
    struct document_store *documents,
    struct os_entropy *entropy,
    uint64_t unix_ms);
/* Makes a new data key, durable when it returns. */
MUST_USE err_t vault_keys_add(
    struct vault_key_memory *keys,
    struct document_store *documents,
    struct os_entropy *entropy,
    uint64_t unix_ms);
/* NULL if the database does not hold it. */
const struct vault_data_key *vault_keys_find(const struct vault_key_memory *keys, struct span id);
const struct vault_data_key *vault_keys_current(const struct vault_key_memory *keys);

/* 2 * size lower-case digits, as span_parse_hex reads them. */
void vault_hex(const uint8_t *bytes, size_t size, char *out);

#endif
