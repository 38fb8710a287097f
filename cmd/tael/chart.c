#include "chart.h"

#include "text.h"

struct chart_account {
    enum books_account code;
    const char *name;
    bool is_debit;
};

static const struct chart_account chart_accounts[] = {
    {BOOKS_CARD_CLEARING, "card clearing", true},
    {BOOKS_FEE_REVENUE, "fee revenue", false},
    {BOOKS_SUSPENSE, "suspense", false},
    {BOOKS_BANK_CLEARING, "bank clearing", true},
    {BOOKS_MERCHANT_PENDING, "merchant pending", false},
    {BOOKS_MERCHANT_AVAILABLE, "merchant available", false},
    {BOOKS_WALLET, "wallet", false},
};

static const char *const transfer_names[] = {
    [BOOKS_PAYMENT] = "payment",
    [BOOKS_FEE] = "fee",
    [BOOKS_HOLD] = "hold",
    [BOOKS_REFUND] = "refund",
    [BOOKS_REFUND_FAILURE] = "refund failure",
    [BOOKS_SETTLEMENT] = "settlement",
    [BOOKS_TOP_UP] = "top-up",
    [BOOKS_TOP_UP_REVERSAL] = "top-up reversal",
    [BOOKS_WALLET_TRANSFER] = "wallet transfer",
    [BOOKS_WALLET_HOLD] = "wallet hold",
    [BOOKS_WITHDRAWAL] = "withdrawal",
    [BOOKS_WITHDRAWAL_RETURN] = "withdrawal return",
    [BOOKS_WALLET_CLOSING] = "wallet closing",
    [BOOKS_DEPOSIT] = "deposit",
    [BOOKS_PAYOUT] = "payout",
    [BOOKS_PAYOUT_RETURN] = "payout return",
};

#define ACCOUNTS_COUNT  (sizeof(chart_accounts) / sizeof(chart_accounts[0]))
#define TRANSFERS_COUNT (sizeof(transfer_names) / sizeof(transfer_names[0]))

static const struct chart_account *
find_by_code(uint32_t ledger, uint16_t code)
{
    bool test;
    if (text_ledger_currency(ledger, &test) == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < ACCOUNTS_COUNT; i++) {
        if ((uint16_t)chart_accounts[i].code == code) {
            return &chart_accounts[i];
        }
    }
    return NULL;
}

const char *
chart_account_name(uint32_t ledger, uint16_t code)
{
    const struct chart_account *account = find_by_code(ledger, code);
    return account == NULL ? NULL : account->name;
}

bool
chart_account_is_debit(uint32_t ledger, uint16_t code)
{
    const struct chart_account *account = find_by_code(ledger, code);
    return account != NULL && account->is_debit;
}

const char *
chart_transfer_name(uint32_t ledger, uint16_t code)
{
    bool test;
    if (text_ledger_currency(ledger, &test) == NULL || code >= TRANSFERS_COUNT) {
        return NULL;
    }
    return transfer_names[code];
}

/* "card-clearing" is "card clearing". */
static bool
name_is(struct span name, const char *of)
{
    struct span other = span_from_cstr(of);
    if (name.size != other.size) {
        return false;
    }
    for (size_t i = 0; i < name.size; i++) {
        char byte = name.data[i] == '-' ? ' ' : name.data[i];
        if (byte != other.data[i]) {
            return false;
        }
    }
    return true;
}

bool
chart_account_find(struct span name, enum books_account *ret_account)
{
    uint64_t code = 0;
    bool is_number = span_parse_u64(name, &code);
    for (size_t i = 0; i < ACCOUNTS_COUNT; i++) {
        bool is_it = is_number ? code == (uint64_t)chart_accounts[i].code
                               : name_is(name, chart_accounts[i].name);
        if (is_it) {
            *ret_account = chart_accounts[i].code;
            return true;
        }
    }
    return false;
}

bool
chart_account_is_merchants(enum books_account account)
{
    enum {
        PLATFORM_BELOW = 200
    };

    return (int)account >= PLATFORM_BELOW;
}
