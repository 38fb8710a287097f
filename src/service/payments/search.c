/* What of intents, charges and customers can be searched: Stripe's query fields. */
#include "flow.h"
#include "handlers.h"
#include "resource/pages.h"

#define TEXT(field_name)                                                                           \
    {                                                                                              \
        .name = (field_name), .kind = RESOURCE_SEARCH_TEXT                                         \
    }
#define ID(field_name)                                                                             \
    {                                                                                              \
        .name = (field_name), .kind = RESOURCE_SEARCH_ID                                           \
    }
#define NUMBER(field_name)                                                                         \
    {                                                                                              \
        .name = (field_name), .kind = RESOURCE_SEARCH_NUMBER                                       \
    }
#define BOOLEAN(field_name)                                                                        \
    {                                                                                              \
        .name = (field_name), .kind = RESOURCE_SEARCH_BOOLEAN                                      \
    }
#define METADATA                                                                                   \
    {                                                                                              \
        .name = "metadata", .kind = RESOURCE_SEARCH_METADATA                                       \
    }
#define SHOWN(field_name, field_kind, function)                                                    \
    {                                                                                              \
        .name = (field_name), .kind = (field_kind), .show = (function)                             \
    }
#define FIELDS(table) .fields = (table), .field_count = sizeof(table) / sizeof((table)[0])

/* ------------------------------------------------------------------------------- intents --- */

static const struct resource_search_field intent_fields[] = {
    NUMBER("amount"),
    NUMBER("created"),
    TEXT("currency"),
    ID("customer"),
    METADATA,
    SHOWN("status", RESOURCE_SEARCH_TEXT, payments_intent_shown_status),
};

static const struct resource_search intent_search = {
    .type = &payments_intent_type,
    .objects = "payment_intents",
    .url = "/v1/payment_intents/search",
    FIELDS(intent_fields),
};

void
payments_intent_search(struct resource_op *op)
{
    resource_answer_search(op, &intent_search);
}

/* ------------------------------------------------------------------------------- charges --- */

/* As charges show it: one that was stored before there were disputes has none. */
static struct span
shown_disputed(const void *document)
{
    return ((const struct payments_charge *)document)->disputed ? SPAN("true") : SPAN("false");
}

static const struct resource_search_field charge_fields[] = {
    NUMBER("amount"),
    TEXT("billing_details.address.postal_code"),
    NUMBER("created"),
    TEXT("currency"),
    ID("customer"),
    SHOWN("disputed", RESOURCE_SEARCH_BOOLEAN, shown_disputed),
    METADATA,
    TEXT("payment_method_details.card.brand"),
    NUMBER("payment_method_details.card.exp_month"),
    NUMBER("payment_method_details.card.exp_year"),
    ID("payment_method_details.card.fingerprint"),
    TEXT("payment_method_details.card.last4"),
    BOOLEAN("refunded"),
    TEXT("status"),
};

static const struct resource_search charge_search = {
    .type = &payments_charge_type,
    .objects = "charges",
    .url = "/v1/charges/search",
    FIELDS(charge_fields),
};

void
payments_charge_search(struct resource_op *op)
{
    resource_answer_search(op, &charge_search);
}

/* ------------------------------------------------------------------------------- customers --- */

static const struct resource_search_field customer_fields[] = {
    NUMBER("created"),
    TEXT("email"),
    METADATA,
    TEXT("name"),
    TEXT("phone"),
};

static const struct resource_search customer_search = {
    .type = &payments_customer_type,
    .objects = "customers",
    .url = "/v1/customers/search",
    FIELDS(customer_fields),
};

void
payments_customer_search(struct resource_op *op)
{
    resource_answer_search(op, &customer_search);
}
