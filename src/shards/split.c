/* Whose each event of a batch is, and what each shard gets of it. */
#include "router_private.h"

#include "base/assert.h"
#include "commit/records.h"

#include <stdlib.h>
#include <string.h>

#define NOBODY UINT8_MAX

static_assert(SHARD_SHARDS_MAX < NOBODY, "an owner is a byte, and one value is nobody");

/* ------------------------------------------------------------------------------------ owners ---
 */

/* No account can have these ids; a ledger says so itself. */
static bool
is_account(u128 id)
{
    return id != 0 && id != U128_MAX;
}

static bool
has_no_account(const struct ledger_transfer *transfer)
{
    return !is_account(transfer->debit_account_id) && !is_account(transfer->credit_account_id);
}

/* Leaves to its pending which accounts it is about. One that names a single account is looked at
 * too: its pending may be the commit protocol's. */
static bool
is_open(const struct ledger_transfer *transfer)
{
    return transfer->pending_id != 0 &&
           (!is_account(transfer->debit_account_id) || !is_account(transfer->credit_account_id));
}

static u128
id_of(const struct port_ledger_request *request, uint32_t event)
{
    return request->operation == PORT_LEDGER_CREATE_ACCOUNTS    ? request->in.accounts[event].id
           : request->operation == PORT_LEDGER_CREATE_TRANSFERS ? request->in.transfers[event].id
                                                                : request->in.ids[event];
}

static bool
is_linked(const struct port_ledger_request *request, uint32_t event)
{
    return request->operation == PORT_LEDGER_CREATE_ACCOUNTS
               ? (request->in.accounts[event].flags & LEDGER_ACCOUNT_LINKED) != 0
           : request->operation == PORT_LEDGER_CREATE_TRANSFERS
               ? (request->in.transfers[event].flags & LEDGER_TRANSFER_LINKED) != 0
               : false;
}

static uint8_t
owner_of_id(const struct shards_job *job, u128 id)
{
    return is_account(id) ? (uint8_t)shard_map_of_id(&job->router->map, id) : NOBODY;
}

/* Of two that must be together, either of which may be nobody's. */
static err_t
owner_join(uint8_t *owner, uint8_t other)
{
    if (*owner != NOBODY && other != NOBODY && *owner != other) {
        return ERR_CROSSES_SHARDS;
    }
    *owner = other == NOBODY ? *owner : other;
    return ERR_OK;
}

/* Nobody: its accounts are its pending's, which nobody has, or cannot be. */
static err_t
owner_of_event(const struct shards_job *job, uint32_t event, uint8_t *ret_owner)
{
    const struct port_ledger_request *request = job->request;
    if (request->operation != PORT_LEDGER_CREATE_TRANSFERS) {
        *ret_owner = owner_of_id(job, id_of(request, event));
        return ERR_OK;
    }
    const struct ledger_transfer *transfer = &request->in.transfers[event];
    *ret_owner = owner_of_id(job, transfer->debit_account_id);
    TRY(owner_join(ret_owner, owner_of_id(job, transfer->credit_account_id)));
    if (*ret_owner == NOBODY && job->accounts != NULL) {
        *ret_owner = owner_of_id(job, job->accounts[event]);
    }
    return ERR_OK;
}

/* A chain is its shard's as a whole (SHARDS-2). What is nobody's goes where its first id would be:
 * every ledger refuses it in the same words. */
static err_t
owners_find(struct shards_job *job)
{
    const struct port_ledger_request *request = job->request;
    uint32_t end = 0;
    for (uint32_t start = 0; start < request->count; start = end) {
        uint8_t owner = NOBODY;
        bool linked = true;
        for (end = start; linked && end < request->count; end++) {
            uint8_t other;
            TRY(owner_of_event(job, end, &other));
            TRY(owner_join(&owner, other));
            linked = is_linked(request, end);
        }
        if (owner == NOBODY) {
            owner = (uint8_t)shard_map_of_id(&job->router->map, id_of(request, start));
        }
        memset(&job->owners[start], owner, end - start);
    }
    return ERR_OK;
}

/* ---------------------------------------------------------------------------------- pendings ---
 */

err_t
shards_split_begin(struct shards_job *job, bool *ret_resolve)
{
    const struct port_ledger_request *request = job->request;
    bool transfers = request->operation == PORT_LEDGER_CREATE_TRANSFERS;
    uint32_t open_count = 0;
    for (uint32_t i = 0; transfers && i < request->count; i++) {
        const struct ledger_transfer *transfer = &request->in.transfers[i];
        open_count += is_open(transfer) ? 1 : 0;
    }
    uint64_t events = request->count == 0 ? 1 : request->count;
    uint64_t ids = open_count == 0 ? 0 : events + open_count;
    job->memory_size = ids * sizeof(u128) + events * (sizeof(*job->owners) + sizeof(*job->settled));
    job->memory = shards_memory_take(job->router, job->memory_size);
    if (job->memory == NULL) {
        job->memory_size = 0;
        return ERR_BUSY;
    }
    u128 *numbers = job->memory;
    job->owners = (uint8_t *)(numbers + ids);
    job->settled = (bool *)(job->owners + events);
    *ret_resolve = open_count > 0;
    if (open_count == 0) {
        return ERR_OK;
    }
    job->accounts = numbers;
    job->pendings = numbers + events;
    for (uint32_t i = 0; i < request->count; i++) {
        const struct ledger_transfer *transfer = &request->in.transfers[i];
        if (is_open(transfer)) {
            job->pendings[job->pending_count++] = transfer->pending_id;
        }
    }
    ASSERT(job->pending_count == open_count);
    return ERR_OK;
}

/* The account of a pending transfer that some shard has; the parts' cursors follow the ids. What is
 * on its way between slots is the commit protocol's to post or void, which names the accounts. */
static err_t
account_found(struct shards_job *job, u128 id, u128 *ret_account)
{
    u128 account = 0;
    for (uint32_t i = 0; i < job->router->map.shard_count; i++) {
        struct shards_part *part = &job->parts[i];
        const struct ledger_transfer *found = part->port.out.transfers;
        if (part->used && part->cursor < part->port.out_count && found[part->cursor].id == id) {
            const struct ledger_transfer *pending = &found[part->cursor++];
            if (commit_id_is_reserved(pending->debit_account_id) ||
                commit_id_is_reserved(pending->credit_account_id)) {
                return ERR_CROSSES_SHARDS;
            }
            account = account == 0 ? pending->debit_account_id : account;
        }
    }
    *ret_account = account;
    return ERR_OK;
}

static int
transfer_compare(const void *left, const void *right)
{
    const struct ledger_transfer *a = *(const struct ledger_transfer *const *)left;
    const struct ledger_transfer *b = *(const struct ledger_transfer *const *)right;
    return a->id != b->id ? (a->id < b->id ? -1 : 1) : (a < b ? -1 : a > b);
}

/* The first of the sorted ones that has the id, or NULL. */
static const struct ledger_transfer *
transfer_find(const struct ledger_transfer *const *sorted, uint32_t count, u128 id)
{
    uint32_t low = 0;
    uint32_t high = count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        bool before = sorted[middle]->id < id;
        low = before ? middle + 1 : low;
        high = before ? high : middle;
    }
    return low < count && sorted[low]->id == id ? sorted[low] : NULL;
}

/* Pendings that the same batch is about to create. Without memory they stay nobody's, and whoever
 * gets them says that there is no such pending: so the batch is refused before. */
static err_t
resolve_within(struct shards_job *job)
{
    const struct port_ledger_request *request = job->request;
    uint64_t size = (uint64_t)request->count * sizeof(const struct ledger_transfer *);
    const struct ledger_transfer **sorted = shards_memory_take(job->router, size);
    if (sorted == NULL) {
        return ERR_BUSY;
    }
    uint32_t count = 0;
    for (uint32_t i = 0; i < request->count; i++) {
        if (!has_no_account(&request->in.transfers[i])) {
            sorted[count++] = &request->in.transfers[i];
        }
    }
    qsort(sorted, count, sizeof(sorted[0]), transfer_compare);
    for (uint32_t i = 0; i < request->count; i++) {
        const struct ledger_transfer *transfer = &request->in.transfers[i];
        if (!has_no_account(transfer) || job->accounts[i] != 0) {
            continue;
        }
        const struct ledger_transfer *found = transfer_find(sorted, count, transfer->pending_id);
        if (found != NULL) {
            bool debit = is_account(found->debit_account_id);
            job->accounts[i] = debit ? found->debit_account_id : found->credit_account_id;
        }
    }
    shards_memory_give(job->router, sorted, size);
    return ERR_OK;
}

err_t
shards_split_resolved(struct shards_job *job)
{
    const struct port_ledger_request *request = job->request;
    bool all = true;
    for (uint32_t i = 0; i < request->count; i++) {
        const struct ledger_transfer *transfer = &request->in.transfers[i];
        if (is_open(transfer)) {
            TRY(account_found(job, transfer->pending_id, &job->accounts[i]));
            all = all && job->accounts[i] != 0;
        }
    }
    return all ? ERR_OK : resolve_within(job);
}

/* ------------------------------------------------------------------------------------- parts ---
 */

/* One shard answers the whole request, in the requester's own arrays. */
void
shards_ask_one(struct shards_job *job, uint32_t shard)
{
    struct shards_part *part = &job->parts[shard];
    part->used = true;
    part->direct = true;
    part->port = (struct port_ledger_request){
        .operation = job->request->operation,
        .count = job->request->count,
        .in = job->request->in,
        .out = job->request->out,
        .pairs = job->request->pairs,
    };
}

static err_t
part_make(struct shards_job *job, uint32_t shard, uint32_t count)
{
    const struct port_ledger_request *request = job->request;
    struct shards_part *part = &job->parts[shard];
    uint64_t in_size = shards_in_size(request->operation) * count;
    uint64_t pairs_size = request->pairs == NULL ? 0 : sizeof(*request->pairs) * (uint64_t)count;
    uint64_t out_size = shards_out_size(request->operation) * count;
    part->memory_size = in_size + pairs_size + out_size + sizeof(*part->positions) * count;
    part->memory = shards_memory_take(job->router, part->memory_size);
    if (part->memory == NULL) {
        part->memory_size = 0;
        return ERR_BUSY;
    }
    char *at = part->memory;
    part->used = true;
    part->port = (struct port_ledger_request){.operation = request->operation};
    part->port.in.ids = (u128 *)(void *)at;
    part->port.pairs = request->pairs == NULL ? NULL : (void *)(at + in_size);
    part->port.out.results = (void *)(at + in_size + pairs_size);
    part->positions = (uint32_t *)(void *)(at + in_size + pairs_size + out_size);
    return ERR_OK;
}

static void
part_add(struct shards_part *part, const struct port_ledger_request *request, uint32_t event)
{
    size_t size = shards_in_size(request->operation);
    char *to = part->memory; /* its events come first */
    const char *from = (const char *)request->in.ids;
    memcpy(to + part->port.count * size, from + event * size, size);
    part->positions[part->port.count++] = event;
}

err_t
shards_split(struct shards_job *job)
{
    const struct port_ledger_request *request = job->request;
    uint32_t counts[SHARD_SHARDS_MAX] = {0};
    uint32_t shards = 0;
    uint32_t last = 0;
    TRY(owners_find(job));
    for (uint32_t i = 0; i < request->count; i++) {
        counts[job->owners[i]] += job->settled[i] ? 0 : 1;
    }
    for (uint32_t i = 0; i < job->router->map.shard_count; i++) {
        shards += counts[i] > 0 ? 1 : 0;
        last = counts[i] > 0 ? i : last;
    }
    if (shards <= 1 && job->settled_count == 0) {
        shards_ask_one(job, last);
        return ERR_OK;
    }
    for (uint32_t i = 0; i < job->router->map.shard_count; i++) {
        if (counts[i] > 0) {
            TRY(part_make(job, i, counts[i]));
        }
    }
    for (uint32_t i = 0; i < request->count; i++) {
        if (!job->settled[i]) {
            part_add(&job->parts[job->owners[i]], request, i);
        }
    }
    return ERR_OK;
}

void
shards_split_settle(struct shards_part *part)
{
    struct shards_job *job = part->job;
    struct port_ledger_request *request = job->request;
    for (uint32_t i = 0; !part->direct && i < part->port.count; i++) {
        uint32_t event = part->positions[i];
        ASSERT(!job->settled[event]); /* SHARDS-1 */
        request->out.results[event] = part->port.out.results[i];
        if (request->pairs != NULL) {
            request->pairs[event] = part->port.pairs[i];
        }
        job->settled[event] = true;
    }
    job->settled_count += part->port.count;
    request->out_count = job->settled_count;
    ASSERT(job->settled_count <= request->count);
}
