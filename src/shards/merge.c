/* What is asked of every shard, and what they found as one answer. */
#include "router_private.h"

#include "base/assert.h"

#include <string.h>

static uint32_t
limit_of(const struct port_ledger_request *request)
{
    uint32_t limit = request->in.filter->limit;
    return limit < LEDGER_BATCH_MAX ? limit : LEDGER_BATCH_MAX;
}

err_t
shards_ask_all(
    struct shards_job *job, enum port_ledger_operation operation, const u128 *ids, uint32_t count)
{
    struct shards_router *router = job->router;
    uint32_t room = shards_in_size(operation) == 0 ? limit_of(job->request) : count;
    SHARDS_COUNT(router, all, 1);
    for (uint32_t i = 0; i < router->map.shard_count; i++) {
        struct shards_part *part = &job->parts[i];
        if (!router->has_slots[i]) {
            continue; /* nothing of it is shown, and it may not be there yet */
        }
        part->memory_size = shards_out_size(operation) * (room == 0 ? 1 : (uint64_t)room);
        part->memory = shards_memory_take(router, part->memory_size);
        if (part->memory == NULL) {
            part->memory_size = 0;
            return ERR_BUSY;
        }
        part->used = true;
        part->port = (struct port_ledger_request){.operation = operation, .count = count};
        part->port.in = job->request->in;
        if (shards_in_size(operation) != 0) {
            part->port.in.ids = ids;
        }
        part->port.out.results = part->memory;
    }
    return ERR_OK;
}

static const char *
head_of(const struct shards_part *part)
{
    return (const char *)part->memory + part->cursor * shards_out_size(part->port.operation);
}

static bool
has_more(const struct shards_part *part)
{
    return part->used && part->cursor < part->port.out_count;
}

static char *
place_of(const struct port_ledger_request *request, uint32_t at)
{
    return (char *)request->out.results + at * shards_out_size(request->operation);
}

/* ---------------------------------------------------------------------------------- look-ups ---
 */

static bool
head_is(const struct shards_part *part, u128 id)
{
    u128 found = 0;
    const char *head = part->port.operation == PORT_LEDGER_LOOKUP_TRANSFERS
                           ? (const char *)part->port.out.transfers
                           : (const char *)part->port.out.accounts;
    static_assert(offsetof(struct ledger_account, id) == 0, "an id comes first");
    static_assert(offsetof(struct ledger_transfer, id) == 0, "an id comes first");
    memcpy(&found, head + part->cursor * shards_out_size(part->port.operation), sizeof(found));
    return found == id;
}

/* Each shard answers in the order of the ids, and leaves out what it does not have. */
static void
merge_ids(struct shards_job *job)
{
    struct port_ledger_request *request = job->request;
    size_t size = shards_out_size(request->operation);
    for (uint32_t i = 0; i < request->count; i++) {
        bool found = false;
        for (uint32_t j = 0; j < job->router->map.shard_count; j++) {
            struct shards_part *part = &job->parts[j];
            if (!has_more(part) || !head_is(part, request->in.ids[i])) {
                continue;
            }
            if (!found) {
                const char *head = (const char *)part->port.out.accounts + part->cursor * size;
                memcpy(place_of(request, request->out_count++), head, size);
            }
            found = true;
            part->cursor++;
        }
    }
}

/* ----------------------------------------------------------------------------------- queries ---
 */

static uint64_t
timestamp_of(enum port_ledger_operation operation, const char *record)
{
    size_t offset =
        operation == PORT_LEDGER_QUERY_ACCOUNTS ? offsetof(struct ledger_account, timestamp)
        : operation == PORT_LEDGER_QUERY_TRANSFERS || operation == PORT_LEDGER_QUERY_IN_TRANSIT
            ? offsetof(struct ledger_transfer, timestamp)
            : offsetof(struct port_ledger_change, event.timestamp);
    uint64_t timestamp;
    memcpy(&timestamp, record + offset, sizeof(timestamp));
    return timestamp;
}

/* The shard whose next record comes next, or NULL. Of equal times the first shard's. */
static struct shards_part *
next_of(struct shards_job *job)
{
    struct shards_part *next = NULL;
    bool reversed = job->request->in.filter->reversed;
    for (uint32_t i = 0; i < job->router->map.shard_count; i++) {
        struct shards_part *part = &job->parts[i];
        if (!has_more(part)) {
            continue;
        }
        uint64_t time = timestamp_of(part->port.operation, head_of(part));
        uint64_t best = next == NULL ? time : timestamp_of(part->port.operation, head_of(next));
        next = next == NULL || (reversed ? time > best : time < best) ? part : next;
    }
    return next;
}

/* A page goes on behind its last time: so no time is cut in two, as long as something is left
 * (SHARDS-6). */
static void
cut_at_time(struct port_ledger_request *request, uint64_t next_time)
{
    uint32_t count = request->out_count;
    while (count > 0 &&
           timestamp_of(request->operation, place_of(request, count - 1)) == next_time) {
        count--;
    }
    request->out_count = count == 0 ? request->out_count : count;
}

static void
merge_times(struct shards_job *job)
{
    struct port_ledger_request *request = job->request;
    size_t size = shards_out_size(request->operation);
    uint32_t limit = limit_of(request);
    struct shards_part *part = next_of(job);
    while (part != NULL && request->out_count < limit) {
        memcpy(place_of(request, request->out_count++), head_of(part), size);
        part->cursor++;
        part = next_of(job);
    }
    if (part != NULL) {
        cut_at_time(request, timestamp_of(request->operation, head_of(part)));
    }
}

void
shards_merge(struct shards_job *job)
{
    job->request->out_count = 0;
    if (shards_in_size(job->request->operation) != 0) {
        merge_ids(job);
    } else {
        merge_times(job);
    }
}
