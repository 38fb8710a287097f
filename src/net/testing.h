/* Fixtures of this folder's tests: a server with a scripted handler, and raw sockets. */
#ifndef NET_TESTING_H
#define NET_TESTING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "net/client.h"
#include "net/server.h"

#include <pthread.h>
#include <stdbool.h>
#include <uv.h>

/* How long to wait for what must come, and how late it may be: long, because a machine that is
 * shared stands still for seconds now and then. */
#define T_WAIT_MS   60000

#define T_HELD_MAX  4096
#define T_LENT_SIZE 300000

extern const char t_lent_body[T_LENT_SIZE];

/*
 * What the handler does, by path:
 *     /echo        200 with the request's body, and its method and path as X-Method and X-Path
 *     /hold...     keeps the exchange until t_release; answered with its path
 *     /size?N      200 with N bytes
 *     /lent        200 with t_lent_body, lent
 *     /none        204 with a body that must not be sent
 *     /broken      a header that cannot be written
 *     /peer?NAME      200 if the client's certificate has the DNS name, else 403
 *     /close       200, and the connection is to close
 */
struct t_server {
    struct net_loop *loop;
    struct net_server *server;
    uint16_t port;
    pthread_mutex_t mutex;
    struct net_exchange *held[T_HELD_MAX];
    uint32_t held_count;
    uint32_t chains;        /* calls of on_requests */
    uint32_t chain_longest; /* requests in one of them */
    uint32_t gone;          /* exchanges whose client left */
};

/* `tls` may be NULL. */
void t_server_start(
    struct t_server *t, const struct net_server_settings *settings, struct net_tls *tls);
void t_server_stop(struct t_server *t, uint32_t drain_ms);
struct net_server_counters t_count(struct t_server *t);
/* Waits until so many exchanges are held. */
void t_wait_held(struct t_server *t, uint32_t count);
/* Waits until the clients of so many exchanges have gone. */
void t_wait_gone(struct t_server *t, uint32_t count);
/* Waits until the server has read so many bytes since its start. */
void t_wait_bytes_in(struct t_server *t, uint64_t count);
/* Answers what is held from the caller's thread, the last first, one by one or as one chain. */
void t_release(struct t_server *t, bool as_chain);

/* A connected socket. */
int t_connect(uint16_t port);
void t_send(int fd, const char *data, size_t size);
void t_send_text(int fd, const char *text);
/* Everything until the end of the connection or until `timeout_ms` without a byte; terminated by a
 * zero. *ret_closed: it was the end. */
size_t t_read(int fd, char *out, size_t size, int timeout_ms, bool *ret_closed);
/* Reads until `count` occurrences of `text` came. */
size_t t_read_count(int fd, char *out, size_t size, const char *text, uint32_t count);
uint32_t t_occurrences(const char *in, const char *text);
/* The status of the answer at `text`, 0 if there is none. */
unsigned t_status(const char *text);
/* Reads to the end of the connection. */
void t_wait_closed(int fd);
/* A listening socket on a free port; and its next connection. */
int t_listen(uint16_t *ret_port);
int t_accept(int listener);

/* Calls whose end is waited for. */
struct t_calls {
    struct os_executor executor; /* reply_to */
    uv_sem_t ended;
};

void t_calls_init(struct t_calls *calls);
void t_calls_release(struct t_calls *calls);
/* Waits for the end of so many. */
void t_calls_wait(struct t_calls *calls, uint32_t count);
/* Zeroes and fills; GET without a body, POST with one. */
void t_call_init(
    struct t_calls *calls, struct net_call *call, const char *target, const char *body);

uint64_t t_now_ms(void);
void t_sleep_ms(unsigned ms);

#endif
