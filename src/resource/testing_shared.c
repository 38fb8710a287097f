/* What makes the tests' store say that it is shared: the other processes are played by the test. */
#include "testing.h"

static void
shared_owner(struct document_store *store, const void *owner)
{
    (void)store;
    (void)owner;
}

static err_t
shared_outcome(struct document_store *store, const void *owner)
{
    const struct t_store *t = (const struct t_store *)(void *)store;
    return owner != NULL && t->owners_lose ? ERR_STALE : ERR_OK;
}

static err_t
shared_prefetch(struct document_store *store, const struct document_wish *wishes, uint32_t count)
{
    (void)store;
    (void)wishes;
    (void)count;
    return ERR_OK;
}

static err_t
shared_lock(struct document_store *store, struct document_lock *locks, uint32_t count)
{
    (void)store;
    for (uint32_t i = 0; i < count; i++) {
        locks[i].granted = true;
    }
    return ERR_OK;
}

static void
shared_unlock(struct document_store *store, uint64_t scope, struct span id)
{
    (void)store;
    (void)scope;
    (void)id;
}

static bool
shared_lead(struct document_store *store, const char *work)
{
    (void)store;
    (void)work;
    return true;
}

static uint64_t
shared_round_trips(struct document_store *store)
{
    (void)store;
    return 0;
}

const struct document_shared_ops t_shared_ops = {
    .owner = shared_owner,
    .outcome = shared_outcome,
    .prefetch = shared_prefetch,
    .lock = shared_lock,
    .unlock = shared_unlock,
    .lead = shared_lead,
    .round_trips = shared_round_trips,
};
