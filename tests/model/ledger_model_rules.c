/* The model's mutations: which rule of which part each one is. */
#include "ledger_model_rules.h"

#include "base/assert.h"

static const int *const rule_counts[LEDGER_MODEL_PART_COUNT] = {
    [LEDGER_MODEL_TIME] = &ledger_model_time_rules,
    [LEDGER_MODEL_ACCOUNT] = &ledger_model_account_rules,
    [LEDGER_MODEL_TRANSFER] = &ledger_model_transfer_rules,
    [LEDGER_MODEL_PLAIN] = &ledger_model_plain_rules,
    [LEDGER_MODEL_SECOND_PHASE] = &ledger_model_second_phase_rules,
    [LEDGER_MODEL_BATCH] = &ledger_model_batch_rules,
};

/* A name is noted when its place is first passed. */
static const char *mutation_names[LEDGER_MODEL_PART_COUNT * LEDGER_MODEL_RULES_MAX];

/* The rules of the parts before this one. */
static int
rules_before(int part)
{
    int count = 0;
    for (int i = 0; i < part; i++) {
        count += *rule_counts[i];
    }
    return count;
}

bool
ledger_model_rule_holds(
    const struct ledger_model *model, enum ledger_model_part part, int number, const char *name)
{
    ASSERT(number < *rule_counts[part]); /* it stands above RULES_END */
    int mutation = rules_before((int)part) + number;
    mutation_names[mutation] = name;
    return model->mutation != mutation;
}

int
ledger_model_mutation_count(void)
{
    return rules_before(LEDGER_MODEL_PART_COUNT);
}

const char *
ledger_model_mutation_name(int mutation)
{
    const char *name = mutation_names[mutation];
    return name != NULL ? name : "a rule that no test has passed yet";
}
