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

const struct document_kind *const wallets_kinds[] = {
    &wallet_kind,
    &transfer_kind,
};
const uint32_t wallets_kind_count = sizeof(wallets_kinds) / sizeof(wallets_kinds[0]);
