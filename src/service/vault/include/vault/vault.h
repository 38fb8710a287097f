/*
 * The vault: card numbers, encrypted; the only code that sees them (M6).
 *
 * VAULT-1  A number is stored only as AES-256-GCM ciphertext under a data key; each record has its
 *          own nonce and names its key, and is bound to its token by the additional data.
 * VAULT-2  Data keys are stored only wrapped by the master key, which is a file of mode 0600 made
 *          at the first start, and lives in locked memory afterwards.
 * VAULT-3  The fingerprint is HMAC-SHA256 under a key of its own, per merchant, and stays the same
 *          when other keys are rotated.
 * VAULT-4  A CVC is held in memory until the first authorization, an hour at most, never written.
 * VAULT-5  A token is answered only when its record is durable.
 * VAULT-6  At every moment of a rotation, a crash included, every card can be read, and a card that
 *          comes again has its token. A key ends when nothing is under it that can be read.
 * VAULT-7  No card is removed but one that was set aside and that no key opens.
 */
#ifndef VAULT_VAULT_H
#define VAULT_VAULT_H

#include "os/clock.h"
#include "os/entropy.h"
#include "os/file.h"
#include "os/loop.h"
#include "port/network.h"
#include "port/vault.h"

struct trace_log;
struct vault;

struct vault_parts {
    struct os_loop *loop;
    struct os_clock *clock;
    struct os_entropy *entropy;
    struct os_disk *disk;
    const char *folder;           /* created with mode 0700; copied */
    struct port_network *network; /* where authorizations go, with the number put in */
    struct trace_log *log;        /* may be NULL */
};

#define VAULT_MESSAGE_SIZE 256

/* The message says what is wrong with the master key's file or the database. A rotation that was
 * cut off goes on when the loop runs. */
MUST_USE err_t vault_create(
    const struct vault_parts *parts, struct vault **ret_vault, char message[VAULT_MESSAGE_SIZE]);
/* After the loop has stopped. Accepts NULL; sets the pointer to NULL. Wipes. */
void vault_destroy(struct vault **vault);

struct port_vault *vault_port(struct vault *vault);
/* The connection as the card rail sees it: by token. */
struct port_network *vault_network(struct vault *vault);

/*
 * Rotation: a new master key and a new data key, which everything that is stored from now on uses;
 * then cards that are there are sealed anew, some of them at a time, while the vault works. In the
 * end the keys of before are removed. A damaged card, which cannot be read, is set aside: its row
 * stays, under no key, and is told of until somebody discards it.
 */
#define VAULT_UNREADABLE_SHOWN 20

/* Damaged cards that rotations have set aside, and nobody discarded. */
struct vault_aside {
    uint32_t count;
    uint32_t shown; /* so many of their tokens are below */
    char tokens[VAULT_UNREADABLE_SHOWN][PORT_VAULT_TOKEN_SIZE];
};

struct vault_rotation {
    uint32_t generation; /* in use; 1 is the first */
    bool under_way;      /* an older one is there yet */
    uint64_t cards;      /* sealed anew since the start of the process */
    bool failing;        /* the last step failed; it is tried again after 10 seconds */
    struct vault_aside aside;
};

/* What was published last. Any thread. */
void vault_rotation_look(const struct vault *vault, struct vault_rotation *ret_rotation);

struct vault_rotate {
    /* The caller's. */
    struct os_executor *reply_to;
    void (*done)(struct vault_rotate *request);
    /* The answer. ERR_OK: the new generation is durable. ERR_BUSY: one is under way, and goes on.
     * ERR_OUTCOME_UNKNOWN: the next start knows. Others: nothing has
     * changed. */
    err_t error;
    /* The vault's, until then. */
    struct os_task task;
    struct vault *vault;
};

/* Any thread; answers once, when the loop runs. */
void vault_rotate(struct vault *vault, struct vault_rotate *request);

/* Removes cards that were set aside, some of them at a time. To whoever pays with one, it is as it
 * was before: nothing can be paid with it. */
struct vault_discard {
    /* The caller's. */
    struct os_executor *reply_to;
    void (*done)(struct vault_discard *request);
    char token[PORT_VAULT_TOKEN_SIZE]; /* empty: all that no key opens */
    /* The answer. ERR_NOT_FOUND: no card of this token was set aside. ERR_DENIED: it was, and yet a
     * key that is there opens it. ERR_OUTCOME_UNKNOWN: whether more was removed the next start
     * knows. Others: nothing more was. */
    err_t error;
    uint32_t discarded; /* so many are removed, durably, whatever the error */
    /* The vault's, until then. */
    struct os_task task;
    struct vault *vault;
};

/* Any thread; answers once, when the loop runs. */
void vault_discard(struct vault *vault, struct vault_discard *request);

#endif
