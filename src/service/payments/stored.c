#include "payments/stored.h"

#include "disputes/dispute.h"
#include "flow.h"
#include "payouts/payout_documents.h"

#include <string.h>

static_assert(PAYMENTS_STORED_PARTS_MAX == PAYMENTS_PARTS_MAX, "something of each part");

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
booked(u128 transfer, int64_t amount, struct span code, struct books_expected *ret_expected)
{
    const struct currency *currency = currency_find(code);
    struct money money;
    if (currency == NULL || amount < 0 || money_from_api(amount, currency, &money) != ERR_OK) {
        return ERR_CORRUPT;
    }
    *ret_expected = (struct books_expected){.transfer = transfer, .amount = money.amount};
    return ERR_OK;
}

static struct books_expected
not_booked(u128 transfer)
{
    return (struct books_expected){.transfer = transfer, .amount = -1};
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
        TRY(booked(parts[i].transfer, parts[i].amount, charge.currency, &stored.expected[i]));
    }
    *ret_charge = stored;
    return ERR_OK;
}

/* Where suspense took a wallet's place the transfers have other ids, which the refund does not
 * say. */
err_t
payments_stored_refund(
    struct arena *arena, struct span body, struct books_expected *ret_expected, bool *ret_booked)
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
    TRY(booked(payments_unhex(refund.reference), amount, refund.currency, ret_expected));
    *ret_booked = true;
    return ERR_OK;
}

/* What comes next may be in the books before a document says so: the end of what is pending, or
 * under way, and the return of what is watched. Of that nothing is said. */
err_t
payments_payout_expect(
    const struct payments_payout *payout,
    struct books_expected expected[PAYMENTS_EXPECTED_MAX],
    uint32_t *ret_count)
{
    static const char *const steps[] = {
        PAYMENTS_PAYOUT_HOLD,
        PAYMENTS_PAYOUT_PAID,
        PAYMENTS_PAYOUT_NOT_PAID,
        PAYMENTS_PAYOUT_CANCELED,
        PAYMENTS_PAYOUT_RETURNED,
    };

    enum {
        STEPS = sizeof(steps) / sizeof(steps[0])
    };

    static_assert(STEPS <= PAYMENTS_EXPECTED_MAX, "room for all of a payout");
    u128 number = 0;
    if (payout->amount <= 0 || !id_parse(payments_payout_type.prefix, payout->header.id, &number)) {
        return ERR_CORRUPT;
    }
    bool open = payments_attempt_is_open(&payout->attempt);
    bool held = payout->balance_transaction.size != 0;
    bool failed = held && span_equal_cstr(payout->status, "failed");
    bool paid = payout->paid_at != 0;
    const bool moved[STEPS] = {
        true, paid, failed && !paid, span_equal_cstr(payout->status, "canceled"), failed && paid};
    bool goes_on = open || span_equal_cstr(payout->status, "pending");
    uint32_t count = goes_on ? 1 : paid && payout->due != 0 ? STEPS - 1 : STEPS;
    count = open && !held ? 0 : count;
    for (uint32_t i = 0; i < count; i++) {
        u128 transfer = resource_derived_id(number, steps[i]);
        if (moved[i]) {
            /* What was refused leaves its id behind (payout_posting.c). */
            TRY(booked(transfer, held ? payout->amount : 0, payout->currency, &expected[i]));
        } else {
            expected[i] = not_booked(transfer);
        }
    }
    *ret_count = count;
    return ERR_OK;
}

err_t
payments_stored_payout(
    struct arena *arena,
    struct span id,
    struct span body,
    struct books_expected expected[PAYMENTS_EXPECTED_MAX],
    uint32_t *ret_count)
{
    struct payments_payout payout;
    memset(&payout, 0, sizeof(payout));
    TRY(resource_fields_decode(arena, &payments_payout_type, body, &payout));
    payout.header.id = id;
    return payments_payout_expect(&payout, expected, ret_count);
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
        {BOOKS_DISPUTE, PAYMENTS_STORED_DISPUTE, &payments_dispute_type, PAYMENTS_DISPUTE_TAKEN},
        {BOOKS_DISPUTE_FEE, PAYMENTS_STORED_DISPUTE, &payments_dispute_type, PAYMENTS_DISPUTE_FEE},
        {BOOKS_DISPUTE_REVERSAL,
         PAYMENTS_STORED_DISPUTE,
         &payments_dispute_type,
         PAYMENTS_DISPUTE_REVERSED},
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

/* As of payouts: what moves next is none of those that are over. */
err_t
payments_dispute_expect(
    const struct payments_dispute *dispute,
    bool frozen,
    struct books_expected expected[PAYMENTS_EXPECTED_MAX],
    uint32_t *ret_count)
{
    bool taken = dispute->withdrawal.size != 0;
    bool taking = span_equal_cstr(dispute->attempt.kind, "withdraw");
    bool giving = span_equal_cstr(dispute->attempt.kind, "reinstate");

    const struct {
        const char *step;
        int64_t amount;
        bool moved, moving;
    } said[] = {
        {PAYMENTS_DISPUTE_TAKEN, dispute->amount, taken, taking},
        {PAYMENTS_DISPUTE_FEE, dispute->fee, taken && dispute->fee != 0, taking},
        {PAYMENTS_DISPUTE_REVERSED, dispute->amount, dispute->reinstation.size != 0, giving},
    };

    static_assert(sizeof(said) / sizeof(said[0]) <= PAYMENTS_EXPECTED_MAX, "room for all of it");
    u128 number = 0;
    uint32_t count = 0;
    if (!id_parse(payments_dispute_type.prefix, dispute->header.id, &number)) {
        return ERR_CORRUPT;
    }
    bool over = span_equal_cstr(dispute->status, "won") ||
                span_equal_cstr(dispute->status, "lost") ||
                span_equal_cstr(dispute->status, "warning_closed");
    for (size_t i = 0; i < sizeof(said) / sizeof(said[0]); i++) {
        u128 transfer = resource_derived_id(number, said[i].step);
        if (said[i].moved) {
            TRY(booked(transfer, said[i].amount, dispute->currency, &expected[count++]));
        } else if (over || (frozen && !said[i].moving)) {
            expected[count++] = not_booked(transfer);
        }
    }
    *ret_count = count;
    return ERR_OK;
}

err_t
payments_stored_dispute(
    struct arena *arena,
    struct span id,
    struct span body,
    struct books_expected expected[PAYMENTS_EXPECTED_MAX],
    uint32_t *ret_count)
{
    struct payments_dispute dispute;
    memset(&dispute, 0, sizeof(dispute));
    TRY(resource_fields_decode(arena, &payments_dispute_type, body, &dispute));
    dispute.header.id = id;
    return payments_dispute_expect(&dispute, true, expected, ret_count);
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
