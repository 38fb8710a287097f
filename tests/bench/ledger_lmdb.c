/* ledger_compare.h in LMDB: three trees, each commit synced; transfers are appended to theirs. */
#include "ledger_compare.h"

#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>

#define MAP_SIZE  (UINT64_C(64) << 30) /* of address space */
#define FILE_MODE 0600

static MDB_env *environment;
static MDB_txn *transaction;
static MDB_dbi ids, transfers, accounts;

static void
expect(int result)
{
    if (result != MDB_SUCCESS) {
        (void)fprintf(stderr, "ledger_lmdb: %s\n", mdb_strerror(result));
        exit(1);
    }
}

static void
lmdb_begin(void)
{
    expect(mdb_txn_begin(environment, NULL, 0, &transaction));
}

static void
lmdb_commit(void)
{
    expect(mdb_txn_commit(transaction));
}

static void
lmdb_open(const char *folder)
{
    expect(mdb_env_create(&environment));
    expect(mdb_env_set_maxdbs(environment, 3));
    expect(mdb_env_set_mapsize(environment, MAP_SIZE));
    expect(mdb_env_open(environment, folder, MDB_NOMEMINIT | MDB_NORDAHEAD, FILE_MODE));
    lmdb_begin();
    expect(mdb_dbi_open(transaction, "ids", MDB_CREATE, &ids));
    expect(mdb_dbi_open(transaction, "transfers", MDB_CREATE | MDB_INTEGERKEY, &transfers));
    expect(mdb_dbi_open(transaction, "accounts", MDB_CREATE | MDB_INTEGERKEY, &accounts));
    lmdb_commit();
}

static void
put(MDB_dbi tree, uint64_t key, const void *record, size_t size, unsigned flags)
{
    MDB_val key_value = {.mv_size = sizeof(key), .mv_data = &key};

    /* The library's type is not const; it only reads. */
    union {
        const void *in;
        void *out;
    } borrowed = {.in = record};

    MDB_val value = {.mv_size = size, .mv_data = borrowed.out};
    expect(mdb_put(transaction, tree, &key_value, &value, flags));
}

static bool
lmdb_id_insert(u128 id, uint64_t timestamp)
{
    unsigned char bytes[sizeof(id)]; /* the highest first, so that they sort as the ids do */
    for (size_t i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (unsigned char)(id >> (8 * (sizeof(bytes) - 1 - i)));
    }
    MDB_val key = {.mv_size = sizeof(bytes), .mv_data = bytes};
    MDB_val value = {.mv_size = sizeof(timestamp), .mv_data = &timestamp};
    int result = mdb_put(transaction, ids, &key, &value, MDB_NOOVERWRITE);
    if (result == MDB_KEYEXIST) {
        return false;
    }
    expect(result);
    return true;
}

static void
lmdb_transfer_put(uint64_t timestamp, const void *record)
{
    put(transfers, timestamp, record, COMPARE_TRANSFER_SIZE, MDB_APPEND);
}

static void
lmdb_account_put(uint32_t index, const void *record)
{
    put(accounts, index, record, COMPARE_ACCOUNT_SIZE, 0);
}

static void
lmdb_close(void)
{
    mdb_env_close(environment);
}

int
main(int argc, char **argv)
{
    const struct compare_engine engine = {
        .name = "lmdb",
        .open = lmdb_open,
        .begin = lmdb_begin,
        .id_insert = lmdb_id_insert,
        .transfer_put = lmdb_transfer_put,
        .account_put = lmdb_account_put,
        .commit = lmdb_commit,
        .close = lmdb_close,
    };
    return compare_main(argc, argv, &engine);
}
