#include "test_cards.h"

#include "base/assert.h"

#include <string.h>

#define NORMAL .risk_level = "normal", .risk_score = 24

/* The first row is the ordinary good card. Rows are only ever added at the end: their position is
 * in the file. */
static const struct issuer_test_card cards[] = {
    {.number = "", .network_code = "00", NORMAL},
    {.number = "4000000000000002",
     .error_code = "card_declined",
     .decline_code = "generic_decline",
     .advice_code = "try_again_later",
     .network_code = "05",
     NORMAL},
    {.number = "4000000000009995",
     .error_code = "card_declined",
     .decline_code = "insufficient_funds",
     .advice_code = "try_again_later",
     .network_code = "51",
     NORMAL},
    {.number = "4000000000009987",
     .error_code = "card_declined",
     .decline_code = "lost_card",
     .advice_code = "do_not_try_again",
     .network_code = "41",
     NORMAL},
    {.number = "4000000000009979",
     .error_code = "card_declined",
     .decline_code = "stolen_card",
     .advice_code = "do_not_try_again",
     .network_code = "43",
     NORMAL},
    {.number = "4000000000000069",
     .error_code = "expired_card",
     .decline_code = "expired_card",
     .advice_code = "do_not_try_again",
     .network_code = "54",
     NORMAL},
    {.number = "4000000000000127",
     .error_code = "incorrect_cvc",
     .decline_code = "incorrect_cvc",
     .advice_code = "try_again_later",
     .network_code = "N7",
     .checks = ISSUER_CHECKS_CVC_FAIL,
     .cvc_only = true,
     NORMAL},
    {.number = "4000000000000119",
     .error_code = "processing_error",
     .decline_code = "processing_error",
     .advice_code = "try_again_later",
     .network_code = "96",
     NORMAL},
    {.number = "4000000000006975",
     .error_code = "card_declined",
     .decline_code = "card_velocity_exceeded",
     .advice_code = "try_again_later",
     .network_code = "65",
     NORMAL},
    {.number = "4000000000000341",
     .error_code = "card_declined",
     .decline_code = "generic_decline",
     .advice_code = "try_again_later",
     .network_code = "05",
     .verifies = true,
     NORMAL},
    {.number = "4100000000000019",
     .error_code = "card_declined",
     .decline_code = "fraudulent",
     .advice_code = "do_not_try_again",
     .network_code = "",
     .risk_level = "highest",
     .risk_score = 92},
    {.number = "4000000000004954",
     .error_code = "card_declined",
     .decline_code = "fraudulent",
     .advice_code = "do_not_try_again",
     .network_code = "",
     .risk_level = "highest",
     .risk_score = 85},
    {.number = "4000000000009235",
     .network_code = "00",
     .risk_level = "elevated",
     .risk_score = 70},
    {.number = "4000000000000101", .network_code = "00", .checks = ISSUER_CHECKS_CVC_FAIL, NORMAL},
    {.number = "4000000000000036",
     .network_code = "00",
     .checks = ISSUER_CHECKS_POSTAL_CODE_FAIL,
     NORMAL},
    {.number = "4000000000000028",
     .network_code = "00",
     .checks = ISSUER_CHECKS_LINE1_FAIL,
     NORMAL},
    {.number = "4000000000000010",
     .network_code = "00",
     .checks = ISSUER_CHECKS_ADDRESS_FAIL,
     NORMAL},
    {.number = "4000000000000044",
     .network_code = "00",
     .checks = ISSUER_CHECKS_UNAVAILABLE,
     NORMAL},
    {.number = "4000000000007726", .network_code = "00", .refund = ISSUER_REFUND_LATER, NORMAL},
    {.number = "4000000000005126", .network_code = "00", .refund = ISSUER_REFUND_FAILS, NORMAL},
    {.number = "4000000000000077", .network_code = "00", .bypass_pending = true, NORMAL},
    {.number = "4000003720000278", .network_code = "00", .bypass_pending = true, NORMAL},
    /* Cards that need the customer to authenticate. */
    {.number = "4000002760003184", .network_code = "00", .authentication = ISSUER_ALWAYS, NORMAL},
    {.number = "4000002500003155",
     .network_code = "00",
     .authentication = ISSUER_UNLESS_SET_UP,
     NORMAL},
    {.number = "4000008260003178",
     .error_code = "card_declined",
     .decline_code = "insufficient_funds",
     .advice_code = "try_again_later",
     .network_code = "51",
     .authentication = ISSUER_ON_SESSION_ONLY,
     .verifies = true,
     NORMAL},
    {.number = "4000008400001629",
     .error_code = "card_declined",
     .decline_code = "generic_decline",
     .advice_code = "try_again_later",
     .network_code = "05",
     .authentication = ISSUER_ALWAYS,
     .verifies = true,
     NORMAL},
    {.number = "4000008400001280",
     .error_code = "card_declined",
     .decline_code = "processing_error",
     .advice_code = "try_again_later",
     .network_code = "96",
     .authentication = ISSUER_LOOKUP_FAILS,
     .verifies = true,
     NORMAL},
    {.number = "4000000000003220", .network_code = "00", .authentication = ISSUER_ALWAYS, NORMAL},
    {.number = "4000000000003063", .network_code = "00", .authentication = ISSUER_ALWAYS, NORMAL},
    {.number = "4000003800000446",
     .network_code = "00",
     .authentication = ISSUER_ON_SESSION_ONLY,
     NORMAL},
    {.number = "4000000000003055",
     .network_code = "00",
     .authentication = ISSUER_ON_REQUEST,
     NORMAL},
    {.number = "4000000000003097",
     .network_code = "00",
     .authentication = ISSUER_REQUEST_FAILS,
     NORMAL},
    {.number = "378282246310005",
     .network_code = "00",
     .authentication = ISSUER_NOT_SUPPORTED,
     NORMAL},
    {.number = "371449635398431",
     .network_code = "00",
     .authentication = ISSUER_NOT_SUPPORTED,
     NORMAL},
    /* Two of our own. */
    {.number = "4000000000000515", .network_code = "00", .no_increments = true, NORMAL},
    {.number = "4000000000000523", .network_code = "00", .no_voids = true, NORMAL},
    /* Payments that are disputed. */
    {.number = "4000000000000259", .network_code = "00", .dispute = ISSUER_DISPUTE_FRAUD, NORMAL},
    {.number = "4000000000002685",
     .network_code = "00",
     .dispute = ISSUER_DISPUTE_NOT_RECEIVED,
     NORMAL},
    {.number = "4000000000001976",
     .network_code = "00",
     .dispute = ISSUER_DISPUTE_BY_INQUIRY,
     NORMAL},
    {.number = "4000000404000079", .network_code = "00", .dispute = ISSUER_DISPUTE_TWICE, NORMAL},
};

enum {
    CARD_COUNT = sizeof(cards) / sizeof(cards[0])
};

const struct issuer_test_card *
issuer_test_card(const char *number)
{
    for (size_t i = 1; i < CARD_COUNT; i++) {
        if (strcmp(cards[i].number, number) == 0) {
            return &cards[i];
        }
    }
    return &cards[0];
}

uint8_t
issuer_test_card_index(const struct issuer_test_card *card)
{
    ASSERT(card >= cards);
    ASSERT(card < cards + CARD_COUNT);
    return (uint8_t)(card - cards);
}

const struct issuer_test_card *
issuer_test_card_at(uint8_t index)
{
    return index < CARD_COUNT ? &cards[index] : &cards[0];
}
