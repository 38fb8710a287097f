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
#include "resource/object.h"

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
    struct span trace;              /* traceparent of the request that made it; not shown */
};

enum {
    WALLETS_TRANSFER_FROM,
    WALLETS_TRANSFER_TO,
    WALLETS_TRANSFER_DUE,
};

/* Somebody asks for money; paying it is a transfer. */
struct wallets_request {
    struct resource_header header;
    int64_t amount;
    struct span currency;
    struct span from, to; /* wallets: who shall pay, who asks */
    struct span status;   /* open paid declined canceled expired */
    struct span transfer; /* that pays it; with `open`: is under way */
    struct span description;
    struct span metadata; /* JSON object */
    int64_t expires_at;   /* unix seconds */
    int64_t due;
};

enum {
    WALLETS_REQUEST_FROM,
    WALLETS_REQUEST_TO,
    WALLETS_REQUEST_STATUS,
    WALLETS_REQUEST_DUE,
};

/* Money set aside in one wallet for another. */
struct wallets_hold {
    struct resource_header header;
    int64_t amount;
    int64_t amount_captured;
    struct span currency;
    struct span from, to; /* wallets */
    struct span status;   /* pending active captured released expired failed */
    struct span failure_code;
    struct span failure_message;
    struct span description;
    struct span metadata; /* JSON object */
    int64_t expires_in;   /* seconds: the ledger's timeout */
    int64_t expires_at;   /* unix seconds, as the ledger will have it */
    int64_t reserved_at;  /* when it was counted against the limits */
    int64_t due;
    struct wallets_attempt attempt; /* hold capture release expire */
};

enum {
    WALLETS_HOLD_FROM,
    WALLETS_HOLD_TO,
    WALLETS_HOLD_STATUS,
    WALLETS_HOLD_DUE,
};

/* Money on its way out to a bank account. */
struct wallets_withdrawal {
    struct resource_header header;
    int64_t amount;
    struct span currency;
    struct span wallet;
    struct span status; /* pending paid failed returned */
    struct span failure_code;
    struct span failure_message;
    struct span account_number; /* never shown whole */
    struct span routing_number;
    struct span country;
    struct span account_holder_name;
    struct span statement_descriptor;
    struct span description;
    struct span metadata; /* JSON object */
    bool in_suspense;     /* it came back to a wallet that had been closed */
    struct span given_to; /* then: the wallet that somebody gave it to, or is about to */
    int64_t give_tries;   /* that the ledger refused; each has an id of its own in the books */
    int64_t open_since;   /* unix seconds; while it is in suspense */
    int64_t paid_at;      /* unix seconds; 0: not */
    int64_t reserved_at;
    int64_t due;
    struct wallets_attempt attempt; /* hold pay watch */
};

enum {
    WALLETS_WITHDRAWAL_WALLET,
    WALLETS_WITHDRAWAL_STATUS,
    WALLETS_WITHDRAWAL_DUE,
    WALLETS_WITHDRAWAL_OPEN,
};

extern const struct resource_type wallets_request_type;
extern const struct resource_type wallets_hold_type;
extern const struct resource_type wallets_withdrawal_type;
extern const struct resource_type wallets_wallet_type;
extern const struct resource_type wallets_transfer_type;

/* render.c */
void wallets_wallet_render(struct resource_render *render, const void *document);
void wallets_request_render(struct resource_render *render, const void *document);
void wallets_hold_render(struct resource_render *render, const void *document);
void wallets_withdrawal_render(struct resource_render *render, const void *document);
void wallets_transfer_render(struct resource_render *render, const void *document);

#endif
