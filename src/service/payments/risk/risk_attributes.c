#include "risk.h"

#define WINDOWS(name)                                                                              \
    {name "_hourly", RULE_NUMBER}, {name "_daily", RULE_NUMBER},                                   \
    {                                                                                              \
        name "_weekly", RULE_NUMBER                                                                \
    }
/* In the order of subjects, measures and windows. */
#define COUNTS(subject)                                                                            \
    WINDOWS(subject "_attempts"), WINDOWS(subject "_declines"), WINDOWS(subject "_amount")

const struct rule_attribute payments_risk_attributes[PAYMENTS_RISK_ATTRIBUTES] = {
    [PAYMENTS_RISK_AMOUNT] = {"amount", RULE_NUMBER},
    [PAYMENTS_RISK_BIN] = {"card_bin", RULE_TEXT},
    [PAYMENTS_RISK_BRAND] = {"card_brand", RULE_TEXT},
    [PAYMENTS_RISK_CARD_COUNTRY] = {"card_country", RULE_TEXT},
    [PAYMENTS_RISK_FINGERPRINT] = {"card_fingerprint", RULE_TEXT},
    [PAYMENTS_RISK_FUNDING] = {"card_funding", RULE_TEXT},
    [PAYMENTS_RISK_CURRENCY] = {"currency", RULE_TEXT},
    [PAYMENTS_RISK_CUSTOMER] = {"customer", RULE_TEXT},
    [PAYMENTS_RISK_EMAIL_ADDRESS] = {"email", RULE_TEXT},
    [PAYMENTS_RISK_EMAIL_DOMAIN] = {"email_domain", RULE_TEXT},
    [PAYMENTS_RISK_IP] = {"ip_address", RULE_TEXT},
    [PAYMENTS_RISK_PROVEN] = {"is_3d_secure_authenticated", RULE_BOOLEAN},
    [PAYMENTS_RISK_OFF_SESSION] = {"is_off_session", RULE_BOOLEAN},
    COUNTS("card"),
    COUNTS("customer"),
    COUNTS("email"),
    COUNTS("ip"),
};
static_assert(PAYMENTS_RISK_ATTRIBUTES <= 64, "a bit each");

const struct payments_risk_default payments_risk_defaults[PAYMENTS_RISK_DEFAULTS] = {
    {"card_bin_blocklist",
     "card_bin_allowlist",
     "Card BIN",
     PAYMENTS_RISK_CARD_BIN,
     PAYMENTS_RISK_BIN},
    {"card_country_blocklist",
     "card_country_allowlist",
     "Card country",
     PAYMENTS_RISK_COUNTRY,
     PAYMENTS_RISK_CARD_COUNTRY},
    {"card_fingerprint_blocklist",
     "card_fingerprint_allowlist",
     "Card fingerprint",
     PAYMENTS_RISK_CARD_FINGERPRINT,
     PAYMENTS_RISK_FINGERPRINT},
    {"client_ip_address_blocklist",
     "client_ip_address_allowlist",
     "Client IP address",
     PAYMENTS_RISK_IP_ADDRESS,
     PAYMENTS_RISK_IP},
    {"customer_blocklist",
     "customer_allowlist",
     "Customer ID",
     PAYMENTS_RISK_CUSTOMER_ID,
     PAYMENTS_RISK_CUSTOMER},
    {"email_blocklist",
     "email_allowlist",
     "Email",
     PAYMENTS_RISK_EMAIL,
     PAYMENTS_RISK_EMAIL_ADDRESS},
};
