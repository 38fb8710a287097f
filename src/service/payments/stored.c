#include "payments/stored.h"

#include "flow.h"

#include <string.h>

u128
payments_charge_transfer(const struct payments_charge *charge)
{
    if (charge->booked_by.size != 0) {
        return payments_unhex(charge->booked_by);
    }
    if (charge->hold.size != 0) {
        return payments_unhex(charge->hold);
    }
    return resource_derived_id(payments_unhex(charge->authorization), "hold");
}

static bool
is_number(struct span text)
{
    bool valid = text.size == 32;
    for (size_t i = 0; i < text.size; i++) {
        char byte = text.data[i];
        valid = valid && ((byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'f'));
    }
    return valid;
}

/* One that comes from a file may have anything in it. */
static bool
names_a_transfer(const struct payments_charge *charge)
{
    struct span text = charge->booked_by.size != 0 ? charge->booked_by
                       : charge->hold.size != 0    ? charge->hold
                                                   : charge->authorization;
    return is_number(text);
}

err_t
payments_stored_charge(
    struct arena *arena, struct span body, struct payments_stored_charge *ret_charge)
{
    struct payments_charge charge;
    struct money money;
    memset(&charge, 0, sizeof(charge));
    TRY(resource_fields_decode(arena, &payments_charge_type, body, &charge));
    if (!span_equal_cstr(charge.status, "succeeded")) {
        *ret_charge = (struct payments_stored_charge){.booked = false};
        return ERR_OK;
    }
    const struct currency *currency = currency_find(charge.currency);
    int64_t amount = charge.captured ? charge.amount_captured : charge.amount;
    if (currency == NULL || !names_a_transfer(&charge) ||
        money_from_api(amount, currency, &money) != ERR_OK || money.amount < 0) {
        return ERR_CORRUPT;
    }
    *ret_charge = (struct payments_stored_charge){
        .booked = true,
        .transfer = payments_charge_transfer(&charge),
        .amount = (u128)money.amount,
        .intent = charge.payment_intent,
    };
    return ERR_OK;
}

err_t
payments_stored_intent_rests(struct arena *arena, struct span body, bool *ret_rests)
{
    struct payments_intent intent;
    memset(&intent, 0, sizeof(intent));
    TRY(resource_fields_decode(arena, &payments_intent_type, body, &intent));
    *ret_rests =
        !payments_attempt_is_open(&intent.attempt) && !span_equal_cstr(intent.status, "canceled");
    return ERR_OK;
}
