/* Work that blocks, off the loop's thread; and waiting for the loop from another thread. */
#ifndef NET_JOB_H
#define NET_JOB_H

#include "net/loop.h"

/* The owner keeps it until `done`. */
struct net_job {
    void (*run)(struct net_job *job);  /* on a thread of a pool; may block for a moment */
    void (*done)(struct net_job *job); /* then, on the loop's thread; may free it */
};

/* On the loop's thread. There is no cancelling: a loop that is destroyed waits for it. ERR_MEMORY,
 * ERR_IO: it does not run. */
MUST_USE err_t net_job_start(struct net_loop *loop, struct net_job *job);

/* Opened once by one thread, waited for by another one. */
struct net_latch;

MUST_USE err_t net_latch_create(struct net_latch **ret_latch);
void net_latch_open(struct net_latch *latch);
/* Until it was opened; once. */
void net_latch_wait(struct net_latch *latch);
/* Accepts NULL. */
void net_latch_destroy(struct net_latch **latch);

#endif
