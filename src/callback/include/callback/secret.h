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

/* Reads the key's file in `folder`; makes it unless `must_exist`. In guarded memory; ends with
 * callback_key_close. */
MUST_USE err_t callback_key_open(
    struct os_disk *disk,
    struct os_entropy *entropy,
    const char *folder,
    bool must_exist,
    struct callback_key **ret_key,
    char message[CALLBACK_MESSAGE_SIZE]);
/* Reads it from a file that is there. The same otherwise. */
MUST_USE err_t callback_key_load(
    struct os_disk *disk,
    const char *path,
    struct callback_key **ret_key,
    char message[CALLBACK_MESSAGE_SIZE]);
/* Wipes; accepts NULL inside; sets NULL. */
void callback_key_close(struct callback_key **key);

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
