/* A merchant's rules: how they are made, changed and shown. risk_judge.c asks them. */
#include "risk.h"

#include "resource/pages.h"

/* ------------------------------------------------------------------------------------ reading ---
 */

/* The lists that it names are there; false if answered. */
static bool
check_lists(struct resource_op *op, const struct rule *rule)
{
    for (uint32_t i = 0; i < rule->test_count; i++) {
        const struct rule_test *test = &rule->tests[i];
        struct payments_value_list *list = NULL;
        if (test->comparison != RULE_IN_LIST) {
            continue;
        }
        err_t error = payments_value_list_find(op, test->text, &list);
        if (error != ERR_OK) {
            resource_internal(op, error, "value list");
            return false;
        }
        if (list == NULL) {
            resource_invalid(
                op,
                "resource_missing",
                "predicate",
                "There is no value list with the alias %.*s.",
                SPAN_PRINTF(test->text));
            return false;
        }
    }
    return true;
}

/* False if answered. */
static bool
read_predicate(struct resource_op *op, struct payments_risk_rule *rule)
{
    struct rule parsed;
    struct rule_problem problem;
    if (!resource_text(op, "predicate", &rule->predicate)) {
        return true;
    }
    err_t error = rule_parse(
        rule->predicate, payments_risk_attributes, PAYMENTS_RISK_ATTRIBUTES, &parsed, &problem);
    if (error != ERR_OK) {
        resource_invalid(
            op,
            "parameter_invalid_string",
            "predicate",
            "We were unable to parse the rule at character %u: %s.",
            problem.character,
            problem.text);
        return false;
    }
    return check_lists(op, &parsed);
}

static bool
read_members(struct resource_op *op, struct payments_risk_rule *rule)
{
    bool enabled = !rule->disabled;
    (void)resource_boolean(op, "enabled", &enabled);
    (void)resource_text(op, "name", &rule->name);
    rule->disabled = !enabled;
    rule->updated_by = payments_risk_who(op);
    return read_predicate(op, rule) &&
           resource_metadata(op, rule->metadata, &rule->metadata) == ERR_OK;
}

/* --------------------------------------------------------------------------------- looking on ---
 */

struct naming {
    struct span alias;
    bool named;
    uint32_t count;
    err_t error;
};

static bool
look_at(void *context, void *document)
{
    struct naming *naming = context;
    const struct payments_risk_rule *one = document;
    struct rule rule;
    struct rule_problem problem;
    naming->count++;
    naming->error = rule_parse(
        one->predicate, payments_risk_attributes, PAYMENTS_RISK_ATTRIBUTES, &rule, &problem);
    if (naming->error != ERR_OK) {
        naming->error = ERR_CORRUPT;
        return false;
    }
    for (uint32_t i = 0; i < rule.test_count; i++) {
        const struct rule_test *test = &rule.tests[i];
        naming->named = naming->named ||
                        (test->comparison == RULE_IN_LIST && span_equal(test->text, naming->alias));
    }
    return true;
}

static err_t
look(struct resource_op *op, struct naming *naming)
{
    const struct document_query query = {
        .range_column = UINT32_MAX,
        .limit = DOCUMENT_LIST_MAX,
    };
    TRY(resource_find(op, &payments_risk_rule_type, &query, look_at, naming));
    return naming->error;
}

err_t
payments_risk_rule_names(struct resource_op *op, struct span alias, bool *ret_names)
{
    struct naming naming = {.alias = alias, .error = ERR_OK};
    TRY(look(op, &naming));
    *ret_names = naming.named;
    return ERR_OK;
}

/* Behind the guard that lists and rules have together. False if answered. */
static bool
is_room(struct resource_op *op)
{
    struct naming naming = {.alias = SPAN_EMPTY, .error = ERR_OK};
    err_t error = look(op, &naming);
    if (error != ERR_OK) {
        resource_internal(op, error, "rules");
        return false;
    }
    if (naming.count >= PAYMENTS_RISK_RULES_MAX) {
        resource_invalid(
            op, NULL, NULL, "There are %d rules, and no more are taken.", PAYMENTS_RISK_RULES_MAX);
        return false;
    }
    return true;
}

/* ----------------------------------------------------------------------------------- handlers ---
 */

/* What a change of a rule begins with; false if answered. */
static bool
begin(struct resource_op *op)
{
    if (!payments_risk_lists_ready(op)) {
        return false;
    }
    err_t error = resource_guard(op, SPAN("radar"));
    if (error != ERR_OK) {
        resource_internal(op, error, "rules");
        return false;
    }
    payments_risk_book_changes(op);
    return true;
}

void
payments_risk_rule_create(struct resource_op *op)
{
    if (!begin(op) || !is_room(op)) {
        return;
    }
    struct payments_risk_rule *rule = resource_new(op, &payments_risk_rule_type);
    if (rule == NULL) {
        resource_internal(op, ERR_FULL, "request memory");
        return;
    }
    rule->created_by = payments_risk_who(op);
    if (read_members(op, rule)) {
        resource_answer_saved(op, &payments_risk_rule_type, rule, "rule", "radar.rule.created");
    }
}

static struct payments_risk_rule *
require(struct resource_op *op)
{
    return resource_require(op, &payments_risk_rule_type, "rule", resource_op_capture(op, 0));
}

void
payments_risk_rule_retrieve(struct resource_op *op)
{
    resource_answer_retrieve(op, &payments_risk_rule_type, resource_op_capture(op, 0));
}

static void
update_locked(struct resource_op *op)
{
    struct payments_risk_rule *rule = begin(op) ? require(op) : NULL;
    if (rule != NULL && read_members(op, rule)) {
        resource_answer_saved(op, &payments_risk_rule_type, rule, "rule", "radar.rule.updated");
    }
}

void
payments_risk_rule_update(struct resource_op *op)
{
    resource_lock(op, resource_op_capture(op, 0), update_locked);
}

static void
delete_locked(struct resource_op *op)
{
    struct payments_risk_rule *rule = begin(op) ? require(op) : NULL;
    if (rule == NULL) {
        return;
    }
    err_t error =
        resource_emit(op, "radar.rule.deleted", &payments_risk_rule_type, rule, SPAN_EMPTY);
    if (error == ERR_OK) {
        error = resource_remove(op, &payments_risk_rule_type, rule);
    }
    if (error != ERR_OK) {
        resource_internal(op, error, "rule");
        return;
    }
    resource_answer_object(op, &payments_deleted_risk_rule_type, rule);
}

void
payments_risk_rule_delete(struct resource_op *op)
{
    resource_lock(op, resource_op_capture(op, 0), delete_locked);
}

void
payments_risk_rule_list(struct resource_op *op)
{
    resource_answer_list(op, &payments_risk_rule_type, "/v1/radar/rules", NULL, 0);
}
