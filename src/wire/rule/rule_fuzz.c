/*
 * Any bytes as a rule: refused with a problem that has a place, or steps that keep RULE-1, and
 * answer the same twice, whatever is known of the payment.
 */
#include "rule/rule.h"

#include "base/assert.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct rule_attribute attributes[] = {
    {"amount", RULE_NUMBER},
    {"card_attempts_hourly", RULE_NUMBER},
    {"card_country", RULE_TEXT},
    {"currency", RULE_TEXT},
    {"email", RULE_TEXT},
    {"customer", RULE_TEXT},
    {"is_off_session", RULE_BOOLEAN},
};

enum {
    ATTRIBUTES = sizeof(attributes) / sizeof(attributes[0])
};

static bool
listed(void *context, uint32_t attribute, struct span alias)
{
    const struct rule_fact *facts = context;
    ASSERT(attribute < ATTRIBUTES && attributes[attribute].kind == RULE_TEXT);
    ASSERT(facts[attribute].present);
    ASSERT(alias.size >= 1 && alias.size <= RULE_NAME_MAX);
    return alias.size % 2 == 0;
}

static void
hold(const struct rule *rule, uint32_t bits)
{
    struct rule_fact facts[ATTRIBUTES];
    memset(facts, 0, sizeof(facts));
    for (uint32_t i = 0; i < ATTRIBUTES; i++) {
        facts[i].present = (bits >> i & 1) != 0;
        if (attributes[i].kind == RULE_TEXT) {
            facts[i].text = SPAN("eur");
        } else {
            facts[i].number = (int64_t)(bits >> (i + 1) & 1);
        }
    }
    const struct rule_facts of = {.facts = facts, .listed = listed, .context = facts};
    ASSERT(rule_holds(rule, &of) == rule_holds(rule, &of));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rule rule;
    struct rule_problem problem = {.text = NULL};
    err_t error = rule_parse(span_of(data, size), attributes, ATTRIBUTES, &rule, &problem);
    if (error != ERR_OK) {
        ASSERT(error == ERR_INVALID);
        ASSERT(problem.text != NULL && problem.text[0] != '\0');
        ASSERT(problem.character >= 1 && problem.character <= size + 1);
        return 0;
    }
    ASSERT(rule.test_count >= 1 && rule.test_count <= RULE_TESTS_MAX);
    ASSERT(rule.step_count <= RULE_STEPS_MAX && rule.value_count <= RULE_VALUES_MAX);
    for (uint32_t i = 0; i < rule.test_count; i++) {
        ASSERT(rule.tests[i].attribute < ATTRIBUTES);
        ASSERT(rule.tests[i].first + rule.tests[i].count <= rule.value_count);
    }
    for (uint32_t bits = 0; bits < 256; bits += 37) {
        hold(&rule, bits);
    }
    return 0;
}
