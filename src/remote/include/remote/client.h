/*
 * Ports to a service in other processes. A client is one service (remote/remote.h) at one or
 * several endpoints; the port that it gives can be handed to whoever would get the service's own.
 *
 *     remote_client_create(&parts, &client, message);
 *     ... the net loop runs ...
 *     remote_client_start(client);             from now on it is looked whether it is there
 *     port = remote_client_ledger(client);
 *     ...
 *     remote_client_stop(client);              everything was answered
 *     ... stop the loop ...
 *     remote_client_destroy(&client);
 *
 * Errors, exactly (REMOTE-1): what was certainly not done ends as ERR_BUSY; what the service itself
 * answered comes through as it is; anything else is ERR_OUTCOME_UNKNOWN, or PORT_RAIL_UNKNOWN where
 * the port has that.
 *
 * Ports may be called from any thread; requests are written and answers read on the net loop.
 */
#ifndef REMOTE_CLIENT_H
#define REMOTE_CLIENT_H

#include "base/buf.h"
#include "net/loop.h"
#include "port/ledger.h"
#include "port/mobile.h"
#include "port/network.h"
#include "port/rail.h"
#include "port/vault.h"
#include "port/wallet.h"
#include "remote/remote.h"

struct remote_client;

struct remote_client_settings {
    uint32_t requests_max;       /* under way; one more is ERR_BUSY */
    uint32_t connections_max;    /* to each endpoint */
    uint32_t timeout_ms;         /* of a request that has no deadline of its own */
    uint32_t connect_timeout_ms; /* of one endpoint */
    uint32_t hello_interval_ms;  /* between looks whether it is there */
    uint32_t file_interval_ms;   /* between readings of a file of endpoints */
};

/* 8,192 requests, 64 connections, 10 s, 2 s to connect, 1 s hello, 5 s file. */
extern const struct remote_client_settings remote_client_settings_default;

struct remote_client_parts {
    struct net_loop *net;
    struct os_loop *files; /* where a file of endpoints is read again; NULL: never */
    enum remote_service service;
    /* "HOST:PORT,HOST:PORT" (a name is looked up for each connection), or "file:PATH" of a file
     * with one HOST:PORT a line, read again every file_interval_ms. */
    const char *endpoints;
    const struct remote_auth *auth; /* borrowed until the client is destroyed */
    struct remote_client_settings settings;
};

/* `message` says what is wrong: ERR_INVALID, ERR_NOT_FOUND (no endpoint, or no file), ERR_FULL
 * (more than 16), ERR_DENIED (an address outside this machine without TLS), ERR_MEMORY. */
MUST_USE err_t remote_client_create(
    const struct remote_client_parts *parts,
    struct remote_client **ret_client,
    char message[REMOTE_MESSAGE_SIZE]);

/* Begins to look whether the service is there, every hello_interval_ms. Once, any thread. */
void remote_client_start(struct remote_client *client);
/* Answers every request, and each one from now on with ERR_BUSY. Not from the net loop's thread;
 * the net loop, and those that the requests reply to, must be running. */
void remote_client_stop(struct remote_client *client);
/* After the stop, or if the loop never ran. Accepts NULL. */
void remote_client_destroy(struct remote_client **client);

/* What is known of the service. */
struct remote_client_state {
    bool asked;   /* it was, whatever came of it: before that nothing is known */
    bool reached; /* it answered a hello lately, in our version, and serves this */
    bool ready;   /* and it says that it can work */
    bool simulated;
    /* Somebody answers, and it is not to be expected that waiting changes what: another key or
     * certificate than it takes, another version, or it does not serve this. */
    bool refuses;
    char why[160]; /* not ready: a few words */
};

/* Any thread. */
void remote_client_look(const struct remote_client *client, struct remote_client_state *ret_state);

/* The one that the client was made for; valid as long as it. */
struct port_ledger *remote_client_ledger(struct remote_client *client);
/* `simulated` is what the service told until now: true before it did. */
struct port_rail *remote_client_rail(struct remote_client *client);
/* The same, of the bank; its name is "bank". */
struct port_rail *remote_client_bank(struct remote_client *client);
struct port_network *remote_client_network(struct remote_client *client);
struct port_vault *remote_client_vault(struct remote_client *client);
struct port_wallet *remote_client_wallet(struct remote_client *client);
struct port_mobile *remote_client_mobile(struct remote_client *client);

/* Counters since creation, except the gauges. */
struct remote_client_counters {
    uint64_t requests;
    uint64_t answered; /* by the service, errors included */
    uint64_t refused;  /* by its listener: not admitted, too late, not understood */
    uint64_t not_sent;
    uint64_t unknown;
    uint64_t busy;      /* not sent: requests_max */
    uint64_t released;  /* wallet: reservations given back */
    uint64_t dropped;   /* of them not told to the service */
    uint64_t under_way; /* gauge */
};

/* From any thread: each number is exact, together they are not one instant. */
void remote_client_count(
    const struct remote_client *client, struct remote_client_counters *ret_counters);

#endif
