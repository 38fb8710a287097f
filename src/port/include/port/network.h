/*
 * The connection to a card network, as the card rail and the vault use it. The rail sends requests
 * that name a card by its token; the vault, which owns the connection (M6), puts the card in and
 * passes them on; the network answers.
 *
 * Each request is answered exactly once, at its deadline at the latest: an answer that did not come
 * in time is PORT_RAIL_UNKNOWN, and what arrives afterwards is dropped.
 */
#ifndef PORT_NETWORK_H
#define PORT_NETWORK_H

#include "port/rail.h"
#include "tracecontext/tracecontext.h"

/* Only between the vault and the network; wiped when the request is answered. */
struct port_network_card {
    char number[20]; /* digits and a zero */
    char cvc[5];     /* empty: not provided */
    uint8_t exp_month;
    uint16_t exp_year;
};

struct port_network_request {
    struct os_task task;
    struct os_executor *reply_to;
    void (*done)(struct port_network_request *request);
    struct trace_context trace;     /* whose work it is; zero: nobody follows it */
    uint64_t trace_began_ns;        /* the callee's, for its spans */
    struct port_rail_request *rail; /* what is asked; owned by whoever asked the rail */
    struct port_network_card card;  /* AUTHORIZE: filled by the vault */
    struct port_rail_answer answer;
    /* ERR_BUSY, ERR_FULL, ERR_NOT_FOUND (no such token), ERR_CORRUPT (its card cannot be read):
     * nothing was sent */
    err_t error;
    void *vault;   /* the vault's, and */
    void *network; /* the network's, while the request is under way */
};

struct port_network {
    /* From any thread. Takes the request until its `done` was posted. */
    void (*submit)(struct port_network *network, struct port_network_request *request);
    bool simulated;
};

#endif
