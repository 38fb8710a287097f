/* How the documents are stored: members, columns, kinds. */
#include "documents.h"

#include "resource/fields.h"
#include "wallets/wallets.h"

/* The attempt inside a document: flat members with a prefix. */
#define ATTEMPT(type)                                                                              \
    RESOURCE_NAMED(type, "attempt_kind", TEXT, attempt.kind),                                      \
        RESOURCE_NAMED(type, "attempt_key", TEXT, attempt.key),                                    \
        RESOURCE_NAMED(type, "attempt_amount", INTEGER, attempt.amount),                           \
        RESOURCE_NAMED(type, "attempt_tries", INTEGER, attempt.tries),                             \
        RESOURCE_NAMED(type, "attempt_began", INTEGER, attempt.began)

#define USAGE(member)                                                                              \
    RESOURCE_NAMED(wallets_wallet, #member "_day", INTEGER, member.day),                           \
        RESOURCE_NAMED(wallets_wallet, #member "_day_amount", INTEGER, member.day_amount),         \
        RESOURCE_NAMED(wallets_wallet, #member "_month", INTEGER, member.month),                   \
        RESOURCE_NAMED(wallets_wallet, #member "_month_amount", INTEGER, member.month_amount)

static const struct resource_field wallet_fields[] = {
    RESOURCE_TEXT_COLUMN(wallets_wallet, customer, WALLETS_WALLET_CUSTOMER),
    RESOURCE_TEXT(wallets_wallet, currency),
    RESOURCE_TEXT(wallets_wallet, status),
    RESOURCE_TEXT(wallets_wallet, tier),
    RESOURCE_TEXT_COLUMN(wallets_wallet, email, WALLETS_WALLET_EMAIL),
    RESOURCE_TEXT_COLUMN(wallets_wallet, phone, WALLETS_WALLET_PHONE),
    RESOURCE_TEXT_COLUMN(wallets_wallet, handle, WALLETS_WALLET_HANDLE),
    RESOURCE_JSON(wallets_wallet, metadata),
    USAGE(out),
    USAGE(in),
    RESOURCE_INTEGER(wallets_wallet, closings),
    RESOURCE_INTEGER_COLUMN(wallets_wallet, due, WALLETS_WALLET_DUE),
    ATTEMPT(wallets_wallet),
};

static const struct resource_field transfer_fields[] = {
    RESOURCE_INTEGER(wallets_transfer, amount),
    RESOURCE_TEXT(wallets_transfer, currency),
    RESOURCE_TEXT_COLUMN(wallets_transfer, from, WALLETS_TRANSFER_FROM),
    RESOURCE_TEXT_COLUMN(wallets_transfer, to, WALLETS_TRANSFER_TO),
    RESOURCE_TEXT(wallets_transfer, status),
    RESOURCE_TEXT(wallets_transfer, failure_code),
    RESOURCE_TEXT(wallets_transfer, failure_message),
    RESOURCE_TEXT(wallets_transfer, request),
    RESOURCE_TEXT(wallets_transfer, description),
    RESOURCE_JSON(wallets_transfer, metadata),
    RESOURCE_INTEGER_COLUMN(wallets_transfer, due, WALLETS_TRANSFER_DUE),
    ATTEMPT(wallets_transfer),
    RESOURCE_TEXT(wallets_transfer, trace),
};

static const struct resource_field request_fields[] = {
    RESOURCE_INTEGER(wallets_request, amount),
    RESOURCE_TEXT(wallets_request, currency),
    RESOURCE_TEXT_COLUMN(wallets_request, from, WALLETS_REQUEST_FROM),
    RESOURCE_TEXT_COLUMN(wallets_request, to, WALLETS_REQUEST_TO),
    RESOURCE_TEXT_COLUMN(wallets_request, status, WALLETS_REQUEST_STATUS),
    RESOURCE_TEXT(wallets_request, transfer),
    RESOURCE_TEXT(wallets_request, description),
    RESOURCE_JSON(wallets_request, metadata),
    RESOURCE_INTEGER(wallets_request, expires_at),
    RESOURCE_INTEGER_COLUMN(wallets_request, due, WALLETS_REQUEST_DUE),
};

static const struct resource_field hold_fields[] = {
    RESOURCE_INTEGER(wallets_hold, amount),
    RESOURCE_INTEGER(wallets_hold, amount_captured),
    RESOURCE_TEXT(wallets_hold, currency),
    RESOURCE_TEXT_COLUMN(wallets_hold, from, WALLETS_HOLD_FROM),
    RESOURCE_TEXT_COLUMN(wallets_hold, to, WALLETS_HOLD_TO),
    RESOURCE_TEXT_COLUMN(wallets_hold, status, WALLETS_HOLD_STATUS),
    RESOURCE_TEXT(wallets_hold, failure_code),
    RESOURCE_TEXT(wallets_hold, failure_message),
    RESOURCE_TEXT(wallets_hold, description),
    RESOURCE_JSON(wallets_hold, metadata),
    RESOURCE_INTEGER(wallets_hold, expires_in),
    RESOURCE_INTEGER(wallets_hold, expires_at),
    RESOURCE_INTEGER(wallets_hold, reserved_at),
    RESOURCE_INTEGER_COLUMN(wallets_hold, due, WALLETS_HOLD_DUE),
    ATTEMPT(wallets_hold),
};

static const struct resource_field withdrawal_fields[] = {
    RESOURCE_INTEGER(wallets_withdrawal, amount),
    RESOURCE_TEXT(wallets_withdrawal, currency),
    RESOURCE_TEXT_COLUMN(wallets_withdrawal, wallet, WALLETS_WITHDRAWAL_WALLET),
    RESOURCE_TEXT_COLUMN(wallets_withdrawal, status, WALLETS_WITHDRAWAL_STATUS),
    RESOURCE_TEXT(wallets_withdrawal, failure_code),
    RESOURCE_TEXT(wallets_withdrawal, failure_message),
    RESOURCE_TEXT(wallets_withdrawal, account_number),
    RESOURCE_TEXT(wallets_withdrawal, routing_number),
    RESOURCE_TEXT(wallets_withdrawal, country),
    RESOURCE_TEXT(wallets_withdrawal, account_holder_name),
    RESOURCE_TEXT(wallets_withdrawal, statement_descriptor),
    RESOURCE_TEXT(wallets_withdrawal, description),
    RESOURCE_JSON(wallets_withdrawal, metadata),
    RESOURCE_BOOLEAN(wallets_withdrawal, in_suspense),
    RESOURCE_TEXT(wallets_withdrawal, given_to),
    RESOURCE_INTEGER(wallets_withdrawal, give_tries),
    RESOURCE_INTEGER_COLUMN(wallets_withdrawal, open_since, WALLETS_WITHDRAWAL_OPEN),
    RESOURCE_INTEGER(wallets_withdrawal, paid_at),
    RESOURCE_INTEGER(wallets_withdrawal, reserved_at),
    RESOURCE_INTEGER_COLUMN(wallets_withdrawal, due, WALLETS_WITHDRAWAL_DUE),
    ATTEMPT(wallets_withdrawal),
};

#define DUE RESOURCE_SWEPT("due")

static const struct document_kind wallet_kind = {
    .name = "wallet",
    .is_small = true,
    .columns =
        {RESOURCE_INDEXED("customer"),
         RESOURCE_INDEXED("email"),
         RESOURCE_INDEXED("phone"),
         RESOURCE_INDEXED("handle"),
         DUE},
    .column_count = 5,
};

static const struct document_kind transfer_kind = {
    .name = "wallet_transfer",
    .columns = {RESOURCE_INDEXED("from"), RESOURCE_INDEXED("to"), DUE},
    .column_count = 3,
};

#define STATUS                                                                                     \
    {                                                                                              \
        .name = "status", .type = DOCUMENT_TEXT                                                    \
    }

static const struct document_kind request_kind = {
    .name = "wallet_request",
    .columns = {RESOURCE_INDEXED("from"), RESOURCE_INDEXED("to"), STATUS, DUE},
    .column_count = 4,
};

static const struct document_kind hold_kind = {
    .name = "wallet_hold",
    .columns = {RESOURCE_INDEXED("from"), RESOURCE_INDEXED("to"), STATUS, DUE},
    .column_count = 4,
};

static const struct document_kind withdrawal_kind = {
    .name = "wallet_withdrawal",
    .columns = {RESOURCE_INDEXED("wallet"), STATUS, DUE, RESOURCE_SWEPT("open_since")},
    .column_count = 4,
};

const struct resource_type wallets_wallet_type = {
    .object = "wallet",
    .prefix = "wal_",
    .kind = &wallet_kind,
    RESOURCE_FIELDS(wallet_fields),
    .struct_size = sizeof(struct wallets_wallet),
    .render = wallets_wallet_render,
    .permission = "wallets",
};

const struct resource_type wallets_transfer_type = {
    .object = "wallet_transfer",
    .prefix = "wtr_",
    .kind = &transfer_kind,
    RESOURCE_FIELDS(transfer_fields),
    .struct_size = sizeof(struct wallets_transfer),
    .render = wallets_transfer_render,
    .permission = "wallets",
};

const struct resource_type wallets_request_type = {
    .object = "wallet_request",
    .prefix = "wrq_",
    .kind = &request_kind,
    RESOURCE_FIELDS(request_fields),
    .struct_size = sizeof(struct wallets_request),
    .render = wallets_request_render,
    .permission = "wallets",
};

const struct resource_type wallets_hold_type = {
    .object = "wallet_hold",
    .prefix = "whd_",
    .kind = &hold_kind,
    RESOURCE_FIELDS(hold_fields),
    .struct_size = sizeof(struct wallets_hold),
    .render = wallets_hold_render,
};

const struct resource_type wallets_withdrawal_type = {
    .object = "wallet_withdrawal",
    .prefix = "wwd_",
    .kind = &withdrawal_kind,
    RESOURCE_FIELDS(withdrawal_fields),
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
