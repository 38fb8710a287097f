/* How value lists, their values and rules look outside. */
#include "risk.h"

#include "json/json.h"

/* Of a list so many values are shown with it. */
#define SHOWN 10

static void
metadata(struct json_writer *json, struct span value)
{
    json_member_raw(json, "metadata", value.size != 0 ? value : SPAN("{}"));
}

struct showing {
    struct resource_render *render;
    uint32_t count;
};

static bool
show_item(void *context, void *document)
{
    struct showing *showing = context;
    if (showing->count++ < SHOWN) {
        payments_value_item_render(showing->render, document);
    }
    return showing->count <= SHOWN;
}

static void
render_items(struct resource_render *render, const struct payments_value_list *list)
{
    struct json_writer *json = resource_render_json(render);
    struct resource_op *op = resource_render_op(render);
    struct showing showing = {.render = render};
    const struct document_query query = {
        .filters = {{.column = PAYMENTS_VALUE_ITEM_LIST, .value = {.text = list->header.id}}},
        .filter_count = 1,
        .range_column = UINT32_MAX,
        .limit = SHOWN + 1,
    };
    json_key(json, "list_items");
    json_object_begin(json);
    json_member_cstr(json, "object", "list");
    json_key(json, "data");
    json_array_begin(json);
    if (list->items > 0) {
        resource_render_note(
            render,
            resource_find_shown(op, &payments_value_item_type, &query, show_item, &showing));
    }
    json_array_end(json);
    json_member_bool(json, "has_more", showing.count > SHOWN);
    json_member_text(
        json,
        "url",
        arena_format(
            resource_op_arena(op),
            "/v1/radar/value_list_items?value_list=%.*s",
            SPAN_PRINTF(list->header.id)));
    json_object_end(json);
}

void
payments_value_list_render(struct resource_render *render, const void *document)
{
    const struct payments_value_list *list = document;
    struct json_writer *json = resource_render_json(render);
    json_object_begin(json);
    resource_render_header(render, &payments_value_list_type, list);
    json_member_text(json, "alias", list->alias);
    json_member_text(json, "created_by", list->created_by);
    json_member_text(json, "item_type", list->item_type);
    render_items(render, list);
    metadata(json, list->metadata);
    json_member_text(json, "name", list->name);
    json_object_end(json);
}

void
payments_value_item_render(struct resource_render *render, const void *document)
{
    const struct payments_value_item *item = document;
    struct json_writer *json = resource_render_json(render);
    json_object_begin(json);
    resource_render_header(render, &payments_value_item_type, item);
    json_member_text(json, "created_by", item->created_by);
    json_member_text(json, "value", item->value);
    json_member_text(json, "value_list", item->value_list);
    json_object_end(json);
}

static const char *
action_of(const struct payments_risk_rule *stored)
{
    struct rule rule;
    struct rule_problem problem;
    err_t error = rule_parse(
        stored->predicate, payments_risk_attributes, PAYMENTS_RISK_ATTRIBUTES, &rule, &problem);
    if (error == ERR_OK && rule.action == RULE_ALLOW) {
        return "allow";
    }
    return error == ERR_OK && rule.action == RULE_REQUEST_3D_SECURE ? "request_3d_secure" : "block";
}

void
payments_risk_rule_render(struct resource_render *render, const void *document)
{
    const struct payments_risk_rule *rule = document;
    struct json_writer *json = resource_render_json(render);
    json_object_begin(json);
    resource_render_header(render, &payments_risk_rule_type, rule);
    json_member_cstr(json, "action", action_of(rule));
    json_member_text(json, "created_by", rule->created_by);
    json_member_bool(json, "enabled", !rule->disabled);
    metadata(json, rule->metadata);
    json_member_text_or_null(json, "name", rule->name);
    json_member_text(json, "predicate", rule->predicate);
    json_member_text(json, "updated_by", rule->updated_by);
    json_object_end(json);
}

void
payments_deleted_value_list_render(struct resource_render *render, const void *document)
{
    resource_render_deleted(render, &payments_deleted_value_list_type, document);
}

void
payments_deleted_value_item_render(struct resource_render *render, const void *document)
{
    resource_render_deleted(render, &payments_deleted_value_item_type, document);
}

void
payments_deleted_risk_rule_render(struct resource_render *render, const void *document)
{
    resource_render_deleted(render, &payments_deleted_risk_rule_type, document);
}
