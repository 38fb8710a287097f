/* The documents of payouts: the merchant's accounts at banks, and what was sent there. */
#ifndef PAYMENTS_PAYOUT_DOCUMENTS_H
#define PAYMENTS_PAYOUT_DOCUMENTS_H

#include "documents.h"
#include "payments/stored.h"

/* An account at a bank that payouts go to. One that was deleted stays, for the payouts that went
 * there; nobody finds it by the merchant any more. */
struct payments_bank_account {
    struct resource_header header;
    struct span merchant; /* acct_...; empty: it was deleted */
    struct span account;  /* the same, deleted or not */
    struct span currency;
    struct span default_of; /* the currency, if it is where that goes by itself; else empty */
    struct span number;
    struct span routing_number;
    struct span country;
    struct span holder_name;
    struct span holder_type; /* individual company, or empty */
    struct span kind;        /* checking savings futsu toza, or empty */
    struct span fingerprint;
    struct span metadata; /* JSON object */
    bool errored; /* the last payout that went there failed, and nobody has changed it since */
};

/* The merchant, as it is shown: not stored. */
struct payments_account {
    struct resource_header header;
    struct span name; /* empty: operators have given it none */
    bool pays_out;
    int64_t delay_days; /* until what was paid is available */
    const struct payments_payout_schedule *schedule;
    struct payments_bank_account **bank_accounts; /* newest first */
    uint32_t bank_account_count;
};

enum {
    PAYMENTS_BANK_ACCOUNT_MERCHANT,
    PAYMENTS_BANK_ACCOUNT_DEFAULT_OF,
};

/*
 * When the merchant is paid out by itself, and how far that is, for which a mode has one document:
 * `due` is a day of the schedule, or the next try of it, until all currencies are dealt with
 * (PAYOUT-5).
 */
struct payments_payout_schedule {
    struct resource_header header;
    struct span interval; /* manual daily weekly monthly */
    int64_t days;         /* payout_calendar.h */
    int64_t due;          /* 0: never */
    struct span done;     /* of this day: the last currency that was paid out, in their order */
    struct span payout;   /* whose money the books are being asked to hold; empty: none's */
    struct span currency; /* of it */
    int64_t amount;       /* at most so much */
    struct span destination;
    struct span number;  /* of the bank account */
    struct span missing; /* currencies with money and without a bank account: "eur usd" */
    /* Of a day that could not be ended: since when, and how often it was tried. Then `due` is the
     * next try. */
    struct payments_attempt attempt;
};

enum {
    PAYMENTS_PAYOUT_SCHEDULE_DUE,
};

struct payments_payout {
    struct resource_header header;
    bool automatic;
    int64_t amount;
    struct span currency;
    struct span status; /* payout_machine.h */
    struct span destination;
    struct span number; /* of the account, as it was when the payout was made */
    struct span description;
    struct span statement_descriptor;
    struct span metadata; /* JSON object */
    int64_t arrival_date;
    struct span balance_transaction; /* empty: the books do not hold the money yet */
    struct span failure_balance_transaction;
    struct span failure_code;
    struct span failure_message;
    int64_t paid_at;  /* by the bank's word; 0: it has not paid */
    int64_t asked_at; /* since when the bank has it, unless it has decided; else 0 */
    int64_t due;      /* when the sweeper must look at it; 0: never */
    /* Kinds: hold, pay, cancel. Its ids derive from the payout's. */
    struct payments_attempt attempt;
    struct span trace; /* as an intent's */
};

enum {
    PAYMENTS_PAYOUT_STATUS,
    PAYMENTS_PAYOUT_DESTINATION,
    PAYMENTS_PAYOUT_DUE,
    PAYMENTS_PAYOUT_ASKED,
};

extern const struct document_kind payments_bank_account_kind;
extern const struct document_kind payments_payout_kind;
extern const struct document_kind payments_payout_schedule_kind;
extern const struct resource_type payments_account_type;
extern const struct resource_type payments_bank_account_type;
extern const struct resource_type payments_deleted_bank_account_type;
extern const struct resource_type payments_payout_type;
extern const struct resource_type payments_payout_schedule_type;

/* From Monday on; NULL behind the last. */
extern const char *const payments_weekdays[];

/* Rendering (render_payout.c). */
void payments_account_render(struct resource_render *render, const void *document);
void payments_bank_account_render(struct resource_render *render, const void *document);
void payments_deleted_bank_account_render(struct resource_render *render, const void *document);
void payments_payout_render(struct resource_render *render, const void *document);

/* What it says of the books (stored.c): payments_stored_payout. */
MUST_USE err_t payments_payout_expect(
    const struct payments_payout *payout,
    struct books_expected expected[PAYMENTS_EXPECTED_MAX],
    uint32_t *ret_count);

/* The steps that its transfers' ids derive from, with the number in its id. */
#define PAYMENTS_PAYOUT_HOLD     "hold"
#define PAYMENTS_PAYOUT_PAID     "paid"
#define PAYMENTS_PAYOUT_NOT_PAID "not paid"
#define PAYMENTS_PAYOUT_CANCELED "canceled"
#define PAYMENTS_PAYOUT_RETURNED "return"

#endif
