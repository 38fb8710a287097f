/* Fixtures of this folder's tests and bench: back ends that fail in chosen ways, calls that are
 * waited for, and a load that goes on. */
#ifndef UPSTREAM_TESTING_H
#define UPSTREAM_TESTING_H

#include "upstream/call.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <uv.h>

/* What a back end does with a request. */
enum t_mode {
    T_OK,      /* 200 with its number as the body, after `delay_ms` */
    T_STATUS,  /* `status`, with Retry-After if `retry_after` is not 0 */
    T_ONCE,    /* the same, and from then on T_OK */
    T_RESET,   /* the connection is reset */
    T_CUT,     /* half an answer, then the connection is closed */
    T_GARBAGE, /* bytes that are no HTTP */
    T_NEVER,   /* nothing, for ever: as one whose machine is gone */
    T_LARGE,   /* 200 with 2 MiB */
    T_LEAVES,  /* 200, and the connection is closed when the next request comes */
};

#define T_CONNECTIONS_MAX 256

struct t_connection {
    int fd; /* -1: free */
    size_t size;
    uint64_t due_ms; /* its answer leaves then; 0: none */
    uint32_t served;
    char text[8192];
};

struct t_backend {
    uint32_t number;
    char host[24];
    uint16_t port;
    pthread_t thread;
    int wake[2];
    atomic_int mode;
    atomic_uint status;
    atomic_uint retry_after;
    atomic_uint delay_ms;
    atomic_bool listening; /* wanted */
    atomic_uint health;    /* the status of GET /health */
    atomic_uint requests;  /* complete ones, but /health */
    atomic_uint checks;
    atomic_uint connections; /* open */
    atomic_bool stop;
    atomic_bool settled; /* `listening` is as it is wanted */
    int listener;
    struct t_connection open[T_CONNECTIONS_MAX];
};

/* 127.0.0.(number + 1), on `port` or, if that is 0, on a free one. */
void t_backend_start(struct t_backend *backend, uint32_t number, uint16_t port);
void t_backend_stop(struct t_backend *backend);
/* Closes the listener and all connections, or listens again. Returns when it is so. */
void t_backend_listen(struct t_backend *backend, bool listening);

#define T_BACKENDS_MAX 8

struct t_world {
    struct net_loop *loop;
    struct upstream *upstream;
    struct t_backend *backends;
    uint32_t backend_count;
    struct os_executor executor; /* runs what is posted on the poster's thread, and counts */
    uv_sem_t ended;
};

/* A loop, `count` back ends, and the upstream of them. */
void t_world_start(struct t_world *world, uint32_t count, const struct upstream_settings *settings);
/* The same without endpoints in it. */
void t_world_start_empty(
    struct t_world *world, uint32_t count, const struct upstream_settings *settings);
void t_world_stop(struct t_world *world);
/* Sets the first `count` back ends as the set, from number `from`. */
void t_world_set(struct t_world *world, uint32_t from, uint32_t count);
/* Runs on the loop's thread, and waits for it. */
void t_on_loop(struct t_world *world, void (*run)(void *context), void *context);

/* Zeroed and filled: GET /, T_WAIT_MS. */
void t_call_init(struct t_world *world, struct upstream_call *call, bool repeatable);
/* Sends it and waits for its end. */
void t_call_run(struct t_world *world, struct upstream_call *call);
void t_calls_wait(struct t_world *world, uint32_t count);
/* Which back end answered, by the body; UINT32_MAX if none. */
uint32_t t_call_server(const struct upstream_call *call);

/* `parallel` calls that are sent again when they end, on the loop's thread. */
#define T_LOAD_MAX 64

struct t_load {
    struct t_world *world;
    uint32_t parallel;
    uint32_t running;
    bool stop;
    bool repeatable;
    struct upstream_call calls[T_LOAD_MAX];
    atomic_uint ended;
    atomic_uint outcomes[UPSTREAM_CANCELLED + 1];
    atomic_uint errors; /* not answered with 200 */
    atomic_uint servers[T_BACKENDS_MAX];
    uv_sem_t stopped;
};

void t_load_start(struct t_load *load, struct t_world *world, uint32_t parallel, bool repeatable);
void t_load_stop(struct t_load *load);
/* Waits until so many more have ended. */
void t_load_pass(struct t_load *load, uint32_t count);

struct upstream_counters t_count(const struct t_world *world);
/* Of the endpoint of a back end; false if it is in no slot. */
bool t_count_backend(
    const struct t_world *world, uint32_t number, struct upstream_endpoint_counters *ret_counters);
/* UINT64_MAX if there is none. */
uint64_t t_state(const struct t_world *world, uint32_t number);

uint64_t t_now_ms(void);
void t_sleep_ms(unsigned ms);
/* How long a test waits for what must come: a machine that is shared stands still for seconds. */
#define T_WAIT_MS 60000
/* Waits until the condition holds; stops the program if it does not in time. */
#define T_WAIT_FOR(condition)                                                                      \
    do {                                                                                           \
        uint64_t t_end_ms_ = t_now_ms() + T_WAIT_MS;                                               \
        while (!(condition)) {                                                                     \
            ASSERT(t_now_ms() < t_end_ms_);                                                        \
            t_sleep_ms(1);                                                                         \
        }                                                                                          \
    } while (0)

#endif
