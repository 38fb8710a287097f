/* What a vault is made of, for the files that are its loop's: vault.c, and rotating.c for
 * rotations, aside.c for damaged cards. */
#ifndef VAULT_PRIVATE_H
#define VAULT_PRIVATE_H

#include "cvc.h"
#include "keys.h"
#include "rotation.h"
#include "stored.h"
#include "vault/vault.h"

#include <stdatomic.h>

struct vault {
    struct port_vault port;
    struct port_network network;
    struct vault_parts parts;
    char folder[OS_PATH_SIZE];
    struct vault_key_memory *keys;
    struct document_store *documents;
    struct vault_cvcs cvcs;
    struct id_generator ids;
    struct arena arena;
    struct os_group_hook hook;
    bool writing;                  /* a transaction is open */
    struct os_task *waiting_first; /* answered when it is durable (VAULT-5) */
    struct os_task *waiting_last;
    struct vault_stored *by_lookup; /* direct-mapped caches of rows that are durable */
    struct vault_stored *by_token;

    struct vault_keys_place place;
    struct vault_rotation_work work;
    struct os_timer step_timer;
    bool step_is_due;
    struct os_task *asked; /* by operators, in this group: run behind its commit */
    /* Published for vault_rotation_look. */
    atomic_uint generation;
    atomic_bool rotating;
    _Atomic uint64_t sealed_anew;
    atomic_bool failing;
    struct vault_told *told; /* aside.c's */
};

/* The place in a cache for this token or look-up: whatever is there may be another's. */
struct vault_stored *vault_cache_slot(struct vault_stored *cache, const char *text);

/* When keys and caches are there: a rotation that was cut off goes on when the loop runs. */
MUST_USE err_t vault_rotating_open(struct vault *vault);
/* Behind a group's commit: what is due of rotations and what operators ask for, in transactions of
 * its own. */
void vault_rotating_turn(struct vault *vault);
/* Keeps a task of an operator's request until then, when `run` is called. */
void vault_rotating_ask(struct vault *vault, struct os_task *task, void (*run)(struct os_task *));
/* What the caches have of a card whose row changes. `context` is the vault. */
void vault_forget_cached(void *context, const struct vault_stored *before);

/* Before any rotation: those that were set aside before this start. */
MUST_USE err_t vault_aside_open(struct vault *vault);
void vault_aside_close(struct vault *vault);
/* One more, durably. */
void vault_aside_add(struct vault *vault, const char *token);
/* Any thread. */
void vault_aside_look(const struct vault *vault, struct vault_aside *ret_aside);

#endif
