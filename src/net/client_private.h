/*
 * The client's parts. Everything here runs on the loop's thread.
 *
 *     client.c             life, counters, the way in and out of calls
 *     client_pool.c        which call gets which connection, repeats
 *     client_connection.c  connect, handshake, write, read
 *     client_resolve.c     the addresses of the origin
 *
 * A connection:
 *
 *     RESOLVING --> CONNECTING --> HANDSHAKE --> IDLE <--> BUSY
 *         `--------------`-------------`----------`--------`----> DEAD
 *
 * A call waits in client->waiting, or belongs to one BUSY connection, or has ended.
 */
#ifndef NET_CLIENT_PRIVATE_H
#define NET_CLIENT_PRIVATE_H

#include "base/list.h"
#include "http/body.h"
#include "net/client.h"

#include "lookup.h"
#include "loop_private.h"
#include "transport.h"

#include <stdatomic.h>
#include <sys/socket.h>

#define NET_CLIENT_ADDRESSES_MAX 8
/* Request bodies up to this size leave in one piece with their head. */
#define NET_CLIENT_INLINE_MAX 4096
#define NET_CLIENT_HEAD_MAX   65536
/* Of a call, before its answer. One at a time is work without end. */
#define NET_CLIENT_INTERIM_MAX 32

enum net_call_state {
    NET_CALL_NEW,
    NET_CALL_POSTED,
    NET_CALL_WAITING,
    NET_CALL_BOUND,
    NET_CALL_ENDED,
};

enum net_client_connection_state {
    NET_CLIENT_RESOLVING,
    NET_CLIENT_CONNECTING,
    NET_CLIENT_HANDSHAKE,
    NET_CLIENT_IDLE,
    NET_CLIENT_BUSY,
    NET_CLIENT_DEAD, /* waits for libuv to give the handle back */
};

struct net_client_connection {
    uv_poll_t poll;
    struct net_transport transport;
    struct net_client *client;
    struct list_link link;      /* client->connections */
    struct list_link idle_link; /* client->idle, the latest used in front */
    struct net_timer connect_timer;
    uint64_t connect_deadline_ns;
    uint64_t idle_since_ns;
    struct net_call *call; /* BUSY only */
    struct buf out;        /* its head, and its body if that is small */
    size_t sent;           /* of out and the rest of the body together */
    size_t out_total;
    struct http_body reader;
    uint64_t served; /* answers that came over it */
    uint32_t address_index;
    uint32_t interim_count; /* answers that only announced one */
    enum net_client_connection_state state;
    uint8_t events;
    bool has_handle;   /* `poll` was initialised */
    bool blocked;      /* the socket takes no more now */
    bool write_failed; /* only an answer can still come */
    bool answer_begun; /* a byte of it came */
    bool body_begun;   /* its head is complete */
};

#define NET_CLIENT_COUNTER_COUNT (sizeof(struct net_client_counters) / sizeof(uint64_t))
#define NET_CLIENT_COUNTER(name) (offsetof(struct net_client_counters, name) / sizeof(uint64_t))
#define NET_CLIENT_COUNT(client, name, n)                                                          \
    net_client_counter_set(                                                                        \
        (client),                                                                                  \
        NET_CLIENT_COUNTER(name),                                                                  \
        atomic_load_explicit(                                                                      \
            &(client)->counters[NET_CLIENT_COUNTER(name)], memory_order_relaxed) +                 \
            (uint64_t)(n))

struct net_client {
    struct net_loop *loop;
    struct net_client_settings settings;
    char host[NET_HOST_MAX + 1];         /* where */
    char name[NET_HOST_MAX + 1];         /* who */
    char host_header[NET_HOST_MAX + 16]; /* with the port unless it is the scheme's own */
    uint16_t port;
    struct net_tls *tls;
    struct net_loop_hook turn;
    bool attached; /* the hook is in the loop */
    bool stopping;

    struct net_call *waiting; /* oldest first, linked both ways */
    struct net_call *waiting_last;
    uint32_t waiting_count;
    struct os_task *ended; /* calls whose end is posted when the turn ends */
    struct os_task *ended_last;

    struct list connections;
    struct list idle;
    uint32_t connection_count;
    uint32_t opening_count; /* of them not yet IDLE or BUSY */
    uint32_t handles_open;
    struct net_timer idle_timer;

    struct sockaddr_storage addresses[NET_CLIENT_ADDRESSES_MAX];
    socklen_t address_sizes[NET_CLIENT_ADDRESSES_MAX];
    uint32_t address_count;
    bool numeric;
    bool denied;    /* an address was left out: settings.reach */
    bool resolving; /* `query` is under way */
    uint64_t resolved_ns;
    struct net_query query;

    struct os_task serve_task; /* gives what a cancelled call left to others */
    bool serving;
    struct os_task stop_task;
    struct os_task *closed; /* net_client_close; else `stopped` is waited for */
    uv_sem_t stopped;
    _Atomic uint64_t counters[NET_CLIENT_COUNTER_COUNT];
};

static inline void
net_client_counter_set(struct net_client *client, size_t index, uint64_t value)
{
    atomic_store_explicit(&client->counters[index], value, memory_order_relaxed);
}

/* ---- client.c */
/* Its last step: `done` is posted when the turn ends. */
void net_call_end(struct net_call *call, err_t result);
/* As net_call_end, for what went wrong: unknown if bytes of it had left. */
void net_call_fail(struct net_call *call, err_t cause);

/* ---- client_pool.c */
/* A new call, its timer armed. */
void net_pool_add(struct net_call *call);
/* Gives waiting calls to idle connections and opens what is missing. */
void net_pool_serve(struct net_client *client);
/* The connection has nothing to do any more. */
void net_pool_idle(struct net_client_connection *connection);
/* A connection could not be made. True if that ended a call. */
bool net_pool_connect_failed(struct net_client *client, err_t cause);
/* `call` was bound to a connection that is lost. */
void net_pool_lost(struct net_call *call, bool repeatable, err_t cause);
void net_pool_forget(struct net_call *call);
void net_pool_close_idle(struct net_client *client);
void net_pool_init(struct net_client *client);

/* ---- client_connection.c */
/* Begins to connect; an error is told at once and leaves nothing. `deadline_ns` 0: from now. */
MUST_USE err_t
net_client_connection_open(struct net_client *client, uint32_t address_index, uint64_t deadline_ns);
/* The origin's addresses are known. After an error the caller gives up or destroys it. */
MUST_USE err_t net_client_connection_connect(struct net_client_connection *connection);
/* A RESOLVING connection's attempt is over, without success. */
void net_client_connection_give_up(struct net_client_connection *connection, err_t cause);
/* NET-14. Whether an IDLE connection can carry a call. If not, it is of no use any more. */
bool net_client_connection_is_quiet(struct net_client_connection *connection);
/* Sends an IDLE connection's next call. ERR_INVALID, ERR_MEMORY: nothing was sent, still IDLE. */
MUST_USE err_t
net_client_connection_send(struct net_client_connection *connection, struct net_call *call);
/* Its call, if any, was taken off before. */
void net_client_connection_destroy(struct net_client_connection *connection);

/* ---- client_resolve.c */
/* Known now; otherwise every RESOLVING connection is told when it is. ERR_MEMORY, ERR_FULL. */
MUST_USE err_t net_client_resolve(struct net_client *client, bool *ret_known);
/* Nobody waits for it any more. */
void net_client_resolve_stop(struct net_client *client);
/* The host is a numeric address. */
void net_client_resolve_numeric(struct net_client *client);

#endif
