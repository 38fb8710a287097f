/*
 * One connection to Redis: looks the host up, connects, signs in, tells its owner when commands may
 * be sent, and tries again after a while when it is lost. hiredis on a loop of sockets; everything
 * on that loop's thread.
 *
 *              start, retry_ns over                  looked up              signed in
 *     IDLE ----------------------> LOOKING ----------------> CONNECTING ------------> READY
 *      ^                              |                          |                      |
 *      +------------------------------+---- lost, in any way ----+----------------------+
 */
#ifndef REDIS_LINK_H
#define REDIS_LINK_H

#include "text.h"

#include "net/resolve.h"
#include "redis/async.h"

enum redis_link_state {
    REDIS_LINK_IDLE,
    REDIS_LINK_LOOKING,
    REDIS_LINK_CONNECTING,
    REDIS_LINK_READY,
    REDIS_LINK_STOPPED,
};

struct redis_link {
    /* The owner's. */
    struct net_loop *loop;
    const struct redis_url *url;
    uint32_t timeout_ms;
    uint32_t retry_ms;
    void (*ready)(struct redis_link *link);
    /* It was ready, or tried to be; what was asked gets its callback without an answer before. */
    void (*lost)(struct redis_link *link, const char *why);

    enum redis_link_state state;
    struct redis_async async;
    struct net_lookup *lookup;
    uint32_t attempts;      /* which of several addresses is next */
    struct net_timer timer; /* the attempt's end, or the next attempt */
    char why[128];
};

void redis_link_start(struct redis_link *link);
/* It is of no use any more: begins anew after retry_ms. */
void redis_link_lose(struct redis_link *link, const char *why);
void redis_link_stop(struct redis_link *link);

#endif
