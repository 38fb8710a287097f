/*
 * Looks a name up without blocking the loop: all of its addresses, for whoever treats each as a
 * server of its own. (A client looks its own host up, see net/client.h.)
 */
#ifndef NET_RESOLVE_H
#define NET_RESOLVE_H

#include "net/loop.h"

#include <stddef.h>

/* Further addresses are left out. */
#define NET_RESOLVE_MAX 64
/* A numeric IPv6 address and a zero. */
#define NET_HOST_TEXT_SIZE 46

struct net_resolution {
    err_t result; /* ERR_OK, ERR_NOT_FOUND, ERR_BUSY (try again later), ERR_MEMORY */
    size_t count; /* at least 1 if ERR_OK; sorted, each once */
    char addresses[NET_RESOLVE_MAX][NET_HOST_TEXT_SIZE]; /* numeric */
};

struct net_lookup;

/* Looks `host` (copied) up, also if it is numeric; `done` runs on the loop's thread, later, and the
 * resolution is gone when it returns. ERR_BUSY is the result too if the system was silent for
 * `timeout_ms`. On the loop's thread. ERR_INVALID (above 253 bytes), ERR_MEMORY, ERR_FULL (1,024
 * names are looked up). */
MUST_USE err_t net_resolve(
    struct net_loop *loop,
    const char *host,
    uint32_t timeout_ms,
    void (*done)(void *context, const struct net_resolution *resolution),
    void *context,
    struct net_lookup **ret_lookup);
/* Before `done` ran, on the loop's thread: it will not run. */
void net_resolve_forget(struct net_lookup *lookup);

#endif
