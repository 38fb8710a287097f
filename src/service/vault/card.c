#include "card.h"

#include "base/assert.h"

#include <string.h>

bool
vault_card_digits(struct span number, char out[VAULT_NUMBER_SIZE])
{
    size_t count = 0;
    memset(out, 0, VAULT_NUMBER_SIZE);
    for (size_t i = 0; i < number.size; i++) {
        char byte = number.data[i];
        if (byte == ' ' || byte == '-') {
            continue;
        }
        if (byte < '0' || byte > '9' || count == VAULT_NUMBER_MAX) {
            explicit_bzero(out, VAULT_NUMBER_SIZE);
            return false;
        }
        out[count++] = byte;
    }
    return count >= VAULT_NUMBER_MIN;
}

bool
vault_card_check_digit(const char *digits)
{
    int sum = 0;
    bool twice = false;
    for (size_t i = strlen(digits); i > 0; i--) {
        int digit = digits[i - 1] - '0';
        if (twice) {
            digit = digit * 2 > 9 ? digit * 2 - 9 : digit * 2;
        }
        sum += digit;
        twice = !twice;
    }
    return sum % 10 == 0;
}

/* Ranges of issuer identification numbers, as prefixes of `digits` digits. */
static const struct {
    uint32_t low, high;
    uint8_t digits;
    const char *brand;
} ranges[] = {
    {4, 4, 1, "visa"},
    {51, 55, 2, "mastercard"},
    {2221, 2720, 4, "mastercard"},
    {34, 34, 2, "amex"},
    {37, 37, 2, "amex"},
    {6011, 6011, 4, "discover"},
    {644, 659, 3, "discover"},
    {300, 305, 3, "diners"},
    {36, 36, 2, "diners"},
    {38, 39, 2, "diners"},
    {3528, 3589, 4, "jcb"},
    {62, 62, 2, "unionpay"},
    {81, 81, 2, "unionpay"},
};

static const char *
brand_of(const char *digits)
{
    for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
        uint32_t prefix = 0;
        for (uint8_t j = 0; j < ranges[i].digits; j++) {
            prefix = prefix * 10 + (uint32_t)(digits[j] - '0');
        }
        if (prefix >= ranges[i].low && prefix <= ranges[i].high) {
            return ranges[i].brand;
        }
    }
    return "unknown";
}

/* Test numbers and the tokens that stand for them. A token of a decline is also known without the
 * brand in it. Rows without a token are cards that are typed in. */
static const struct {
    const char *number;
    const char *token; /* behind pm_card_ or tok_ */
    const char *alias;
    const char *funding; /* NULL: credit */
    const char *country; /* NULL: US */
} test_cards[] = {
    {"4242424242424242", "visa", NULL, NULL, NULL},
    {"4000056655665556", "visa_debit", NULL, "debit", NULL},
    {"5555555555554444", "mastercard", NULL, NULL, NULL},
    {"2223003122003222", "mastercard_2series", NULL, NULL, NULL},
    {"5200828282828210", "mastercard_debit", NULL, "debit", NULL},
    {"5105105105105100", "mastercard_prepaid", NULL, "prepaid", NULL},
    {"378282246310005", "amex", NULL, NULL, NULL},
    {"371449635398431", "amex_2", NULL, NULL, NULL},
    {"6011111111111117", "discover", NULL, NULL, NULL},
    {"6011000990139424", "discover_2", NULL, NULL, NULL},
    {"6011981111111113", "discover_debit", NULL, "debit", NULL},
    {"3056930009020004", "diners", NULL, NULL, NULL},
    {"36227206271667", "diners_14digits", NULL, NULL, NULL},
    {"3566002020360505", "jcb", NULL, NULL, "JP"},
    {"6200000000000005", "unionpay", NULL, NULL, "CN"},
    {"4000000000000002", "visa_chargeDeclined", "chargeDeclined", NULL, NULL},
    {"4000000000009995",
     "visa_chargeDeclinedInsufficientFunds",
     "chargeDeclinedInsufficientFunds",
     NULL,
     NULL},
    {"4000000000009987", "visa_chargeDeclinedLostCard", "chargeDeclinedLostCard", NULL, NULL},
    {"4000000000009979", "visa_chargeDeclinedStolenCard", "chargeDeclinedStolenCard", NULL, NULL},
    {"4000000000000069", "chargeDeclinedExpiredCard", "visa_chargeDeclinedExpiredCard", NULL, NULL},
    {"4000000000000127",
     "chargeDeclinedIncorrectCvc",
     "visa_chargeDeclinedIncorrectCvc",
     NULL,
     NULL},
    {"4000000000000119",
     "chargeDeclinedProcessingError",
     "visa_chargeDeclinedProcessingError",
     NULL,
     NULL},
    {"4000000000006975",
     "visa_chargeDeclinedVelocityLimitExceeded",
     "chargeDeclinedVelocityLimitExceeded",
     NULL,
     NULL},
    {"4000000000000341", "chargeCustomerFail", "visa_chargeCustomerFail", NULL, NULL},
    {"4100000000000019", "radarBlock", "chargeDeclinedFraudulent", NULL, NULL},
    {"4000000000004954", "riskLevelHighest", NULL, NULL, NULL},
    {"4000000000009235", "riskLevelElevated", NULL, NULL, NULL},
    {"4000000000000101", "cvcCheckFail", NULL, NULL, NULL},
    {"4000000000000036", "avsZipFail", NULL, NULL, NULL},
    {"4000000000000028", "avsLine1Fail", NULL, NULL, NULL},
    {"4000000000000010", "avsFail", NULL, NULL, NULL},
    {"4000000000000044", "avsUnchecked", NULL, NULL, NULL},
    {"4000000000000259", "createDispute", NULL, NULL, NULL},
    {"4000000000002685", "createDisputeProductNotReceived", NULL, NULL, NULL},
    {"4000000000001976", "createDisputeInquiry", NULL, NULL, NULL},
    {"4000000000005423", "createIssuerFraudRecord", NULL, NULL, NULL},
    {"4000000404000079", "createMultipleDisputes", NULL, NULL, NULL},
    {"4000000000007726", "pendingRefund", NULL, NULL, NULL},
    {"4000000000005126", "refundFail", NULL, NULL, NULL},
    {"4000000000000077", "bypassPending", NULL, NULL, NULL},
    {"4000003720000278", "bypassPendingInternational", NULL, NULL, "IE"},
    {"4000002760003184", "authenticationRequired", NULL, NULL, "DE"},
    {"4000002500003155", "authenticationRequiredOnSetup", NULL, NULL, "FR"},
    {"4000003800000446", "authenticationRequiredSetupForOffSession", NULL, NULL, "HU"},
    {"4000008260003178", "authenticationRequiredChargeDeclinedInsufficientFunds", NULL, NULL, "GB"},
    {"4000000000003220", "threeDSecure2Required", NULL, NULL, NULL},
    {"4000000000003063", "threeDSecureRequired", NULL, NULL, NULL},
    {"4000008400001629", "threeDSecureRequiredChargeDeclined", NULL, NULL, NULL},
    {"4000008400001280", "threeDSecureRequiredProcessingError", NULL, NULL, NULL},
    {"4000000000003055", "threeDSecureOptional", NULL, NULL, NULL},
    {"4000000000003097", "threeDSecureOptionalProcessingError", NULL, NULL, NULL},
    {"4000000000000515", "incrementDeclined", NULL, NULL, NULL},
    {"4000000000000523", "voidDeclined", NULL, NULL, NULL},
};

static const char *
funding_of(const char *digits, const char **ret_country)
{
    for (size_t i = 0; i < sizeof(test_cards) / sizeof(test_cards[0]); i++) {
        if (strcmp(test_cards[i].number, digits) == 0) {
            *ret_country = test_cards[i].country != NULL ? test_cards[i].country : "US";
            return test_cards[i].funding != NULL ? test_cards[i].funding : "credit";
        }
    }
    /* No table of issuers is known for other numbers. */
    *ret_country = "";
    return "unknown";
}

static void
copy(char *out, size_t size, const char *text, size_t length)
{
    ASSERT(length < size);
    memcpy(out, text, length);
    out[length] = '\0';
}

void
vault_card_describe(const char *digits, struct port_vault_card *card)
{
    size_t count = strlen(digits);
    ASSERT(count >= VAULT_NUMBER_MIN);
    const char *brand = brand_of(digits);
    const char *country;
    const char *funding = funding_of(digits, &country);
    copy(card->brand, sizeof(card->brand), brand, strlen(brand));
    copy(card->network, sizeof(card->network), brand, strlen(brand));
    copy(card->funding, sizeof(card->funding), funding, strlen(funding));
    copy(card->country, sizeof(card->country), country, strlen(country));
    copy(card->last4, sizeof(card->last4), digits + count - 4, 4);
    copy(card->bin, sizeof(card->bin), digits, 6);
}

bool
vault_card_cvc_is_valid(const char *brand, struct span cvc)
{
    size_t wanted = strcmp(brand, "amex") == 0 ? 4 : 3;
    /* American Express cards carry a three-digit code too. */
    if (cvc.size != wanted && !(wanted == 4 && cvc.size == 3)) {
        return false;
    }
    for (size_t i = 0; i < cvc.size; i++) {
        if (cvc.data[i] < '0' || cvc.data[i] > '9') {
            return false;
        }
    }
    return true;
}

const char *
vault_card_of_test_token(struct span token)
{
    struct span name;
    if (span_starts_with(token, SPAN("pm_card_"))) {
        name = span_slice(token, sizeof("pm_card_") - 1, token.size);
    } else if (span_starts_with(token, SPAN("tok_"))) {
        name = span_slice(token, sizeof("tok_") - 1, token.size);
    } else {
        return NULL;
    }
    for (size_t i = 0; i < sizeof(test_cards) / sizeof(test_cards[0]); i++) {
        if (span_equal_cstr(name, test_cards[i].token) ||
            (test_cards[i].alias != NULL && span_equal_cstr(name, test_cards[i].alias))) {
            return test_cards[i].number;
        }
    }
    return NULL;
}
