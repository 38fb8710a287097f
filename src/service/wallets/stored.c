#include "wallets/stored.h"

#include "flow.h"

#include "base/assert.h"

#include <stdio.h>
#include <string.h>

#define STEPS_MAX 2
/* Of one withdrawal, refused; a person asks for each. Bounds the work for ids that are nobody's. */
#define GIVE_TRIES_KNOWN 1000

const char *const wallets_stored_kinds[] = {
    "wallet_transfer", "wallet_hold", "wallet_withdrawal", NULL};

/* ------------------------------------------------------------------- documents, then books --- */

static struct books_expected
step_of(u128 number, const char *step, int64_t amount)
{
    return (struct books_expected){resource_derived_id(number, step), amount};
}

uint32_t
wallets_expect_transfer(
    const struct wallets_transfer *transfer, struct books_expected expected[WALLETS_EXPECTED_MAX])
{
    if (wallets_attempt_is_open(&transfer->attempt)) {
        return 0;
    }
    bool moved = span_equal_cstr(transfer->status, "succeeded");
    int64_t amount = wallets_money(transfer->amount, transfer->currency).amount;
    u128 number = resource_number(&wallets_transfer_type, transfer->header.id);
    expected[0] = step_of(number, "send", moved ? amount : -1);
    return 1;
}

uint32_t
wallets_expect_hold(
    const struct wallets_hold *hold, struct books_expected expected[WALLETS_EXPECTED_MAX])
{
    if (wallets_attempt_is_open(&hold->attempt)) {
        return 0;
    }
    bool captured = span_equal_cstr(hold->status, "captured");
    bool failed = span_equal_cstr(hold->status, "failed");
    int64_t held = wallets_money(hold->amount, hold->currency).amount;
    int64_t moved = wallets_money(hold->amount_captured, hold->currency).amount;
    u128 number = resource_number(&wallets_hold_type, hold->header.id);
    expected[0] = step_of(number, "hold", failed ? -1 : held);
    expected[1] = step_of(number, "capture", captured ? moved : -1);
    return 2;
}

#define GIVE_STEP "out of suspense"

static void
give_step(long long tries, char out[WALLETS_STEP_SIZE])
{
    (void)snprintf(out, WALLETS_STEP_SIZE, tries == 0 ? GIVE_STEP : GIVE_STEP " %lld", tries);
}

void
wallets_give_step(const struct wallets_withdrawal *withdrawal, char out[WALLETS_STEP_SIZE])
{
    give_step((long long)withdrawal->give_tries, out);
}

bool
wallets_withdrawal_is_in_suspense(const struct wallets_withdrawal *withdrawal)
{
    return span_equal_cstr(withdrawal->status, "returned") && withdrawal->in_suspense &&
           (withdrawal->given_to.size == 0 || withdrawal->open_since != 0);
}

uint32_t
wallets_expect_withdrawal(
    const struct wallets_withdrawal *withdrawal,
    struct books_expected expected[WALLETS_EXPECTED_MAX])
{
    if (wallets_attempt_is_open(&withdrawal->attempt)) {
        return 0;
    }
    bool returned = span_equal_cstr(withdrawal->status, "returned");
    bool paid = returned || span_equal_cstr(withdrawal->status, "paid");
    int64_t amount = wallets_money(withdrawal->amount, withdrawal->currency).amount;
    u128 number = resource_number(&wallets_withdrawal_type, withdrawal->header.id);
    expected[0] = step_of(number, "paid", paid ? amount : -1);
    /* While it is watched, the return may be in the books before the document says so. */
    if (!returned && withdrawal->due != 0) {
        return 1;
    }
    expected[1] = step_of(
        number, withdrawal->in_suspense ? "return to suspense" : "return", returned ? amount : -1);
    bool in_suspense = wallets_withdrawal_is_in_suspense(withdrawal);
    if (!returned || (in_suspense && withdrawal->given_to.size != 0)) {
        return 2;
    }
    char step[WALLETS_STEP_SIZE];
    wallets_give_step(withdrawal, step);
    expected[2] = step_of(number, step, withdrawal->in_suspense && !in_suspense ? amount : -1);
    return 3;
}

/* One that comes from a file may have anything in it. */
static bool
is_sound(const struct resource_type *type, struct span id, struct span code, int64_t amount)
{
    const struct currency *currency = currency_find(code);
    struct money money;
    u128 number;
    return id_parse(type->prefix, id, &number) && currency != NULL && amount >= 0 &&
           money_from_api(amount, currency, &money) == ERR_OK;
}

static err_t
stored_transfer(
    struct arena *arena,
    struct span id,
    struct span body,
    struct books_expected *expected,
    uint32_t *ret_count)
{
    struct wallets_transfer transfer;
    memset(&transfer, 0, sizeof(transfer));
    TRY(resource_fields_decode(arena, &wallets_transfer_type, body, &transfer));
    transfer.header.id = id;
    if (!is_sound(&wallets_transfer_type, id, transfer.currency, transfer.amount)) {
        return ERR_CORRUPT;
    }
    *ret_count = wallets_expect_transfer(&transfer, expected);
    return ERR_OK;
}

static err_t
stored_hold(
    struct arena *arena,
    struct span id,
    struct span body,
    struct books_expected *expected,
    uint32_t *ret_count)
{
    struct wallets_hold hold;
    memset(&hold, 0, sizeof(hold));
    TRY(resource_fields_decode(arena, &wallets_hold_type, body, &hold));
    hold.header.id = id;
    if (!is_sound(&wallets_hold_type, id, hold.currency, hold.amount) ||
        !is_sound(&wallets_hold_type, id, hold.currency, hold.amount_captured)) {
        return ERR_CORRUPT;
    }
    *ret_count = wallets_expect_hold(&hold, expected);
    return ERR_OK;
}

static err_t
stored_withdrawal(
    struct arena *arena,
    struct span id,
    struct span body,
    struct books_expected *expected,
    uint32_t *ret_count)
{
    struct wallets_withdrawal withdrawal;
    memset(&withdrawal, 0, sizeof(withdrawal));
    TRY(resource_fields_decode(arena, &wallets_withdrawal_type, body, &withdrawal));
    withdrawal.header.id = id;
    if (!is_sound(&wallets_withdrawal_type, id, withdrawal.currency, withdrawal.amount)) {
        return ERR_CORRUPT;
    }
    *ret_count = wallets_expect_withdrawal(&withdrawal, expected);
    return ERR_OK;
}

err_t
wallets_stored_document(
    struct arena *arena,
    const char *kind,
    struct span id,
    struct span body,
    struct books_expected expected[WALLETS_EXPECTED_MAX],
    uint32_t *ret_count)
{
    if (strcmp(kind, wallets_stored_kinds[0]) == 0) {
        return stored_transfer(arena, id, body, expected, ret_count);
    }
    if (strcmp(kind, wallets_stored_kinds[1]) == 0) {
        return stored_hold(arena, id, body, expected, ret_count);
    }
    ASSERT(strcmp(kind, wallets_stored_kinds[2]) == 0);
    return stored_withdrawal(arena, id, body, expected, ret_count);
}

/* ------------------------------------------------------------------- books, then documents --- */

/* The movement does not say which try it is: all that there may have been are compared. */
static bool
is_given(const struct ledger_transfer *movement)
{
    for (long long tries = 0; tries <= GIVE_TRIES_KNOWN; tries++) {
        char step[WALLETS_STEP_SIZE];
        give_step(tries, step);
        if (movement->id == resource_derived_id(movement->user_data_128, step)) {
            return true;
        }
    }
    return false;
}

bool
wallets_stored_explains(
    const struct ledger_transfer *movement, const char **ret_kind, char ret_id[ID_TEXT_SIZE])
{
    static const struct {
        uint16_t code;
        int kind;
        const struct resource_type *type;
        const char *steps[STEPS_MAX];
    } movements[] = {
        {BOOKS_WALLET_TRANSFER, 0, &wallets_transfer_type, {"send"}},
        {BOOKS_DEPOSIT, 0, &wallets_transfer_type, {"send"}},
        {BOOKS_WALLET_HOLD, 1, &wallets_hold_type, {"hold", "capture"}},
        {BOOKS_WITHDRAWAL, 2, &wallets_withdrawal_type, {"hold", "paid"}},
        {BOOKS_WITHDRAWAL_RETURN, 2, &wallets_withdrawal_type, {"return", "return to suspense"}},
    };

    /* Anybody may use a code in a ledger; an id that derives from the document's is ours. */
    for (size_t i = 0; i < sizeof(movements) / sizeof(movements[0]); i++) {
        for (int k = 0; movement->code == movements[i].code && k < STEPS_MAX; k++) {
            const char *step = movements[i].steps[k];
            if (step != NULL &&
                movement->id == resource_derived_id(movement->user_data_128, step)) {
                *ret_kind = wallets_stored_kinds[movements[i].kind];
                (void)id_format(movements[i].type->prefix, movement->user_data_128, ret_id);
                return true;
            }
        }
    }
    if (movement->code == BOOKS_WITHDRAWAL_RETURN && is_given(movement)) {
        *ret_kind = wallets_stored_kinds[2];
        (void)id_format(wallets_withdrawal_type.prefix, movement->user_data_128, ret_id);
        return true;
    }
    return false;
}
