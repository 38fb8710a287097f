/*
 * The documents of the service, as structs. Amounts are in the public API's units (base/money.h
 * converts where they meet the ledger), but those of a wallet's usage. Texts that are JSON values
 * say so.
 *
 * The types render references to customers, so they are rendered by operations of this service
 * only.
 */
#ifndef WALLETS_DOCUMENTS_H
#define WALLETS_DOCUMENTS_H

#include "limits.h"
#include "resource/resource.h"

/*
 * An unfinished step towards the ledger or the bank, inside the document it belongs to, durable
 * before it is taken. Every id derives from the document's id and the step, so anybody may take it
 * again. No attempt is open when `kind` is empty.
 */
struct wallets_attempt {
    struct span kind; /* what is being done: the flow's file names them */
    struct span key;  /* the idempotency key to finish, may be empty */
    int64_t amount;   /* hold: what is captured */
    int64_t tries;
    int64_t began; /* unix seconds */
};

struct wallets_wallet {
    struct resource_header header;
    struct span customer;
    struct span currency; /* lower case */
    struct span status;   /* active frozen closed */
    struct span tier;
    struct span email, phone, handle; /* in the one spelling of alias.h */
    struct span metadata;             /* JSON object */
    struct wallets_usage out, in;     /* against the limits; minor units */
    int64_t closings;                 /* so many times somebody tried to close it: makes ids */
    int64_t due;                      /* when the sweeper must look at it; 0: never */
    struct wallets_attempt attempt;   /* close */

    /* Not stored: what the ledger said, for whoever renders it. */
    bool balance_known;
    int64_t posted, held, incoming;
};

enum {
    WALLETS_WALLET_CUSTOMER,
    WALLETS_WALLET_EMAIL,
    WALLETS_WALLET_PHONE,
    WALLETS_WALLET_HANDLE,
    WALLETS_WALLET_DUE,
};

struct wallets_transfer {
    struct resource_header header;
    int64_t amount;
    struct span currency;
    struct span from, to; /* wallets */
    struct span status;   /* pending succeeded failed */
    struct span failure_code;
    struct span failure_message;
    struct span request; /* that it pays; may be empty */
    struct span description;
    struct span metadata; /* JSON object */
    int64_t due;
    struct wallets_attempt attempt; /* send */
};

enum {
    WALLETS_TRANSFER_FROM,
    WALLETS_TRANSFER_TO,
    WALLETS_TRANSFER_DUE,
};

extern const struct resource_type wallets_wallet_type;
extern const struct resource_type wallets_transfer_type;

/* render.c */
void wallets_wallet_render(struct resource_render *render, const void *document);
void wallets_transfer_render(struct resource_render *render, const void *document);

#endif
