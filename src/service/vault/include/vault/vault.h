/*
 * The vault: card numbers, encrypted; the only code that sees them (M6).
 *
 * VAULT-1  A number is stored only as AES-256-GCM ciphertext under a data key; each record has its
 *          own nonce and names its key, and is bound to its token by the additional data.
 * VAULT-2  Data keys are stored only wrapped by the master key, which is a file of mode 0600 made
 *          at the first start, and lives in locked memory afterwards.
 * VAULT-3  The fingerprint is HMAC-SHA256 under a key derived from the master key, per merchant.
 * VAULT-4  A CVC is held in memory until the first authorization, an hour at most, never written.
 * VAULT-5  A token is answered only when its record is durable.
 */
#ifndef VAULT_VAULT_H
#define VAULT_VAULT_H

#include "os/clock.h"
#include "os/entropy.h"
#include "os/file.h"
#include "os/loop.h"
#include "port/network.h"
#include "port/vault.h"

struct vault;

struct vault_parts {
    struct os_loop *loop;
    struct os_clock *clock;
    struct os_entropy *entropy;
    struct os_disk *disk;
    const char *folder;           /* created with mode 0700 */
    struct port_network *network; /* where authorizations go, with the number put in */
};

#define VAULT_MESSAGE_SIZE 256

/* ERR_DENIED if the master key's file can be read by others; the message says what to do. */
MUST_USE err_t vault_create(
    const struct vault_parts *parts, struct vault **ret_vault, char message[VAULT_MESSAGE_SIZE]);
/* After the loop has stopped. Accepts NULL; sets the pointer to NULL. Wipes. */
void vault_destroy(struct vault **vault);

struct port_vault *vault_port(struct vault *vault);
/* The connection as the card rail sees it: by token. */
struct port_network *vault_network(struct vault *vault);

/* Makes a new data key for what is stored from now on. On the loop, or before it runs. */
MUST_USE err_t vault_rotate(struct vault *vault);

#endif
