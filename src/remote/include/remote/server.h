/*
 * The listener between services: answers the requests of remote/client.h out of ports of this
 * process. A listener of its own, apart from the public one and the operators'.
 *
 *     remote_server_create(&parts, &remote);
 *     struct net_server_hooks hooks = remote_server_hooks(remote);
 *     struct net_server_settings settings = remote_server_net_settings();
 *     net_server_create(loop, &settings, &hooks, &server);
 *     net_server_listen(server, {.tls = remote_auth_server_tls(auth), ...});
 *     ...
 *     net_server_stop(server, drain_ms);       every request was answered
 *     ... stop the loop ...
 *     remote_server_destroy(&remote);
 *
 * Whoever cannot prove to be one of ours is answered 401 and no more. With certificates, a service
 * answers those roles (names ROLE.DOMAIN) whose work needs it:
 *     ledger   api payments wallets mobile     wallet   api payments mobile
 *     rail     api payments                    mobile   api payments
 *     vault    api payments                    network  cards
 *     bank     api wallets
 *
 * Everything runs on the net loop, the ends of the ports' requests too.
 */
#ifndef REMOTE_SERVER_H
#define REMOTE_SERVER_H

#include "net/server.h"
#include "os/entropy.h"
#include "port/ledger.h"
#include "port/mobile.h"
#include "port/network.h"
#include "port/rail.h"
#include "port/vault.h"
#include "port/wallet.h"
#include "remote/remote.h"
#include "trace/span.h"

struct remote_server;

/* A request that was answered. Texts are borrowed for the call. */
struct remote_answered {
    const char *service;
    struct span operation;
    const struct trace_context *trace; /* unset: nobody follows it */
    err_t error;                       /* ERR_OK, or what the port said */
    uint64_t duration_ns;              /* since its first byte */
};

struct remote_server_parts {
    struct net_loop *net;
    const struct remote_auth *auth; /* borrowed */
    /* NULL: not served here. */
    struct port_ledger *ledger;
    struct port_rail *rail;
    struct port_network *network;
    struct port_vault *vault;
    struct port_wallet *wallet;
    struct port_mobile *mobile;
    struct port_rail *bank;
    /* Spans of requests that belong to a trace; NULL: none are recorded, contexts pass on. */
    struct trace_recorder *recorder;
    struct os_entropy *entropy; /* for their ids; not NULL if there is a recorder */
    /* Whether the process can work; a few words are appended to `why` if not. On the net loop; may
     * not block. */
    bool (*ready)(void *context, struct buf *why);
    /* For who keeps a log. On the net loop; may not block. NULL: nobody. */
    void (*answered)(void *context, const struct remote_answered *answered);
    void *context;
};

MUST_USE err_t
remote_server_create(const struct remote_server_parts *parts, struct remote_server **ret_server);
/* After the net server and the loop have stopped. Accepts NULL. */
void remote_server_destroy(struct remote_server **server);

struct net_server_hooks remote_server_hooks(struct remote_server *server);
/* Limits for what services send: bodies of 4 MiB, answers to 8,192 requests at a time. */
struct net_server_settings remote_server_net_settings(void);

/* Counters since creation, except the gauge. Any thread. */
struct remote_server_counters {
    uint64_t requests;  /* admitted, and handed to a port */
    uint64_t denied;    /* 401 */
    uint64_t invalid;   /* not understood */
    uint64_t late;      /* their time was over before they began */
    uint64_t shed;      /* refused by net: too many, too slow, no HTTP */
    uint64_t failed;    /* the port answered with an error */
    uint64_t under_way; /* gauge */
};

void remote_server_count(
    const struct remote_server *server, struct remote_server_counters *ret_counters);

#endif
