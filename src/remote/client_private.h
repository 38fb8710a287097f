/*
 * The client's parts.
 *
 *     client.c         life, jobs, headers, what an end means, hello
 *     client_ledger.c  batches as packed records
 *     client_ports.c   the others, as JSON
 *
 * A request of a port is posted to the net loop, gets a job there, and is posted back when the job
 * has ended. Jobs never leave the loop's thread.
 */
#ifndef REMOTE_CLIENT_PRIVATE_H
#define REMOTE_CLIENT_PRIVATE_H

#include "channel.h"
#include "remote/client.h"
#include "tables.h"

#include "base/arena.h"
#include "base/list.h"
#include "os/clock.h"
#include "trace/span.h"

#include <stdatomic.h>

#define REMOTE_TARGET_SIZE 64

struct remote_job {
    struct remote_call call;
    struct list_link link; /* client->free */
    struct remote_client *client;
    void *request; /* of the port */
    /* Fills in the request and posts it back. `error`: ERR_OK, then `answer` is a 200's body that
     * is still to be read; ERR_OUTCOME_UNKNOWN; or else nothing was done. */
    void (*finish)(struct remote_job *job, err_t error, struct span answer);
    struct buf body; /* wiped after each use */
    char target[REMOTE_TARGET_SIZE];
    char left_ms[24];
    char epoch[24];
    uint64_t moved_epoch; /* what a refusal told */
    char parent[TRACECONTEXT_PARENT_SIZE + 1];
    char state[TRACECONTEXT_STATE_MAX];
};

#define REMOTE_COUNTER_COUNT (sizeof(struct remote_client_counters) / sizeof(uint64_t))

struct remote_client {
    struct port_ledger ledger;
    struct port_rail rail;
    struct port_network network;
    struct port_vault vault;
    struct port_wallet wallet;
    struct port_mobile mobile;

    struct remote_client_parts parts;
    char path[REMOTE_PATH_SIZE]; /* of the file of endpoints; empty: none */
    struct remote_channel *channel;

    /* On the net loop. */
    struct list free; /* of struct remote_job */
    uint32_t job_count;
    struct arena arena; /* for reading one answer */
    struct remote_job hello;
    bool stands_by; /* an endpoint said so to this hello, and another one is asked */
    struct net_timer hello_timer;
    struct os_task start_task;
    struct os_task stop_task;
    struct remote_endpoints endpoints; /* on the loop of files */
    struct os_timer file_timer;
    struct os_task file_task;

    /* What is known, by any thread. `why` is one of the constants of client.c. */
    _Atomic uint64_t reached_ns; /* monotonic, 0: never */
    atomic_bool told_simulated;
    _Atomic(const char *) why;
    _Atomic bool refuses;
    _Atomic bool asked;
    _Atomic uint64_t counters[REMOTE_COUNTER_COUNT];
};

#define REMOTE_COUNT(client, name, n)                                                              \
    atomic_fetch_add_explicit(                                                                     \
        &(client)->counters[offsetof(struct remote_client_counters, name) / sizeof(uint64_t)],     \
        (uint64_t)(n),                                                                             \
        memory_order_relaxed)

struct remote_request {
    const char *operation; /* behind "/internal/vN/SERVICE/" */
    struct span content_type;
    struct span body;
    uint64_t deadline_ns; /* monotonic; 0: settings.timeout_ms from now */
    bool repeatable;
    uint64_t epoch; /* of the shard map; 0: none */
    const struct trace_context *trace;
};

/* A free job, or NULL: the request is answered with ERR_BUSY. */
struct remote_job *remote_job_take(
    struct remote_client *client,
    void *request,
    void (*finish)(struct remote_job *job, err_t error, struct span answer));
/* Instead of sending it; `finish` does not run. */
void remote_job_drop(struct remote_job *job);
/* Sends it; its `finish` runs later. */
void remote_job_send(struct remote_job *job, const struct remote_request *request);

/* ---- client_ledger.c, client_ports.c */
void remote_client_init_ledger(struct remote_client *client);
void remote_client_init_ports(struct remote_client *client);

#endif
