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
#include "tracecontext/tracecontext.h"

enum port_rail_operation {
    PORT_RAIL_AUTHORIZE, /* holds the amount at the issuer; with `capture` it is taken at once */
    PORT_RAIL_CAPTURE,   /* takes `amount` of what was authorized, releases the rest */
    PORT_RAIL_VOID,      /* releases an authorization; undoes one whose outcome is unknown. Over ISO
                          * 8583 a reversal, stored and forwarded until it is answered: DE 39 21
                          * and 25 are NOT_FOUND, 91 and 96 no answer, other refusals DECLINED */
    PORT_RAIL_REFUND,    /* gives back `amount` of what was captured */
    PORT_RAIL_REPORT,    /* what became of operation `original_id`? */
    /* Holds `amount` more under an authorization. A "no" leaves what was held before. */
    PORT_RAIL_INCREMENT,
    PORT_RAIL_PAY, /* sends `amount` to the account that `token` names */
    /* What is the next news of disputes behind `position`? A rail that has none to tell, or no
     * disputes at all, answers anything with PORT_RAIL_NEWS_NONE. The same question has the same
     * answer for ever, or none yet: whoever lost an answer asks again. */
    PORT_RAIL_NEWS,
    /* Hands in `evidence` against dispute `original_id`; DECLINED: it is too late, or enough. */
    PORT_RAIL_EVIDENCE,
    PORT_RAIL_ACCEPT, /* the merchant does not contest dispute `original_id`: it is lost */
};

enum port_rail_outcome {
    PORT_RAIL_APPROVED,
    PORT_RAIL_DECLINED,
    PORT_RAIL_PENDING, /* accepted, final later (asynchronous refunds, payments): ask by REPORT */
    PORT_RAIL_FAILED,  /* accepted earlier, failed after all (refunds, payments) */
    /* REPORT: the rail never saw that operation. CAPTURE, VOID, REFUND, INCREMENT: it does not know
     * the authorization, and
     * does nothing. */
    PORT_RAIL_NOT_FOUND,
    PORT_RAIL_UNKNOWN, /* no answer within the deadline */
    /* AUTHORIZE: nothing is held; the customer must prove who they are (3-D Secure), and then it is
     * asked again, under a new id, with this one as the proof. */
    PORT_RAIL_CHALLENGE,
};

/* Results of the issuer's checks. */
enum port_rail_check {
    PORT_RAIL_CHECK_NONE,
    PORT_RAIL_CHECK_PASS,
    PORT_RAIL_CHECK_FAIL,
    PORT_RAIL_CHECK_UNAVAILABLE,
};

/* How an authorization came about, as 3-D Secure tells it. */
enum port_rail_proof {
    PORT_RAIL_PROOF_NONE,          /* nobody asked for one */
    PORT_RAIL_PROOF_AUTHENTICATED, /* the customer passed a challenge */
    PORT_RAIL_PROOF_ATTEMPTED,     /* asked for, but the card is not enrolled */
    PORT_RAIL_PROOF_NOT_SUPPORTED, /* asked for, but the network has no such thing */
    PORT_RAIL_PROOF_ERROR,         /* asked for, and it could not be carried out */
};

/* What a network tells of a dispute without being asked for it. */
enum port_rail_news {
    PORT_RAIL_NEWS_NONE,
    PORT_RAIL_NEWS_INQUIRY,  /* the cardholder's bank asks; no money moves */
    PORT_RAIL_NEWS_DISPUTED, /* it takes `amount` back: a new dispute, or an inquiry that grew */
    PORT_RAIL_NEWS_WON,      /* ... and gives it again */
    PORT_RAIL_NEWS_LOST,     /* ... and keeps it */
    PORT_RAIL_NEWS_CLOSED,   /* an inquiry ends without a dispute */
};

struct port_rail_notice {
    enum port_rail_news news;
    uint64_t position;  /* what the next question is about comes behind it */
    u128 dispute;       /* the network's number of it */
    u128 authorization; /* whose money it is about */
    u128 reference;     /* as the request had it that took the money, */
    uint64_t scope;     /* and its scope */
    int64_t amount;     /* minor units of the payment's currency */
    uint64_t opened_ms; /* unix; of one dispute always the same */
    uint64_t due_ms;    /* unix; evidence is taken until then */
    char reason[32];    /* the public API's: "fraudulent" */
    char network_code[8];
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
    enum port_rail_proof proof;
    bool straight_to_available; /* settles at once (the bypass-pending test cards) */
    bool captured;              /* REPORT on an authorization: was it captured? */
    int64_t authorized_amount;  /* REPORT: with what was added later */
    int64_t captured_amount;    /* REPORT: so far */
    int64_t refunded_amount;
    int64_t disputed_amount;   /* REPORT: taken back by disputes, ever */
    int64_t reinstated_amount; /* REPORT: of that, given again */
    bool voided;
    struct port_rail_notice notice; /* NEWS */
};

struct port_rail_request {
    struct os_task task;
    struct os_executor *reply_to;
    void (*done)(struct port_rail_request *request);
    struct trace_context trace; /* whose work it is; zero: nobody follows it */
    uint64_t trace_began_ns;    /* the callee's, for its spans */

    enum port_rail_operation operation;
    uint64_t scope;
    u128 id;          /* of this operation; unused by REPORT */
    u128 original_id; /* the authorization (INCREMENT, CAPTURE, VOID, REFUND), what to REPORT on,
                       * the network's dispute (EVIDENCE, ACCEPT), or the one whose challenge was
                       * passed (AUTHORIZE; 0: none) */
    struct money amount;
    bool capture; /* AUTHORIZE only, as all down to `statement_descriptor` */
    /* With an amount of 0 an AUTHORIZE only asks whether the card is good. */
    bool off_session;   /* the merchant charges a saved card; the customer is not there */
    bool may_challenge; /* the customer can be challenged now; else a need for it is a "no" */
    bool wants_proof;   /* the merchant wants 3-D Secure, even if the issuer does not */
    bool sets_up;       /* it is agreed that the card will be charged off session later */
    u128 reference;     /* AUTHORIZE that captures, CAPTURE: what notices of disputes are to name */
    uint64_t position;  /* NEWS */
    u128 agreement_id;  /* off session: the authorization that set the card up; 0: none */
    char token[PORT_VAULT_TOKEN_SIZE];      /* the vault's; PAY: an account's number */
    struct span postal_code, address_line1; /* for the checks; may be empty */
    struct span statement_descriptor;
    struct span evidence; /* EVIDENCE: a JSON object of texts, by the public API's names */
    uint64_t deadline_ns; /* monotonic */
    void *rail;           /* the rail's, while the request is under way */

    /* ERR_BUSY or ERR_FULL: nothing was sent. ERR_NOT_FOUND or ERR_CORRUPT, of an AUTHORIZE: the
     * vault does not have the card, or cannot read it; nothing was sent this time. */
    err_t error;
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
