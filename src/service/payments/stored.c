#include "payments/stored.h"

#include "dispute.h"
#include "flow.h"
#include "payout_documents.h"

#include <string.h>

static_assert(PAYMENTS_STORED_BOOKINGS_MAX == PAYMENTS_PARTS_MAX, "a booking for each part");
static_assert(PAYMENTS_STORED_MOVEMENTS_MAX == PAYMENTS_PAYOUT_BOOKINGS_MAX, "all of a payout");

/* Of the card's part, or of all that one payer paid. */
static u128
transfer_of(const struct payments_charge *charge)
{
    if (charge->booked_by.size != 0) {
        return payments_unhex(charge->booked_by);
    }
    if (charge->hold.size != 0) {
        return payments_unhex(charge->hold);
    }
    return resource_derived_id(payments_unhex(charge->authorization), "hold");
}

static u128
wallet_transfer_of(const struct payments_charge *charge)
{
    return charge->split_booked_by.size != 0
               ? payments_unhex(charge->split_booked_by)
               : resource_derived_id(payments_unhex(charge->authorization), "wallet hold");
}

uint32_t
payments_charge_parts(
    const struct payments_charge *charge, struct payments_charge_part parts[PAYMENTS_PARTS_MAX])
{
    bool taken = charge->captured;
    int64_t all = taken ? charge->amount_captured : charge->amount;
    int64_t wallet = taken ? charge->split_captured : charge->split_amount;
    parts[0] = (struct payments_charge_part){transfer_of(charge), all - wallet};
    if (wallet == 0) {
        return 1;
    }
    parts[1] = (struct payments_charge_part){wallet_transfer_of(charge), wallet};
    return 2;
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

/* One that comes from a file may have anything in it: the wallet's part is one of the whole. */
static bool
is_part(int64_t part, int64_t whole)
{
    return part >= 0 && part <= whole;
}

static bool
is_sound(const struct payments_charge *charge)
{
    struct span text = charge->booked_by.size != 0 ? charge->booked_by
                       : charge->hold.size != 0    ? charge->hold
                                                   : charge->authorization;
    struct span wallet =
        charge->split_booked_by.size != 0 ? charge->split_booked_by : charge->authorization;
    bool split = charge->split_amount != 0 || charge->split_captured != 0;
    return is_number(text) && (!split || is_number(wallet)) &&
           is_part(charge->split_amount, charge->amount) &&
           is_part(charge->split_captured, charge->amount_captured);
}

/* ERR_CORRUPT: it is no amount of the currency that could be booked. */
static err_t
booking(
    u128 transfer, int64_t amount, struct span code, struct payments_stored_booking *ret_booking)
{
    const struct currency *currency = currency_find(code);
    struct money money;
    if (currency == NULL || amount < 0 || money_from_api(amount, currency, &money) != ERR_OK) {
        return ERR_CORRUPT;
    }
    *ret_booking =
        (struct payments_stored_booking){.transfer = transfer, .amount = (u128)money.amount};
    return ERR_OK;
}

err_t
payments_stored_charge(
    struct arena *arena, struct span body, struct payments_stored_charge *ret_charge)
{
    struct payments_charge charge;
    struct payments_charge_part parts[PAYMENTS_PARTS_MAX];
    struct payments_stored_charge stored = {.booked = true};
    memset(&charge, 0, sizeof(charge));
    TRY(resource_fields_decode(arena, &payments_charge_type, body, &charge));
    if (!span_equal_cstr(charge.status, "succeeded")) {
        *ret_charge = (struct payments_stored_charge){.booked = false};
        return ERR_OK;
    }
    if (!is_sound(&charge)) {
        return ERR_CORRUPT;
    }
    stored.intent = charge.payment_intent;
    stored.count = payments_charge_parts(&charge, parts);
    for (uint32_t i = 0; i < stored.count; i++) {
        TRY(booking(parts[i].transfer, parts[i].amount, charge.currency, &stored.bookings[i]));
    }
    *ret_charge = stored;
    return ERR_OK;
}

/* Where suspense took a wallet's place the transfers have other ids, which the refund does not
 * say. */
err_t
payments_stored_refund(
    struct arena *arena,
    struct span body,
    struct payments_stored_booking *ret_booking,
    bool *ret_booked)
{
    struct payments_refund refund;
    memset(&refund, 0, sizeof(refund));
    TRY(resource_fields_decode(arena, &payments_refund_type, body, &refund));
    *ret_booked = false;
    if (!is_part(refund.split_amount, refund.amount)) {
        return ERR_CORRUPT;
    }
    int64_t amount = payments_split_rest_refunded(&refund);
    if (!span_equal_cstr(refund.status, "succeeded") || refund.suspense_item.size != 0 ||
        refund.reference.size == 0 || amount == 0) {
        return ERR_OK;
    }
    if (!is_number(refund.reference)) {
        return ERR_CORRUPT;
    }
    TRY(booking(payments_unhex(refund.reference), amount, refund.currency, ret_booking));
    *ret_booked = true;
    return ERR_OK;
}

err_t
payments_stored_payout(
    struct arena *arena,
    struct span id,
    struct span body,
    struct payments_stored_movement movements[PAYMENTS_STORED_MOVEMENTS_MAX],
    uint32_t *ret_count)
{
    struct payments_payout payout;
    struct payments_payout_booking bookings[PAYMENTS_PAYOUT_BOOKINGS_MAX];
    struct money money;
    u128 number;
    memset(&payout, 0, sizeof(payout));
    TRY(resource_fields_decode(arena, &payments_payout_type, body, &payout));
    payout.header.id = id;
    const struct currency *currency = currency_find(payout.currency);
    if (!id_parse(payments_payout_type.prefix, id, &number) || currency == NULL ||
        payout.amount <= 0 || money_from_api(payout.amount, currency, &money) != ERR_OK) {
        return ERR_CORRUPT;
    }
    *ret_count = payments_payout_bookings(&payout, bookings);
    for (uint32_t i = 0; i < *ret_count; i++) {
        movements[i] = (struct payments_stored_movement){
            .transfer = bookings[i].transfer,
            .amount = bookings[i].amount > 0 ? money.amount : bookings[i].amount,
        };
    }
    return ERR_OK;
}

/* ERR_CORRUPT as of booking. A step that is under way may be there or not: nothing is said of it.
 */
static err_t
dispute_movement(
    const struct payments_dispute *dispute,
    bool moved,
    u128 transfer,
    int64_t amount,
    struct payments_stored_movement *ret_movement)
{
    struct payments_stored_booking booked;
    *ret_movement = (struct payments_stored_movement){.transfer = transfer, .amount = -1};
    if (moved) {
        TRY(booking(transfer, amount, dispute->currency, &booked));
        ret_movement->amount = (int64_t)booked.amount;
    }
    return ERR_OK;
}

err_t
payments_stored_dispute(
    struct arena *arena,
    struct span id,
    struct span body,
    struct payments_stored_movement movements[PAYMENTS_STORED_MOVEMENTS_MAX],
    uint32_t *ret_count)
{
    struct payments_dispute dispute;
    u128 number = 0;
    uint32_t count = 0;
    memset(&dispute, 0, sizeof(dispute));
    TRY(resource_fields_decode(arena, &payments_dispute_type, body, &dispute));
    if (!id_parse(payments_dispute_type.prefix, id, &number)) {
        return ERR_CORRUPT;
    }
    bool taken = dispute.withdrawal.size != 0;
    bool given = dispute.reinstation.size != 0;
    if (!span_equal_cstr(dispute.attempt.kind, "withdraw")) {
        u128 taking = resource_derived_id(number, "dispute");
        u128 fee = resource_derived_id(number, "dispute fee");
        TRY(dispute_movement(&dispute, taken, taking, dispute.amount, &movements[count++]));
        TRY(dispute_movement(
            &dispute, taken && dispute.fee != 0, fee, dispute.fee, &movements[count++]));
    }
    if (!span_equal_cstr(dispute.attempt.kind, "reinstate")) {
        u128 giving = resource_derived_id(number, "dispute reversal");
        TRY(dispute_movement(&dispute, given, giving, dispute.amount, &movements[count++]));
    }
    *ret_count = count;
    return ERR_OK;
}

bool
payments_stored_explains(
    const struct ledger_transfer *movement, const char **ret_kind, char ret_id[ID_TEXT_SIZE])
{
    static const struct {
        uint16_t code;
        const char *kind;
        const struct resource_type *type;
        const char *step;
    } movements[] = {
        {BOOKS_PAYOUT, PAYMENTS_STORED_PAYOUT, &payments_payout_type, PAYMENTS_PAYOUT_PAID},
        {BOOKS_PAYOUT_RETURN,
         PAYMENTS_STORED_PAYOUT,
         &payments_payout_type,
         PAYMENTS_PAYOUT_RETURNED},
        {BOOKS_DISPUTE, PAYMENTS_STORED_DISPUTE, &payments_dispute_type, "dispute"},
        {BOOKS_DISPUTE_FEE, PAYMENTS_STORED_DISPUTE, &payments_dispute_type, "dispute fee"},
        {BOOKS_DISPUTE_REVERSAL,
         PAYMENTS_STORED_DISPUTE,
         &payments_dispute_type,
         "dispute reversal"},
    };

    /* Anybody may use a code in a ledger; an id that derives from the document's is ours. */
    for (size_t i = 0; i < sizeof(movements) / sizeof(movements[0]); i++) {
        if (movement->code == movements[i].code &&
            movement->id == resource_derived_id(movement->user_data_128, movements[i].step)) {
            *ret_kind = movements[i].kind;
            (void)id_format(movements[i].type->prefix, movement->user_data_128, ret_id);
            return true;
        }
    }
    return false;
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
