/*
 * Money: integer minor units in a currency, checked arithmetic, no floating point.
 *
 * Exponents are ISO 4217's (amendment list of 2024). Where the public API follows Stripe's
 * exceptions (ISK and UGX are sent with two decimals), money_from_api and money_to_api convert at
 * the edge; everything inside Tael is in ISO minor units.
 */
#ifndef BASE_MONEY_H
#define BASE_MONEY_H

#include "base/err.h"
#include "base/span.h"

struct currency {
    char code[4];         /* upper case, "USD" */
    char api_code[4];     /* lower case, "usd": how the public API writes it */
    uint16_t number;      /* ISO 4217 numeric; also the ledger number of the currency */
    uint8_t exponent;     /* ISO minor units */
    uint8_t api_exponent; /* decimals of the public API's amounts */
    int64_t api_minimum;  /* smallest charge, in the public API's units */
};

struct money {
    int64_t amount; /* minor units */
    const struct currency *currency;
};

/* By alphabetic code in either case, or NULL. */
const struct currency *currency_find(struct span code);
/* By ISO 4217's number, or NULL. */
const struct currency *currency_by_number(uint16_t number);
/* All of them, by an index below the count. */
size_t currency_count(void);
const struct currency *currency_at(size_t index);

/* Same currency required (a bug otherwise). ERR_RANGE when the result does not fit. */
MUST_USE err_t money_add(struct money a, struct money b, struct money *ret_sum);
MUST_USE err_t money_subtract(struct money a, struct money b, struct money *ret_difference);
/* amount * basis_points / 10000, half away from zero, e.g. 290 for 2.9 %. */
MUST_USE err_t money_share(struct money amount, int32_t basis_points, struct money *ret_share);

/* The public API's amount to ISO minor units: ERR_RANGE if it does not fit, ERR_INVALID if the
 * currency's minor unit is coarser and the amount is no multiple of it. */
MUST_USE err_t
money_from_api(int64_t api_amount, const struct currency *currency, struct money *ret_money);
/* The inverse. Where the public API's unit is the coarser one (MGA), rounded half away from zero;
 * where it is finer (ISK, UGX), cut to what an int64_t holds. */
int64_t money_to_api(struct money money);

/* "12.34 USD" into out; for people, not for machines. */
#define MONEY_TEXT_SIZE 32
void money_format(struct money money, char out[MONEY_TEXT_SIZE]);

#endif
