/*
 * A card network that is reached over TCP and speaks ISO 8583:1987: signs on, sends what the rail
 * asks for, matches the answers, and says "unknown" where none came.
 *
 *     network_client_create(&parts, &client);
 *     network_client_start(client);      ... once its loop runs ...
 *     network_client_port(client)        ... what the vault is given ...
 *     network_client_stop(client);       ... while its loop still runs ...
 *     network_client_destroy(&client);
 *
 * Invariants: README.md.
 */
#ifndef NETWORK_CLIENT_H
#define NETWORK_CLIENT_H

#include "base/buf.h"
#include "iso8583/iso8583.h"
#include "net/loop.h"
#include "net/tls.h"
#include "os/clock.h"
#include "os/entropy.h"
#include "port/network.h"
#include "trace/log.h"

struct network_client;

#define NETWORK_CONNECTIONS_MAX 16
#define NETWORK_HOST_MAX        253

struct network_client_settings {
    char host[NETWORK_HOST_MAX + 1];
    uint16_t port;
    const struct iso8583_dialect *dialect;
    uint32_t connections;   /* 1 to NETWORK_CONNECTIONS_MAX */
    uint32_t in_flight_max; /* requests on their way, and those that wait for a connection */
    uint32_t echo_ms;       /* of silence, until the host is asked whether it is there */
    uint32_t answer_ms;     /* for a sign-on or an echo; then the connection is given up */
    uint32_t repeat_ms;     /* until an advice or an inquiry is sent again */
    uint32_t retry_max_ms;  /* between two attempts to connect, at most */
    char terminal[9];       /* DE 41: this client's alone */
    char acquirer[12];      /* DE 32: digits */
    uint16_t category;      /* DE 18 */
};

struct network_client_parts {
    struct net_loop *loop;
    struct os_clock *clock;
    struct os_entropy *entropy;
    struct trace_log *log;
    struct net_tls *tls; /* NULL: plain. Borrowed */
    struct network_client_settings settings;
};

/* Of settings: two connections, an echo after a minute, and so on; no host. */
struct network_client_settings network_client_settings_default(void);

/* ERR_MEMORY. */
MUST_USE err_t
network_client_create(const struct network_client_parts *parts, struct network_client **ret_client);
/* Begins to connect. Any thread; the loop runs or will. */
void network_client_start(struct network_client *client);
/* Signs off and closes; what was under way is answered as unknown, what comes later with ERR_BUSY.
 * Waits. Not from the loop's thread, which runs. */
void network_client_stop(struct network_client *client);
/* After the loop has ended, or before it ran. Accepts NULL; sets the pointer to NULL. */
void network_client_destroy(struct network_client **client);

struct port_network *network_client_port(struct network_client *client);
/* Connections that are signed on. Any thread. */
uint32_t network_client_signed_on(const struct network_client *client);
/* Prometheus text. Any thread. */
void network_client_metrics(const struct network_client *client, struct buf *out);

#endif
