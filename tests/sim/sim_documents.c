#include "sim_documents.h"

#include "base/assert.h"

static struct sim_documents *
documents_of(struct document_store *store)
{
    return (struct sim_documents *)(void *)store;
}

static err_t
documents_begin(struct document_store *store)
{
    struct sim_documents *documents = documents_of(store);
    if (documents->gone) {
        return ERR_CLOSED;
    }
    err_t error = documents->real->ops->begin(documents->real);
    documents->open = error == ERR_OK;
    return error;
}

static void
documents_rollback(struct document_store *store)
{
    struct sim_documents *documents = documents_of(store);
    if (documents->open) {
        documents->open = false;
        documents->real->ops->rollback(documents->real);
    }
}

static err_t
commit_really(struct sim_documents *documents)
{
    documents->open = false;
    return documents->real->ops->commit(documents->real);
}

static err_t
documents_commit(struct document_store *store)
{
    struct sim_documents *documents = documents_of(store);
    enum sim_commit_fate fate = documents->fate;
    if (documents->gone) {
        documents_rollback(store);
        return ERR_CLOSED;
    }
    if (fate == SIM_COMMIT_WORKS || documents->fate_after > 0) {
        documents->fate_after -= fate == SIM_COMMIT_WORKS ? 0 : 1;
        return commit_really(documents);
    }
    documents->fate = SIM_COMMIT_WORKS;
    bool written = fate == SIM_COMMIT_DIES_AFTER || fate == SIM_COMMIT_UNKNOWN_DONE;
    if (written) {
        err_t error = commit_really(documents);
        ASSERT(error == ERR_OK);
    } else {
        documents_rollback(store);
    }
    documents->died = fate == SIM_COMMIT_DIES_BEFORE || fate == SIM_COMMIT_DIES_AFTER;
    documents->gone = fate != SIM_COMMIT_FAILS;
    return fate == SIM_COMMIT_FAILS ? ERR_DISK_FULL : ERR_OUTCOME_UNKNOWN;
}

static err_t
documents_get(
    struct document_store *store,
    const struct document_kind *kind,
    uint64_t scope,
    struct span id,
    struct arena *arena,
    struct document_row *ret_row)
{
    struct document_store *real = documents_of(store)->real;
    return documents_of(store)->gone ? ERR_CLOSED
                                     : real->ops->get(real, kind, scope, id, arena, ret_row);
}

static err_t
documents_insert(
    struct document_store *store, const struct document_kind *kind, const struct document_row *row)
{
    struct document_store *real = documents_of(store)->real;
    return documents_of(store)->gone ? ERR_CLOSED : real->ops->insert(real, kind, row);
}

static err_t
documents_update(
    struct document_store *store, const struct document_kind *kind, const struct document_row *row)
{
    struct document_store *real = documents_of(store)->real;
    return documents_of(store)->gone ? ERR_CLOSED : real->ops->update(real, kind, row);
}

static err_t
documents_remove(
    struct document_store *store,
    const struct document_kind *kind,
    uint64_t scope,
    struct span id,
    uint32_t version)
{
    struct document_store *real = documents_of(store)->real;
    return documents_of(store)->gone ? ERR_CLOSED
                                     : real->ops->remove(real, kind, scope, id, version);
}

static err_t
documents_list(
    struct document_store *store,
    const struct document_kind *kind,
    const struct document_query *query,
    document_each each,
    void *context)
{
    struct document_store *real = documents_of(store)->real;
    return documents_of(store)->gone ? ERR_CLOSED
                                     : real->ops->list(real, kind, query, each, context);
}

static void
documents_maintain(struct document_store *store)
{
    struct document_store *real = documents_of(store)->real;
    real->ops->maintain(real);
}

static void
documents_close(struct document_store *store)
{
    struct document_store *real = documents_of(store)->real;
    if (!documents_of(store)->gone) {
        documents_rollback(store);
    } else if (!documents_of(store)->open) {
        /* In the middle of a transaction: as a process that dies leaves it. */
        err_t error = real->ops->begin(real);
        ASSERT(error == ERR_OK);
    }
    real->ops->close(real);
}

static const struct document_store_ops documents_ops = {
    .begin = documents_begin,
    .commit = documents_commit,
    .rollback = documents_rollback,
    .get = documents_get,
    .insert = documents_insert,
    .update = documents_update,
    .remove = documents_remove,
    .list = documents_list,
    .maintain = documents_maintain,
    .close = documents_close,
};

void
sim_documents_init(struct sim_documents *documents)
{
    *documents = (struct sim_documents){.store = {.ops = &documents_ops}};
}
