/* What a request for a payout says, and whether a bank could pay that. */
#include "payout.h"

#include "base/assert.h"

#include <string.h>

static bool
method_check(struct resource_op *op)
{
    struct span method;
    if (resource_text(op, "method", &method) && !span_equal_cstr(method, "standard")) {
        resource_invalid(
            op,
            "instant_payouts_unsupported",
            "method",
            "No bank here takes instant payouts: leave method out, or send standard.");
        return false;
    }
    return true;
}

int64_t
payments_payout_coin(const struct currency *currency)
{
    bool whole = strcmp(currency->code, "HUF") == 0 || strcmp(currency->code, "TWD") == 0;
    return whole ? 100 : 1;
}

static bool
bank_coins_check(struct resource_op *op, int64_t amount, const struct currency *currency)
{
    int64_t coin = payments_payout_coin(currency);
    if (amount % coin != 0) {
        resource_invalid(
            op,
            "parameter_invalid_integer",
            "amount",
            "Banks pay %s in whole units: the amount has to be a multiple of %lld.",
            currency->code,
            (long long)coin);
        return false;
    }
    return resource_coins_check(op, "amount", amount, currency);
}

bool
payments_payout_read(struct resource_op *op, struct payments_payout *payout)
{
    struct span code = SPAN_EMPTY;
    struct span destination = SPAN_EMPTY;
    (void)resource_integer(op, "amount", &payout->amount);
    (void)resource_text(op, "currency", &code);
    (void)resource_text(op, "destination", &destination);
    (void)resource_text(op, "description", &payout->description);
    (void)resource_text(op, "statement_descriptor", &payout->statement_descriptor);
    const struct currency *currency = currency_find(code);
    ASSERT(currency != NULL); /* the table says what it is */
    payout->currency = span_from_cstr(currency->api_code);
    if (!method_check(op) || !bank_coins_check(op, payout->amount, currency)) {
        return false;
    }
    const struct payments_bank_account *account =
        payments_bank_account_choose(op, destination, payout->currency);
    if (account == NULL) {
        return false;
    }
    payout->destination = account->header.id;
    payout->number = account->number;
    return resource_metadata(op, SPAN_EMPTY, &payout->metadata) == ERR_OK;
}
