#include "record_fields.h"

#define FIELD(type, member)                                                                        \
    {                                                                                              \
        .name = #member, .offset = offsetof(type, member), .size = sizeof(((type *)0)->member)     \
    }
#define HIDDEN(type, member)                                                                       \
    {                                                                                              \
        .name = #member, .offset = offsetof(type, member), .size = sizeof(((type *)0)->member),    \
        .hidden = true                                                                             \
    }
#define FLAGS(type, member, table)                                                                 \
    {                                                                                              \
        .name = #member, .offset = offsetof(type, member), .size = sizeof(((type *)0)->member),    \
        .flags = (table)                                                                           \
    }
#define COUNT(array) (uint32_t)(sizeof(array) / sizeof((array)[0]))

static const struct record_flag account_flags[] = {
    {"linked", LEDGER_ACCOUNT_LINKED},
    {"debits_must_not_exceed_credits", LEDGER_ACCOUNT_DEBITS_MUST_NOT_EXCEED_CREDITS},
    {"credits_must_not_exceed_debits", LEDGER_ACCOUNT_CREDITS_MUST_NOT_EXCEED_DEBITS},
    {"history", LEDGER_ACCOUNT_HISTORY},
    {"imported", LEDGER_ACCOUNT_IMPORTED},
    {"closed", LEDGER_ACCOUNT_CLOSED},
    {NULL, 0},
};

static const struct record_field account_fields[] = {
    FIELD(struct ledger_account, id),
    FIELD(struct ledger_account, debits_pending),
    FIELD(struct ledger_account, debits_posted),
    FIELD(struct ledger_account, credits_pending),
    FIELD(struct ledger_account, credits_posted),
    FIELD(struct ledger_account, user_data_128),
    FIELD(struct ledger_account, user_data_64),
    FIELD(struct ledger_account, user_data_32),
    HIDDEN(struct ledger_account, reserved),
    FIELD(struct ledger_account, ledger),
    FIELD(struct ledger_account, code),
    FLAGS(struct ledger_account, flags, account_flags),
    FIELD(struct ledger_account, timestamp),
};

static const struct record_flag transfer_flags[] = {
    {"linked", LEDGER_TRANSFER_LINKED},
    {"pending", LEDGER_TRANSFER_PENDING},
    {"post_pending_transfer", LEDGER_TRANSFER_POST_PENDING},
    {"void_pending_transfer", LEDGER_TRANSFER_VOID_PENDING},
    {"balancing_debit", LEDGER_TRANSFER_BALANCING_DEBIT},
    {"balancing_credit", LEDGER_TRANSFER_BALANCING_CREDIT},
    {"closing_debit", LEDGER_TRANSFER_CLOSING_DEBIT},
    {"closing_credit", LEDGER_TRANSFER_CLOSING_CREDIT},
    {"imported", LEDGER_TRANSFER_IMPORTED},
    {NULL, 0},
};

static const struct record_field transfer_fields[] = {
    FIELD(struct ledger_transfer, id),
    FIELD(struct ledger_transfer, debit_account_id),
    FIELD(struct ledger_transfer, credit_account_id),
    FIELD(struct ledger_transfer, amount),
    FIELD(struct ledger_transfer, pending_id),
    FIELD(struct ledger_transfer, user_data_128),
    FIELD(struct ledger_transfer, user_data_64),
    FIELD(struct ledger_transfer, user_data_32),
    FIELD(struct ledger_transfer, timeout),
    FIELD(struct ledger_transfer, ledger),
    FIELD(struct ledger_transfer, code),
    FLAGS(struct ledger_transfer, flags, transfer_flags),
    FIELD(struct ledger_transfer, timestamp),
};

static const struct record_flag account_filter_flags[] = {
    {"debits", RECORD_FILTER_DEBITS},
    {"credits", RECORD_FILTER_CREDITS},
    {"reversed", RECORD_FILTER_REVERSED},
    {NULL, 0},
};

static const struct record_flag query_filter_flags[] = {
    {"reversed", RECORD_QUERY_REVERSED},
    {NULL, 0},
};

/* What the filters have in common lies in struct record_filter, their flags behind it. */
#define FILTER(member) FIELD(struct record_filter, member)
static_assert(offsetof(struct record_filter_in, filter) == 0, "fields lie as in the filter");

static const struct record_field account_filter_fields[] = {
    FILTER(account_id),
    FILTER(user_data_128),
    FILTER(user_data_64),
    FILTER(user_data_32),
    FILTER(code),
    FILTER(timestamp_min),
    FILTER(timestamp_max),
    FILTER(limit),
    FLAGS(struct record_filter_in, flags, account_filter_flags),
};

static const struct record_field query_filter_fields[] = {
    FILTER(user_data_128),
    FILTER(user_data_64),
    FILTER(user_data_32),
    FILTER(ledger),
    FILTER(code),
    FILTER(timestamp_min),
    FILTER(timestamp_max),
    FILTER(limit),
    FLAGS(struct record_filter_in, flags, query_filter_flags),
};

static const struct record_field changes_filter_fields[] = {
    FILTER(timestamp_min),
    FILTER(timestamp_max),
    FILTER(limit),
};

const struct record_table record_account_table = {account_fields, COUNT(account_fields)};
const struct record_table record_transfer_table = {transfer_fields, COUNT(transfer_fields)};
const struct record_table record_filter_tables[3] = {
    [RECORD_FILTER_ACCOUNT] = {account_filter_fields, COUNT(account_filter_fields)},
    [RECORD_FILTER_QUERY] = {query_filter_fields, COUNT(query_filter_fields)},
    [RECORD_FILTER_CHANGES] = {changes_filter_fields, COUNT(changes_filter_fields)},
};
