/* What stands in a value list, by the list's type of item: whether a text is one, and in which form
 * equal ones are equal. Pure. */
#ifndef PAYMENTS_RISK_VALUE_H
#define PAYMENTS_RISK_VALUE_H

#include "base/arena.h"

#define PAYMENTS_RISK_VALUE_MAX 800 /* bytes */

enum payments_risk_item {
    PAYMENTS_RISK_CARD_BIN,
    PAYMENTS_RISK_CARD_FINGERPRINT,
    PAYMENTS_RISK_CASE_SENSITIVE_STRING,
    PAYMENTS_RISK_COUNTRY,
    PAYMENTS_RISK_CUSTOMER_ID,
    PAYMENTS_RISK_EMAIL,
    PAYMENTS_RISK_IP_ADDRESS,
    PAYMENTS_RISK_STRING,
    PAYMENTS_RISK_ITEMS,
};

/* By the numbers above, and NULL behind them. */
extern const char *const payments_risk_item_names[PAYMENTS_RISK_ITEMS + 1];

/* False: there is no such type. */
bool payments_risk_item_parse(struct span name, enum payments_risk_item *ret_item);
/* "six digits": what a value of the type is, for errors. Static. */
const char *payments_risk_item_is(enum payments_risk_item item);
/* *ret_value lives in the arena, and is empty if that is full. False: it is no such value. */
bool payments_risk_value(
    enum payments_risk_item item, struct span text, struct arena *arena, struct span *ret_value);

#endif
