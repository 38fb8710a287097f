#include "payout_documents.h"

#include "resource/fields.h"

static const struct resource_field bank_account_fields[] = {
    RESOURCE_TEXT_COLUMN(payments_bank_account, merchant, PAYMENTS_BANK_ACCOUNT_MERCHANT),
    RESOURCE_TEXT(payments_bank_account, account),
    RESOURCE_TEXT(payments_bank_account, currency),
    RESOURCE_TEXT_COLUMN(payments_bank_account, default_of, PAYMENTS_BANK_ACCOUNT_DEFAULT_OF),
    RESOURCE_TEXT(payments_bank_account, number),
    RESOURCE_TEXT(payments_bank_account, routing_number),
    RESOURCE_TEXT(payments_bank_account, country),
    RESOURCE_TEXT(payments_bank_account, holder_name),
    RESOURCE_TEXT(payments_bank_account, holder_type),
    RESOURCE_TEXT(payments_bank_account, kind),
    RESOURCE_TEXT(payments_bank_account, fingerprint),
    RESOURCE_JSON(payments_bank_account, metadata),
    RESOURCE_BOOLEAN(payments_bank_account, errored),
};

static const struct resource_field schedule_fields[] = {
    RESOURCE_TEXT(payments_payout_schedule, interval),
    RESOURCE_INTEGER(payments_payout_schedule, days),
    RESOURCE_INTEGER_COLUMN(payments_payout_schedule, due, PAYMENTS_PAYOUT_SCHEDULE_DUE),
    RESOURCE_TEXT(payments_payout_schedule, done),
    RESOURCE_TEXT(payments_payout_schedule, payout),
    RESOURCE_TEXT(payments_payout_schedule, currency),
    RESOURCE_INTEGER(payments_payout_schedule, amount),
    RESOURCE_TEXT(payments_payout_schedule, destination),
    RESOURCE_TEXT(payments_payout_schedule, number),
    RESOURCE_TEXT(payments_payout_schedule, missing),
    RESOURCE_NAMED(payments_payout_schedule, "attempt_tries", INTEGER, attempt.tries),
    RESOURCE_NAMED(payments_payout_schedule, "attempt_began", INTEGER, attempt.began),
};

static const struct resource_field payout_fields[] = {
    RESOURCE_BOOLEAN(payments_payout, automatic),
    RESOURCE_INTEGER(payments_payout, amount),
    RESOURCE_TEXT(payments_payout, currency),
    RESOURCE_TEXT_COLUMN(payments_payout, status, PAYMENTS_PAYOUT_STATUS),
    RESOURCE_TEXT_COLUMN(payments_payout, destination, PAYMENTS_PAYOUT_DESTINATION),
    RESOURCE_TEXT(payments_payout, number),
    RESOURCE_TEXT(payments_payout, description),
    RESOURCE_TEXT(payments_payout, statement_descriptor),
    RESOURCE_JSON(payments_payout, metadata),
    RESOURCE_INTEGER(payments_payout, arrival_date),
    RESOURCE_TEXT(payments_payout, balance_transaction),
    RESOURCE_TEXT(payments_payout, failure_balance_transaction),
    RESOURCE_TEXT(payments_payout, failure_code),
    RESOURCE_TEXT(payments_payout, failure_message),
    RESOURCE_INTEGER(payments_payout, paid_at),
    RESOURCE_INTEGER_COLUMN(payments_payout, asked_at, PAYMENTS_PAYOUT_ASKED),
    RESOURCE_INTEGER_COLUMN(payments_payout, due, PAYMENTS_PAYOUT_DUE),
    RESOURCE_NAMED(payments_payout, "attempt_kind", TEXT, attempt.kind),
    RESOURCE_NAMED(payments_payout, "attempt_key", TEXT, attempt.key),
    RESOURCE_NAMED(payments_payout, "attempt_tries", INTEGER, attempt.tries),
    RESOURCE_NAMED(payments_payout, "attempt_began", INTEGER, attempt.began),
    RESOURCE_TEXT(payments_payout, trace),
};

const struct document_kind payments_bank_account_kind = {
    .name = "bank_account",
    .columns =
        {
            RESOURCE_INDEXED("merchant"),
            RESOURCE_INDEXED("default_of"),
        },
    .column_count = 2,
};

const struct document_kind payments_payout_schedule_kind = {
    .name = "payout_schedule",
    .columns = {RESOURCE_SWEPT("due")},
    .column_count = 1,
};

const struct document_kind payments_payout_kind = {
    .name = "payout",
    .columns =
        {
            RESOURCE_INDEXED("status"),
            RESOURCE_INDEXED("destination"),
            RESOURCE_SWEPT("due"),
            RESOURCE_SWEPT("asked_at"),
        },
    .column_count = 4,
    .generation = 2, /* the books hold what they are */
};

const struct resource_type payments_bank_account_type = {
    .object = "bank_account",
    .prefix = "ba_",
    .kind = &payments_bank_account_kind,
    RESOURCE_FIELDS(bank_account_fields),
    .struct_size = sizeof(struct payments_bank_account),
    .render = payments_bank_account_render,
    .permission = "external_accounts",
};

const struct resource_type payments_deleted_bank_account_type = {
    .object = "bank_account",
    .prefix = "ba_",
    .kind = &payments_bank_account_kind,
    .struct_size = sizeof(struct payments_bank_account),
    .render = payments_deleted_bank_account_render,
};

/* Made for an answer, of what it has: the ids are the merchants' own. */
const struct resource_type payments_account_type = {
    .object = "account",
    .prefix = "",
    .struct_size = sizeof(struct payments_account),
    .render = payments_account_render,
};

const struct resource_type payments_payout_schedule_type = {
    .object = "payout_schedule",
    .prefix = "pos_",
    .kind = &payments_payout_schedule_kind,
    RESOURCE_FIELDS(schedule_fields),
    .struct_size = sizeof(struct payments_payout_schedule),
};

const struct resource_type payments_payout_type = {
    .object = "payout",
    .prefix = "po_",
    .kind = &payments_payout_kind,
    RESOURCE_FIELDS(payout_fields),
    .struct_size = sizeof(struct payments_payout),
    .render = payments_payout_render,
    .permission = "payouts",
};
