/*
 * The port of one shard. Its map never changes while it runs, so that any thread may look at it;
 * another map is another start (docs/internals/shards.md).
 */
#include "shards/shards.h"

#include "base/assert.h"
#include "base/list.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct shards_owner {
    struct port_ledger port;
    struct port_ledger *ledger;
    uint32_t shard;
    _Atomic uint64_t moved;
    struct shard_map map;
};

/* Nobody's, or ours. */
static bool
may_have(const struct shards_owner *owner, u128 id)
{
    return id == 0 || id == U128_MAX || shard_map_of_id(&owner->map, id) == owner->shard;
}

static bool
may_have_transfer(const struct shards_owner *owner, const struct ledger_transfer *transfer)
{
    return may_have(owner, transfer->debit_account_id) &&
           may_have(owner, transfer->credit_account_id);
}

static bool
owns_batch(const struct shards_owner *owner, const struct port_ledger_request *request)
{
    bool owns = true;
    for (uint32_t i = 0; owns && i < request->count; i++) {
        owns = request->operation == PORT_LEDGER_CREATE_ACCOUNTS
                   ? may_have(owner, request->in.accounts[i].id)
               : request->operation == PORT_LEDGER_CREATE_TRANSFERS
                   ? may_have_transfer(owner, &request->in.transfers[i])
                   : may_have(owner, request->in.ids[i]);
    }
    return owns;
}

static bool
owns(const struct shards_owner *owner, const struct port_ledger_request *request)
{
    switch (request->operation) {
    case PORT_LEDGER_CREATE_ACCOUNTS:
    case PORT_LEDGER_CREATE_TRANSFERS:
    case PORT_LEDGER_LOOKUP_ACCOUNTS:
    case PORT_LEDGER_LOOKUP_CONSISTENT:
        return owns_batch(owner, request);
    case PORT_LEDGER_GET_ACCOUNT_TRANSFERS:
    case PORT_LEDGER_GET_ACCOUNT_BALANCES:
        return may_have(owner, request->in.filter->account_id);
    case PORT_LEDGER_LOOKUP_TRANSFERS:
    case PORT_LEDGER_QUERY_ACCOUNTS:
    case PORT_LEDGER_QUERY_TRANSFERS:
    case PORT_LEDGER_GET_CHANGE_EVENTS:
    case PORT_LEDGER_QUERY_IN_TRANSIT:
        return true;
    }
    UNREACHABLE();
}

static void
run_done(struct os_task *task)
{
    struct port_ledger_request *request = CONTAINER_OF(task, struct port_ledger_request, task);
    request->done(request);
}

static void
submit(struct port_ledger *port, struct port_ledger_request *request)
{
    struct shards_owner *owner = CONTAINER_OF(port, struct shards_owner, port);
    ASSERT(request->done != NULL);
    if (request->epoch == owner->map.epoch && owns(owner, request)) {
        owner->ledger->submit(owner->ledger, request);
        return;
    }
    atomic_fetch_add_explicit(&owner->moved, 1, memory_order_relaxed);
    request->epoch = owner->map.epoch;
    request->error = ERR_MOVED;
    request->out_count = 0;
    request->task.run = run_done;
    os_post(request->reply_to, &request->task);
}

err_t
shards_owner_create(
    struct port_ledger *ledger,
    const struct shard_map *map,
    uint32_t shard,
    struct shards_owner **ret_owner)
{
    ASSERT(shard < map->shard_count);
    struct shards_owner *owner = calloc(1, sizeof(*owner));
    if (owner == NULL) {
        return ERR_MEMORY;
    }
    owner->port.submit = submit;
    owner->ledger = ledger;
    owner->shard = shard;
    memcpy(&owner->map, map, sizeof(owner->map));
    *ret_owner = owner;
    return ERR_OK;
}

void
shards_owner_destroy(struct shards_owner **owner)
{
    free(*owner);
    *owner = NULL;
}

struct port_ledger *
shards_owner_port(struct shards_owner *owner)
{
    return &owner->port;
}

uint64_t
shards_owner_epoch(const struct shards_owner *owner)
{
    return owner->map.epoch;
}

uint64_t
shards_owner_moved(const struct shards_owner *owner)
{
    return atomic_load_explicit(&owner->moved, memory_order_relaxed);
}
