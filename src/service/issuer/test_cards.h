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

struct issuer_test_card {
    const char *number;
    const char *error_code; /* NULL: approved */
    const char *decline_code;
    const char *advice_code;
    const char *network_code; /* ISO 8583:1987 DE 39; empty: not sent to the network */
    enum issuer_checks checks;
    enum issuer_refund refund;
    const char *risk_level;
    uint8_t risk_score;
    bool verifies;       /* a zero-amount verification is approved though charges are not */
    bool bypass_pending; /* settles at once */
    bool cvc_only;       /* declined only if a CVC is given */
};

/* The card's row, or the row of an ordinary good card. Never NULL. */
const struct issuer_test_card *issuer_test_card(const char *number);
/* Rows have numbers, for the file. */
uint8_t issuer_test_card_index(const struct issuer_test_card *card);
const struct issuer_test_card *issuer_test_card_at(uint8_t index);

#endif
