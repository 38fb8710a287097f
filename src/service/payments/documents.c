#include "documents.h"

#include "disputes/dispute.h"
#include "payments/payments.h"
#include "payouts/payout_documents.h"
#include "resource/fields.h"
#include "risk/risk.h"

/* The attempt inside a document: flat members with a prefix. */
#define ATTEMPT_MEMBER(type, kind, member)                                                         \
    RESOURCE_NAMED(type, "attempt_" #member, kind, attempt.member)
#define ATTEMPT(type)                                                                              \
    ATTEMPT_MEMBER(type, TEXT, id), ATTEMPT_MEMBER(type, TEXT, kind),                              \
        ATTEMPT_MEMBER(type, TEXT, state), ATTEMPT_MEMBER(type, TEXT, key),                        \
        ATTEMPT_MEMBER(type, TEXT, charge), ATTEMPT_MEMBER(type, TEXT, payment_method),            \
        ATTEMPT_MEMBER(type, TEXT, proof), ATTEMPT_MEMBER(type, INTEGER, amount),                  \
        ATTEMPT_MEMBER(type, INTEGER, fee), ATTEMPT_MEMBER(type, INTEGER, tries),                  \
        ATTEMPT_MEMBER(type, INTEGER, hopeless), ATTEMPT_MEMBER(type, INTEGER, began)

#define CHALLENGE_MEMBER(type, kind_, member)                                                      \
    RESOURCE_NAMED(type, "challenge_" #member, kind_, challenge.member)
#define CHALLENGE(type)                                                                            \
    CHALLENGE_MEMBER(type, TEXT, kind), CHALLENGE_MEMBER(type, TEXT, data),                        \
        CHALLENGE_MEMBER(type, TEXT, secret), CHALLENGE_MEMBER(type, TEXT, state),                 \
        CHALLENGE_MEMBER(type, TEXT, authorization), CHALLENGE_MEMBER(type, TEXT, url),            \
        CHALLENGE_MEMBER(type, TEXT, return_url), CHALLENGE_MEMBER(type, INTEGER, expires)

static const struct resource_field intent_fields[] = {
    RESOURCE_INTEGER(payments_intent, amount),
    RESOURCE_INTEGER(payments_intent, amount_capturable),
    RESOURCE_INTEGER(payments_intent, amount_received),
    RESOURCE_TEXT(payments_intent, currency),
    RESOURCE_TEXT(payments_intent, status),
    RESOURCE_TEXT(payments_intent, capture_method),
    RESOURCE_TEXT(payments_intent, confirmation_method),
    RESOURCE_TEXT(payments_intent, client_secret),
    RESOURCE_TEXT_COLUMN(payments_intent, customer, PAYMENTS_INTENT_CUSTOMER),
    RESOURCE_TEXT(payments_intent, description),
    RESOURCE_TEXT(payments_intent, payment_method),
    RESOURCE_JSON(payments_intent, payment_method_types),
    RESOURCE_JSON(payments_intent, payment_method_options),
    RESOURCE_JSON(payments_intent, automatic_payment_methods),
    RESOURCE_JSON(payments_intent, metadata),
    RESOURCE_TEXT(payments_intent, receipt_email),
    RESOURCE_JSON(payments_intent, shipping),
    RESOURCE_TEXT(payments_intent, statement_descriptor),
    RESOURCE_TEXT(payments_intent, statement_descriptor_suffix),
    RESOURCE_TEXT(payments_intent, setup_future_usage),
    RESOURCE_TEXT(payments_intent, request_three_d_secure),
    RESOURCE_TEXT(payments_intent, card_capture_method),
    RESOURCE_TEXT(payments_intent, request_incremental_authorization),
    RESOURCE_TEXT(payments_intent, card_setup_future_usage),
    RESOURCE_TEXT(payments_intent, transfer_group),
    RESOURCE_TEXT(payments_intent, transfer_destination),
    RESOURCE_TEXT(payments_intent, qr_code),
    RESOURCE_TEXT(payments_intent, checkout_session),
    RESOURCE_TEXT(payments_intent, split_wallet),
    RESOURCE_INTEGER(payments_intent, split_amount),
    RESOURCE_TEXT(payments_intent, split_hold),
    RESOURCE_JSON(payments_intent, participants),
    RESOURCE_TEXT(payments_intent, transaction),
    RESOURCE_TEXT(payments_intent, latest_charge),
    RESOURCE_JSON(payments_intent, last_payment_error),
    RESOURCE_TEXT(payments_intent, cancellation_reason),
    RESOURCE_INTEGER(payments_intent, canceled_at),
    RESOURCE_INTEGER(payments_intent, capture_before),
    RESOURCE_INTEGER(payments_intent, increments),
    RESOURCE_NAMED(payments_intent, "change_description", TEXT, changes.description),
    RESOURCE_NAMED(
        payments_intent, "change_statement_descriptor", TEXT, changes.statement_descriptor),
    RESOURCE_NAMED(payments_intent, "change_metadata", JSON, changes.metadata),
    RESOURCE_INTEGER_COLUMN(payments_intent, due, PAYMENTS_INTENT_DUE),
    CHALLENGE(payments_intent),
    ATTEMPT(payments_intent),
    RESOURCE_TEXT(payments_intent, trace),
};

static const struct resource_field charge_fields[] = {
    RESOURCE_INTEGER(payments_charge, amount),
    RESOURCE_INTEGER(payments_charge, amount_captured),
    RESOURCE_INTEGER(payments_charge, amount_refunded),
    RESOURCE_TEXT(payments_charge, currency),
    RESOURCE_TEXT(payments_charge, status),
    RESOURCE_TEXT_COLUMN(payments_charge, customer, PAYMENTS_CHARGE_CUSTOMER),
    RESOURCE_TEXT_COLUMN(payments_charge, payment_intent, PAYMENTS_CHARGE_INTENT),
    RESOURCE_TEXT(payments_charge, payment_method),
    RESOURCE_TEXT(payments_charge, balance_transaction),
    RESOURCE_BOOLEAN(payments_charge, paid),
    RESOURCE_BOOLEAN(payments_charge, captured),
    RESOURCE_BOOLEAN(payments_charge, refunded),
    RESOURCE_TEXT(payments_charge, failure_code),
    RESOURCE_TEXT(payments_charge, failure_message),
    RESOURCE_JSON(payments_charge, outcome),
    RESOURCE_JSON(payments_charge, billing_details),
    RESOURCE_JSON(payments_charge, payment_method_details),
    RESOURCE_JSON(payments_charge, shipping),
    RESOURCE_TEXT(payments_charge, description),
    RESOURCE_TEXT(payments_charge, receipt_email),
    RESOURCE_TEXT(payments_charge, statement_descriptor),
    RESOURCE_TEXT(payments_charge, statement_descriptor_suffix),
    RESOURCE_JSON(payments_charge, metadata),
    RESOURCE_TEXT(payments_charge, transfer_group),
    RESOURCE_TEXT(payments_charge, transfer_destination),
    RESOURCE_TEXT(payments_charge, wallet),
    RESOURCE_TEXT(payments_charge, authorization),
    RESOURCE_TEXT(payments_charge, hold),
    RESOURCE_BOOLEAN(payments_charge, incrementable),
    RESOURCE_TEXT(payments_charge, booked_by),
    RESOURCE_BOOLEAN(payments_charge, straight_to_available),
    RESOURCE_TEXT(payments_charge, split_wallet),
    RESOURCE_INTEGER(payments_charge, split_amount),
    RESOURCE_INTEGER(payments_charge, split_captured),
    RESOURCE_INTEGER(payments_charge, split_refunded),
    RESOURCE_INTEGER(payments_charge, split_reserved_at),
    RESOURCE_TEXT(payments_charge, split_transaction),
    RESOURCE_TEXT(payments_charge, split_booked_by),
    RESOURCE_TEXT(payments_charge, suspense_item),
    RESOURCE_BOOLEAN(payments_charge, void_refused),
    RESOURCE_BOOLEAN(payments_charge, disputed),
    RESOURCE_INTEGER(payments_charge, disputed_amount),
    RESOURCE_INTEGER(payments_charge, reinstated_amount),
};

static const struct resource_field refund_fields[] = {
    RESOURCE_INTEGER(payments_refund, amount),
    RESOURCE_TEXT(payments_refund, currency),
    RESOURCE_TEXT_COLUMN(payments_refund, charge, PAYMENTS_REFUND_CHARGE),
    RESOURCE_TEXT_COLUMN(payments_refund, payment_intent, PAYMENTS_REFUND_INTENT),
    RESOURCE_TEXT(payments_refund, reason),
    RESOURCE_TEXT(payments_refund, status),
    RESOURCE_TEXT(payments_refund, balance_transaction),
    RESOURCE_TEXT(payments_refund, failure_balance_transaction),
    RESOURCE_TEXT(payments_refund, failure_reason),
    RESOURCE_JSON(payments_refund, metadata),
    RESOURCE_TEXT(payments_refund, wallet),
    RESOURCE_BOOLEAN(payments_refund, from_available),
    RESOURCE_TEXT(payments_refund, reference),
    RESOURCE_TEXT(payments_refund, split_wallet),
    RESOURCE_INTEGER(payments_refund, split_amount),
    RESOURCE_TEXT(payments_refund, split_transaction),
    RESOURCE_TEXT(payments_refund, suspense_item),
    RESOURCE_INTEGER_COLUMN(payments_refund, due, PAYMENTS_REFUND_DUE),
    ATTEMPT(payments_refund),
    RESOURCE_TEXT(payments_refund, trace),
};

static const struct resource_field method_fields[] = {
    RESOURCE_TEXT_COLUMN(payments_method, customer, PAYMENTS_METHOD_CUSTOMER),
    RESOURCE_JSON(payments_method, billing_details),
    RESOURCE_JSON(payments_method, metadata),
    RESOURCE_TEXT(payments_method, allow_redisplay),
    RESOURCE_BOOLEAN(payments_method, shows_qr),
    RESOURCE_BOOLEAN(payments_method, of_code),
    RESOURCE_BOOLEAN(payments_method, detached),
    RESOURCE_TEXT(payments_method, wallet),
    RESOURCE_TEXT(payments_method, token),
    RESOURCE_TEXT(payments_method, fingerprint),
    RESOURCE_TEXT(payments_method, bin),
    RESOURCE_TEXT(payments_method, brand),
    RESOURCE_TEXT(payments_method, network),
    RESOURCE_TEXT(payments_method, funding),
    RESOURCE_TEXT(payments_method, country),
    RESOURCE_TEXT(payments_method, last4),
    RESOURCE_INTEGER(payments_method, exp_month),
    RESOURCE_INTEGER(payments_method, exp_year),
    RESOURCE_TEXT(payments_method, cvc_check),
    RESOURCE_TEXT(payments_method, address_check),
    RESOURCE_TEXT(payments_method, postal_code_check),
    RESOURCE_TEXT(payments_method, address_line1),
    RESOURCE_TEXT(payments_method, postal_code),
    RESOURCE_TEXT(payments_method, agreement),
};

static const struct resource_field setup_fields[] = {
    RESOURCE_TEXT(payments_setup, status),
    RESOURCE_TEXT(payments_setup, usage),
    RESOURCE_TEXT(payments_setup, client_secret),
    RESOURCE_TEXT_COLUMN(payments_setup, customer, PAYMENTS_SETUP_CUSTOMER),
    RESOURCE_TEXT(payments_setup, description),
    RESOURCE_TEXT_COLUMN(payments_setup, payment_method, PAYMENTS_SETUP_METHOD),
    RESOURCE_JSON(payments_setup, payment_method_types),
    RESOURCE_JSON(payments_setup, payment_method_options),
    RESOURCE_JSON(payments_setup, automatic_payment_methods),
    RESOURCE_JSON(payments_setup, metadata),
    RESOURCE_TEXT(payments_setup, request_three_d_secure),
    RESOURCE_JSON(payments_setup, last_setup_error),
    RESOURCE_TEXT(payments_setup, latest_attempt),
    RESOURCE_TEXT(payments_setup, cancellation_reason),
    RESOURCE_INTEGER_COLUMN(payments_setup, due, PAYMENTS_SETUP_DUE),
    CHALLENGE(payments_setup),
    ATTEMPT(payments_setup),
};

static const struct resource_field setup_attempt_fields[] = {
    RESOURCE_TEXT_COLUMN(payments_setup_attempt, setup_intent, PAYMENTS_SETUP_ATTEMPT_SETUP),
    RESOURCE_TEXT(payments_setup_attempt, status),
    RESOURCE_TEXT(payments_setup_attempt, usage),
    RESOURCE_TEXT(payments_setup_attempt, customer),
    RESOURCE_TEXT(payments_setup_attempt, payment_method),
    RESOURCE_JSON(payments_setup_attempt, payment_method_details),
    RESOURCE_JSON(payments_setup_attempt, setup_error),
    RESOURCE_TEXT(payments_setup_attempt, verification),
};

static const struct resource_field customer_fields[] = {
    RESOURCE_TEXT(payments_customer, name),
    RESOURCE_TEXT_COLUMN(payments_customer, email, PAYMENTS_CUSTOMER_EMAIL),
    RESOURCE_TEXT(payments_customer, phone),
    RESOURCE_TEXT(payments_customer, description),
    RESOURCE_JSON(payments_customer, address),
    RESOURCE_JSON(payments_customer, shipping),
    RESOURCE_JSON(payments_customer, metadata),
    RESOURCE_TEXT(payments_customer, default_payment_method),
    RESOURCE_JSON(payments_customer, preferred_locales),
};

static const struct resource_field balance_transaction_fields[] = {
    RESOURCE_INTEGER(payments_balance_transaction, amount),
    RESOURCE_INTEGER(payments_balance_transaction, fee),
    RESOURCE_TEXT_COLUMN(
        payments_balance_transaction, currency, PAYMENTS_BALANCE_TRANSACTION_CURRENCY),
    RESOURCE_TEXT_COLUMN(payments_balance_transaction, type, PAYMENTS_BALANCE_TRANSACTION_TYPE),
    RESOURCE_TEXT_COLUMN(payments_balance_transaction, source, PAYMENTS_BALANCE_TRANSACTION_SOURCE),
    RESOURCE_TEXT(payments_balance_transaction, description),
    RESOURCE_INTEGER(payments_balance_transaction, available_on),
    RESOURCE_INTEGER_COLUMN(
        payments_balance_transaction, release_due, PAYMENTS_BALANCE_TRANSACTION_RELEASE),
};

static const struct resource_field qr_code_fields[] = {
    RESOURCE_TEXT(payments_qr_code, currency),
    RESOURCE_INTEGER(payments_qr_code, amount),
    RESOURCE_TEXT(payments_qr_code, description),
    RESOURCE_JSON(payments_qr_code, metadata),
    RESOURCE_TEXT(payments_qr_code, data),
    RESOURCE_TEXT(payments_qr_code, secret),
    RESOURCE_TEXT(payments_qr_code, url),
    RESOURCE_BOOLEAN(payments_qr_code, inactive),
};

static const struct resource_field suspense_fields[] = {
    RESOURCE_INTEGER(payments_suspense, amount),
    RESOURCE_TEXT(payments_suspense, currency),
    RESOURCE_TEXT(payments_suspense, reason),
    RESOURCE_TEXT(payments_suspense, wallet),
    RESOURCE_TEXT(payments_suspense, payment_intent),
    RESOURCE_TEXT(payments_suspense, charge),
    RESOURCE_TEXT(payments_suspense, refund),
    RESOURCE_TEXT_COLUMN(payments_suspense, status, PAYMENTS_SUSPENSE_STATUS),
    RESOURCE_TEXT(payments_suspense, resolution),
    RESOURCE_TEXT(payments_suspense, note),
    RESOURCE_INTEGER(payments_suspense, tries),
    RESOURCE_INTEGER_COLUMN(payments_suspense, open_since, PAYMENTS_SUSPENSE_OPEN),
    RESOURCE_INTEGER(payments_suspense, resolved_at),
};

static const struct document_kind intent_kind = {
    .name = "payment_intent",
    .columns =
        {
            RESOURCE_INDEXED("customer"),
            RESOURCE_SWEPT("due"),
        },
    .column_count = 2,
    .cold = {"description", "metadata", "receipt_email", "shipping"},
    .cold_count = 4,
};

static const struct document_kind charge_kind = {
    .name = "charge",
    .columns =
        {
            RESOURCE_INDEXED("payment_intent"),
            RESOURCE_INDEXED("customer"),
        },
    .column_count = 2,
    .cold = {"billing_details", "description", "metadata", "receipt_email", "shipping"},
    .cold_count = 5,
};

static const struct document_kind refund_kind = {
    .name = "refund",
    .columns =
        {
            RESOURCE_INDEXED("charge"),
            RESOURCE_INDEXED("payment_intent"),
            RESOURCE_SWEPT("due"),
        },
    .column_count = 3,
};

static const struct document_kind method_kind = {
    .name = "payment_method",
    .columns = {RESOURCE_INDEXED("customer")},
    .column_count = 1,
};

static const struct document_kind setup_kind = {
    .name = "setup_intent",
    .columns =
        {
            RESOURCE_INDEXED("customer"),
            RESOURCE_INDEXED("payment_method"),
            RESOURCE_SWEPT("due"),
        },
    .column_count = 3,
};

static const struct document_kind setup_attempt_kind = {
    .name = "setup_attempt",
    .columns = {RESOURCE_INDEXED("setup_intent")},
    .column_count = 1,
};

static const struct document_kind customer_kind = {
    .name = "customer",
    .columns = {{.name = "email", .type = DOCUMENT_TEXT, .indexed = true, .any_case = true}},
    .column_count = 1,
    .copied = true,
};

static const struct document_kind deleted_customer_kind = {.name = "deleted_customer"};

static const struct document_kind qr_code_kind = {.name = "qr_code"};

static const struct document_kind suspense_kind = {
    .name = "suspense_item",
    .columns =
        {
            RESOURCE_INDEXED("status"),
            RESOURCE_SWEPT("open_since"),
        },
    .column_count = 2,
};

static const struct document_kind balance_transaction_kind = {
    .name = "balance_transaction",
    .is_small = true,
    .columns =
        {
            RESOURCE_INDEXED("source"),
            {.name = "type", .type = DOCUMENT_TEXT},
            {.name = "currency", .type = DOCUMENT_TEXT},
            RESOURCE_SWEPT("release_due"),
        },
    .column_count = 4,
};

/* No fingerprint: whoever has one and may make methods finds the number behind it by trying. */
static const struct resource_shown card_public_members[] = {
    {.name = "brand"},
    {.name = "checks"},
    {.name = "country"},
    {.name = "display_brand"},
    {.name = "exp_month"},
    {.name = "exp_year"},
    {.name = "funding"},
    {.name = "generated_from"},
    {.name = "last4"},
    {.name = "networks"},
    {.name = "three_d_secure_usage"},
    {.name = "wallet"},
    {.name = NULL},
};
/* What a payer's browser needs to go on, as Stripe shows it to publishable keys: nothing of the
 * merchant's own notes, of the customer's record, or of where the money goes. */
static const struct resource_shown method_public_members[] = {
    {.name = "id"},
    {.name = "object"},
    {.name = "created"},
    {.name = "livemode"},
    {.name = "allow_redisplay"},
    {.name = "billing_details"},
    {.name = "card", .members = card_public_members},
    {.name = "mobile_qr"},
    {.name = "type"},
    {.name = "wallet"},
    {.name = NULL},
};
/* The method as it was when it failed, which is stored whole: see decline.c. */
static const struct resource_shown error_public_members[] = {
    {.name = "advice_code"},
    {.name = "charge"},
    {.name = "code"},
    {.name = "decline_code"},
    {.name = "message"},
    {.name = "network_decline_code"},
    {.name = "payment_method", .members = method_public_members},
    {.name = "type"},
    {.name = NULL},
};
static const struct resource_shown intent_public_members[] = {
    {.name = "id"},
    {.name = "object"},
    {.name = "created"},
    {.name = "livemode"},
    {.name = "amount"},
    {.name = "amount_capturable"},
    {.name = "amount_details"},
    {.name = "amount_received"},
    {.name = "application"},
    {.name = "application_fee_amount"},
    {.name = "automatic_payment_methods"},
    {.name = "canceled_at"},
    {.name = "cancellation_reason"},
    {.name = "capture_method"},
    {.name = "client_secret"},
    {.name = "confirmation_method"},
    {.name = "currency"},
    {.name = "description"},
    {.name = "last_payment_error", .members = error_public_members},
    {.name = "next_action"},
    {.name = "on_behalf_of"},
    {.name = "payment_method"},
    {.name = "payment_method_options"},
    {.name = "payment_method_types"},
    {.name = "processing"},
    {.name = "receipt_email"},
    {.name = "review"},
    {.name = "setup_future_usage"},
    {.name = "shipping"},
    {.name = "source"},
    {.name = "statement_descriptor"},
    {.name = "statement_descriptor_suffix"},
    {.name = "status"},
    {.name = NULL},
};
static const struct resource_shown setup_public_members[] = {
    {.name = "id"},
    {.name = "object"},
    {.name = "created"},
    {.name = "livemode"},
    {.name = "application"},
    {.name = "automatic_payment_methods"},
    {.name = "cancellation_reason"},
    {.name = "client_secret"},
    {.name = "description"},
    {.name = "flow_directions"},
    {.name = "last_setup_error", .members = error_public_members},
    {.name = "mandate"},
    {.name = "next_action"},
    {.name = "on_behalf_of"},
    {.name = "payment_method"},
    {.name = "payment_method_options"},
    {.name = "payment_method_types"},
    {.name = "single_use_mandate"},
    {.name = "status"},
    {.name = "usage"},
    {.name = NULL},
};

const struct resource_type payments_intent_type = {
    .object = "payment_intent",
    .prefix = "pi_",
    .kind = &intent_kind,
    RESOURCE_FIELDS(intent_fields),
    .struct_size = sizeof(struct payments_intent),
    .render = payments_intent_render,
    .permission = "payment_intents",
    .public_members = intent_public_members,
};

const struct resource_type payments_charge_type = {
    .object = "charge",
    .prefix = "ch_",
    .kind = &charge_kind,
    RESOURCE_FIELDS(charge_fields),
    .struct_size = sizeof(struct payments_charge),
    .render = payments_charge_render,
    .permission = "charges",
};

const struct resource_type payments_refund_type = {
    .object = "refund",
    .prefix = "re_",
    .kind = &refund_kind,
    RESOURCE_FIELDS(refund_fields),
    .struct_size = sizeof(struct payments_refund),
    .render = payments_refund_render,
    .permission = "refunds",
};

const struct resource_type payments_method_type = {
    .object = "payment_method",
    .prefix = "pm_",
    .kind = &method_kind,
    RESOURCE_FIELDS(method_fields),
    .struct_size = sizeof(struct payments_method),
    .render = payments_method_render,
    .permission = "payment_methods",
    .public_members = method_public_members,
};

const struct resource_type payments_setup_type = {
    .object = "setup_intent",
    .prefix = "seti_",
    .kind = &setup_kind,
    RESOURCE_FIELDS(setup_fields),
    .struct_size = sizeof(struct payments_setup),
    .render = payments_setup_render,
    .permission = "setup_intents",
    .public_members = setup_public_members,
};

const struct resource_type payments_setup_attempt_type = {
    .object = "setup_attempt",
    .prefix = "setatt_",
    .kind = &setup_attempt_kind,
    RESOURCE_FIELDS(setup_attempt_fields),
    .struct_size = sizeof(struct payments_setup_attempt),
    .render = payments_setup_attempt_render,
    .permission = "setup_intents",
};

const struct resource_type payments_customer_type = {
    .object = "customer",
    .prefix = "cus_",
    .kind = &customer_kind,
    RESOURCE_FIELDS(customer_fields),
    .struct_size = sizeof(struct payments_customer),
    .render = payments_customer_render,
    .permission = "customers",
    .remains = &payments_deleted_customer_type,
};

const struct resource_type payments_deleted_customer_type = {
    .object = "customer",
    .prefix = "cus_",
    .kind = &deleted_customer_kind,
    .struct_size = sizeof(struct payments_deleted_customer),
    .render = payments_deleted_customer_render,
};

const struct resource_type payments_suspense_type = {
    .object = "tael.suspense_item",
    .prefix = "sus_",
    .kind = &suspense_kind,
    RESOURCE_FIELDS(suspense_fields),
    .struct_size = sizeof(struct payments_suspense),
    .render = payments_suspense_render,
};

const struct resource_type payments_qr_code_type = {
    .object = "qr_code",
    .prefix = "qrc_",
    .kind = &qr_code_kind,
    RESOURCE_FIELDS(qr_code_fields),
    .struct_size = sizeof(struct payments_qr_code),
    .render = payments_qr_code_render,
};

const struct resource_type payments_balance_transaction_type = {
    .object = "balance_transaction",
    .prefix = "txn_",
    .kind = &balance_transaction_kind,
    RESOURCE_FIELDS(balance_transaction_fields),
    .struct_size = sizeof(struct payments_balance_transaction),
    .render = payments_balance_transaction_render,
    .permission = "balance",
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
    &suspense_kind,
    &payments_bank_account_kind,
    &payments_payout_kind,
    &payments_payout_schedule_kind,
    &payments_dispute_kind,
    &payments_feed_cursor_kind,
    &payments_checkout_kind,
    &payments_value_list_kind,
    &payments_value_item_kind,
    &payments_risk_rule_kind,
    &payments_risk_counter_kind,
};
const uint32_t payments_kind_count = sizeof(payments_kinds) / sizeof(payments_kinds[0]);
