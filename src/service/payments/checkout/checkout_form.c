#include "checkout_form.h"

/* ------------------------------------------------------------------------------ what is read ---
 */

static bool
is_digit(char byte)
{
    return byte >= '0' && byte <= '9';
}

static bool
is_between(char byte)
{
    return byte == '/' || byte == '-' || byte == ' ' || byte == '.';
}

/* The number that the text begins with, at most so many digits; moves the text behind it. */
static size_t
take_number(struct span *text, size_t digits_max, int64_t *ret_number)
{
    size_t count = 0;
    int64_t number = 0;
    while (count < text->size && count < digits_max && is_digit(text->data[count])) {
        number = number * 10 + (text->data[count] - '0');
        count++;
    }
    *text = span_slice(*text, count, text->size);
    *ret_number = number;
    return count;
}

bool
payments_checkout_expiry_read(struct span text, int64_t *ret_month, int64_t *ret_year)
{
    enum {
        CENTURY = 2000
    };

    struct span rest = span_trim(text);
    int64_t month;
    int64_t year;
    size_t month_digits = take_number(&rest, 2, &month);
    size_t between = 0;
    while (between < rest.size && is_between(rest.data[between])) {
        between++;
    }
    rest = span_slice(rest, between, rest.size);
    size_t year_digits = take_number(&rest, 4, &year);
    bool separated = month_digits == 2 || (month_digits == 1 && between > 0);
    if (!separated || rest.size != 0 || month < 1 || month > 12 ||
        (year_digits != 2 && year_digits != 4)) {
        return false;
    }
    year += year_digits == 2 ? CENTURY : 0;
    if (year < CENTURY || year >= CENTURY + 100) {
        return false;
    }
    *ret_month = month;
    *ret_year = year;
    return true;
}

bool
payments_checkout_email_is_sound(struct span text)
{
    size_t at = span_find(text, '@', 0);
    bool one_at = at > 0 && at + 1 < text.size && span_find(text, '@', at + 1) == text.size;
    for (size_t i = 0; i < text.size; i++) {
        if ((unsigned char)text.data[i] <= ' ' || text.data[i] == 0x7f) {
            return false;
        }
    }
    return one_at;
}

bool
payments_checkout_name_is_sound(struct span text)
{
    enum {
        CARD_DIGITS_MIN = 12
    };

    size_t digits = 0;
    for (size_t i = 0; i < text.size; i++) {
        if ((unsigned char)text.data[i] < ' ' || text.data[i] == 0x7f) {
            return false;
        }
        digits += is_digit(text.data[i]);
    }
    return span_trim(text).size > 0 && digits < CARD_DIGITS_MIN;
}

/* ------------------------------------------------------------------------------ what is wrong ---
 */

bool
payments_checkout_errors_any(const struct payments_checkout_errors *errors)
{
    return errors->form != NULL || errors->number != NULL || errors->expiry != NULL ||
           errors->cvc != NULL || errors->name != NULL || errors->email != NULL;
}

void
payments_checkout_errors_of_card(
    enum port_vault_outcome outcome, struct payments_checkout_errors *errors)
{
    switch (outcome) {
    case PORT_VAULT_OK:
    case PORT_VAULT_UNKNOWN_TOKEN:
        return;
    case PORT_VAULT_INVALID_NUMBER:
        errors->number = "Enter the card's number: 12 to 19 digits.";
        return;
    case PORT_VAULT_INCORRECT_NUMBER:
        errors->number = "This number is not right. Compare it with your card.";
        return;
    case PORT_VAULT_INVALID_MONTH:
        errors->expiry = "Enter month and year as they stand on the card, such as 09/30.";
        return;
    case PORT_VAULT_INVALID_YEAR:
        errors->expiry = "This card has expired. You can use another card.";
        return;
    case PORT_VAULT_INVALID_CVC:
        errors->cvc = "Enter the 3 or 4 digits of the security code.";
        return;
    }
}

void
payments_checkout_errors_of_try(
    struct span code, struct span decline_code, struct payments_checkout_errors *errors)
{
    if (code.size == 0) {
        return;
    }
    if (span_equal_cstr(code, "incorrect_cvc") || span_equal_cstr(code, "invalid_cvc")) {
        errors->cvc = "Your bank says that the security code is not right.";
        errors->form = "Nothing was charged. Check the security code, or use another card.";
    } else if (span_equal_cstr(code, "expired_card")) {
        errors->expiry = "This card has expired.";
        errors->form = "Nothing was charged. You can use another card.";
    } else if (span_equal_cstr(code, "incorrect_number")) {
        errors->number = "Your bank does not know this number.";
        errors->form = "Nothing was charged. Check the number, or use another card.";
    } else if (span_equal_cstr(decline_code, "insufficient_funds")) {
        errors->form = "Nothing was charged: there is not enough money. You can use another card.";
    } else if (span_equal_cstr(code, "processing_error")) {
        errors->form =
            "Nothing was charged: something went wrong on the way to your bank. Try again.";
    } else if (span_equal_cstr(code, "payment_intent_authentication_failure")) {
        errors->form =
            "Nothing was charged: your bank did not get your confirmation. Try again, or use "
            "another card.";
    } else if (span_equal_cstr(code, "payment_intent_payment_attempt_expired")) {
        errors->form = "The code was not paid in time. You can ask for a new one.";
    } else if (span_equal_cstr(code, "payment_method_provider_decline")) {
        errors->form = "Nothing was paid: the wallet refused. You can pay in another way.";
    } else {
        errors->form =
            "Nothing was charged: your bank declined the card. You can use another card.";
    }
}
