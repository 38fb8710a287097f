/*
 * The look-ups of a loop: the system's resolver, which blocks, on threads of the loop's own.
 *
 * A name whose server is silent holds a thread for as long as the system waits for it, which may be
 * a minute. So a name has one thread at most, however many ask for it; who asks may go away at any
 * time; and the end of the loop does not wait: a thread that still looks then ends by itself.
 *
 * Names may be somebody's who wants threads to be held (a merchant chooses where webhooks go). So
 * those of one owner have no more than a share of the threads (base/share.h), and what others ask
 * for goes past theirs.
 *
 *     net_query_start --> queued --thread--> looking --collect--> done(query)
 *         |  a numeric host: looked up at once                       ^
 *         +----------------------------------------------------------+
 *
 * All on the loop's thread, but for the threads' own part.
 */
#ifndef NET_LOOKUP_H
#define NET_LOOKUP_H

#include "base/list.h"
#include "net/loop.h"

#include <netdb.h>

/* A name's longest, as of DNS. */
#define NET_HOST_MAX 253
/* Threads that look at a time, of a loop. */
#define NET_LOOKUP_THREADS_MAX 16u
/* Names that are looked up or wait for a thread. */
#define NET_LOOKUP_NAMES_MAX 1024u

struct net_lookups;
struct net_lookup_name;

/* Who asks. Zeroed but for `done` and `owner`; kept until it is called or the query is forgotten.
 */
struct net_query {
    /* Later, never from inside of net_query_start. `found` if ERR_OK, until it returns; else
     * ERR_NOT_FOUND, ERR_BUSY (try again later), ERR_MEMORY. */
    void (*done)(struct net_query *query, err_t result, const struct addrinfo *found);
    uint64_t owner;        /* of whose names no more than a share hold threads; 0: of nobody's */
    struct list_link link; /* the lookups': in a name's */
};

/* ERR_MEMORY, ERR_IO. */
MUST_USE err_t net_lookups_create(struct net_loop *loop, struct net_lookups **ret_lookups);
/* When no query is under way. NULL inside is fine; sets NULL. */
void net_lookups_destroy(struct net_lookups **lookups);

/* All addresses of `host` (copied, at most NET_HOST_MAX bytes), without port. ERR_INVALID,
 * ERR_MEMORY, ERR_FULL. */
MUST_USE err_t
net_query_start(struct net_lookups *lookups, const char *host, struct net_query *query);
/* `done` will not be called. Fine for one that is not under way. */
void net_query_forget(struct net_lookups *lookups, struct net_query *query);

#endif
