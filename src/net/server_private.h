/*
 * The server's parts and how they call one another. Everything here runs on the loop's thread.
 *
 *     server.c            life, listeners, turn, drain
 *     deadlines.c         one list per kind of deadline
 *     connection.c        life of a connection, which events it waits for
 *     connection_read.c   bytes -> requests
 *     connection_write.c  answers -> bytes
 *     work.c              requests and their answers (a net_exchange from inside)
 *     http2*.c            the same by HTTP/2, for connections that agreed on it
 *
 * A connection:
 *
 *     HANDSHAKE --net_connection_handshake--> OPEN --net_connection_refuse, answer with close,
 *         |                                    |      end of input--> CLOSING
 *         | (failed, too slow)                 | (idle, reset)           | all answers written:
 *         v                                    v                         v net_connection_finish
 *     net_connection_destroy <-----------------+-------------------- LINGER
 *
 * A work (request and answer), W_ below:
 *
 *     HEAD -> BODY -> HANDED --net_answer--> ANSWERED -> written: net_work_destroy
 *       \       \                              ^
 *        `-------`---net_connection_refuse-----'
 */
#ifndef NET_SERVER_PRIVATE_H
#define NET_SERVER_PRIVATE_H

#include "base/list.h"
#include "http/body.h"
#include "net/server.h"

#include "loop_private.h"
#include "transport.h"

#include <stdatomic.h>

#define NET_LISTENERS_MAX 8
/* Works kept for the next requests, and the most memory that one of their buffers keeps. */
#define NET_WORKS_KEPT       256
#define NET_WORK_BUFFER_KEPT 4096
/* Bodies up to this size are copied behind their head, larger ones are written from where they
 * are. */
#define NET_INLINE_BODY_MAX 4096
/* Of one answer's status line and headers. */
#define NET_ANSWER_HEAD_MAX  65536
#define NET_REFUSAL_BODY_MAX 16384

enum net_connection_state {
    NET_CONNECTION_HANDSHAKE,
    NET_CONNECTION_OPEN,
    NET_CONNECTION_CLOSING, /* reads no more; closes when its answers are written */
    NET_CONNECTION_LINGER,  /* our side is closed; waits for the client's */
    NET_CONNECTION_DEAD,    /* waits for libuv to give the handle back */
};

/* Each kind has one duration, so a list in order of arming is in order of deadline. */
enum net_deadline {
    NET_DEADLINE_NONE,
    NET_DEADLINE_HANDSHAKE,
    NET_DEADLINE_HEAD,
    NET_DEADLINE_BODY,
    NET_DEADLINE_IDLE,
    NET_DEADLINE_WRITE,
    NET_DEADLINE_LINGER,
};

#define NET_DEADLINE_COUNT 7

enum net_work_state {
    NET_WORK_HEAD,
    NET_WORK_BODY,
    NET_WORK_HANDED, /* the handler's, until net_answer */
    NET_WORK_ANSWERED,
};

struct net_connection;

struct net_work {
    struct net_exchange exchange; /* first */
    struct os_task task;          /* net_answer's way back */
    struct net_server *server;
    struct net_connection *connection; /* NULL: gone */
    struct net_work *next;             /* in the connection's queue, or in the server's store */
    struct list_link hands_link;       /* server->in_hands, while it is the client's turn */
    enum net_work_state state;
    bool close;        /* the connection closes after this answer; decided when it is written */
    bool is_prepared;  /* `wire` holds the head of the answer */
    bool body_in_wire; /* and its body */
    size_t sent;       /* of wire and body together; HTTP/2: of the body */
    int32_t stream;    /* HTTP/2: its number; else 0 */
    uint64_t answered_ns;
    size_t charged;   /* bytes of server memory counted for it */
    struct buf input; /* the head as received */
    struct buf body;
    struct buf wire;
    struct arena arena;
    struct http_body reader;
    struct http_parser parser;
};

struct net_connection {
    uv_poll_t poll;
    struct net_transport transport;
    struct net_server *server;
    struct net_http2 *http2;        /* NULL: HTTP/1.1 */
    struct list_link link;          /* server->connections */
    struct list_link deadline_link; /* server->deadlines[deadline] */
    struct net_connection *next_dirty;
    /* Complete requests whose answers are not written, in order; HTTP/2: all streams. */
    struct net_work *oldest;
    struct net_work *newest;
    struct net_work *reading; /* its head or body is not complete; not in the queue */
    struct buf held;          /* received, and not parsed because the queue is full */
    uint64_t deadline_ns;
    uint32_t queued;
    uint32_t thrown_away; /* bytes, after the closing answer */
    struct net_address peer;
    uint8_t state;    /* enum net_connection_state */
    uint8_t deadline; /* enum net_deadline */
    uint8_t events;   /* that libuv watches */
    bool dirty;       /* in server->dirty: written and rearmed at the end of the turn */
    bool blocked;     /* the socket takes no more now */
    bool ended;       /* the client sends no more */
    bool restart;     /* a phase ended: the deadline begins anew even if it is of the same kind */
    bool wants_continue;
};

struct net_listener {
    uv_poll_t poll;
    struct net_server *server;
    struct net_tls *tls;
    int fd;
    bool is_open; /* `poll` is initialised and not closed */
};

/* One number per member of struct net_server_counters, in its order. */
#define NET_COUNTER_COUNT (sizeof(struct net_server_counters) / sizeof(uint64_t))
#define NET_COUNTER(name) (offsetof(struct net_server_counters, name) / sizeof(uint64_t))
#define NET_COUNT(server, name, n)                                                                 \
    net_server_counter_add((server), NET_COUNTER(name), (uint64_t)(n))

enum net_server_state {
    NET_SERVER_NEW,
    NET_SERVER_RUNNING,
    NET_SERVER_DRAINING,
    NET_SERVER_STOPPED,
};

struct net_server {
    struct net_loop *loop;
    struct net_server_settings settings;
    struct net_server_hooks hooks;
    struct net_loop_hook turn;
    struct net_listener listeners[NET_LISTENERS_MAX];
    uint32_t listener_count;
    uint32_t handles_open; /* libuv handles that were not given back */
    enum net_server_state state;
    bool started; /* only for the threads that start, stop and destroy it */

    struct list connections;
    uint32_t connection_count;
    struct net_connection *dirty;
    struct net_exchange *ready; /* complete requests of this turn, in order */
    struct net_exchange *ready_last;
    uint64_t in_flight;

    struct net_work *kept; /* unused works */
    uint32_t kept_count;
    size_t memory;
    size_t memory_peak;

    struct list in_hands; /* works whose clients have to do something, by since when */
    struct list deadlines[NET_DEADLINE_COUNT];
    uint64_t durations_ns[NET_DEADLINE_COUNT];
    struct net_timer sweep;
    struct net_timer accept_again;
    struct net_timer drain_end;
    struct net_timer drain_idle_end;
    bool keeps_idle; /* it drains, and connections without a request may still send one */
    uint64_t drain_ns;
    uint64_t now_ns; /* of this turn */

    int64_t date_s;
    char date[HTTP_DATE_SIZE];

    struct os_task start_task;
    struct os_task stop_task;
    uv_sem_t stopped;
    _Atomic uint64_t counters[NET_COUNTER_COUNT];
};

/* Only the loop's thread writes, so no locked instruction is needed. */
static inline void
net_server_counter_add(struct net_server *server, size_t index, uint64_t n)
{
    uint64_t value = atomic_load_explicit(&server->counters[index], memory_order_relaxed);
    atomic_store_explicit(&server->counters[index], value + n, memory_order_relaxed);
}

static inline void
net_server_counter_set(struct net_server *server, size_t index, uint64_t value)
{
    atomic_store_explicit(&server->counters[index], value, memory_order_relaxed);
}

/* ---- server.c */
void net_server_charge(struct net_server *server, size_t *charged, size_t now);
bool net_server_memory_is_full(const struct net_server *server);
/* A complete request, for the handler at the end of the turn. */
void net_server_ready(struct net_server *server, struct net_work *work);
struct span net_server_date(struct net_server *server);

/* ---- room.c */
/* False: memory is full, and nobody may be ended for it. Asked for `work`, or for what `connection`
 * is about to begin (NULL); neither is ended, but other works of the connection may be refused. */
bool net_server_has_room(struct net_connection *connection, const struct net_work *work);
/* Ends the connection that has kept the server waiting the longest; false without one. Not while
 * something of a connection is being done. */
bool net_server_make_connection_room(struct net_server *server);

/* ---- deadlines.c */
void net_deadlines_init(struct net_server *server);
/* Moves the connection to that list's end; NET_DEADLINE_NONE: to none. */
void net_deadline_set(struct net_connection *connection, enum net_deadline deadline);

/* ---- connection.c */
/* Takes the socket; closes it if there is no memory. */
void net_connection_create(
    struct net_server *server, struct net_tls *tls, int fd, const struct net_address *peer);
/* Its works live on without it. `abort`: unsent bytes are dropped. */
void net_connection_destroy(struct net_connection *connection, bool abort);
/* The client is too slow. Answers that it has not taken are dropped: the kernel would go on
 * offering them for minutes. */
void net_connection_give_up(struct net_connection *connection);
/* To be looked at when the turn ends. */
void net_connection_touch(struct net_connection *connection);
/* What it waits for now: events and deadline follow from its state. */
void net_connection_arm(struct net_connection *connection);
/* Nothing of it is under way. */
bool net_connection_is_idle(const struct net_connection *connection);
void net_connection_expire(struct net_connection *connection, enum net_deadline deadline);
/* The answers are written: says goodbye and waits for the client's. */
void net_connection_finish(struct net_connection *connection);
/* Forgets all that it was asked and has not answered. */
void net_connection_drop_queue(struct net_connection *connection);
void net_connection_enqueue(struct net_connection *connection, struct net_work *work);

/* ---- connection_read.c */
bool net_connection_may_read(const struct net_connection *connection);
void net_connection_read(struct net_connection *connection);
/* Goes on with what was held back. */
void net_connection_resume(struct net_connection *connection);
/* Answers `status` for what is being read (or for nothing yet) and closes behind it. */
void net_connection_refuse(struct net_connection *connection, unsigned status, const char *reason);

/* ---- http2.c */
/* The connection agreed on HTTP/2. ERR_MEMORY. */
MUST_USE err_t net_http2_create(struct net_connection *connection);
/* Its streams' works stay, for net_connection_drop_queue. */
void net_http2_destroy(struct net_connection *connection);
/* Takes all of it. What it means for the connection is done by the flush that follows. */
void net_http2_feed(struct net_connection *connection, struct span input);
/* Writes what is ready; may end the connection, then it answers false. */
bool net_http2_flush(struct net_connection *connection);

/* ---- connection_write.c */
/* The answer's, or what is lent in its place. */
struct span net_work_body(const struct net_work *work);
/* What Content-Length says, and what is sent of the body. */
uint64_t net_work_content_length(const struct net_work *work);
size_t net_work_body_size(const struct net_work *work);
/* Writes what is ready; may destroy the connection, then it answers false. */
bool net_connection_flush(struct net_connection *connection);

/* ---- work.c */
/* NULL: no memory. */
struct net_work *net_work_create(struct net_connection *connection);
void net_work_destroy(struct net_work *work);
/* Of one that is handed out: its client has gone, or sends no more. */
void net_work_left(struct net_work *work);
void net_works_release(struct net_server *server);
/* The request is complete, or refused: it is no more the client's turn. */
void net_work_received(struct net_work *work);
/* Counts again what its buffers hold. */
void net_work_charge(struct net_work *work);
/* The head is complete: fills the public part. */
void net_work_open(struct net_work *work);
/* Wipes and frees what the handler wrote. */
void net_work_answer_forget(struct net_work *work);
/* Makes it an answer of the server's own, by the hook. */
void net_work_refuse(struct net_work *work, unsigned status, const char *reason);

#endif
