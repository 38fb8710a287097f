/*
 * HTTP requests to the outside: port/http.h over net's client, with a pool of connections for each
 * origin (host, port, TLS or not, reach) that was asked for lately.
 *
 * OUTBOUND-1  A request ends within its time, and `done` is posted exactly once.
 * OUTBOUND-2  Connections of one origin are never used for another, nor across reaches.
 * OUTBOUND-3  https is believed only with a certificate that the trusted authorities vouch for and
 *             that names the host.
 */
#ifndef OUTBOUND_OUTBOUND_H
#define OUTBOUND_OUTBOUND_H

#include "net/loop.h"
#include "port/http.h"

struct outbound;

struct outbound_settings {
    uint32_t requests_max;     /* under way; one more is answered ERR_BUSY */
    uint32_t origins_max;      /* kept at a time; the one that rested longest makes room */
    uint32_t connections_max;  /* to all origins, those that rest included; more for a moment */
    uint32_t answer_bytes_max; /* of an answer's body that are kept; then it is cut */
};

/* 1,024 requests, 1,024 origins, 4,096 connections, 16 KiB. */
struct outbound_settings outbound_settings_default(void);

struct outbound_parts {
    struct net_loop *net; /* where the sockets live; best nobody else's, TLS takes its time */
    /* Where requests come from, and where `done` runs, whatever reply_to says. */
    struct os_executor *owner;
    const char *ca_file; /* PEM: authorities to trust instead of the system's; NULL: the system's */
    struct outbound_settings settings;
};

/* ERR_NOT_FOUND, ERR_CRYPTO: ca_file; ERR_MEMORY. */
MUST_USE err_t outbound_create(const struct outbound_parts *parts, struct outbound **ret_outbound);
/* Ends what is under way and closes all connections; what is sent later is answered ERR_CLOSED.
 * Once, while both loops run, from neither's thread. */
void outbound_stop(struct outbound *outbound);
/* After outbound_stop and after the owner's loop has stopped, or if nothing was ever sent. Accepts
 * NULL; sets the pointer to NULL. */
void outbound_destroy(struct outbound **outbound);

/* The state of the pools, as it was when this was asked last: asking makes the owner's thread look
 * again. */
struct outbound_pools {
    uint64_t origins;     /* that have a pool */
    uint64_t connections; /* open, those that rest included */
    uint64_t waiting;     /* requests that wait for a connection */
};

/* From any thread, while the owner's loop has not been destroyed. */
void outbound_count(struct outbound *outbound, struct outbound_pools *ret_pools);

/* `send` is for the owner's thread. */
struct port_http *outbound_port(struct outbound *outbound);

#endif
