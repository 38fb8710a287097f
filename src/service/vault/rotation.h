/*
 * The work of a rotation: cards that lie under a data key of an older generation are sealed and
 * looked up under the one in use, a step of them at a time, each step one transaction. What is left
 * to do is what the rows say, so a rotation goes on after a crash where it was. When no card is
 * left the older generations are retired.
 *
 * A card that cannot be read is set aside: its row stays as it is, but for the key, in whose place
 * it says so. No key that is kept would open it.
 */
#ifndef VAULT_ROTATION_H
#define VAULT_ROTATION_H

#include "keys.h"
#include "stored.h"

/* Cards of a step: some two milliseconds of work and one sync of the disk. */
#define VAULT_STEP_CARDS DOCUMENT_LIST_MAX

struct vault_rotation_work {
    struct vault_key_memory *keys;
    const struct vault_keys_place *place;
    struct vault_stored *batch; /* room for VAULT_STEP_CARDS */
    /* Told before the commit of each card, as it was: what is kept of it is out of date. */
    void (*changed)(void *context, const struct vault_stored *before);
    /* Told of each card that was set aside, when that is durable. */
    void (*set_aside)(void *context, const char *token);
    void *context;
};

struct vault_rotation_step {
    uint32_t cards;      /* sealed anew */
    uint32_t unreadable; /* set aside */
    bool retired;        /* older generations have ended */
};

/* Between transactions. Any error: nothing was done, and it may be tried again. */
MUST_USE err_t
vault_rotation_step(const struct vault_rotation_work *work, struct vault_rotation_step *ret_step);

#endif
