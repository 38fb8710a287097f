/*
 * The files of the vault's master keys, beside its database: master.key is the first generation,
 * master-2.key the second, and so on. A file never changes once a data key is wrapped with it, so a
 * name says for ever which key it is; which generation is in use is for the database to say. There
 * may be one more file than that: of a rotation that was cut off before anything used it.
 *
 * Any thread.
 */
#ifndef VAULT_MASTER_H
#define VAULT_MASTER_H

#include "os/entropy.h"
#include "os/file.h"

#define VAULT_MASTER_SIZE      32 /* bytes of a key */
#define VAULT_MASTER_NAME_SIZE 32
#define VAULT_GENERATION_FIRST 1
#define VAULT_GENERATION_MAX   999999

void vault_master_name(uint32_t generation, char out[VAULT_MASTER_NAME_SIZE]);
/* False: it is no master key's name. */
bool vault_master_parse(const char *name, uint32_t *ret_generation);

/* Durable when it returns. Replaces what is there. Errors as os_key_file_make's. */
MUST_USE err_t vault_master_make(
    struct os_disk *disk, struct os_entropy *entropy, const char *folder, uint32_t generation);
/* Errors as os_key_file_load's. The caller wipes. */
MUST_USE err_t vault_master_load(
    struct os_disk *disk,
    const char *folder,
    uint32_t generation,
    uint8_t ret_master[VAULT_MASTER_SIZE]);
/* The oldest and the newest generation whose file is there; 0 and 0 without any. */
MUST_USE err_t vault_master_range(
    struct os_disk *disk, const char *folder, uint32_t *ret_oldest, uint32_t *ret_newest);
/* Removes the files of all generations before this one. */
MUST_USE err_t
vault_master_remove_before(struct os_disk *disk, const char *folder, uint32_t generation);

#endif
