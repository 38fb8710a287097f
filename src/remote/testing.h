/* Fixtures of this folder's tests: fake ports, a listener over them, a client of it, and a server
 * that says whatever a test wants. */
#ifndef REMOTE_TESTING_H
#define REMOTE_TESTING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "remote/client.h"
#include "remote/server.h"

#include <semaphore.h>
#include <stdatomic.h>

#define T_KEY "an-internal-key-of-more-than-32-characters"

/* Ports that answer what a test has put into them, or keep the request until t_release. */
struct t_ports {
    struct port_ledger ledger;
    struct port_rail rail;
    struct port_rail bank;
    struct port_network network;
    struct port_vault vault;
    struct port_wallet wallet;
    struct port_mobile mobile;

    /* Looks at the request, and fills in its answer. On the thread of the listener's loop. */
    void (*on_ledger)(struct port_ledger_request *request);
    void (*on_rail)(struct port_rail_request *request);
    void (*on_network)(struct port_network_request *request);
    void (*on_vault)(struct port_vault_tokenize *request);
    void (*on_wallet)(struct port_wallet_request *request);
    void (*on_release)(const struct port_wallet_movement *movement);
    void (*on_mobile)(struct port_mobile_request *request);

    atomic_uint asked; /* requests that reached a port */
    atomic_bool holds;
    struct os_task *held;           /* newest first */
    struct os_executor *held_reply; /* the listener's loop */
};

extern struct t_ports t_ports;
/* Whether the listener's process says that it can work. */
extern atomic_bool t_is_ready;

/* A listener with all the ports, and its address. */
void t_listener_start(const struct remote_auth *auth);
void t_listener_stop(void);
uint16_t t_listener_port(void);
struct remote_server_counters t_listener_count(void);
/* Requests that are kept are answered. */
void t_release(void);

/* A shared key, of a file that is gone when this returns. */
struct remote_auth *t_auth(const char *key);

/* A client on a loop of its own. `settings` may be NULL: those that wait for as long as a test
 * does. */
struct remote_client *t_client(
    enum remote_service service,
    const char *endpoints,
    const struct remote_auth *auth,
    const struct remote_client_settings *settings);
/* The only endpoint is a port of this machine. */
struct remote_client *t_client_of(
    enum remote_service service, uint16_t port, const struct remote_auth *auth);
void t_client_end(struct remote_client **client);
struct net_loop *t_client_loop(void);
/* Waits until it has been reached. */
void t_client_reached(struct remote_client *client);

/* An executor that runs nothing by itself: tasks run in t_wait, on the test's thread. */
struct os_executor *t_reply_to(void);
/* Runs tasks until `done` is true, 10 s at most. */
void t_wait(const bool *done);

/* ---- a server of raw bytes */

enum t_cut {
    T_CUT_NONE,    /* answers, and keeps the connection */
    T_CUT_ACCEPT,  /* closes at once, without reading */
    T_CUT_REQUEST, /* closes after the request's head */
    T_CUT_BEFORE,  /* closes after the whole request */
    T_CUT_AFTER,   /* closes after the answer's bytes, which may be half of one */
    T_CUT_SILENT,  /* never answers */
    T_CUT_FIRST,   /* the first request as T_CUT_BEFORE, then T_CUT_NONE */
};

/* Serves one connection after the other, and each the same. The answer is sent as it is. */
struct t_raw {
    uint16_t port;
    enum t_cut cut;
    const char *answer;
    size_t answer_size;
    atomic_uint connections;
    atomic_uint requests; /* whose head was read */
    int listener;
    void *thread;
};

void t_raw_start(struct t_raw *raw);
void t_raw_stop(struct t_raw *raw);
/* "HTTP/1.1 200 OK" with these lines and a body; valid until the next call. */
const char *t_answer(
    unsigned status, const char *type, const void *body, size_t size, size_t *ret_size);

/* One request on a connection of its own, and everything that is answered, with a zero. */
size_t t_ask(uint16_t port, const char *request, size_t size, char *out, size_t room);
unsigned t_status(const char *answer);

#endif
