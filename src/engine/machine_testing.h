/* For tests: a machine beside the model, driven by the same random operations. */
#ifndef ENGINE_MACHINE_TESTING_H
#define ENGINE_MACHINE_TESTING_H

#include "ledger_random.h"
#include "machine.h"

#include "os/sim_disk.h"

#define T_ACCOUNTS_MAX  40
#define T_PENDINGS_MAX  200
#define T_DIFFERENCE    256
#define T_FOLDER        "ledger"
#define T_SEGMENT_SIZE  (128u * 1024u)
#define T_TABLE_ENTRIES 4
#define T_SEEN_MAX      65536
#define T_TRANSFERS_MAX 8190

struct t_ledger {
    struct engine_machine machine;
    struct ledger_model *model;
    struct ledger_random random;
    struct ledger_random_operation operation;
    char url[512]; /* of the store */
    struct os_disk *disk;
    struct os_executor executor; /* runs what is posted at once */
    struct store_ticket ticket;
    uint32_t tickets_told;
    uint64_t snapshot_interval; /* of the next open; by the seed after init, 0 for every third */
    uint32_t orders;            /* that the journal keeps; a bit for each enum store_order */
    uint32_t notices;           /* of the store */
    char notice[STORE_MESSAGE_SIZE];
    uint32_t snapshots_loaded; /* opens that began with one */
    u128 seen[T_SEEN_MAX];     /* ids that were tried */
    uint32_t seen_count;
    bool applied; /* the model did the last operation; not one that found no room */
    err_t error;  /* of the last open or step */
    struct store_error store_error;
    char difference[T_DIFFERENCE];
};

/* On a journal of the disk; with TEST_POSTGRES (tools/with-postgres) in a schema of its own of that
 * database. */
void t_ledger_init(struct t_ledger *t, uint64_t seed, struct os_disk *disk);
void t_ledger_release(struct t_ledger *t);
err_t t_ledger_open(struct t_ledger *t);
/* Commits that change nothing are not stored, so a restart loses their nanoseconds: sets the clock
 * to the model's. False if it is ahead of that. */
bool t_ledger_catch_up(struct t_ledger *t);
void t_ledger_close(struct t_ledger *t);
/* Of the open store. */
struct store_status t_ledger_status(struct t_ledger *t);
/* Draws one operation, does it to both and makes it durable. False on a difference, or if the
 * store failed (then t->error says so, and the model has done it, the machine perhaps). */
bool t_ledger_step(struct t_ledger *t);
/* One random query to both. */
bool t_ledger_compare_query(struct t_ledger *t);
/* All accounts, transfers, failed ids, events and balances. */
bool t_ledger_compare_all(struct t_ledger *t);

#endif
