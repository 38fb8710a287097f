/*
 * The other end: a host that speaks ISO 8583:1987 over TCP, before a card network of this process
 * (the issuer simulator). It can also misbehave on purpose, as a real one may.
 */
#ifndef NETWORK_HOST_H
#define NETWORK_HOST_H

#include "iso8583/iso8583.h"
#include "net/loop.h"
#include "net/tls.h"
#include "os/entropy.h"
#include "port/network.h"
#include "trace/log.h"

struct network_host;

struct network_host_settings {
    const struct iso8583_dialect *dialect;
    uint32_t connections_max;
    uint32_t in_flight_max; /* requests that are not answered, over all connections */
    uint32_t idle_ms;       /* without a whole message: closed */
    /* Of a thousand messages, by chance; none of network management. */
    uint32_t dropped_per_mille; /* never arrive */
    uint32_t lost_per_mille;    /* are done, and not answered */
    uint32_t late_per_mille;    /* are done and answered after late_ms */
    uint32_t twice_per_mille;   /* are done and answered twice */
    uint32_t late_ms;
};

struct network_host_parts {
    struct net_loop *loop;
    struct os_entropy *entropy;
    struct trace_log *log;
    struct net_tls *tls; /* NULL: plain. Borrowed */
    struct port_network *network;
    struct network_host_settings settings;
};

struct network_host_settings network_host_settings_default(void);

/* Listens on `address` (numeric); before the loop runs. ERR_EXISTS, ERR_DENIED, ERR_INVALID: the
 * address; ERR_MEMORY, ERR_IO. */
MUST_USE err_t network_host_create(
    const struct network_host_parts *parts,
    const char *address,
    uint16_t port,
    struct network_host **ret_host,
    uint16_t *ret_port);
/* Closes everything, and waits until the network has answered what was asked. While both loops
 * run; not from the host's. */
void network_host_stop(struct network_host *host);
/* After the loop has ended. Accepts NULL; sets the pointer to NULL. */
void network_host_destroy(struct network_host **host);

#endif
