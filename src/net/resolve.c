/* Names to addresses. */
#include "net/resolve.h"

#include "base/assert.h"
#include "base/list.h"

#include "address.h"
#include "lookup.h"
#include "loop_private.h"

#include <stdlib.h>
#include <string.h>

struct net_lookup {
    struct net_loop *loop;
    struct net_query query;
    struct net_timer deadline;
    void (*done)(void *context, const struct net_resolution *resolution);
    void *context;
    struct net_resolution resolution;
};

static int
compare(const void *a, const void *b)
{
    return strcmp(a, b);
}

static void
addresses_take(struct net_resolution *resolution, const struct addrinfo *found)
{
    for (; found != NULL && resolution->count < NET_RESOLVE_MAX; found = found->ai_next) {
        struct net_address address;
        net_address_from_system(found->ai_addr, &address);
        net_address_format_host(&address, resolution->addresses[resolution->count++]);
    }
    qsort(resolution->addresses, resolution->count, sizeof(resolution->addresses[0]), compare);
    size_t kept = 0;
    for (size_t i = 0; i < resolution->count; i++) {
        if (kept > 0 && strcmp(resolution->addresses[kept - 1], resolution->addresses[i]) == 0) {
            continue;
        }
        memmove(
            resolution->addresses[kept++],
            resolution->addresses[i],
            sizeof(resolution->addresses[0]));
    }
    resolution->count = kept;
}

static void
lookup_end(struct net_lookup *lookup, err_t result)
{
    lookup->resolution.result = result;
    net_timer_cancel(lookup->loop, &lookup->deadline);
    net_query_forget(net_loop_lookups(lookup->loop), &lookup->query);
    lookup->done(lookup->context, &lookup->resolution);
    free(lookup);
}

static void
on_resolved(struct net_query *query, err_t result, const struct addrinfo *found)
{
    struct net_lookup *lookup = CONTAINER_OF(query, struct net_lookup, query);
    if (result == ERR_OK) {
        addresses_take(&lookup->resolution, found);
        result = lookup->resolution.count > 0 ? ERR_OK : ERR_NOT_FOUND;
    }
    lookup_end(lookup, result);
}

static void
on_deadline(struct net_timer *timer)
{
    lookup_end(CONTAINER_OF(timer, struct net_lookup, deadline), ERR_BUSY);
}

err_t
net_resolve(
    struct net_loop *loop,
    const char *host,
    uint32_t timeout_ms,
    void (*done)(void *context, const struct net_resolution *resolution),
    void *context,
    struct net_lookup **ret_lookup)
{
    ASSERT(done != NULL);
    struct net_lookup *lookup = calloc(1, sizeof(*lookup));
    if (lookup == NULL) {
        return ERR_MEMORY;
    }
    *lookup = (struct net_lookup){
        .loop = loop,
        .query = {.done = on_resolved},
        .deadline = {.fire = on_deadline},
        .done = done,
        .context = context};
    err_t result = net_query_start(net_loop_lookups(loop), host, &lookup->query);
    if (result == ERR_OK) {
        result =
            net_timer_arm(loop, &lookup->deadline, net_now_ns() + timeout_ms * UINT64_C(1000000));
    }
    if (result != ERR_OK) {
        net_resolve_forget(lookup);
        return result;
    }
    *ret_lookup = lookup;
    return ERR_OK;
}

void
net_resolve_forget(struct net_lookup *lookup)
{
    net_timer_cancel(lookup->loop, &lookup->deadline);
    net_query_forget(net_loop_lookups(lookup->loop), &lookup->query);
    free(lookup);
}
