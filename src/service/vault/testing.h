/* A vault on a simulated loop and a folder of the real disk, for its tests. */
#ifndef VAULT_TESTING_H
#define VAULT_TESTING_H

#include "document/document.h"
#include "os/sim.h"
#include "vault/vault.h"

#define T_STEPS  100000
#define T_NUMBER "4242424242424242"

/* A network that only looks at what it is given. */
struct t_network {
    struct port_network network;
    struct port_network_card seen;
    uint32_t count;
};

struct t_bench {
    char folder[64];
    struct os_sim *sim;
    struct os_loop *loop;
    struct os_disk *disk; /* of the next start */
    struct t_network network;
    struct vault *vault;
};

/* For cmocka: a bench that runs, in a folder of its own; removes both. */
int t_setup(void **state);
int t_teardown(void **state);

/* What vault_create answers; a vault that was made runs. */
err_t t_try_start(struct t_bench *bench, char message[VAULT_MESSAGE_SIZE]);
void t_start(struct t_bench *bench);
/* Also of a start that failed. What was not committed is gone, as after a crash. */
void t_stop(struct t_bench *bench);

/* "folder/name" */
void t_path(const struct t_bench *bench, const char *name, char out[256]);
bool t_file_holds(const struct t_bench *bench, const char *name, const char *text);

struct port_vault_tokenize t_tokenize(
    struct t_bench *bench, uint64_t scope, const char *number, const char *cvc);
err_t t_authorize(struct t_bench *bench, uint64_t scope, const char *token);
void t_ignore(struct port_vault_tokenize *request);

err_t t_rotate(struct t_bench *bench);
struct vault_rotation t_look(const struct t_bench *bench);
/* Runs until nothing older is there. */
void t_finish(struct t_bench *bench);

/* Of a vault that is stopped. */
struct document_store *t_open_documents(const struct t_bench *bench);

/* What a stored card has in a column is another text then. */
struct t_change {
    uint64_t scope;
    const char *token;
    uint32_t column;
    struct span text;
};

/* Changes stored cards as a disk may, and starts the vault again. */
void t_change(struct t_bench *bench, const struct t_change *changes, uint32_t count);

/* A commit of this store answers ERR_DISK_FULL and has done nothing: the first one behind `succeed`
 * that do what they do. Those that follow are as ever. */
void t_fail_commit(struct document_store *store, uint32_t succeed);

#endif
