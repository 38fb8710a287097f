/*
 * The client's parts.
 *
 *   a connection   DOWN --connect--> CONNECTING --on_open: 0800 001--> SIGNING_ON --0810 00--> UP
 *                  any --lost, refused, silent--> DOWN, and again after a while (link_down)
 *
 *   a request      submit -> waits (no connection is UP) -> sent -> answered
 *                                        ^------------------+ connection lost: advices, inquiries
 *                                                           +--> unknown: everything else
 *                  its deadline: ERR_BUSY if it was never sent, else unknown
 */
#ifndef NETWORK_CLIENT_PRIVATE_H
#define NETWORK_CLIENT_PRIVATE_H

#include "network/client.h"

#include "base/list.h"
#include "base/map.h"
#include "net/job.h"

#include "codes.h"
#include "frame.h"
#include "message.h"

#include <stdatomic.h>

/* What was sent lately, by id: for DE 90 and for repeats. The newest of a place stays. */
#define NETWORK_RECENT (1u << 14)
/* A request or advice, an inquiry, network management. */
#define NETWORK_TYPES 7

enum network_link_state {
    NETWORK_DOWN,
    NETWORK_CONNECTING,
    NETWORK_SIGNING_ON,
    NETWORK_UP,
};

struct network_link {
    struct network_client *client;
    enum network_link_state state;
    struct net_stream *stream;  /* NULL: DOWN */
    struct net_timer timer;     /* DOWN: connect again; else the answer or the next echo is due */
    struct network_trace asked; /* of the 0800 that is not answered; stan 0: none */
    struct list pending;        /* sent over it, and not answered */
    uint32_t pending_count;
    uint32_t failures; /* since it was last signed on */
};

struct network_pending {
    struct list_link link; /* free, waiting, or in its connection's list */
    struct map_link by_trace;
    struct network_client *client;
    struct port_network_request *request;
    struct network_link *on; /* NULL: it waits */
    struct net_timer deadline, again;
    struct network_trace trace; /* stan 0: it was never sent */
    uint16_t type;              /* as it was sent last */
    uint16_t part;              /* of evidence, from 1; 0: it has none */
    /* A partial approval, which the rail has no word for, is being reversed: this is the void. */
    bool reverses;
    struct port_rail_request reversal;
};

struct network_recent {
    u128 id;
    struct network_trace trace;
    uint16_t type; /* 0: empty */
    uint16_t part;
};

struct network_client {
    struct port_network network;
    struct network_client_parts parts;
    struct network_identity identity;
    struct network_link links[NETWORK_CONNECTIONS_MAX];
    struct network_pending *slots;
    struct list free, waiting;
    struct map by_trace;
    struct network_recent *recent;
    struct iso8583_message message; /* one at a time; wiped */
    uint32_t stan;
    uint64_t last_s;      /* the clock of DE 7 never goes back */
    uint64_t begins_s;    /* and nothing is sent before this second: NETWORK-2 */
    uint64_t attempts;    /* to connect, that may be made now: in thousandths */
    uint64_t attempts_ns; /* as of then */
    bool stopping;
    struct os_task start_task, stop_task;
    struct net_latch *stopped;

    _Atomic uint32_t signed_on;
    _Atomic uint64_t waiting_count, reversals, unmatched, malformed, connects, lost, repeats;
    _Atomic uint64_t notices_refused;
    _Atomic uint64_t answers[NETWORK_TYPES][NETWORK_CODES_MAX + 1]; /* the last: none came */
};

/* ---- client_link.c */
void network_link_init(struct network_client *client, struct network_link *link);
/* On its loop: begins to connect. */
void network_link_begin(struct network_link *link);
void network_link_end(struct network_link *link);
/* On an error nothing was sent: frame.h. */
MUST_USE err_t network_link_send(struct network_link *link, const struct iso8583_message *message);
/* The connected one with the fewest requests, or NULL. */
struct network_link *network_link_pick(struct network_client *client);

/* ---- client_metrics.c */
/* One answer of that code; NULL: none came. */
void network_client_count(
    struct network_client *client, uint16_t type, const struct network_code *code);

/* ---- client_sent.c */
/* Numbers for another message. */
struct network_trace network_client_trace(struct network_client *client);
/* What was sent under these numbers and is not answered; NULL: nothing. */
struct network_pending *network_sent_find(
    struct network_client *client, const struct network_trace *trace);
/* Before it is sent; who sends it sets pending->trace. ERR_FULL, ERR_MEMORY. */
MUST_USE err_t
network_sent_insert(struct network_pending *pending, const struct network_trace *trace);
void network_sent_remove(struct network_pending *pending);
/* NULL: it was not sent by this process, or long ago. */
const struct network_recent *network_recent_find(struct network_client *client, u128 id);
void network_recent_keep(struct network_client *client, const struct network_recent *recent);
void network_recent_forget(struct network_client *client, u128 id);

/* ---- client.c */
/* An answer that is no 08xx came. */
void network_client_answered(struct network_client *client, const struct iso8583_message *message);
/* A connection is UP: what waits is sent. */
void network_client_serve(struct network_client *client);
/* A connection is gone: what was on it is sent again, or unknown. */
void network_client_lost(struct network_client *client, struct network_link *link);

#endif
