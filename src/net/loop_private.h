/* What servers and clients see of their loop, beyond net/loop.h. On the loop's thread. */
#ifndef NET_LOOP_PRIVATE_H
#define NET_LOOP_PRIVATE_H

#include "net/loop.h"

#include <uv.h>

/*
 * Runs at the end of every turn: after sockets, timers and tasks, before the thread sleeps. May
 * run more than once a turn, when tasks were posted meanwhile.
 */
struct net_loop_hook {
    struct net_loop_hook *next;
    void (*turn_end)(struct net_loop_hook *hook);
};

uv_loop_t *net_loop_uv(struct net_loop *loop);
struct net_lookups;
struct net_lookups *net_loop_lookups(struct net_loop *loop);
/* Before the loop starts, or on its thread. */
void net_loop_add_hook(struct net_loop *loop, struct net_loop_hook *hook);
/* On its thread. A hook may remove itself, not others. */
void net_loop_remove_hook(struct net_loop *loop, struct net_loop_hook *hook);
/* The next turn begins without sleeping. Any thread. */
void net_loop_wake(struct net_loop *loop);
/* 64 KiB that a read may use until it returns; whoever put secrets there wipes them. */
#define NET_LOOP_SCRATCH_SIZE 65536
char *net_loop_scratch(struct net_loop *loop);

#endif
