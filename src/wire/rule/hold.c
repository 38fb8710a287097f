/* Whether a rule holds: its steps over a stack of answers, each once. */
#include "rule/rule.h"

#include "base/assert.h"

static bool
in_values(const struct rule *rule, const struct rule_test *test, struct span text)
{
    for (uint32_t i = 0; i < test->count; i++) {
        if (span_equal_nocase(rule->values[test->first + i], text)) {
            return true;
        }
    }
    return false;
}

/* An attribute that is compared with a text has one; the others have none, and so an equal one. */
static bool
compare(const struct rule_test *test, const struct rule_fact *fact)
{
    bool equal = fact->number == test->number && span_equal_nocase(fact->text, test->text);
    switch ((enum rule_comparison)test->comparison) {
    case RULE_EQUAL:
        return equal;
    case RULE_NOT_EQUAL:
        return !equal;
    case RULE_LESS:
        return fact->number < test->number;
    case RULE_LESS_EQUAL:
        return fact->number <= test->number;
    case RULE_GREATER:
        return fact->number > test->number;
    case RULE_GREATER_EQUAL:
        return fact->number >= test->number;
    case RULE_IN_VALUES:
    case RULE_IN_LIST:
    case RULE_IS_MISSING:
        break;
    }
    UNREACHABLE();
}

static bool
test_holds(const struct rule *rule, const struct rule_test *test, const struct rule_facts *facts)
{
    const struct rule_fact *fact = &facts->facts[test->attribute];
    if (test->comparison == RULE_IS_MISSING) {
        return !fact->present;
    }
    if (!fact->present) {
        return false;
    }
    if (test->comparison == RULE_IN_VALUES) {
        return in_values(rule, test, fact->text);
    }
    if (test->comparison == RULE_IN_LIST) {
        return facts->listed != NULL && facts->listed(facts->context, test->attribute, test->text);
    }
    return compare(test, fact);
}

bool
rule_holds(const struct rule *rule, const struct rule_facts *facts)
{
    bool stack[RULE_TESTS_MAX];
    uint32_t size = 0;
    ASSERT(rule->step_count <= RULE_STEPS_MAX);
    for (uint32_t i = 0; i < rule->step_count; i++) {
        uint8_t step = rule->steps[i];
        if (step < RULE_TESTS_MAX) {
            ASSERT(size < RULE_TESTS_MAX);
            stack[size++] = test_holds(rule, &rule->tests[step], facts);
        } else if (step == RULE_STEP_NOT) {
            ASSERT(size >= 1);
            stack[size - 1] = !stack[size - 1];
        } else {
            ASSERT(size >= 2);
            size--;
            stack[size - 1] = step == RULE_STEP_AND ? stack[size - 1] && stack[size]
                                                    : stack[size - 1] || stack[size];
        }
    }
    ASSERT(size == 1);
    return stack[0];
}
