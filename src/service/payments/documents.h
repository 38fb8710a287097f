/*
 * The documents of the service, as structs. Amounts are in the public API's units (base/money.h
 * converts where they meet the ledger). Texts that are JSON values say so.
 */
#ifndef PAYMENTS_DOCUMENTS_H
#define PAYMENTS_DOCUMENTS_H

#include "payments/payments.h"
#include "resource/object.h"

/*
 * What an unfinished operation on the outside world left behind, inside the document it belongs
 * to. Written before the step it announces (DESIGN: "every state is written before the step that
 * depends on it"). No attempt is open when `kind` is empty.
 */
struct payments_attempt {
    struct span id;     /* 32 hex digits; the rail and the ledger ids derive from it */
    struct span kind;   /* authorize increment capture void; verify; refund */
    struct span state;  /* started: may be anywhere up to the books; reversing: must be undone;
                         * refused: the rail declined it (voids);
                         * booked: waits for the rail's last word (refunds) */
    struct span key;    /* the idempotency key to finish, may be empty */
    struct span charge; /* the charge that it makes or changes */
    struct span payment_method;
    struct span proof; /* authorize, verify: the rail's id of the challenge that the customer
                        * passed, 32 hex digits; empty: there was none */
    int64_t amount;
    int64_t fee; /* on the amount, when it began: settings may change before it ends */
    int64_t tries;
    int64_t hopeless; /* tries whose answer will hardly be another one next time (PAYMENTS-14) */
    int64_t began;    /* unix seconds */
};

/* What a challenge waits for. */
#define PAYMENTS_WAITS_FOR_CARD  ""      /* the card holder's proof, 3-D Secure (challenge.c) */
#define PAYMENTS_WAITS_FOR_QR    "qr"    /* a wallet that scans the code (qr.c) */
#define PAYMENTS_WAITS_FOR_PAYER "payer" /* the word of a wallet's owner (payer.c) */

/*
 * The last challenge of an intent: what the payer has to do, and how far that has come. What they
 * did is durable before the rail is asked again (challenge.c draws it).
 */
struct payments_challenge {
    struct span kind;          /* PAYMENTS_WAITS_FOR_... */
    struct span data;          /* qr: the code's text; payer: the wallet */
    struct span secret;        /* of the page's address; empty: there was no challenge */
    struct span state;         /* open passed failed expired replaced canceled */
    struct span authorization; /* what the rail challenged, 32 hex digits */
    struct span url;           /* of the page */
    struct span return_url;    /* where the customer goes afterwards; may be empty */
    int64_t expires;           /* unix seconds */
};

/* What an increment asked to change besides the amount: nothing changes if it is declined. */
struct payments_changes {
    struct span description;
    struct span statement_descriptor;
    struct span metadata; /* JSON object */
};

struct payments_intent {
    struct resource_header header;
    int64_t amount;
    int64_t amount_capturable;
    int64_t amount_received;
    struct span currency; /* lower case */
    struct span status;   /* intent_machine.h */
    struct span capture_method;
    struct span confirmation_method;
    struct span client_secret;
    struct span customer;
    struct span description;
    struct span payment_method;
    struct span payment_method_types;      /* JSON array */
    struct span payment_method_options;    /* JSON object */
    struct span automatic_payment_methods; /* JSON object */
    struct span metadata;                  /* JSON object */
    struct span receipt_email;
    struct span shipping; /* JSON object */
    struct span statement_descriptor;
    struct span statement_descriptor_suffix;
    struct span setup_future_usage;
    struct span request_three_d_secure;            /* of payment_method_options[card] */
    struct span card_capture_method;               /* likewise: manual, or empty */
    struct span request_incremental_authorization; /* likewise */
    struct span card_setup_future_usage;           /* likewise: goes before setup_future_usage */
    struct span transfer_group;
    struct span transfer_destination; /* a wallet, which gets what the payment brings */
    struct span qr_code;              /* the static code that it was made from */
    struct span checkout_session;     /* whose payer pays it (checkout.h); empty: none */
    struct span split_wallet;         /* pays split_amount, the card the rest; empty: no split */
    int64_t split_amount;
    struct span split_hold;   /* the wallet's hold while the card's holder is challenged, 32 hex
                               * digits; it ends by the ledger's timeout, if not before */
    struct span participants; /* JSON object: what each is given; empty: none take part */
    struct span transaction;  /* theirs, of the last authorization; empty: there was none */
    struct span latest_charge;
    struct span last_payment_error; /* JSON object */
    struct span cancellation_reason;
    int64_t canceled_at;
    int64_t capture_before; /* when an uncaptured authorization is given up; 0: none */
    int64_t increments;     /* asked for so far, declines included */
    struct payments_changes changes;
    int64_t due; /* when the sweeper must look at it; 0: never */
    struct payments_challenge challenge;
    struct payments_attempt attempt;
    struct span trace; /* traceparent of the request that moved it last; not shown */
};

enum {
    PAYMENTS_INTENT_CUSTOMER,
    PAYMENTS_INTENT_DUE
};

struct payments_charge {
    struct resource_header header;
    int64_t amount;
    int64_t amount_captured;
    int64_t amount_refunded;
    struct span currency;
    struct span status; /* succeeded pending failed */
    struct span customer;
    struct span payment_intent;
    struct span payment_method;
    struct span balance_transaction;
    bool paid, captured, refunded;
    struct span failure_code;
    struct span failure_message;
    struct span outcome;                /* JSON object */
    struct span billing_details;        /* JSON object */
    struct span payment_method_details; /* JSON object */
    struct span shipping;               /* JSON object */
    struct span description;
    struct span receipt_email;
    struct span statement_descriptor;
    struct span statement_descriptor_suffix;
    struct span metadata; /* JSON object */
    struct span transfer_group;
    struct span transfer_destination;
    struct span wallet;        /* that paid; empty: a card did */
    struct span authorization; /* the rail's id of it, 32 hex digits */
    struct span hold;          /* in the books, if it is another than the authorization's first */
    bool incrementable;        /* more may be authorized */
    struct span booked_by;     /* the transfer that took the money, 32 hex digits */
    bool straight_to_available;
    /* The amounts above count both parts; these are the wallet's in them. */
    struct span split_wallet; /* paid split_amount beside the card; empty: no split */
    int64_t split_amount;
    int64_t split_captured;
    int64_t split_refunded;
    int64_t split_reserved_at;     /* in the wallet's limits, unix seconds */
    struct span split_transaction; /* the balance transaction of the wallet's part */
    struct span split_booked_by;   /* the transfer that took the wallet's part, 32 hex digits */
    struct span suspense_item;     /* stands for the wallet's part, which the books refused */
    bool void_refused;             /* the rail would not let go of it: a suspense item says so */
    bool disputed;                 /* ever, if only by an inquiry */
    int64_t disputed_amount;       /* taken back by disputes, ever (dispute.h) */
    int64_t reinstated_amount;     /* of that, given again */
};

enum {
    PAYMENTS_CHARGE_INTENT,
    PAYMENTS_CHARGE_CUSTOMER
};

struct payments_refund {
    struct resource_header header;
    int64_t amount;
    struct span currency;
    struct span charge;
    struct span payment_intent;
    struct span reason;
    struct span status; /* pending succeeded failed */
    struct span balance_transaction;
    struct span failure_balance_transaction;
    struct span failure_reason;
    struct span metadata;     /* JSON object */
    struct span wallet;       /* that gets it back; empty: a card */
    bool from_available;      /* which of the merchant's accounts paid for it */
    struct span reference;    /* its id at the rail and in the books, 32 hex digits */
    struct span split_wallet; /* gets split_amount of it, the card the rest; empty: no split */
    int64_t split_amount;
    struct span split_transaction; /* the balance transaction of the wallet's part */
    struct span suspense_item;     /* stands for the wallet's part, which the books refused */
    int64_t due;
    struct payments_attempt attempt;
    struct span trace; /* as an intent's */
};

enum {
    PAYMENTS_REFUND_CHARGE,
    PAYMENTS_REFUND_INTENT,
    PAYMENTS_REFUND_DUE
};

struct payments_method {
    struct resource_header header;
    struct span customer;
    struct span billing_details; /* JSON object */
    struct span metadata;        /* JSON object */
    struct span allow_redisplay; /* always limited unspecified, or empty */
    bool shows_qr;               /* whoever scans it pays; nothing below is set then */
    bool detached;               /* from its customer, who may be gone: it never pays again */
    bool of_code;                /* the wallet's owner scanned or showed one: it pays once */
    struct span wallet;          /* wal_...: nothing of a card is set then */
    struct span token;           /* the vault's */
    struct span fingerprint;
    struct span bin; /* of the card's number the first six; empty of one that was kept before */
    struct span brand, network, funding, country, last4;
    int64_t exp_month, exp_year;
    struct span cvc_check, address_check, postal_code_check; /* pass fail unavailable, or empty */
    struct span address_line1, postal_code; /* of billing_details, for the issuer's checks */
    struct span agreement; /* the rail's id of the authorization that set the card up to be charged
                            * off session, 32 hex digits; empty: none did */
};

enum {
    PAYMENTS_METHOD_CUSTOMER
};

/* A card is set up to be charged later. */
struct payments_setup {
    struct resource_header header;
    struct span status; /* setup_machine.h */
    struct span usage;  /* off_session on_session */
    struct span client_secret;
    struct span customer;
    struct span description;
    struct span payment_method;
    struct span payment_method_types;      /* JSON array */
    struct span payment_method_options;    /* JSON object */
    struct span automatic_payment_methods; /* JSON object */
    struct span metadata;                  /* JSON object */
    struct span request_three_d_secure;    /* of payment_method_options[card] */
    struct span last_setup_error;          /* JSON object */
    struct span latest_attempt;            /* setatt_... */
    struct span cancellation_reason;
    int64_t due; /* when the sweeper must look at it; 0: never */
    struct payments_challenge challenge;
    struct payments_attempt attempt;
};

enum {
    PAYMENTS_SETUP_CUSTOMER,
    PAYMENTS_SETUP_METHOD,
    PAYMENTS_SETUP_DUE
};

/* One confirmation of a setup. */
struct payments_setup_attempt {
    struct resource_header header;
    struct span setup_intent;
    struct span status; /* processing requires_action succeeded failed abandoned */
    struct span usage;
    struct span customer;
    struct span payment_method;
    struct span payment_method_details; /* JSON object */
    struct span setup_error;            /* JSON object */
    struct span verification;           /* the rail's id of the last question, 32 hex digits */
};

enum {
    PAYMENTS_SETUP_ATTEMPT_SETUP
};

struct payments_customer {
    struct resource_header header;
    struct span name, email, phone, description;
    struct span address;  /* JSON object */
    struct span shipping; /* JSON object */
    struct span metadata; /* JSON object */
    struct span default_payment_method;
    struct span preferred_locales; /* JSON array */
};

enum {
    PAYMENTS_CUSTOMER_EMAIL
};

/* What is left of a deleted customer: its id answers "deleted" for ever. */
struct payments_deleted_customer {
    struct resource_header header;
};

struct payments_balance_transaction {
    struct resource_header header;
    int64_t amount, fee; /* net = amount - fee */
    struct span currency;
    struct span
        type; /* charge refund refund_failure adjustment payout payout_cancel payout_failure */
    struct span source;
    struct span description;
    int64_t available_on; /* unix seconds */
    int64_t release_due;  /* the same while the money is pending; 0 once it is available */
};

enum {
    PAYMENTS_BALANCE_TRANSACTION_SOURCE,
    PAYMENTS_BALANCE_TRANSACTION_TYPE,
    PAYMENTS_BALANCE_TRANSACTION_CURRENCY,
    PAYMENTS_BALANCE_TRANSACTION_RELEASE,
};

/* Money that a person must look at (suspense.c): in the suspense account, or held by a rail. */
struct payments_suspense {
    struct resource_header header;
    int64_t amount;
    struct span currency;
    struct span reason; /* capture_refused refund_refused void_refused */
    struct span wallet; /* whose part it stands for; empty of void_refused */
    struct span payment_intent;
    struct span charge;
    struct span refund; /* of refund_refused */
    struct span status; /* open resolved */
    struct span resolution;
    struct span note;
    int64_t tries;       /* to resolve it; each has ids of its own in the books */
    int64_t open_since;  /* unix seconds; 0 once it is resolved */
    int64_t resolved_at; /* unix seconds; 0: open */
};

enum {
    PAYMENTS_SUSPENSE_STATUS,
    PAYMENTS_SUSPENSE_OPEN
};

/* A code that stands at a till: for any number of payments. */
struct payments_qr_code {
    struct resource_header header;
    struct span currency;
    int64_t amount; /* in the public API's units; 0: the payer enters it */
    struct span description;
    struct span metadata; /* JSON object */
    struct span data;
    struct span secret;
    struct span url;
    bool inactive;
};

extern const struct document_kind payments_checkout_kind;
extern const struct resource_type payments_intent_type;
extern const struct resource_type payments_qr_code_type;
extern const struct resource_type payments_suspense_type;
extern const struct resource_type payments_method_type;
extern const struct resource_type payments_setup_type;
extern const struct resource_type payments_setup_attempt_type;
extern const struct resource_type payments_deleted_customer_type;
extern const struct resource_type payments_balance_transaction_type;

/* Of the charge, refund or payout that a balance transaction comes from. */
const struct resource_type *payments_source_type(struct span source);

struct json_writer;
/* As it is shown by itself, or inside what it is about. */
struct resource_render;
void payments_balance_transaction_write(
    struct resource_render *render,
    const struct payments_balance_transaction *transaction,
    bool inside);
/* "next_action" of an intent or a setup that waits for its customer. */
void payments_next_action_write(
    struct json_writer *json, const struct payments_challenge *challenge);

/* "split", of what is split (render_split.c). */
void payments_intent_split_write(struct json_writer *json, const struct payments_intent *intent);
void payments_charge_split_write(struct json_writer *json, const struct payments_charge *charge);
void payments_refund_split_write(struct json_writer *json, const struct payments_refund *refund);

/* "participants" and "transaction", of what has them (participants.c). */
void payments_participants_write(struct json_writer *json, const struct payments_intent *intent);

/* Rendering, one file per object (render_*.c). */
void payments_intent_render(struct resource_render *render, const void *document);
/* An intent's status as it is shown: while an attempt is open its outcome is not known. */
struct span payments_intent_shown_status(const void *document);
void payments_charge_render(struct resource_render *render, const void *document);
void payments_qr_code_render(struct resource_render *render, const void *document);
void payments_refund_render(struct resource_render *render, const void *document);
void payments_suspense_render(struct resource_render *render, const void *document);
void payments_method_render(struct resource_render *render, const void *document);
void payments_setup_render(struct resource_render *render, const void *document);
void payments_setup_attempt_render(struct resource_render *render, const void *document);
void payments_customer_render(struct resource_render *render, const void *document);
void payments_deleted_customer_render(struct resource_render *render, const void *document);
void payments_balance_transaction_render(struct resource_render *render, const void *document);

#endif
