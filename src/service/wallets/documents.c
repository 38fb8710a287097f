/* How the documents are stored: members, columns, kinds. */
#include "documents.h"

#include "wallets/wallets.h"

#define TEXT(type, member)                                                                         \
    {                                                                                              \
#        member, RESOURCE_FIELD_TEXT, offsetof(struct type, member), -1                            \
    }
#define JSON(type, member)                                                                         \
    {                                                                                              \
#        member, RESOURCE_FIELD_JSON, offsetof(struct type, member), -1                            \
    }
#define INTEGER(type, member)                                                                      \
    {                                                                                              \
#        member, RESOURCE_FIELD_INTEGER, offsetof(struct type, member), -1                         \
    }
#define TEXT_COLUMN(type, member, column)                                                          \
    {                                                                                              \
#        member, RESOURCE_FIELD_TEXT, offsetof(struct type, member), column                        \
    }
#define INTEGER_COLUMN(type, member, column)                                                       \
    {                                                                                              \
#        member, RESOURCE_FIELD_INTEGER, offsetof(struct type, member), column                     \
    }
#define BOOLEAN(type, member)                                                                      \
    {                                                                                              \
#        member, RESOURCE_FIELD_BOOLEAN, offsetof(struct type, member), -1                         \
    }
#define NAMED_INTEGER(type, name, member)                                                          \
    {                                                                                              \
        name, RESOURCE_FIELD_INTEGER, offsetof(struct type, member), -1                            \
    }

/* The attempt inside a document: flat members with a prefix. */
#define ATTEMPT(type)                                                                              \
    {"attempt_kind", RESOURCE_FIELD_TEXT, offsetof(struct type, attempt.kind), -1},                \
        {"attempt_key", RESOURCE_FIELD_TEXT, offsetof(struct type, attempt.key), -1},              \
        NAMED_INTEGER(type, "attempt_amount", attempt.amount),                                     \
        NAMED_INTEGER(type, "attempt_tries", attempt.tries),                                       \
        NAMED_INTEGER(type, "attempt_began", attempt.began)

#define USAGE(member)                                                                              \
    NAMED_INTEGER(wallets_wallet, #member "_day", member.day),                                     \
        NAMED_INTEGER(wallets_wallet, #member "_day_amount", member.day_amount),                   \
        NAMED_INTEGER(wallets_wallet, #member "_month", member.month),                             \
        NAMED_INTEGER(wallets_wallet, #member "_month_amount", member.month_amount)

static const struct resource_field wallet_fields[] = {
    TEXT_COLUMN(wallets_wallet, customer, WALLETS_WALLET_CUSTOMER),
    TEXT(wallets_wallet, currency),
    TEXT(wallets_wallet, status),
    TEXT(wallets_wallet, tier),
    TEXT_COLUMN(wallets_wallet, email, WALLETS_WALLET_EMAIL),
    TEXT_COLUMN(wallets_wallet, phone, WALLETS_WALLET_PHONE),
    TEXT_COLUMN(wallets_wallet, handle, WALLETS_WALLET_HANDLE),
    JSON(wallets_wallet, metadata),
    USAGE(out),
    USAGE(in),
    INTEGER(wallets_wallet, closings),
    INTEGER_COLUMN(wallets_wallet, due, WALLETS_WALLET_DUE),
    ATTEMPT(wallets_wallet),
};

static const struct resource_field transfer_fields[] = {
    INTEGER(wallets_transfer, amount),
    TEXT(wallets_transfer, currency),
    TEXT_COLUMN(wallets_transfer, from, WALLETS_TRANSFER_FROM),
    TEXT_COLUMN(wallets_transfer, to, WALLETS_TRANSFER_TO),
    TEXT(wallets_transfer, status),
    TEXT(wallets_transfer, failure_code),
    TEXT(wallets_transfer, failure_message),
    TEXT(wallets_transfer, request),
    TEXT(wallets_transfer, description),
    JSON(wallets_transfer, metadata),
    INTEGER_COLUMN(wallets_transfer, due, WALLETS_TRANSFER_DUE),
    ATTEMPT(wallets_transfer),
    TEXT(wallets_transfer, trace),
};

static const struct resource_field request_fields[] = {
    INTEGER(wallets_request, amount),
    TEXT(wallets_request, currency),
    TEXT_COLUMN(wallets_request, from, WALLETS_REQUEST_FROM),
    TEXT_COLUMN(wallets_request, to, WALLETS_REQUEST_TO),
    TEXT_COLUMN(wallets_request, status, WALLETS_REQUEST_STATUS),
    TEXT(wallets_request, transfer),
    TEXT(wallets_request, description),
    JSON(wallets_request, metadata),
    INTEGER(wallets_request, expires_at),
    INTEGER_COLUMN(wallets_request, due, WALLETS_REQUEST_DUE),
};

static const struct resource_field hold_fields[] = {
    INTEGER(wallets_hold, amount),
    INTEGER(wallets_hold, amount_captured),
    TEXT(wallets_hold, currency),
    TEXT_COLUMN(wallets_hold, from, WALLETS_HOLD_FROM),
    TEXT_COLUMN(wallets_hold, to, WALLETS_HOLD_TO),
    TEXT_COLUMN(wallets_hold, status, WALLETS_HOLD_STATUS),
    TEXT(wallets_hold, failure_code),
    TEXT(wallets_hold, failure_message),
    TEXT(wallets_hold, description),
    JSON(wallets_hold, metadata),
    INTEGER(wallets_hold, expires_in),
    INTEGER(wallets_hold, expires_at),
    INTEGER(wallets_hold, reserved_at),
    INTEGER_COLUMN(wallets_hold, due, WALLETS_HOLD_DUE),
    ATTEMPT(wallets_hold),
};

static const struct resource_field withdrawal_fields[] = {
    INTEGER(wallets_withdrawal, amount),
    TEXT(wallets_withdrawal, currency),
    TEXT_COLUMN(wallets_withdrawal, wallet, WALLETS_WITHDRAWAL_WALLET),
    TEXT_COLUMN(wallets_withdrawal, status, WALLETS_WITHDRAWAL_STATUS),
    TEXT(wallets_withdrawal, failure_code),
    TEXT(wallets_withdrawal, failure_message),
    TEXT(wallets_withdrawal, account_number),
    TEXT(wallets_withdrawal, routing_number),
    TEXT(wallets_withdrawal, country),
    TEXT(wallets_withdrawal, account_holder_name),
    TEXT(wallets_withdrawal, statement_descriptor),
    TEXT(wallets_withdrawal, description),
    JSON(wallets_withdrawal, metadata),
    BOOLEAN(wallets_withdrawal, in_suspense),
    INTEGER(wallets_withdrawal, paid_at),
    INTEGER(wallets_withdrawal, reserved_at),
    INTEGER_COLUMN(wallets_withdrawal, due, WALLETS_WITHDRAWAL_DUE),
    ATTEMPT(wallets_withdrawal),
};

#define INDEXED(column_name)                                                                       \
    {                                                                                              \
        .name = (column_name), .type = DOCUMENT_TEXT, .indexed = true                              \
    }
#define DUE                                                                                        \
    {                                                                                              \
        .name = "due", .type = DOCUMENT_INTEGER, .indexed = true, .across_scopes = true            \
    }

static const struct document_kind wallet_kind = {
    .name = "wallet",
    .columns = {INDEXED("customer"), INDEXED("email"), INDEXED("phone"), INDEXED("handle"), DUE},
    .column_count = 5,
};

static const struct document_kind transfer_kind = {
    .name = "wallet_transfer",
    .columns = {INDEXED("from"), INDEXED("to"), DUE},
    .column_count = 3,
};

#define STATUS                                                                                     \
    {                                                                                              \
        .name = "status", .type = DOCUMENT_TEXT                                                    \
    }

static const struct document_kind request_kind = {
    .name = "wallet_request",
    .columns = {INDEXED("from"), INDEXED("to"), STATUS, DUE},
    .column_count = 4,
};

static const struct document_kind hold_kind = {
    .name = "wallet_hold",
    .columns = {INDEXED("from"), INDEXED("to"), STATUS, DUE},
    .column_count = 4,
};

static const struct document_kind withdrawal_kind = {
    .name = "wallet_withdrawal",
    .columns = {INDEXED("wallet"), STATUS, DUE},
    .column_count = 3,
};

#define FIELDS(table) .fields = (table), .field_count = sizeof(table) / sizeof((table)[0])

const struct resource_type wallets_wallet_type = {
    .object = "wallet",
    .prefix = "wal_",
    .kind = &wallet_kind,
    FIELDS(wallet_fields),
    .struct_size = sizeof(struct wallets_wallet),
    .render = wallets_wallet_render,
};

const struct resource_type wallets_transfer_type = {
    .object = "wallet_transfer",
    .prefix = "wtr_",
    .kind = &transfer_kind,
    FIELDS(transfer_fields),
    .struct_size = sizeof(struct wallets_transfer),
    .render = wallets_transfer_render,
};

const struct resource_type wallets_request_type = {
    .object = "wallet_request",
    .prefix = "wrq_",
    .kind = &request_kind,
    FIELDS(request_fields),
    .struct_size = sizeof(struct wallets_request),
    .render = wallets_request_render,
};

const struct resource_type wallets_hold_type = {
    .object = "wallet_hold",
    .prefix = "whd_",
    .kind = &hold_kind,
    FIELDS(hold_fields),
    .struct_size = sizeof(struct wallets_hold),
    .render = wallets_hold_render,
};

const struct resource_type wallets_withdrawal_type = {
    .object = "wallet_withdrawal",
    .prefix = "wwd_",
    .kind = &withdrawal_kind,
    FIELDS(withdrawal_fields),
    .struct_size = sizeof(struct wallets_withdrawal),
    .render = wallets_withdrawal_render,
};

const struct document_kind *const wallets_kinds[] = {
    &wallet_kind,
    &transfer_kind,
    &request_kind,
    &hold_kind,
    &withdrawal_kind,
};
const uint32_t wallets_kind_count = sizeof(wallets_kinds) / sizeof(wallets_kinds[0]);
