/* Names to addresses, through libuv's pool of threads. */
#include "net/resolve.h"

#include "base/assert.h"
#include "base/list.h"

#include "address.h"
#include "loop_private.h"

#include <netdb.h>
#include <stdlib.h>
#include <string.h>

struct net_lookup {
    uv_getaddrinfo_t request;
    void (*done)(void *context, const struct net_resolution *resolution); /* NULL: forgotten */
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
on_resolved(uv_getaddrinfo_t *request, int status, struct addrinfo *found)
{
    struct net_lookup *lookup = CONTAINER_OF(request, struct net_lookup, request);
    struct net_resolution *resolution = &lookup->resolution;
    if (status == 0) {
        addresses_take(resolution, found);
        resolution->result = resolution->count > 0 ? ERR_OK : ERR_NOT_FOUND;
    } else if (status == UV_EAI_AGAIN || status == UV_ECANCELED) {
        resolution->result = ERR_BUSY;
    } else {
        resolution->result =
            status == UV_EAI_MEMORY || status == UV_ENOMEM ? ERR_MEMORY : ERR_NOT_FOUND;
    }
    uv_freeaddrinfo(found);
    if (lookup->done != NULL) {
        lookup->done(lookup->context, resolution);
    }
    free(lookup);
}

err_t
net_resolve(
    struct net_loop *loop,
    const char *host,
    void (*done)(void *context, const struct net_resolution *resolution),
    void *context,
    struct net_lookup **ret_lookup)
{
    ASSERT(done != NULL);
    struct net_lookup *lookup = calloc(1, sizeof(*lookup));
    if (lookup == NULL) {
        return ERR_MEMORY;
    }
    lookup->done = done;
    lookup->context = context;
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    int result =
        uv_getaddrinfo(net_loop_uv(loop), &lookup->request, on_resolved, host, NULL, &hints);
    if (result != 0) {
        free(lookup);
        return result == UV_ENOMEM ? ERR_MEMORY : ERR_IO;
    }
    *ret_lookup = lookup;
    return ERR_OK;
}

void
net_resolve_forget(struct net_lookup *lookup)
{
    lookup->done = NULL;
    (void)uv_cancel((uv_req_t *)&lookup->request);
}
