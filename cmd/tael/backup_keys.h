/*
 * The vault's master keys in a backup. Which generation a copy of the database needs is known only
 * when it has been taken, and a rotation may make the next file just before and remove the one of
 * before just after. So the files are looked at on both sides of the moment, and kept open: what
 * was removed meanwhile can be read all the same. A name's contents change only while nothing uses
 * them, so the later look has the file that counts.
 */
#ifndef TAEL_BACKUP_KEYS_H
#define TAEL_BACKUP_KEYS_H

#include "backup_data.h"

#include "os/file.h"

/* Two that are in use and one that is not yet; and what somebody has put there. */
#define BACKUP_KEYS_MAX      16

#define BACKUP_KEY_NAME_SIZE 32

/* The names of vault/master.h, which only the vault's role may link: backup_keys_test.c holds that
 * they are the same. */
void backup_key_name(uint32_t generation, char out[BACKUP_KEY_NAME_SIZE]);
bool backup_key_parse(const char *name, uint32_t *ret_generation);

struct backup_keys {
    struct os_disk *disk;

    struct backup_key {
        uint32_t generation;
        struct os_file *file;
    } keys[BACKUP_KEYS_MAX];

    uint32_t count;
    uint32_t newest_before; /* of the first look; 0: there was none */
};

/* Opens those of `folder`, which has the vault's database. Before the moment, and once more behind
 * it: ERR_BUSY then, if one may have come and gone between. Errors are explained in `message`. */
MUST_USE err_t
backup_keys_look(struct backup_keys *keys, const char *folder, char message[BACKUP_MESSAGE_SIZE]);
/* Closes what is open. */
void backup_keys_close(struct backup_keys *keys);

#endif
