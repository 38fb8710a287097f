#include "emvqr_private.h"

#include "base/assert.h"

static bool
is_digits(struct span text)
{
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9') {
            return false;
        }
    }
    return true;
}

/* The fraction as minor units: "5" of two decimals is 50. False if it is finer than that. */
static bool
fraction_parse(struct span fraction, uint8_t exponent, int64_t *ret_units)
{
    int64_t units = 0;
    for (size_t i = 0; i < fraction.size || i < exponent; i++) {
        int digit = i < fraction.size ? fraction.data[i] - '0' : 0;
        if (i < exponent) {
            units = units * 10 + digit;
        } else if (digit != 0) {
            return false;
        }
    }
    *ret_units = units;
    return true;
}

err_t
emvqr_amount_parse(
    struct span text,
    const struct currency *currency,
    int64_t *ret_amount,
    enum emvqr_problem *ret_problem)
{
    struct span fraction = text;
    struct span whole = span_cut(&fraction, '.');
    if (whole.size == 0 || !is_digits(whole) || !is_digits(fraction)) {
        *ret_problem = EMVQR_AMOUNT_SYNTAX;
        return ERR_INVALID;
    }
    uint64_t units = 0;
    if (text.size > EMVQR_AMOUNT_MAX || !span_parse_u64(whole, &units)) {
        *ret_problem = EMVQR_AMOUNT_RANGE;
        return ERR_INVALID;
    }
    /* 13 digits and the four decimals of the finest currency are far below 2^63. */
    int64_t amount = (int64_t)units;
    for (int i = 0; i < currency->exponent; i++) {
        amount *= 10;
    }
    int64_t below = 0;
    if (!fraction_parse(fraction, currency->exponent, &below)) {
        *ret_problem = EMVQR_AMOUNT_DECIMALS;
        return ERR_INVALID;
    }
    *ret_amount = amount + below;
    return ERR_OK;
}

void
emvqr_amount_append(struct buf *out, int64_t amount, const struct currency *currency)
{
    ASSERT(amount >= 0);
    int64_t scale = 1;
    for (int i = 0; i < currency->exponent; i++) {
        scale *= 10;
    }
    buf_append_i64(out, amount / scale);
    if (scale > 1) {
        buf_append_byte(out, '.');
    }
    int64_t rest = amount % scale;
    for (scale /= 10; scale > 0; scale /= 10) {
        buf_append_byte(out, (char)('0' + (rest / scale) % 10));
    }
}
