/*
 * Endpoints' secrets at rest: AES-256-GCM (NIST SP 800-38D) under a key that is a file of its own,
 * so that the documents alone do not let anybody sign. Each is bound to its endpoint's id.
 */
#ifndef CALLBACK_SECRET_H
#define CALLBACK_SECRET_H

#include "base/err.h"
#include "callback/signature.h"
#include "os/file.h"

#define CALLBACK_MESSAGE_SIZE 256

#define CALLBACK_KEY_SIZE     32
#define CALLBACK_NONCE_SIZE   12
#define CALLBACK_TAG_SIZE     16
/* Hex of nonce, ciphertext and tag. */
#define CALLBACK_SEALED_SIZE (2 * (CALLBACK_NONCE_SIZE + CALLBACK_SECRET_SIZE + CALLBACK_TAG_SIZE))

struct callback_key {
    uint8_t bytes[CALLBACK_KEY_SIZE];
};

#define CALLBACK_KEYS_MAX      8
#define CALLBACK_KEY_NAME_SIZE 9

/* The keys of a file, in its order. What is sealed with any of them can be opened. */
struct callback_keys {
    struct callback_key keys[CALLBACK_KEYS_MAX];
    uint32_t count;
    /* The one that seals; `count`: it is not among them, and nothing can be sealed. The owner's to
     * set, where operations run; whoever only opens does not look at it. */
    uint32_t sealing;
};

/* Reads the file in `folder`, or makes it, with one key, unless `must_exist`. The first key seals.
 * In guarded memory; ends with callback_keys_close. */
MUST_USE err_t callback_keys_open(
    struct os_disk *disk,
    struct os_entropy *entropy,
    const char *folder,
    bool must_exist,
    struct callback_keys **ret_keys,
    char message[CALLBACK_MESSAGE_SIZE]);
/* Reads them from a file that is there. The same otherwise. */
MUST_USE err_t callback_keys_load(
    struct os_disk *disk,
    const char *path,
    struct callback_keys **ret_keys,
    char message[CALLBACK_MESSAGE_SIZE]);
/* Wipes; accepts NULL inside; sets NULL. */
void callback_keys_close(struct callback_keys **keys);
/* What people call a key, so that it need not be shown: the first digits of its SHA-256. */
void callback_key_name(const struct callback_key *key, char out[CALLBACK_KEY_NAME_SIZE]);
/* The key that seals. NULL: it is not among them. */
const struct callback_key *callback_keys_sealing(const struct callback_keys *keys);
/* callback_secret_open with whichever key opens it: *ret_key is its index, and may be NULL. Any
 * thread. */
MUST_USE err_t callback_keys_unseal(
    const struct callback_keys *keys,
    struct span endpoint_id,
    struct span sealed,
    char ret_secret[CALLBACK_SECRET_SIZE],
    uint32_t *ret_key);

MUST_USE err_t callback_secret_seal(
    const struct callback_key *key,
    struct os_entropy *entropy,
    struct span endpoint_id,
    const char secret[CALLBACK_SECRET_SIZE],
    char ret_sealed[CALLBACK_SEALED_SIZE]);
/* ERR_CORRUPT if it was not sealed with this key for this endpoint. The caller wipes. */
MUST_USE err_t callback_secret_open(
    const struct callback_key *key,
    struct span endpoint_id,
    struct span sealed,
    char ret_secret[CALLBACK_SECRET_SIZE]);

#endif
