/*
 * What the merchant's lists and rules say of a payment by card that begins, in this order:
 *
 *   the allow lists, then rules that allow      nothing below is asked
 *   the block lists, then rules that block      it is declined; nothing is sent to the network
 *   rules that request 3-D Secure               the network is told that it is wanted
 *
 * and of a setup the lists alone. Of rules that do the same, the oldest one that holds counts.
 */
#include "risk.h"

/* Answers of lists that are remembered within a judgement. */
#define REMEMBERED 32

struct judge {
    struct payments_flow *flow;
    const struct payments_risk_book *book;
    struct payments_risk_facts facts;
    err_t error;
    uint32_t remembered;

    struct {
        const struct payments_risk_book_list *list;
        uint32_t attribute;
        bool listed;
    } memory[REMEMBERED];
};

/* ------------------------------------------------------------------------------------- lists ---
 */

static err_t
look_up(
    struct judge *judge,
    const struct payments_risk_book_list *list,
    struct span text,
    bool *ret_listed)
{
    struct resource_op *op = judge->flow->op;
    struct span value;
    *ret_listed = false;
    if (!payments_risk_value(list->item, text, resource_op_arena(op), &value)) {
        return ERR_OK; /* no such value can be in it */
    }
    struct span entry = payments_risk_entry(op, span_from_cstr(list->id), value);
    if (value.size == 0 || entry.size == 0) {
        return ERR_FULL;
    }
    void *item;
    TRY(resource_find_first(
        op, &payments_value_item_type, PAYMENTS_VALUE_ITEM_ENTRY, entry, &item));
    *ret_listed = item != NULL;
    return ERR_OK;
}

static bool
is_in(struct judge *judge, const struct payments_risk_book_list *list, uint32_t attribute)
{
    const struct rule_fact *fact = &judge->facts.facts[attribute];
    if (list == NULL || list->empty || !fact->present || judge->error != ERR_OK) {
        return false;
    }
    for (uint32_t i = 0; i < judge->remembered; i++) {
        if (judge->memory[i].list == list && judge->memory[i].attribute == attribute) {
            return judge->memory[i].listed;
        }
    }
    bool listed = false;
    judge->error = look_up(judge, list, fact->text, &listed);
    if (judge->remembered < REMEMBERED) {
        judge->memory[judge->remembered].list = list;
        judge->memory[judge->remembered].attribute = attribute;
        judge->memory[judge->remembered].listed = listed;
        judge->remembered++;
    }
    return listed && judge->error == ERR_OK;
}

static bool
listed(void *context, uint32_t attribute, struct span alias)
{
    struct judge *judge = context;
    return is_in(judge, payments_risk_book_find(judge->book, alias), attribute);
}

/* The alias of the default list that has it; NULL: none has. */
static const char *
default_list(struct judge *judge, bool blocks)
{
    for (uint32_t i = 0; i < PAYMENTS_RISK_DEFAULTS; i++) {
        const struct payments_risk_default *one = &payments_risk_defaults[i];
        const char *alias = blocks ? one->blocks : one->allows;
        const struct payments_risk_book_list *list =
            payments_risk_book_find(judge->book, span_from_cstr(alias));
        if (is_in(judge, list, one->attribute)) {
            return alias;
        }
    }
    return NULL;
}

/* ------------------------------------------------------------------------------------- rules ---
 */

static const struct payments_risk_book_rule *
rule_of(struct judge *judge, enum rule_action action)
{
    const struct rule_facts facts = {
        .facts = judge->facts.facts,
        .listed = listed,
        .context = judge,
    };
    for (uint32_t i = 0; i < judge->book->rule_count; i++) {
        const struct payments_risk_book_rule *one = &judge->book->rules[i];
        if (one->rule.action == action && rule_holds(&one->rule, &facts) &&
            judge->error == ERR_OK) {
            return one;
        }
    }
    return NULL;
}

/* --------------------------------------------------------------------------------- the verdict ---
 */

static void
block(struct payments_flow *flow, struct span rule, bool by_list)
{
    flow->risk.kind = PAYMENTS_RISK_BLOCKED;
    flow->risk.rule = rule;
    flow->risk.by_list = by_list;
    flow->rail.answer = (struct port_rail_answer){
        .outcome = PORT_RAIL_DECLINED,
        .error_code = "card_declined",
        .decline_code = "fraudulent",
        .advice_code = "do_not_try_again",
        .risk_level = "not_assessed",
    };
}

static void
decide_by_lists(struct judge *judge)
{
    struct payments_flow *flow = judge->flow;
    if (default_list(judge, false) != NULL) {
        flow->risk.kind = PAYMENTS_RISK_ALLOWED;
        return;
    }
    if (flow->intent != NULL && rule_of(judge, RULE_ALLOW) != NULL) {
        flow->risk.kind = PAYMENTS_RISK_ALLOWED;
        return;
    }
    const char *alias = default_list(judge, true);
    if (alias != NULL) {
        struct span rule = arena_format(resource_op_arena(flow->op), "block_if_in_%s", alias);
        block(flow, rule, true);
    }
}

static void
decide_by_rules(struct judge *judge)
{
    struct payments_flow *flow = judge->flow;
    const struct payments_risk_book_rule *rule = rule_of(judge, RULE_BLOCK);
    if (rule != NULL) {
        block(flow, arena_copy(resource_op_arena(flow->op), span_from_cstr(rule->id)), false);
        return;
    }
    flow->risk.wants_proof = rule_of(judge, RULE_REQUEST_3D_SECURE) != NULL;
}

static err_t
decide(struct payments_flow *flow, const struct payments_risk_book *book)
{
    struct judge *judge = ARENA_NEW(resource_op_arena(flow->op), struct judge);
    if (judge == NULL) {
        return ERR_FULL;
    }
    judge->flow = flow;
    judge->book = book;
    TRY(payments_risk_facts_read(flow, book->wanted, &judge->facts));
    if (flow->intent != NULL) {
        /* A payment whose holder was challenged is one attempt, not two. */
        bool first = flow->intent->attempt.proof.size == 0;
        TRY(payments_risk_count_attempt(flow, book, &judge->facts, first));
    }
    decide_by_lists(judge);
    if (flow->intent != NULL && flow->risk.kind == PAYMENTS_RISK_NONE) {
        decide_by_rules(judge);
    }
    return judge->error;
}

bool
payments_risk_judge(struct payments_flow *flow)
{
    const struct payments_risk_book *book;
    flow->risk = (struct payments_verdict){.kind = PAYMENTS_RISK_NONE};
    if (flow->method->token.size == 0) {
        return true; /* no card: the wallet's owner is known */
    }
    if (!payments_risk_address(flow->op, &flow->risk.address)) {
        return false;
    }
    err_t error = payments_risk_book_of(flow->op, &book);
    if (error == ERR_OK && !book->quiet) {
        error = decide(flow, book);
    }
    if (error != ERR_OK) {
        resource_internal(flow->op, error, "risk rules");
        return false;
    }
    return true;
}
