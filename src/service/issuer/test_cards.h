/* What the simulated issuer does with each test card. */
#ifndef ISSUER_TEST_CARDS_H
#define ISSUER_TEST_CARDS_H

#include <stdbool.h>
#include <stdint.h>

enum issuer_refund {
    ISSUER_REFUND_AT_ONCE,
    ISSUER_REFUND_LATER, /* pending, then succeeded */
    ISSUER_REFUND_FAILS, /* accepted, failed later */
};

enum issuer_checks {
    ISSUER_CHECKS_PASS,
    ISSUER_CHECKS_CVC_FAIL,
    ISSUER_CHECKS_POSTAL_CODE_FAIL,
    ISSUER_CHECKS_LINE1_FAIL,
    ISSUER_CHECKS_ADDRESS_FAIL, /* both */
    ISSUER_CHECKS_UNAVAILABLE,
};

/* When the customer must authenticate (3-D Secure). "On session": they are there. */
enum issuer_authentication {
    ISSUER_NOT_ENROLLED,    /* never; whoever asks for it hears that it was attempted */
    ISSUER_NOT_SUPPORTED,   /* never; the network has no 3-D Secure */
    ISSUER_ON_REQUEST,      /* when the merchant asks for it */
    ISSUER_REQUEST_FAILS,   /* asking for it fails, and changes nothing */
    ISSUER_ALWAYS,          /* on and off session */
    ISSUER_LOOKUP_FAILS,    /* must be, but cannot be carried out */
    ISSUER_UNLESS_SET_UP,   /* on session; off session too, until it was set up for that */
    ISSUER_ON_SESSION_ONLY, /* as if it were set up for off session already */
};

enum issuer_dispute_kind {
    ISSUER_DISPUTE_NEVER,
    ISSUER_DISPUTE_FRAUD,
    ISSUER_DISPUTE_NOT_RECEIVED,
    ISSUER_DISPUTE_BY_INQUIRY,
    ISSUER_DISPUTE_TWICE, /* each of about half */
};

struct issuer_test_card {
    const char *number;
    const char *error_code; /* NULL: approved (once authenticated, where that must be) */
    const char *decline_code;
    const char *advice_code;
    const char *network_code; /* ISO 8583:1987 DE 39; empty: not sent to the network */
    enum issuer_checks checks;
    enum issuer_refund refund;
    const char *risk_level;
    uint8_t risk_score;
    enum issuer_authentication authentication;
    enum issuer_dispute_kind dispute;
    bool verifies;       /* a zero-amount verification is approved though charges are not */
    bool bypass_pending; /* settles at once */
    bool cvc_only;       /* declined only if a CVC is given */
    bool no_increments;  /* declines every increment: no funds */
    bool no_voids;       /* declines every void: what is held stays so */
};

/* The card's row, or the row of an ordinary good card. Never NULL. */
const struct issuer_test_card *issuer_test_card(const char *number);
/* Rows have numbers, for the file. */
uint8_t issuer_test_card_index(const struct issuer_test_card *card);
const struct issuer_test_card *issuer_test_card_at(uint8_t index);

#endif
