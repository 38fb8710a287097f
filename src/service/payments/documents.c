#include "documents.h"

#include "payments/payments.h"

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
#define BOOLEAN(type, member)                                                                      \
    {                                                                                              \
#        member, RESOURCE_FIELD_BOOLEAN, offsetof(struct type, member), -1                         \
    }
#define TEXT_COLUMN(type, member, column)                                                          \
    {                                                                                              \
#        member, RESOURCE_FIELD_TEXT, offsetof(struct type, member), column                        \
    }
#define INTEGER_COLUMN(type, member, column)                                                       \
    {                                                                                              \
#        member, RESOURCE_FIELD_INTEGER, offsetof(struct type, member), column                     \
    }

/* The attempt inside a document: flat members with a prefix. */
#define ATTEMPT(type)                                                                              \
    {"attempt_id", RESOURCE_FIELD_TEXT, offsetof(struct type, attempt.id), -1},                    \
        {"attempt_kind", RESOURCE_FIELD_TEXT, offsetof(struct type, attempt.kind), -1},            \
        {"attempt_state", RESOURCE_FIELD_TEXT, offsetof(struct type, attempt.state), -1},          \
        {"attempt_key", RESOURCE_FIELD_TEXT, offsetof(struct type, attempt.key), -1},              \
        {"attempt_charge", RESOURCE_FIELD_TEXT, offsetof(struct type, attempt.charge), -1},        \
        {"attempt_payment_method",                                                                 \
         RESOURCE_FIELD_TEXT,                                                                      \
         offsetof(struct type, attempt.payment_method),                                            \
         -1},                                                                                      \
        {"attempt_proof", RESOURCE_FIELD_TEXT, offsetof(struct type, attempt.proof), -1},          \
        {"attempt_amount", RESOURCE_FIELD_INTEGER, offsetof(struct type, attempt.amount), -1},     \
        {"attempt_fee", RESOURCE_FIELD_INTEGER, offsetof(struct type, attempt.fee), -1},           \
        {"attempt_tries", RESOURCE_FIELD_INTEGER, offsetof(struct type, attempt.tries), -1},       \
    {                                                                                              \
        "attempt_began", RESOURCE_FIELD_INTEGER, offsetof(struct type, attempt.began), -1          \
    }

#define CHALLENGE_TEXT(type, member)                                                               \
    {                                                                                              \
        "challenge_" #member, RESOURCE_FIELD_TEXT, offsetof(struct type, challenge.member), -1     \
    }
#define CHALLENGE(type)                                                                            \
    CHALLENGE_TEXT(type, kind), CHALLENGE_TEXT(type, data), CHALLENGE_TEXT(type, secret),          \
        CHALLENGE_TEXT(type, state), CHALLENGE_TEXT(type, authorization),                          \
        CHALLENGE_TEXT(type, url), CHALLENGE_TEXT(type, return_url),                               \
    {                                                                                              \
        "challenge_expires", RESOURCE_FIELD_INTEGER, offsetof(struct type, challenge.expires), -1  \
    }

static const struct resource_field intent_fields[] = {
    INTEGER(payments_intent, amount),
    INTEGER(payments_intent, amount_capturable),
    INTEGER(payments_intent, amount_received),
    TEXT(payments_intent, currency),
    TEXT(payments_intent, status),
    TEXT(payments_intent, capture_method),
    TEXT(payments_intent, confirmation_method),
    TEXT(payments_intent, client_secret),
    TEXT_COLUMN(payments_intent, customer, PAYMENTS_INTENT_CUSTOMER),
    TEXT(payments_intent, description),
    TEXT(payments_intent, payment_method),
    JSON(payments_intent, payment_method_types),
    JSON(payments_intent, payment_method_options),
    JSON(payments_intent, automatic_payment_methods),
    JSON(payments_intent, metadata),
    TEXT(payments_intent, receipt_email),
    JSON(payments_intent, shipping),
    TEXT(payments_intent, statement_descriptor),
    TEXT(payments_intent, statement_descriptor_suffix),
    TEXT(payments_intent, setup_future_usage),
    TEXT(payments_intent, request_three_d_secure),
    TEXT(payments_intent, request_incremental_authorization),
    TEXT(payments_intent, card_setup_future_usage),
    TEXT(payments_intent, transfer_group),
    TEXT(payments_intent, transfer_destination),
    TEXT(payments_intent, qr_code),
    TEXT(payments_intent, latest_charge),
    JSON(payments_intent, last_payment_error),
    TEXT(payments_intent, cancellation_reason),
    INTEGER(payments_intent, canceled_at),
    INTEGER(payments_intent, capture_before),
    INTEGER(payments_intent, increments),
    {"change_description",
     RESOURCE_FIELD_TEXT,
     offsetof(struct payments_intent, changes.description),
     -1},
    {"change_statement_descriptor",
     RESOURCE_FIELD_TEXT,
     offsetof(struct payments_intent, changes.statement_descriptor),
     -1},
    {"change_metadata",
     RESOURCE_FIELD_JSON,
     offsetof(struct payments_intent, changes.metadata),
     -1},
    INTEGER_COLUMN(payments_intent, due, PAYMENTS_INTENT_DUE),
    CHALLENGE(payments_intent),
    ATTEMPT(payments_intent),
    TEXT(payments_intent, trace),
};

static const struct resource_field charge_fields[] = {
    INTEGER(payments_charge, amount),
    INTEGER(payments_charge, amount_captured),
    INTEGER(payments_charge, amount_refunded),
    TEXT(payments_charge, currency),
    TEXT(payments_charge, status),
    TEXT_COLUMN(payments_charge, customer, PAYMENTS_CHARGE_CUSTOMER),
    TEXT_COLUMN(payments_charge, payment_intent, PAYMENTS_CHARGE_INTENT),
    TEXT(payments_charge, payment_method),
    TEXT(payments_charge, balance_transaction),
    BOOLEAN(payments_charge, paid),
    BOOLEAN(payments_charge, captured),
    BOOLEAN(payments_charge, refunded),
    TEXT(payments_charge, failure_code),
    TEXT(payments_charge, failure_message),
    JSON(payments_charge, outcome),
    JSON(payments_charge, billing_details),
    JSON(payments_charge, payment_method_details),
    JSON(payments_charge, shipping),
    TEXT(payments_charge, description),
    TEXT(payments_charge, receipt_email),
    TEXT(payments_charge, statement_descriptor),
    JSON(payments_charge, metadata),
    TEXT(payments_charge, transfer_group),
    TEXT(payments_charge, transfer_destination),
    TEXT(payments_charge, wallet),
    TEXT(payments_charge, authorization),
    TEXT(payments_charge, hold),
    BOOLEAN(payments_charge, incrementable),
    TEXT(payments_charge, booked_by),
    BOOLEAN(payments_charge, straight_to_available),
};

static const struct resource_field refund_fields[] = {
    INTEGER(payments_refund, amount),
    TEXT(payments_refund, currency),
    TEXT_COLUMN(payments_refund, charge, PAYMENTS_REFUND_CHARGE),
    TEXT_COLUMN(payments_refund, payment_intent, PAYMENTS_REFUND_INTENT),
    TEXT(payments_refund, reason),
    TEXT(payments_refund, status),
    TEXT(payments_refund, balance_transaction),
    TEXT(payments_refund, failure_balance_transaction),
    TEXT(payments_refund, failure_reason),
    JSON(payments_refund, metadata),
    TEXT(payments_refund, wallet),
    BOOLEAN(payments_refund, from_available),
    TEXT(payments_refund, reference),
    INTEGER_COLUMN(payments_refund, due, PAYMENTS_REFUND_DUE),
    ATTEMPT(payments_refund),
    TEXT(payments_refund, trace),
};

static const struct resource_field method_fields[] = {
    TEXT_COLUMN(payments_method, customer, PAYMENTS_METHOD_CUSTOMER),
    JSON(payments_method, billing_details),
    JSON(payments_method, metadata),
    BOOLEAN(payments_method, shows_qr),
    BOOLEAN(payments_method, of_code),
    TEXT(payments_method, wallet),
    TEXT(payments_method, token),
    TEXT(payments_method, fingerprint),
    TEXT(payments_method, brand),
    TEXT(payments_method, network),
    TEXT(payments_method, funding),
    TEXT(payments_method, country),
    TEXT(payments_method, last4),
    INTEGER(payments_method, exp_month),
    INTEGER(payments_method, exp_year),
    TEXT(payments_method, cvc_check),
    TEXT(payments_method, address_check),
    TEXT(payments_method, postal_code_check),
    TEXT(payments_method, address_line1),
    TEXT(payments_method, postal_code),
    TEXT(payments_method, agreement),
};

static const struct resource_field setup_fields[] = {
    TEXT(payments_setup, status),
    TEXT(payments_setup, usage),
    TEXT(payments_setup, client_secret),
    TEXT_COLUMN(payments_setup, customer, PAYMENTS_SETUP_CUSTOMER),
    TEXT(payments_setup, description),
    TEXT_COLUMN(payments_setup, payment_method, PAYMENTS_SETUP_METHOD),
    JSON(payments_setup, payment_method_types),
    JSON(payments_setup, payment_method_options),
    JSON(payments_setup, automatic_payment_methods),
    JSON(payments_setup, metadata),
    TEXT(payments_setup, request_three_d_secure),
    JSON(payments_setup, last_setup_error),
    TEXT(payments_setup, latest_attempt),
    TEXT(payments_setup, cancellation_reason),
    INTEGER_COLUMN(payments_setup, due, PAYMENTS_SETUP_DUE),
    CHALLENGE(payments_setup),
    ATTEMPT(payments_setup),
};

static const struct resource_field setup_attempt_fields[] = {
    TEXT_COLUMN(payments_setup_attempt, setup_intent, PAYMENTS_SETUP_ATTEMPT_SETUP),
    TEXT(payments_setup_attempt, status),
    TEXT(payments_setup_attempt, usage),
    TEXT(payments_setup_attempt, customer),
    TEXT(payments_setup_attempt, payment_method),
    JSON(payments_setup_attempt, payment_method_details),
    JSON(payments_setup_attempt, setup_error),
    TEXT(payments_setup_attempt, verification),
};

static const struct resource_field customer_fields[] = {
    TEXT(payments_customer, name),
    TEXT_COLUMN(payments_customer, email, PAYMENTS_CUSTOMER_EMAIL),
    TEXT(payments_customer, phone),
    TEXT(payments_customer, description),
    JSON(payments_customer, address),
    JSON(payments_customer, shipping),
    JSON(payments_customer, metadata),
    TEXT(payments_customer, default_payment_method),
    JSON(payments_customer, preferred_locales),
};

static const struct resource_field balance_transaction_fields[] = {
    INTEGER(payments_balance_transaction, amount),
    INTEGER(payments_balance_transaction, fee),
    TEXT_COLUMN(payments_balance_transaction, currency, PAYMENTS_BALANCE_TRANSACTION_CURRENCY),
    TEXT_COLUMN(payments_balance_transaction, type, PAYMENTS_BALANCE_TRANSACTION_TYPE),
    TEXT_COLUMN(payments_balance_transaction, source, PAYMENTS_BALANCE_TRANSACTION_SOURCE),
    TEXT(payments_balance_transaction, description),
    INTEGER(payments_balance_transaction, available_on),
    INTEGER_COLUMN(payments_balance_transaction, release_due, PAYMENTS_BALANCE_TRANSACTION_RELEASE),
};

static const struct resource_field qr_code_fields[] = {
    TEXT(payments_qr_code, currency),
    INTEGER(payments_qr_code, amount),
    TEXT(payments_qr_code, description),
    JSON(payments_qr_code, metadata),
    TEXT(payments_qr_code, data),
    TEXT(payments_qr_code, secret),
    TEXT(payments_qr_code, url),
    BOOLEAN(payments_qr_code, inactive),
};

static const struct document_kind intent_kind = {
    .name = "payment_intent",
    .columns =
        {
            {.name = "customer", .type = DOCUMENT_TEXT, .indexed = true},
            {.name = "due", .type = DOCUMENT_INTEGER, .indexed = true, .across_scopes = true},
        },
    .column_count = 2,
};

static const struct document_kind charge_kind = {
    .name = "charge",
    .columns =
        {
            {.name = "payment_intent", .type = DOCUMENT_TEXT, .indexed = true},
            {.name = "customer", .type = DOCUMENT_TEXT, .indexed = true},
        },
    .column_count = 2,
};

static const struct document_kind refund_kind = {
    .name = "refund",
    .columns =
        {
            {.name = "charge", .type = DOCUMENT_TEXT, .indexed = true},
            {.name = "payment_intent", .type = DOCUMENT_TEXT, .indexed = true},
            {.name = "due", .type = DOCUMENT_INTEGER, .indexed = true, .across_scopes = true},
        },
    .column_count = 3,
};

static const struct document_kind method_kind = {
    .name = "payment_method",
    .columns = {{.name = "customer", .type = DOCUMENT_TEXT, .indexed = true}},
    .column_count = 1,
};

static const struct document_kind setup_kind = {
    .name = "setup_intent",
    .columns =
        {
            {.name = "customer", .type = DOCUMENT_TEXT, .indexed = true},
            {.name = "payment_method", .type = DOCUMENT_TEXT, .indexed = true},
            {.name = "due", .type = DOCUMENT_INTEGER, .indexed = true, .across_scopes = true},
        },
    .column_count = 3,
};

static const struct document_kind setup_attempt_kind = {
    .name = "setup_attempt",
    .columns = {{.name = "setup_intent", .type = DOCUMENT_TEXT, .indexed = true}},
    .column_count = 1,
};

static const struct document_kind customer_kind = {
    .name = "customer",
    .columns = {{.name = "email", .type = DOCUMENT_TEXT, .indexed = true, .any_case = true}},
    .column_count = 1,
};

static const struct document_kind deleted_customer_kind = {.name = "deleted_customer"};

static const struct document_kind qr_code_kind = {.name = "qr_code"};

static const struct document_kind balance_transaction_kind = {
    .name = "balance_transaction",
    .columns =
        {
            {.name = "source", .type = DOCUMENT_TEXT, .indexed = true},
            {.name = "type", .type = DOCUMENT_TEXT},
            {.name = "currency", .type = DOCUMENT_TEXT},
            {.name = "release_due",
             .type = DOCUMENT_INTEGER,
             .indexed = true,
             .across_scopes = true},
        },
    .column_count = 4,
};

#define FIELDS(table) .fields = (table), .field_count = sizeof(table) / sizeof((table)[0])

const struct resource_type payments_intent_type = {
    .object = "payment_intent",
    .prefix = "pi_",
    .kind = &intent_kind,
    FIELDS(intent_fields),
    .struct_size = sizeof(struct payments_intent),
    .render = payments_intent_render,
};

const struct resource_type payments_charge_type = {
    .object = "charge",
    .prefix = "ch_",
    .kind = &charge_kind,
    FIELDS(charge_fields),
    .struct_size = sizeof(struct payments_charge),
    .render = payments_charge_render,
};

const struct resource_type payments_refund_type = {
    .object = "refund",
    .prefix = "re_",
    .kind = &refund_kind,
    FIELDS(refund_fields),
    .struct_size = sizeof(struct payments_refund),
    .render = payments_refund_render,
};

const struct resource_type payments_method_type = {
    .object = "payment_method",
    .prefix = "pm_",
    .kind = &method_kind,
    FIELDS(method_fields),
    .struct_size = sizeof(struct payments_method),
    .render = payments_method_render,
};

const struct resource_type payments_setup_type = {
    .object = "setup_intent",
    .prefix = "seti_",
    .kind = &setup_kind,
    FIELDS(setup_fields),
    .struct_size = sizeof(struct payments_setup),
    .render = payments_setup_render,
};

const struct resource_type payments_setup_attempt_type = {
    .object = "setup_attempt",
    .prefix = "setatt_",
    .kind = &setup_attempt_kind,
    FIELDS(setup_attempt_fields),
    .struct_size = sizeof(struct payments_setup_attempt),
    .render = payments_setup_attempt_render,
};

const struct resource_type payments_customer_type = {
    .object = "customer",
    .prefix = "cus_",
    .kind = &customer_kind,
    FIELDS(customer_fields),
    .struct_size = sizeof(struct payments_customer),
    .render = payments_customer_render,
};

const struct resource_type payments_deleted_customer_type = {
    .object = "customer",
    .prefix = "cus_",
    .kind = &deleted_customer_kind,
    .struct_size = sizeof(struct payments_deleted_customer),
    .render = payments_deleted_customer_render,
};

const struct resource_type payments_qr_code_type = {
    .object = "qr_code",
    .prefix = "qrc_",
    .kind = &qr_code_kind,
    FIELDS(qr_code_fields),
    .struct_size = sizeof(struct payments_qr_code),
    .render = payments_qr_code_render,
};

const struct resource_type payments_balance_transaction_type = {
    .object = "balance_transaction",
    .prefix = "txn_",
    .kind = &balance_transaction_kind,
    FIELDS(balance_transaction_fields),
    .struct_size = sizeof(struct payments_balance_transaction),
    .render = payments_balance_transaction_render,
};

const struct document_kind *const payments_kinds[] = {
    &intent_kind,
    &charge_kind,
    &refund_kind,
    &method_kind,
    &setup_kind,
    &setup_attempt_kind,
    &customer_kind,
    &deleted_customer_kind,
    &balance_transaction_kind,
    &qr_code_kind,
};
const uint32_t payments_kind_count = sizeof(payments_kinds) / sizeof(payments_kinds[0]);
