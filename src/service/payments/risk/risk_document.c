#include "risk.h"

#include "resource/fields.h"

static const struct resource_field list_fields[] = {
    RESOURCE_TEXT_COLUMN(payments_value_list, alias, PAYMENTS_VALUE_LIST_ALIAS),
    RESOURCE_TEXT(payments_value_list, name),
    RESOURCE_TEXT(payments_value_list, item_type),
    RESOURCE_TEXT(payments_value_list, created_by),
    RESOURCE_JSON(payments_value_list, metadata),
    RESOURCE_INTEGER(payments_value_list, items),
    RESOURCE_INTEGER(payments_value_list, filled),
    RESOURCE_BOOLEAN(payments_value_list, fixed),
};

static const struct resource_field item_fields[] = {
    RESOURCE_TEXT_COLUMN(payments_value_item, value_list, PAYMENTS_VALUE_ITEM_LIST),
    RESOURCE_TEXT(payments_value_item, value),
    RESOURCE_TEXT_COLUMN(payments_value_item, entry, PAYMENTS_VALUE_ITEM_ENTRY),
    RESOURCE_TEXT(payments_value_item, created_by),
};

static const struct resource_field rule_fields[] = {
    RESOURCE_TEXT(payments_risk_rule, predicate),
    RESOURCE_TEXT(payments_risk_rule, name),
    RESOURCE_TEXT(payments_risk_rule, created_by),
    RESOURCE_TEXT(payments_risk_rule, updated_by),
    RESOURCE_JSON(payments_risk_rule, metadata),
    RESOURCE_BOOLEAN(payments_risk_rule, disabled),
};

static const struct resource_field counter_fields[] = {
    RESOURCE_TEXT(payments_risk_counter, counts),
    RESOURCE_INTEGER_COLUMN(payments_risk_counter, due, PAYMENTS_RISK_COUNTER_DUE),
};

#define UNIQUE(column_name)                                                                        \
    {                                                                                              \
        .name = (column_name), .type = DOCUMENT_TEXT, .indexed = true, .unique = true              \
    }

const struct document_kind payments_value_list_kind = {
    .name = "value_list",
    .columns = {UNIQUE("alias")},
    .column_count = 1,
};

const struct document_kind payments_value_item_kind = {
    .name = "value_list_item",
    .columns = {RESOURCE_INDEXED("value_list"), UNIQUE("entry")},
    .column_count = 2,
};

const struct document_kind payments_risk_rule_kind = {.name = "risk_rule"};

const struct document_kind payments_risk_counter_kind = {
    .name = "risk_counter",
    .columns = {RESOURCE_SWEPT("due")},
    .column_count = 1,
    .is_small = true,
};

const struct resource_type payments_value_list_type = {
    .object = "radar.value_list",
    .prefix = "rsl_",
    .kind = &payments_value_list_kind,
    RESOURCE_FIELDS(list_fields),
    .struct_size = sizeof(struct payments_value_list),
    .render = payments_value_list_render,
    .permission = "radar",
};

const struct resource_type payments_value_item_type = {
    .object = "radar.value_list_item",
    .prefix = "rsli_",
    .kind = &payments_value_item_kind,
    RESOURCE_FIELDS(item_fields),
    .struct_size = sizeof(struct payments_value_item),
    .render = payments_value_item_render,
    .permission = "radar",
};

const struct resource_type payments_risk_rule_type = {
    .object = "radar.rule",
    .prefix = "rrule_",
    .kind = &payments_risk_rule_kind,
    RESOURCE_FIELDS(rule_fields),
    .struct_size = sizeof(struct payments_risk_rule),
    .render = payments_risk_rule_render,
    .permission = "radar",
};

const struct resource_type payments_risk_counter_type = {
    .object = "risk_counter",
    .prefix = "rcount_",
    .kind = &payments_risk_counter_kind,
    RESOURCE_FIELDS(counter_fields),
    .struct_size = sizeof(struct payments_risk_counter),
};

const struct resource_type payments_deleted_value_list_type = {
    .object = "radar.value_list",
    .prefix = "rsl_",
    .kind = &payments_value_list_kind,
    .struct_size = sizeof(struct payments_value_list),
    .render = payments_deleted_value_list_render,
};

const struct resource_type payments_deleted_value_item_type = {
    .object = "radar.value_list_item",
    .prefix = "rsli_",
    .kind = &payments_value_item_kind,
    .struct_size = sizeof(struct payments_value_item),
    .render = payments_deleted_value_item_render,
};

const struct resource_type payments_deleted_risk_rule_type = {
    .object = "radar.rule",
    .prefix = "rrule_",
    .kind = &payments_risk_rule_kind,
    .struct_size = sizeof(struct payments_risk_rule),
    .render = payments_deleted_risk_rule_render,
};
