/*
 * The rail port: a way for money to enter or leave. Cards and the bank are such.
 *
 * Every operation carries an id that the caller derived from the payment and the step. Doing it
 * again with the same id has no second effect and answers the same (M3). An answer may come late,
 * twice as far as the network is concerned, or never: the rail then posts PORT_RAIL_UNKNOWN at the
 * operation's deadline, and the caller finds out with PORT_RAIL_REPORT. A time-out is never a "no".
 */
#ifndef PORT_RAIL_H
#define PORT_RAIL_H

#include "base/money.h"
#include "base/u128.h"
#include "os/loop.h"
#include "port/vault.h"

enum port_rail_operation {
    PORT_RAIL_AUTHORIZE, /* holds the amount at the issuer; with `capture` it is taken at once */
    PORT_RAIL_CAPTURE,   /* takes `amount` of what was authorized, releases the rest */
    PORT_RAIL_VOID,      /* releases an authorization; undoes one whose outcome is unknown */
    PORT_RAIL_REFUND,    /* gives back `amount` of what was captured */
    PORT_RAIL_REPORT,    /* what became of operation `original_id`? */
    PORT_RAIL_PAY,       /* sends `amount` to the account that `token` names */
};

enum port_rail_outcome {
    PORT_RAIL_APPROVED,
    PORT_RAIL_DECLINED,
    PORT_RAIL_PENDING,   /* accepted, final later (asynchronous refunds, payments): ask by REPORT */
    PORT_RAIL_FAILED,    /* accepted earlier, failed after all (refunds, payments) */
    PORT_RAIL_NOT_FOUND, /* REPORT: the rail never saw that operation */
    PORT_RAIL_UNKNOWN,   /* no answer within the deadline */
};

/* Results of the issuer's checks. */
enum port_rail_check {
    PORT_RAIL_CHECK_NONE,
    PORT_RAIL_CHECK_PASS,
    PORT_RAIL_CHECK_FAIL,
    PORT_RAIL_CHECK_UNAVAILABLE,
};

struct port_rail_answer {
    enum port_rail_outcome outcome;
    char error_code[32];   /* the public API's: "card_declined", "expired_card"; empty if none */
    char decline_code[40]; /* "insufficient_funds"; empty if none */
    char advice_code[24];  /* "do_not_try_again" ...; empty if none */
    char network_code[4];  /* the network's own, ISO 8583:1987 DE 39 */
    char authorization_code[8];
    char network_transaction_id[24];
    char risk_level[12]; /* normal elevated highest */
    uint8_t risk_score;
    enum port_rail_check cvc_check, address_check, postal_code_check;
    bool straight_to_available; /* settles at once (the bypass-pending test cards) */
    bool captured;              /* REPORT on an authorization: was it captured? */
    int64_t captured_amount;    /* REPORT: so far */
    int64_t refunded_amount;
    bool voided;
};

struct port_rail_request {
    struct os_task task;
    struct os_executor *reply_to;
    void (*done)(struct port_rail_request *request);

    enum port_rail_operation operation;
    uint64_t scope;
    u128 id;          /* of this operation; unused by REPORT */
    u128 original_id; /* the authorization (CAPTURE, VOID, REFUND), or what to REPORT on */
    struct money amount;
    bool capture;                           /* AUTHORIZE only */
    bool off_session;                       /* the customer is not there to authenticate */
    char token[PORT_VAULT_TOKEN_SIZE];      /* AUTHORIZE: the vault's; PAY: an account's number */
    struct span postal_code, address_line1; /* AUTHORIZE, for the checks; may be empty */
    struct span statement_descriptor;
    uint64_t deadline_ns; /* monotonic */
    void *rail;           /* the rail's, while the request is under way */

    err_t error; /* ERR_BUSY or ERR_FULL: nothing was sent */
    struct port_rail_answer answer;
};

struct port_rail {
    /* From any thread. Takes the request until its `done` was posted. */
    void (*submit)(struct port_rail *rail, struct port_rail_request *request);
    /* "card", "wallet" ... */
    const char *name;
    bool simulated; /* live-mode keys are refused while it is */
};

#endif
