/*
 * Endpoints' secrets at rest: AES-256-GCM (NIST SP 800-38D) under a key that is a file of its own,
 * so that the documents alone do not let anybody sign. Each is bound to its endpoint's id.
 */
#ifndef EVENTS_SECRET_H
#define EVENTS_SECRET_H

#include "events/events.h"
#include "events/signature.h"

#define EVENTS_KEY_SIZE   32
#define EVENTS_NONCE_SIZE 12
#define EVENTS_TAG_SIZE   16
/* Hex of nonce, ciphertext and tag. */
#define EVENTS_SEALED_SIZE (2 * (EVENTS_NONCE_SIZE + EVENTS_SECRET_SIZE + EVENTS_TAG_SIZE))

struct events_key {
    uint8_t bytes[EVENTS_KEY_SIZE];
};

/* Reads the key's file in `folder`; makes it unless `must_exist`. In guarded memory; ends with
 * events_key_close. */
MUST_USE err_t events_key_open(
    struct os_disk *disk,
    struct os_entropy *entropy,
    const char *folder,
    bool must_exist,
    struct events_key **ret_key,
    char message[EVENTS_MESSAGE_SIZE]);
/* Reads it from a file that is there. The same otherwise. */
MUST_USE err_t events_key_load(
    struct os_disk *disk,
    const char *path,
    struct events_key **ret_key,
    char message[EVENTS_MESSAGE_SIZE]);
/* Wipes; accepts NULL inside; sets NULL. */
void events_key_close(struct events_key **key);

MUST_USE err_t events_secret_seal(
    const struct events_key *key,
    struct os_entropy *entropy,
    struct span endpoint_id,
    const char secret[EVENTS_SECRET_SIZE],
    char ret_sealed[EVENTS_SEALED_SIZE]);
/* ERR_CORRUPT if it was not sealed with this key for this endpoint. The caller wipes. */
MUST_USE err_t events_secret_open(
    const struct events_key *key,
    struct span endpoint_id,
    struct span sealed,
    char ret_secret[EVENTS_SECRET_SIZE]);

#endif
