/*
 * Money that leaves to an account at a bank, whoever sends it there: the account as a request names
 * it, the order to the bank, and what its answer means. Inside an operation (resource.h), on the
 * runtime's loop.
 */
#ifndef RESOURCE_BANK_ACCOUNT_H
#define RESOURCE_BANK_ACCOUNT_H

#include "port/rail.h"
#include "resource/resource.h"

struct resource_bank_account {
    struct span number;
    struct span routing_number; /* may be empty, as the others below */
    struct span country;
    struct span holder_name;
};

/* Reads account_number, routing_number, country and account_holder_name of the hash `param`. False:
 * the number or the routing number is none, and the operation was answered. */
bool resource_bank_account_read(
    struct resource_op *op, const char *param, struct resource_bank_account *ret_account);
/* All that is shown of an account's number. */
struct span resource_bank_last4(struct span number);

/* A payment to an account. Doing it again under the same id pays nothing twice. */
struct resource_bank_order {
    u128 id;
    struct span number; /* the account's */
    struct money amount;
    struct span statement_descriptor;
    int64_t timeout_ms; /* then the outcome is unknown */
};

/* Asks the rail for PORT_RAIL_PAY or PORT_RAIL_REPORT; the request is the caller's until `done`. */
void resource_bank_ask(
    struct resource_op *op,
    struct port_rail *rail,
    const struct resource_bank_order *order,
    enum port_rail_operation operation,
    struct port_rail_request *request,
    void (*done)(struct port_rail_request *request));

/* What the bank's answer says of the payment. */
enum resource_bank_word {
    RESOURCE_BANK_PAID,
    RESOURCE_BANK_NOT_PAID,  /* refused; or paid, and it has come back */
    RESOURCE_BANK_UNHEARD,   /* the bank does not know it (any more) */
    RESOURCE_BANK_UNDECIDED, /* not final, or not known: to be asked again */
};

enum resource_bank_word resource_bank_word_of(const struct port_rail_request *request);

/* When a payment that was made is looked at again for having come back: the longer ago, the less
 * often. 0: never any more. `kept`: the bank has said that it has not come back. Nothing else ends
 * the watch: what is not known, or not booked yet, may be money that came back. */
int64_t resource_bank_next_look(int64_t now_s, int64_t paid_at, int64_t window_s, bool kept);

#endif
