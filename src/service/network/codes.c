#include "codes.h"

#include <string.h>

#define NEVER "do_not_try_again"
#define LATER "try_again_later"
#define CHECK "confirm_card_data"

/*
 * The codes are those of ISO 8583:1987 and the ones that card networks added (1A, 8x, N7, Rx); what
 * they become is our own choice of Stripe's decline codes. docs/card-network.md has this table.
 */
static const struct network_code codes[] = {
    {"", "card_declined", "generic_decline", LATER}, /* one that the table does not have */
    {"00", NULL, NULL, NULL},
    {"08", NULL, NULL, NULL},
    {"11", NULL, NULL, NULL},
    {"85", NULL, NULL, NULL},
    {"01", "card_declined", "call_issuer", LATER},
    {"02", "card_declined", "call_issuer", LATER},
    {"03", "card_declined", "service_not_allowed", LATER},
    {"04", "card_declined", "pickup_card", NEVER},
    {"05", "card_declined", "do_not_honor", LATER},
    {"06", "processing_error", "processing_error", LATER},
    {"07", "card_declined", "pickup_card", NEVER},
    {"09", "processing_error", "processing_error", LATER},
    {"10", "card_declined", "insufficient_funds", LATER},
    {"12", "card_declined", "transaction_not_allowed", LATER},
    {"13", "card_declined", "invalid_amount", LATER},
    {"14", "incorrect_number", "incorrect_number", CHECK},
    {"15", "card_declined", "issuer_not_available", LATER},
    {"19", "card_declined", "reenter_transaction", LATER},
    {"20", "processing_error", "processing_error", LATER},
    {"21", "processing_error", "processing_error", LATER},
    {"25", "card_declined", "invalid_account", NEVER},
    {"30", "processing_error", "processing_error", LATER},
    {"31", "card_declined", "issuer_not_available", LATER},
    {"33", "expired_card", "expired_card", NEVER},
    {"34", "card_declined", "fraudulent", NEVER},
    {"36", "card_declined", "restricted_card", NEVER},
    {"38", "card_declined", "pin_try_exceeded", LATER},
    {"39", "card_declined", "invalid_account", NEVER},
    {"40", "card_declined", "transaction_not_allowed", LATER},
    {"41", "card_declined", "lost_card", NEVER},
    {"43", "card_declined", "stolen_card", NEVER},
    {"46", "card_declined", "invalid_account", NEVER},
    {"51", "card_declined", "insufficient_funds", LATER},
    {"52", "card_declined", "invalid_account", NEVER},
    {"53", "card_declined", "invalid_account", NEVER},
    {"54", "expired_card", "expired_card", NEVER},
    {"55", "card_declined", "incorrect_pin", LATER},
    {"56", "card_declined", "invalid_account", NEVER},
    {"57", "card_declined", "card_not_supported", LATER},
    {"58", "card_declined", "transaction_not_allowed", LATER},
    {"59", "card_declined", "fraudulent", NEVER},
    {"61", "card_declined", "card_velocity_exceeded", LATER},
    {"62", "card_declined", "restricted_card", NEVER},
    {"63", "card_declined", "security_violation", LATER},
    {"65", "card_declined", "card_velocity_exceeded", LATER},
    {"68", "processing_error", "processing_error", LATER},
    {"75", "card_declined", "pin_try_exceeded", LATER},
    {"76", "processing_error", "processing_error", LATER},
    {"77", "processing_error", "processing_error", LATER},
    {"82", "incorrect_cvc", "incorrect_cvc", LATER},
    {"90", "card_declined", "issuer_not_available", LATER},
    {"91", "card_declined", "issuer_not_available", LATER},
    {"92", "card_declined", "issuer_not_available", LATER},
    {"94", "card_declined", "duplicate_transaction", LATER},
    {"96", "processing_error", "processing_error", LATER},
    {"1A", "authentication_required", "authentication_required", ""},
    {"N7", "incorrect_cvc", "incorrect_cvc", LATER},
    {"R0", "card_declined", "stop_payment_order", NEVER},
    {"R1", "card_declined", "revocation_of_authorization", NEVER},
    {"R3", "card_declined", "revocation_of_all_authorizations", NEVER},
};

enum {
    CODE_COUNT = sizeof(codes) / sizeof(codes[0])
};

_Static_assert(CODE_COUNT <= NETWORK_CODES_MAX, "counters have room for all");

const struct network_code *
network_code_find(struct span code)
{
    for (size_t i = 1; i < CODE_COUNT; i++) {
        if (span_equal_cstr(code, codes[i].code)) {
            return &codes[i];
        }
    }
    return &codes[0];
}

const struct network_code *
network_code_at(size_t index)
{
    return index < CODE_COUNT ? &codes[index] : NULL;
}

size_t
network_code_index(const struct network_code *code)
{
    return (size_t)(code - codes);
}
